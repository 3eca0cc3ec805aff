"""Pairs of the samples of a batch: which there are, how alike they should be, and how far."""

from __future__ import annotations

from typing import Any

from keras import ops

from mtlkit.losses._distances import circular_distance

#: Stands for minus infinity where a logarithm of nothing is taken: its gradients are finite.
_NOTHING = -1e30

#: Weights of pairs below this are taken as zero.
_LEAST_WEIGHT = 1e-12


def pair_mask(present: Any) -> Any:
    """Tells which pairs there are: both samples labelled, and not the same one.

    Args:
        present: Which samples have a label, of shape `(batch,)`.

    Returns:
        A boolean tensor of shape `(batch, batch)`.
    """
    present = ops.convert_to_tensor(present)
    number = ops.arange(ops.shape(present)[0], dtype="int32")
    different = ops.not_equal(number[:, None], number[None, :])
    both = ops.logical_and(present[:, None], present[None, :])
    return ops.logical_and(both, different)


def positives_and_negatives(labels: Any, present: Any) -> tuple[Any, Any]:
    """Tells which pairs are of one class, and which are of two.

    Args:
        labels: Labels of shape `(batch,)`.
        present: Which samples have a label, of shape `(batch,)`.

    Returns:
        Two boolean tensors of shape `(batch, batch)`.
    """
    same = ops.equal(labels[:, None], labels[None, :])
    pairs = pair_mask(present)
    return ops.logical_and(pairs, same), ops.logical_and(pairs, ops.logical_not(same))


def label_distance(labels: Any, num_bins: int | None) -> Any:
    """How far apart the labels of pairs are.

    Args:
        labels: Labels of shape `(batch,)`.
        num_bins: Length of the circle that they are on; `None`: they are on a line.

    Returns:
        Distances of shape `(batch, batch)`, float32.
    """
    labels = ops.cast(labels, "float32")
    if num_bins is None:
        return ops.abs(labels[:, None] - labels[None, :])
    return circular_distance(labels[:, None], labels[None, :], num_bins)


def feature_distance(embeddings: Any) -> Any:
    """Euclidean distances of embeddings, whose gradient is zero where they coincide.

    They are taken from differences, of shape `(batch, batch, dim)`: products lose the digits
    of small distances.

    Args:
        embeddings: Embeddings of shape `(batch, dim)`.

    Returns:
        Distances of shape `(batch, batch)`.
    """
    difference = ops.expand_dims(embeddings, 1) - ops.expand_dims(embeddings, 0)
    squared = ops.sum(ops.square(difference), axis=-1)
    apart = squared > 0
    # The derivative of a square root at 0 is infinite: it must not even be computed.
    root = ops.sqrt(ops.where(apart, squared, ops.ones_like(squared)))
    return ops.where(apart, root, ops.zeros_like(root))


def normalized_weights(weights: Any, pairs: Any) -> tuple[Any, Any]:
    """Makes the weights of each anchor's pairs sum to one.

    Args:
        weights: How alike the samples of each pair should be, of shape `(batch, batch)`, not
            negative. Weights below 1e-12 count as zero.
        pairs: Which pairs there are, of the same shape.

    Returns:
        Weights of the same shape, all zero for anchors that have no pair with a weight; and
        which anchors have one, of shape `(batch,)`.
    """
    usable = ops.logical_and(pairs, weights > _LEAST_WEIGHT)
    weights = ops.where(usable, weights, ops.zeros_like(weights))
    total = ops.sum(weights, axis=1, keepdims=True)
    return weights / ops.maximum(total, _LEAST_WEIGHT), ops.any(usable, axis=1)


def masked_logsumexp(values: Any, mask: Any, axis: int = -1) -> Any:
    """`log sum_k e^{values_k}` over where the mask holds; very negative where it never does.

    Args:
        values: Values of any shape.
        mask: Which values count, of the same shape.
        axis: The axis to sum over.

    Returns:
        A tensor of the shape of the values without that axis.
    """
    return ops.logsumexp(ops.where(mask, values, ops.full_like(values, _NOTHING)), axis=axis)


def mean_over(values: Any, weight: Any, counted: Any) -> Any:
    """The sum of weighted values over how many count; 0 with zero gradient where none does.

    Args:
        values: Values of any shape.
        weight: Weights, of a shape that broadcasts with it.
        counted: Which values count, of the same shape as the values.
    """
    terms = ops.where(counted, values * weight, ops.zeros_like(values))
    number = ops.sum(ops.cast(counted, terms.dtype))
    return ops.sum(terms) / ops.maximum(number, 1.0)
