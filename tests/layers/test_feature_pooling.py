"""FeaturePooling: from maps of any rank to vectors."""

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras import ops

from mtlkit.layers import FeaturePooling
from mtlkit.testing import LayerTestCase

MAP = np.random.default_rng(0).normal(size=(3, 4, 5, 2)).astype("float32")

REFERENCES = {
    "average": lambda x: x.reshape(len(x), -1, x.shape[-1]).mean(axis=1),
    "max": lambda x: x.reshape(len(x), -1, x.shape[-1]).max(axis=1),
    "flatten": lambda x: x.reshape(len(x), -1),
}


def pooled(layer, x):
    return ops.convert_to_numpy(layer(x))


class TestContract(LayerTestCase):
    @pytest.mark.parametrize(
        ("pooling", "features"),
        [("average", 2), ("max", 2), ("flatten", 40), ("attention", 8), ("spatial_softmax", 6)],
    )
    def test_channels_last(self, pooling, features):
        self.run_layer_test(
            FeaturePooling,
            {"pooling": pooling, "data_format": "channels_last"},
            MAP,
            expected_output_shape=(3, features),
        )

    def test_channels_first(self):
        self.run_layer_test(
            FeaturePooling,
            {"pooling": "attention", "data_format": "channels_first"},
            np.moveaxis(MAP, -1, 1),
            expected_output_shape=(3, 8),
        )


@pytest.mark.parametrize("pooling", REFERENCES)
@given(shape=st.lists(st.integers(1, 4), min_size=2, max_size=5), seed=st.integers(0, 99))
def test_numpy_reference(pooling, shape, seed):
    x = np.random.default_rng(seed).normal(size=shape).astype("float32")
    expected = x if len(shape) == 2 else REFERENCES[pooling](x)
    layer = FeaturePooling(pooling, data_format="channels_last")
    np.testing.assert_allclose(pooled(layer, x), expected, rtol=1e-5, atol=1e-6)
    assert layer.compute_output_shape((None, *shape[1:])) == (None, *expected.shape[1:])


@pytest.mark.parametrize("pooling", [*REFERENCES, "attention", "spatial_softmax"])
def test_channels_first_gives_the_same(pooling):
    """The same weights fit both formats, and give the same vectors."""
    last, first = (
        FeaturePooling(pooling, data_format=f"channels_{where}") for where in ("last", "first")
    )
    expected, _ = pooled(last, MAP), pooled(first, np.moveaxis(MAP, -1, 1))
    first.set_weights(last.get_weights())
    np.testing.assert_allclose(pooled(first, np.moveaxis(MAP, -1, 1)), expected, atol=1e-6)


def test_sequences_have_their_channels_last():
    x = MAP[:, 0]
    layer = FeaturePooling("average", data_format="channels_first")
    np.testing.assert_allclose(pooled(layer, x), x.mean(axis=1), rtol=1e-5)


@pytest.mark.parametrize("pooling", [*REFERENCES, "attention", "spatial_softmax"])
def test_vectors_pass_bit_for_bit(pooling):
    x = MAP[:, 0, 0]
    assert pooled(FeaturePooling(pooling), x).tobytes() == x.tobytes()


def test_data_format_is_that_of_keras():
    keras.config.set_image_data_format("channels_first")
    layer = FeaturePooling("max")
    keras.config.set_image_data_format("channels_last")
    assert layer.get_config()["data_format"] == "channels_first"
    np.testing.assert_array_equal(pooled(layer, MAP), MAP.max(axis=(2, 3)))


