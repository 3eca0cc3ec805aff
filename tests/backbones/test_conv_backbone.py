"""ConvBackbone: named maps, normalisation, saving, dtypes and data formats."""

import json

import keras
import numpy as np
import pytest
from keras import ops
from scipy.signal import correlate
from sklearn.preprocessing import StandardScaler

from mtlkit.backbones import ConvBackbone
from mtlkit.testing import gradients

RNG = np.random.default_rng(0)
IMAGES = RNG.normal([0.5, 20.0], [0.25, 3.0], size=(6, 8, 12, 2)).astype("float32")
NAMES = ["input", "stage1", "stage2"]


def make(input_shape=(8, 12, 2), filters=(3, 4), **kwargs):
    return ConvBackbone(input_shape, filters, **kwargs)


def symbolic_shapes(backbone):
    return {name: tuple(y.shape) for name, y in backbone.output.items()}


def first(images):
    """Channels first."""
    return np.ascontiguousarray(np.moveaxis(images, -1, 1))


def maps(backbone, x):
    outputs = backbone(x, training=False)
    return {name: ops.convert_to_numpy(ops.cast(y, "float32")) for name, y in outputs.items()}


def standardized(x):
    scaler = StandardScaler().fit(IMAGES.reshape(-1, 2))
    return scaler.transform(x.reshape(-1, 2)).reshape(x.shape)


def convolved(x, kernel, bias):
    """`same` cross-correlation by SciPy, then ReLU."""
    planes = [
        sum(correlate(image[..., i], kernel[..., i, o], mode="same") for i in range(x.shape[-1]))
        for image in x
        for o in range(kernel.shape[-1])
    ]
    y = np.array(planes).reshape(len(x), kernel.shape[-1], *x.shape[1:3]).transpose(0, 2, 3, 1)
    return np.maximum(y + bias, 0)


