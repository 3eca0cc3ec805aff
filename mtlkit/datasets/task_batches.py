"""Batches out of several data sets, each with labels for some of the tasks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import keras
import numpy as np
from numpy.typing import NDArray

from mtlkit._arrays import numbering_cure
from mtlkit._counts import check_count, is_real

#: Orders of so many numbers are drawn as a whole.
_SMALL = 1 << 16
_ROUNDS = 8
#: The third number of a seed says what is drawn with it.
_PLAN, _ORDER, _ROWS = 1, 2, 3


class TaskBatches(keras.utils.PyDataset):
    """Draws batches from several data sets, which need not have the same labels or length.

    Each data set has inputs and the labels of one task or more. A batch has labels for all
    tasks of all data sets: -1, or NaN among floating-point ones, where a sample comes from a
    data set that does not know them. So a `mtlkit.MultiTaskModel` learns each task from the
    samples that have it.

    A data set of `n` samples is drawn from in proportion to `n ** (1 / T)`: `"proportional"` is
    `T = 1`, `"equal"` is the limit of a large `T`, and a number is `T` itself, by which small data
    sets are drawn from more often than their size says. The samples of a data set are drawn in a
    random order, and within an epoch none a second time before all others were drawn.

    Data sets are not copied: arrays may be memory-mapped files, and a batch reads its rows alone.
    What a batch holds depends on the seed, the epoch and its number. Epochs differ: Keras moves on
    by calling `on_epoch_end`, also once before the first epoch of a `fit`. Leave
    `steps_per_epoch` out there and give `batches_per_epoch` here.

    Args:
        sources: By name a data set: `(x, y)` or `(x, y, sample_weight)`, with labels and weights by
            task. Labels not given as a dict belong to the task with the data set's name.
        batch_size: Number of samples of a batch.
        sampling: `"proportional"`, `"equal"`, or a temperature, a number of at least 1.
        mixed: Whether a batch has its share of samples of each data set; else each batch is of
            one data set.
        batches_per_epoch: Number of batches. `None`: as many as there are samples for.
        first_epoch: Number of epochs that were trained before, to go on as if never stopped: the
            `initial_epoch` of `fit`. Give `fit` `shuffle=False`, too: it shuffles the order of
            the batches.
        seed: Seed of the draws, a whole number that is not negative.
        **kwargs: Passed on to `keras.utils.PyDataset`: `workers`, `use_multiprocessing`,
            `max_queue_size`.

    Raises:
        ValueError: If there is no data set, or one without samples or labels; if numbers of samples
            disagree, or shapes from data set to data set; or if an argument is out of range.

    Example:
        ```python
        import numpy as np
        from mtlkit.datasets import TaskBatches

        digits = np.zeros((60, 8, 8, 1)), np.arange(60) % 10
        faces = np.ones((20, 8, 8, 1)), {"age": np.linspace(1, 90, 20)}
        batches = TaskBatches({"digit": digits, "faces": faces}, batch_size=8, sampling="equal")
        images, labels = batches[0]
        assert (labels["digit"] >= 0).sum() == np.isfinite(labels["age"]).sum() == 4
        ```

    Reference:
        Temperatures as in [Raffel et al., Exploring the Limits of Transfer Learning (T5),
        2020](https://arxiv.org/abs/1910.10683)
    """

    def __init__(
        self,
        sources: Mapping[str, Any],
        batch_size: int = 64,
        sampling: Literal["proportional", "equal"] | float = "proportional",
        mixed: bool = True,
        batches_per_epoch: int | None = None,
        first_epoch: int = 0,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_count("batch_size", batch_size, 1)
        check_count("first_epoch", first_epoch, 0)
        check_count("seed", seed, 0)
        if batches_per_epoch is not None:
            check_count("batches_per_epoch", batches_per_epoch, 1)
        self._sources = _checked(sources)
        self._sizes = np.array([len(_first(x)) for x, _, _ in self._sources.values()])
        self._layout = _layout_of(self._sources)
        self._weighted = any(weight is not None for _, _, weight in self._sources.values())
        self.shares = _shares(self._sizes, sampling)
        self.batch_size = batch_size
        self.mixed = mixed
        self.batches_per_epoch = batches_per_epoch or -(-int(self._sizes.sum()) // batch_size)
        self.seed = seed
        self.epoch = first_epoch
        self._plan()

    @property
    def num_batches(self) -> int:
        """The number of batches of an epoch."""
        return self.batches_per_epoch

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        if not 0 <= index < self.batches_per_epoch:
            raise IndexError(
                f"Expected an index in 0...{self.batches_per_epoch - 1}. Received: {index}"
            )
        parts = [
            self._part(number, self._counts[index, number], self._starts[index, number])
            for number in range(len(self._sources))
            if self._counts[index, number]
        ]
        # Devices share a batch by rows: each is to have samples of all data sets.
        order = np.random.default_rng((self.seed, self.epoch, _ORDER, index)).permutation(
            self.batch_size
        )
        joined = keras.tree.map_structure(lambda *arrays: np.concatenate(arrays)[order], *parts)
        return joined if self._weighted else joined[:2]

    def on_epoch_end(self) -> None:
        self.epoch += 1
        self._plan()

    def _plan(self) -> None:
        """How many samples of each data set the batches of this epoch have, and from which on."""
        rng = np.random.default_rng((self.seed, self.epoch, _PLAN, 0))
        if self.mixed:
            self._counts = _split(self.batch_size, self.shares, rng.random(self.batches_per_epoch))
        else:
            (batches,) = _split(self.batches_per_epoch, self.shares, rng.random(1))
            chosen = rng.permutation(np.repeat(np.arange(len(batches)), batches))
            self._counts = self.batch_size * np.eye(len(batches), dtype="int64")[chosen]
        self._starts = np.cumsum(self._counts, axis=0) - self._counts

    def _part(self, number: int, count: int, start: int) -> tuple[Any, dict[str, Any], Any]:
        """So many samples of a data set, with labels and weights for all tasks."""
        x, y, weight = list(self._sources.values())[number]
        rows = self._rows(number, np.arange(start, start + count))
        labels, weights = {}, {}
        for task, (dtype, shape) in self._layout.items():
            missing = np.nan if dtype.kind == "f" else -1
            labels[task] = np.full((count, *shape), missing, dtype)
            if task in y:
                own = np.asarray(y[task][rows])
                known = ~((own == -1) & (own.dtype.kind == "i"))
                labels[task][known] = own[known]
            if self._weighted:
                given = weight.get(task) if isinstance(weight, Mapping) else weight
                weights[task] = np.ones(count, "float32")
                if given is not None:
                    weights[task][:] = np.asarray(given[rows]).reshape(-1)
        return keras.tree.map_structure(lambda array: np.asarray(array[rows]), x), labels, weights

    def _rows(self, number: int, places: NDArray[np.int64]) -> NDArray[np.int64]:
        """The samples at some places of a data set's random order, which begins anew at its end."""
        size = int(self._sizes[number])
        rows = np.empty(len(places), "int64")
        for cycle in np.unique(places // size):
            own = places // size == cycle
            rows[own] = shuffled(
                places[own] % size, size, (self.seed, self.epoch, _ROWS + number, cycle)
            )
        return rows


def shuffled(places: NDArray[np.int64], size: int, key: tuple[int, ...]) -> NDArray[np.int64]:
    """What stands at some places of a random order of `size` numbers, without making all of it.

    Beyond 65,536 numbers, a Feistel network permutes all numbers of so many bits; what it maps
    beyond `size` is mapped again, until it is below.

    Args:
        places: Places in `0 ... size - 1`.
        size: Number of numbers.
        key: Which order, by whole numbers that are not negative.

    Returns:
        A number for each place, all different where the places are.

    Reference:
        [Black and Rogaway, Ciphers with Arbitrary Finite Domains,
        2002](https://doi.org/10.1007/3-540-45760-7_9)
    """
    rng = np.random.default_rng(key)
    if size <= _SMALL:
        return rng.permutation(size)[places]
    half = -(-(size - 1).bit_length() // 2)
    low = np.uint64((1 << half) - 1)
    keys = rng.integers(1 << 63, size=(_ROUNDS, 2), dtype="uint64")
    values = places.astype("uint64")
    waiting = np.ones(len(values), bool)
    while waiting.any():
        left, right = values[waiting] >> np.uint64(half), values[waiting] & low
        for add, multiply in keys:
            mixed = (right + add) * (multiply | np.uint64(1))
            mixed = (mixed ^ (mixed >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)
            left, right = right, left ^ ((mixed >> np.uint64(40)) & low)
        values[waiting] = (left << np.uint64(half)) | right
        waiting[waiting] = values[waiting] >= size
    return values.astype("int64")


def _split(total: int, shares: NDArray, draws: NDArray) -> NDArray[np.int64]:
    """Whole numbers that add up to a total, each within 1 of its share of it, and so on average.

    Returns an array of shape `(draws, shares)`.
    """
    exact = total * shares
    whole = np.floor(exact + 1e-9)
    ends = np.concatenate([[0], np.cumsum(exact - whole)])
    ends[-1] = np.round(ends[-1])
    reached = np.floor(ends[None, :] + draws[:, None] + 1e-12)
    return (whole + np.diff(reached, axis=1)).astype("int64")


def _shares(sizes: NDArray, sampling: Any) -> NDArray:
    """The share of each data set in what is drawn."""
    if isinstance(sampling, str) and sampling in ("proportional", "equal"):
        power = 1.0 if sampling == "proportional" else 0.0
    elif is_real(sampling) and float(sampling) >= 1:
        power = 1 / float(sampling)
    else:
        raise ValueError(
            'Expected sampling "proportional", "equal" or a temperature of at least 1. '
            f"Received: sampling={sampling!r}"
        )
    weights = (sizes / sizes.max()) ** power
    return weights / weights.sum()


def _first(x: Any) -> Any:
    return keras.tree.flatten(x)[0]


def _checked(sources: Mapping[str, Any]) -> dict[str, tuple[Any, dict[str, Any], Any]]:
    """The data sets as `(x, labels by task, weights)`, checked one by one."""
    if not isinstance(sources, Mapping) or not sources:
        raise ValueError(
            'Expected data sets by name, such as {"pose": (x, y)}. '
            f"Received: {type(sources).__name__}"
        )
    found = {}
    for name, given in sources.items():
        if not isinstance(given, tuple | list) or len(given) not in (2, 3):
            raise ValueError(
                f"Data set {name!r}: expected (x, y) or (x, y, sample_weight). "
                f"Received: {type(given).__name__}"
            )
        x, y, *weight = given
        x = keras.tree.map_structure(_as_array, x)
        labels = dict(y) if isinstance(y, Mapping) else {name: y}
        labels = {task: _as_array(one) for task, one in labels.items()}
        weights = weight[0] if weight else None
        if isinstance(weights, Mapping):
            weights = {task: _as_array(one) for task, one in weights.items()}
        elif weights is not None:
            weights = _as_array(weights)
        _check_kinds(name, labels, weights)
        arrays = keras.tree.flatten([x, labels, [] if weights is None else weights])
        lengths = {len(one) if getattr(one, "ndim", 0) else 0 for one in arrays}
        if len(lengths) > 1 or lengths == {0} or not labels:
            shapes = [tuple(getattr(one, "shape", ())) for one in arrays]
            raise ValueError(
                f"Data set {name!r}: expected inputs, labels and weights of the same number of "
                f"samples, at least one. Received: shapes {shapes}"
            )
        found[name] = x, labels, weights
    return found


def _check_kinds(name: str, labels: Mapping[str, Any], weights: Any) -> None:
    """Checks that labels are numbers, and that weights are those of tasks."""
    for task, one in labels.items():
        if one.dtype.kind not in "biuf":
            raise ValueError(
                f"Data set {name!r}: expected labels of {task!r} that are numbers. Received: "
                f"dtype={one.dtype}.{numbering_cure(one)}"
            )
    by_task = weights if isinstance(weights, Mapping) else {}
    unknown = [task for task in by_task if task not in labels]
    if unknown:
        raise ValueError(
            f"Data set {name!r}: expected weights of the tasks that have labels, {list(labels)}. "
            f"Received: weights of {unknown}"
        )


def _as_array(array: Any) -> Any:
    """An array that can be indexed by rows: memory-mapped ones stay on disk."""
    return array if isinstance(array, np.ndarray) else np.asarray(array)


def _layout_of(sources: Mapping[str, Any]) -> dict[str, tuple[np.dtype[Any], tuple[int, ...]]]:
    """The type and shape of a label of each task, which all data sets have to agree on."""
    shapes: dict[str, tuple[int, ...]] = {}
    types: dict[str, np.dtype[Any]] = {}
    inputs = None
    for name, (x, y, _) in sources.items():
        own = keras.tree.map_structure(lambda array: f"{array.dtype.name}{array.shape[1:]}", x)
        if inputs not in (None, own):
            raise ValueError(
                f"Data set {name!r}: expected inputs of the same type and shape as those before "
                f"it, {inputs}. Received: {own}"
            )
        inputs = own
        for task, labels in y.items():
            if shapes.setdefault(task, labels.shape[1:]) != labels.shape[1:]:
                raise ValueError(
                    f"Data set {name!r}: expected labels of {task!r} of shape "
                    f"(samples, {shapes[task]}). Received: shape {labels.shape}"
                )
            types.setdefault(task, np.dtype("int64"))  # unsigned ones could not be missing
            if labels.dtype.kind == "f":
                types[task] = np.dtype("float32")
    return {task: (types[task], shapes[task]) for task in types}
