"""Streams of batches: telling them from arrays, and looking at their first batches."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import keras


def is_stream(x: Any) -> bool:
    """Whether `x` yields batches (a data set, a loader, a generator) rather than holding arrays."""
    return not all(hasattr(leaf, "shape") for leaf in keras.tree.flatten(x))


def peek(data: Any, limit: int | None) -> tuple[Any, Iterator[Any]]:
    """Gives a look at the first batches of a stream, without losing them."""
    if isinstance(data, keras.utils.PyDataset):
        count = _at_most(length(data), limit)
        return data, (data[index] for index in range(count))
    iterator = iter(data)
    if iterator is not data:
        return data, itertools.islice(iterator, _at_most(length(data), limit))
    first = list(itertools.islice(iterator, _at_most(None, limit)))

    def replay() -> Iterator[Any]:  # Keras takes generators, but not itertools.chain
        yield from first
        yield from iterator

    return replay(), iter(first)


def length(data: Any) -> int | None:
    """The number of batches, if the stream knows it."""
    if isinstance(data, keras.utils.PyDataset):
        return data.num_batches
    try:
        return len(data)
    except TypeError:  # tf.data says so of endless and unknown lengths.
        return None


def _at_most(length: int | None, limit: int | None) -> int:
    """How many batches to look at: the limit, all there are, or 100."""
    if limit is None:
        return 100 if length is None else length
    return limit if length is None else min(length, limit)
