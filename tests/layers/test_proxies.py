"""UnitNorm, CosineProxies, PrototypeDistances: directions, and closeness to classes."""

import keras
import numpy as np
import pytest
from keras import ops

from mtlkit.layers.proxies import CosineProxies, PrototypeDistances
from mtlkit.layers.unit_norm import UnitNorm, unit_norm
from mtlkit.losses.contrastive import ProxyAnchor
from mtlkit.testing import LayerTestCase, gradients, input_gradients

X = np.random.default_rng(0).normal(size=(4, 5)).astype("float32")


class TestContract(LayerTestCase):
    @pytest.mark.parametrize(
        ("cls", "kwargs", "units"),
        [
            (UnitNorm, {}, 5),
            (CosineProxies, {"num_classes": 3, "proxies_per_class": 2}, 6),
            (PrototypeDistances, {"num_classes": 3}, 3),
        ],
    )
    def test_layer(self, cls, kwargs, units):
        self.run_layer_test(cls, kwargs, X, expected_output_shape=(4, units))


def make(layer):
    layer.build((None, 5))
    proxies = np.random.default_rng(1).normal(size=tuple(layer.proxies.shape))
    layer.proxies.assign(proxies)
    return layer, proxies


def test_cosines():
    layer, proxies = make(CosineProxies(3, 2))
    expected = [
        [x @ p / np.linalg.norm(x) / np.linalg.norm(p) for p in proxies]
        for x in X.astype("float64")
    ]
    np.testing.assert_allclose(ops.convert_to_numpy(layer(X)), expected, atol=1e-6)


def test_proxies_of_a_class_are_side_by_side():
    layer, proxies = make(CosineProxies(3, 2))
    found = ops.convert_to_numpy(layer(proxies.astype("float32"))).reshape(6, 3, 2)
    for proxy in range(6):
        assert found[proxy, proxy // 2, proxy % 2] == pytest.approx(1, abs=1e-6)


def test_lengths_do_not_matter_to_cosines():
    layer, proxies = make(CosineProxies(3))
    expected = ops.convert_to_numpy(layer(X))
    layer.proxies.assign(7 * proxies)
    np.testing.assert_allclose(ops.convert_to_numpy(layer(0.1 * X)), expected, atol=1e-6)


def test_distances():
    layer, prototypes = make(PrototypeDistances(3))
    expected = [[-np.sum((x - p) ** 2) for p in prototypes] for x in X.astype("float64")]
    np.testing.assert_allclose(ops.convert_to_numpy(layer(X)), expected, rtol=1e-5)


def test_unit_norm():
    found = ops.convert_to_numpy(unit_norm(X))
    np.testing.assert_allclose(found, X / np.linalg.norm(X, axis=1, keepdims=True), rtol=1e-5)
    images = np.stack([X, -2 * X])
    np.testing.assert_allclose(ops.convert_to_numpy(UnitNorm()(images)), [found, -found], rtol=1e-5)


@pytest.mark.parametrize("scale", [0, 1e-30, 1e-10, 1e15])
def test_unit_norm_is_finite(scale):
    x = (scale * X).astype("float32")
    found = ops.convert_to_numpy(unit_norm(x))
    assert np.isfinite(found).all() and np.linalg.norm(found, axis=1).max() < 1 + 1e-5
    assert np.isfinite(input_gradients(lambda x: ops.sum(ops.multiply(unit_norm(x), X)), x)).all()


def test_zeros_at_proxies_are_finite():
    layer, _ = make(CosineProxies(3))
    layer.proxies.assign(np.zeros((3, 5)))
    zeros = np.zeros((4, 5), "float32")
    y = np.array([0, 1, 2, 0])
    found = gradients(lambda: ProxyAnchor()(y, layer(zeros)), layer.trainable_weights)
    assert np.isfinite(found[0]).all()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: CosineProxies(0), "num_classes >= 1. Received: num_classes=0"),
        (lambda: CosineProxies(2, 0), "proxies_per_class >= 1. Received: proxies_per_class=0"),
        (lambda: PrototypeDistances(0), "num_classes >= 1. Received: num_classes=0"),
        (lambda: CosineProxies(2)(keras.Input((None,))), r"known size.*\(None, None\)"),
        (lambda: CosineProxies(2)(np.zeros((1, 2, 3))), "expected ndim=2, found ndim=3"),
    ],
)
def test_errors(make, message):
    with pytest.raises(ValueError, match=message):
        make()
