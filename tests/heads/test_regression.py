"""RegressionHead: one or several numbers."""

import keras
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
            bad_labels=[np.full(labels.shape, np.inf), labels[..., None, None], labels > 0],
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


class TestStandardisedLabels:
    @pytest.mark.parametrize(
        ("y", "weight", "rows"),
        [
            (np.array([2023.0, np.nan, 2026, 2029], "float32"), None, [0, 2, 3]),
            (np.array([3000, -1, 10000, 4500]), None, [0, 2, 3]),
            (np.array([[1e-6], [3e-6], [-2e-6], [0.0]]), None, [0, 1, 2, 3]),
            (np.array([1.0, 2, 999, 4]), np.array([1.0, 5, 0, 2]), [0, 1, 3]),
            ([1.0, 2.0, 4.0], None, [0, 1, 2]),
        ],
        ids=["years", "integers", "tiny", "weights", "list"],
    )
    def test_adapt_takes_mean_and_scale(self, y, weight, rows):
        head = RegressionHead(hidden_units=0)
        assert not head.adapted
        head.adapt(y, weight)
        used = np.asarray(y, "float64").reshape(-1)[rows]
        mean, scale = (ops.convert_to_numpy(v) for v in head.standardization.statistics())
        np.testing.assert_allclose(mean, [used.mean()], rtol=1e-6)
        np.testing.assert_allclose(scale, [used.std()], rtol=1e-6)
        assert head.adapted

    def test_several_units_and_a_constant_one(self):
        y = np.array([[1.0, 0.1, 1e4], [3.0, 0.1, 2e4], [np.nan] * 3])
        head = RegressionHead(3)
        head.adapt(y)
        mean, scale = (ops.convert_to_numpy(v) for v in head.standardization.statistics())
        np.testing.assert_allclose(mean, [2, 0.1, 15000], rtol=1e-6)
        np.testing.assert_allclose(scale, [1, 1, 5000], rtol=1e-6)

    def test_without_labels_nothing_is_set(self):
        head = RegressionHead()
        head.adapt(np.full(3, np.nan))
        assert not head.adapted
        with pytest.raises(ValueError, match="expected finite labels.*inf"):
            head.adapt(np.array([1.0, np.inf]))

    def test_labels_that_float32_does_not_tell_apart(self):
        head = RegressionHead(name="time")
        with pytest.warns(UserWarning, match="Task 'time': labels differ by.*y - y.mean"):
            head.adapt(1.7e9 + np.array([0.0, 10.0, 20.0]))

    def test_outputs_are_in_the_unit_of_the_labels(self):
        head = RegressionHead(2, hidden_units=0)
        raw = ops.convert_to_numpy(head(MAPS))
        head.adapt(np.array([[2023.0, 1e-6], [2029.0, 3e-6]]))
        outputs = ops.convert_to_numpy(head(MAPS))
        np.testing.assert_allclose(outputs, raw * [3, 1e-6] + [2026, 2e-6], rtol=1e-5, atol=1e-11)
        seen = ops.convert_to_numpy(head.predictions(outputs))
        np.testing.assert_allclose(seen, raw, atol=2e-4)
        np.testing.assert_array_equal(head.decode(outputs)["value"], outputs)

    def test_the_loss_is_1_at_the_best_constant(self):
        y = RNG.uniform(3000, 10000, size=(50, 1)).astype("float32")
        head = RegressionHead()
        loss = head.default_loss()  # before it is adapted, as plain Keras compiles it
        raw = float(loss(y, np.zeros((50, 1))))
        assert raw == pytest.approx(np.mean(y.astype("float64") ** 2), rel=1e-5)
        head.adapt(y)
        assert float(loss(y, np.full((50, 1), y.mean()))) == pytest.approx(1, rel=1e-4)
        absolute = head.training_loss("mae")(y, np.full((50, 1), y.mean()))
        expected = np.abs((y - y.mean()) / y.std()).mean()
        assert float(absolute) == pytest.approx(expected, rel=1e-4)

    def test_without_it_labels_are_taken_as_they_are(self):
        head = RegressionHead(standardize=False)
        assert head.adapted
        head.adapt(np.array([1.0, 100.0]))
        assert float(head.default_loss()(np.array([[4.0]]), np.array([[1.0]]))) == 9
        assert float(head.training_loss("mae")(np.array([[4.0]]), np.array([[1.0]]))) == 3
        assert not head.non_trainable_weights
        with pytest.raises(ValueError, match="True or False. Received: standardize=1"):
            RegressionHead(standardize=1)

    def test_configurations_of_version_0_1_0_do_not_standardise(self):
        config = RegressionHead(2).get_config()
        assert config.pop("standardize") is True
        assert RegressionHead.from_config(config).standardize is False

    def test_plain_keras(self, tmp_path):
        """Compiled before it is adapted; saved, and trained on, in the user's unit."""
        y = np.where(np.arange(60) % 5, RNG.uniform(3000, 10000, size=60), np.nan)
        x = np.nan_to_num(y[:, None] / 1e4) + RNG.normal(size=(60, 3)) * 0.01
        inputs = keras.Input((3,))
        head = RegressionHead(hidden_units=8, name="price")
        model = keras.Model(inputs, head(inputs))
        model.compile(
            keras.optimizers.Adam(0.05), head.default_loss(), metrics=head.default_metrics()
        )
        head.adapt(y)
        history = model.fit(x, y, epochs=60, batch_size=20, verbose=0).history
        assert history["loss"][-1] < 0.1
        there = ~np.isnan(y)
        error = np.abs(model.predict(x, verbose=0)[:, 0] - y)[there].mean()
        scores = model.evaluate(x, y, batch_size=60, verbose=0, return_dict=True)
        assert error < 700 and scores["mae"] == pytest.approx(error, rel=1e-3)
        model.save(tmp_path / "model.keras")
        loaded = keras.models.load_model(tmp_path / "model.keras")
        np.testing.assert_allclose(
            loaded.predict(x, verbose=0), model.predict(x, verbose=0), rtol=1e-5
        )
        again = loaded.evaluate(x, y, batch_size=60, verbose=0, return_dict=True)
        assert again["loss"] == pytest.approx(scores["loss"], rel=1e-4)
        assert loaded.fit(x, y, verbose=0).history["loss"][0] < 0.5
