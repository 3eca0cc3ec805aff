"""What all targets promise: predictions, decisions, configuration."""

import json

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras import ops
from scipy.special import softmax

from mtlkit.heads.targets import BinsTarget, MultiBinTarget, PhasesTarget
from mtlkit.testing import input_gradients

TARGETS = {
    "onehot": lambda *args, **kwargs: BinsTarget(*args, **kwargs),
    "smooth": lambda *args, **kwargs: BinsTarget(*args, width=0.7, emd_weight=0.1, **kwargs),
    "von_mises": lambda *args, **kwargs: BinsTarget(*args, width=1, kind="von_mises", **kwargs),
    "sincos": PhasesTarget,
    "phase_shift": lambda *args, **kwargs: PhasesTarget(*args, phases=(120, 240, 360), **kwargs),
    "multibin": MultiBinTarget,
}
every_target = pytest.mark.parametrize("make", TARGETS.values(), ids=TARGETS)


def array(x):
    return ops.convert_to_numpy(x)


def random_outputs(target, rows=6, seed=0, scale=1.0):
    shape = (rows, target.num_outputs)
    return (np.random.default_rng(seed).normal(size=shape) * scale).astype("float32")


def distances(num_bins, circular=True):
    """Between all pairs of bins: on a circle, the shortest of three images."""
    gap = np.arange(num_bins)[:, None] - np.arange(num_bins)
    if not circular:
        return np.abs(gap)
    return np.abs(gap + num_bins * np.array([-1, 0, 1])[:, None, None]).min(axis=0)


@every_target
@pytest.mark.parametrize("num_bins", [4, 8, 32])
def test_ranges(make, num_bins):
    target = make(num_bins)
    outputs = random_outputs(target, 50, scale=3.0)
    probability = array(target.probability(outputs))
    assert probability.shape == (50, num_bins) and probability.min() >= 0
    np.testing.assert_allclose(probability.sum(axis=1), 1, atol=1e-5)
    position = array(target.position(outputs))
    assert position.shape == (50,) and position.dtype == "float32"
    assert (position >= 0).all() and (position < num_bins).all()
    length = array(target.resultant_length(outputs))
    assert length.shape == (50,) and (length >= 0).all() and (length <= 1 + 1e-6).all()


@every_target
@pytest.mark.parametrize("num_bins", [4, 8])
def test_outputs_have_their_number(make, num_bins):
    target = make(num_bins)
    profile = np.random.default_rng(0).normal(size=(3, num_bins * target.channels))
    assert tuple(target.outputs(profile.astype("float32")).shape) == (3, target.num_outputs)


@every_target
def test_loss_falls_towards_the_prediction(make):
    """The position that outputs of little loss say is that of the label."""
    target = make(8, label_period=360)
    y = np.array([0.0, 45.0, 225.0, 315.0], "float32")
    outputs, loss = random_outputs(target, 4), target.loss()
    for _ in range(60):
        outputs = outputs - 4 * input_gradients(lambda x: loss(y, x), outputs)
    gap = (array(target.position(outputs)) - y / 45 + 4) % 8 - 4
    np.testing.assert_allclose(gap, 0, atol=1e-2)
    assert (array(target.probability(outputs)).argmax(axis=1) == y / 45).all()


@every_target
@pytest.mark.parametrize("scale", [0.0, 1.0, 1e6])
def test_finite_gradients(make, scale):
    """Also at zero, where a vector has no direction."""
    target = make(8)
    outputs = random_outputs(target, scale=scale)
    weights = ops.arange(8, dtype="float32")
    for value in (
        lambda x: ops.sum(target.probability(x) * weights),
        lambda x: ops.sum(target.resultant_length(x)),
    ):
        assert np.isfinite(input_gradients(value, outputs)).all()
        assert np.isfinite(float(array(value(ops.convert_to_tensor(outputs)))))


