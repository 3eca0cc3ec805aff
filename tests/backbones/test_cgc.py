"""CGC: levels of shared experts and of experts of one task."""

import keras
import numpy as np
import pytest
from keras import ops
from scipy.special import softmax
from task_backbones import IMAGES, TASKS, VECTORS, TaskBackboneContract, dense, maps

from mtlkit.backbones.cgc import CGC
from mtlkit.testing import gradients


class TestContract(TaskBackboneContract):
    cls = CGC
    kwargs = {"experts": [(4,), (5,)], "num_shared": 1, "trunk": None}  # noqa: RUF012
    shared = []  # noqa: RUF012


def make(**kwargs):
    rng = np.random.default_rng(0)
    backbone = CGC(
        ("a", "b"),
        **{
            "experts": [(4,), (6,)],
            "num_shared": 2,
            "num_specific": 3,
            "trunk": (7,),
            "input_shape": (5,),
            "normalize": False,
            **kwargs,
        },
    )
    for weight in backbone.trainable_weights:
        weight.assign(rng.normal(size=weight.shape, scale=0.5))
    return backbone


def gated(backbone, name, x, experts):
    kernel, bias = backbone.get_layer(name).get_weights()
    share = softmax(x @ kernel + bias, axis=1)
    assert share.shape[1] == len(experts)
    return sum(share[:, [k]] * expert for k, expert in enumerate(experts))


@pytest.mark.parametrize("levels", [1, 2, 3])
def test_numpy_agrees(levels):
    backbone = make(experts=[(4,), (3,), (6,)][:levels])
    x = dense(backbone.get_layer("trunk"))(VECTORS.astype("float64"))
    a = b = shared = x
    for level in range(1, levels + 1):
        found = {
            owner: [
                dense(backbone.get_layer(f"{owner}_level{level}_expert{n}"))(x)
                for n in range(1, number + 1)
            ]
            for owner, x, number in (("a", a, 3), ("b", b, 3), ("shared", shared, 2))
        }
        a = gated(backbone, f"a_level{level}_gate", a, found["a"] + found["shared"])
        b = gated(backbone, f"b_level{level}_gate", b, found["b"] + found["shared"])
        if level < levels:
            everything = found["a"] + found["b"] + found["shared"]
            shared = gated(backbone, f"shared_level{level}_gate", shared, everything)
    outputs = maps(backbone, VECTORS)
    np.testing.assert_allclose(outputs["a"], a, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(outputs["b"], b, rtol=1e-4, atol=1e-4)
    assert backbone.feature_names == ["input", "trunk", "a", "b"]


def test_own_experts_of_the_last_level_are_private():
    backbone = make()
    own = backbone.get_layer("b_level2_expert1").trainable_weights
    first_level = backbone.get_layer("b_level1_expert1").trainable_weights

    def reached(task):
        found = gradients(lambda: ops.sum(backbone(VECTORS)[task]), own + first_level)
        return [bool(np.any(gradient)) for gradient in found]

    assert reached("b") == [True] * 4
    assert reached("a") == [False, False, True, True]  # by way of the shared feature


def test_own_layers(tmp_path):
    experts = [keras.layers.Conv2D(3, 3), keras.layers.GlobalAveragePooling2D()]
    backbone = CGC(TASKS, experts, trunk=None, input_shape=(8, 8, 1))
    assert {maps(backbone, IMAGES)[task].shape for task in TASKS} == {(6, 3)}
    backbone.save(tmp_path / "backbone.keras")
    loaded = keras.saving.load_model(tmp_path / "backbone.keras")
    expected = maps(backbone, IMAGES)
    for name, found in maps(loaded, IMAGES).items():
        np.testing.assert_array_equal(found, expected[name])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_shared": 0}, r"num_shared >= 1. Received: num_shared=0"),
        ({"num_specific": 0}, r"num_specific >= 1. Received: num_specific=0"),
        ({"experts": ()}, r"one for each of at least one level. Received: experts=\(\)"),
        ({"experts": keras.layers.Dense(3)}, r"Expected a list of experts"),
        ({"experts": [(4,), ()]}, r"Expected experts\[1\] to be.*Received: experts\[1\]=\(\)"),
        ({"trunk": ()}, r"Expected trunk to be"),
    ],
    ids=str,
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        make(**arguments)


def test_shared_is_no_task():
    with pytest.raises(ValueError, match=r"Received: \['shared'\]"):
        CGC(("a", "shared"))
