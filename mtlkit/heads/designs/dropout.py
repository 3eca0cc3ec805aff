"""Dropout whose draws can be repeated."""

from __future__ import annotations

import random
from typing import Any

import keras


def seeded_dropout(rate: float, dtype: Any = None) -> keras.layers.Dropout:
    """Returns a dropout layer with a seed of its own.

    Without a seed, Keras on PyTorch draws from a global generator that no model saves, and
    resumed training differs from uninterrupted. The seed comes from Python's generator, which
    `keras.utils.set_random_seed` sets.

    Args:
        rate: Share of values that are dropped in training.
        dtype: Dtype policy of the layer.

    Returns:
        The layer, named `"dropout"`.

    Example:
        ```python
        from mtlkit.heads.designs.dropout import seeded_dropout

        assert seeded_dropout(0.5).seed is not None
        ```
    """
    return keras.layers.Dropout(rate, seed=random.randrange(2**31), dtype=dtype, name="dropout")
