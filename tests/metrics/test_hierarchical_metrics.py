"""Metrics of hierarchies, by plain counting."""

import json

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops
from trees import (
    FLAT,
    RANDOM_TREES,
    TWO_LEVELS,
    UNEVEN,
    common_ancestor_heights,
    path_to,
    probabilities_by_sums,
    probabilities_of_nodes,
    random_tree,
)

from mtlkit.metrics import MaskedMetric
from mtlkit.metrics.hierarchical import (
    HierarchicalDistance,
    LevelAccuracy,
    MistakeSeverity,
    full_path_accuracy,
    path_consistency,
)


def score(metric, y, outputs, weights=None, batches=1):
    metric.reset_state()
    for part in np.array_split(np.arange(len(y)), batches):
        own = None if weights is None else weights[part]
        metric.update_state(y[part], outputs[part], sample_weight=own)
    return float(ops.convert_to_numpy(metric.result()))


def draw(tree, seed, kind="classes", rows=20):
    rng = np.random.default_rng(seed)
    width = tree.num_nodes if kind == "nodes" else tree.num_leaves
    y = rng.integers(tree.num_nodes, size=rows)
    return y, rng.normal(size=(rows, width)).astype("float32"), rng.uniform(0.1, 2, rows)


def node_at(tree, y, level):
    """The node of a level that a label determines, or None."""
    path = path_to(tree, y)
    return path[level - 1] if level <= len(path) else y if y < tree.num_leaves else None


KINDS = {"classes": probabilities_by_sums, "nodes": probabilities_of_nodes}


class TestLevelAccuracy:
    @pytest.mark.parametrize("kind", KINDS)
    @settings(max_examples=RANDOM_TREES)
    @given(seed=st.integers(0, 1000))
    def test_counting_agrees(self, kind, seed):
        tree = random_tree(seed % 3, depth=3)
        y, outputs, weights = draw(tree, seed, kind)
        level = 1 + seed % tree.depth
        nodes = sorted(set(tree.level(level).tolist()))
        right, counted = [], []
        for true, row in zip(y, outputs, strict=True):
            p = KINDS[kind](tree, row)
            right.append(node_at(tree, true, level) == nodes[np.argmax(p[nodes])])
            counted.append(node_at(tree, true, level) is not None)
        metric = LevelAccuracy(tree, level)
        expected = np.average(right, weights=counted)
        assert score(metric, y, outputs, batches=2) == pytest.approx(expected, rel=1e-5)
        expected = np.average(right, weights=weights * counted)
        assert score(metric, y, outputs, weights) == pytest.approx(expected, rel=1e-5)

    def test_without_groups_it_is_the_accuracy(self):
        y, logits, weights = draw(FLAT, 0)
        plain = keras.metrics.SparseCategoricalAccuracy()
        assert score(LevelAccuracy(FLAT), y, logits, weights) == pytest.approx(
            score(plain, y, logits, weights)
        )

    def test_a_group_may_be_likelier_than_that_of_the_likeliest_class(self):
        logits = np.log([[0.2, 0.2, 0.2, 0.4, 1e-6]])
        assert score(LevelAccuracy(TWO_LEVELS, 1), np.array([5]), logits) == 1
        assert score(LevelAccuracy(TWO_LEVELS, 2), np.array([3]), logits) == 1

    def test_only_coarse_labels(self):
        logits = np.zeros((2, 5))
        assert np.isnan(score(LevelAccuracy(TWO_LEVELS), np.array([5, 6]), logits))
        assert score(LevelAccuracy(TWO_LEVELS, 1), np.array([5, 6]), logits) == 0.5

    def test_decision(self):
        """0.4 on class 0; 0.6 in the other group: with the least cost it is that group's."""
        logits = np.log([[0.4, 1e-6, 1e-6, 0.3, 0.3]])
        for decision, label in (("likeliest", 0), ("least_cost", 3)):
            assert score(LevelAccuracy(TWO_LEVELS, 2, decision), np.array([label]), logits) == 1

    def test_names(self):
        names = [LevelAccuracy(UNEVEN, level).name for level in (1, 2, 3, None)]
        assert names == ["level_1_accuracy", "level_2_accuracy", "accuracy", "accuracy"]


