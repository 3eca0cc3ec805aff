"""Which rows are for training, validation and test."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtlkit.datasets.multitask_data import SPLITS

#: Words for each split, as data sets have them.
_WORDS = {
    "train": ("train", "training", "0"),
    "val": ("val", "valid", "validation", "dev", "1"),
    "test": ("test", "testing", "2"),
}
#: The share of rows that is drawn for validation, and for test, if a split is not given.
_SHARE = 0.15


def split_rows(
    samples: int,
    given: NDArray | None = None,
    groups: NDArray | None = None,
    seed: int = 0,
    elsewhere: Collection[str] = (),
) -> dict[str, NDArray[np.int64]]:
    """Rows of each split, in their order; a split that is not given is drawn from the training.

    Args:
        samples: Number of rows.
        given: The split of each row in a word, or as 0, 1, 2. `None`: all are for training.
        groups: What each row belongs to; rows of a group stay together. `None`: to itself.
        seed: Seed of what is drawn.
        elsewhere: Splits that are not among these rows, and not drawn of them.
    """
    rows = {"train": np.arange(samples)} if given is None else _given(given)
    groups = np.arange(samples) if groups is None else np.unique(groups, return_inverse=True)[1]
    _check_whole(rows, groups)
    rng = np.random.default_rng(seed)
    share = _SHARE
    for split in ("test", "val"):
        if split not in rows and split not in elsewhere:
            rows["train"], rows[split] = _divided(rows["train"], groups, share, rng)
            share = _SHARE / (1 - _SHARE)  # of all rows, the same again
    return {split: rows[split] for split in SPLITS if split in rows}


def _given(splits: NDArray) -> dict[str, NDArray[np.int64]]:
    words = np.array([_word(value) for value in splits.tolist()])
    known = [word for some in _WORDS.values() for word in some]
    if (wrong := ~np.isin(words, known)).any():
        row = int(wrong.argmax())
        raise ValueError(
            "Expected train, val or test as the split of each row. "
            f"Received: {str(splits[row])!r} in row {row + 1}"
        )
    rows = {split: np.flatnonzero(np.isin(words, some)) for split, some in _WORDS.items()}
    found = {split: some for split, some in rows.items() if len(some)}
    if "train" not in found:
        raise ValueError(f"Expected rows for training. Received: {', '.join(found)} alone")
    return found


def _word(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip().lower()


def _check_whole(rows: dict[str, NDArray[np.int64]], groups: NDArray) -> None:
    """Raises a ValueError where the splits that are given divide a group."""
    seen: dict[int, str] = {}
    for split, some in rows.items():
        for group in np.unique(groups[some]).tolist():
            if group in seen:
                row = int(some[groups[some] == group][0])
                raise ValueError(
                    "Expected all rows of a group in one split. Received: the group of row "
                    f"{row + 1} in {seen[group]} and in {split}"
                )
            seen[group] = split


def _divided(
    rows: NDArray[np.int64], groups: NDArray, share: float, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Draws about a share of the rows, by whole groups; returns the others, and those."""
    own, sizes = np.unique(groups[rows], return_counts=True)
    if len(own) < 2:
        raise ValueError(
            "Expected enough rows, or groups of rows, to divide them for training, validation and "
            f"test. Received: {len(own)} of {len(rows)} rows to divide"
        )
    order = rng.permutation(len(own))
    needed = int(np.searchsorted(np.cumsum(sizes[order]), share * len(rows))) + 1
    drawn = np.isin(groups[rows], own[order[: min(needed, len(own) - 1)]])
    return rows[~drawn], rows[drawn]
