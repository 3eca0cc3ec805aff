"""OrbitDesign: turning the image rolls the outputs, whatever the backbone."""

import keras
import numpy as np
import pytest
from keras import ops

from mtlkit.heads.designs import OrbitDesign
from mtlkit.layers import RotationOrbit
from mtlkit.testing import LayerTestCase

SMALL = {"hidden_units": 6, "data_format": "channels_last"}
IMAGES = np.random.default_rng(0).normal(size=(2, 8, 8, 2)).astype("float32")
TURNS = np.random.default_rng(0).normal(size=(3, 4, 5, 5, 2)).astype("float32")


def model(**kwargs):
    """A network without any symmetry, over the four turns, and the design."""
    image = keras.Input((8, 8, 2))
    conv = keras.layers.Conv2D(4, 3, strides=2, padding="same", activation="relu")
    backbone = keras.Model(image, keras.layers.BatchNormalization()(conv(image)))
    orbit = RotationOrbit(backbone, data_format="channels_last")
    return keras.Model(image, OrbitDesign(**SMALL | kwargs)(orbit(image)))


def predict(model, x):
    return ops.convert_to_numpy(model(x.copy()))


class TestContract(LayerTestCase):
    def test_maps(self):
        kwargs = {"num_bins": 4, "channels": 2, "folds": 2, "dropout": 0.1, **SMALL}
        kwargs |= {"pooling": "attention", "bottleneck": 3}
        self.run_layer_test(OrbitDesign, kwargs, TURNS, expected_output_shape=(3, 8))

    def test_channels_first(self):
        kwargs = {"num_bins": 8, "hidden_units": 0, "data_format": "channels_first"}
        x = np.moveaxis(TURNS, -1, 2)
        self.run_layer_test(OrbitDesign, kwargs, x, expected_output_shape=(3, 8))

    def test_vectors(self):
        kwargs, x = {"num_bins": 8, **SMALL}, TURNS[..., 0, 0]
        self.check_symbolic_call(OrbitDesign, kwargs, x, expected_output_shape=(3, 8))
        self.check_batch_sizes(OrbitDesign, kwargs, x)


class TestEquivariance:
    @pytest.mark.parametrize(
        ("kwargs", "roll"),
        [
            ({"num_bins": 32}, 8),
            ({"num_bins": 4, "pooling": "average", "hidden_units": 0}, 1),
            ({"num_bins": 8, "pooling": "spatial_softmax", "bottleneck": 3}, 2),
            ({"num_bins": 32, "folds": 2}, 16),
            ({"num_bins": 6, "folds": 2}, 3),
            ({"num_bins": 32, "folds": 4}, 0),
            ({"num_bins": 5, "folds": 4}, 0),
        ],
        ids=str,
    )
    def test_quarter_turns(self, kwargs, roll):
        network = model(**kwargs)
        expected = predict(network, IMAGES)
        assert expected.shape == (2, kwargs["num_bins"]) and np.ptp(expected, axis=1).min() > 0.01
        for quarters in (1, 2, 3):
            turned = predict(network, np.rot90(IMAGES, quarters, axes=(1, 2)))
            np.testing.assert_allclose(turned, np.roll(expected, roll * quarters, 1), atol=1e-4)

    @pytest.mark.parametrize(("folds", "roll"), [(1, 2), (2, 4), (4, 0)])
    def test_several_outputs_a_bin(self, folds, roll):
        network = model(num_bins=8, channels=2, folds=folds)
        expected = predict(network, IMAGES).reshape(2, 8, 2)
        assert np.abs(expected[..., 0] - expected[..., 1]).max() > 0.01
        turned = predict(network, np.rot90(IMAGES, axes=(1, 2))).reshape(2, 8, 2)
        np.testing.assert_allclose(turned, np.roll(expected, roll, axis=1), atol=1e-4)

    def test_after_training(self):
        network = model(num_bins=8)
        network.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        for _ in range(3):
            network.train_on_batch(IMAGES, np.array([1, 6]))
        expected = predict(network, IMAGES)
        turned = predict(network, np.rot90(IMAGES, axes=(1, 2)))
        np.testing.assert_allclose(turned, np.roll(expected, 2, axis=1), atol=1e-4)


def test_each_turn_gives_its_quarter():
    """And no turn has a say in another's bins."""
    design = OrbitDesign(8, **SMALL)
    plain = ops.convert_to_numpy(design(TURNS))
    changed = TURNS.copy()
    changed[:, 2] += 1
    difference = np.abs(ops.convert_to_numpy(design(changed)) - plain).max(axis=0)
    assert (difference[[4, 5]] > 1e-3).all() and not difference[[0, 1, 2, 3, 6, 7]].any()


def test_folds_average():
    keras.utils.set_random_seed(0)
    plain = ops.convert_to_numpy(OrbitDesign(16, **SMALL)(TURNS))
    keras.utils.set_random_seed(0)
    folded = ops.convert_to_numpy(OrbitDesign(8, folds=2, **SMALL)(TURNS))
    np.testing.assert_allclose(folded, plain.reshape(3, 2, 8).mean(axis=1), atol=1e-6)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"num_bins": 10}, r"divided into quarters\. Received: num_bins=10, folds=1"),
        ({"num_bins": 7, "folds": 2}, r"divided into quarters\. Received: num_bins=7, folds=2"),
        ({"num_bins": 8, "folds": 0}, r"Received: num_bins=8, folds=0"),
        ({"num_bins": 0}, r"units >= 1\. Received: units=0"),
        ({"num_bins": 8, "pooling": "median"}, "Received: 'median'"),
        ({"num_bins": 8, "hidden_units": -1}, "hidden_units >= 0. Received: hidden_units=-1"),
        ({"num_bins": 8, "bottleneck": -1}, "bottleneck >= 0. Received: bottleneck=-1"),
    ],
)
def test_errors(kwargs, message):
    with pytest.raises(ValueError, match=message):
        OrbitDesign(**kwargs)


@pytest.mark.parametrize(
    "shape", [(2, 8), (2, 8, 8, 3), (2, 3, 5), (2, 4, 8, 3), (2, 4, 4, 4), (2, 8, 8, 8, 3)]
)
def test_not_four_turns(shape):
    """A map is none, whatever its height."""
    with pytest.raises(ValueError, match=r"of 4 turns, .*RotationOrbit.*Received: input_shape="):
        OrbitDesign(8)(np.zeros(shape, "float32"))
