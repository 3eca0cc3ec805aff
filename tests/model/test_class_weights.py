"""Task(class_weight=...): weights of classes in the training loss."""

import json

import keras
import numpy as np
import pytest
from sklearn.metrics import recall_score
from sklearn.utils.class_weight import compute_sample_weight

import mtlkit as mtl
from mtlkit.heads import ClassificationHead, OrientationHead, RegressionHead

RNG = np.random.default_rng(0)
X = RNG.normal(size=(240, 2)).astype("float32")
#: One in twelve is of class 1, some are not labelled.
RARE = (np.arange(240) % 12 == 0).astype("int64")
X[:, 0] += 1.5 * RARE
Y = {"rare": np.where(np.arange(240) % 5 == 3, -1, RARE), "size": X[:, 1] * 10}


def build(class_weight, **options):
    keras.utils.set_random_seed(0)
    backbone = keras.Sequential([keras.Input((2,)), keras.layers.Dense(6, activation="relu")])
    head = ClassificationHead(2, hidden_units=0, layer_norm=False)
    tasks = [
        mtl.Task("rare", head, class_weight=class_weight, **options),
        mtl.Task("size", RegressionHead(hidden_units=0)),
    ]
    model = mtl.MultiTaskModel(backbone, tasks)
    model.compile(keras.optimizers.Adam(0.02))
    return model


def fitted(model, **options):
    history = model.fit(X, Y, epochs=3, batch_size=40, shuffle=False, verbose=0, **options).history
    return history, [np.array(w) for w in model.backbone.get_weights()]


def sample_weights():
    """scikit-learn's, of the labelled samples."""
    known = Y["rare"] >= 0
    weights = np.zeros(240, "float32")
    weights[known] = compute_sample_weight("balanced", Y["rare"][known])
    return weights


@pytest.mark.parametrize(
    ("class_weight", "by_hand"),
    [
        ("balanced", sample_weights()),
        ({1: 3.0}, np.where(Y["rare"] == 1, 3.0, 1.0).astype("float32")),
        ({0: 0.5, 1: 2.0}, np.where(Y["rare"] == 1, 2.0, 0.5).astype("float32")),
    ],
    ids=["balanced", "one", "both"],
)
def test_as_sample_weights_by_hand(class_weight, by_hand):
    history, weights = fitted(build(class_weight))
    expected_history, expected = fitted(build(None), sample_weight={"rare": by_hand})
    for found, wanted in zip(weights, expected, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(
        history["rare_loss"], expected_history["rare_loss"], rtol=1e-5, atol=1e-6
    )


def test_both_weights_are_multiplied():
    own = RNG.uniform(0.5, 2, size=240).astype("float32")
    _, weights = fitted(build({1: 3.0}), sample_weight={"rare": own})
    by_hand = own * np.where(Y["rare"] == 1, 3.0, 1.0)
    _, expected = fitted(build(None), sample_weight={"rare": by_hand.astype("float32")})
    for found, wanted in zip(weights, expected, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)


def test_balanced_weights_raise_the_mean_recall():
    recalls = []
    for class_weight in (None, "balanced"):
        model = build(class_weight)
        model.fit(X, Y, epochs=25, batch_size=40, verbose=0)
        label = model.predict_tasks(X, verbose=0)["rare"]["label"]
        recalls.append(recall_score(RARE, label, average="macro"))
    assert recalls[1] > recalls[0] + 0.1


def test_validation_is_without_them():
    model = build("balanced")
    history, _ = fitted(model, validation_data=(X, Y))
    scores = model.evaluate(X, Y, verbose=0, return_dict=True)
    assert history["val_rare_loss"][-1] == pytest.approx(scores["rare_loss"], rel=1e-4)
    logits = model.predict(X, verbose=0)["rare"]
    plain = float(ClassificationHead(2).default_loss()(Y["rare"], logits))
    assert scores["rare_loss"] == pytest.approx(plain, rel=1e-4)


def test_they_are_taken_once_and_saved(tmp_path):
    model = build("balanced")
    fitted(model)
    before = np.array(model._class_weights["rare"]._variable)
    labelled = Y["rare"][Y["rare"] >= 0]
    np.testing.assert_allclose(before, len(labelled) / (2 * np.bincount(labelled)), rtol=1e-6)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    again.fit(X[::2], {"rare": 1 - RARE[::2]}, verbose=0)
    np.testing.assert_array_equal(np.array(again._class_weights["rare"]._variable), before)
    assert again.tasks["rare"].class_weight == "balanced"
    other = model.with_head("size", RegressionHead())
    np.testing.assert_array_equal(np.array(other._class_weights["rare"]._variable), before)


@pytest.mark.filterwarnings("ignore:Your input ran out of data")  # it is to be read to its end
def test_a_stream_is_looked_at():
    def batches():
        for start in range(0, 240, 60):
            yield X[start : start + 60], {k: v[start : start + 60] for k, v in Y.items()}

    model = build("balanced")
    model.fit(batches(), verbose=0)
    labelled = Y["rare"][Y["rare"] >= 0]
    found = np.array(model._class_weights["rare"]._variable)
    np.testing.assert_allclose(found, len(labelled) / (2 * np.bincount(labelled)), rtol=1e-6)


def test_steps_before_a_fit_weigh_all_the_same():
    losses = []
    for class_weight in ("balanced", None):
        model = build(class_weight)
        logs = model.train_on_batch(X, {"rare": Y["rare"]}, return_dict=True)
        losses.append(float(logs["rare_loss"]))
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)


