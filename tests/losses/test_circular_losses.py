"""Losses on a circle, against NumPy, SciPy and a linear programme."""

import json

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops
from scipy.optimize import linprog
from scipy.special import log_softmax, softmax
from scipy.stats import entropy, vonmises, wasserstein_distance

from mtlkit.losses import (
    CircularCrossEntropy,
    MaskedLoss,
    MultiBinLoss,
    PhaseLoss,
    circular_earth_movers_distance,
    soft_bin_labels,
)
from mtlkit.testing import input_gradients

KINDS = ("gaussian", "von_mises")
# Each number of bins is compiled anew by JAX.
BINS = (3, 8) if keras.backend.backend() == "jax" else (2, 3, 8, 32)
RNG = np.random.default_rng(0)


def array(x):
    return ops.convert_to_numpy(x)


def soft(position, num_bins, width, *args, **kwargs):
    position = np.atleast_1d(np.asarray(position, "float32"))
    return array(soft_bin_labels(position, num_bins, width, *args, **kwargs))


def around(num_bins, position):
    """Distances of all bins to a position: the shortest to any of its images."""
    images = np.asarray(position)[..., None] + num_bins * np.arange(-2, 3)
    return np.abs(np.arange(num_bins)[:, None] - images[..., None, :]).min(axis=-1)


def gaussian(position, num_bins, width):
    return softmax(-0.5 * (around(num_bins, position) / width) ** 2, axis=-1)


kinds = st.sampled_from(KINDS)
bins = st.sampled_from(BINS)
turns = st.floats(0, 1, exclude_max=True)


class TestSoftLabels:
    @given(num_bins=bins, turn=turns, width=st.floats(0.05, 20))
    def test_gaussian_formula(self, num_bins, turn, width):
        position = np.float32(turn * num_bins)
        expected = gaussian(np.float64(position), num_bins, width)
        np.testing.assert_allclose(soft(position, num_bins, width)[0], expected, atol=1e-4)

    @given(num_bins=bins, turn=turns, width=st.floats(0.2, 20))
    def test_von_mises_is_that_of_scipy(self, num_bins, turn, width):
        position = np.float32(turn * num_bins)
        step = 2 * np.pi / num_bins
        density = vonmises(kappa=1 / (width * step) ** 2, loc=position * step)
        log_density = density.logpdf(np.arange(num_bins) * step)
        found = soft(position, num_bins, width, "von_mises")[0]
        np.testing.assert_allclose(found, softmax(log_density), atol=1e-4)

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("circular", [True, False])
    @given(num_bins=bins, turn=turns, log_width=st.floats(-4, 4))
    def test_never_all_zero(self, kind, circular, num_bins, turn, log_width):
        """Labels of mmrotate's coder are, for some widths."""
        if kind == "von_mises" and not circular:
            return
        found = soft(turn * num_bins, num_bins, 10**log_width, kind, circular)
        assert found.sum() == pytest.approx(1, abs=1e-5) and found.min() >= 0

    @given(num_bins=bins, kind=kinds, label=st.integers(0, 31), width=st.floats(0, 9))
    def test_symmetric(self, num_bins, kind, label, width):
        found = np.roll(soft(label % num_bins, num_bins, width, kind)[0], -(label % num_bins))
        np.testing.assert_allclose(found, np.roll(found[::-1], 1), atol=1e-6)

    @given(num_bins=bins, kind=kinds, turn=turns, shift=st.integers(0, 31), width=st.floats(0, 9))
    def test_rolls_with_the_label(self, num_bins, kind, turn, shift, width):
        position = np.float32(round(turn * num_bins * 8) / 8)  # exact, also after the shift
        if not width and position % 1 == 0.5:
            return  # as near to two bins: either will do
        first = soft(position, num_bins, width, kind)[0]
        turned = soft((position + shift) % num_bins, num_bins, width, kind)[0]
        np.testing.assert_allclose(turned, np.roll(first, shift), atol=1e-6)

    @given(num_bins=bins, kind=kinds, label=st.integers(0, 31), width=st.floats(0, 5))
    def test_the_largest_is_the_label(self, num_bins, kind, label, width):
        found = soft(np.arange(num_bins), num_bins, width, kind)
        np.testing.assert_array_equal(found.argmax(axis=1), np.arange(num_bins))

    @pytest.mark.parametrize("kind", KINDS)
    def test_limits(self, kind):
        eye = np.eye(32)
        for width in (0, 1e-12, 1e-4, 0.05):
            np.testing.assert_allclose(soft(np.arange(32), 32, width, kind), eye, atol=1e-6)
        for width in (1e4, 1e30, np.inf):
            np.testing.assert_allclose(soft(np.arange(32), 32, width, kind), 1 / 32, atol=1e-6)

    def test_the_nearest_bin_without_width(self):
        np.testing.assert_array_equal(soft([0.4, 0.6, 7.6, 6.4], 8, 0), np.eye(8)[[0, 1, 0, 6]])
        line = soft([0.4, 7.6], 8, 0, circular=False)
        np.testing.assert_array_equal(line, np.eye(8)[[0, 7]])

    def test_entropy_of_width_one(self):
        assert entropy(soft(5, 32, 1.0)[0]) == pytest.approx(1.41894, abs=1e-5)

    def test_gaussian_and_von_mises_are_close(self):
        gap = np.abs(soft(5, 32, 1.0)[0] - soft(5, 32, 1.0, "von_mises")[0]).sum()
        assert gap == pytest.approx(0.007, abs=5e-4)

    def test_line_has_ends(self):
        expected = softmax(-0.5 * (np.arange(8) / 1.5) ** 2)
        np.testing.assert_allclose(soft(0, 8, 1.5, circular=False)[0], expected, atol=1e-6)
        np.testing.assert_allclose(soft(7, 8, 1.5, circular=False)[0], expected[::-1], atol=1e-6)

    @pytest.mark.parametrize(("kind", "circular"), [("triangle", True), ("von_mises", False)])
    def test_unknown_kind(self, kind, circular):
        with pytest.raises(ValueError, match=rf"Received: kind='{kind}', circular={circular}"):
            soft(0, 8, 1.0, kind, circular)


