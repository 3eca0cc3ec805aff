"""Polar resampling, against SciPy's interpolation and exact symmetries."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import map_coordinates

from mtlkit.layers import PolarResample
from mtlkit.testing import LayerTestCase, input_gradients

# Each shape is compiled anew by JAX.
EXAMPLES = 6 if keras.backend.backend() == "jax" else 25
LAST = {"data_format": "channels_last"}


def maps(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def resample(x, *args, **kwargs):
    return keras.ops.convert_to_numpy(PolarResample(*args, **(LAST | kwargs))(x))


def reference(x, num_angles, num_radii):
    """Circles around the centre, the first angle to the right and the second further up."""
    height, width = x.shape[1:3]
    reach = (min(height, width) - 1) / 2
    radius = np.linspace(0, reach, num_radii + 1)[1:]
    turn = np.exp(2j * np.pi * np.arange(num_angles) / num_angles)
    points = radius[:, None] * turn
    rows, columns = (height - 1) / 2 - points.imag, (width - 1) / 2 + points.real
    sampled = [
        [map_coordinates(image[..., c], [rows, columns], order=1, mode="nearest")
         for c in range(x.shape[3])]
        for image in x.astype("float64")
    ]  # fmt: skip
    return np.moveaxis(np.asarray(sampled), 1, -1)


class TestPolarResample(LayerTestCase):
    @pytest.mark.parametrize(
        ("init_kwargs", "shape", "expected"),
        [
            ({"num_angles": 6}, (3, 8, 8, 2), (3, 4, 6, 2)),
            ({"num_angles": 5, "num_radii": 3} | LAST, (2, 7, 9, 1), (2, 3, 5, 1)),
            ({"num_angles": 4, "data_format": "channels_first"}, (2, 3, 6, 5), (2, 3, 2, 4)),
            ({"num_angles": 6, "jitter": 0.1, "seed": 3} | LAST, (3, 8, 8, 2), (3, 4, 6, 2)),
        ],
    )
    def test_layer(self, init_kwargs, shape, expected):
        self.run_layer_test(
            PolarResample, init_kwargs, maps(*shape), expected_output_shape=expected
        )


@settings(max_examples=EXAMPLES)
@given(
    st.integers(1, 9), st.integers(1, 9), st.integers(1, 12), st.integers(1, 6), st.integers(0, 99)
)
def test_agrees_with_scipy(height, width, num_angles, num_radii, seed):
    x = maps(2, height, width, 2, seed=seed)
    np.testing.assert_allclose(
        resample(x, num_angles, num_radii),
        reference(x, num_angles, num_radii),
        rtol=1e-4,
        atol=1e-5,
    )


@pytest.mark.parametrize("size", [1, 2, 7, 8])
@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_quarter_turns_roll_the_angles_exactly(size, quarters):
    x = maps(2, size, size, 3)
    turned = np.rot90(x, quarters, axes=(1, 2)).copy()
    np.testing.assert_allclose(
        resample(turned, 12), np.roll(resample(x, 12), 3 * quarters, axis=2), atol=1e-5
    )


def test_small_turns_roll_the_angles_of_smooth_maps():
    # Independent of the grid: a smooth pattern, drawn at any angle by its formula.
    steps = 16
    y, x = np.mgrid[15.5:-16:-1, -15.5:16]  # the first row is the highest

    def drawn(angle):
        turned = (x + 1j * y) * np.exp(-1j * angle)
        return np.exp(-(((turned.real - 5) / 12) ** 2) - (turned.imag / 8) ** 2)

    first, turned = (
        resample(drawn(angle).astype("float32")[None, ..., None], steps)
        for angle in (0, 2 * np.pi / steps)
    )
    np.testing.assert_allclose(turned, np.roll(first, 1, axis=2), atol=0.01)
    assert np.abs(turned - np.roll(first, -1, axis=2)).max() > 0.1


def test_channels_first_is_the_transposed_channels_last():
    x = maps(2, 7, 9, 3)
    first = resample(np.moveaxis(x, 3, 1), 10, 3, data_format="channels_first")
    np.testing.assert_array_equal(np.moveaxis(first, 1, 3), resample(x, 10, 3))


def test_data_format_follows_the_configuration():
    assert PolarResample(4).data_format == keras.config.image_data_format()


def test_constant_maps_stay_constant():
    np.testing.assert_allclose(resample(np.full((1, 5, 8, 1), 3.0), 7), 3, rtol=1e-6)


def test_gradient_is_the_adjoint():
    # The map is linear: <A x, c> = <x, A' c> for all x, where A' c is the gradient.
    x, c = maps(2, 6, 6, 1), maps(2, 3, 8, 1, seed=1)
    layer, cotangent = PolarResample(8, **LAST), keras.ops.convert_to_tensor(c)
    gradient = input_gradients(lambda x: keras.ops.sum(layer(x) * cotangent), maps(2, 6, 6, 1))
    np.testing.assert_allclose(np.sum(gradient * x), np.sum(resample(x, 8) * c), rtol=1e-4)


def drawn(count, call, seed):
    """Numbers in [-1, 1] from Wellons' lowbias32, in unsigned arithmetic."""

    def hashed(x):
        x = np.atleast_1d(x).astype("uint32")
        for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
            x = (x ^ (x >> np.uint32(shift))) * np.uint32(factor)
        return x ^ (x >> np.uint32(16))

    key = hashed((call + seed * 0x9E3779B9) % 2**32)
    bits = hashed(np.arange(1, count + 1, dtype="uint32") ^ key) & np.uint32(0x7FFFFFFF)
    return bits * 2.0**-30 - 1


