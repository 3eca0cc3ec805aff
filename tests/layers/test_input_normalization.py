"""InputNormalization: standardisation by channel, adapted to images."""

import tracemalloc

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras import ops
from sklearn.preprocessing import StandardScaler

from mtlkit.layers import InputNormalization
from mtlkit.testing import LayerTestCase

RNG = np.random.default_rng(0)
# Channels of quite different scales.
IMAGES = RNG.normal([0.5, -30, 2000], [0.25, 7, 0.5], size=(20, 5, 4, 3)).astype("float32")


def adapted(images=IMAGES, **kwargs):
    layer = InputNormalization(**{"data_format": "channels_last", **kwargs})
    layer.adapt(images)
    return layer


def normalized(layer, x):
    return ops.convert_to_numpy(ops.cast(layer(x), "float32"))


def scaler(images=IMAGES):
    return StandardScaler().fit(images.reshape(-1, images.shape[-1]).astype("float64"))


def standardized(x, by=IMAGES):
    """By scikit-learn, in float64."""
    return scaler(by).transform(x.reshape(-1, x.shape[-1]).astype("float64")).reshape(x.shape)


class TestContract(LayerTestCase):
    @pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
    def test_layer(self, data_format):
        x = IMAGES[:3] if data_format == "channels_last" else np.moveaxis(IMAGES[:3], -1, 1)
        self.run_layer_test(
            InputNormalization, {"data_format": data_format}, x, expected_output_shape=x.shape
        )


def test_scikit_learn_agrees():
    layer = adapted()
    np.testing.assert_allclose(ops.convert_to_numpy(layer.mean), scaler().mean_, rtol=1e-6)
    np.testing.assert_allclose(ops.convert_to_numpy(layer.variance), scaler().var_, rtol=1e-6)
    found = normalized(layer, IMAGES)
    # The images have 7 digits: a standard deviation of 2000 / 4000 leaves 4 of them.
    np.testing.assert_allclose(found, standardized(IMAGES), atol=5e-4)
    np.testing.assert_allclose(found[..., :2], standardized(IMAGES)[..., :2], atol=1e-5)
    np.testing.assert_allclose(found.mean(axis=(0, 1, 2)), np.zeros(3), atol=1e-4)
    np.testing.assert_allclose(found.std(axis=(0, 1, 2)), np.ones(3), rtol=1e-4)


def test_other_images_get_the_same_statistics():
    x = IMAGES[:2] * 1.5 + 1
    np.testing.assert_allclose(normalized(adapted(), x), standardized(x), rtol=1e-5, atol=5e-4)


@given(cuts=st.lists(st.integers(0, 20), max_size=5))
def test_batches_give_the_statistics_of_the_whole(cuts):
    batches = np.split(IMAGES, sorted(cuts))  # some of them empty
    layer = adapted(batch for batch in batches)
    np.testing.assert_allclose(ops.convert_to_numpy(layer.mean), scaler().mean_, rtol=1e-6)
    np.testing.assert_allclose(ops.convert_to_numpy(layer.variance), scaler().var_, rtol=1e-6)


def test_batches_of_a_large_mean_keep_their_variance():
    """Sums of squares would have lost it: (1e8)² has no digits left for 1."""
    images = 1e8 + np.random.default_rng(1).normal(size=(30, 4, 4, 1))
    layer = adapted(np.split(images, 5))
    np.testing.assert_allclose(ops.convert_to_numpy(layer.variance), [images.var()], rtol=1e-6)


def test_an_array_is_not_copied_whole():
    images = np.random.default_rng(0).integers(256, size=(300, 64, 64, 3), dtype="uint8")
    layer = InputNormalization()
    tracemalloc.start()
    try:
        layer.adapt(images)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 3 * images.nbytes  # in double precision it has 8 times as many
    np.testing.assert_allclose(ops.convert_to_numpy(layer.mean), images.mean((0, 1, 2)), rtol=1e-6)
    np.testing.assert_allclose(
        ops.convert_to_numpy(layer.variance), images.var((0, 1, 2)), rtol=1e-6
    )


def test_channels_first():
    first = adapted(np.moveaxis(IMAGES, -1, 1), data_format="channels_first")
    found = normalized(first, np.moveaxis(IMAGES, -1, 1))
    np.testing.assert_allclose(np.moveaxis(found, 1, -1), standardized(IMAGES), atol=5e-4)


def test_data_format_is_that_of_keras():
    keras.config.set_image_data_format("channels_first")
    layer = InputNormalization()
    keras.config.set_image_data_format("channels_last")
    layer.adapt(IMAGES)
    assert tuple(layer.mean.shape) == (5,)