class TestCrossEntropy:
    logits = RNG.normal(size=(5, 12)).astype("float32") * 2
    labels = np.array([0, 11, 4, 7, 7])

    def value(self, y=None, **kwargs):
        y = self.labels if y is None else y
        return float(array(CircularCrossEntropy(12, **kwargs)(y, self.logits)))

    @pytest.mark.parametrize("y", [labels, labels[:, None], labels.astype("float32")])
    def test_without_width_that_of_keras(self, y):
        plain = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        expected = float(array(plain(self.labels, self.logits)))
        assert self.value(y) == pytest.approx(expected, rel=1e-6)

    @pytest.mark.parametrize("emd_weight", [0.0, 0.1, 3.0])
    def test_formula(self, emd_weight):
        cross = -(gaussian(self.labels, 12, 0.7) * log_softmax(self.logits, axis=1)).sum(axis=1)
        moved = (softmax(self.logits, axis=1) * around(12, self.labels)).sum(axis=1)
        found = self.value(width=0.7, emd_weight=emd_weight)
        assert found == pytest.approx(np.mean(cross + emd_weight * moved), rel=1e-5)

    def test_emd_term_is_the_distance_to_the_label(self):
        expected = [
            wasserstein(p, np.eye(12)[label])
            for p, label in zip(softmax(self.logits, axis=1), self.labels, strict=True)
        ]
        found = self.value(emd_weight=1.0) - self.value()
        assert found == pytest.approx(np.mean(expected), rel=1e-4)

    def test_von_mises(self):
        labels = vonmises(kappa=(12 / (2 * np.pi * 0.7)) ** 2).logpdf(
            2 * np.pi / 12 * (np.arange(12) - self.labels[:, None])
        )
        cross = -(softmax(labels, axis=1) * log_softmax(self.logits, axis=1)).sum(axis=1)
        found = self.value(width=0.7, kind="von_mises")
        assert found == pytest.approx(cross.mean(), rel=1e-5)

    def test_line(self):
        distance = np.abs(np.arange(12) - self.labels[:, None])
        labels = softmax(-0.5 * (distance / 0.7) ** 2, axis=1)
        cross = -(labels * log_softmax(self.logits, axis=1)).sum(axis=1)
        moved = (softmax(self.logits, axis=1) * distance).sum(axis=1)
        found = self.value(width=0.7, emd_weight=0.5, circular=False)
        assert found == pytest.approx(np.mean(cross + 0.5 * moved), rel=1e-5)

    @pytest.mark.parametrize("period", [360.0, 180.0])
    def test_labels_in_degrees(self, period):
        options = {"width": 0.7, "emd_weight": 0.1}
        degrees = self.labels * period / 12
        for turned in (degrees, degrees - period, degrees + 2 * period):
            found = self.value(turned, label_period=period, **options)
            assert found == pytest.approx(self.value(**options), rel=1e-4)

    def test_labels_between_bins(self):
        degrees = np.array([10.0, 355.0, 100.0, 101.0, 200.0])
        cross = -(gaussian(degrees / 30, 12, 0.7) * log_softmax(self.logits, axis=1)).sum(axis=1)
        found = self.value(degrees, width=0.7, label_period=360)
        assert found == pytest.approx(cross.mean(), rel=1e-5)

    @given(shift=st.integers(0, 11))
    def test_roll_invariance(self, shift):
        loss = CircularCrossEntropy(12, width=0.7, emd_weight=0.1)
        turned = loss((self.labels + shift) % 12, np.roll(self.logits, shift, axis=1))
        expected = self.value(width=0.7, emd_weight=0.1)
        assert float(array(turned)) == pytest.approx(expected, rel=1e-5)

    def test_masked_and_weighted(self):
        by_sample = array(CircularCrossEntropy(12, width=0.7, emd_weight=0.1, reduction="none")(
            self.labels, self.logits
        ))  # fmt: skip
        present = np.array([True, False, True, True, False])
        weights = np.array([1.0, 5.0, 2.0, 0.5, 3.0])
        loss = MaskedLoss(CircularCrossEntropy(12, width=0.7, emd_weight=0.1))
        found = loss(np.where(present, self.labels, -1), self.logits, sample_weight=weights)
        expected = (by_sample * weights)[present].sum() / 3
        assert float(array(found)) == pytest.approx(expected, rel=1e-5)

        loss = MaskedLoss(CircularCrossEntropy(12, width=0.7, emd_weight=0.1, label_period=360))
        degrees = np.where(present, self.labels * 30.0, np.nan).astype("float32")
        found = loss(degrees, self.logits, sample_weight=weights)
        assert float(array(found)) == pytest.approx(expected, rel=1e-4)

    def test_chance_and_floor(self):
        """Uniform predictions cost log K, perfect ones the entropy of the labels."""
        labels = np.arange(32)
        loss = CircularCrossEntropy(32, width=1.0)
        uniform = loss(labels, np.zeros((32, 32), "float32"))
        assert float(array(uniform)) == pytest.approx(np.log(32), rel=1e-6)
        perfect = loss(labels, np.log(np.maximum(gaussian(labels, 32, 1.0), 1e-30)))
        assert float(array(perfect)) == pytest.approx(1.41894, abs=1e-4)

    @pytest.mark.parametrize(
        ("kwargs", "message"),
        [
            ({"num_bins": 1}, r"num_bins >= 2.*Received: num_bins=1"),
            ({"width": -1.0}, r"width >= 0.*width=-1\.0"),
            ({"emd_weight": -0.1}, r"emd_weight >= 0.*emd_weight=-0\.1"),
            ({"kind": "pulse"}, r"'gaussian', 'von_mises'.*kind='pulse'"),
            ({"kind": "von_mises", "circular": False}, r"on a circle only.*circular=False"),
        ],
    )
    def test_errors(self, kwargs, message):
        with pytest.raises(ValueError, match=message):
            CircularCrossEntropy(**{"num_bins": 12, **kwargs})


