"""OrdinalHead: classes in an order, by the thresholds between them."""

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras import ops
from scipy.special import expit, log_expit

import mtlkit as mtl
from mtlkit.heads import OrdinalHead
from mtlkit.losses import OrdinalCrossEntropy
from mtlkit.space import sample
from mtlkit.testing import LayerTestCase

RNG = np.random.default_rng(0)
MAPS = RNG.normal(size=(6, 4, 4, 3)).astype("float32")
LABELS = np.array([0, 4, 2, -1, 1, 3])
SMALL = {"num_classes": 5, "hidden_units": 6}
METHODS = ["corn", "coral"]


def numpy(x):
    return ops.convert_to_numpy(x)


class TestContract(LayerTestCase):
    @pytest.mark.parametrize("method", METHODS)
    @pytest.mark.parametrize(
        ("kwargs", "features"),
        [
            ({"dropout": 0.2}, MAPS),
            ({"pooling": "flatten", "data_format": "channels_first"}, np.moveaxis(MAPS, -1, 1)),
            ({"hidden_units": 0}, MAPS[:, 0, 0]),
        ],
        ids=["average", "flatten-channels_first", "vectors"],
    )
    def test_head(self, method, kwargs, features):
        self.run_head_test(
            OrdinalHead,
            {**SMALL, **kwargs, "method": method},
            features,
            LABELS,
            bad_labels=[LABELS + 1, LABELS.astype("float32"), LABELS[:, None, None]],
            expected_output_shape=(6, 4),
        )


class TestLoss:
    logits = RNG.normal(size=(6, 4)).astype("float32")

    def by_hand(self, method):
        """The loss of each labelled sample, one binary cross-entropy after the other."""
        found = []
        for label, row in zip(LABELS, self.logits.astype("float64"), strict=True):
            if label >= 0:
                reached = range(4 if method == "coral" else min(label + 1, 4))
                found.append(sum(-log_expit(row[k] if label > k else -row[k]) for k in reached))
        return np.array(found)

    @pytest.mark.parametrize("method", METHODS)
    def test_binary_cross_entropies(self, method):
        loss = OrdinalHead(5, method).default_loss()
        for y in (LABELS, LABELS[:, None]):
            assert float(loss(y, self.logits)) == pytest.approx(self.by_hand(method).mean(), 1e-5)

    def test_corn_is_the_negative_log_probability(self):
        probability = OrdinalHead(5).decode(self.logits)["probability"]
        known = LABELS >= 0
        expected = -np.log(probability[known, LABELS[known]])
        np.testing.assert_allclose(self.by_hand("corn"), expected, rtol=1e-5)

    @pytest.mark.parametrize("method", METHODS)
    def test_two_classes_are_logistic_regression(self, method):
        y, logits = np.array([0, 1, 1]), np.array([[0.3], [-2.0], [5.0]], "float32")
        expected = -log_expit(np.where(y == 1, 1, -1) * logits[:, 0])
        found = OrdinalCrossEntropy(2, method)(y, logits)
        assert float(found) == pytest.approx(expected.mean(), rel=1e-5)

    @pytest.mark.parametrize("method", METHODS)
    def test_large_logits_are_finite(self, method):
        found = OrdinalCrossEntropy(3, method)(np.array([0, 2]), np.array([[1e4, 0], [-1e4, 1e4]]))
        assert float(found) == pytest.approx(1e4, rel=1e-3)

    def test_it_is_saved(self):
        loss = OrdinalCrossEntropy(4, "coral")
        again = OrdinalCrossEntropy.from_config(loss.get_config())
        assert (again.num_classes, again.method) == (4, "coral")

    def test_errors(self):
        with pytest.raises(ValueError, match=r"'coral', 'corn'.*Received: method='probit'"):
            OrdinalHead(4, "probit")
        with pytest.raises(ValueError, match=r"num_classes >= 2"):
            OrdinalHead(1)


class TestDecode:
    @given(logits=st.lists(st.floats(-30, 30), min_size=3, max_size=3))
    def test_corn_by_hand(self, logits):
        """The chain of probabilities to go on, up to the class at which it ends."""
        go_on = expit(np.array(logits))
        expected = [
            np.prod(go_on[:label]) * (1 - go_on[label] if label < 3 else 1) for label in range(4)
        ]
        decoded = OrdinalHead(4).decode(np.array([logits], "float32"))
        np.testing.assert_allclose(decoded["probability"][0], expected, atol=1e-5)
        assert decoded["value"][0] == pytest.approx(np.arange(4) @ expected, abs=1e-4)

    def test_coral_by_hand(self):
        logits = np.array([[2.0, 1.0, -1.0]], "float32")
        decoded = OrdinalHead(4, "coral").decode(logits)
        above = expit(logits[0].astype("float64"))
        expected = -np.diff([1, *above, 0])
        np.testing.assert_allclose(decoded["probability"][0], expected, atol=1e-6)
        assert decoded["label"] == [2] and decoded["label"].dtype == "int64"

    @pytest.mark.parametrize("method", METHODS)
    def test_probabilities_whatever_the_order_of_thresholds(self, method):
        decoded = OrdinalHead(6, method).decode(RNG.normal(size=(50, 5)) * 5)
        np.testing.assert_allclose(decoded["probability"].sum(axis=1), 1, rtol=1e-5)
        assert decoded["probability"].min() >= 0

    def test_the_label_is_the_median(self):
        decoded = OrdinalHead(6).decode(RNG.normal(size=(50, 5)) * 2)
        cumulative = decoded["probability"].cumsum(axis=1)
        np.testing.assert_array_equal(decoded["label"], (cumulative < 0.5).sum(axis=1))


def test_an_untrained_coral_head_knows_nothing():
    """Its biases give all classes the same probability."""
    head = OrdinalHead(5, "coral", hidden_units=0)
    head.build((None, 3))
    probability = head.decode(numpy(head.bias)[None])["probability"]
    np.testing.assert_allclose(probability, 0.2, rtol=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_it_learns_an_order(method):
    x = RNG.uniform(-1, 1, size=(256, 2)).astype("float32")
    y = {"grade": np.digitize(x[:, 0], [-0.6, -0.2, 0.2, 0.6])}
    backbone = keras.Sequential([keras.Input((2,)), keras.layers.Dense(8, activation="relu")])
    head = OrdinalHead(5, method, hidden_units=16, layer_norm=False)
    model = mtl.MultiTaskModel(backbone, [mtl.Task("grade", head)])
    model.compile(keras.optimizers.Adam(0.02))
    model.fit(x, y, epochs=12, batch_size=32, verbose=0)
    scores = model.evaluate(x, y, verbose=0, return_dict=True)
    assert scores["grade_mae"] < 0.2 and scores["grade_kappa"] > 0.9
    label = model.predict_tasks(x, verbose=0)["grade"]["label"]
    assert np.abs(label - y["grade"]).mean() == pytest.approx(scores["grade_mae"], abs=1e-5)


def test_every_point_of_the_search_space_builds():
    rng = np.random.default_rng(0)
    for _ in range(5):
        head = OrdinalHead(4, **sample(OrdinalHead.search_space(), rng))
        assert head(MAPS).shape == (6, 3)
