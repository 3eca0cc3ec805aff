"""Bins on a circle: arcs of them, and the distances between them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np


def circular_distances(num_bins: int) -> np.ndarray:
    """The shorter way around the circle between all pairs of bins, `min(|i - j|, K - |i - j|)`.

    Args:
        num_bins: Number of bins `K`.

    Returns:
        Distances in bins, float64, of shape `(num_bins, num_bins)`.

    Example:
        ```python
        from mtlkit.hierarchy import circular_distances

        assert circular_distances(32)[31, 1] == 2
        ```
    """
    bins = np.arange(num_bins)
    difference = np.abs(bins[:, None] - bins)
    return np.minimum(difference, num_bins - difference).astype("float64")


def circular_arcs(num_bins: int, num_arcs: int, overlap: int = 0, offset: int = 0) -> np.ndarray:
    """Tells which bins of a circle are in which arcs, where arcs may overlap.

    Arc `a` has the bins `offset + a w, ..., offset + a w + w - 1 + overlap` (modulo
    `num_bins`) with `w = num_bins / num_arcs`. Contiguous arcs put a boundary between some
    neighbouring bins; arcs that overlap, or a second set with another `offset`, do not let
    the same neighbours be apart in all of them. Overlapping arcs are no tree, hence no
    `Hierarchy`: give the matrix to `mtlkit.losses.hierarchical.MarginalCrossEntropy`, as
    `groups`.

    Args:
        num_bins: Number of bins.
        num_arcs: Number of arcs, a divisor of `num_bins`.
        overlap: Number of bins that an arc shares with the next one.
        offset: The bin where the first arc begins.

    Returns:
        Booleans of shape `(num_bins, num_arcs)`.

    Raises:
        ValueError: If the bins do not divide into the arcs, or an arc would reach around.

    Example:
        ```python
        from mtlkit.hierarchy import circular_arcs

        arcs = circular_arcs(num_bins=32, num_arcs=8, overlap=2)
        assert arcs.sum(axis=0).tolist() == [6] * 8
        ```
    """
    if num_arcs < 2 or num_bins % num_arcs:
        raise ValueError(
            "Expected num_arcs >= 2 that divides num_bins. "
            f"Received: num_bins={num_bins}, num_arcs={num_arcs}"
        )
    width = num_bins // num_arcs
    if overlap < 0 or width + overlap >= num_bins:
        raise ValueError(
            f"Expected overlap in 0...{num_bins - width - 1}, so that no arc of {width} bins "
            f"reaches around the circle. Received: overlap={overlap}"
        )
    begins = offset + width * np.arange(num_arcs)
    place_in_arc = (np.arange(num_bins)[:, None] - begins) % num_bins
    return place_in_arc < width + overlap


def arc_groups(num_bins: int, branching: int | Sequence[int], offset: int = 0) -> dict[Any, Any]:
    """Divides a circle of bins into arcs, and these into smaller arcs, as nested groups."""
    factors = [branching] if isinstance(branching, int) else list(branching)
    arcs = math.prod(factors)
    if not factors or min(factors) < 2 or num_bins % arcs:
        raise ValueError(
            "Expected branching of numbers >= 2 whose product divides num_bins. "
            f"Received: num_bins={num_bins}, branching={branching}"
        )
    if arcs == num_bins:
        factors = factors[:-1]  # the bins themselves are the last arcs
    bins = ((offset + np.arange(num_bins)) % num_bins).tolist()
    return _divide(bins, factors) if factors else dict.fromkeys(range(num_bins))


def _divide(bins: list[int], factors: list[int]) -> dict[str, Any]:
    width = len(bins) // factors[0]
    arcs = [bins[start : start + width] for start in range(0, len(bins), width)]
    return {
        f"bins {arc[0]}-{arc[-1]}": _divide(arc, factors[1:]) if factors[1:] else arc
        for arc in arcs
    }
