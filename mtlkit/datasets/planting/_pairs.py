"""Pairs of bins that are flipped into each other or look alike."""

from __future__ import annotations


def opposite_pairs(num_bins: int) -> tuple[tuple[int, int], ...]:
    """Each bin and the one after a half turn."""
    half = num_bins // 2
    return tuple((bin_, bin_ + half) for bin_ in range(half))


def adjacent_pairs(num_bins: int) -> tuple[tuple[int, int], ...]:
    """Each bin and the next."""
    return tuple((bin_, (bin_ + 1) % num_bins) for bin_ in range(num_bins))
