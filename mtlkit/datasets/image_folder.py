"""Users' own images: a folder of files, and a table with a row for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtlkit._warnings import warn
from mtlkit.datasets._channels import move_channels
from mtlkit.datasets._made import made, parts_of
from mtlkit.datasets._split_rows import split_rows
from mtlkit.datasets._table_columns import TABLES, check_columns, column, label_column, read_table
from mtlkit.datasets.multitask_data import MultiTaskData

_IMAGES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".pgm", ".ppm")


def load_image_folder(
    folder: str | Path,
    table: Any = None,
    tasks: Sequence[str] | None = None,
    *,
    image_column: str | None = None,
    image_size: tuple[int, int] | None = None,
    ignore: Sequence[str] = (),
    kinds: Mapping[str, str] | None = None,
    split: str | None = None,
    group: str | None = None,
    data_format: str | None = None,
    seed: int = 0,
) -> MultiTaskData:
    """Loads a folder of images, and a table with the name of a file and its labels in each row.

    Images are grey if all of them are, else colour, without transparency, in [0, 1]. Labels are
    read as by `load_table`.

    Args:
        folder: The folder that names of files start from.
        table: A CSV, TSV or Parquet file, or a `pandas.DataFrame`. `None`: the only such file in
            the folder.
        tasks: Names of the columns that are labels. `None`: all that are nothing else.
        image_column: Column with the names of the files. `None`: the first one.
        image_size: Height and width that images are brought to, without regard to their shape.
            `None`: they have to have the same size.
        ignore: Columns that are no labels.
        kinds: What labels are, by task, as for `MultiTaskData.with_kinds`.
        split: Column with the split of each row, as for `load_table`.
        group: Column that says what each row belongs to, as for `load_table`.
        data_format: `"channels_last"` or `"channels_first"`. `None`:
            `keras.config.image_data_format()`.
        seed: Seed of the splits that are drawn.

    Returns:
        The data, with float32 images of shape `(samples, height, width, channels)`, or with
        channels first, named after the folder.

    Raises:
        ImportError: If pandas, or pyarrow for Parquet, is not there.
        FileNotFoundError: If there is no such folder or table, or files of rows are missing.
        ValueError: If a file is no image, sizes differ, or columns cannot be read.

    Example:
        ```python
        import tempfile
        from pathlib import Path

        import numpy as np
        import pandas
        from PIL import Image

        from mtlkit.datasets import load_image_folder

        with tempfile.TemporaryDirectory() as folder:
            rng = np.random.default_rng(0)
            for number in range(10):
                picture = rng.integers(256, size=(8, 8), dtype="uint8")
                Image.fromarray(picture).save(Path(folder, f"{number}.png"))
            table = pandas.DataFrame(
                {"file": [f"{n}.png" for n in range(10)], "kind": ["cat", "dog"] * 5}
            )
            table.to_csv(Path(folder, "labels.csv"), index=False)
            data = load_image_folder(folder, data_format="channels_last")
        assert data.x_train.shape[1:] == (8, 8, 1)
        ```
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"Expected a folder of images. Received: '{folder}'")
    if table is None:
        table = _only_table(folder)
    if isinstance(table, str | Path):
        table = read_table(Path(table))
    table = table.rename(columns=str)
    split = "split" if split is None and "split" in table.columns else split
    image_column = str(table.columns[0]) if image_column is None else image_column
    check_columns(table, [image_column, *(tasks or ()), *ignore, split, group])
    other = {image_column, *ignore, split, group}
    chosen = [one for one in table.columns if one not in other] if tasks is None else list(tasks)
    if not chosen:
        raise ValueError(
            f"Expected a column of labels beside {image_column!r}. "
            f"Received: {', '.join(map(str, table.columns))}"
        )
    y = {task: label_column(table, task) for task in chosen}
    rows = split_rows(len(table), column(table, split), column(table, group), seed)
    files = [str(name) for name in np.asarray(column(table, image_column))]
    x = _pictures(folder, files, image_size)
    return made(parts_of(move_channels(x, data_format), y, rows), folder.resolve().name, kinds)


def _only_table(folder: Path) -> Path:
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in TABLES)
    if len(found) != 1:
        names = ", ".join(path.name for path in found) or "none"
        raise FileNotFoundError(
            f"Expected one table ({', '.join(TABLES)}) among the images in '{folder}', with a row "
            f"for each image; `table` names one elsewhere. Received: {names}"
        )
    return found[0]


def _pictures(
    folder: Path, files: Sequence[str], size: tuple[int, int] | None
) -> NDArray[np.float32]:
    """The images in [0, 1], of shape `(samples, height, width, 1 or 3)`."""
    missing = [row for row, name in enumerate(files, 1) if not (folder / name).is_file()]
    if missing:
        raise FileNotFoundError(
            f"Expected a file in '{folder}' for each row. Received: {len(missing)} of {len(files)} "
            f"rows without one, the first is {files[missing[0] - 1]!r} in row {missing[0]}"
        )
    _warn_of_others(folder, files)
    pictures = [_picture(folder / name, size) for name in files]
    shape = pictures[0].shape[:2]
    for name, picture in zip(files, pictures, strict=True):
        if picture.shape[:2] != shape:
            raise ValueError(
                "Expected images of one size, or `image_size` to bring them to. "
                f"Received: {shape} and, of {name!r}, {picture.shape[:2]}"
            )
    channels = max(picture.shape[2] for picture in pictures)
    x = np.empty((len(pictures), *shape, channels), "float32")
    for row, picture in enumerate(pictures):
        x[row] = picture
    return x


def _picture(path: Path, size: tuple[int, int] | None) -> NDArray[np.floating]:
    """An image in [0, 1], of shape `(height, width, 1)` if it is grey, else with 3 channels."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            deep = image.mode.startswith("I")
            grey = image.mode in ("1", "L", "LA")
            mode = "F" if deep or image.mode == "F" else "L" if grey else "RGB"
            largest = 65535 if deep else 1 if image.mode == "F" else 255
            picture = ImageOps.exif_transpose(image).convert(mode)  # as viewers show it
    except (UnidentifiedImageError, OSError) as error:
        raise ValueError(f"Expected an image. Received: '{path}', {error}") from error
    if size is not None:
        picture = picture.resize((size[1], size[0]), Image.Resampling.BILINEAR)
    values = np.asarray(picture, "float32") / largest
    if values.min() < 0 or values.max() > 1:
        raise ValueError(
            f"Expected an image of 8 or 16 bits, or of numbers in 0 ... 1. Received: '{path}', "
            f"with {values.min() * largest:g} to {values.max() * largest:g}"
        )
    return values[..., None] if values.ndim == 2 else values


def _warn_of_others(folder: Path, files: Sequence[str]) -> None:
    """Says which images have no row, so that none is left out unnoticed."""
    named = {(folder / name).resolve() for name in files}
    found = (path for path in sorted(folder.rglob("*")) if path.suffix.lower() in _IMAGES)
    others = [path for path in found if path.resolve() not in named]
    if others:
        warn(
            f"{len(others)} images in '{folder}' have no row in the table and are not used, the "
            f"first is {others[0].relative_to(folder)}"
        )
