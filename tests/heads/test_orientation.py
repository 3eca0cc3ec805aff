"""OrientationHead: a bin on a circle, by three spatial designs."""

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
from mtlkit.testing import LayerTestCase

RNG = np.random.default_rng(0)
IMAGES = RNG.normal(size=(6, 8, 8, 2)).astype("float32")
LABELS = np.array([0, 7, 3, -1, 5, 2])
SMALL = {"num_bins": 8, "hidden_units": 6}


def outputs(head, x):
    return ops.convert_to_numpy(head(x))


class TestContract(LayerTestCase):
    @pytest.mark.parametrize(
        ("kwargs", "features"),
        [
            ({"filters": [3, 4], "num_radii": 3, "dropout": 0.1}, IMAGES),
            ({"spatial": "flatten"}, IMAGES),
            ({"spatial": "pool", "dropout": 0.2}, IMAGES),
        ],
        ids=["polar", "flatten", "pool"],
    )
    def test_head(self, kwargs, features):
        self.run_head_test(
            OrientationHead,
            {**SMALL, **kwargs},
            features,
            LABELS,
            bad_labels=[LABELS + 1, LABELS.astype("float32"), LABELS[:, None, None]],
            expected_output_shape=(6, 8),
        )


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
        assert list(decoded) == ["label", "degrees", "probability", "resultant_length"]
        assert decoded["label"].dtype == "int64" and decoded["probability"].shape == (3, 8)


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


class TestRotation:
    """What a head sees of the image's rotation, with whatever weights."""

    images = np.random.default_rng(1).random((4, 16, 16, 1)).astype("float32")

    def small(self, **kwargs):
        options = {"filters": (4, 8), "hidden_units": 8} if "spatial" not in kwargs else {}
        return OrientationHead(32, **options, **kwargs)

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
        assert OrientationHead(8).default_feature == "input"
        assert OrientationHead(8, spatial="flatten").default_feature is None
        assert OrientationHead(8, spatial="pool").default_feature is None

    @pytest.mark.parametrize(
        ("kwargs", "message"),
        [
            ({"num_bins": 1}, r"num_bins >= 2\. Received: num_bins=1"),
            ({"spatial": "spiral"}, r"'pool', 'flatten', 'polar'.*Received: 'spiral'"),
            ({"target": "vector"}, r"'onehot'.*Received: 'vector'"),
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
            with pytest.raises(ValueError, match=message):
                OrientationHead(8)(np.zeros(shape, "float32"))
        with pytest.raises(ValueError, match=r"known height and width.*\(None, None, 8, 1\)"):
            OrientationHead(8)(keras.Input((None, 8, 1)))

    def test_no_hidden_layer(self):
        head = OrientationHead(8, spatial="flatten", hidden_units=0)
        head.build((None, 4, 4, 2))
        shapes = [tuple(weight.shape) for weight in head.trainable_weights]
        assert shapes[-2:] == [(32, 8), (8,)]


@pytest.mark.parametrize("seed", [0, 1, 4, 11])  # each design, and many filters
def test_search_space(seed):
    point = space.sample(OrientationHead.search_space(), np.random.default_rng(seed))
    head = OrientationHead(8, **point)
    assert np.isfinite(outputs(head, IMAGES)).all()
    config = head.get_config()
    assert {name: config[name] for name in point} == point


def test_search_space_has_every_design():
    points = [
        space.sample(OrientationHead.search_space(), np.random.default_rng(seed))
        for seed in range(30)
    ]
    assert {point["spatial"] for point in points} == {"pool", "flatten", "polar"}
    assert all(("filters" in point) == (point["spatial"] == "polar") for point in points)
