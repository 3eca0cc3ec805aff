"""Telling streams from arrays, and looking at their first batches."""

import itertools

import numpy as np

from mtlkit.model._streams import is_stream, peek


def test_peek_loses_nothing():
    stream, first = peek(iter(range(10)), 3)
    assert list(first) == [0, 1, 2]
    assert list(stream) == list(range(10))
    stream, first = peek((i for i in itertools.count()), None)
    assert len(list(first)) == 100
    assert next(stream) == 0
    data, first = peek([1, 2, 3], None)
    assert list(first) == [1, 2, 3] and data == [1, 2, 3]


def test_is_stream():
    assert is_stream(iter([])) and is_stream(object())
    assert not is_stream(np.zeros(3)) and not is_stream({"a": np.zeros(3)})
