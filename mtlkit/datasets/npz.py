"""Users' own arrays, from a NumPy archive."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mtlkit.datasets._channels import add_channel
from mtlkit.datasets._made import made
from mtlkit.datasets._npz_rows import of_rows
from mtlkit.datasets._npz_splits import of_splits
from mtlkit.datasets.multitask_data import MultiTaskData


def load_npz(
    path: str | Path,
    data_format: str | None = None,
    *,
    inputs: str = "x",
    tasks: Sequence[str] | None = None,
    ignore: Sequence[str] = (),
    kinds: Mapping[str, str] | None = None,
    split: str | None = None,
    group: str | None = None,
    seed: int = 0,
) -> MultiTaskData:
    """Loads inputs and labels from an `.npz` archive. Python objects in it are never unpickled.

    An archive that is divided holds `x_train`, `x_val` and `x_test`, and for each task
    `y_train_<task>`, `y_val_<task>` and `y_test_<task>`, as `MultiTaskData.save_npz` writes them;
    labels of a single task may be `y_train`, `y_val`, `y_test`. One that is not holds `x` and an
    array of labels for each task, of as many rows, and, if there is one, `split`: the split of each
    row. In both, a split that is missing for all arrays is drawn from the training samples.
    `names_<task>` or `<task>_names` are names of classes, `kind_<task>` is a kind.

    Integers are classes (-1: unlabelled), words are, too, and floats are values (NaN), unless
    `kinds` says more.

    Args:
        path: The archive.
        data_format: Where grey images of shape `(samples, height, width)` get their channel
            axis: `"channels_last"` or `"channels_first"`. `None`:
            `keras.config.image_data_format()`.
        inputs: Name of the inputs, where they are not divided.
        tasks: Names of the tasks to load. `None`: all that there are.
        ignore: Arrays that are neither inputs nor labels.
        kinds: What labels are, by task, as for `MultiTaskData.with_kinds`.
        split: Name of the array with the split of each row: `"train"`, `"val"` or `"test"`, or
            0, 1, 2. `None`: `"split"`, if there is one.
        group: Name of an array that says what each row belongs to, such as a person: rows of a
            group stay in one split. `None`: none.
        seed: Seed of the splits that are drawn.

    Returns:
        The data, named after the file.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is not an archive, lacks an array or has an unknown one, or
            an array has the wrong shape or does not hold numbers.

    Example:
        ```python
        import tempfile
        from pathlib import Path
        from mtlkit.datasets import load_npz, rotated_digits

        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "digits.npz")
            rotated_digits(copies=1).save_npz(path)
            assert load_npz(path).tasks == ("identity", "orientation", "intensity")
        ```
    """
    path = Path(path)
    arrays = _read_arrays(path)
    try:
        arrays = _without(arrays, ignore)
        if any(name.startswith("x_train") for name in arrays):
            _check_divided(inputs, split, group)
            parts, names, kept = of_splits(arrays, tasks, seed)
        else:
            parts, names = of_rows(arrays, inputs, tasks, split, group, seed)
            kept = {}
        if parts["train"][0].ndim == 3:
            parts = {name: (add_channel(x, data_format), y) for name, (x, y) in parts.items()}
        return made(parts, path.stem, kinds, names, kept)
    except ValueError as error:
        raise ValueError(f"Cannot use '{path}'. {error}") from error


def _read_arrays(path: Path) -> dict[str, NDArray]:
    if path.exists() and not zipfile.is_zipfile(path):
        raise ValueError(
            f"Expected an intact .npz archive, as numpy.savez writes it. Received: '{path}'"
        )
    with np.load(path, allow_pickle=False) as archive:
        return {name: _read_array(archive, name, path) for name in archive.files}


def _read_array(archive: np.lib.npyio.NpzFile, name: str, path: Path) -> NDArray:
    try:
        return np.asarray(archive[name])
    except (ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(
            f"Expected '{name}' in '{path}' to be an intact array of numbers; Python objects "
            f"are never unpickled. Received: {error}"
        ) from error


def _check_divided(inputs: str, split: str | None, group: str | None) -> None:
    """Raises a ValueError for options of archives that are not divided."""
    if inputs != "x" or split is not None or group is not None:
        raise ValueError(
            "Expected no names of inputs, split or group for an archive that is divided into "
            f"x_train and others. Received: inputs={inputs!r}, split={split!r}, group={group!r}"
        )


def _without(arrays: Mapping[str, NDArray], ignore: Sequence[str]) -> dict[str, NDArray]:
    if unknown := [name for name in ignore if name not in arrays]:
        raise ValueError(
            f"Expected to ignore arrays out of {', '.join(arrays)}. Received: {', '.join(unknown)}"
        )
    return {name: array for name, array in arrays.items() if name not in ignore}
