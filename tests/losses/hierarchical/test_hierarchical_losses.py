"""What all losses of hierarchies have in common, and their values by plain NumPy."""

import itertools
import json

import keras
import numpy as np
import pytest
from keras import ops
from scipy.special import log_softmax
from trees import (
    FLAT,
    TREES,
    TWO_LEVELS,
    UNEVEN,
    common_ancestor_heights,
    leaves_below,
    path_to,
    probabilities_by_sums,
    probabilities_of_nodes,
    random_tree,
)

from mtlkit.hierarchy import Hierarchy, circular_arcs
from mtlkit.hierarchy.frames import frame_similarity
from mtlkit.losses import MaskedLoss
from mtlkit.losses.hierarchical import (
    CoarseToFineCrossEntropy,
    ConditionalCrossEntropy,
    FrameCrossEntropy,
    HierarchicalCrossEntropy,
    MarginalCrossEntropy,
    SoftLabelCrossEntropy,
)
from mtlkit.testing import input_gradients

RNG = np.random.default_rng(0)
#: Compiling takes longer than these few steps, except on JAX.
JIT = keras.backend.backend() == "jax"
DEEP = random_tree(3, depth=5)


def numbers(tensor):
    return ops.convert_to_numpy(tensor)


# === References: one sample at a time, in probabilities ===


def conditional(tree, y, logits):
    return -np.log(probabilities_of_nodes(tree, logits)[y])


def marginal(tree, y, logits, coarse_weight=0.5, groups=None):
    p = probabilities_by_sums(tree, logits)
    value = sum(
        -(1 if node < tree.num_leaves else coarse_weight) * np.log(p[node])
        for node in path_to(tree, y)
    )
    if groups is not None:
        members = [set(np.flatnonzero(column)) for column in np.transpose(groups)]
        holding = [m for m in members if set(leaves_below(tree, y)) <= m]
        terms = [-np.log(sum(p[leaf] for leaf in m)) for m in holding]
        value += coarse_weight * np.mean(terms) if terms else 0
    return value


def hxe(tree, y, logits, alpha=0.2):
    p = probabilities_by_sums(tree, logits)
    value, above = 0.0, 1.0
    for depth, node in enumerate(path_to(tree, y), start=1):
        value -= np.exp(-alpha * (depth - 1)) * np.log(p[node] / above)
        above = p[node]
    return value


def soft_labels(tree, y, logits, beta=10.0, distances=None):
    d = common_ancestor_heights(tree) if distances is None else np.asarray(distances)
    p = probabilities_by_sums(tree, logits)
    below = leaves_below(tree, y)
    q = np.zeros(tree.num_leaves)
    for leaf in below:
        soft = np.exp(-beta * d[leaf] / d.max())
        q += soft / soft.sum() / len(below)
    outside = [i for i in range(tree.num_leaves) if i not in below]
    return -q[below].sum() * np.log(p[y]) - (q[outside] * np.log(p[outside])).sum()


def coarse_to_fine(tree, y, logits, level_weights=None):
    p = probabilities_of_nodes(tree, logits)
    path = path_to(tree, y)
    weights = np.full(tree.depth, 1 / tree.depth) if level_weights is None else level_weights
    if y < tree.num_leaves:
        path = path + [y] * (tree.depth - len(path))
    return sum(-w * np.log(p[node]) for w, node in zip(weights, path, strict=False))


def frame(tree, y, logits, gamma=2.0, cosine_weight=0.4, scale=16.0, distances=None):
    d = common_ancestor_heights(tree) if distances is None else distances
    value = -(1 - cosine_weight) * np.log(probabilities_by_sums(tree, logits)[y])
    if y < tree.num_leaves:
        target = frame_similarity(d, gamma)[y]
        value += cosine_weight * ((np.asarray(logits) / scale - target) ** 2).sum()
    return value


LOSSES = {
    "conditional": (ConditionalCrossEntropy, conditional),
    "marginal": (MarginalCrossEntropy, marginal),
    "hxe": (HierarchicalCrossEntropy, hxe),
    "soft_labels": (SoftLabelCrossEntropy, soft_labels),
    "coarse_to_fine": (CoarseToFineCrossEntropy, coarse_to_fine),
    "frame": (FrameCrossEntropy, frame),
}
every_loss = pytest.mark.parametrize(("cls", "reference"), LOSSES.values(), ids=LOSSES)


def draw_logits(cls, tree, rows, rng=RNG, spread=2.0):
    width = tree.num_nodes if cls.of_nodes else tree.num_leaves
    return rng.normal(0, spread, (rows, width)).astype("float32")


