"""HierarchicalHead: consistent at all levels, whatever the loss."""

import keras
import numpy as np
import pytest
from keras import ops
from trees import TWO_LEVELS, UNEVEN, probabilities_by_sums, probabilities_of_nodes

import mtlkit as mtl
from mtlkit import space
from mtlkit.heads.hierarchical import LOSSES, HierarchicalHead
from mtlkit.hierarchy import Hierarchy, circular_arcs
from mtlkit.losses.hierarchical import LevelWeightSchedule
from mtlkit.metrics.hierarchical import path_consistency
from mtlkit.testing import LayerTestCase

RNG = np.random.default_rng(0)
MAPS = RNG.normal(size=(6, 3, 3, 2)).astype("float32")
EARLY = RNG.normal(size=(6, 6, 6, 2)).astype("float32")
LABELS = np.array([0, 7, 2, -1, 8, 5])  # of UNEVEN: classes, groups, and one missing
#: Compiling takes longer than these few steps, except on JAX.
JIT = keras.backend.backend() == "jax"
SMALL = {"hierarchy": UNEVEN, "hidden_units": 4}


class TestContract(LayerTestCase):
    @pytest.mark.parametrize(
        ("loss", "kwargs", "width"),
        [
            ("conditional", {"decision": "least_cost"}, 9),
            ("marginal", {"coarse_weight": 0.3, "groups": np.eye(6)[:, ::-1]}, 6),
            ("hxe", {"alpha": 0.4, "hierarchy": UNEVEN.get_config()}, 6),
            ("soft_labels", {"beta": 5.0, "distances": "circular"}, 6),
            ("frame", {"gamma": 3.0, "cosine_weight": 0.2, "scale": 8.0, "pooling": "max"}, 6),
        ],
    )
    def test_head(self, loss, kwargs, width):
        self.run_head_test(
            HierarchicalHead,
            {**SMALL, "loss": loss, **kwargs},
            MAPS,
            LABELS,
            bad_labels=[LABELS + 1, LABELS.astype("float32"), LABELS[:, None, None]],
            expected_output_shape=(6, width),
        )

    def test_a_map_for_each_level(self):
        self.run_head_test(
            HierarchicalHead,
            {
                "hierarchy": TWO_LEVELS,
                "loss": "coarse_to_fine",
                "level_weights": (0.6, 0.4),
                "hidden_units": 0,
                "dropout": 0.1,
            },
            [EARLY, MAPS],
            np.array([0, 4, 6, -1, 5, 2]),
            expected_output_shape=(6, 7),
        )


def logits_for(head, rows=6):
    width = head.hierarchy.num_nodes if LOSSES[head.loss].of_nodes else head.hierarchy.num_leaves
    return RNG.normal(0, 2, (rows, width)).astype("float32")


@pytest.mark.parametrize("loss", LOSSES)
def test_decode_is_consistent(loss):
    head = HierarchicalHead(UNEVEN, loss)
    logits = logits_for(head)
    decoded = head.decode(logits)
    assert sorted(decoded) == ["label", "level_1", "level_2", "node_probability", "probability"]
    reference = probabilities_of_nodes if LOSSES[loss].of_nodes else probabilities_by_sums
    expected = np.array([reference(UNEVEN, row) for row in logits])
    nodes = decoded["node_probability"]
    np.testing.assert_allclose(nodes, expected, atol=1e-5)
    np.testing.assert_allclose(decoded["probability"], expected[:, :6], atol=1e-5)
    assert decoded["label"].tolist() == expected[:, :6].argmax(axis=1).tolist()
    assert decoded["level_1"].tolist() == (5 + expected[:, 5:8].argmax(axis=1)).tolist()
    assert decoded["label"].dtype == decoded["level_1"].dtype == "int64"
    for parent, children in UNEVEN.children.items():
        whole = 1 if parent < 0 else nodes[:, parent]
        np.testing.assert_allclose(nodes[:, list(children)].sum(axis=1), whole, atol=1e-5)
    predictions = ops.convert_to_numpy(head.predictions(ops.convert_to_tensor(logits)))
    np.testing.assert_allclose(predictions, decoded["probability"], atol=1e-6)