def wasserstein(p, q):
    """The transport of least cost, by a linear programme over where each mass goes."""
    size = len(p)
    to = np.arange(size)
    cost = around(size, to)
    leaves = np.kron(np.eye(size), np.ones(size))
    arrives = np.kron(np.ones(size), np.eye(size))
    solved = linprog(cost.ravel(), A_eq=np.vstack([leaves, arrives]), b_eq=np.hstack([p, q]))
    return solved.fun


class TestEarthMoversDistance:
    @settings(max_examples=12)
    @given(size=st.sampled_from([2, 3, 7, 12]), seed=st.integers(0, 999))
    def test_linear_programme_agrees(self, size, seed):
        p, q = np.random.default_rng(seed).dirichlet(np.full(size, 0.4), size=2).astype("float32")
        found = array(circular_earth_movers_distance(p[None], q[None]))[0]
        # In float64, or the sums differ by more than the linear programme allows.
        p, q = (mass.astype("float64") / mass.sum(dtype="float64") for mass in (p, q))
        assert found == pytest.approx(wasserstein(p, q), abs=1e-4)

    def test_on_half_a_circle_that_of_a_line(self):
        p, q = np.zeros((2, 16), "float32")
        p[:6], q[:6] = np.random.default_rng(0).dirichlet(np.ones(6), size=2)
        expected = wasserstein_distance(np.arange(16), np.arange(16), p, q)
        found = array(circular_earth_movers_distance(p[None], q[None]))[0]
        assert found == pytest.approx(expected, abs=1e-5)

    @given(shift=st.integers(0, 31), seed=st.integers(0, 99))
    def test_roll_invariance_and_symmetry(self, shift, seed):
        p, q = np.random.default_rng(seed).dirichlet(np.full(32, 0.2), (2, 3)).astype("float32")
        expected = array(circular_earth_movers_distance(p, q))
        rolled = circular_earth_movers_distance(np.roll(p, shift, 1), np.roll(q, shift, 1))
        np.testing.assert_allclose(array(rolled), expected, atol=1e-5)
        np.testing.assert_allclose(array(circular_earth_movers_distance(q, p)), expected, atol=1e-5)
        assert not array(circular_earth_movers_distance(p, p)).any()

    def test_one_hot_pairs(self):
        eye = np.eye(9, dtype="float32")
        found = [array(circular_earth_movers_distance(np.tile(eye[b], (9, 1)), eye))
                 for b in range(9)]  # fmt: skip
        np.testing.assert_allclose(found, around(9, np.arange(9)), atol=1e-5)


