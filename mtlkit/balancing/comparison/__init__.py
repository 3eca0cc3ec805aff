"""Comparing balancers fairly: with single tasks, equal weights and tuned weights beside them."""

from mtlkit.balancing.comparison.compare import compare
from mtlkit.balancing.comparison.result import Comparison

__all__ = ["Comparison", "compare"]
