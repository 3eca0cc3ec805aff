"""MultiLabelHead: labels that are independent, each of which may be missing."""

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras import ops
from scipy.special import expit, log_expit
from sklearn.metrics import average_precision_score, f1_score

import mtlkit as mtl
from mtlkit.heads import MultiLabelHead
from mtlkit.losses import MaskedLoss, MultiLabelCrossEntropy
from mtlkit.metrics import LabelAccuracy, MaskedMetric, MeanAveragePrecision
from mtlkit.space import sample
from mtlkit.testing import LayerTestCase

RNG = np.random.default_rng(0)
MAPS = RNG.normal(size=(6, 4, 4, 3)).astype("float32")
LABELS = np.array([[0, 1, 1], [1, 0, 0], [-1, -1, -1], [0, 0, 1], [1, 1, 0], [1, 0, 1]])
PARTIAL = np.array([[0, 1, -1], [1, -1, -1], [-1, -1, -1], [-1, 0, 1], [1, 1, 0], [1, 0, 1]])
SMALL = {"num_labels": 3, "hidden_units": 6}


def as_floats(labels):
    return np.where(labels < 0, np.nan, labels).astype("float32")


class TestContract(LayerTestCase):
    @pytest.mark.parametrize(
        ("kwargs", "features"),
        [
            ({"dropout": 0.2}, MAPS),
            ({"pooling": "flatten", "data_format": "channels_first"}, np.moveaxis(MAPS, -1, 1)),
            ({"hidden_units": 0}, MAPS[:, 0, 0]),
        ],
        ids=["average", "flatten-channels_first", "vectors"],
    )
    def test_head(self, kwargs, features):
        self.run_head_test(
            MultiLabelHead,
            {**SMALL, **kwargs},
            features,
            LABELS,
            bad_labels=[LABELS + 1, LABELS[:, 0], LABELS[:, :2], LABELS.astype(str)],
            expected_output_shape=(6, 3),
        )


class TestLoss:
    logits = RNG.normal(size=(6, 3)).astype("float32")

    def by_hand(self, labels, weights=None):
        """The mean over labels of a sample, then over samples that have one."""
        samples = []
        for row, (labels_of, logits) in enumerate(zip(labels, self.logits, strict=True)):
            found = [
                -log_expit(logit if label == 1 else -logit)
                for label, logit in zip(labels_of, logits.astype("float64"), strict=True)
                if label >= 0
            ]
            if found:
                samples.append(np.mean(found) * (1 if weights is None else weights[row]))
        return np.mean(samples)

    @pytest.mark.parametrize("labels", [LABELS, PARTIAL], ids=["complete", "partial"])
    @pytest.mark.parametrize("make", [np.asarray, as_floats], ids=["integers", "floats"])
    def test_cross_entropy_of_known_labels(self, labels, make):
        loss = MultiLabelHead(3).default_loss()
        expected = self.by_hand(labels)
        assert float(loss(make(labels), self.logits)) == pytest.approx(expected, rel=1e-5)
        weights = np.array([1.0, 2.0, 5.0, 0.0, 1.0, 0.5])
        found = float(loss(make(labels), self.logits, sample_weight=weights))
        assert found == pytest.approx(self.by_hand(labels, weights), rel=1e-5)

    def test_as_kerass_where_nothing_is_missing(self):
        own = MaskedLoss(MultiLabelCrossEntropy())(LABELS[3:], self.logits[3:])
        other = keras.losses.BinaryCrossentropy(from_logits=True)(LABELS[3:], self.logits[3:])
        assert float(own) == pytest.approx(float(other), rel=1e-5)

    def test_nothing_known_is_no_loss(self):
        loss = MultiLabelHead(3).default_loss()
        assert float(loss(np.full((2, 3), np.nan), np.full((2, 3), 1e6))) == 0


class TestAveragePrecision:
    def metric_of(self, labels, logits, batches=1, weights=None):
        metric = MaskedMetric(MeanAveragePrecision(labels.shape[1]))
        for rows in np.array_split(np.arange(len(labels)), batches):
            own = None if weights is None else weights[rows]
            metric.update_state(labels[rows], logits[rows], sample_weight=own)
        return float(metric.result())

    @given(seed=st.integers(0, 1000), batches=st.integers(1, 3))
    def test_as_in_scikit_learn(self, seed, batches):
        rng = np.random.default_rng(seed)
        labels = np.concatenate([rng.integers(-1, 2, size=(40, 3)), [[0] * 3, [1] * 3]])
        # In the middle of cells, so that nothing is rounded.
        logits = np.round(rng.normal(size=(42, 3)) * 2 / 0.02) * 0.02 + 0.01
        expected = []
        for label in range(3):
            known = labels[:, label] >= 0
            one = average_precision_score(labels[known, label], logits[known, label])
            expected.append(one)
        found = self.metric_of(labels, logits, batches)
        assert found == pytest.approx(np.mean(expected), abs=1e-4)

    def test_close_to_it_for_any_logits(self):
        labels, logits = RNG.integers(2, size=(500, 4)), RNG.normal(size=(500, 4))
        expected = average_precision_score(labels, expit(logits), average="macro")
        assert self.metric_of(labels, logits) == pytest.approx(expected, abs=0.003)

    def test_weights_leave_samples_out(self):
        labels, logits = np.array([[1], [0], [0]]), np.array([[1.0], [2.0], [0.0]])
        assert self.metric_of(labels, logits) == pytest.approx(0.5)
        assert self.metric_of(labels, logits, weights=np.array([1.0, 0.0, 1.0])) == 1

    def test_labels_of_one_value_do_not_count(self):
        labels = np.array([[1, 0], [0, 0]])
        assert self.metric_of(labels, np.array([[9.0, 1.0], [-99.0, 5.0]])) == 1
        assert np.isnan(self.metric_of(labels[:, 1:], np.zeros((2, 1))))

    def test_it_is_saved(self):
        again = MeanAveragePrecision.from_config(MeanAveragePrecision(5, "map").get_config())
        assert (again.num_labels, again.name) == (5, "map")


