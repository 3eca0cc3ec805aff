"""Replicas: devices that train one model together, each with its part of the batch.

A loss is that of the whole batch, whatever the number of devices. On TensorFlow, under a
`tf.distribute.Strategy`, each replica runs the program for its part, and gradients are summed
over replicas. So a loss is computed from what all replicas know, and each returns its share,
the loss divided by the number of replicas, which is Keras's convention too. On JAX, under a
`keras.distribution`, the program is written for the whole batch and the compiler divides it
between the devices; on PyTorch `fit` trains on one device. There, and outside of a strategy,
the functions of this module do nothing.
"""

from __future__ import annotations

from typing import Any

import keras


def num_replicas() -> int:
    """How many replicas run what is being computed, each with its part of the batch."""
    if keras.backend.backend() != "tensorflow":
        return 1
    import tensorflow as tf

    if tf.distribute.in_cross_replica_context():
        return 1
    return tf.distribute.get_strategy().num_replicas_in_sync


def sum_over_replicas(*values: Any) -> tuple[Any, ...]:
    """Sums each of several scalars over the replicas; gradients pass through."""
    if num_replicas() == 1:
        return values
    import tensorflow as tf

    context = tf.distribute.get_replica_context()
    return tuple(context.all_reduce(tf.distribute.ReduceOp.SUM, list(values)))


def gather_over_replicas(part: Any) -> Any:
    """Joins the parts of a batch, of shape `(batch, ...)`, to the whole; gradients pass through."""
    if part is None or num_replicas() == 1:
        return part
    import tensorflow as tf

    part = tf.convert_to_tensor(part)
    whole = tf.distribute.get_replica_context().all_gather(part, axis=0)
    whole.set_shape([None, *part.shape[1:]])  # which TensorFlow forgets
    return whole


def own_share(value: Any) -> Any:
    """A replica's share of a value that all replicas know; the shares sum to the value."""
    return value if num_replicas() == 1 else value / num_replicas()