class TestLeastCost:
    """The bin of least expected distance, against a search over all bins."""

    @every_target
    @given(seed=st.integers(0, 99), scale=st.sampled_from([0.3, 1.0, 4.0]))
    def test_brute_force_agrees(self, make, seed, scale):
        target = make(8, decision="least_cost")
        outputs = random_outputs(target, seed=seed, scale=scale)
        cost = array(target.probability(outputs)).astype("float64") @ distances(8)
        chosen = array(target.position(outputs)).astype("int64")
        found = np.take_along_axis(cost, chosen[:, None], axis=1)[:, 0]
        np.testing.assert_allclose(found, cost.min(axis=1), atol=1e-5)  # ties are free

    def test_on_a_line_the_median(self):
        probability = np.array([[0.3, 0.1, 0.15, 0.45], [0.6, 0.1, 0.1, 0.2]])
        for circular, expected in ((False, [2, 0]), (True, [3, 0])):
            target = BinsTarget(4, circular=circular, decision="least_cost")
            found = array(target.position(np.log(probability).astype("float32")))
            np.testing.assert_array_equal(found, expected)
            cost = probability @ distances(4, circular)
            np.testing.assert_array_equal(found, cost.argmin(axis=1))

    @every_target
    def test_peaked_probabilities_give_the_likeliest(self, make):
        """A median holds at least half of the mass."""
        likeliest, least_cost = (make(8, decision=d) for d in ("likeliest", "least_cost"))
        outputs = random_outputs(likeliest, 40, scale=20.0)
        probability = array(likeliest.probability(outputs))
        peaked = outputs[probability.max(axis=1) > 0.6]
        assert len(peaked) > 10
        chosen = array(least_cost.position(peaked))
        np.testing.assert_array_equal(chosen, array(likeliest.probability(peaked)).argmax(axis=1))


@every_target
def test_config_round_trip(make):
    target = make(8, label_period=180.0, decision="least_cost")
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(target)))
    restored = keras.saving.deserialize_keras_object(config)
    assert type(restored) is type(target) and restored.get_config() == target.get_config()
    outputs, y = random_outputs(target), np.linspace(0, 300, 6, dtype="float32")
    for method in ("position", "probability", "resultant_length"):
        expected = array(getattr(target, method)(outputs))
        np.testing.assert_array_equal(array(getattr(restored, method)(outputs)), expected)
    assert float(restored.loss()(y, outputs)) == float(target.loss()(y, outputs))


@every_target
def test_unknown_decision(make):
    with pytest.raises(ValueError, match=r"'likeliest', 'least_cost'.*decision='median'"):
        make(8, decision="median")


@pytest.mark.parametrize("make", [PhasesTarget, MultiBinTarget])
def test_no_angles_on_a_line(make):
    with pytest.raises(ValueError, match="Expected bins on a circle.*Received: circular=False"):
        make(8, circular=False)


class TestBins:
    @pytest.mark.parametrize("circular", [True, False])
    def test_numpy_agrees(self, circular):
        target = BinsTarget(12, circular=circular)
        logits = random_outputs(target, scale=2.0)
        probability = softmax(logits.astype("float64"), axis=1)
        np.testing.assert_allclose(array(target.probability(logits)), probability, atol=1e-6)
        np.testing.assert_array_equal(array(target.position(logits)), logits.argmax(axis=1))
        angle = np.exp(2j * np.pi * np.arange(12) / 12)
        length = array(target.resultant_length(logits))
        np.testing.assert_allclose(length, np.abs(probability @ angle), atol=1e-6)

    def test_outputs_are_the_profile(self):
        profile = np.random.default_rng(0).normal(size=(2, 8)).astype("float32")
        np.testing.assert_array_equal(array(BinsTarget(8).outputs(profile)), profile)

    @pytest.mark.parametrize(
        ("kwargs", "message"),
        [
            ({"width": -1}, "width >= 0.*width=-1"),
            ({"emd_weight": -1}, "emd_weight >= 0.*emd_weight=-1"),
            ({"kind": "pulse"}, "kind='pulse'"),
            ({"kind": "von_mises", "circular": False}, "on a circle only.*circular=False"),
        ],
    )
    def test_errors(self, kwargs, message):
        with pytest.raises(ValueError, match=message):
            BinsTarget(8, **kwargs)


class TestMultiBin:
    def test_numpy_agrees(self):
        target = MultiBinTarget(8)
        outputs = random_outputs(target, 20, scale=2.0)
        logits, residual = np.moveaxis(outputs.reshape(20, 8, 2), -1, 0)
        label = logits.argmax(axis=1)
        expected = (label + np.clip(residual[np.arange(20), label], -1, 1)) % 8
        np.testing.assert_allclose(array(target.position(outputs)), expected, atol=1e-5)
        np.testing.assert_allclose(
            array(target.probability(outputs)), softmax(logits, axis=1), atol=1e-6
        )

    def test_just_below_zero_is_zero(self):
        outputs = np.zeros((1, 8, 2), "float32")
        outputs[0, 0] = 9, -1e-9
        assert array(MultiBinTarget(8).position(outputs.reshape(1, 16))) == [0.0]
