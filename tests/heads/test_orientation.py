"""OrientationHead: a bin on a circle, by eight spatial designs and six targets."""

import re

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras import ops
from scipy.special import log_softmax, softmax

from mtlkit import space
from mtlkit.heads import OrientationHead
from mtlkit.heads.orientation import SPATIAL_DESIGNS, TARGETS
from mtlkit.layers import RotationOrbit
from mtlkit.testing import LayerTestCase, input_gradients

RNG = np.random.default_rng(0)
IMAGES = RNG.normal(size=(6, 8, 8, 2)).astype("float32")
ORBIT = np.stack([np.rot90(IMAGES, -k, axes=(1, 2)) for k in range(4)], axis=1)
LABELS = np.array([0, 7, 3, -1, 5, 2])
DEGREES = np.array([0.0, 359.0, 133.5, np.nan, 225.0, 90.0], "float32")
SMALL = {"num_bins": 8, "hidden_units": 6}
DESIGNS = {
    "pool": {"dropout": 0.2},
    "flatten": {"bottleneck": 3},
    "coord": {"bottleneck": 3},
    "spatial_softmax": {},
    "attention": {},
    "polar": {"filters": [3, 4], "num_radii": 3, "jitter": 0.05, "dropout": 0.1},
    "polar_and_flatten": {"filters": [3, 4], "num_radii": 3, "dropout": 0.1, "bottleneck": 3},
    "orbit": {},
    "gradient_histogram": {"cells": 2},
}


def feature(spatial):
    return ORBIT if spatial == "orbit" else IMAGES


def outputs(head, x):
    return ops.convert_to_numpy(head(x))


class TestContract(LayerTestCase):
    @pytest.mark.parametrize("spatial", DESIGNS)
    def test_designs(self, spatial):
        self.run_head_test(
            OrientationHead,
            {**SMALL, "spatial": spatial, **DESIGNS[spatial]},
            feature(spatial),
            LABELS,
            bad_labels=[LABELS + 1, LABELS.astype("float32"), LABELS[:, None, None]],
            expected_output_shape=(6, 8),
            learning_steps=10,
        )

    @pytest.mark.parametrize(
        ("kwargs", "outputs"),
        [
            ({"target": "von_mises", "width": 0.8, "emd_weight": 0.1}, 8),
            ({"target": "phase_shift", "decision": "least_cost"}, 3),
            ({"target": "multibin", "labels": "degrees"}, 16),
            ({"target": "sincos", "labels": "degrees", "period": 180.0}, 2),
            ({"target": "smooth", "circular": False, "decision": "least_cost"}, 8),
        ],  # and one-hot above, on every design
        ids=lambda value: "-".join(map(str, value.values())) if isinstance(value, dict) else "",
    )
    def test_targets(self, kwargs, outputs):
        degrees = kwargs.get("labels") == "degrees"
        infinite = np.where(np.isnan(DEGREES), np.inf, DEGREES)
        self.run_head_test(
            OrientationHead,
            {**SMALL, "spatial": "flatten", **kwargs},
            IMAGES,
            DEGREES if degrees else LABELS,
            bad_labels=[LABELS, infinite, DEGREES[:, None, None]] if degrees else [LABELS + 1],
            expected_output_shape=(6, outputs),
            learning_steps=10,
        )

    def test_every_name_is_tested(self):
        assert set(DESIGNS) == set(SPATIAL_DESIGNS)
        tested = {"onehot", "smooth", "von_mises", "sincos", "phase_shift", "multibin"}
        assert set(TARGETS) == tested

    @pytest.mark.parametrize("spatial", ["polar", "orbit"])
    def test_several_outputs_a_bin(self, spatial):
        kwargs = {**SMALL, "spatial": spatial, **DESIGNS[spatial], "target": "multibin"}
        kwargs |= {"labels": "degrees", "period": 180, "num_bins": 4}
        self.check_config(OrientationHead, kwargs, feature(spatial))
        self.check_saving(OrientationHead, kwargs, feature(spatial))
        shape = (6, 8)
        self.check_symbolic_call(
            OrientationHead, kwargs, feature(spatial), expected_output_shape=shape
        )

    @pytest.mark.parametrize("spatial", DESIGNS)
    def test_channels_first(self, spatial):
        """The same weights fit both formats, and give the same outputs."""
        last, first = (
            OrientationHead(
                **SMALL, spatial=spatial, **DESIGNS[spatial], data_format=f"channels_{where}"
            )
            for where in ("last", "first")
        )
        x = feature(spatial)
        moved = np.moveaxis(x, -1, -3)
        expected, _ = outputs(last, x), outputs(first, moved)
        weights = last.get_weights()
        if "flatten" in (last.design.get_config().get("pooling"), spatial):
            return  # of which the order of weights is that of the format
        first.set_weights(weights)
        np.testing.assert_allclose(outputs(first, moved), expected, atol=1e-5)