class TestFlatOptimum:
    """Alone, the distance does not tell predictions that ignore the input from each other."""

    def population_gradient(self, logits, circular=True, **kwargs):
        labels, size = np.arange(len(logits)), len(logits)

        def loss(x, emd_weight):
            entropy = CircularCrossEntropy(size, circular=circular, emd_weight=emd_weight)
            return entropy(labels, ops.tile(x[None], (size, 1)))

        return input_gradients(lambda x: loss(x, 1.0) - loss(x, 0.0), logits)

    @given(spread=st.floats(0, 3), seed=st.integers(0, 99))
    def test_zero_gradient_at_uniform_labels(self, spread, seed):
        logits = np.random.default_rng(seed).normal(size=8).astype("float32") * spread
        np.testing.assert_allclose(self.population_gradient(logits), 0, atol=1e-5)

    def test_not_so_on_a_line_nor_for_cross_entropy(self):
        logits = np.random.default_rng(0).normal(size=8).astype("float32")
        assert np.abs(self.population_gradient(logits, circular=False)).max() > 0.01
        gradient = input_gradients(
            lambda x: CircularCrossEntropy(8)(np.arange(8), ops.tile(x[None], (8, 1))), logits
        )
        np.testing.assert_allclose(gradient, softmax(logits) - 1 / 8, atol=1e-5)


class TestPhaseLoss:
    @pytest.mark.parametrize("phases", [(0.0, -90.0), (120, 240, 360), (0, 60)])
    def test_formula(self, phases):
        y, outputs = np.array([0.0, 15.5, 3.0]), RNG.normal(size=(3, len(phases)))
        target = np.cos(2 * np.pi * y[:, None] / 16 + np.deg2rad(phases))
        found = PhaseLoss(16, phases)(y, outputs.astype("float32"))
        expected = np.mean((outputs - target) ** 2)
        assert float(array(found)) == pytest.approx(expected, rel=1e-5)
        found = PhaseLoss(16, phases, label_period=180)(y * 180 / 16, outputs.astype("float32"))
        assert float(array(found)) == pytest.approx(expected, rel=1e-5)

    def test_default_is_cosine_and_sine(self):
        angle = np.linspace(0, 350, 36)
        outputs = np.stack([np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))], axis=1)
        loss = PhaseLoss(36, label_period=360)(angle, outputs.astype("float32"))
        assert float(array(loss)) < 1e-12

    def test_zero_vector_costs_the_variance(self):
        zero = np.zeros((32, 2), "float32")
        assert float(array(PhaseLoss(32)(np.arange(32), zero))) == pytest.approx(0.5, rel=1e-6)

    def test_number_of_bins(self):
        with pytest.raises(ValueError, match="num_bins >= 2. Received: num_bins=0"):
            PhaseLoss(0)


