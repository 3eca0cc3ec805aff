"""MMoE: experts for all, a gate for each task."""

import keras
import numpy as np
import pytest
from scipy.special import softmax
from small_models import set_weights
from task_backbones import IMAGES, TASKS, VECTORS, TaskBackboneContract, dense, maps

from mtlkit.backbones.mmoe import MMoE


class TestContract(TaskBackboneContract):
    cls = MMoE
    kwargs = {"num_experts": 3, "expert": (5,), "trunk": (4,)}  # noqa: RUF012
    shared = ["trunk"]  # noqa: RUF012


def make(**kwargs):
    return MMoE(TASKS, **{"input_shape": (5,), "expert": (6,), "trunk": (4,), **kwargs})


def randomised(backbone, seed=0):
    rng = np.random.default_rng(seed)
    for weight in backbone.trainable_weights:
        weight.assign(rng.normal(size=weight.shape))
    return backbone


@pytest.mark.parametrize("trunk", [(4,), None])
def test_numpy_agrees(trunk):
    backbone = randomised(make(num_experts=3, trunk=trunk, normalize=False))
    x = VECTORS.astype("float64")
    x = x if trunk is None else dense(backbone.get_layer("trunk"))(x)
    experts = [dense(backbone.get_layer(f"expert{number}"))(x) for number in (1, 2, 3)]
    found = maps(backbone, VECTORS)
    for task in TASKS:
        kernel, bias = backbone.get_layer(f"{task}_gate").get_weights()
        share = softmax(x @ kernel + bias, axis=1)
        expected = sum(share[:, [k]] * expert for k, expert in enumerate(experts))
        np.testing.assert_allclose(found[task], expected, rtol=1e-4, atol=1e-4)
    assert ("trunk" in found) == (trunk is not None)


def test_one_expert_is_a_shared_backbone():
    backbone = make(num_experts=1, normalize=False)
    found = maps(backbone, VECTORS)
    expert = dense(backbone.get_layer("expert1"))
    for task in TASKS:
        np.testing.assert_allclose(found[task], expert(found["trunk"]), rtol=1e-4, atol=1e-5)
    assert [w.path.split("/")[0] for w in backbone.weights[::2]] == ["trunk", "expert1"]


def test_order_of_the_experts_does_not_matter():
    backbone = randomised(make(num_experts=2))
    before = maps(backbone, VECTORS)
    one, two = backbone.get_layer("expert1"), backbone.get_layer("expert2")
    weights = one.get_weights()
    one.set_weights(two.get_weights())
    two.set_weights(weights)
    assert not np.allclose(maps(backbone, VECTORS)["identity"], before["identity"], atol=1e-3)
    for task in TASKS:
        gate = backbone.get_layer(f"{task}_gate")
        gate.set_weights([weight[..., ::-1] for weight in gate.get_weights()])
    for name, found in maps(backbone, VECTORS).items():
        np.testing.assert_allclose(found, before[name], rtol=1e-4, atol=1e-4)


def test_stages_and_sizes():
    """A stage halves its map, except one that reads the input."""
    backbone = MMoE(("a",), 2, expert=(3, 4), trunk=None, input_shape=(8, 8, 1))
    assert backbone.feature_names == ["input", "a"]
    assert tuple(backbone.output["a"].shape) == (None, 4, 4, 4)
    backbone = MMoE(("a",), 2, expert=(3, 4), trunk=(2, 2), input_shape=(8, 8, 1))
    assert tuple(backbone.output["trunk"].shape) == (None, 4, 4, 2)
    assert tuple(backbone.output["a"].shape) == (None, 1, 1, 4)


class TestOwnLayers:
    def make(self):
        trunk = keras.Sequential([keras.layers.Conv2D(2, 3, name="conv")], name="own_trunk")
        expert = keras.Sequential(
            [keras.Input((6, 6, 2)), keras.layers.Flatten(), keras.layers.Dense(3)]
        )
        return MMoE(("a", "b"), 2, expert, trunk, input_shape=(8, 8, 1)), trunk, expert

    def test_trunk_is_used_and_experts_are_copied(self):
        backbone, trunk, expert = self.make()
        assert backbone.get_layer("own_trunk") is trunk
        one, two = backbone.get_layer("expert1"), backbone.get_layer("expert2")
        assert not np.allclose(one.get_weights()[0], two.get_weights()[0])
        known = {id(weight) for weight in backbone.weights}
        assert not any(id(weight) in known for weight in expert.weights)
        assert len(backbone.trainable_weights) == 2 + 2 * 2 + 2 * 2
        assert maps(backbone, IMAGES)["a"].shape == (6, 3)

    def test_file(self, tmp_path):
        backbone, _, _ = self.make()
        backbone.adapt(IMAGES)
        set_weights(backbone)
        backbone.save(tmp_path / "backbone.keras")
        loaded = keras.saving.load_model(tmp_path / "backbone.keras")
        assert len(loaded.weights) == len(backbone.weights)
        expected = maps(backbone, IMAGES)
        for name, found in maps(loaded, IMAGES).items():
            np.testing.assert_array_equal(found, expected[name])

    def test_several_outputs(self):
        image = keras.Input((8, 8, 1))
        trunk = keras.Model(image, {"map": image + 1})
        with pytest.raises(ValueError, match="a layer with one output for 'trunk'.*is a dict"):
            MMoE(("a",), trunk=trunk, input_shape=(8, 8, 1))

    def test_stages_need_maps_or_vectors(self):
        trunk = keras.layers.Reshape((64, 1))
        with pytest.raises(ValueError, match=r"stages of 'expert1'.*shape \(None, 64, 1\)"):
            MMoE(("a",), trunk=trunk, input_shape=(8, 8, 1))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_experts": 0}, r"num_experts >= 1. Received: num_experts=0"),
        ({"expert": ()}, r"Expected expert to be a Keras layer, or the widths.*: expert=\(\)"),
        ({"expert": (4, 0)}, r"Received: expert=\(4, 0\)"),
        ({"expert": "dense"}, r"Received: expert='dense'"),
        ({"trunk": (2.5,)}, r"Expected trunk to be.*Received: trunk=\(2.5,\)"),
        ({"expert": None}, r"Received: expert=None"),
    ],
    ids=str,
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        make(**arguments)


def test_width_of_one_stage():
    assert make(expert=6).output["identity"].shape == (None, 6)