def check(loss, reference, tree, rng=RNG, **options):
    """Compares the loss of every node as a label with the reference."""
    labels = np.arange(tree.num_nodes)
    logits = draw_logits(type(loss), tree, tree.num_nodes, rng)
    expected = [reference(tree, y, row.astype("float64"), **options)
                for y, row in zip(labels, logits, strict=True)]  # fmt: skip
    np.testing.assert_allclose(numbers(loss.call(labels, logits)), expected, rtol=1e-5, atol=1e-5)


class TestAll:
    @every_loss
    @pytest.mark.parametrize("tree", [*TREES.values(), DEEP], ids=[*TREES, "deep"])
    def test_values(self, cls, reference, tree):
        check(cls(tree), reference, tree)

    @every_loss
    def test_shapes_of_labels(self, cls, reference):
        labels, logits = np.arange(7), draw_logits(cls, TWO_LEVELS, 7)
        loss = cls(TWO_LEVELS)
        expected = numbers(loss.call(labels, logits)).mean()
        for y in (labels, labels[:, None], labels.astype("uint8")):
            assert float(loss(y, logits)) == pytest.approx(expected, rel=1e-6)

    @every_loss
    def test_a_hopeless_prediction_costs_without_bound(self, cls, reference):
        """Known defect of a peer: 0, the best of all, where P(label) underflows to 0."""
        loss = cls(TWO_LEVELS)
        costs = []
        for strength in (10.0, 100.0, 1000.0, 10000.0):
            logits = np.zeros((1, loss.hierarchy.num_nodes), "float32")
            logits[0, [0, 5]] = strength  # all for class 0, in group 5
            logits = logits if cls.of_nodes else logits[:, :5]
            costs.append(float(loss(np.array([4]), logits)))
            gradient = input_gradients(lambda x: loss(np.array([4]), x), logits)
            assert np.isfinite(gradient).all() and np.any(gradient)
        assert all(b > 5 * a for a, b in itertools.pairwise(costs))
        assert np.isfinite(costs).all() and costs[-1] > 1000

    @every_loss
    def test_relabelling(self, cls, reference):
        """With nodes numbered otherwise the loss is the same."""
        order = np.array([3, 0, 4, 1, 2, 6, 5])  # the new numbers of the nodes
        parents = np.empty(7, int)
        parents[order] = [p if p < 0 else order[p] for p in TWO_LEVELS.parents]
        moved = Hierarchy(parents)
        logits = draw_logits(cls, TWO_LEVELS, 7)
        expected = numbers(cls(TWO_LEVELS).call(np.arange(7), logits))
        turned = np.empty_like(logits)
        turned[:, order[: logits.shape[1]]] = logits
        np.testing.assert_allclose(numbers(cls(moved).call(order, turned)), expected, rtol=1e-5)

    @every_loss
    @pytest.mark.parametrize("weighted", [False, True])
    def test_masked(self, cls, reference, weighted):
        labels = np.array([0, -1, 6, -1, 4])
        logits = draw_logits(cls, TWO_LEVELS, 5)
        weights = np.array([1.0, 5.0, 2.0, np.nan, 0.5]) if weighted else None
        present = labels >= 0
        by_sample = [reference(TWO_LEVELS, y, row.astype("float64"))
                     for y, row in zip(labels[present], logits[present], strict=True)]  # fmt: skip
        own = np.ones(3) if weights is None else weights[present]
        loss = MaskedLoss(cls(TWO_LEVELS))
        value = float(loss(labels, logits, sample_weight=weights))
        assert value == pytest.approx((own * by_sample).sum() / 3, rel=1e-5)
        gradient = input_gradients(lambda x: loss(labels, x, sample_weight=weights), logits)
        assert not np.any(gradient[~present]) and np.any(gradient[present], axis=1).all()
        assert float(loss(np.full(5, -1), logits)) == 0

    @every_loss
    def test_unlabelled_without_mask(self, cls, reference):
        logits = draw_logits(cls, TWO_LEVELS, 2)
        assert numbers(cls(TWO_LEVELS).call(np.array([-1, 2]), logits))[0] == 0

    @every_loss
    def test_bfloat16(self, cls, reference):
        logits = draw_logits(cls, TWO_LEVELS, 7)
        rounded = ops.cast(ops.convert_to_tensor(logits), "bfloat16")
        loss = cls(TWO_LEVELS)
        value = loss(np.arange(7), rounded)
        assert keras.backend.standardize_dtype(value.dtype) == "float32"
        again = loss(np.arange(7), ops.cast(rounded, "float32"))
        assert float(value) == pytest.approx(float(again), rel=1e-6)

    @every_loss
    def test_round_trip(self, cls, reference):
        for loss in (cls(UNEVEN, name="mine", reduction="sum"), MaskedLoss(cls(UNEVEN))):
            config = json.loads(json.dumps(keras.saving.serialize_keras_object(loss)))
            restored = keras.saving.deserialize_keras_object(config)
            assert type(restored) is type(loss) and restored.name == loss.name
            assert keras.saving.serialize_keras_object(restored) == config
            logits = draw_logits(cls, UNEVEN, 9)
            assert float(restored(np.arange(9), logits)) == float(loss(np.arange(9), logits))

    def test_fit_with_uneven_batches(self):
        """In a graph the number of samples is unknown."""
        # The two others are trained so in the tests of the head.
        of_classes = {name: cls for name, (cls, _) in LOSSES.items() if not cls.of_nodes}
        losses = {name: MaskedLoss(cls(TWO_LEVELS)) for name, cls in of_classes.items()}
        inputs = keras.Input((3,))
        outputs = {name: keras.layers.Dense(5, name=name)(inputs) for name in losses}
        model = keras.Model(inputs, outputs)
        model.compile(keras.optimizers.Adam(0.1), losses, jit_compile=JIT)
        x, y = RNG.normal(size=(7, 3)), np.array([0, 6, -1, 4, 5, 2, 1])
        logs = model.fit(x, dict.fromkeys(losses, y), batch_size=4, epochs=3, verbose=0).history
        for name in losses:
            assert logs[f"{name}_loss"][-1] < logs[f"{name}_loss"][0]

    @every_loss
    def test_other_widths_are_refused(self, cls, reference):
        width, what = (7, "node") if cls.of_nodes else (5, "class")
        with pytest.raises(ValueError, match=rf"{width} logits, one for each {what}.*\(2, 9\)"):
            cls(TWO_LEVELS)(np.array([0, 1]), np.zeros((2, 9)))


