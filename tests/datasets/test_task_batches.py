"""TaskBatches: several data sets, each with labels for some of the tasks."""

from itertools import chain

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mtlkit as mtl
from mtlkit.datasets import TaskBatches, task_batches
from mtlkit.datasets.task_batches import _split, shuffled

RNG = np.random.default_rng(0)
#: Of "a" 90 samples with the first input below 0, of "b" 30 with the first input above it.
X = RNG.uniform(0.1, 1, size=(120, 3)).astype("float32")
X[:90, 0] *= -1
A = X[:90], (X[:90, 1] > 0.5).astype("uint8")
B = X[90:], {"size": X[90:, 2] * 10}


def epoch_of(batches):
    return [batches[number] for number in range(batches.num_batches)]


def numbers(batches, source):
    """Which samples of a data set an epoch has, batch by batch."""
    rows = [{row.tobytes(): number for number, row in enumerate(x)} for x in (A[0], B[0])][source]
    return [[rows[one.tobytes()] for one in x if one.tobytes() in rows] for x, *_ in batches]


@given(
    size=st.integers(1, 300), key=st.tuples(st.integers(0, 9), st.integers(0, 9)), part=st.data()
)
@pytest.mark.parametrize("small", [0, 1 << 16], ids=["network", "whole"])
def test_shuffled_is_a_permutation(small, size, key, part):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(task_batches, "_SMALL", min(small, size))
        order = shuffled(np.arange(size), size, key)
        assert sorted(order) == list(range(size))
        places = np.array(part.draw(st.lists(st.integers(0, size - 1), max_size=5)), "int64")
        np.testing.assert_array_equal(shuffled(places, size, key), order[places])


def test_long_orders_are_random():
    """Numbers are as likely at one place as at another, and say nothing about the next one."""
    size = 100_000
    order = shuffled(np.arange(size), size, (1, 2))
    assert len(np.unique(order)) == size
    tenths = order.reshape(10, -1) // 10_000
    counts = np.array([np.bincount(row, minlength=10) for row in tenths])
    assert np.abs(counts - 1000).max() < 5 * np.sqrt(1000)
    assert abs(np.corrcoef(order[:-1], order[1:])[0, 1]) < 5 / np.sqrt(size)
    other = shuffled(np.arange(size), size, (1, 3))
    assert abs(np.corrcoef(order, other)[0, 1]) < 5 / np.sqrt(size)
    assert (order == other).sum() < 10


@given(
    total=st.integers(1, 50),
    weights=st.lists(st.floats(0.01, 1), min_size=1, max_size=5),
    draw=st.floats(0, 0.999),
)
def test_whole_numbers_near_the_shares(total, weights, draw):
    shares = np.array(weights) / sum(weights)
    (found,) = _split(total, shares, np.array([draw]))
    assert found.sum() == total and found.min() >= 0
    assert np.abs(found - total * shares).max() < 1 + 1e-6


class TestSampling:
    @pytest.mark.parametrize(
        ("sampling", "share"),
        [("proportional", 0.75), ("equal", 0.5), (1.0, 0.75), (2.0, 3**0.5 / (1 + 3**0.5))],
    )
    @pytest.mark.parametrize("mixed", [True, False])
    def test_shares(self, sampling, share, mixed):
        batches = TaskBatches({"kind": A, "b": B}, 12, sampling, mixed=mixed, batches_per_epoch=100)
        drawn = np.array([len(rows) for rows in numbers(epoch_of(batches), 0)])
        assert drawn.mean() / 12 == pytest.approx(share, abs=0.01)
        assert set(drawn) <= {0, 12} if not mixed else np.ptp(drawn) <= 1

    @pytest.mark.parametrize("mixed", [True, False])
    def test_each_sample_before_any_other_is_drawn_again(self, mixed):
        batches = TaskBatches({"kind": A, "b": B}, 10, "equal", mixed, batches_per_epoch=24)
        rows = list(chain(*numbers(epoch_of(batches), 1)))
        assert len(rows) == 120
        for start in range(0, 120, 30):
            assert sorted(rows[start : start + 30]) == list(range(30))

    def test_an_epoch_has_as_many_batches_as_there_are_samples_for(self):
        batches = TaskBatches({"kind": A, "b": B}, 12)
        rows = list(chain(*numbers(epoch_of(batches), 0)))
        assert batches.num_batches == 10 and sorted(rows) == list(range(90))

    def test_epochs_differ_and_can_be_had_again(self):
        batches, again = (TaskBatches({"kind": A, "b": B}, 12, seed=3) for _ in range(2))
        later = TaskBatches({"kind": A, "b": B}, 12, seed=3, first_epoch=1)
        first = epoch_of(batches)
        batches.on_epoch_end()
        second = epoch_of(batches)
        assert numbers(first, 0) != numbers(second, 0)
        assert numbers(first, 0) == numbers(epoch_of(again), 0)
        assert numbers(second, 0) == numbers(epoch_of(later), 0)


