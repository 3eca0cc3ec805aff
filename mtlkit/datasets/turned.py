"""Batches of images that are turned together with their orientation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from mtlkit.layers._data_format import standardize_data_format
from mtlkit.metrics._labels import is_labelled

_TURNS = 4


class TurnedBatches(keras.utils.PyDataset):
    """Draws each image at a random quarter turn, and turns its orientation along.

    Augmentation that turns the image alone destroys the label of an orientation. Here image
    and label stay true to each other: a quarter turn adds 90 degrees, and the mirrored image of
    an object turned by `a` is the mirrored object turned by `-a`. Both are exact, nothing is
    interpolated. The labels of other tasks, and missing ones (-1, NaN), stay as they are.

    Quarter turns help heads that learn each orientation by itself, such as `"flatten"`; to
    `"polar"` and `"orbit"`, whose outputs turn along with the image, they say nothing new.
    Mirrored images are new to any head, but use them only where mirrored objects could be: a
    mirrored shoe is a shoe, a mirrored letter is none.

    What a batch holds depends on the seed, the epoch and its number alone. Epochs differ: Keras
    moves on by calling `on_epoch_end`, also once before the first epoch of a `fit`. They are
    shuffled here already: `shuffle` in `fit` changes nothing but the order of batches.

    Args:
        x: Images of shape `(samples, side, side, channels)`, or with channels first.
        y: Labels by task.
        task: The task whose label turns along.
        num_bins: Number of bins around the circle, whose bin `b` is `period * b / num_bins`
            degrees counter-clockwise. `None`: labels are degrees.
        period: Degrees after which objects look the same: 360, or less for symmetric ones.
        quarter_turns: Whether to turn images.
        mirror: Whether to mirror half of the images, left to right.
        batch_size: Number of samples of a batch; the last one of an epoch may have fewer.
        seed: Seed of the draws, a whole number that is not negative.
        data_format: `"channels_last"` or `"channels_first"`. `None`:
            `keras.config.image_data_format()`.
        **kwargs: Passed on to `keras.utils.PyDataset`: `workers`, `use_multiprocessing`,
            `max_queue_size`.

    Raises:
        ValueError: If the task has no labels in `y`, images are not square, numbers of samples
            disagree, an argument is out of range, or a quarter turn is no whole number of bins.

    Example:
        ```python
        import numpy as np
        from mtlkit.datasets import TurnedBatches, rotated_digits

        data = rotated_digits(data_format="channels_last")
        batches = TurnedBatches(
            data.x_train, data.y_train, "orientation", num_bins=32, data_format="channels_last"
        )
        images, labels = batches[0]
        assert images.shape == (64, 32, 32, 1) and labels["identity"].shape == (64,)
        ```
    """

    def __init__(
        self,
        x: Any,
        y: Mapping[str, Any],
        task: str,
        num_bins: int | None,
        period: float = 360.0,
        quarter_turns: bool = True,
        mirror: bool = False,
        batch_size: int = 64,
        seed: int = 0,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not isinstance(y, Mapping) or task not in y:
            raise ValueError(
                f"Expected y to be a dict by task, with labels of {task!r}. "
                f"Received: {list(y) if isinstance(y, Mapping) else type(y).__name__}"
            )
        if batch_size < 1 or seed < 0 or period <= 0:
            raise ValueError(
                "Expected batch_size >= 1, seed >= 0 and period > 0. "
                f"Received: batch_size={batch_size}, seed={seed}, period={period}"
            )
        self.x = np.asarray(x)
        self.y = {name: np.asarray(labels) for name, labels in y.items()}
        self.task = task
        self.num_bins = num_bins
        self.period = period
        self.quarter_turns = quarter_turns
        self.mirror = mirror
        self.batch_size = batch_size
        self.seed = seed
        self.data_format = standardize_data_format(data_format)
        self.epoch = 0
        #: The length of the circle, and a quarter turn, in the unit of the labels.
        self._circle = period if num_bins is None else num_bins
        self._quarter = self._circle * 90.0 / period
        self._check()
        self._plan = self._drawn()

    @property
    def num_batches(self) -> int:
        """The number of batches of an epoch."""
        return -(-len(self.x) // self.batch_size)

    def __getitem__(self, index: int) -> tuple[NDArray, dict[str, NDArray]]:
        if not 0 <= index < self.num_batches:
            raise IndexError(f"Expected an index in 0...{self.num_batches - 1}. Received: {index}")
        part = slice(index * self.batch_size, (index + 1) * self.batch_size)
        rows, turns, mirrored = (drawn[part] for drawn in self._plan)
        y = {name: labels[rows] for name, labels in self.y.items()}
        y[self.task] = self._turned_labels(y[self.task], turns, mirrored)
        return self._turned_images(self.x[rows], turns, mirrored), y

    def on_epoch_end(self) -> None:
        self.epoch += 1
        self._plan = self._drawn()

    def _drawn(self) -> tuple[NDArray, NDArray, NDArray]:
        """The samples of the epoch in order, their turns, and whether they are mirrored."""
        rng = np.random.default_rng((self.seed, self.epoch))
        samples = len(self.x)
        return (
            rng.permutation(samples),
            rng.integers(_TURNS if self.quarter_turns else 1, size=samples),
            rng.random(samples) < (0.5 if self.mirror else 0.0),
        )

    def _turned_images(self, images: NDArray, turns: NDArray, mirrored: NDArray) -> NDArray:
        rows, columns = (1, 2) if self.data_format == "channels_first" else (0, 1)
        result = np.empty_like(images)
        for number, (image, turn, flip) in enumerate(zip(images, turns, mirrored, strict=True)):
            image = np.flip(image, columns) if flip else image
            result[number] = np.rot90(image, turn, axes=(rows, columns))
        return result

    def _turned_labels(self, labels: NDArray, turns: NDArray, mirrored: NDArray) -> NDArray:
        shape = (-1,) + (1,) * (labels.ndim - 1)
        sign = np.where(mirrored, -1, 1).reshape(shape)
        added = (turns * self._quarter).astype(labels.dtype).reshape(shape)
        turned = np.mod(sign * labels + added, self._circle).astype(labels.dtype)
        return np.where(is_labelled(labels).reshape(shape), turned, labels)

    def _check(self) -> None:
        sides = self.x.shape[2:] if self.data_format == "channels_first" else self.x.shape[1:3]
        if self.x.ndim != 4 or sides[0] != sides[1]:
            raise ValueError(
                "Expected square images, which turn into themselves. "
                f"Received: shape {self.x.shape} ({self.data_format})"
            )
        counts = {name: len(labels) for name, labels in self.y.items()}
        if any(count != len(self.x) for count in counts.values()):
            raise ValueError(
                f"Expected a label for each of the {len(self.x)} images. Received: {counts}"
            )
        kind = self.y[self.task].dtype.kind
        if kind != ("f" if self.num_bins is None else "i"):
            wanted = "degrees (floats)" if self.num_bins is None else "bins (signed integers)"
            raise ValueError(
                f"Task {self.task!r}: expected labels that are {wanted}. "
                f"Received: dtype={self.y[self.task].dtype}"
            )
        whole = self.num_bins is None or float(self._quarter).is_integer()
        if self.quarter_turns and not whole:
            raise ValueError(
                "Expected a number of bins of which a quarter turn is a whole number. "
                f"Received: num_bins={self.num_bins}, period={self.period}"
            )
