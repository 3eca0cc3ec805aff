"""The batches of a trial."""

from __future__ import annotations

import itertools

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtlkit.search._batches import Batches, Shuffle, piped


def numbered(samples=10, size=4):
    x = np.arange(samples, dtype="float32")[:, None]
    return Batches({"number": x}, {"task": np.arange(samples)}, size)


def read(stream):
    """All of an epoch: inputs, labels, and the sizes of the batches."""
    found = [(x["number"], y["task"]) for x, y in stream]
    inputs, labels = (
        np.concatenate([np.asarray(one) for one in many]) for many in zip(*found, strict=True)
    )
    return inputs[:, 0], labels, [len(y) for _, y in found]


@given(samples=st.integers(1, 30), size=st.integers(1, 8), seed=st.integers(0, 99))
def test_every_sample_comes_once(samples, size, seed):
    batches = numbered(samples, size)
    batches.shuffle(seed, epoch=3)
    inputs, labels, sizes = read(batches[index] for index in range(len(batches)))
    assert sorted(labels) == list(range(samples))
    assert np.array_equal(inputs, labels)
    assert sum(sizes) == samples and set(sizes[:-1]) <= {size}


def test_the_order_depends_on_seed_and_epoch_alone():
    def order(seed, epoch, before=()):
        batches = numbered(20, 5)
        for earlier in before:
            batches.shuffle(seed, earlier)
        batches.shuffle(seed, epoch)
        return [tuple(batches[index][1]["task"]) for index in range(4)]

    assert order(1, 2) == order(1, 2, before=(0, 1))
    assert order(1, 2) != order(1, 3)
    assert order(1, 2) != order(2, 2)


@pytest.mark.every_backend
@pytest.mark.parametrize("shuffled", [False, True])
def test_piped_batches_are_the_same(shuffled):
    batches = numbered()
    stream = piped(batches)
    if shuffled:  # after it was piped, as in training
        batches.shuffle(0, epoch=1)
    assert len(stream) == 3
    for _ in range(2):
        got = read(itertools.islice(iter(stream), 3))
        expected = read(batches[index] for index in range(3))
        assert all(np.array_equal(one, other) for one, other in zip(got, expected, strict=True))


@pytest.mark.every_backend
def test_fit_sees_the_order_of_each_epoch():
    seen = []

    class Watched(Batches):
        def __getitem__(self, index):
            batch = super().__getitem__(index)
            seen.append(tuple(batch[1]["task"]))
            return batch

    batches = Watched({"number": np.zeros((6, 1))}, {"task": np.arange(6)}, 2)
    inputs = keras.Input((1,), name="number")
    model = keras.Model({"number": inputs}, {"task": keras.layers.Dense(6)(inputs)})
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(piped(batches), epochs=2, shuffle=False, callbacks=[Shuffle(batches, 7)], verbose=0)
    trained, expected = seen[-6:], []  # before, Keras may look at a batch
    plain = Batches({"number": np.zeros((6, 1))}, {"task": np.arange(6)}, 2)
    for epoch in range(2):
        plain.shuffle(7, epoch)
        expected += [tuple(plain[index][1]["task"]) for index in range(3)]
    assert trained == expected
