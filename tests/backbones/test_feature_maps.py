"""FeatureMaps: the named maps of any backbone."""

import keras
import numpy as np
import pytest
from keras import ops

from mtlkit.backbones import ConvBackbone, DenseBackbone, KerasBackbone
from mtlkit.backbones._feature_maps import FeatureMaps

X = np.random.default_rng(0).normal(size=(2, 8, 8, 1)).astype("float32")


def conv(name, **kwargs):
    return keras.layers.Conv2D(2, 3, name=name, **kwargs)


def functional():
    image = keras.Input((8, 8, 1), name="picture")
    x = conv("first")(image)
    return keras.Model(image, keras.layers.Flatten(name="flat")(conv("second")(x)))


def sequential():
    return keras.Sequential(
        [keras.Input((8, 8, 1)), conv("first"), conv("second"), keras.layers.Flatten(name="flat")]
    )


def by_hand(layers, x):
    """What the layers give one after the other, by name."""
    found = {}
    for layer in layers:
        x = layer(x)
        found[layer.name] = ops.convert_to_numpy(x)
    return found


def read(maps, names):
    """The values of these maps, and of the last one, for X."""
    model = keras.Model(maps.inputs, {**maps.get(names), "the last": maps.last})
    return {name: ops.convert_to_numpy(y) for name, y in model(X).items()}


@pytest.mark.parametrize("make", [functional, sequential])
def test_one_map_a_layer(make):
    backbone = make()
    maps = FeatureMaps(backbone)
    assert maps.names == ["input", "first", "second", "flat"]
    found = read(maps, ["input", "first", "second"])
    layers = [backbone.get_layer(name) for name in ("first", "second", "flat")]
    expected = by_hand(layers, X)
    np.testing.assert_array_equal(found["input"], X)
    np.testing.assert_allclose(found["first"], expected["first"], atol=1e-6)
    np.testing.assert_allclose(found["second"], expected["second"], atol=1e-6)
    np.testing.assert_allclose(found["the last"], expected["flat"], atol=1e-6)


def test_maps_share_the_weights():
    backbone = functional()
    maps = FeatureMaps(backbone)
    model = keras.Model(maps.inputs, maps.get(["first"]))
    before = ops.convert_to_numpy(model(X)["first"])
    backbone.get_layer("first").bias.assign([1.0, -2.0])
    found = ops.convert_to_numpy(model(X)["first"])
    np.testing.assert_allclose(found - before, np.broadcast_to([1, -2], before.shape), atol=1e-5)


def test_conv_backbone():
    backbone = ConvBackbone((8, 8, 1), (2, 3))
    backbone.adapt(X * 2)
    maps = FeatureMaps(backbone)
    assert maps.names == ["input", "stage1", "stage2"]
    found = read(maps, maps.names)
    np.testing.assert_allclose(found["input"], (X - 2 * X.mean()) / (2 * X.std()), atol=1e-5)
    np.testing.assert_array_equal(found["the last"], found["stage2"])
    assert found["stage2"].shape == (2, 4, 4, 3)


def test_dict_of_maps():
    """Only those that the model names; the last one is the dict's last."""
    image = keras.Input((8, 8, 1))
    wide = conv("conv1")(image)
    narrow = conv("conv2")(wide)
    backbone = keras.Model(image, {"wide": wide, "narrow": narrow})
    maps = FeatureMaps(backbone)
    assert maps.names == ["input", "wide", "narrow"]
    found = read(maps, ["wide", "input"])
    expected = by_hand([backbone.get_layer("conv1"), backbone.get_layer("conv2")], X)
    np.testing.assert_array_equal(found["input"], X)
    np.testing.assert_allclose(found["wide"], expected["conv1"], atol=1e-6)
    np.testing.assert_allclose(found["the last"], expected["conv2"], atol=1e-6)


def test_nested_model_is_one_map():
    inner = functional()
    inner.name = "inner"
    image = keras.Input((8, 8, 1))
    scaled = keras.layers.Rescaling(2.0, name="scaled")(image)
    backbone = keras.Model(image, keras.layers.Dense(3, name="dense")(inner(scaled)))
    maps = FeatureMaps(backbone)
    assert maps.names == ["input", "scaled", "inner", "dense"]
    found = read(maps, ["inner", "scaled"])
    np.testing.assert_allclose(found["inner"], ops.convert_to_numpy(inner(2 * X)), atol=1e-5)
    np.testing.assert_allclose(found["scaled"], 2 * X, rtol=1e-6)


def test_layer_named_input_is_the_input_map():
    layers = [keras.layers.Rescaling(0.5, name="input"), conv("first")]
    maps = FeatureMaps(keras.Sequential([keras.Input((8, 8, 1)), *layers]))
    assert maps.names == ["input", "first"]
    np.testing.assert_allclose(read(maps, ["input"])["input"], X / 2, rtol=1e-6)


