"""Checks of the arguments of contrastive losses."""

from __future__ import annotations


def check_positive(**arguments: float) -> None:
    """Raises a ValueError unless all arguments, given by name, are above zero."""
    for name, value in arguments.items():
        if not value > 0:
            raise ValueError(f"Expected {name} > 0. Received: {name}={value}")


def check_num_bins(num_bins: int | None) -> None:
    """Raises a ValueError unless the number of bins is `None`, or at least two."""
    if num_bins is not None and num_bins < 2:
        raise ValueError(f"Expected num_bins >= 2, or None. Received: num_bins={num_bins}")
