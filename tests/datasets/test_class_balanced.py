"""ClassBalancedBatches: several samples of each class, reproducible, no class left out."""

import numpy as np
import pytest
from small_models import small_backbone

import mtlkit as mtl
from mtlkit.datasets.class_balanced import ClassBalancedBatches
from mtlkit.heads.contrastive import ContrastiveHead

SAMPLES = 60
RNG = np.random.default_rng(0)
#: Pixels tell the number of the sample.
X = np.tile(np.arange(SAMPLES, dtype="float32")[:, None, None, None], (1, 8, 8, 1))
#: Class 6 has two samples only, class 5 none; three samples are unlabelled.
IDENTITY = np.concatenate([np.repeat([0, 1, 2, 3, 4], 11), [6, 6], [-1, -1, -1]])
Y = {"identity": IDENTITY, "intensity": np.arange(SAMPLES) / SAMPLES}


def make(classes_per_batch=3, samples_per_class=4, **kwargs):
    return ClassBalancedBatches(X, Y, "identity", classes_per_batch, samples_per_class, **kwargs)


def rows_of(batch):
    """The numbers of the samples; checks that images and labels belong together."""
    rows = batch[0][:, 0, 0, 0].astype(int)
    for name, labels in batch[1].items():
        np.testing.assert_array_equal(labels, Y[name][rows])
    return rows


def epoch_of(batches):
    return [rows_of(batches[index]).tolist() for index in range(batches.num_batches)]


def test_batches_are_balanced():
    for batch in make():
        rows = rows_of(batch)
        classes = IDENTITY[rows].reshape(3, 4)
        assert len(set(classes[:, 0])) == 3 and (classes == classes[:, :1]).all()
        assert -1 not in classes
        for row, label in zip(rows.reshape(3, 4), classes[:, 0], strict=True):
            assert len(set(row)) == (2 if label == 6 else 4)


def test_rare_classes_are_repeated_evenly():
    batches = make(classes_per_batch=6, samples_per_class=5)
    rows = rows_of(batches[0]).reshape(6, 5)
    (rare,) = (row for row in rows if IDENTITY[row[0]] == 6)
    assert sorted(np.unique(rare, return_counts=True)[1]) == [2, 3]


def test_no_class_is_left_out():
    """Within an epoch none is drawn again before all others were drawn as often."""
    batches = make(classes_per_batch=4, samples_per_class=2, batches_per_epoch=7)
    assert batches.classes.tolist() == [0, 1, 2, 3, 4, 6]
    for _ in range(3):
        drawn = dict.fromkeys(batches.classes.tolist(), 0)
        for rows in epoch_of(batches):
            for label in set(IDENTITY[rows]):
                drawn[label] += 1
            assert max(drawn.values()) - min(drawn.values()) <= 1
        assert min(drawn.values()) >= 4
        batches.on_epoch_end()


def test_default_number_of_batches():
    assert make(3, 4).num_batches == 5  # 57 labelled samples by 12
    assert make(2, 100).num_batches == 3  # six classes
    assert make(batches_per_epoch=9).num_batches == 9
    assert len(list(make())) == 5


def test_over_epochs_all_samples_come():
    batches, seen = make(), set()
    for _ in range(15):
        seen |= {row for rows in epoch_of(batches) for row in rows}
        batches.on_epoch_end()
    assert seen == set(np.flatnonzero(IDENTITY >= 0))


def test_reproducible_by_seed_epoch_and_index():
    one, two, other = make(seed=3), make(seed=3), make(seed=4)
    history = []
    for _ in range(3):
        history.append(epoch_of(one))
        backwards = [rows_of(two[i]).tolist() for i in reversed(range(two.num_batches))]
        assert history[-1] == backwards[::-1] == epoch_of(two)
        assert history[-1] != epoch_of(other)
        for batches in (one, two, other):
            batches.on_epoch_end()
    assert history[0] != history[1] != history[2] != history[0]
    assert len({str(rows) for epoch in history for rows in epoch}) == 15


def test_unlabelled_samples():
    batches = make(unlabelled_per_batch=2)
    for batch in batches:
        rows = rows_of(batch)
        assert len(rows) == 14 and (IDENTITY[rows[12:]] == -1).all() and len(set(rows[12:])) == 2
    many = make(unlabelled_per_batch=5)[0]
    assert len(many[0]) == 17, "there are three, which are repeated"