def halved(x):
    batch, height, width, channels = x.shape
    return x.reshape(batch, height // 2, 2, width // 2, 2, channels).max(axis=(2, 4))


@pytest.fixture(scope="module")
def backbone():
    keras.utils.set_random_seed(0)
    backbone = make()
    backbone.adapt(IMAGES)
    for layer in (backbone.get_layer("conv1"), backbone.get_layer("conv2")):
        layer.bias.assign(RNG.normal(size=layer.bias.shape))
    return backbone


class TestMaps:
    def test_names_and_shapes(self, backbone):
        assert backbone.feature_names == NAMES
        outputs = backbone.predict(IMAGES, verbose=0)
        assert {name: y.shape for name, y in outputs.items()} == {
            "input": (6, 8, 12, 2),
            "stage1": (6, 8, 12, 3),
            "stage2": (6, 4, 6, 4),
        }
        assert list(outputs) == NAMES
        assert symbolic_shapes(backbone)["stage2"] == (None, 4, 6, 4)

    def test_default(self):
        backbone = ConvBackbone()
        assert backbone.input_shape == (None, 32, 32, 1)
        assert symbolic_shapes(backbone) == {
            "input": (None, 32, 32, 1),
            "stage1": (None, 32, 32, 32),
            "stage2": (None, 16, 16, 64),
            "stage3": (None, 8, 8, 128),
        }

    def test_odd_sizes(self):
        outputs = maps(make((9, 5, 1), (2, 2, 2)), np.ones((1, 9, 5, 1), "float32"))
        assert outputs["stage3"].shape == (1, 2, 1, 2)

    def test_scipy_agrees(self, backbone):
        found = maps(backbone, IMAGES)
        x = standardized(IMAGES)
        np.testing.assert_allclose(found["input"], x, atol=1e-4)
        for number in (1, 2):
            layer = backbone.get_layer(f"conv{number}")
            kernel, bias = map(ops.convert_to_numpy, (layer.kernel, layer.bias))
            x = convolved(x if number == 1 else halved(x), kernel, bias)
            np.testing.assert_allclose(found[f"stage{number}"], x, rtol=1e-3, atol=1e-3)

    def test_gradients_reach_every_weight(self, backbone):
        found = gradients(
            lambda: ops.sum(backbone(IMAGES)["stage2"] ** 2), backbone.trainable_weights
        )
        assert len(found) == 4 and all(np.abs(gradient).sum() > 0 for gradient in found)


class TestNormalization:
    def test_is_the_identity_until_adapted(self):
        backbone = make()
        assert not backbone.adapted
        np.testing.assert_array_equal(maps(backbone, IMAGES)["input"], IMAGES)
        backbone.adapt(IMAGES[i : i + 2] for i in (0, 2, 4))
        assert backbone.adapted
        np.testing.assert_allclose(maps(backbone, IMAGES)["input"], standardized(IMAGES), atol=1e-4)

    def test_without(self):
        backbone = make(normalize=False)
        assert backbone.adapted
        np.testing.assert_array_equal(maps(backbone, IMAGES)["input"], IMAGES)
        with pytest.raises(ValueError, match=r"normalize=True to adapt\. Received: False"):
            backbone.adapt(IMAGES)

    def test_statistics_are_not_trained(self, backbone):
        names = [weight.path.rpartition("/")[2] for weight in backbone.non_trainable_weights]
        assert names == ["mean", "variance", "count"]

    def test_nan(self):
        with pytest.raises(ValueError, match="1 NaN or infinite"):
            make().adapt(np.where(np.arange(192).reshape(1, 8, 12, 2) == 7, np.nan, 1.0))


class TestBatchNorm:
    def test_standardises_each_stage_in_training(self):
        backbone = make(batch_norm=True)
        layer = backbone.get_layer("batch_norm1")
        before = ops.convert_to_numpy(layer.moving_mean)
        outputs = backbone(IMAGES, training=True)
        # The ReLU of standardised values: half of them are cut off, more or less.
        stage = ops.convert_to_numpy(outputs["stage1"])
        assert 0.2 < np.mean(stage == 0) < 0.8
        assert (np.mean(stage**2, axis=(0, 1, 2)) < 1).all()
        assert not np.array_equal(ops.convert_to_numpy(layer.moving_mean), before)

    def test_convolutions_have_no_bias(self):
        backbone = make(batch_norm=True)
        assert backbone.get_layer("conv1").bias is None
        assert [w.name for w in backbone.trainable_weights] == ["kernel", "gamma", "beta"] * 2


class TestSaving:
    @pytest.mark.parametrize("options", [{}, {"batch_norm": True}, {"normalize": False}], ids=str)
    def test_file(self, options, tmp_path):
        backbone = make(name="trunk", **options)
        if backbone.normalize:
            backbone.adapt(IMAGES)
        backbone(IMAGES, training=True)  # moves the averages of batch normalisation
        backbone.save(tmp_path / "trunk.keras")
        loaded = keras.saving.load_model(tmp_path / "trunk.keras")
        assert type(loaded) is ConvBackbone
        assert loaded.adapted and loaded.get_config() == backbone.get_config()
        expected = maps(backbone, IMAGES)
        for name, found in maps(loaded, IMAGES).items():
            np.testing.assert_array_equal(found, expected[name])

    def test_config_is_complete(self):
        backbone = make(
            (2, 8, 12), data_format="channels_first", batch_norm=True, dtype="mixed_bfloat16"
        )
        config = json.loads(json.dumps(backbone.get_config()))
        copy = ConvBackbone.from_config(config)
        assert json.loads(json.dumps(copy.get_config())) == config
        assert [tuple(w.shape) for w in copy.weights] == [tuple(w.shape) for w in backbone.weights]

    def test_frozen_stays_frozen(self, tmp_path):
        backbone = make()
        backbone.trainable = False
        backbone.save(tmp_path / "trunk.keras")
        assert keras.saving.load_model(tmp_path / "trunk.keras").trainable_weights == []


class TestMixedPrecision:
    @pytest.mark.parametrize("by", ["argument", "global policy"])
    def test_close_to_float32(self, by, backbone):
        if by == "argument":
            mixed = make(dtype="mixed_bfloat16")
        else:
            keras.config.set_dtype_policy("mixed_bfloat16")
            mixed = make()
        mixed.set_weights(backbone.get_weights())
        assert {weight.dtype for weight in mixed.weights} == {"float32"}
        outputs = mixed(IMAGES)
        dtypes = {keras.backend.standardize_dtype(y.dtype) for y in outputs.values()}
        assert dtypes == {"bfloat16"}
        for name, expected in maps(backbone, IMAGES).items():
            found = maps(mixed, IMAGES)[name]
            np.testing.assert_allclose(found, expected, atol=0.03 * np.abs(expected).max())

    def test_policy_survives_in_a_float32_process(self, tmp_path):
        keras.config.set_dtype_policy("mixed_bfloat16")
        backbone = make()
        backbone.adapt(IMAGES)
        backbone.save(tmp_path / "trunk.keras")
        expected = maps(backbone, IMAGES)
        keras.config.set_dtype_policy("float32")
        loaded = keras.saving.load_model(tmp_path / "trunk.keras")
        policies = {
            layer.dtype_policy.name
            for layer in loaded.layers
            if not isinstance(layer, keras.layers.InputLayer)
        }
        assert policies == {"mixed_bfloat16"}
        for name, found in maps(loaded, IMAGES).items():
            np.testing.assert_array_equal(found, expected[name])


class TestChannelsFirst:
    """On CPUs Keras transposes for TensorFlow, whose convolutions know channels last only."""

    @pytest.mark.parametrize("batch_norm", [False, True])
    def test_same_weights_same_maps(self, batch_norm):
        last = make(batch_norm=batch_norm)
        last.adapt(IMAGES)
        last(IMAGES, training=True)
        other = make((2, 8, 12), data_format="channels_first", batch_norm=batch_norm)
        other.set_weights(last.get_weights())
        found = other.predict(first(IMAGES), verbose=0)
        assert symbolic_shapes(other)["stage2"] == (None, 4, 4, 6)
        for name, expected in maps(last, IMAGES).items():
            np.testing.assert_allclose(found[name], first(expected), rtol=1e-4, atol=1e-4)

    def test_data_format_is_that_of_keras(self):
        keras.config.set_image_data_format("channels_first")
        backbone = ConvBackbone(filters=(2, 3))
        keras.config.set_image_data_format("channels_last")
        assert backbone.input_shape == (None, 1, 32, 32)
        assert symbolic_shapes(backbone)["stage2"] == (None, 3, 16, 16)
        backbone.adapt(first(RNG.normal(size=(2, 32, 32, 1))))
        assert tuple(backbone.normalization.mean.shape) == (1,)


@pytest.mark.parametrize(
    "arguments",
    [
        {"filters": ()},
        {"input_shape": (3, 32, 1), "filters": (2, 2, 2)},
        {"input_shape": (1, 32, 3), "filters": (2, 2, 2), "data_format": "channels_first"},
    ],
    ids=str,
)
def test_errors(arguments):
    with pytest.raises(ValueError, match=r"halved between all of them\. Received: filters="):
        ConvBackbone(**arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"input_shape": (32, 32)}, r"input_shape=\(height, width, channels\).*=\(32, 32\)"),
        ({"data_format": "last"}, r"Received: data_format='last'"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        ConvBackbone(**arguments)