class TestLabels:
    def test_what_a_data_set_does_not_know_is_missing(self):
        x, y = TaskBatches({"kind": A, "b": B}, 20, "equal")[0]
        of_a = x[:, 0] < 0
        assert y["kind"].dtype == "int64" and y["size"].dtype == "float32"
        np.testing.assert_array_equal(y["kind"], np.where(of_a, x[:, 1] > 0.5, -1))
        np.testing.assert_allclose(y["size"], np.where(of_a, np.nan, x[:, 2] * 10))

    def test_a_task_of_both(self):
        both = {"kind": np.zeros(30, "int64"), "size": B[1]["size"]}
        _, y = TaskBatches({"kind": A, "b": (B[0], both)}, 20, "equal")[0]
        assert (y["kind"] >= 0).all() and np.isnan(y["size"]).sum() == 10

    def test_missing_integers_stay_missing_among_floats(self):
        ages = np.where(np.arange(90) % 2, 7, -1)
        x, y = TaskBatches({"a": (A[0], {"size": ages}), "b": B}, 40, "equal")[0]
        of_a = x[:, 0] < 0
        assert y["size"].dtype == "float32"
        assert set(y["size"][of_a & np.isfinite(y["size"])]) == {7.0}
        assert np.isnan(y["size"][of_a]).any() and np.isfinite(y["size"][~of_a]).all()

    def test_weights_of_one_column(self):
        weighted = (*B, {"size": np.full((30, 1), 2.0)})
        x, _, weight = TaskBatches({"kind": A, "b": weighted}, 20, "equal")[0]
        np.testing.assert_array_equal(weight["size"], np.where(x[:, 0] < 0, 1, 2))

    def test_weights(self):
        weighted = (*B, {"size": np.full(30, 2.0)})
        x, _, weight = TaskBatches({"kind": A, "b": weighted}, 20, "equal")[0]
        np.testing.assert_array_equal(weight["size"], np.where(x[:, 0] < 0, 1, 2))
        np.testing.assert_array_equal(weight["kind"], 1)

    def test_nested_inputs_and_files(self, tmp_path):
        np.save(tmp_path / "x.npy", A[0])
        stored = np.load(tmp_path / "x.npy", mmap_mode="r")
        batches = TaskBatches({"kind": ({"columns": stored}, A[1])}, 10)
        x, y = batches[0]
        assert isinstance(batches._sources["kind"][0]["columns"], np.memmap)
        assert type(x["columns"]) is np.ndarray
        np.testing.assert_array_equal(y["kind"], x["columns"][:, 1] > 0.5)


def build():
    keras.utils.set_random_seed(1)
    backbone = keras.Sequential([keras.Input((3,)), keras.layers.Dense(16, activation="relu")])
    tasks = [
        mtl.Task("kind", mtl.heads.ClassificationHead(2, hidden_units=0, layer_norm=False)),
        mtl.Task("size", mtl.heads.RegressionHead(hidden_units=0)),
    ]
    model = mtl.MultiTaskModel(backbone, tasks)
    model.compile(keras.optimizers.SGD(0.1))
    return model


def weights_of(model):
    return [np.array(keras.ops.convert_to_numpy(w)) for w in model.backbone.weights]


@pytest.mark.parametrize("mixed", [True, False])
def test_fit_learns_both_as_from_one_set_with_partial_labels(mixed):
    y = {
        "kind": np.concatenate([A[1].astype("int64"), np.full(30, -1)]),
        "size": np.concatenate([np.full(90, np.nan), B[1]["size"]]).astype("float32"),
    }
    scores = []
    for data in (
        {"x": X, "y": y, "batch_size": 12},
        {"x": TaskBatches({"kind": A, "b": B}, 12, mixed=mixed)},
    ):
        model = build()
        model.fit(**data, epochs=40, verbose=0)
        scores.append(model.evaluate(X, y, verbose=0, return_dict=True))
    assert scores[1]["kind_accuracy"] > 0.9 and scores[1]["size_mae"] < 0.8
    if mixed:  # else steps of one task undo a part of the other's
        assert scores[1]["kind_accuracy"] >= scores[0]["kind_accuracy"] - 0.05
        assert scores[1]["size_mae"] <= scores[0]["size_mae"] + 0.3


def test_fit_goes_on_as_if_never_stopped():
    straight = build()
    straight.fit(TaskBatches({"kind": A, "b": B}, 12), epochs=3, shuffle=False, verbose=0)
    parted = build()
    parted.fit(TaskBatches({"kind": A, "b": B}, 12), epochs=2, shuffle=False, verbose=0)
    later = TaskBatches({"kind": A, "b": B}, 12, first_epoch=2)
    parted.fit(later, initial_epoch=2, epochs=3, shuffle=False, verbose=0)
    for found, wanted in zip(weights_of(parted), weights_of(straight), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("sources", "options", "message"),
    [
        ({}, {}, "Expected data sets by name"),
        ([A], {}, "Expected data sets by name.*list"),
        ({"a": A[0]}, {}, "Data set 'a': expected .x, y.*ndarray"),
        ({"a": (X, A[1])}, {}, r"Data set 'a'.*same number.*\(120, 3\), \(90,\)"),
        ({"a": A, "b": (X[:, :2], X[:, 0])}, {}, r"'b'.*float32\(3,\).*Received: float32\(2,\)"),
        ({"a": A, "b": (X.astype("uint8"), X[:, 0])}, {}, r"type and shape.*Received: uint8\(3,"),
        ({"a": (X, np.full(120, "cat"))}, {}, r"labels of 'a' that are numbers.*dtype=<U3"),
        ({"a": (X, {"b": X}, {"c": X[:, 0]})}, {}, r"weights of the tasks.*Received: .*\['c'\]"),
        ({"a": A, "b": (X, {"a": X})}, {}, r"Data set 'b'.*labels of 'a'.*\(120, 3\)"),
        ({"a": A}, {"sampling": 0.5}, "temperature of at least 1.*0.5"),
        ({"a": A}, {"sampling": "some"}, "Received: sampling='some'"),
        ({"a": A}, {"batch_size": 0}, "batch_size >= 1"),
        ({"a": A}, {"batches_per_epoch": 0}, "batches_per_epoch >= 1"),
    ],
)
def test_errors(sources, options, message):
    with pytest.raises(ValueError, match=message):
        TaskBatches(sources, **options)


def test_an_index_that_is_none():
    with pytest.raises(IndexError, match=r"0\.\.\.9\. Received: 10"):
        TaskBatches({"kind": A, "b": B}, 12)[10]