def test_least_cost():
    likeliest = HierarchicalHead(TWO_LEVELS, "hxe")
    cheapest = HierarchicalHead(TWO_LEVELS, "hxe", decision="least_cost")
    logits = np.log([[0.4, 1e-6, 1e-6, 0.3, 0.3]])
    assert likeliest.decode(logits)["label"] == [0]
    assert cheapest.decode(logits)["label"] == [3] and cheapest.decode(logits)["level_1"] == [6]
    logits = RNG.normal(size=(50, 5))
    costs = TWO_LEVELS.distances()
    expected = [np.argmin(costs @ probabilities_by_sums(TWO_LEVELS, row)[:5]) for row in logits]
    decoded = cheapest.decode(logits)
    assert decoded["label"].tolist() == expected
    assert path_consistency(TWO_LEVELS, decoded["label"], decoded["level_1"]) == 1
    metric = cheapest.default_metrics()[0]
    metric.update_state(np.array(expected), logits)
    assert float(ops.convert_to_numpy(metric.result())) == 1


def test_default_metrics():
    head = HierarchicalHead(UNEVEN)
    names = [metric.name for metric in head.default_metrics()]
    assert names == ["accuracy", "level_1_accuracy", "level_2_accuracy", "mistake_severity"]
    assert head.primary_metric == ("accuracy", "max")
    logits = logits_for(head)
    accuracy = head.default_metrics()[0]
    accuracy.update_state(LABELS, logits)
    label = head.decode(logits)["label"]
    expected = np.mean(label[[0, 2, 5]] == LABELS[[0, 2, 5]])  # the labels that are classes
    assert float(ops.convert_to_numpy(accuracy.result())) == pytest.approx(expected)


@pytest.mark.parametrize("loss", LOSSES)
def test_loss_is_that_of_the_room(loss):
    head = HierarchicalHead(UNEVEN, loss)
    logits = logits_for(head)
    plain = LOSSES[loss](UNEVEN)
    present = LABELS >= 0
    expected = ops.convert_to_numpy(plain.call(LABELS[present], logits[present])).mean()
    assert float(head.default_loss()(LABELS, logits)) == pytest.approx(expected, rel=1e-5)


def test_hierarchies_in_all_forms():
    groups = {"x": [0, 1, 2], "y": [3, 4]}
    for form in (TWO_LEVELS, TWO_LEVELS.get_config(), groups,
                 keras.saving.serialize_keras_object(TWO_LEVELS)):  # fmt: skip
        assert HierarchicalHead(form).hierarchy == TWO_LEVELS


def test_frame_logits_are_cosines():
    arcs = Hierarchy.circular(8, 4)
    head = HierarchicalHead(arcs, "frame", distances="circular", scale=10.0, hidden_units=0)
    logits = ops.convert_to_numpy(head(MAPS))
    assert np.abs(logits).max() <= 10.0001 and logits.std() > 0.1
    louder = ops.convert_to_numpy(head(5 * MAPS))
    np.testing.assert_allclose(louder, logits, rtol=1e-2, atol=1e-2)
    # The layer's own directions are fixed: none of the weights is a frame.
    assert [tuple(w.shape) for w in head.trainable_weights] == [(18,), (18,), (18, 8), (8,)]


class TestCoarseToFine:
    def make(self):
        early, late = keras.Input(EARLY.shape[1:]), keras.Input(MAPS.shape[1:])
        head = HierarchicalHead(
            TWO_LEVELS, "coarse_to_fine", level_weights=[1.0, 0.0], hidden_units=0
        )
        model = keras.Model([early, late], head([early, late]))
        model.compile(keras.optimizers.SGD(0.1), head.default_loss())
        return model, head

    def test_schedule_acts_without_recompiling_and_is_saved(self, tmp_path):
        model, head = self.make()
        y = np.array([0, 1, 2, 3, 4, 0])
        schedule = LevelWeightSchedule(head.level_weights, {0: [1.0, 0.0], 1: [0.0, 1.0]})

        def fine_weights():
            return ops.convert_to_numpy(head.design.branches[1].outputs.kernel).copy()

        start = fine_weights()
        model.fit([EARLY, MAPS], y, epochs=1, verbose=0, callbacks=[schedule])
        np.testing.assert_array_equal(fine_weights(), start)  # the coarse level alone
        model.fit([EARLY, MAPS], y, epochs=2, initial_epoch=1, verbose=0, callbacks=[schedule])
        assert not np.array_equal(fine_weights(), start)
        model.save(tmp_path / "model.keras")
        restored = keras.models.load_model(tmp_path / "model.keras")
        weights = restored.get_layer(head.name).level_weights
        assert ops.convert_to_numpy(weights).tolist() == [0, 1]
        np.testing.assert_allclose(
            restored.predict([EARLY, MAPS], verbose=0),
            model.predict([EARLY, MAPS], verbose=0),
            rtol=1e-5,
        )

    def test_each_level_has_its_map(self):
        _, head = self.make()
        plain = ops.convert_to_numpy(head([EARLY, MAPS]))
        other = ops.convert_to_numpy(head([-EARLY, MAPS]))
        changed = np.any(plain != other, axis=0)
        assert changed.tolist() == [False] * 5 + [True] * 2

    def test_wrong_number_of_maps(self):
        head = HierarchicalHead(UNEVEN, "coarse_to_fine")
        with pytest.raises(ValueError, match="each of the 3 levels.*2 maps"):
            head([EARLY, MAPS])