@pytest.mark.parametrize("shape", [(20, 7), (20, 6, 2), (4, 3, 3, 3, 2)])
def test_other_ranks(shape):
    x = np.random.default_rng(0).normal(3, 2, size=shape).astype("float32")
    np.testing.assert_allclose(normalized(adapted(x), x), standardized(x, x), atol=1e-5)


@pytest.mark.parametrize("value", [0.0, 7.0, 0.1, 1 / 3, -1e-30, 1e6 / 3])
@pytest.mark.parametrize("batches", [1, 3])
def test_constant_channel_is_only_centred(value, batches):
    """Also where the sum of its values is not exact, so that the variance is not quite zero."""
    images = IMAGES[:9].astype("float64")
    images[..., 1] = value
    layer = adapted(np.split(images, batches))
    x = images[:1].astype("float32")
    x[..., 1] += 0.5
    found = normalized(layer, x)
    np.testing.assert_allclose(found[..., 1], np.full_like(x[..., 1], 0.5), atol=0.05)
    np.testing.assert_allclose(found[..., 0], standardized(images, images)[:1, ..., 0], atol=1e-5)


def test_integers():
    images = np.random.default_rng(0).integers(256, size=(9, 4, 4, 1)).astype("uint8")
    layer = adapted(images)
    np.testing.assert_allclose(normalized(layer, images), standardized(images, images), atol=1e-5)


@pytest.mark.parametrize("dtype", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_rounds_only_the_result(dtype):
    """Both mean and image have too few digits in half precision: 2000.4 would be 2000."""
    layer = adapted(dtype=dtype)
    for x in (IMAGES, ops.convert_to_tensor(IMAGES)):
        output = layer(x)
        assert keras.backend.standardize_dtype(output.dtype) == dtype.removeprefix("mixed_")
        np.testing.assert_allclose(normalized(layer, x), standardized(IMAGES), rtol=0.01, atol=2e-3)
    assert {weight.dtype for weight in layer.weights} == {"float32"}


def test_identity_until_adapted():
    layer = InputNormalization("channels_last")
    assert not layer.adapted
    np.testing.assert_array_equal(normalized(layer, IMAGES), IMAGES)
    assert not layer.adapted
    layer.adapt(IMAGES)
    assert layer.adapted


def test_adapting_acts_at_once_on_a_model_in_use(tmp_path):
    layer = InputNormalization("channels_last")
    inputs = keras.Input((5, 4, 3))
    model = keras.Model(inputs, layer(inputs))
    np.testing.assert_array_equal(model.predict(IMAGES, verbose=0), IMAGES)
    layer.adapt(IMAGES)
    np.testing.assert_allclose(model.predict(IMAGES, verbose=0), standardized(IMAGES), atol=5e-4)
    layer.adapt(IMAGES * 2)
    expected = standardized(IMAGES, IMAGES * 2)
    np.testing.assert_allclose(model.predict(IMAGES, verbose=0), expected, rtol=1e-5, atol=5e-4)

    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.layers[-1].adapted
    np.testing.assert_array_equal(
        loaded.predict(IMAGES, verbose=0), model.predict(IMAGES, verbose=0)
    )


def test_statistics_are_not_trained():
    layer = adapted()
    assert layer.trainable_weights == []
    assert len(layer.non_trainable_weights) == 3


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite(value):
    images = IMAGES.copy()
    images[7, 1, 1, 1] = images[8, 0, 0, 0] = value
    layer = adapted()
    before = ops.convert_to_numpy(layer.mean)
    with pytest.raises(ValueError, match=r"finite values .*Received: 2 NaN or infinite .*20, 5, 4"):
        layer.adapt(images)
    np.testing.assert_array_equal(ops.convert_to_numpy(layer.mean), before)


@pytest.mark.parametrize("data", [[], IMAGES[:0], [IMAGES[:0]]], ids=["none", "empty", "batch"])
def test_no_images(data):
    with pytest.raises(ValueError, match="at least one sample"):
        InputNormalization("channels_last").adapt(data)


def test_unknown_channels():
    with pytest.raises(ValueError, match=r"known number of channels.*\(None, 5, 4, None\)"):
        InputNormalization("channels_last")(keras.Input((5, 4, None)))


def test_unknown_data_format():
    with pytest.raises(ValueError, match=r'"channels_first"\. Received: data_format=\'last\''):
        InputNormalization("last")
