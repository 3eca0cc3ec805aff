"""Random states that belong to the user, kept as they are."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import keras
import numpy as np


@contextmanager
def random_state_kept() -> Iterator[None]:
    """Puts the global random states of Python and NumPy back, which belong to the user.

    It may be used with `with`, or as a decorator of a function.
    """
    of_python, of_numpy = random.getstate(), np.random.get_state()
    try:
        yield
    finally:
        random.setstate(of_python)
        np.random.set_state(of_numpy)


@contextmanager
def all_random_states_kept() -> Iterator[None]:
    """Puts the global random states back, that of PyTorch too, which dropout there draws from."""
    with random_state_kept():
        if keras.backend.backend() != "torch":
            yield
            return
        import torch

        with torch.random.fork_rng():
            yield
