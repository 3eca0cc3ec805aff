"""MTAN: a shared trunk, and masks of each task."""

import keras
import numpy as np
import pytest
from scipy.special import expit
from task_backbones import IMAGES, VECTORS, TaskBackboneContract, dense, maps

from mtlkit.backbones.mtan import MTAN


class TestContract(TaskBackboneContract):
    cls = MTAN
    kwargs = {"stages": (4, 5)}  # noqa: RUF012
    shared = ["stage1", "stage2"]  # noqa: RUF012


def make(**kwargs):
    options = {"stages": (4, 6), "input_shape": (5,), "normalize": False, **kwargs}
    return MTAN(("a", "b"), **options)


def mask(backbone, name, context):
    kernel, bias, kernel2, bias2 = backbone.get_layer(name).get_weights()
    return expit(np.maximum(context @ kernel + bias, 0) @ kernel2 + bias2)


def test_numpy_agrees():
    backbone = make()
    rng = np.random.default_rng(0)
    for weight in backbone.trainable_weights:
        weight.assign(rng.normal(size=weight.shape))
    parts = ["stage1_first", "stage1_second", "stage2_first", "stage2_second"]
    part = {name: dense(backbone.get_layer(name)) for name in [*parts, "a_stage2", "b_stage2"]}
    u1 = part["stage1_first"](VECTORS.astype("float64"))
    p1 = part["stage1_second"](u1)
    u2 = part["stage2_first"](p1)
    p2 = part["stage2_second"](u2)
    found = maps(backbone, VECTORS)
    np.testing.assert_allclose(found["stage1"], p1, rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(found["stage2"], p2, rtol=1e-4, atol=1e-3)
    for task in ("a", "b"):
        taken = mask(backbone, f"{task}_attention1", u1) * p1
        context = np.concatenate([u2, part[f"{task}_stage2"](taken)], axis=1)
        expected = mask(backbone, f"{task}_attention2", context) * p2
        np.testing.assert_allclose(found[task], expected, rtol=1e-3, atol=1e-3)


def test_sure_masks_let_the_shared_map_through():
    backbone = MTAN(("a", "b"), (3, 4), input_shape=(8, 8, 1))
    for task, bias in (("a", 100), ("b", -100)):
        backbone.get_layer(f"{task}_attention2").mask.bias.assign(np.full(4, bias))
    found = maps(backbone, IMAGES)
    np.testing.assert_allclose(found["a"], found["stage2"], rtol=1e-5)
    np.testing.assert_allclose(found["b"], 0, atol=1e-5)


def test_trunk_is_not_masked():
    backbone = make()
    before = maps(backbone, VECTORS)
    backbone.get_layer("a_attention1").mask.bias.assign(np.full(4, -100.0))
    after = maps(backbone, VECTORS)
    assert not np.allclose(after["a"], before["a"])
    for name in ("stage1", "stage2", "b"):
        np.testing.assert_array_equal(after[name], before[name])


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        ((), r"Expected stages to be.*at least one stage. Received: stages=\(\)"),
        ((4, 0), r"Received: stages=\(4, 0\)"),
        (keras.layers.Dense(3), r"Expected the widths of the stages"),
    ],
    ids=str,
)
def test_bad_stages(stages, message):
    with pytest.raises(ValueError, match=message):
        make(stages=stages)
