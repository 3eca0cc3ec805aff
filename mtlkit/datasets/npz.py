"""Users' own arrays, from a NumPy archive."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtlkit.datasets._channels import add_channel
from mtlkit.datasets.multitask_data import SPLITS, MultiTaskData


def load_npz(path: str | Path, data_format: str | None = None) -> MultiTaskData:
    """Loads images and labels from an `.npz` archive.

    The archive holds `x_train`, `x_val` and `x_test`, and for each task `y_train_<task>`,
    `y_val_<task>` and `y_test_<task>`, as `MultiTaskData.save_npz` writes them. Python
    objects in it are never unpickled.

    Args:
        path: The archive.
        data_format: Where grey images of shape `(samples, height, width)` get their channel
            axis: `"channels_last"` or `"channels_first"`. `None`:
            `keras.config.image_data_format()`.

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
    tasks = _tasks(list(arrays))
    _check_names(list(arrays), tasks, path)
    parts: dict[str, Any] = {}
    for split in SPLITS:
        x = arrays[f"x_{split}"]
        parts[f"x_{split}"] = add_channel(x, data_format) if x.ndim == 3 else x
        parts[f"y_{split}"] = {task: arrays[f"y_{split}_{task}"] for task in tasks}
    try:
        return MultiTaskData(**parts, name=path.stem)
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


def _tasks(names: list[str]) -> list[str]:
    """The tasks of all splits together, those of the first splits first."""
    prefixes = [f"y_{split}_" for split in SPLITS]
    found = [
        name.removeprefix(prefix)
        for prefix in prefixes
        for name in names
        if name.startswith(prefix) and name != prefix
    ]
    return list(dict.fromkeys(found))


def _check_names(names: list[str], tasks: list[str], path: Path) -> None:
    expected = [f"x_{split}" for split in SPLITS]
    expected += [f"y_{split}_{task}" for task in tasks or ["<task>"] for split in SPLITS]
    missing = [name for name in expected if name not in names]
    unknown = [name for name in names if name not in expected]
    if missing or unknown:
        raise ValueError(
            f"Expected the arrays x_train, x_val, x_test, and y_train_<task>, y_val_<task>, "
            f"y_test_<task> for each task in '{path}'. Received: "
            + "; ".join(
                f"{kind}: {', '.join(some)}"
                for kind, some in (("missing", missing), ("unknown", unknown))
                if some
            )
        )