def test_average_and_max_take_maps_of_unknown_size():
    inputs = keras.Input((None, None, 2))
    for pooling in ("average", "max"):
        layer = FeaturePooling(pooling, data_format="channels_last")
        model = keras.Model(inputs, layer(inputs))
        assert model.output_shape == (None, 2)
        for x in (MAP, MAP[:, :2, :1]):
            expected = REFERENCES[pooling](x)
            np.testing.assert_allclose(model.predict(x, verbose=0), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("shape", [(4, 2), (3, 4, 5, 2)])
def test_spatial_softmax_is_of_maps(shape):
    message = r'two spatial axes for pooling="spatial_softmax"\. Received: input_shape=\(None, '
    with pytest.raises(ValueError, match=message):
        FeaturePooling("spatial_softmax")(keras.Input(shape))


@pytest.mark.parametrize("pooling", ["flatten", "attention"])
def test_unknown_size(pooling):
    with pytest.raises(ValueError, match=rf'known size for pooling="{pooling}".*\(None, None, 5'):
        FeaturePooling(pooling, data_format="channels_last")(keras.Input((None, 5, 2)))


def test_unknown_pooling():
    with pytest.raises(ValueError, match=r"'average', 'max', .*Received: 'median'"):
        FeaturePooling("median")


def test_unknown_data_format():
    with pytest.raises(ValueError, match=r'"channels_first"\. Received: data_format=\'last\''):
        FeaturePooling("max", data_format="last")


class TestMasks:
    """Steps that a mask leaves out count nothing, whatever stands there."""

    X = np.random.default_rng(1).normal(size=(3, 5, 2)).astype("float32") - 2
    MASK = np.array([[1, 1, 0, 0, 0], [1, 0, 1, 1, 0], [0, 0, 0, 0, 0]], bool)

    def masked(self, layer, x=X):
        return pooled(lambda one: layer(one, mask=ops.convert_to_tensor(self.MASK)), x)

    def steps(self):
        return [x[mask] for x, mask in zip(self.X, self.MASK, strict=True)]

    def test_average_and_max(self):
        found = self.masked(FeaturePooling("average"))
        np.testing.assert_allclose(found[:2], [x.mean(0) for x in self.steps()[:2]], rtol=1e-5)
        np.testing.assert_array_equal(found[2], 0)
        found = self.masked(FeaturePooling("max"))
        np.testing.assert_allclose(found[:2], [x.max(0) for x in self.steps()[:2]], rtol=1e-6)
        np.testing.assert_array_equal(found[2], 0)

    def test_flatten(self):
        expected = (self.X * self.MASK[..., None]).reshape(3, 10)
        np.testing.assert_array_equal(self.masked(FeaturePooling("flatten")), expected)

    def test_attention(self):
        layer = FeaturePooling("attention")
        found = self.masked(layer)
        np.testing.assert_array_equal(found[2], 0)
        inner = layer.attention
        keys = self.X[0] @ ops.convert_to_numpy(inner.key_kernel)
        keys = keys + ops.convert_to_numpy(inner.position)
        scores = keys[:2] @ ops.convert_to_numpy(inner.queries).T / 32**0.5
        weights = np.exp(scores) / np.exp(scores).sum(axis=0)
        np.testing.assert_allclose(found[0], (weights.T @ self.X[0, :2]).ravel(), rtol=1e-4)

    @pytest.mark.parametrize("pooling", [*REFERENCES, "attention"])
    def test_what_is_left_out_does_not_count(self, pooling):
        layer = FeaturePooling(pooling)
        other = np.where(self.MASK[..., None], self.X, 50).astype("float32")
        np.testing.assert_array_equal(self.masked(layer, other), self.masked(layer))

    def test_mask_of_an_embedding_arrives(self):
        tokens = keras.Input((None,), dtype="int32")
        embedded = keras.layers.Embedding(9, 2, mask_zero=True)(tokens)
        model = keras.Model(tokens, FeaturePooling("average")(embedded))
        x = np.array([[3, 4, 0, 0], [5, 0, 0, 0]])
        short = model.predict(x[:, :2], verbose=0)
        np.testing.assert_allclose(model.predict(x, verbose=0), short, rtol=1e-6)


def test_sequences_of_unknown_length():
    with pytest.raises(ValueError, match=r"sequences of one length.*or \"max\", which take any"):
        FeaturePooling("flatten")(keras.Input((None, 2)))
