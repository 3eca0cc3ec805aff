"""Checks of arguments that count something."""

from __future__ import annotations

from typing import Any

import numpy as np


def check_count(argument: str, value: Any, least: int) -> None:
    """Raises a ValueError unless an argument is an integer, and as large as it has to be."""
    is_integer = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not is_integer or value < least:
        raise ValueError(f"Expected {argument} >= {least}. Received: {argument}={value!r}")
