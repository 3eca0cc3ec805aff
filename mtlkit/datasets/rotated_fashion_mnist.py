"""RotFashion32: rotated Fashion-MNIST, the benchmark of this library."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mtlkit.datasets._idx import read_idx
from mtlkit.datasets._rotated_splits import rotated_splits
from mtlkit.datasets.multitask_data import MultiTaskData

#: Where Debian's package dataset-fashion-mnist puts the files.
_DEBIAN = Path("/usr/share/datasets/fashion-mnist")
_FILES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}
_NAMES = [name for pair in _FILES.values() for name in pair]
_SIDE, _PADDING, _NUM_CLASSES = 28, 2, 10


def rotated_fashion_mnist(
    path: str | Path | None = None,
    num_train: int = 10_000,
    num_val: int = 2_000,
    num_test: int = 4_000,
    num_bins: int = 32,
    seed: int = 0,
    data_format: str | None = None,
) -> MultiTaskData:
    """Fashion-MNIST, padded to 32x32, rotated and dimmed: three tasks (RotFashion32).

    Training and validation images are drawn without replacement from the train split of
    Fashion-MNIST, test images from its test split. The files are looked for in `path` or,
    if that is `None`, in the Keras cache and where Debian's package dataset-fashion-mnist
    puts them. Nothing is ever downloaded.

    Args:
        path: The folder with the four IDX files (plain or `.gz`), or a Keras home that has
            them in `datasets/fashion-mnist`. `None`: looks in the usual places.
        num_train: Number of training images.
        num_val: Number of validation images; together with `num_train` at most 60,000.
        num_test: Number of test images, at most 10,000.
        num_bins: Number of orientation bins around the circle.
        seed: Seed of the choice of images, angles and amplitudes. The test images do not
            depend on `num_train` and `num_val`.
        data_format: `"channels_last"` or `"channels_first"`. `None`:
            `keras.config.image_data_format()`.

    Returns:
        Data with float32 images in `[0, 1]`, of shape `(samples, 32, 32, 1)` or
        `(samples, 1, 32, 32)`, and the tasks `identity` (10 classes), `orientation`
        (`num_bins` classes, counter-clockwise) and `intensity` (a float in `[0.2, 1]`).

    Raises:
        FileNotFoundError: If the files are in none of the places.
        ValueError: If a file is corrupt, or an argument asks for what is not there.

    Example:
        ```python
        from mtlkit.datasets import rotated_fashion_mnist

        try:
            print(rotated_fashion_mnist(num_train=500, num_val=100, num_test=100).summary())
        except FileNotFoundError as error:
            print(error)  # says where it looked and how to get the files
        ```
    """
    files = find_files(path)
    train_images, train_labels = read_split(files, "train")
    test_images, test_labels = read_split(files, "test")
    rng = np.random.default_rng(seed)
    train, val = draw_disjoint(len(train_images), {"num_train": num_train, "num_val": num_val}, rng)
    (test,) = draw_disjoint(len(test_images), {"num_test": num_test}, rng)
    return rotated_splits(
        {
            "train": (prepare_images(train_images[train]), train_labels[train]),
            "val": (prepare_images(train_images[val]), train_labels[val]),
            "test": (prepare_images(test_images[test]), test_labels[test]),
        },
        rng,
        num_bins=num_bins,
        data_format=data_format,
        name="rotated_fashion_mnist",
    )


def find_files(path: str | Path | None = None) -> dict[str, Path]:
    """Finds the four files of Fashion-MNIST."""
    in_keras = Path("datasets", "fashion-mnist")
    if path is None:
        home = os.environ.get("KERAS_HOME") or Path.home() / ".keras"
        folders = [Path(home) / in_keras, _DEBIAN]
    else:
        folders = [Path(path), Path(path) / in_keras]
    for folder in folders:
        found = _files_in(folder)
        if len(found) == len(_NAMES):
            return found
    looked = "\n".join(f"  {folder}: {_what_lacks(folder)}" for folder in folders)
    raise FileNotFoundError(
        "Expected the four IDX files of Fashion-MNIST (plain or .gz). Looked in:\n"
        f"{looked}\n"
        "To get them, run `apt-get install dataset-fashion-mnist` (Debian, Ubuntu) or "
        "`keras.datasets.fashion_mnist.load_data()` once (downloads to the Keras cache), or say "
        "where they are: rotated_fashion_mnist(path=...). Without them, rotated_digits() is a "
        "similar data set that needs no files."
    )


def draw_disjoint(
    available: int, wanted: dict[str, int], rng: np.random.Generator
) -> list[NDArray[np.int64]]:
    """Draws indices without replacement, none of them twice."""
    received = ", ".join(f"{name}={number}" for name, number in wanted.items())
    if min(wanted.values()) < 1:
        raise ValueError(f"Expected at least one image for each split. Received: {received}")
    if sum(wanted.values()) > available:
        raise ValueError(
            f"Expected {' + '.join(wanted)} <= {available:,}, the number of images in the files. "
            f"Received: {received}"
        )
    ends = np.cumsum(list(wanted.values()))
    return np.split(rng.permutation(available), ends)[:-1]


def _files_in(folder: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for name in _NAMES:
        for path in (folder / f"{name}.gz", folder / name):
            if path.is_file():
                found.setdefault(name, path)
    return found


def _what_lacks(folder: Path) -> str:
    if not folder.is_dir():
        return "no such folder"
    found = _files_in(folder)
    return f"lacks {', '.join(name for name in _NAMES if name not in found)}"


def read_split(files: dict[str, Path], split: str) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Reads the images and labels of a split, checked.

    Returns:
        Images of shape `(samples, 28, 28)`, and their classes of shape `(samples,)`.
    """
    image_file, label_file = (files[name] for name in _FILES[split])
    images, labels = read_idx(image_file), read_idx(label_file)
    if images.shape[1:] != (_SIDE, _SIDE):
        raise ValueError(
            f"Expected images of shape (samples, {_SIDE}, {_SIDE}) in '{image_file}'. "
            f"Received: {images.shape}"
        )
    if labels.shape != images.shape[:1]:
        raise ValueError(
            f"Expected {len(images)} labels in '{label_file}', one for each image. "
            f"Received: shape={labels.shape}"
        )
    if labels.size and labels.max() >= _NUM_CLASSES:
        raise ValueError(
            f"Expected labels in 0 ... {_NUM_CLASSES - 1} in '{label_file}'. "
            f"Received: {labels.max()}"
        )
    return images, labels


def prepare_images(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Scales images to `[0, 1]`, and pads them to 32x32.

    Args:
        images: Of shape `(samples, 28, 28)`.

    Returns:
        Images of shape `(samples, 32, 32)`.
    """
    border = (_PADDING, _PADDING)
    return np.pad(images.astype("float32") / 255, ((0, 0), border, border))
