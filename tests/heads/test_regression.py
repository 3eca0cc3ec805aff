"""RegressionHead: one or several numbers."""

import numpy as np
import pytest
from keras import ops
from sklearn.metrics import mean_absolute_error, mean_squared_error

from mtlkit import space
from mtlkit.heads import RegressionHead
from mtlkit.testing import LayerTestCase

RNG = np.random.default_rng(0)
MAPS = RNG.normal(size=(6, 4, 4, 3)).astype("float32")
ONE = np.array([0.5, np.nan, 2.0, -1.0, 0.0, 3.0], "float32")
TWO = np.where(np.arange(6)[:, None] == 2, np.nan, RNG.normal(size=(6, 2))).astype("float32")


class TestContract(LayerTestCase):
    @pytest.mark.parametrize(
        ("kwargs", "features", "labels"),
        [
            ({}, MAPS, ONE),
            ({"units": 2, "pooling": "attention", "dropout": 0.2}, MAPS, TWO),
            ({"pooling": "max", "data_format": "channels_first"}, np.moveaxis(MAPS, -1, 1), ONE),
            ({"units": 2, "hidden_units": 0}, MAPS[:, 0, 0], TWO),
        ],
        ids=["one", "two-attention", "max-channels_first", "vectors"],
    )
    def test_head(self, kwargs, features, labels):
        self.run_head_test(
            RegressionHead,
            {"hidden_units": 6, **kwargs},
            features,
            labels,
            bad_labels=[labels * np.inf, labels[..., None, None], labels > 0],
            expected_output_shape=(6, kwargs.get("units", 1)),
        )


@pytest.mark.parametrize("y", [ONE, ONE[:, None]], ids=["vector", "column"])
def test_loss_and_metric_are_those_of_labelled_samples(y):
    outputs = RNG.normal(size=(6, 1)).astype("float32")
    head = RegressionHead()
    there = ~np.isnan(ONE)
    loss = float(head.default_loss()(y, outputs))
    assert loss == pytest.approx(mean_squared_error(ONE[there], outputs[there]), rel=1e-5)
    (metric,) = head.default_metrics()
    metric.update_state(y, outputs)
    expected = mean_absolute_error(ONE[there], outputs[there])
    assert float(ops.convert_to_numpy(metric.result())) == pytest.approx(expected, rel=1e-5)
    assert (metric.name, "min") == head.primary_metric == ("mae", "min")


def test_loss_of_several_units():
    outputs = RNG.normal(size=(6, 2)).astype("float32")
    there = ~np.isnan(TWO[:, 0])
    loss = float(RegressionHead(2).default_loss()(TWO, outputs))
    assert loss == pytest.approx(mean_squared_error(TWO[there], outputs[there]), rel=1e-5)


def test_decode():
    outputs = RNG.normal(size=(6, 2)).astype("float32")
    np.testing.assert_array_equal(RegressionHead(2).decode(outputs)["value"], outputs)
    np.testing.assert_array_equal(RegressionHead().decode(outputs[:, :1])["value"], outputs[:, 0])


def test_outputs_are_not_bounded():
    """The last layer is linear: twice the weights, twice the output."""
    head = RegressionHead(2, hidden_units=0)
    first = ops.convert_to_numpy(head(MAPS))
    for weight in head.trainable_weights[-2:]:
        weight.assign(ops.convert_to_numpy(weight) * 1000)
    np.testing.assert_allclose(ops.convert_to_numpy(head(MAPS)), first * 1000, rtol=1e-4, atol=1e-3)
    assert (first < 0).any() and (first > 0).any()


@pytest.mark.parametrize("seed", range(3))
def test_search_space(seed):
    point = space.sample(RegressionHead.search_space(), np.random.default_rng(seed))
    head = RegressionHead(**point)
    assert np.isfinite(ops.convert_to_numpy(head(MAPS))).all()
    config = head.get_config()
    assert {name: config[name] for name in point} == point


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"units": 0}, r"units >= 1\. Received: units=0"),
        ({"pooling": "median"}, r"'average', 'max'.*Received: 'median'"),
        ({"hidden_units": -1}, r"hidden_units >= 0\. Received: hidden_units=-1"),
        ({"dropout": -0.5}, "-0.5"),
        ({"data_format": "last"}, r"Received: data_format='last'"),
    ],
)
def test_errors(kwargs, message):
    with pytest.raises(ValueError, match=message):
        RegressionHead(**kwargs)
