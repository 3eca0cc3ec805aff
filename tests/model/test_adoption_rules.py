"""What adoption tells of a model: kinds of labels, settings of compile, overrides, and errors."""

from __future__ import annotations

import functools

import keras
import numpy as np
import pytest
from adopted_models import build, problem_model
from keras import layers, ops

import mtlkit as mtl
from mtlkit.model._adoption import adopt

ce = keras.losses.SparseCategoricalCrossentropy


def model_of(*outputs, **compiled):
    """A model of outputs, each given by a function of a shared vector."""
    x = keras.Input((4,), name="x")
    hidden = layers.Dense(5, activation="relu", name="hidden")(x)
    tensors = {f"out{n}": make(hidden) for n, make in enumerate(outputs)}
    model = keras.Model(x, {**tensors, "other": layers.Dense(1)(hidden)})
    if compiled:
        model.compile("sgd", **compiled)
    return model


def dense(units, activation=None):
    return lambda x: layers.Dense(units, activation=activation)(x)


def head_of(model, **override):
    tasks = {"out0": override} if override else None
    return next(t for t in adopt(model, tasks).tasks if t.name == "out0").head


class TestKinds:
    @pytest.mark.parametrize(
        ("make", "kind", "from_logits"),
        [
            (dense(3, "softmax"), "classification", False),
            (dense(1, "sigmoid"), "binary", False),
            (dense(3, "sigmoid"), "multi_label", False),
            (dense(1), "regression", True),
            (dense(1, "relu"), "regression", False),
            (lambda x: layers.Softmax()(dense(3)(x)), "classification", False),
            (lambda x: ops.softmax(dense(3)(x)), "classification", False),
            (lambda x: ops.sigmoid(dense(1)(x)), "binary", False),
            (lambda x: layers.Reshape((3,))(dense(3, "softmax")(x)), "classification", False),
            (
                lambda x: layers.Activation("linear", dtype="float32")(dense(3, "softmax")(x)),
                "classification",
                False,
            ),
            (
                lambda x: keras.Sequential([layers.Dense(2, activation="softmax")])(x),
                "classification",
                False,
            ),
        ],
    )
    def test_told_by_the_last_layer(self, make, kind, from_logits):
        head = head_of(model_of(make))
        assert head.kind == kind
        if kind != "regression":
            assert head.from_logits == from_logits

    @pytest.mark.parametrize(
        ("loss", "units", "kind", "from_logits"),
        [
            (ce(from_logits=True), 3, "classification", True),
            (keras.losses.CategoricalCrossentropy(from_logits=True), 3, "one_hot", True),
            (keras.losses.CategoricalFocalCrossentropy(from_logits=True), 3, "one_hot", True),
            (keras.losses.BinaryCrossentropy(from_logits=True), 1, "binary", True),
            (keras.losses.BinaryCrossentropy(from_logits=True), 3, "multi_label", True),
            ("mse", 3, "regression", False),
            (keras.losses.Huber(), 1, "regression", False),
            (keras.losses.cosine_similarity, 3, "regression", False),
            (lambda y, p: ops.mean(ops.abs(y - p), axis=-1), 3, "unchecked", True),
            (
                functools.partial(keras.losses.sparse_categorical_crossentropy, from_logits=True),
                3,
                "classification",
                True,
            ),
        ],
    )
    def test_told_by_the_loss(self, loss, units, kind, from_logits):
        head = head_of(model_of(dense(units), loss={"out0": loss, "other": "mse"}))
        assert (head.kind, head.from_logits) == (kind, from_logits)

    @pytest.mark.parametrize("make", [dense(3), dense(3, "tanh"), lambda x: ops.exp(dense(3)(x))])
    def test_nothing_tells(self, make):
        with pytest.raises(ValueError, match=r'tasks=\{.out0.: \{"kind": "classification"\}\}'):
            adopt(model_of(make))

    def test_a_kind_does_not_tell_of_logits(self):
        model = model_of(lambda x: ops.exp(dense(3)(x)))
        with pytest.raises(ValueError, match="SparseCategoricalCrossentropy"):
            adopt(model, {"out0": {"kind": "classification"}})

    def test_a_loss_that_does_not_fit_its_layer(self):
        losses = {"out0": "sparse_categorical_crossentropy", "other": "mse"}
        with pytest.warns(UserWarning, match="from_logits=True"):
            adopt(model_of(dense(3), loss=losses))

    def test_a_kind_of_another_loss(self):
        model = model_of(dense(3, "softmax"), loss={"out0": ce(), "other": "mse"})
        with pytest.raises(ValueError, match="Received: a loss for 'classification'"):
            adopt(model, {"out0": {"kind": "one_hot"}})
        assert head_of(model, kind="one_hot", loss="categorical_crossentropy").kind == "one_hot"