def test_layers_that_are_called_twice_or_have_several_outputs():
    image = keras.Input((8, 8, 1), name="picture")
    twice = keras.layers.Conv2D(1, 3, padding="same", name="twice")
    split = keras.layers.Lambda(lambda x: (x, 2 * x), name="split")
    left, right = split(twice(twice(image)))
    backbone = keras.Model(image, keras.layers.Add(name="sum")([left, right]))
    names = FeatureMaps(backbone).names
    assert "split" not in names and names[-1] == "sum"


class TestPlainLayers:
    def test_unbuilt(self):
        layer = conv("first")
        maps = FeatureMaps(layer, input_shape=(8, 8, 1))
        assert maps.names == ["input", "output"] and layer.built
        found = read(maps, ["input", "output"])
        np.testing.assert_array_equal(found["input"], X)
        np.testing.assert_allclose(found["output"], ops.convert_to_numpy(layer(X)), atol=1e-6)
        np.testing.assert_array_equal(found["the last"], found["output"])

    def test_built(self):
        layer = conv("first")
        layer.build((None, 8, 8, 1))
        maps = FeatureMaps(layer)
        assert tuple(maps.inputs.shape) == (None, 8, 8, 1)
        assert tuple(maps.last.shape) == (None, 6, 6, 2)

    def test_subclassed_model(self):
        class Backbone(keras.Model):
            def __init__(self):
                super().__init__()
                self.layer = conv("first")

            def call(self, x):
                return {"a": x + 1, "b": self.layer(x)}

        maps = FeatureMaps(Backbone(), input_shape=(8, 8, 1))
        assert maps.names == ["input", "a", "b"]
        found = read(maps, ["a"])
        np.testing.assert_allclose(found["a"], X + 1, rtol=1e-6)
        assert found["the last"].shape == (2, 6, 6, 2)


def test_dtype_and_batch_of_the_input_are_kept():
    tokens = keras.Input((5,), dtype="int32", batch_size=3, name="tokens")
    backbone = keras.Model(tokens, keras.layers.Embedding(7, 2, name="vectors")(tokens))
    inputs = FeatureMaps(backbone).inputs
    assert (tuple(inputs.shape), inputs.dtype) == ((3, 5), "int32")


def test_several_inputs():
    first, second = keras.Input((2,), name="a"), keras.Input((2,), name="b")
    total = keras.layers.Add(name="total")([first, second])
    maps = FeatureMaps(keras.Model({"a": first, "b": second}, total))
    assert set(maps.inputs) == {"a", "b"}
    model = keras.Model(maps.inputs, maps.last)
    found = model({"a": np.ones((1, 2), "float32"), "b": np.full((1, 2), 2.0, "float32")})
    np.testing.assert_array_equal(ops.convert_to_numpy(found), [[3.0, 3.0]])


class TestErrors:
    def test_shape_is_not_known(self):
        message = r"Expected input_shape=\(height, width, channels\).*Received: backbone=<Conv2D"
        with pytest.raises(ValueError, match=message):
            FeatureMaps(conv("first"))

    @pytest.mark.parametrize("backbone", [None, "resnet", len, keras.layers.Dense])
    def test_not_a_layer(self, backbone):
        with pytest.raises(ValueError, match=r"the backbone to be a keras\.Model or layer"):
            FeatureMaps(backbone)

    def test_unknown_map(self):
        with pytest.raises(KeyError, match="third"):
            FeatureMaps(functional()).get(["third"])


class TestPyramid:
    """One map of each size, from the finest to the coarsest."""

    def test_of_a_conv_backbone(self):
        maps = FeatureMaps(ConvBackbone((8, 8, 1), filters=(2, 3)))
        assert maps.pyramid == ["stage1", "stage2"]

    def test_of_a_functional_model(self):
        image = keras.Input((8, 8, 1))
        x = keras.layers.Conv2D(2, 3, padding="same", name="one")(image)
        x = keras.layers.ReLU(name="relu")(x)
        x = keras.layers.Conv2D(2, 3, strides=2, padding="same", name="two")(x)
        outputs = keras.layers.GlobalAveragePooling2D()(x)
        assert FeatureMaps(keras.Model(image, outputs)).pyramid == ["relu", "two"]

    @pytest.mark.parametrize("size", [8, None])
    def test_of_a_keras_backbone_once_each(self, size):
        image = keras.Input((size, size, 3))
        x = keras.layers.Conv2D(2, 3, strides=2, padding="same")(image)
        x = keras.layers.Conv2D(2, 3, strides=2, padding="same")(x)
        maps = FeatureMaps(KerasBackbone(keras.Model(image, x)))
        shapes = [tuple(x.shape)[1] for x in maps.get(maps.pyramid).values()]
        assert shapes == ([4, 2] if size else [None, None])

    def test_of_vectors_there_is_none(self):
        assert FeatureMaps(DenseBackbone(4)).pyramid == []