def test_a_configuration_as_json_has_them():
    task = mtl.Task("rare", ClassificationHead(3), class_weight={np.int64(2): 4})
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(task)))
    assert keras.saving.deserialize_keras_object(config).class_weight == {2: 4.0}


@pytest.mark.parametrize(
    "given",
    [
        "even",
        {0: 0.0},
        np.ones(2),
        {"\u00b2": 1.0},
        {0: -1.0},
        {-1: 1.0},
        {0: np.nan},
        {"cat": 2.0},
        [1, 2],
    ],
)
def test_bad_arguments(given):
    with pytest.raises(ValueError, match=r"Task 'rare': expected class_weight to be None, \"bal"):
        mtl.Task("rare", ClassificationHead(2), class_weight=given)


def test_labels_that_are_not_one_class_a_sample():
    loss = keras.losses.CategoricalCrossentropy(from_logits=True)
    rows = np.eye(2)[RARE]
    for class_weight in ("balanced", {1: 2.0}):
        model = build(class_weight, loss=loss, metrics=["categorical_accuracy"])
        with pytest.raises(ValueError, match=r"Task 'rare': expected one class a sample"):
            model.fit(X, {"rare": rows}, verbose=0)


def test_labels_of_a_hierarchy_may_be_groups():
    head = mtl.heads.HierarchicalHead({"animal": ["cat", "dog"], "plant": ["oak", "fir"]})
    backbone = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
    model = mtl.MultiTaskModel(backbone, [mtl.Task("kind", head, class_weight="balanced")])
    model.compile("adam")
    groups = head.hierarchy.num_leaves
    model.fit(X, {"kind": np.where(RARE, groups, 1)}, epochs=1, verbose=0)
    weights = np.array(model._class_weights["kind"]._variable)
    assert weights[groups] == pytest.approx(240 / (2 * 20)) and weights[0] == 1


@pytest.mark.parametrize(
    ("head", "given", "message"),
    [
        (RegressionHead(), "balanced", "no classes.*RegressionHead.*sample_weight={'rare'"),
        (OrientationHead(8, "pool", labels="degrees"), {0: 2.0}, "no classes.*OrientationHead"),
        (ClassificationHead(2), {2: 2.0}, r"classes 0\.\.\.1\. Received: class 2"),
    ],
)
def test_heads_that_have_no_such_classes(head, given, message):
    backbone = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
    with pytest.raises(ValueError, match=f"Task 'rare': expected.*{message}"):
        mtl.MultiTaskModel(backbone, [mtl.Task("rare", head, class_weight=given)])


class TestWeightedMetrics:
    """Task(weighted_metrics=...): samples count by their weight, and the log says so."""

    weights = np.linspace(0, 2, 240).astype("float32")

    def scores(self, model, **options):
        return model.evaluate(X, Y, batch_size=50, return_dict=True, verbose=0, **options)

    @pytest.mark.parametrize("by_task", [True, False])
    def test_they_are_weighted_means_over_the_labelled_samples(self, by_task):
        model = build(None, weighted_metrics=["accuracy"])
        weights = {"rare": self.weights} if by_task else self.weights
        found = self.scores(model, sample_weight=weights)
        right = model.predict_tasks(X, verbose=0)["rare"]["label"] == Y["rare"]
        known = Y["rare"] >= 0
        expected = np.average(right[known], weights=self.weights[known])
        assert found["rare_weighted_accuracy"] == pytest.approx(expected, rel=1e-5)
        assert found["rare_accuracy"] == pytest.approx(right[known].mean(), rel=1e-5)

    def test_without_weights_they_are_the_metrics(self):
        found = self.scores(build("balanced", weighted_metrics=["accuracy"]))
        assert found["rare_weighted_accuracy"] == found["rare_accuracy"]

    def test_they_are_saved_and_not_handed_to_another_head(self, tmp_path):
        model = build(None, weighted_metrics=[keras.metrics.SparseCategoricalAccuracy("right")])
        model.save(tmp_path / "model.keras")
        again = keras.saving.load_model(tmp_path / "model.keras")
        assert "rare_weighted_right" in self.scores(again, sample_weight=self.weights)
        assert model.with_head("rare", ClassificationHead(2)).tasks["rare"].weighted_metrics is None