class TestLabels:
    @pytest.mark.parametrize(
        ("make", "kind", "good"),
        [
            (dense(3, "softmax"), "classification", [[0, 2, -1], [[0], [1], [-1]], [0.0, np.nan]]),
            (dense(3, "softmax"), "one_hot", [[[1, 0, 0], [-1, -1, -1]], [[0.5, 0.5, 0.0]]]),
            (dense(1, "sigmoid"), "binary", [[0, 1, -1], [[True], [False]], [1.0, np.nan]]),
            (dense(2, "sigmoid"), "multi_label", [[[1, 1], [0, 0]], [[np.nan, np.nan]]]),
            (dense(1), "regression", [[0.5, -3.0, np.nan], [[2], [3]]]),
        ],
    )
    def test_good_ones(self, make, kind, good):
        head = head_of(model_of(make), kind=kind)
        for labels in good:
            head.validate_labels(np.array(labels), task="out0")

    @pytest.mark.parametrize(
        ("make", "kind", "bad", "words"),
        [
            (dense(3, "softmax"), "classification", [0, 3], "3 at sample 1"),
            (dense(3, "softmax"), "classification", [0.5, 1.0], "0.5 at sample 0"),
            (dense(3, "softmax"), "classification", [[1, 0, 0]], '"kind": "one_hot"'),
            (dense(3, "softmax"), "classification", ["a"], "dtype=<U1"),
            (dense(3, "softmax"), "one_hot", [1, 2], '"kind": "classification"'),
            (dense(3, "softmax"), "one_hot", [[1, 0, -1]], "at sample 0"),
            (dense(1, "sigmoid"), "binary", [0.3, 0.9], '"kind": "regression"'),
            (dense(1, "sigmoid"), "binary", [1, 2], "2 at sample 1"),
            (dense(1, "sigmoid"), "binary", [1.0, -1.0], "y = np.where(y == -1, np.nan, y)"),
            (dense(2, "sigmoid"), "multi_label", [[1.0, np.nan]], "all of it or nothing"),
            (dense(1), "regression", [1.0, np.inf], "inf at sample 1"),
            (dense(1), "regression", [-1, 1, 1], "which means unlabelled"),
        ],
    )
    def test_bad_ones(self, make, kind, bad, words):
        head = head_of(model_of(make), kind=kind)
        with pytest.raises(ValueError, match="Task 'out0': expected") as error:
            head.validate_labels(np.array(bad), task="out0")
        assert words in str(error.value)

    def test_soft_labels_with_a_loss_of_ones_own(self):
        losses = {"out0": "binary_crossentropy", "other": "mse"}
        head = head_of(model_of(dense(1, "sigmoid"), loss=losses))
        head.validate_labels(np.array([0.2, 1.0]))
        with pytest.raises(ValueError, match=r"1\.5 at sample 0"):
            head.validate_labels(np.array([1.5, 1.0]))


