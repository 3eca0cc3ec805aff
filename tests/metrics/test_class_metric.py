"""Metrics of probabilities from labels and logits of classes, against scikit-learn."""

import keras
import numpy as np
import pytest
from scipy.special import softmax
from sklearn import metrics as reference

import mtlkit as mtl
from mtlkit.metrics import ClassMetric

RNG = np.random.default_rng(0)
SAMPLES = 200
WEIGHTS = RNG.uniform(0.5, 2, SAMPLES).astype("float32")


def labels_and_logits(classes: int) -> tuple[np.ndarray, np.ndarray]:
    labels = RNG.integers(classes, size=SAMPLES)
    logits = RNG.normal(size=(SAMPLES, classes)) + 1.5 * np.eye(classes)[labels]
    return labels, logits.astype("float32")


TWO, THREE = labels_and_logits(2), labels_and_logits(3)


def score(metric, data, weights=None):
    labels, logits = data
    found = ClassMetric(metric, logits.shape[1])
    half = slice(0, 90), slice(90, None)
    for rows in half:
        own = None if weights is None else weights[rows]
        found.update_state(labels[rows], logits[rows], sample_weight=own)
    return np.array(keras.ops.convert_to_numpy(found.result()))


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["plain", "weighted"])
class TestAgainstScikitLearn:
    def test_of_two_classes(self, weights):
        labels, logits = TWO
        chosen, positive = logits.argmax(1), softmax(logits, axis=1)[:, 1]
        for metric, expected in (
            ("recall", reference.recall_score(labels, chosen, sample_weight=weights)),
            (
                keras.metrics.Precision(),
                reference.precision_score(labels, chosen, sample_weight=weights),
            ),
        ):
            assert score(metric, TWO, weights) == pytest.approx(expected, rel=1e-5)
        area = keras.metrics.AUC(num_thresholds=2000)
        expected = reference.roc_auc_score(labels, positive, sample_weight=weights)
        assert score(area, TWO, weights) == pytest.approx(expected, abs=2e-3)

    @pytest.mark.parametrize("class_id", [0, 2])
    def test_of_one_class_of_three(self, weights, class_id):
        labels, logits = THREE
        probable = softmax(logits, axis=1)[:, class_id] > 0.5
        expected = reference.recall_score(labels == class_id, probable, sample_weight=weights)
        metric = keras.metrics.Recall(class_id=class_id)
        assert score(metric, THREE, weights) == pytest.approx(expected, rel=1e-5)

    def test_of_all_classes(self, weights):
        labels, logits = THREE
        likely = softmax(logits, axis=1) > 0.5
        one_hot = labels[:, None] == np.arange(3)
        expected = reference.recall_score(one_hot, likely, average="micro", sample_weight=weights)
        assert score("recall", THREE, weights) == pytest.approx(expected, rel=1e-5)
        expected = reference.f1_score(
            labels, logits.argmax(1), average="macro", sample_weight=weights
        )
        metric = keras.metrics.F1Score(average="macro")
        assert score(metric, THREE, weights) == pytest.approx(expected, rel=1e-5)
        expected = reference.top_k_accuracy_score(labels, logits, k=2, sample_weight=weights)
        metric = keras.metrics.TopKCategoricalAccuracy(k=2)
        assert score(metric, THREE, weights) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("metric", "data"),
    [("recall", TWO), ("recall", THREE), ("categorical_accuracy", THREE), ("f1_score", THREE)],
)
def test_one_hot_labels_are_taken_as_well(metric, data):
    labels, logits = data
    one_hot = np.eye(logits.shape[1])[labels]
    given, expected = score(metric, (one_hot, logits)), score(metric, data)
    np.testing.assert_allclose(given, expected, rtol=1e-6)


def test_a_task_takes_them_with_missing_labels():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(64, 4)).astype("float32")
    rare, kind = (x[:, 0] > 1).astype("int64"), rng.integers(3, size=64)
    y = {"rare": np.where(np.arange(64) % 4 == 0, -1, rare), "kind": kind}
    f1 = keras.metrics.F1Score(average="macro", name="f1")
    heads = mtl.heads
    tasks = [
        mtl.Task("rare", heads.ClassificationHead(2), metrics=["accuracy", "recall", "precision"]),
        mtl.Task("kind", heads.ContrastiveHead(3, embedding_dim=4), metrics=[f1]),
    ]
    model = mtl.MultiTaskModel(mtl.backbones.DenseBackbone(4, units=(16,)), tasks)
    model.compile(keras.optimizers.Adam(0.03))
    model.fit(x, y, epochs=6, verbose=0)
    logs = model.evaluate(x, y, return_dict=True, verbose=0)
    outputs = model.predict(x, verbose=0)
    there = y["rare"] >= 0
    found = outputs["rare"].argmax(1)[there]
    for name in ("recall", "precision"):
        expected = getattr(reference, f"{name}_score")(rare[there], found)
        assert logs[f"rare_{name}"] == pytest.approx(expected, abs=1e-6)
    expected = reference.f1_score(kind, outputs["kind"][:, :3].argmax(1), average="macro")
    assert logs["kind_f1"] == pytest.approx(expected, abs=1e-6)
    assert model.objective("rare", "recall", "max").name == "val_rare_recall"


def test_several_areas_of_two_classes():
    labels, logits = TWO
    area = keras.metrics.AUC(multi_label=True, num_labels=2, num_thresholds=2000)
    expected = reference.roc_auc_score(labels, softmax(logits, axis=1)[:, 1])
    assert score(area, TWO) == pytest.approx(expected, abs=2e-3)  # the same for both


class LogitRecall(keras.metrics.Recall):
    """A user's own, which turns logits into probabilities itself."""

    def update_state(self, y_true, y_pred, sample_weight=None):
        super().update_state(y_true, keras.ops.softmax(y_pred)[:, 1], sample_weight)


def test_a_metric_of_the_users_own_reads_logits():
    tasks = [
        mtl.Task("a", mtl.heads.ClassificationHead(2), metrics=["recall", LogitRecall(name="own")])
    ]
    model = mtl.MultiTaskModel(mtl.backbones.DenseBackbone(4, units=(4,)), tasks)
    model.compile("sgd")
    x = np.random.default_rng(0).normal(size=(32, 4)).astype("float32")
    logs = model.evaluate(x, {"a": (x[:, 0] > 0).astype(int)}, return_dict=True, verbose=0)
    assert logs["a_own"] == pytest.approx(logs["a_recall"])


def test_config_round_trip():
    metric = ClassMetric(keras.metrics.Recall(class_id=1), 3, name="found")
    again = ClassMetric.from_config(metric.get_config())
    assert again.name == "found" and again.get_config() == metric.get_config()
    again.update_state(*THREE)
    assert float(again.result()) == score(keras.metrics.Recall(class_id=1), THREE)
    again.reset_state()
    assert float(again.result()) == 0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ClassMetric("recall", 1), "num_classes >= 2"),
        (lambda: ClassMetric("mae", 2), "a metric of probabilities"),
    ],
)
def test_errors(make, message):
    with pytest.raises(ValueError, match=message):
        make()