class TestDecode:
    @given(
        num_bins=st.sampled_from([2, 8, 12, 32, 360]),
        spread=st.floats(0.01, 30),
        seed=st.integers(0, 99),
    )
    def test_independent_formulas(self, num_bins, spread, seed):
        logits = np.random.default_rng(seed).normal(scale=spread, size=(4, num_bins))
        decoded = OrientationHead(num_bins, spatial="pool").decode(logits.astype("float32"))
        probability = softmax(logits, axis=1)
        angle = np.deg2rad(np.arange(num_bins) * 360 / num_bins)
        cosine, sine = probability @ np.cos(angle), probability @ np.sin(angle)
        np.testing.assert_allclose(decoded["probability"], probability, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(decoded["resultant_length"], np.hypot(cosine, sine), atol=1e-5)
        np.testing.assert_array_equal(decoded["label"], logits.argmax(axis=1))
        degrees = logits.argmax(axis=1) * 360 / num_bins
        np.testing.assert_allclose(decoded["degrees"], degrees)
        assert (decoded["degrees"] >= 0).all() and (decoded["degrees"] < 360).all()

    def test_resultant_length_of_known_distributions(self):
        logits = np.full((4, 8), -1e4)
        logits[0, 3] = 0  # sure
        logits[1] = 0  # uniform
        logits[2, [1, 5]] = 0  # opposed
        logits[3, [0, 2]] = 0  # a right angle apart: sqrt(2) / 2
        lengths = OrientationHead(8, spatial="pool").decode(logits)["resultant_length"]
        np.testing.assert_allclose(lengths, [1, 0, 0, np.sqrt(0.5)], atol=1e-6)

    def test_types(self):
        decoded = OrientationHead(8, spatial="pool").decode(np.zeros((3, 8), "float32"))
        assert set(decoded) == {"label", "degrees", "probability", "resultant_length"}
        assert decoded["label"].dtype == "int64" and decoded["probability"].shape == (3, 8)
        assert decoded["degrees"].shape == decoded["resultant_length"].shape == (3,)

    @pytest.mark.parametrize("period", [360, 180, 90.0])
    def test_of_sine_and_cosine(self, period):
        """The angle is not that of a bin; the label is the nearest."""
        turn = np.array([0.0, 0.3, 0.97, 0.999, 0.51])
        length = np.array([[1.0], [0.5], [0.9], [0.1], [0.7]])
        xy = length * np.stack([np.cos(2 * np.pi * turn), np.sin(2 * np.pi * turn)], axis=1)
        head = OrientationHead(8, "pool", "sincos", period=period)
        decoded = head.decode(xy.astype("float32"))
        np.testing.assert_allclose(decoded["degrees"], turn * period, atol=1e-3)
        np.testing.assert_array_equal(decoded["label"], [0, 2, 0, 0, 4])
        np.testing.assert_allclose(decoded["resultant_length"], length[:, 0], atol=1e-5)
        np.testing.assert_array_equal(decoded["probability"].argmax(axis=1), [0, 2, 0, 0, 4])

    def test_degrees_are_less_than_the_period(self):
        head = OrientationHead(8, "pool", "sincos")
        decoded = head.decode(np.array([[1.0, -1e-9], [1.0, -1e-5]], "float32"))
        assert (decoded["degrees"] >= 0).all() and (decoded["degrees"] < 360).all()
        np.testing.assert_array_equal(decoded["label"], [0, 0])

    def test_on_a_line(self):
        head = OrientationHead(8, "pool", circular=False)
        decoded = head.decode(np.eye(8, dtype="float32")[[0, 7, 3]] * 9)
        assert set(decoded) == {"label", "value", "probability"}
        np.testing.assert_array_equal(decoded["label"], [0, 7, 3])
        np.testing.assert_array_equal(decoded["value"], [0, 7, 3])

    def test_decision(self):
        """Neighbours outvote the likeliest bin, which on a line is further away."""
        logits = np.log([[0.26, 0.01, 0.02, 0.01, 0.24, 0.22, 0.22, 0.02]]).astype("float32")
        for kwargs, label in (
            ({}, 0),
            ({"decision": "least_cost"}, 6),
            ({"decision": "least_cost", "circular": False}, 4),
        ):
            assert OrientationHead(8, "pool", **kwargs).decode(logits)["label"] == [label]


@pytest.mark.parametrize("target", TARGETS)
def test_predictions_are_probabilities(target):
    """What a task that is conditioned on this one sees, within a graph."""
    head = OrientationHead(8, "pool", target)
    image = keras.Input((8, 8, 2))
    model = keras.Model(image, [head(image), head.predictions(head(image))])
    assert model.output_shape[1] == (None, 8)
    raw, seen = (ops.convert_to_numpy(x) for x in model(IMAGES))
    np.testing.assert_allclose(seen.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(seen, head.decode(raw)["probability"], atol=1e-6)
    assert np.isfinite(input_gradients(lambda x: head.predictions(x)[0, 0], 0 * raw)).all()


class TestLossAndMetrics:
    def test_loss_is_the_cross_entropy_of_labelled_samples(self):
        logits = RNG.normal(size=(6, 8)).astype("float32")
        by_sample = -log_softmax(logits, axis=1)[np.arange(6), LABELS]
        loss = OrientationHead(8).default_loss()
        for y in (LABELS, LABELS[:, None]):
            expected = by_sample[LABELS >= 0].mean()
            assert float(loss(y, logits)) == pytest.approx(expected, rel=1e-5)

    def test_loss_at_chance(self):
        value = OrientationHead(32).default_loss()(np.arange(32), np.zeros((32, 32)))
        assert float(value) == pytest.approx(3.4657, abs=1e-4)

    def test_metrics(self):
        logits = np.eye(8, dtype="float32")[[0, 6, 4, 1, 1, 2]]
        head = OrientationHead(8)
        found = {}
        for metric in head.default_metrics():
            metric.update_state(LABELS, logits)
            found[metric.name] = float(ops.convert_to_numpy(metric.result()))
        # Bins off, without the unlabelled one: 0, 1, 1, 4, 0.
        assert found == pytest.approx(
            {"accuracy": 2 / 5, "accuracy_within_1": 4 / 5, "mae_degrees": 6 / 5 * 45}
        )
        assert head.primary_metric == ("accuracy", "max")

    @pytest.mark.parametrize("period", [360, 180])
    def test_metrics_of_labels_in_degrees(self, period):
        logits = np.eye(8, dtype="float32")[[0, 6, 4, 1, 1, 2]]
        y = DEGREES * period / 360
        head = OrientationHead(8, labels="degrees", period=period)
        bins = np.abs((y / period * 8 - logits.argmax(axis=1) + 4) % 8 - 4)
        near = np.abs((np.round(y / period * 8) - logits.argmax(axis=1) + 4) % 8 - 4)
        present = ~np.isnan(y)
        expected = {
            "accuracy": np.mean(near[present] == 0),
            "accuracy_within_1": np.mean(near[present] <= 1),
            "mae_degrees": np.mean(bins[present]) * period / 8,
        }
        assert scores(head, y, logits) == pytest.approx(expected, rel=1e-5)
        assert 0 < expected["accuracy"] < expected["accuracy_within_1"] < 1

    def test_metrics_of_sine_and_cosine(self):
        turn = np.array([0.01, 0.9, 0.5, 0.3, 0.6, 0.29])
        xy = np.stack([np.cos(2 * np.pi * turn), np.sin(2 * np.pi * turn)], axis=1)
        head = OrientationHead(8, "pool", "sincos")
        present = LABELS >= 0
        bins = np.abs((turn * 8 - LABELS + 4) % 8 - 4)[present]
        near = np.abs((np.round(turn * 8) - LABELS + 4) % 8 - 4)[present]
        expected = {
            "accuracy": np.mean(near == 0),
            "accuracy_within_1": np.mean(near <= 1),
            "mae_degrees": np.mean(bins) * 45,
        }
        assert scores(head, LABELS, xy.astype("float32")) == pytest.approx(expected, rel=1e-4)

    def test_the_default_on_a_line_does_not_roll_bins(self):
        head = OrientationHead(5, circular=False)
        assert (head.spatial, head.default_feature) == ("flatten", None)
        again = OrientationHead.from_config(head.get_config())
        assert again.get_config() == head.get_config()

    def test_metrics_on_a_line(self):
        head = OrientationHead(8, "pool", circular=False)
        logits = np.eye(8, dtype="float32")[[0, 0, 4, 1, 1, 2]]
        # Bins off, without the unlabelled one: 0, 7, 1, 4, 0.
        assert scores(head, LABELS, logits) == pytest.approx(
            {"accuracy": 2 / 5, "accuracy_within_1": 3 / 5, "mae_bins": 12 / 5}
        )

    def test_metrics_follow_the_decision(self):
        logits = np.log([[0.26, 0.01, 0.02, 0.01, 0.24, 0.22, 0.22, 0.02]]).astype("float32")
        for decision, label in (("likeliest", 0), ("least_cost", 6)):
            head = OrientationHead(8, "pool", decision=decision)
            assert scores(head, np.array([label]), logits)["accuracy"] == 1.0

    def test_losses_by_target(self):
        """Each against its formula, over the labelled samples."""
        present, angle = LABELS >= 0, 2 * np.pi * LABELS / 8
        rng = np.random.default_rng(3)
        logits, xy, phases = (rng.normal(size=(6, n)).astype("float32") for n in (8, 2, 3))
        distance = np.abs((np.arange(8) - LABELS[:, None] + 4) % 8 - 4)
        smooth = softmax(-0.5 * (distance / 0.5) ** 2, axis=1)
        concentration = (8 / (2 * np.pi * 0.5)) ** 2
        mises = softmax(concentration * np.cos(2 * np.pi * distance / 8), axis=1)
        moved = (softmax(logits, axis=1) * distance).sum(axis=1)
        on_line = np.abs(np.arange(8) - LABELS[:, None])
        ordered = softmax(-0.5 * (on_line / 0.5) ** 2, axis=1)
        log_p = log_softmax(logits, axis=1)
        thirds = angle[:, None] + 2 * np.pi * np.arange(1, 4) / 3
        for kwargs, raw, expected in (
            ({"target": "smooth"}, logits, -(smooth * log_p).sum(axis=1)),
            ({"target": "von_mises"}, logits, -(mises * log_p).sum(axis=1)),
            (
                {"target": "smooth", "emd_weight": 0.1},
                logits,
                0.1 * moved - (smooth * log_p).sum(axis=1),
            ),
            ({"target": "smooth", "circular": False}, logits, -(ordered * log_p).sum(axis=1)),
            (
                {"target": "sincos"},
                xy,
                np.mean((xy - np.stack([np.cos(angle), np.sin(angle)], axis=1)) ** 2, axis=1),
            ),
            ({"target": "phase_shift"}, phases, np.mean((phases - np.cos(thirds)) ** 2, axis=1)),
        ):
            loss = OrientationHead(8, "pool", **kwargs).default_loss()
            assert float(loss(LABELS, raw)) == pytest.approx(expected[present].mean(), rel=1e-4)

    def test_loss_of_labels_in_degrees(self):
        logits = RNG.normal(size=(6, 8)).astype("float32")
        nearest = np.round(np.nan_to_num(DEGREES) / 45).astype(int) % 8
        by_sample = -log_softmax(logits, axis=1)[np.arange(6), nearest]
        head = OrientationHead(8, labels="degrees")
        expected = by_sample[~np.isnan(DEGREES)].mean()
        for y in (DEGREES, DEGREES[:, None], DEGREES + 720, DEGREES - 360):
            head.validate_labels(y)
            assert float(head.default_loss()(y, logits)) == pytest.approx(expected, rel=1e-4)


def scores(head, y, raw):
    found = {}
    for metric in head.default_metrics():
        metric.update_state(y, raw)
        found[metric.name] = float(ops.convert_to_numpy(metric.result()))
    return found


class TestRotation:
    """What a head sees of the image's rotation, with whatever weights."""

    images = np.random.default_rng(1).random((4, 16, 16, 1)).astype("float32")

    def small(self, **kwargs):
        polar = {"spatial": "polar", "filters": (4, 8), "hidden_units": 8}
        return OrientationHead(32, **({} if "spatial" in kwargs else polar), **kwargs)

    def assert_equivariant(self, head, tolerance=1e-4):
        expected = outputs(head, self.images)
        assert np.ptp(expected, axis=1).min() > 100 * tolerance  # else the test says nothing
        for quarters in (1, 2, 3):
            turned = outputs(head, np.rot90(self.images, quarters, axes=(1, 2)))
            np.testing.assert_allclose(turned, np.roll(expected, 8 * quarters, 1), atol=tolerance)

    def test_polar_rolls_the_logits(self):
        self.assert_equivariant(self.small())

    def test_polar_rolls_the_logits_after_training(self):
        head = self.small()
        image = keras.Input((16, 16, 1))
        model = keras.Model(image, head(image))
        model.compile(keras.optimizers.Adam(0.01), head.default_loss())
        for _ in range(4):
            model.train_on_batch(self.images, np.array([3, 30, 17, 8]))
        self.assert_equivariant(head)

    @pytest.mark.parametrize("period", [360, 180, 90])
    @pytest.mark.parametrize("spatial", ["polar", "orbit"])
    def test_period(self, spatial, period):
        """A quarter turn is so much of the period, modulo the whole of it."""
        options = {"filters": (4, 8)} if spatial == "polar" else {}
        head = OrientationHead(16, spatial, period=period, hidden_units=16, **options)
        expected, *turned = self.of_turns(head, spatial)
        assert np.ptp(expected, axis=1).min() > 1e-2
        for quarters, found in enumerate(turned, start=1):
            roll = 16 // 4 * (360 // period) * quarters
            np.testing.assert_allclose(found, np.roll(expected, roll, axis=1), atol=1e-4)

    @pytest.mark.parametrize("target", TARGETS)
    @pytest.mark.parametrize("spatial", ["polar", "orbit"])
    def test_predictions_turn_with_the_image(self, spatial, target):
        """Whatever they are predicted by."""
        options = {"filters": (4, 8)} if spatial == "polar" else {}
        head = OrientationHead(16, spatial, target, hidden_units=16, **options)
        plain, turned, _, _ = (head.decode(raw) for raw in self.of_turns(head, spatial))
        gap = (turned["degrees"] - plain["degrees"] - 90 + 180) % 360 - 180
        np.testing.assert_allclose(gap, 0, atol=0.5)
        rolled = np.roll(plain["probability"], 4, axis=1)
        np.testing.assert_allclose(turned["probability"], rolled, atol=1e-3)

    def of_turns(self, head, spatial):
        """The outputs for the image turned by 0, 90, 180 and 270 degrees."""
        if spatial == "polar":
            return [outputs(head, np.rot90(self.images, k, axes=(1, 2)).copy()) for k in range(4)]
        conv = keras.layers.Conv2D(4, 3, strides=2, padding="same", activation="relu")
        orbit = RotationOrbit(conv)
        return [
            outputs(head, orbit(np.rot90(self.images, k, axes=(1, 2)).copy())) for k in range(4)
        ]

    def test_pool_sees_nothing(self):
        head = self.small(spatial="pool")
        expected = outputs(head, self.images)
        turned = outputs(head, np.rot90(self.images, axes=(1, 2)))
        np.testing.assert_allclose(turned, expected, atol=1e-5)
        assert not np.allclose(expected[0], expected[1], atol=1e-4)  # but it does see the image

    def test_flatten_is_not_equivariant(self):
        head = self.small(spatial="flatten")
        expected = outputs(head, self.images)
        turned = outputs(head, np.rot90(self.images, axes=(1, 2)))
        assert not np.allclose(turned, np.roll(expected, 8, axis=1), atol=1e-2)
        assert not np.allclose(turned, expected, atol=1e-2)


class TestArguments:
    def test_design_and_feature(self):
        assert OrientationHead(8).default_feature == ("input", "last")
        assert OrientationHead(8, spatial="polar").default_feature == "input"
        assert OrientationHead(8, spatial="gradient_histogram").default_feature == "input"
        for spatial in ("flatten", "pool", "coord", "spatial_softmax", "attention", "orbit"):
            assert OrientationHead(8, spatial=spatial).default_feature is None
        for spatial in SPATIAL_DESIGNS:
            assert OrientationHead(8, spatial=spatial).reads_orbit == (spatial == "orbit")

    @pytest.mark.parametrize(
        ("kwargs", "message"),
        [
            ({"num_bins": 1}, r"num_bins >= 2\. Received: num_bins=1"),
            ({"spatial": "spiral"}, r"'pool', 'flatten', .*'polar'.*Received: spatial='spiral'"),
            ({"target": "vector"}, r"'onehot'.*Received: target='vector'"),
            ({"labels": "radians"}, r"'bins', 'degrees'.*Received: labels='radians'"),
            ({"decision": "mean"}, r"'likeliest', 'least_cost'.*Received: decision='mean'"),
            ({"width": 1.0}, r"'smooth', 'von_mises'.*Received: width=1\.0, target='onehot'"),
            ({"target": "sincos", "width": 1.0}, r"Received: width=1\.0, target='sincos'"),
            ({"target": "smooth", "width": -1.0}, r"width >= 0.*width=-1\.0"),
            (
                {"target": "sincos", "emd_weight": 0.1},
                r"only with logits.*'onehot', 'smooth', 'von_mises'.*emd_weight=0\.1, target='sinc",
            ),
            ({"target": "multibin", "emd_weight": 0.1}, r"emd_weight=0\.1, target='multibin'"),
            ({"emd_weight": -0.1}, r"emd_weight >= 0.*emd_weight=-0\.1"),
            ({"period": 100}, r"divides 360 degrees, such as 180.*Received: period=100"),
            ({"period": 0}, r"Received: period=0"),
            ({"period": -90}, r"Received: period=-90"),
            ({"period": 720}, r"Received: period=720"),
            ({"period": float("nan")}, r"Received: period=nan"),
            (
                {"circular": False, "spatial": "polar"},
                r"on a line.*one of \['pool', 'flatten'.*Received: spatial='polar'",
            ),
            ({"circular": False, "spatial": "orbit"}, r"Received: spatial='orbit'"),
            ({"circular": False, "spatial": "pool", "labels": "degrees"}, r"labels='degrees'"),
            ({"circular": False, "spatial": "pool", "period": 180}, r"period=180"),
            ({"circular": False, "spatial": "pool", "target": "sincos"}, r"Expected bins on a c"),
            ({"circular": False, "spatial": "pool", "target": "multibin"}, r"bins on a circle"),
            ({"circular": False, "spatial": "pool", "target": "von_mises"}, r"on a circle only"),
            ({"num_bins": 10, "spatial": "orbit"}, r"quarters\. Received: num_bins=10, folds=1"),
            ({"spatial": "gradient_histogram", "cells": 0}, r"cells >= 1\. Received: cells=0"),
            ({"jitter": 1.0}, r"jitter in \[0, 1\)\. Received: jitter=1\.0"),
            (
                {"spatial": "polar", "bottleneck": 8},
                r'that spatial="polar" has no use for\. Received: bottleneck=8',
            ),
            (
                {"spatial": "orbit", "jitter": 0.1},
                r'"orbit" has no use for\. Received: jitter=0\.1',
            ),
            ({"spatial": "pool", "bottleneck": -1}, r"bottleneck >= 0\. Received: bottleneck=-1"),
            ({"filters": ()}, r"filters >= 1, at least one\. Received: filters=\(\)"),
            ({"filters": (4, 0)}, r"Received: filters=\(4, 0\)"),
            ({"hidden_units": 0}, r"hidden_units >= 1\. Received: hidden_units=0"),
            ({"num_radii": 0}, r"num_radii >= 1\. Received: num_radii=0"),
            ({"dropout": 2.0}, "2.0"),
            ({"data_format": "last"}, r"Received: data_format='last'"),
            ({"spatial": "pool", "data_format": "last"}, r"Received: data_format='last'"),
            (
                {"spatial": "pool", "filters": (8,)},
                r'no argument that spatial="pool" has no use for\. Received: filters=\(8,\)',
            ),
            (
                {"spatial": "flatten", "num_radii": 4, "filters": (8,), "dropout": 0.1},
                r'spatial="flatten" has no use for\. Received: filters=\(8,\), num_radii=4',
            ),
        ],
    )
    def test_errors(self, kwargs, message):
        with pytest.raises(ValueError, match=message):
            OrientationHead(**{"num_bins": 8, **kwargs})

    def test_no_map(self):
        for shape in ((2, 16), (2, 16, 3)):
            message = rf"two spatial axes.*Received: input_shape={re.escape(str(shape))}"
            for spatial in ("polar", "gradient_histogram", "coord"):
                with pytest.raises(ValueError, match=message):
                    OrientationHead(8, spatial=spatial).build(shape)
        with pytest.raises(ValueError, match=r"known height and width.*\(None, None, 8, 1\)"):
            OrientationHead(8)(keras.Input((None, 8, 1)))

    @pytest.mark.parametrize("spatial", [name for name in DESIGNS if name != "orbit"])
    def test_turns_are_for_orbit(self, spatial):
        """Nor does a map of four rows pass for turns, or turns for a map."""
        message = rf"Received: spatial='{spatial}', input_shape=\(6, 4, 8, 8, 2\)"
        with pytest.raises(ValueError, match=message):
            OrientationHead(8, spatial=spatial)(ORBIT)
        assert OrientationHead(8, spatial=spatial)(IMAGES[:, :4]).shape == (6, 8)
        with pytest.raises(ValueError, match=r"4 turns.*Received: input_shape=\(6, 4, 8, 2\)"):
            OrientationHead(8, spatial="orbit")(IMAGES[:, :4])

    def test_no_hidden_layer(self):
        head = OrientationHead(8, spatial="flatten", hidden_units=0)
        head.build((None, 4, 4, 2))
        shapes = [tuple(weight.shape) for weight in head.trainable_weights]
        assert shapes[-2:] == [(32, 8), (8,)]


def sampled(count):
    return [
        space.sample(OrientationHead.search_space(), np.random.default_rng(seed))
        for seed in range(count)
    ]


def test_search_space():
    """All samples build; one of each design also runs."""
    seen = set()
    for point in sampled(40):
        head = OrientationHead(8, **point)
        config = head.get_config()
        assert {name: config[name] for name in point} == point
        if point["spatial"] not in seen:
            seen.add(point["spatial"])
            assert np.isfinite(outputs(head, feature(point["spatial"]))).all()
    assert seen == set(SPATIAL_DESIGNS)


@pytest.mark.parametrize("num_bins", [2, 8, 10])
def test_search_space_can_be_built(num_bins):
    """All of it; but without quarters there is no orbit, as the search finds by itself."""
    plain = {"hidden_units": 64, "dropout": 0.5}
    for point in space.points(space.override(OrientationHead.search_space(), plain), resolution=2):
        if point["spatial"] == "orbit" and num_bins % 4:
            with pytest.raises(ValueError, match="divided into quarters"):
                OrientationHead(num_bins, **point)
        else:
            assert OrientationHead(num_bins, **point).spatial == point["spatial"]


def test_search_space_has_every_choice_where_it_means_something():
    points = sampled(100)
    targets = {point["target"] for point in points}
    assert targets == {"onehot", "smooth", "von_mises", "sincos", "phase_shift"}
    for point in points:
        assert ("filters" in point) == (point["spatial"] in ("polar", "polar_and_flatten"))
        assert ("width" in point) == (point["target"] in ("smooth", "von_mises"))
        assert ("emd_weight" in point) == (point["target"] in ("onehot", "smooth", "von_mises"))