def test_conditioned_designs():
    """What another task predicts may enter the features of every design."""

    class Add(keras.layers.Layer):
        def call(self, inputs):
            features, condition = inputs
            return features + ops.sum(condition, axis=-1, keepdims=True)

        def compute_output_shape(self, input_shape):
            return input_shape[0]

    condition = np.ones((6, 2), "float32")
    for loss in LOSSES:
        head = HierarchicalHead(TWO_LEVELS, loss, hidden_units=4)
        head.design.conditioning = Add()
        outputs = [ops.convert_to_numpy(head([MAPS, c])) for c in (condition, 3 * condition)]
        assert outputs[0].shape == logits_for(head).shape
        assert not np.allclose(*outputs)


def test_in_a_multi_task_model(images, tmp_path):
    rng = np.random.default_rng(3)
    losses = ["conditional", "coarse_to_fine"]
    tasks = [
        mtl.Task(loss, HierarchicalHead({"x": [0, 1, 2], "y": [3, 4]}, loss, hidden_units=4))
        for loss in losses
    ]
    model = mtl.MultiTaskModel(mtl.backbones.ConvBackbone((8, 8, 1), filters=(4, 6)), tasks)
    model.compile(keras.optimizers.Adam(0.01), jit_compile=JIT)
    y = {loss: rng.integers(-1, 7, size=48) for loss in losses}
    weights = model.tasks["coarse_to_fine"].head.level_weights
    schedule = LevelWeightSchedule(weights, {0: [1.0, 0.0], 1: [0.25, 0.75]})
    logs = model.fit(images, y, epochs=2, batch_size=32, verbose=0, callbacks=[schedule]).history
    names = ["conditional_accuracy", "conditional_mistake_severity", "coarse_to_fine_loss"]
    assert {*names, "coarse_to_fine_level_1_accuracy"} <= logs.keys()
    assert all(np.isfinite(logs[f"{loss}_loss"]).all() for loss in losses)
    assert model.objective("conditional").direction == "max"
    decoded = model.predict_tasks(images[:3], verbose=0)
    assert decoded["conditional"]["level_1"].shape == (3,)
    model.save(tmp_path / "model.keras")
    restored = keras.models.load_model(tmp_path / "model.keras")
    kept = restored.tasks["coarse_to_fine"].head.level_weights
    assert ops.convert_to_numpy(kept).tolist() == [0.25, 0.75]
    # The restored loss reads the restored variable: another weight acts on it, too.
    labels = {"coarse_to_fine": y["coarse_to_fine"]}
    before = restored.evaluate(images, labels, return_dict=True, verbose=0)["coarse_to_fine_loss"]
    kept.assign([0.5, 1.5])
    after = restored.evaluate(images, labels, return_dict=True, verbose=0)["coarse_to_fine_loss"]
    assert after == pytest.approx(2 * before, rel=1e-5)
    with pytest.raises(ValueError, match=r"Task 'conditional'.*0\.\.\.6.*7.*groups.*from 5 on"):
        model.fit(images, {"conditional": np.full(48, 7)}, verbose=0)