class TestSettings:
    def test_an_output_without_a_loss(self):
        adoption = adopt(model_of(dense(3), loss={"out0": None, "other": "mse"}))
        assert [task.weight for task in adoption.tasks] == [0.0, 1.0]
        assert adoption.tasks[0].head.kind == "regression"

    def test_lists_go_by_the_outputs(self):
        x = keras.Input((4,))
        hidden = layers.Dense(5)(x)
        outputs = [layers.Dense(3, name="b")(hidden), layers.Dense(1, name="a")(hidden)]
        model = keras.Model(x, outputs)
        losses, metrics = [ce(from_logits=True), "mse"], [["acc"], ["mae"]]
        model.compile("sgd", loss=losses, loss_weights=[2.0, 3.0], metrics=metrics)
        b, a = adopt(model).tasks
        assert (b.name, b.weight, b.head.kind) == ("b", 2.0, "classification")
        assert (a.name, a.weight, a.head.kind) == ("a", 3.0, "regression")
        assert [m.name for m in b.head.default_metrics()] == ["acc"]

    def test_losses_and_metrics_are_copies(self):
        loss, metric = ce(), keras.metrics.SparseCategoricalAccuracy()
        losses = {"out0": loss, "other": "mse"}
        model = model_of(dense(3, "softmax"), loss=losses, metrics={"out0": metric})
        head = head_of(model)
        assert head.loss is not loss
        assert all(m.metric is not metric for m in head.default_metrics())
        adopted = mtl.MultiTaskModel.from_keras(model)
        assert adopted.optimizer is not model.optimizer

    def test_weighted_metrics(self):
        metrics = {"out0": ["acc"]}
        losses = {"out0": ce(), "other": "mse"}
        model = model_of(dense(3, "softmax"), loss=losses, weighted_metrics=metrics)
        adopted = mtl.MultiTaskModel.from_keras(model)
        names = [metric.name for metric in adopted._metrics_by_task["out0"]]
        assert names == ["out0_accuracy", "out0_weighted_acc"]

    def test_the_optimizer_keeps_its_state(self):
        x, y = np.ones((8, 4)), {"out0": np.arange(8) % 3, "other": np.ones((8, 1))}
        losses = {"out0": ce(), "other": "mse"}
        histories = []
        for adopts in (False, True):
            keras.utils.set_random_seed(0)
            model = model_of(dense(3, "softmax"), loss=losses)
            model.compile(keras.optimizers.Adam(0.1), loss=losses)
            model.fit(x, y, epochs=2, shuffle=False, verbose=0)
            if adopts:
                model = mtl.MultiTaskModel.from_keras(model)
            histories.append(model.fit(x, y, epochs=3, shuffle=False, verbose=0).history["loss"])
        np.testing.assert_allclose(*histories, rtol=1e-5)

    def test_options_of_compile(self):
        model = model_of(dense(1), loss="mse", run_eagerly=True)
        adopted = mtl.MultiTaskModel.from_keras(model)
        assert adopted.run_eagerly and not adopted.jit_compile

    def test_overrides(self):
        model = problem_model()
        head = mtl.heads.ClassificationHead(32)
        tasks = mtl.MultiTaskModel.from_keras(
            model,
            {
                "orientation": {"head": head, "feature": "conv3", "gradient": 0.5},
                "identity": {"weight": 3.0, "metrics": "acc", "name": "what"},
            },
        ).tasks
        assert list(tasks) == ["what", "orientation", "intensity"]
        assert tasks["orientation"].head is head and tasks["orientation"].feature == "conv3"
        assert (tasks["orientation"].gradient, tasks["orientation"].weight) == (0.5, 2.0)
        assert tasks["what"].weight == 3.0
        assert [m.name for m in tasks["what"].head.default_metrics()] == ["acc"]


class TestGraph:
    def test_the_layers_are_the_same(self):
        model = problem_model()
        adopted = mtl.MultiTaskModel.from_keras(model)
        assert adopted.backbone.get_layer("conv3") is model.get_layer("conv3")
        graph = adopted.tasks["orientation"].head.graph
        assert graph.get_layer("orientation") is model.get_layer("orientation")
        assert list(adopted.backbone.output) == ["pool"]

    def test_a_layer_of_two_heads_belongs_to_the_backbone(self):
        adoption = adopt(build("siamese"))
        assert "two_heads" in [layer.name for layer in adoption.backbone.layers]
        assert adoption.tasks[1].feature == "two_heads"

    def test_several_maps(self):
        tasks = {task.name: task.feature for task in adopt(build("residual")).tasks}
        assert tasks["texture"] == "stem"
        assert tasks["both"][0] == "stem" and len(tasks["both"]) == 2

    def test_an_output_that_another_one_reads(self):
        adoption = adopt(build("transformer"))
        assert adoption.tasks[0].feature == "coarse"
        assert not adoption.tasks[0].head.trainable_weights
        assert adoption.tasks[0].head.kind == "classification"

    def test_a_single_output_is_split_at_the_last_map(self):
        (task,) = adopt(build("sequential")).tasks
        assert task.feature == "conv"

    def test_a_single_output_of_vectors(self):
        x = keras.Input((4,))
        y = layers.Dense(3, activation="relu", name="hidden")(x)
        (task,) = adopt(keras.Model(x, layers.Dense(1)(layers.Dropout(0.1)(y)))).tasks
        assert task.feature == "dropout" or task.feature.startswith("dropout")

    def test_frozen_layers_stay_frozen(self, tmp_path):
        model = problem_model()
        model.get_layer("conv1").trainable = False
        adopted = mtl.MultiTaskModel.from_keras(model)
        adopted.save(tmp_path / "model.keras")
        loaded = keras.models.load_model(tmp_path / "model.keras")
        assert not loaded.backbone.get_layer("conv1").trainable
        assert len(loaded.trainable_variables) == len(model.trainable_variables)

    def test_mixed_precision_is_kept(self):
        keras.config.set_dtype_policy("mixed_bfloat16")
        model = problem_model()
        keras.config.set_dtype_policy("float32")
        adopted = mtl.MultiTaskModel.from_keras(model)
        x = np.random.default_rng(0).random((4, 16, 16, 1)).astype("float32")
        assert adopted.dtype_policy.name == "mixed_bfloat16"
        for name, value in model.predict(x, verbose=0).items():
            found = adopted.predict(x, verbose=0)[name]
            assert found.dtype == value.dtype
            np.testing.assert_array_equal(found.astype("float32"), value.astype("float32"))


