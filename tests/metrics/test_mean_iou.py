"""MeanIoU and RelativeError."""

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import jaccard_score

from mtlkit.metrics import MeanIoU, RelativeError


@given(seed=st.integers(0, 500), batches=st.integers(1, 3))
def test_as_in_scikit_learn(seed, batches):
    rng = np.random.default_rng(seed)
    true, logits = rng.integers(4, size=(6, 5, 3)), rng.normal(size=(6, 5, 3, 4))
    metric = MeanIoU(4)
    for rows in np.array_split(np.arange(6), batches):
        metric.update_state(true[rows], logits[rows])
    expected = jaccard_score(true.ravel(), logits.argmax(-1).ravel(), average="macro")
    assert float(metric.result()) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("shape", [(4,), (4, 3)])
def test_weights(shape):
    rng = np.random.default_rng(0)
    true, logits = rng.integers(3, size=(4, 3)), rng.normal(size=(4, 3, 3))
    weights = rng.random(shape)
    metric = MeanIoU(3)
    metric.update_state(true, logits, sample_weight=weights)
    by_pixel = np.broadcast_to(weights.reshape(4, -1), (4, 3)).ravel()
    expected = jaccard_score(
        true.ravel(), logits.argmax(-1).ravel(), average="macro", sample_weight=by_pixel
    )
    assert float(metric.result()) == pytest.approx(expected, rel=1e-5)


def test_classes_that_do_not_occur_are_left_out():
    metric = MeanIoU(5)
    metric.update_state(np.array([[0, 1]]), np.eye(5)[[[0, 1]]])
    assert float(metric.result()) == 1
    np.testing.assert_array_equal(
        np.isnan(keras.ops.convert_to_numpy(metric.of_classes())), [False, False, True, True, True]
    )
    assert np.isnan(float(MeanIoU(2).result()))


def test_configs():
    again = MeanIoU.from_config(MeanIoU(7, "overlap").get_config())
    assert (again.num_classes, again.name) == (7, "overlap")
    assert RelativeError.from_config(RelativeError("rel").get_config()).name == "rel"
    with pytest.raises(ValueError, match="num_classes >= 2"):
        MeanIoU(1)


def test_relative_error_leaves_zeros_out():
    metric = RelativeError()
    metric.update_state(np.array([[2.0, 0.0], [-4.0, 1.0]]), np.array([[1.0, 7.0], [-5.0, 1.0]]))
    assert float(metric.result()) == pytest.approx((0.5 + 0.25 + 0) / 3)
    metric.update_state(np.array([[1.0]]), np.array([[9.0]]), sample_weight=np.array([0.0]))
    assert float(metric.result()) == pytest.approx(0.25)
