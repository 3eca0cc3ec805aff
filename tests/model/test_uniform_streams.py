import pickle

import keras
import numpy as np
import pytest

from mtlkit.model._uniform_streams import uniform

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="other backends take batches as they come"
)
X = np.zeros((2, 3), "float32")
A = {"a": np.array([0, 1])}
B = {"b": np.array([[0.5, 0.1], [1.0, 2.0]], "float32")}


class Batches(keras.utils.PyDataset):
    def __init__(self, batches, **kwargs):
        super().__init__(**kwargs)
        self.batches = batches
        self.epochs = 0

    @property
    def num_batches(self):
        return len(self.batches)

    def __getitem__(self, index):
        return self.batches[index]

    def on_epoch_end(self):
        self.epochs += 1


def test_missing_labels_are_filled_in():
    (_, first), (_, second) = uniform((batch for batch in [(X, A), (X, B)]), ["a", "b"])
    np.testing.assert_array_equal(first["a"], A["a"])
    assert np.isnan(first["b"]).all() and first["b"].shape == (2, 2)
    np.testing.assert_array_equal(second["a"], [-1, -1])
    np.testing.assert_array_equal(second["b"], B["b"])


def test_weights_are_filled_in():
    batches = [(X, {**A, **B}, {"a": np.array([2.0, 0.0])}), (X, A)]
    (_, _, first), (_, _, second) = uniform((batch for batch in batches), ["a", "c"])
    np.testing.assert_array_equal(first["a"], [2, 0])
    np.testing.assert_array_equal(first["b"], [1, 1])
    np.testing.assert_array_equal(second["a"], [1, 1])


def test_unsigned_labels_get_a_dtype_that_holds_minus_one():
    batches = [(X, {"a": np.array([200, 1], "uint8")}), (X, {})]
    first, second = (y["a"] for _, y in uniform((batch for batch in batches), ["a", "b"]))
    assert first.dtype == second.dtype == "int64"
    np.testing.assert_array_equal([first, second], [[200, 1], [-1, -1]])


def test_data_set_keeps_its_ways():
    dataset = Batches([(X, A), (X, B)], workers=3, max_queue_size=7)
    same = pickle.loads(pickle.dumps(uniform(dataset, ["a", "b"])))
    assert (same.workers, same.max_queue_size, same.num_batches) == (3, 7, 2)
    same.on_epoch_end()
    assert same.dataset.epochs == 1
    assert set(same[1][1]) == {"a", "b"}


def test_endless_data_set():
    class Endless(keras.utils.PyDataset):
        num_batches = None

        def __getitem__(self, index):
            return X, A if index % 2 else B

    assert set(uniform(Endless(), ["a", "b"])[7][1]) == {"a", "b"}


@pytest.mark.parametrize(
    ("late", "message"),
    [((X, {**A, **B}), r"labels for \['b'\]"), ((X, A, {"a": np.ones(2)}), "sample weights")],
)
def test_what_comes_too_late_is_an_error(late, message):
    batches = [(X, A)] * 10 + [late]
    with pytest.raises(ValueError, match=message):
        list(uniform((batch for batch in batches), ["a", "b"]))


def test_other_streams_and_labels_are_left_alone():
    data = [(X, A)]
    assert uniform(data, ["a"]) is data
    assert next(uniform((batch for batch in [(X, np.ones(2))]), ["a"]))[1].shape == (2,)
