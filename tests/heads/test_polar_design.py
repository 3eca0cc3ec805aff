"""PolarDesign: turning the image rolls the outputs."""

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras import ops

from mtlkit.heads.designs import PolarDesign
from mtlkit.testing import LayerTestCase, input_gradients

SMALL = {"filters": (4, 6), "hidden_units": 5}


def images(size=16, count=2, channels=1, seed=0):
    rng = np.random.default_rng(seed)
    return rng.random((count, size, size, channels)).astype("float32")


def make(num_bins, seed=0, **kwargs):
    keras.utils.set_random_seed(seed)
    return PolarDesign(num_bins, **{**SMALL, "data_format": "channels_last", **kwargs})


def outputs(design, x):
    return ops.convert_to_numpy(design(x))


class TestContract(LayerTestCase):
    def test_saved_by_itself(self):
        """All else is checked on the head that has this design."""
        kwargs = {"num_bins": 4, "channels": 2, "folds": 2, **SMALL, "dropout": 0.2}
        kwargs |= {"jitter": 0.1, "num_radii": 3}
        self.check_config(PolarDesign, kwargs, images(8, channels=3))
        self.check_saving(PolarDesign, kwargs, images(8, channels=3))


class TestEquivariance:
    @pytest.mark.parametrize("size", [15, 16, 31])
    def test_sizes(self, size):
        self.check(make(32), images(size))

    @pytest.mark.parametrize("units", [4, 8, 12, 360])
    def test_units(self, units):
        self.check(make(units, hidden_units=64), images())  # enough that none is dead

    @pytest.mark.parametrize(
        "options",
        [{"num_radii": 40}, {"filters": (3, 4, 5, 6)}],
        ids=str,
    )
    def test_options(self, options):
        self.check(make(32, **options), images())

    @pytest.mark.parametrize("units", [2, 6])
    def test_half_turns(self, units):
        """Where a quarter of the circle is no whole number of outputs."""
        design, x = make(units), images()
        turned = outputs(design, np.rot90(x, 2, axes=(1, 2)))
        np.testing.assert_allclose(turned, np.roll(outputs(design, x), units // 2, 1), atol=1e-4)

    def test_several_channels(self):
        self.check(make(32), images(channels=3))

    def test_several_outputs_a_bin(self):
        """All outputs of a bin move together."""
        design, x = make(8, channels=2), images()
        expected = outputs(design, x).reshape(2, 8, 2)
        assert np.abs(expected[..., 0] - expected[..., 1]).max() > 1e-2
        turned = outputs(design, np.rot90(x, axes=(1, 2))).reshape(2, 8, 2)
        np.testing.assert_allclose(turned, np.roll(expected, 2, axis=1), atol=1e-4)

    @pytest.mark.parametrize("folds", [2, 3, 4])
    def test_folds(self, folds):
        """Bins that go around several times: a quarter turn is `folds * num_bins / 4` bins."""
        design, x = make(8, folds=folds, hidden_units=16), images()
        expected = outputs(design, x)
        assert expected.shape == (2, 8) and np.ptp(expected, axis=1).min() > 1e-2
        for quarters in (1, 2, 3):
            turned = outputs(design, np.rot90(x, quarters, axes=(1, 2)))
            rolled = np.roll(expected, 2 * folds * quarters, axis=1)
            np.testing.assert_allclose(turned, rolled, atol=1e-4)

    def test_channels_first(self):
        design = make(32, data_format="channels_first")
        x = images()
        expected = outputs(design, np.moveaxis(x, -1, 1))
        turned = np.moveaxis(np.rot90(x, axes=(1, 2)), -1, 1)
        np.testing.assert_allclose(outputs(design, turned), np.roll(expected, 8, 1), atol=1e-4)

    def check(self, design, x):
        expected = outputs(design, x)
        quarter = design.units // 4
        assert np.ptp(expected, axis=1).min() > 1e-2  # else the test says nothing
        for quarters in (1, 2, 3):
            turned = outputs(design, np.rot90(x, quarters, axes=(1, 2)))
            np.testing.assert_allclose(turned, np.roll(expected, quarter * quarters, 1), atol=1e-4)


def test_images_of_integers():
    x = np.random.default_rng(0).integers(256, size=(2, 16, 16, 1)).astype("uint8")
    design = make(16)
    np.testing.assert_allclose(outputs(design, x), outputs(design, x.astype("float32")), atol=1e-5)


def test_channels_first_gives_the_same():
    x = images(channels=2)
    last, first = make(16), make(16, seed=1, data_format="channels_first")
    expected, other = outputs(last, x), outputs(first, np.moveaxis(x, -1, 1))
    assert not np.allclose(other, expected, atol=1e-3)
    first.set_weights(last.get_weights())
    np.testing.assert_allclose(outputs(first, np.moveaxis(x, -1, 1)), expected, atol=1e-5)


class TestBrightness:
    design = None

    @given(contrast=st.floats(0.5, 50), brightness=st.floats(-5, 5))
    def test_brightness_and_contrast_do_not_matter(self, contrast, brightness):
        if TestBrightness.design is None:
            TestBrightness.design = make(16)
        x = images()
        expected = outputs(self.design, x)
        found = outputs(self.design, np.float32(contrast) * x + np.float32(brightness))
        np.testing.assert_allclose(found, expected, atol=0.01 * np.abs(expected).max())

    def test_the_sign_of_contrast_matters(self):
        design = make(16)
        assert not np.allclose(outputs(design, images()), outputs(design, -images()), rtol=0.1)

    def test_constant_image(self):
        """Nothing to see: no orientation stands out, and nothing is NaN."""
        found = outputs(make(16), np.full((1, 16, 16, 1), 0.3, "float32"))
        np.testing.assert_allclose(found, np.full((1, 16), found[0, 0]), atol=1e-4)


@pytest.mark.parametrize("units", [2, 3, 5, 8, 32])
def test_no_angle_is_skipped(units):
    """With few outputs the map's angles are many more: each of them reaches the first layer."""
    design = make(units)
    design.build((None, 16, 16, 1))
    angles = design.resample.compute_output_shape((1, 16, 16, 1))[2]
    assert angles >= 64 and angles % units == 0
    conv = design.convs[0]
    # Positive all through, so that no effect cancels another or dies in a ReLU.
    conv.set_weights([np.ones(weight.shape) for weight in conv.get_weights()])
    polar = np.ones((1, 8, angles, 1), "float32")
    gradient = input_gradients(lambda x: ops.sum(conv(x)), polar)
    assert (gradient > 0).all()
    assert tuple(conv(polar).shape) == (1, 4, units, 4)


def test_jitter_in_training_only():
    design, x = make(8, dropout=0.0, jitter=0.2), images()
    still = outputs(design, x)
    np.testing.assert_array_equal(outputs(design, x), still)
    one, two = (ops.convert_to_numpy(design(x, training=True)) for _ in range(2))
    assert np.abs(one - still).max() > 1e-3 and np.abs(one - two).max() > 1e-3
    fixed = make(8, dropout=0.0, jitter=0.0)
    np.testing.assert_allclose(
        ops.convert_to_numpy(fixed(x, training=True)), outputs(fixed, x), atol=1e-6
    )


def test_every_output_sees_the_whole_image():
    design = make(8, dropout=0.0, filters=(8, 16), hidden_units=64)  # no dead ends by chance
    x = images(12, count=1)
    for output in (0, 3):
        gradient = input_gradients(lambda x, output=output: design(x)[0, output], x)
        reach = np.hypot(*(np.indices((12, 12)) - 5.5)) <= 5.5
        assert np.mean(gradient[0, :, :, 0][reach] != 0) > 0.95


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"num_bins": 0}, r"units >= 1\. Received: units=0"),
        ({"num_bins": 8, "folds": 0}, r"folds >= 1\. Received: folds=0"),
        ({"num_bins": 8, "jitter": 1.5}, r"jitter in \[0, 1\)\. Received: jitter=1\.5"),
        ({"num_bins": 8, "hidden_units": 0}, r"hidden_units >= 1\. Received: hidden_units=0"),
        ({"num_bins": 8, "filters": []}, r"filters >= 1, at least one\. Received: filters=\[\]"),
        ({"num_bins": 8, "filters": (4, -1)}, r"Received: filters=\(4, -1\)"),
        ({"num_bins": 8, "data_format": "last"}, r"Received: data_format='last'"),
        ({"num_bins": 8, "num_radii": 0}, r"num_radii >= 1\. Received: num_radii=0"),
    ],
)
def test_errors(kwargs, message):
    with pytest.raises(ValueError, match=message):
        PolarDesign(**kwargs)


def test_shape_unknown():
    with pytest.raises(ValueError, match="known height and width"):
        make(8)(keras.Input((None, None, 1)))