@pytest.mark.parametrize("seed", range(6))
def test_search_space(seed):
    point = space.sample(HierarchicalHead.search_space(), np.random.default_rng(seed))
    head = HierarchicalHead(TWO_LEVELS, **point)
    assert np.isfinite(ops.convert_to_numpy(head(MAPS))).all()
    config = head.get_config()
    assert {name: config[name] for name in point} == point


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"loss": "focal"}, "'conditional', 'marginal'.*loss='focal'"),
        ({"decision": "best"}, "decision='best'"),
        ({"alpha": 0.1}, 'loss="conditional" has no use for. Received: alpha=0.1'),
        ({"loss": "hxe", "beta": 3.0, "scale": 2.0}, "Received: beta=3.0, scale=2.0"),
        ({"level_weights": [1, 0]}, "no use for. Received: level_weights"),
        ({"loss": "coarse_to_fine", "level_weights": [1.0]}, "2 level_weights"),
        ({"loss": "hxe", "alpha": -1.0}, "alpha=-1.0"),
        ({"loss": "frame", "gamma": -1.0}, "gamma=-1.0"),
        ({"loss": "marginal", "groups": np.eye(3)}, r"\(5, groups\)"),
        ({"distances": "hops"}, "'hops'"),
        ({"pooling": "median"}, "'median'"),
        ({"hierarchy": 3}, "hierarchy=3"),
        ({"hierarchy": {"x": []}}, "'x'"),
    ],
)
def test_errors(kwargs, message):
    with pytest.raises(ValueError, match=message):
        HierarchicalHead(**{"hierarchy": TWO_LEVELS, **kwargs})


def test_overlapping_arcs():
    """A second view of a circle, whose groups are no tree."""
    head = HierarchicalHead(
        Hierarchy.circular(8, 4), "marginal", groups=circular_arcs(8, 4, overlap=1)
    )
    loss = head.default_loss()
    assert float(loss(np.arange(8), 20 * np.eye(8))) < 1e-6
    assert float(loss(np.arange(8), np.zeros((8, 8)))) == pytest.approx(
        np.log(8) + 0.5 * np.log(4) + 0.5 * np.log(8 / 3), rel=1e-5
    )


def levels_task(**options):
    head = HierarchicalHead(TWO_LEVELS, "coarse_to_fine", hidden_units=4)
    return mtl.Task("fine", head, feature=["stage1", "stage2"], **options)


@pytest.mark.parametrize("gradient", ["flow", 0.5, "stop"])
def test_each_level_reads_its_own_map_in_a_multi_task_model(images, tmp_path, gradient):
    backbone = mtl.backbones.ConvBackbone((8, 8, 1), filters=(4, 6), normalize=False)
    model = mtl.MultiTaskModel(backbone, [levels_task(gradient=gradient)])
    maps = backbone(images[:5])
    by_hand = model.tasks["fine"].head([maps["stage1"], maps["stage2"]])
    outputs = model.predict(images[:5], verbose=0)["fine"]
    np.testing.assert_allclose(outputs, ops.convert_to_numpy(by_hand), rtol=1e-5, atol=1e-6)
    model.save(tmp_path / "model.keras")
    restored = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(restored.predict(images[:5], verbose=0)["fine"], outputs)
    gates = [layer for layer in model.layers if layer.name == "fine_gradient"]
    assert len(gates) == (gradient != "flow")


def test_errors_of_several_maps():
    backbone = mtl.backbones.ConvBackbone((8, 8, 1), filters=(4, 6))
    flat = HierarchicalHead(TWO_LEVELS, "conditional", hidden_units=4)
    with pytest.raises(ValueError, match=r"Task 'fine'.*list of the feature maps.*'stage2'"):
        mtl.MultiTaskModel(backbone, [mtl.Task("fine", flat, feature=("stage1", "stage2"))])
    with pytest.raises(ValueError, match=r"Task 'fine'.*one of the backbone's maps.*'stage9'"):
        mtl.MultiTaskModel(backbone, [mtl.Task("fine", flat, feature=("stage1", "stage9"))])
    with pytest.raises(ValueError, match=r"Task 'fine'.*one feature map.*conditioned on 'other'"):
        levels_task(condition_on="other")
    for feature in ((), (1, 2)):
        with pytest.raises(ValueError, match=r"Task 'fine'.*name of a map, or several"):
            mtl.Task("fine", flat, feature=feature)
    seen = mtl.Task(
        "other",
        mtl.heads.ClassificationHead(3),
        condition_on="fine",
        conditioning="distillation",
    )
    with pytest.raises(ValueError, match=r"Task 'other'.*'fine' to read one feature map"):
        mtl.MultiTaskModel(backbone, [levels_task(), seen])