class TestReductions:
    logits = draw_logits(ConditionalCrossEntropy, FLAT, 5)
    cross_entropy = -log_softmax(logits, axis=1)[np.arange(5), np.arange(5)]

    @pytest.mark.parametrize(
        "loss",
        [
            ConditionalCrossEntropy(FLAT),
            MarginalCrossEntropy(FLAT),
            HierarchicalCrossEntropy(FLAT, alpha=0.7),
            SoftLabelCrossEntropy(FLAT, beta=1e4),
            CoarseToFineCrossEntropy(FLAT),
            FrameCrossEntropy(FLAT, cosine_weight=0.0),
        ],
        ids=LOSSES,
    )
    def test_without_groups_all_are_the_cross_entropy(self, loss):
        found = numbers(loss.call(np.arange(5), self.logits))
        np.testing.assert_allclose(found, self.cross_entropy, rtol=1e-5)

    @pytest.mark.parametrize("tree", [TWO_LEVELS, UNEVEN], ids=["two-levels", "uneven"])
    def test_with_groups_too(self, tree):
        logits = draw_logits(MarginalCrossEntropy, tree, tree.num_leaves)
        labels = np.arange(tree.num_leaves)
        expected = -log_softmax(logits, axis=1)[labels, labels]
        for loss in (
            HierarchicalCrossEntropy(tree, alpha=0.0),
            MarginalCrossEntropy(tree, coarse_weight=0.0),
            SoftLabelCrossEntropy(tree, beta=1e5),
            FrameCrossEntropy(tree, cosine_weight=0.0),
        ):
            np.testing.assert_allclose(numbers(loss.call(labels, logits)), expected, rtol=1e-5)

    def test_one_group_of_all_is_no_group(self):
        """G = 1: a constant, and no term of the loss."""
        loss = MarginalCrossEntropy({"all": [0, 1, 2, 3, 4]})
        np.testing.assert_allclose(
            numbers(loss.call(np.arange(5), self.logits)), self.cross_entropy, rtol=1e-5
        )
        loss = MarginalCrossEntropy(FLAT, groups=np.ones((5, 1)))
        np.testing.assert_allclose(
            numbers(loss.call(np.arange(5), self.logits)), self.cross_entropy, rtol=1e-5
        )

    def test_groups_of_one_count_twice(self):
        """M = I: (1 + lambda) times the cross-entropy."""
        loss = MarginalCrossEntropy(FLAT, coarse_weight=0.7, groups=np.eye(5))
        np.testing.assert_allclose(
            numbers(loss.call(np.arange(5), self.logits)), 1.7 * self.cross_entropy, rtol=1e-5
        )