def jittered_reference(x, num_angles, num_radii, jitter, call, seed):
    """Circles as above, of another radius and around another centre for each image."""
    (batch, height, width, channels), found = x.shape, []
    reach = (min(height, width) - 1) / 2
    radius = np.linspace(0, reach, num_radii + 1)[1:, None]
    points = radius * np.exp(2j * np.pi * np.arange(num_angles) / num_angles)
    for image, (grow, down, right) in zip(
        x.astype("float64"), jitter * drawn(3 * batch, call, seed).reshape(batch, 3), strict=True
    ):
        rows = (height - 1) / 2 + reach * down - (1 + grow) * points.imag
        columns = (width - 1) / 2 + reach * right + (1 + grow) * points.real
        found.append([
            map_coordinates(image[..., c], [rows, columns], order=1, mode="nearest")
            for c in range(channels)
        ])  # fmt: skip
    return np.moveaxis(np.asarray(found), 1, -1)


class TestJitter:
    x = maps(3, 8, 9, 2)

    def calls(self, layer, count, x=None):
        x = self.x if x is None else x
        return [keras.ops.convert_to_numpy(layer(x, training=True)) for _ in range(count)]

    @pytest.mark.parametrize("seed", [0, 5])
    def test_scipy_agrees(self, seed):
        """So it is the same on every backend."""
        layer = PolarResample(12, 3, jitter=0.2, seed=seed, **LAST)
        for call, found in enumerate(self.calls(layer, 3), start=1):
            expected = jittered_reference(self.x, 12, 3, 0.2, call, seed)
            np.testing.assert_allclose(found, expected, atol=1e-4)

    @pytest.mark.parametrize("shape", [(1, 1), (1, 5), (5, 1), (2, 2)])
    def test_small_maps(self, shape):
        x = maps(2, *shape, 1)
        (found,) = self.calls(PolarResample(6, 2, jitter=0.9, **LAST), 1, x)
        np.testing.assert_allclose(found, jittered_reference(x, 6, 2, 0.9, 1, 0), atol=1e-4)

    def test_channels_first(self):
        first = PolarResample(12, 3, jitter=0.2, data_format="channels_first")
        (found,) = self.calls(first, 1, np.moveaxis(self.x, -1, 1))
        (expected,) = self.calls(PolarResample(12, 3, jitter=0.2, **LAST), 1)
        np.testing.assert_allclose(np.moveaxis(found, 1, -1), expected, atol=1e-6)

    def test_off_in_inference(self):
        layer = PolarResample(12, jitter=0.2, **LAST)
        self.calls(layer, 2)
        found = keras.ops.convert_to_numpy(layer(self.x, training=False))
        np.testing.assert_array_equal(found, resample(self.x, 12))

    def test_differs_by_image_call_and_seed(self):
        same = np.repeat(self.x[:1], 3, axis=0)
        layer = PolarResample(12, jitter=0.2, **LAST)
        first, second = self.calls(layer, 2, same)
        (other,) = self.calls(PolarResample(12, jitter=0.2, seed=1, **LAST), 1, same)
        distinct = [*first, *second, *other]
        for i, one in enumerate(distinct):
            assert all(np.abs(one - two).max() > 0.01 for two in distinct[:i])

    def test_goes_on_where_it_was(self, tmp_path):
        """A saved layer draws as one that was never interrupted."""
        inputs = keras.Input((8, 9, 2))
        model = keras.Model(inputs, PolarResample(12, jitter=0.2, **LAST)(inputs))
        _, expected = self.calls(model, 2)
        again = keras.Model(inputs, PolarResample(12, jitter=0.2, **LAST)(inputs))
        self.calls(again, 1)
        again.save(tmp_path / "model.keras")
        (found,) = self.calls(keras.saving.load_model(tmp_path / "model.keras"), 1)
        np.testing.assert_array_equal(found, expected)

    def test_without_jitter_nothing_is_counted(self):
        for jitter, weights in ((0.0, 0), (0.1, 1)):
            layer = PolarResample(12, jitter=jitter, **LAST)
            layer.build(self.x.shape)
            assert len(layer.weights) == weights and not layer.trainable_weights
        layer = PolarResample(12, **LAST)
        np.testing.assert_array_equal(self.calls(layer, 1)[0], resample(self.x, 12))

    def test_angles_stay_nearly_as_they_are(self):
        """A smooth pattern, read with the default jitter of heads, still has its direction."""
        y, x = np.mgrid[15.5:-16:-1, -15.5:16]
        angles = 2 * np.pi * np.arange(32) / 32
        ramps = [np.cos(a) * x + np.sin(a) * y for a in angles]
        polar = PolarResample(64, 8, jitter=0.08, **LAST)
        errors = []
        for found in self.calls(polar, 4, np.float32(ramps)[..., None]):
            moment = found[..., 0].sum(axis=1) @ np.exp(2j * np.pi * np.arange(64) / 64)
            errors.append(np.angle(moment * np.exp(-1j * angles), deg=True))
        assert np.abs(errors).max() < 3  # a bin of 32 has 11 degrees
        assert np.std(errors) > 0  # but it did vary

    def test_unknown_batch_size(self):
        """The last batch of an epoch is smaller; the compiled step takes both."""
        inputs = keras.Input((8, 9, 2))
        x = PolarResample(12, jitter=0.2, **LAST)(inputs)
        model = keras.Model(inputs, keras.layers.Dense(1)(keras.layers.Flatten()(x)))
        model.compile("sgd", "mse")
        model.fit(self.x, np.zeros((3, 1)), batch_size=2, epochs=2, verbose=0)
        assert int(model.layers[1].calls) == 4

    @pytest.mark.parametrize("jitter", [-0.1, 1.0])
    def test_bad_jitter(self, jitter):
        with pytest.raises(ValueError, match=rf"jitter in \[0, 1\)\. Received: jitter={jitter}"):
            PolarResample(4, jitter=jitter)


