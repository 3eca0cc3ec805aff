"""What every backbone with a feature for each task promises."""

from __future__ import annotations

import json
from typing import Any, ClassVar

import keras
import numpy as np
import pytest
from keras import ops
from small_models import set_weights

import mtlkit as mtl
from mtlkit.testing import gradients

TASKS = ("identity", "intensity")
IMAGES = np.random.default_rng(0).normal(3.0, 2.0, size=(6, 8, 8, 1)).astype("float32")
VECTORS = np.random.default_rng(0).normal(3.0, 2.0, size=(6, 5)).astype("float32")


def first(images: np.ndarray) -> np.ndarray:
    """Channels first."""
    return np.ascontiguousarray(np.moveaxis(images, -1, 1))


def maps(model: Any, x: np.ndarray, training: bool = False) -> dict[str, np.ndarray]:
    """The outputs by name."""
    outputs = model(x, training=training)
    return {name: ops.convert_to_numpy(ops.cast(y, "float32")) for name, y in outputs.items()}


def dense(sequential: Any) -> Any:
    """A stage of width one, as a function in float64."""
    kernel, bias = (w.astype("float64") for w in sequential.get_weights())
    return lambda x: np.maximum(x @ kernel + bias, 0)


class TaskBackboneContract:
    """To be derived from; `kwargs` make a small backbone of images of 8x8 pixels."""

    cls: ClassVar[type]
    kwargs: ClassVar[dict[str, Any]]
    shared: ClassVar[list[str]]
    shape: ClassVar[tuple[int, ...]] = (4, 4, 5)

    def make(self, tasks=TASKS, input_shape=(8, 8, 1), **kwargs):
        """Returns a small backbone."""
        return self.cls(tasks, input_shape=input_shape, **self.kwargs, **kwargs)

    def model(self, **kwargs):
        """Returns a model of these tasks."""
        heads = [
            mtl.heads.ClassificationHead(4, hidden_units=0),
            mtl.heads.RegressionHead(hidden_units=0),
        ]
        tasks = [mtl.Task(name, head) for name, head in zip(TASKS, heads, strict=True)]
        return mtl.MultiTaskModel(self.make(**kwargs), tasks)

    def test_default(self):
        backbone = self.cls(("identity", "orientation"))
        assert backbone.input_shape == (None, 32, 32, 1)
        assert backbone.task_names == ("identity", "orientation")
        assert tuple(backbone.output["orientation"].shape) == (None, 8, 8, 128)

    def test_maps(self):
        backbone = self.make()
        assert backbone.feature_names == ["input", *self.shared, *TASKS]
        outputs = backbone.predict(IMAGES, verbose=0)
        assert set(outputs) == set(backbone.feature_names)
        assert outputs["input"].shape == IMAGES.shape
        assert {outputs[task].shape for task in TASKS} == {(6, *self.shape)}

    def test_fit(self, images, labels):
        model = self.model()
        assert not model.backbone.adapted
        model.compile("sgd")
        before = model.get_weights()
        labels = {task: labels[task] for task in TASKS}
        logs = model.fit(images, labels, batch_size=24, epochs=1, verbose=0).history
        assert {"loss", "identity_accuracy"} <= set(logs) and np.isfinite(logs["loss"]).all()
        after = model.get_weights()
        assert any(not np.array_equal(*pair) for pair in zip(before, after, strict=True))
        assert model.backbone.adapted
        normalised = maps(model.backbone, images)["input"]
        np.testing.assert_allclose([normalised.mean(), normalised.std()], [0, 1], atol=1e-3)

    def test_tasks_read_their_own_features(self):
        model = self.model()
        found = model(IMAGES)
        features = model.backbone(IMAGES)
        for name, task in model.tasks.items():
            expected = ops.convert_to_numpy(task.head(features[name]))
            np.testing.assert_allclose(ops.convert_to_numpy(found[name]), expected, atol=1e-5)
        values = [ops.convert_to_numpy(features[name]) for name in TASKS]
        assert not np.allclose(values[0], values[1])

    def test_gradients_reach_every_weight(self):
        model = self.model()
        missed = {w.path for w in model.trainable_weights}
        for seed in range(3):  # at some weights a ReLU is dead
            set_weights(model, seed)
            found = gradients(
                lambda: sum(ops.sum(y**2) for y in model(IMAGES, training=True).values()),
                model.trainable_weights,
            )
            pairs = zip(model.trainable_weights, found, strict=True)
            missed -= {weight.path for weight, gradient in pairs if np.any(gradient)}
        assert not missed, missed

    def test_file(self, tmp_path):
        model = self.model(batch_norm=True)
        model.backbone.adapt(IMAGES)
        set_weights(model)
        model(IMAGES, training=True)  # moves the averages of batch normalisation
        model.save(tmp_path / "model.keras")
        loaded = keras.saving.load_model(tmp_path / "model.keras")
        assert type(loaded.backbone) is self.cls and loaded.backbone.adapted
        assert loaded.backbone.get_config() == model.backbone.get_config()
        expected = maps(model, IMAGES)
        for task, found in maps(loaded, IMAGES).items():
            np.testing.assert_array_equal(found, expected[task])

    def test_config(self):
        backbone = self.make(
            input_shape=(1, 8, 8),
            data_format="channels_first",
            normalize=False,
            dtype="mixed_bfloat16",
            name="trunk_of_all",
        )
        config = json.loads(json.dumps(backbone.get_config()))
        copy = self.cls.from_config(config)
        assert json.loads(json.dumps(copy.get_config())) == config
        assert [w.path for w in copy.weights] == [w.path for w in backbone.weights]

    def test_mixed_precision(self):
        plain, mixed = self.make(), self.make(dtype="mixed_bfloat16")
        mixed.set_weights(plain.get_weights())
        assert {weight.dtype for weight in mixed.weights} == {"float32"}
        dtypes = {keras.backend.standardize_dtype(y.dtype) for y in mixed(IMAGES).values()}
        assert dtypes == {"bfloat16"}
        found = maps(mixed, IMAGES)
        for name, expected in maps(plain, IMAGES).items():
            np.testing.assert_allclose(found[name], expected, atol=0.05 * np.abs(expected).max())

    def test_channels_first(self):
        last = self.make()
        last.adapt(IMAGES)
        other = self.make(input_shape=(1, 8, 8), data_format="channels_first")
        other.set_weights(last.get_weights())
        found = maps(other, first(IMAGES))
        for name, expected in maps(last, IMAGES).items():
            np.testing.assert_allclose(found[name], first(expected), rtol=1e-4, atol=1e-4)

    def test_vectors(self):
        backbone = self.make(input_shape=(5,))
        backbone.adapt(VECTORS)
        outputs = maps(backbone, VECTORS)
        assert {outputs[task].shape for task in TASKS} == {(6, self.shape[-1])}
        np.testing.assert_allclose(outputs["input"].std(axis=0), 1, atol=1e-3)

    def test_without_normalization(self):
        backbone = self.make(normalize=False)
        assert backbone.adapted
        np.testing.assert_array_equal(maps(backbone, IMAGES)["input"], IMAGES)
        with pytest.raises(ValueError, match=r"normalize=True to adapt\. Received: False"):
            backbone.adapt(IMAGES)

    @pytest.mark.parametrize(
        ("tasks", "message"),
        [
            ((), r"Expected a sequence of names of tasks. Received: tasks=\(\)"),
            ("identity", r"sequence of names of tasks. Received: tasks='identity'"),
            (("a", 3), r"sequence of names of tasks"),
            (("a", "b", "a"), r"different names. Received: \['a'\] repeatedly"),
            (("a", "input"), r"other than those of shared maps.*Received: \['input'\]"),
            (("a", "trunk", "stage2"), r"Received: \['trunk', 'stage2'\]"),
        ],
        ids=str,
    )
    def test_bad_tasks(self, tasks, message):
        with pytest.raises(ValueError, match=message):
            self.make(tasks)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"input_shape": (8, 8)}, r"or \(features,\)\. Received: input_shape=\(8, 8\)"),
            ({"input_shape": (1, 8, 1)}, r"that can be halved .* by the stages of"),
            ({"data_format": "last"}, r"Received: data_format='last'"),
        ],
        ids=str,
    )
    def test_bad_inputs(self, arguments, message):
        with pytest.raises(ValueError, match=message):
            self.make(**arguments)
