"""Soft labels over a tree, or a circle."""

import numpy as np
import pytest
from keras import ops
from scipy.special import log_softmax

from mtlkit.hierarchy import Hierarchy
from mtlkit.losses.hierarchical import SoftLabelCrossEntropy, soft_tree_labels

ARCS = Hierarchy.circular(32, 8)


def test_known_values():
    labels = soft_tree_labels(ARCS.distances(), beta=10.0)
    assert labels[0, :2] == pytest.approx([0.97897, 0.00660], abs=5e-6)
    assert labels[0, 4] == pytest.approx(4.4e-5, abs=5e-7)
    np.testing.assert_allclose(labels.sum(axis=1), 1)


@pytest.mark.parametrize("distances", ["tree", "circular"])
def test_limits(distances):
    distances = ARCS.distances(distances)
    np.testing.assert_allclose(soft_tree_labels(distances, 0.0), 1 / 32)
    np.testing.assert_allclose(soft_tree_labels(distances, 1e4), np.eye(32), atol=1e-12)


def test_on_a_circle_they_turn_with_the_label():
    labels = soft_tree_labels(ARCS.distances("circular"), beta=8.0)
    for turn in (1, 5, 31):
        np.testing.assert_allclose(np.roll(labels[0], turn), labels[turn])
    bins = np.array([0, 1, 2, 16])
    np.testing.assert_allclose(np.log(labels[0, 0] / labels[0, bins]), 8.0 * bins / 16)  # Laplace


@pytest.mark.parametrize("distances", ["tree", "circular", 1 - np.eye(32)])
def test_cross_entropy_to_soft_labels(distances):
    logits = np.random.default_rng(0).normal(size=(32, 32)).astype("float32")
    loss = SoftLabelCrossEntropy(ARCS, beta=6.0, distances=distances)
    q = soft_tree_labels(ARCS.distances(distances), 6.0)
    expected = -(q * log_softmax(logits, axis=1)).sum(axis=1)
    found = ops.convert_to_numpy(loss.call(np.arange(32), logits))
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    restored = SoftLabelCrossEntropy.from_config(loss.get_config())
    np.testing.assert_array_equal(ops.convert_to_numpy(restored.call(np.arange(32), logits)), found)
    best = float(loss(np.arange(32), np.log(q)))
    assert best == pytest.approx(-(q * np.log(q)).sum(axis=1).mean(), rel=1e-4)


def test_errors():
    with pytest.raises(ValueError, match="beta=-1"):
        SoftLabelCrossEntropy(ARCS, beta=-1)
    with pytest.raises(ValueError, match="'hops'"):
        SoftLabelCrossEntropy(ARCS, distances="hops")