class TestConditional:
    def test_gradient_stays_on_the_path(self):
        loss = ConditionalCrossEntropy(UNEVEN)
        logits = draw_logits(ConditionalCrossEntropy, UNEVEN, 1)
        for label, touched in (
            (0, [0, 1, 5, 6, 7]),
            (2, [2, 3, 4, 5, 6, 7, 8]),
            (8, [4, 5, 6, 7, 8]),
            (7, [5, 6, 7]),
            (5, [5, 6, 7]),
        ):
            gradient = input_gradients(lambda x, y=label: loss(np.array([y]), x), logits)
            assert np.flatnonzero(gradient[0]).tolist() == touched


class TestMarginal:
    arcs = Hierarchy.circular(8, 2)

    @pytest.mark.parametrize("weight", [0.0, 0.5, 2.0])
    @pytest.mark.parametrize("overlap", [0, 1])
    def test_groups_that_overlap(self, weight, overlap):
        groups = circular_arcs(8, 4, overlap=overlap, offset=1)
        loss = MarginalCrossEntropy(self.arcs, coarse_weight=weight, groups=groups)
        check(loss, marginal, self.arcs, coarse_weight=weight, groups=groups)
        restored = MarginalCrossEntropy.from_config(json.loads(json.dumps(loss.get_config())))
        check(restored, marginal, self.arcs, coarse_weight=weight, groups=groups)

    def test_a_coarse_label_says_nothing_within_its_group(self):
        """Moving probability between the classes of the group changes nothing."""
        logits = draw_logits(MarginalCrossEntropy, TWO_LEVELS, 1)
        for loss in (
            MarginalCrossEntropy(TWO_LEVELS),
            HierarchicalCrossEntropy(TWO_LEVELS),
            SoftLabelCrossEntropy(TWO_LEVELS),
            FrameCrossEntropy(TWO_LEVELS),
        ):
            gradient = input_gradients(lambda x, f=loss: f(np.array([5]), x), logits)[0]
            p = probabilities_by_sums(TWO_LEVELS, logits[0])[:3]
            within = gradient[:3] / p
            np.testing.assert_allclose(within, within[0], rtol=1e-4)

    @pytest.mark.parametrize(
        ("kwargs", "message"),
        [
            ({"coarse_weight": -0.1}, "coarse_weight=-0.1"),
            ({"groups": np.eye(4)}, r"\(5, groups\).*\(4, 4\)"),
            ({"groups": 2 * np.eye(5)}, "0 and 1"),
            ({"groups": np.eye(5) * [1, 1, 0, 1, 1]}, r"none in group \[2\]"),
        ],
    )
    def test_errors(self, kwargs, message):
        with pytest.raises(ValueError, match=message):
            MarginalCrossEntropy(TWO_LEVELS, **kwargs)


class TestHierarchicalCrossEntropy:
    def test_alpha(self):
        for alpha in (0.0, 0.1, 0.6, 5.0):
            check(HierarchicalCrossEntropy(UNEVEN, alpha=alpha), hxe, UNEVEN, alpha=alpha)

    def test_authors_weights_up_to_a_factor(self):
        """Two levels: exp(-2 alpha) of the fine term and exp(-alpha) of the coarse one."""
        alpha, logits = 0.4, draw_logits(HierarchicalCrossEntropy, TWO_LEVELS, 1)
        p = probabilities_by_sums(TWO_LEVELS, logits[0])
        theirs = -np.exp(-2 * alpha) * np.log(p[1] / p[5]) - np.exp(-alpha) * np.log(p[5])
        found = float(HierarchicalCrossEntropy(TWO_LEVELS, alpha)(np.array([1]), logits))
        assert np.exp(-alpha) * found == pytest.approx(theirs, rel=1e-5)

    def test_severe_mistakes_cost_more(self):
        loss = HierarchicalCrossEntropy(TWO_LEVELS, alpha=0.5)
        mild, severe = np.zeros((2, 1, 5), "float32")
        mild[0, 1] = severe[0, 4] = 5.0
        assert float(loss(np.array([0]), mild)) < float(loss(np.array([0]), severe))

    def test_errors(self):
        with pytest.raises(ValueError, match="alpha=-1"):
            HierarchicalCrossEntropy(TWO_LEVELS, alpha=-1)
