"""The batches of a trial, for `fit`."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np


class Batches(keras.utils.PyDataset):
    """Batches of arrays, in order, or in one that depends on the seed and the epoch alone.

    Keras shuffles differently on each backend, and with whatever was drawn before; here equal
    seeds make equal trials, where `fit` is called with `shuffle=False`: it would shuffle the
    order of the batches.
    """

    def __init__(self, x: Any, y: Any, batch_size: int) -> None:
        super().__init__()
        self._arrays = (x, y)
        self._batch_size = batch_size
        self._order = np.arange(len(keras.tree.flatten(x)[0]))

    def __len__(self) -> int:
        return math.ceil(len(self._order) / self._batch_size)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        rows = self._order[index * self._batch_size : (index + 1) * self._batch_size]
        # In order of place, which files like; the order within a batch does not matter.
        rows = np.sort(rows)
        return keras.tree.map_structure(lambda array: array[rows], self._arrays)

    def shuffle(self, seed: int, epoch: int) -> None:
        """Takes the order of an epoch."""
        self._order = np.random.default_rng([seed, epoch]).permutation(len(self._order))


class Shuffle(keras.callbacks.Callback):
    """Shuffles batches before each epoch."""

    def __init__(self, batches: Batches, seed: int) -> None:
        super().__init__()
        self._batches = batches
        self._seed = seed

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._batches.shuffle(self._seed, epoch)


def piped(batches: Batches) -> Any:
    """Returns batches in the form that the backend reads without waiting.

    TensorFlow tunes a pipeline while it runs. On some machines (TensorFlow 2.21) it waits for
    that at the end of each epoch, up to as long as the epoch has taken. Here nothing is to be
    tuned, so that is switched off. JAX and PyTorch have no such pipeline.
    """
    if keras.backend.backend() != "tensorflow":
        return batches
    import tensorflow as tf

    count = len(batches)
    signature = keras.tree.map_structure(
        lambda array: tf.TensorSpec((None, *array.shape[1:]), array.dtype), batches[0]
    )
    stream = tf.data.Dataset.from_generator(
        lambda: (batches[index] for index in range(count)), output_signature=signature
    )
    options = tf.data.Options()
    options.autotune.enabled = False
    return stream.apply(tf.data.experimental.assert_cardinality(count)).with_options(options)
