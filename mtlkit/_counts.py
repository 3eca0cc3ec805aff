"""Checks of arguments that are numbers."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np


def check_count(argument: str, value: Any, least: int) -> None:
    """Raises a ValueError unless an argument is an integer, and as large as it has to be."""
    is_integer = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not is_integer or value < least:
        raise ValueError(f"Expected {argument} >= {least}. Received: {argument}={value!r}")


def is_real(value: Any) -> bool:
    """Whether a value is a real number, of Python or NumPy, and no truth value."""
    return isinstance(value, Real) and not isinstance(value, bool)