class TestDistances:
    @settings(max_examples=RANDOM_TREES)
    @given(seed=st.integers(0, 1000), kind=st.sampled_from(["tree", "circular"]))
    def test_counting_agrees(self, seed, kind):
        tree = random_tree(seed % 3, depth=3)
        y, logits, weights = draw(tree, seed)
        k = 1 + seed % 3
        if kind == "tree":
            distances = common_ancestor_heights(tree)
        else:
            gap = np.abs(np.subtract.outer(*[np.arange(tree.num_leaves)] * 2))
            distances = np.minimum(gap, tree.num_leaves - gap)
        order = np.argsort(-logits, axis=1)
        is_class = y < tree.num_leaves
        leaf = np.where(is_class, y, 0)
        own = weights * is_class
        nearby = distances[leaf[:, None], order[:, :k]].mean(axis=1)
        found = score(HierarchicalDistance(tree, k, kind), y, logits, weights, batches=2)
        assert found == pytest.approx(np.average(nearby, weights=own), rel=1e-5)
        severity, mistaken = distances[leaf, order[:, 0]], order[:, 0] != leaf
        found = score(MistakeSeverity(tree, kind), y, logits, weights, batches=2)
        assert found == pytest.approx(np.average(severity, weights=own * mistaken), rel=1e-5)

    def test_severity_falls_by_adding_mild_mistakes(self):
        """Which is why it stands beside the accuracy."""
        y = np.array([0, 0, 0])
        severe, both = np.eye(5)[[4, 0, 0]] * 9, np.eye(5)[[4, 1, 1]] * 9
        metric = MistakeSeverity(TWO_LEVELS)
        assert score(metric, y, severe) == 2 > score(metric, y, both) == pytest.approx(4 / 3)

    def test_no_mistake_no_severity(self):
        assert np.isnan(score(MistakeSeverity(TWO_LEVELS), np.arange(5), np.eye(5)))
        assert score(HierarchicalDistance(TWO_LEVELS), np.arange(5), np.eye(5)) == 0

    def test_least_cost_costs_less(self):
        """Of probabilities that are true: mistakes times their severity."""
        rng = np.random.default_rng(0)
        logits = rng.normal(size=(2000, 5))
        noise = rng.gumbel(size=logits.shape)
        y = np.argmax(logits + noise, axis=1)  # drawn from the softmax of the logits
        cost = {}
        for decision in ("likeliest", "least_cost"):
            severity = score(MistakeSeverity(TWO_LEVELS, decision=decision), y, logits)
            accuracy = score(LevelAccuracy(TWO_LEVELS, decision=decision), y, logits)
            cost[decision] = severity * (1 - accuracy)
        assert cost["least_cost"] < cost["likeliest"]


METRICS = [
    LevelAccuracy(UNEVEN, 2, decision="least_cost", distances="circular", name="mine"),
    MistakeSeverity(UNEVEN, distances=1 - np.eye(6)),
    HierarchicalDistance(UNEVEN, k=3),
]


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: type(metric).__name__)
class TestEach:
    def test_masked(self, metric):
        y, logits, weights = draw(UNEVEN, 1)
        expected = score(metric, y[::2], logits[::2], weights[::2])
        y[1::2] = -1
        weights[1] = np.nan
        for labels in (y, y[:, None]):
            found = score(MaskedMetric(metric), labels, logits, weights, batches=3)
            assert found == pytest.approx(expected, rel=1e-5)
        weights[1] = 1
        assert score(metric, y, logits, weights) == pytest.approx(expected, rel=1e-5)
        assert np.isnan(score(MaskedMetric(metric), np.full(3, -1), logits[:3]))

    def test_round_trip(self, metric):
        config = json.loads(json.dumps(keras.saving.serialize_keras_object(metric)))
        restored = keras.saving.deserialize_keras_object(config)
        assert type(restored) is type(metric)
        assert restored.get_config() == metric.get_config()
        y, logits, weights = draw(UNEVEN, 2)
        assert score(restored, y, logits, weights) == score(metric, y, logits, weights)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LevelAccuracy(UNEVEN, 4), r"1\.\.\.3.*level=4"),
        (lambda: LevelAccuracy(UNEVEN, 0), "level=0"),
        (lambda: LevelAccuracy(UNEVEN, decision="best"), "decision='best'"),
        (lambda: HierarchicalDistance(UNEVEN, k=7), r"1\.\.\.6.*k=7"),
        (lambda: MistakeSeverity(UNEVEN, distances="hops"), "'hops'"),
        (lambda: path_consistency(UNEVEN, [0, 6], [5, 5]), r"classes.*0\.\.\.5"),
        (lambda: path_consistency(UNEVEN, [0, 1], [5, 9]), r"nodes.*0\.\.\.8"),
        (lambda: path_consistency(UNEVEN, [0, 1], [5]), "nodes for 2 samples"),
        (lambda: path_consistency(UNEVEN, [], []), "at least one"),
        (lambda: path_consistency(UNEVEN, [0.5], [5]), "integers"),
        (lambda: full_path_accuracy(UNEVEN, [-1], [[0]] * 3), "at least one"),
        (lambda: full_path_accuracy(UNEVEN, [0], [[0]] * 2), "3 levels. Received: 2"),
        (lambda: full_path_accuracy(UNEVEN, [0], [[0, 1]] * 3), "predicted for 1 samples"),
    ],
)
def test_errors(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_path_consistency():
    classes = np.array([0, 2, 3, 4, 5])
    assert path_consistency(UNEVEN, classes, UNEVEN.level(1)[classes]) == 1
    assert path_consistency(UNEVEN, classes, [6, 8, 7, 8, 6]) == 3 / 5
    assert path_consistency(UNEVEN, classes, classes) == 1


def test_full_path_accuracy():
    labels = [2, 2, 8, 8, 5, -1]
    predicted = [[7, 6, 7, 7, 5, 5], [8, 8, 8, 4, 5, 5], [2, 2, 0, 0, 5, 5]]
    assert full_path_accuracy(UNEVEN, labels, predicted) == 3 / 5