@pytest.mark.parametrize(
    ("init_kwargs", "message"),
    [
        ({"num_angles": 0}, "Expected num_angles >= 1. Received: num_angles=0"),
        ({"num_angles": 4, "num_radii": 0}, "Expected num_radii >= 1. Received: num_radii=0"),
        ({"num_angles": 4, "num_radii": -2}, "Received: num_radii=-2"),
        ({"num_angles": 4, "data_format": "last"}, "Expected data_format .*='last'"),
    ],
)
def test_bad_arguments(init_kwargs, message):
    with pytest.raises(ValueError, match=message):
        PolarResample(**init_kwargs)


@pytest.mark.parametrize("shape", [(None, 8, 3), (8, None, 3)])
def test_size_must_be_known(shape):
    with pytest.raises(ValueError, match=r"Expected a map of known height and width.*None"):
        PolarResample(4, **LAST)(keras.Input(shape))


def test_input_must_be_a_map():
    with pytest.raises(ValueError, match="expected ndim=4, found ndim=3"):
        PolarResample(4)(maps(2, 8, 8))


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_size_must_not_change(data_format):
    layer = PolarResample(4, data_format=data_format)
    layer(maps(2, 8, 8, 8))
    layer(maps(3, 8, 8, 8))
    with pytest.raises(ValueError, match="incompatible with the layer"):
        layer(maps(2, 9, 9, 9))
