"""Checks of the arguments of contrastive losses."""

from __future__ import annotations


def check_positive(**arguments: float) -> None:
    """Raises a ValueError unless all arguments, given by name, are above zero.

    Args:
        **arguments: Numbers by the name of the argument.

    Raises:
        ValueError: If one is zero, negative or NaN, naming it.

    Example:
        ```python
        from mtlkit.losses.contrastive.arguments import check_positive

        check_positive(temperature=0.1)
        ```
    """
    for name, value in arguments.items():
        if not value > 0:
            raise ValueError(f"Expected {name} > 0. Received: {name}={value}")


def check_num_bins(num_bins: int | None) -> None:
    """Raises a ValueError unless the number of bins is `None`, or at least two.

    Args:
        num_bins: Number of bins around a circle; `None` for labels on a line.

    Raises:
        ValueError: If it is less than two.

    Example:
        ```python
        from mtlkit.losses.contrastive.arguments import check_num_bins

        check_num_bins(32)
        ```
    """
    if num_bins is not None and num_bins < 2:
        raise ValueError(f"Expected num_bins >= 2, or None. Received: num_bins={num_bins}")
