"""CrossStitch: columns that exchange features."""

import keras
import numpy as np
import pytest
from keras import ops
from task_backbones import IMAGES, TASKS, VECTORS, TaskBackboneContract, dense, maps

from mtlkit.backbones.cross_stitch import CrossStitch
from mtlkit.testing import gradients


class TestContract(TaskBackboneContract):
    cls = CrossStitch
    kwargs = {"stages": (4, 5)}  # noqa: RUF012
    shared = []  # noqa: RUF012


def make(**kwargs):
    options = {"stages": (4, 6), "input_shape": (5,), "normalize": False, **kwargs}
    return CrossStitch(("a", "b"), **options)


def columns(backbone):
    """The stages of each column, as functions."""
    return {
        task: [dense(backbone.get_layer(f"{task}_stage{number}")) for number in (1, 2)]
        for task in ("a", "b")
    }


@pytest.mark.parametrize("per_channel", [True, False])
def test_numpy_agrees(per_channel):
    backbone = make(per_channel=per_channel)
    rng = np.random.default_rng(0)
    a = b = VECTORS.astype("float64")
    stages = columns(backbone)
    for number, width in ((1, 4), (2, 6)):
        alpha = rng.normal(size=(2, 2, width) if per_channel else (2, 2))
        backbone.get_layer(f"unit{number}").alpha.assign(alpha)
        a, b = stages["a"][number - 1](a), stages["b"][number - 1](b)
        a, b = (alpha[t, 0] * a + alpha[t, 1] * b for t in (0, 1))
    found = maps(backbone, VECTORS)
    np.testing.assert_allclose(found["a"], a, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(found["b"], b, rtol=1e-4, atol=1e-4)


def test_identity_makes_columns_independent():
    backbone = make(self_weight=1.0)
    found = maps(backbone, VECTORS)
    for task, (one, two) in columns(backbone).items():
        np.testing.assert_allclose(found[task], two(one(VECTORS)), rtol=1e-4, atol=1e-5)
    others = [w for w in backbone.trainable_weights if w.path.startswith("b_")]
    assert len(others) == 4
    reached = gradients(lambda: ops.sum(backbone(VECTORS)["a"]), others)
    assert not any(np.any(gradient) for gradient in reached)


def test_columns_exchange_a_little_at_the_start():
    backbone = make()
    for number in (1, 2):
        alpha = ops.convert_to_numpy(backbone.get_layer(f"unit{number}").alpha)
        np.testing.assert_allclose(alpha[0, 0], 0.9, rtol=1e-6)
        np.testing.assert_allclose(alpha[0, 1], 0.1, rtol=1e-5)


def test_own_layers(tmp_path):
    stages = [keras.layers.Conv2D(3, 3, activation="relu"), 4, keras.layers.Flatten()]
    backbone = CrossStitch(TASKS, stages, input_shape=(8, 8, 1))
    assert {maps(backbone, IMAGES)[task].shape for task in TASKS} == {(6, 36)}
    backbone.save(tmp_path / "backbone.keras")
    loaded = keras.saving.load_model(tmp_path / "backbone.keras")
    expected = maps(backbone, IMAGES)
    for name, found in maps(loaded, IMAGES).items():
        np.testing.assert_array_equal(found, expected[name])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"stages": ()}, r"at least one stage. Received: stages=\(\)"),
        ({"stages": 4}, r"Expected a list of at least one stage. Received: stages=4"),
        ({"stages": (4, "conv")}, r"Expected stages\[1\] to be.*: stages\[1\]='conv'"),
        ({"self_weight": 2}, r"between 0 and 1. Received: self_weight=2"),
    ],
    ids=str,
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        make(**arguments)


def test_one_task():
    with pytest.raises(ValueError, match=r"at least two tasks. Received: tasks=\('a',\)"):
        CrossStitch(("a",))