def test_sample_weights():
    weights = np.arange(SAMPLES) + 100.0
    x, _, weight = make(sample_weight=weights)[0]
    np.testing.assert_array_equal(weight, x[:, 0, 0, 0] + 100)
    _, _, by_task = make(sample_weight={"identity": weights})[1]
    assert list(by_task) == ["identity"] and by_task["identity"].shape == (12,)


def test_nested_inputs_and_label_columns():
    y = {"identity": IDENTITY[:, None], "other": list(range(SAMPLES))}
    batches = ClassBalancedBatches({"a": X, "b": X[:, 0, 0]}, y, "identity", 2, 3)
    x, labels = batches[0]
    assert x["a"].shape == (6, 8, 8, 1) and x["b"].shape == (6, 1)
    assert labels["identity"].shape == (6, 1) and labels["other"].shape == (6,)


def test_fit_with_workers():
    """A MultiTaskModel sees the batches of seed, epoch and index, whoever draws them."""
    seen = []

    class Watched(ClassBalancedBatches):
        def __getitem__(self, index):
            batch = super().__getitem__(index)
            seen.append((self.epoch, index, tuple(rows_of(batch))))
            return batch

    batches = Watched(X, Y, "identity", 3, 2, batches_per_epoch=4, workers=3)
    tasks = [
        mtl.Task("identity", ContrastiveHead(7, embedding_dim=3, hidden_units=4)),
        mtl.Task("intensity", mtl.heads.RegressionHead(hidden_units=4)),
    ]
    model = mtl.MultiTaskModel(small_backbone(), tasks)
    model.compile("adam")
    history = model.fit(batches, epochs=2, verbose=0).history
    assert np.isfinite(history["loss"]).all() and "intensity_loss" in history
    drawn = {(epoch, index): rows for epoch, index, rows in seen}
    assert len(drawn) == len(set(seen)), "one batch for each epoch and index"
    assert len({epoch for epoch, _ in drawn}) >= 2
    fresh = make(3, 2, batches_per_epoch=4)
    for epoch in range(max(epoch for epoch, _ in drawn) + 1):
        for index in range(4):
            if (epoch, index) in drawn:
                assert drawn[epoch, index] == tuple(rows_of(fresh[index]))
        fresh.on_epoch_end()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y": IDENTITY}, "dict by task, with labels of 'identity'. Received: ndarray"),
        ({"y": {"other": IDENTITY}}, r"with labels of 'identity'. Received: \['other'\]"),
        ({"y": {"identity": Y["intensity"]}}, "'identity': expected one integer label.*float64"),
        ({"y": {"identity": IDENTITY - 1}}, r"0, 1, ... or -1. Received: -2"),
        ({"y": {"identity": np.zeros((SAMPLES, 2), int)}}, r"Received: int64 of shape \(60, 2\)"),
        ({"y": {"identity": IDENTITY[:9]}}, r"same number of samples.*\(9,\)"),
        ({"sample_weight": np.ones(3)}, r"same number of samples.*'sample_weight': \(3,\)"),
        ({"classes_per_batch": 7}, "classes_per_batch=7 classes with samples. Received: 6 classes"),
        ({"classes_per_batch": 0}, "classes_per_batch >= 1. Received: classes_per_batch=0"),
        ({"samples_per_class": 0}, "samples_per_class >= 1"),
        ({"batches_per_epoch": 0}, "batches_per_epoch >= 1"),
        ({"unlabelled_per_batch": -1}, "unlabelled_per_batch >= 0"),
        ({"seed": -1}, "seed >= 0"),
        (
            {"y": {"identity": np.arange(SAMPLES) % 5}, "unlabelled_per_batch": 2},
            "expected unlabelled samples.*unlabelled_per_batch=2.*none",
        ),
    ],
)
def test_errors(change, message):
    given = {
        "x": X,
        "y": Y,
        "task": "identity",
        "classes_per_batch": 3,
        "samples_per_class": 2,
        **change,
    }
    with pytest.raises(ValueError, match=message):
        ClassBalancedBatches(**given)


def test_an_index_beyond_the_epoch():
    with pytest.raises(IndexError, match=r"0\.\.\.4. Received: 5"):
        make()[5]