def test_accuracy_is_that_of_known_labels():
    logits = np.array([[2.0, -1.0, 0.3]] * 6)
    metric = MaskedMetric(LabelAccuracy())
    metric.update_state(PARTIAL, logits)
    known = PARTIAL >= 0
    expected = ((logits > 0) == (PARTIAL == 1))[known].mean()
    assert float(metric.result()) == pytest.approx(expected)


class TestThresholds:
    labels = np.array([[1, 0, 1], [1, 0, 1], [0, 0, 0], [0, 0, 1], [1, 0, -1]])
    logits = np.array([[-1.0, 1, 3], [-2, 2, 2], [-3, 0, 1], [-4, 1, 2], [-1, 0, 9]])

    def head(self):
        head = MultiLabelHead(3, hidden_units=0)
        head.build((None, 4))
        return head

    def test_best_f1_of_each(self):
        head = self.head()
        assert head.decode(self.logits)["labels"][:, 0].sum() == 0
        found = head.adapt_thresholds(self.labels, self.logits)
        decoded = head.decode(self.logits)["labels"]
        np.testing.assert_array_equal(decoded[:, 0], self.labels[:, 0])
        assert found[1] == 0.5  # it has one value alone
        assert found[0] == pytest.approx((expit(-2) + expit(-3)) / 2, rel=1e-5)

    @given(seed=st.integers(0, 200))
    def test_no_other_threshold_is_better(self, seed):
        rng = np.random.default_rng(seed)
        true = np.concatenate([[0, 1], rng.integers(2, size=12)])[:, None]
        logits = np.round(rng.normal(size=(14, 1)), 1)
        head = MultiLabelHead(1, hidden_units=0)
        head.build((None, 2))
        threshold = head.adapt_thresholds(true, logits)[0]
        probability = expit(logits[:, 0])
        best = f1_score(true[:, 0], probability > threshold)
        assert best >= max(f1_score(true[:, 0], probability > t) for t in (0, *probability)) - 1e-6

    def test_they_are_saved(self, tmp_path):
        features = keras.Input((4,))
        head = MultiLabelHead(3)
        model = keras.Model(features, head(features))
        head.adapt_thresholds(self.labels, self.logits)
        model.save(tmp_path / "model.keras")
        again = keras.saving.load_model(tmp_path / "model.keras").layers[-1]
        np.testing.assert_array_equal(
            again.decode(self.logits)["labels"], head.decode(self.logits)["labels"]
        )

    def test_a_head_that_is_not_built(self):
        with pytest.raises(ValueError, match="Expected a head that is built"):
            MultiLabelHead(3).adapt_thresholds(self.labels, self.logits)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (
            np.array([0, 2]),
            r"shape \(samples, 3\)\. Received: shape \(2,\)\. .*to_categorical\(y, 3\)",
        ),
        (np.array([["a", "b", "c"]]), r"Received: dtype=<U1\. .*MultiLabelBinarizer"),
        (np.array([[0.0, 0.5, 1.0]]), r"Received: 0\.5 at sample 0, label 1"),
    ],
)
def test_label_errors(y, message):
    with pytest.raises(ValueError, match=r"Task 'tags': expected 3 labels.*" + message):
        MultiLabelHead(3).validate_labels(y, "tags")


def test_in_a_model_where_no_sample_has_all_labels():
    x = RNG.uniform(-1, 1, size=(256, 3)).astype("float32")
    true = (x > np.array([0.0, 0.3, -0.5])).astype(int)
    hidden = np.where(np.arange(3) == RNG.integers(3, size=256)[:, None], -1, true)
    y = {"tags": hidden, "kind": (x[:, 0] > 0).astype(int)}
    backbone = keras.Sequential([keras.Input((3,)), keras.layers.Dense(16, activation="relu")])
    head = MultiLabelHead(3, hidden_units=16, layer_norm=False)
    tasks = [mtl.Task("tags", head), mtl.Task("kind", mtl.heads.ClassificationHead(2))]
    model = mtl.MultiTaskModel(backbone, tasks)
    model.compile(keras.optimizers.Adam(0.02))
    model.fit(x, y, epochs=10, batch_size=32, verbose=0)
    scores = model.evaluate(x, y, verbose=0, return_dict=True)
    decoded = model.predict_tasks(x, verbose=0)["tags"]
    known = hidden >= 0
    right = (decoded["labels"] == hidden)[known].mean()
    assert scores["tags_label_accuracy"] == pytest.approx(right, abs=1e-5) and right > 0.9
    assert scores["tags_mean_average_precision"] > 0.95
    logits = ops.convert_to_tensor(model.predict(x, verbose=0)["tags"])
    expected = float(head.default_loss()(hidden, logits))
    assert scores["tags_loss"] == pytest.approx(expected, rel=1e-4)


def test_every_point_of_the_search_space_builds():
    rng = np.random.default_rng(0)
    for _ in range(3):
        head = MultiLabelHead(4, **sample(MultiLabelHead.search_space(), rng))
        assert head(MAPS).shape == (6, 4)