class TestMultiBinLoss:
    def reference(self, position, outputs, num_bins, weight=1.0):
        """Sample by sample, with the definition 2 (K / 2 pi)^2 (1 - cos)."""
        values = []
        for p, row in zip(
            position, outputs.reshape(-1, num_bins, 2).astype("float64"), strict=True
        ):
            distance = around(num_bins, p)
            cross = -log_softmax(row[:, 0])[distance.argmin()]
            terms = [
                2 * (num_bins / (2 * np.pi)) ** 2
                * (1 - np.cos((p - b - row[b, 1]) * 2 * np.pi / num_bins))
                for b in range(num_bins) if distance[b] <= 1
            ]  # fmt: skip
            values.append(cross + weight * np.mean(terms))
        return np.mean(values)

    @pytest.mark.parametrize("num_bins", [2, 3, 8])
    @pytest.mark.parametrize("weight", [0.0, 1.0, 2.5])
    def test_formula(self, num_bins, weight):
        rng = np.random.default_rng(1)
        position = np.array([0.0, 0.3, num_bins - 0.25, 1.0])
        outputs = rng.normal(size=(4, 2 * num_bins)).astype("float32")
        loss = MultiBinLoss(num_bins, weight, label_period=360)
        found = float(array(loss(position * 360 / num_bins, outputs)))
        assert found == pytest.approx(self.reference(position, outputs, num_bins, weight), rel=1e-4)

    def test_nothing_left_over_at_the_truth(self):
        position = np.array([2.3, 7.9, 0.2])
        outputs = np.zeros((3, 8, 2), "float32")
        outputs[..., 1] = (position[:, None] - np.arange(8) + 4) % 8 - 4
        weighted, plain = (
            float(array(MultiBinLoss(8, weight, label_period=360)(position * 45, outputs)))
            for weight in (100.0, 0.0)
        )
        assert weighted == pytest.approx(plain, abs=1e-5)

    def test_squared_error_where_small(self):
        outputs = np.zeros((1, 8, 2), "float32")
        outputs[0, :, 1] = (3.2 - np.arange(8) + 4) % 8 - 4 + 0.1
        terms = [float(array(MultiBinLoss(8, w, label_period=8)(np.array([3.2]), outputs)))
                 for w in (0.0, 1.0)]  # fmt: skip
        assert terms[1] - terms[0] == pytest.approx(0.01, rel=0.01)

    def test_gradient_at_covering_bins_only_and_downhill(self):
        outputs = np.zeros((1, 16), "float32")
        loss = MultiBinLoss(8, label_period=360)
        gradient = input_gradients(lambda x: loss(np.array([2.25 * 45]), x), outputs)
        logits, residual = gradient.reshape(8, 2).T
        assert residual[2] < 0 < residual[3]  # the residual of bin 2 has to grow
        assert not residual[[0, 1, 4, 5, 6, 7]].any()
        assert logits[2] < 0 and (logits[np.arange(8) != 2] > 0).all()

    def test_number_of_bins(self):
        with pytest.raises(ValueError, match="num_bins >= 2. Received: num_bins=1"):
            MultiBinLoss(1)


LOSSES = [
    (CircularCrossEntropy(8), 8),
    (CircularCrossEntropy(8, width=0.6, kind="von_mises", emd_weight=0.2), 8),
    (CircularCrossEntropy(8, width=0.6, label_period=360), 8),
    (CircularCrossEntropy(8, width=2.0, circular=False, name="mine"), 8),
    (PhaseLoss(8, (120, 240, 360), label_period=180), 3),
    (MultiBinLoss(8, 0.3, label_period=360), 16),
]


@pytest.mark.parametrize(("loss", "size"), LOSSES)
@pytest.mark.parametrize("scale", [0.0, 1.0, 1e4, 1e8])
def test_finite_gradients(loss, size, scale):
    outputs = scale * np.random.default_rng(0).normal(size=(4, size)).astype("float32")
    y = np.array([0.0, 3.0, 7.0, 4.0], "float32")
    assert np.isfinite(float(array(loss(y, outputs))))
    gradient = input_gradients(lambda x: loss(y, x), outputs)
    assert np.isfinite(gradient).all() and gradient.any()


@pytest.mark.parametrize(("loss", "size"), LOSSES)
def test_half_precision_outputs_are_read_in_full(loss, size):
    outputs = ops.cast(np.random.default_rng(0).normal(size=(4, size)), "bfloat16")
    y = np.array([0.0, 3.0, 7.0, 4.0], "float32")
    found, expected = loss(y, outputs), loss(y, ops.cast(outputs, "float32"))
    np.testing.assert_allclose(array(found), array(expected), rtol=1e-6)


@pytest.mark.parametrize(("loss", "size"), LOSSES)
def test_config_round_trip(loss, size):
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(loss)))
    restored = keras.saving.deserialize_keras_object(config)
    assert type(restored) is type(loss) and restored.get_config() == loss.get_config()
    outputs = np.random.default_rng(0).normal(size=(4, size)).astype("float32")
    y = np.array([0.0, 3.0, 7.0, 4.0], "float32")
    assert float(array(restored(y, outputs))) == float(array(loss(y, outputs)))
