"""Batches that hold several samples of each of their classes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from mtlkit.metrics._labels import is_labelled


class ClassBalancedBatches(keras.utils.PyDataset):
    """Draws batches of a few classes of a task, with as many samples of each.

    Losses that compare samples need several of a class in a batch, and of 32 classes a batch of
    32 random samples often holds only one. A batch here has `classes_per_batch` classes with
    `samples_per_class` samples each, those of a class side by side, with the labels of all tasks.

    - Classes are drawn at random, and within an epoch none is drawn again before all others
      were drawn as often; so rare classes are trained on as often as frequent ones.
    - The samples of a class are drawn without repetition in a batch. Where it has fewer than
      `samples_per_class`, each is repeated as often as the others, or once more.
    - Samples that are unlabelled (-1) in the task are left out, with whatever labels they have
      for other tasks, unless `unlabelled_per_batch` of them are to end each batch.

    What a batch holds depends on the seed, the epoch and its number alone, so it is the same
    with any number of workers. Epochs differ: Keras moves on by calling `on_epoch_end`, also
    once before the first epoch of a `fit`. Leave `steps_per_epoch` out there and give
    `batches_per_epoch` here.

    Args:
        x: Images, an array or a nested structure (dict, list or tuple) of arrays.
        y: Labels by task, each of as many samples.
        task: The task whose classes are balanced, with integer labels.
        classes_per_batch: Number of different classes in each batch.
        samples_per_class: Number of samples of each of these.
        batches_per_epoch: Number of batches. `None`: as many as draw each labelled sample once
            on average, and each class at least once.
        unlabelled_per_batch: Number of samples without a label of the task that are added to
            each batch, drawn at random.
        sample_weight: Sample weights, for all tasks or by task; or `None`.
        seed: Seed of the draws, a whole number that is not negative.
        **kwargs: Passed on to `keras.utils.PyDataset`: `workers`, `use_multiprocessing`,
            `max_queue_size`.

    Raises:
        ValueError: If the task has no labels in `y`, or not integer ones; if numbers of samples
            disagree; if fewer classes have samples than `classes_per_batch`; or if a count is
            out of range.

    Example:
        ```python
        import numpy as np
        from mtlkit.datasets.class_balanced import ClassBalancedBatches

        x, y = np.zeros((40, 8, 8, 1)), {"identity": np.arange(40) % 10}
        batches = ClassBalancedBatches(
            x, y, "identity", classes_per_batch=4, samples_per_class=2
        )
        images, labels = batches[0]
        assert images.shape == (8, 8, 8, 1)
        assert np.unique(labels["identity"], return_counts=True)[1].tolist() == [2, 2, 2, 2]
        ```
    """

    def __init__(
        self,
        x: Any,
        y: Mapping[str, Any],
        task: str,
        classes_per_batch: int,
        samples_per_class: int,
        batches_per_epoch: int | None = None,
        unlabelled_per_batch: int = 0,
        sample_weight: Any = None,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        for name, value, least in (
            ("classes_per_batch", classes_per_batch, 1),
            ("samples_per_class", samples_per_class, 1),
            ("batches_per_epoch", batches_per_epoch, 1),
            ("unlabelled_per_batch", unlabelled_per_batch, 0),
            ("seed", seed, 0),
        ):
            if value is not None and value < least:
                raise ValueError(f"Expected {name} >= {least}. Received: {name}={value}")
        if not isinstance(y, Mapping) or task not in y:
            raise ValueError(
                f"Expected y to be a dict by task, with labels of {task!r}. "
                f"Received: {list(y) if isinstance(y, Mapping) else type(y).__name__}"
            )
        self.x = keras.tree.map_structure(np.asarray, x)
        self.y = {name: np.asarray(labels) for name, labels in y.items()}
        self.sample_weight = _as_weights(sample_weight)
        self.task = task
        self.classes_per_batch = classes_per_batch
        self.samples_per_class = samples_per_class
        self.unlabelled_per_batch = unlabelled_per_batch
        self.seed = seed
        self._check_samples()
        self._unlabelled, self._members = _by_class(self.y[task], task)
        self._check_classes()
        self.batches_per_epoch = batches_per_epoch or self._default_batches()
        self.epoch = 0
        self._plan = self._classes_of_batches()

    @property
    def classes(self) -> NDArray[np.int64]:
        """The classes that have samples, in order."""
        return np.array(list(self._members))

    @property
    def num_batches(self) -> int:
        """The number of batches of an epoch."""
        return self.batches_per_epoch

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        if not 0 <= index < self.batches_per_epoch:
            raise IndexError(
                f"Expected an index in 0...{self.batches_per_epoch - 1}. Received: {index}"
            )
        rows = self._draw(index)
        x = keras.tree.map_structure(lambda array: array[rows], self.x)
        y = {name: labels[rows] for name, labels in self.y.items()}
        if self.sample_weight is None:
            return x, y
        return x, y, keras.tree.map_structure(lambda array: array[rows], self.sample_weight)

    def on_epoch_end(self) -> None:
        self.epoch += 1
        self._plan = self._classes_of_batches()

    def _draw(self, index: int) -> NDArray[np.int64]:
        """The numbers of the samples of a batch."""
        rng = np.random.default_rng((self.seed, self.epoch, 1 + index))  # 0 is that of the plan
        rows = []
        for label in self._plan[index]:
            members = rng.permutation(self._members[label])
            rows.append(np.resize(members, self.samples_per_class))  # repeats them if need be
        if self.unlabelled_per_batch:
            others = rng.permutation(self._unlabelled)
            rows.append(np.resize(others, self.unlabelled_per_batch))
        return np.concatenate(rows)

    def _classes_of_batches(self) -> list[NDArray[np.int64]]:
        """The classes of each batch of the epoch: those that were drawn least, at random."""
        rng = np.random.default_rng((self.seed, self.epoch, 0))
        classes = self.classes
        drawn = np.zeros(len(classes), "int64")
        plan = []
        for _ in range(self.batches_per_epoch):
            chosen = np.lexsort((rng.random(len(classes)), drawn))[: self.classes_per_batch]
            drawn[chosen] += 1
            plan.append(classes[chosen])
        return plan

    def _default_batches(self) -> int:
        labelled = sum(map(len, self._members.values()))
        for_samples = -(-labelled // (self.classes_per_batch * self.samples_per_class))
        for_classes = -(-len(self._members) // self.classes_per_batch)
        return max(for_samples, for_classes)

    def _check_samples(self) -> None:
        parts = [("x", array) for array in keras.tree.flatten(self.x)]
        parts += [(f"y[{name!r}]", labels) for name, labels in self.y.items()]
        parts += [("sample_weight", array) for array in keras.tree.flatten(self.sample_weight)]
        parts = [(name, array) for name, array in parts if array is not None]
        if any(array.ndim == 0 for _, array in parts) or len({len(a) for _, a in parts}) > 1:
            shapes = {name: array.shape for name, array in parts}
            raise ValueError(
                f"Expected arrays of the same number of samples. Received: shapes {shapes}"
            )

    def _check_classes(self) -> None:
        if len(self._members) < self.classes_per_batch:
            raise ValueError(
                f"Task {self.task!r}: expected at least classes_per_batch="
                f"{self.classes_per_batch} classes with samples. "
                f"Received: {len(self._members)} classes, {list(self._members)[:10]}"
            )
        if self.unlabelled_per_batch and not len(self._unlabelled):
            raise ValueError(
                f"Task {self.task!r}: expected unlabelled samples (-1), of which to add "
                f"unlabelled_per_batch={self.unlabelled_per_batch} to each batch. Received: none"
            )


def _as_weights(sample_weight: Any) -> Any:
    if sample_weight is None:
        return None
    return keras.tree.map_structure(
        np.asarray, dict(sample_weight) if isinstance(sample_weight, Mapping) else sample_weight
    )


def _by_class(labels: NDArray, task: str) -> tuple[NDArray[np.int64], dict[int, NDArray[np.int64]]]:
    """The numbers of the unlabelled samples, and those of each class."""
    expected = f"Task {task!r}: expected one integer label a sample, of shape (samples,)"
    if labels.dtype.kind not in "iu" or labels.shape not in ((len(labels),), (len(labels), 1)):
        raise ValueError(f"{expected}. Received: {labels.dtype} of shape {labels.shape}")
    labelled = is_labelled(labels)
    labels = labels.reshape(-1)
    if labels[labelled].min(initial=0) < 0:
        raise ValueError(f"{expected}, 0, 1, ... or -1. Received: {labels[labelled].min()}")
    classes = np.unique(labels[labelled])
    members = {int(label): np.flatnonzero(labels == label) for label in classes}
    return np.flatnonzero(~labelled), members