class TestErrors:
    def test_a_vector_where_a_map_is_needed(self):
        model = mtl.MultiTaskModel.from_keras(problem_model())
        with pytest.raises(ValueError, match="feature='conv3'"):
            model.with_head("orientation", mtl.heads.OrientationHead(32))

    def test_a_head_of_two_maps(self):
        x = keras.Input((8, 8, 1))
        first = keras.layers.Conv2D(2, 3, name="first")(x)
        second = keras.layers.Conv2D(2, 3, name="second")(first)
        pooled = [keras.layers.GlobalAveragePooling2D()(one) for one in (first, second)]
        joined = keras.layers.Concatenate()(pooled)
        outputs = [
            keras.layers.Dense(2, activation="softmax", name="kind")(joined),
            keras.layers.Dense(1, name="size")(keras.layers.Flatten()(second)),
        ]
        model = mtl.MultiTaskModel.from_keras(keras.Model(x, outputs))
        with pytest.raises(ValueError, match=r"takes a single map\.\n.*feature='second'"):
            model.with_head("kind", mtl.heads.ClassificationHead(2))
        assert model.with_head("kind", mtl.heads.ClassificationHead(2), feature="second").tasks

    def test_a_layer_that_is_not_there(self):
        model = mtl.MultiTaskModel.from_keras(problem_model())
        with pytest.raises(ValueError, match="or one of its layers, .*'conv3'"):
            model.with_head("orientation", mtl.heads.ClassificationHead(32), feature="conv9")

    def test_a_subclassed_model(self):
        class Own(keras.Model):
            def call(self, x):
                return x

        with pytest.raises(ValueError, match=r"mtl\.MultiTaskModel\(backbone, "):
            mtl.MultiTaskModel.from_keras(Own())

    def test_a_model_with_its_own_loss(self):
        class Own(keras.Model):
            def compute_loss(self, *args, **kwargs):
                return 0.0

        x = keras.Input((2,))
        with pytest.raises(ValueError, match="compute_loss"):
            mtl.MultiTaskModel.from_keras(Own(x, layers.Dense(1)(x)))

    def test_a_sequential_model_that_is_not_built(self):
        with pytest.raises(ValueError, match=r"model\.build\(\(None, \.\.\.\)\)"):
            mtl.MultiTaskModel.from_keras(keras.Sequential([layers.Dense(1)]))

    def test_no_model_and_one_already(self):
        with pytest.raises(ValueError, match=r"Expected a keras\.Model"):
            mtl.MultiTaskModel.from_keras("model.keras")
        with pytest.raises(ValueError, match="one already"):
            mtl.MultiTaskModel.from_keras(mtl.MultiTaskModel.from_keras(problem_model()))

    @pytest.mark.parametrize(
        ("tasks", "words"),
        [
            ({"pose": {}}, "out of the model's outputs"),
            ({"identity": {"losses": "mse"}}, "expected keys out of"),
            ({"identity": "classification"}, "a dict of dicts"),
            ({"identity": {"kind": "classes"}}, "expected kind out of"),
            ({"identity": {"loss": "crossentropie"}}, "expected a loss that Keras knows"),
            ({"identity": {"kind": "binary"}}, "Received"),
            ({"identity": {"name": "a b"}}, '"name": "another_name"'),
            (
                {"identity": {"kind": "binary", "head": mtl.heads.ClassificationHead(3)}},
                "no kind beside a head",
            ),
        ],
    )
    def test_overrides(self, tasks, words):
        with pytest.raises(ValueError, match="Received") as error:
            mtl.MultiTaskModel.from_keras(problem_model(), tasks)
        assert words in str(error.value)

    def test_nested_outputs(self):
        x = keras.Input((2,))
        model = keras.Model(x, {"a": [layers.Dense(1)(x)], "b": layers.Dense(1)(x)})
        with pytest.raises(ValueError, match="nothing nested"):
            mtl.MultiTaskModel.from_keras(model)
