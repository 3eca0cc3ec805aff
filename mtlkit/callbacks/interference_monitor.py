"""Watching how tasks disturb each other while they are trained."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from mtlkit._arrays import to_numpy
from mtlkit._counts import check_count
from mtlkit._files import read_json, write_json
from mtlkit.callbacks._interference import (
    BACKBONE,
    FEATURES,
    PARAMETERS,
    Interference,
    Place,
    overlaps_of,
    places_of,
    row_of,
)
from mtlkit.callbacks._interference_text import described
from mtlkit.callbacks._scalars import scalar_writer
from mtlkit.model import MultiTaskModel
from mtlkit.model._fit_arguments import check_evaluate_arguments
from mtlkit.model._streams import is_stream
from mtlkit.model._task_gradients import GroupGradients, TaskGradients, labelled_samples

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Held samples that are used, at most, unless larger batches are asked for. For each sample,
#: gradients at weights cost several times as much as those at maps.
_SAMPLES = 256
_SAMPLES_AT_WEIGHTS = 64
#: Groups of samples, by whose differences noise is measured.
_GROUPS = 8
_LEAST_GROUPS = 4
#: Samples in a group, at least.
_LEAST_SAMPLES = 2
_WHAT = "held data of the InterferenceMonitor"


class InterferenceMonitor(keras.callbacks.Callback):
    r"""Measures, while training, which tasks disturb each other, how strongly, and how surely.

    Every `every` steps, and at the start and the end, it computes the gradient `g_i` of each
    task's loss on held samples with the current weights, as it comes to the backbone: with the
    task's weight, class weights and gradient gate, and with what a
    `mtlkit.balancing.LossWeighting` multiplies it by, before an aggregator combines it. Layers run
    as in training, dropout included. For each pair of tasks it keeps the cosine
    `<g_i, g_j> / (|g_i| |g_j|)` and the ratio of lengths `|g_i| / |g_j|`. Nothing of the training
    is changed: it is bit for bit the same as without.

    - `space="features"`: gradients at each map that several tasks read. Their coordinates are all
      numbers of the map of all samples, as for a `mtlkit.balancing.FanOut`.
    - `space="parameters"`: gradients at the trained weights of the backbone, as a whole and for
      each layer.

    **What noise is.** The samples are divided into groups, eight by default. At maps, errors of
    the cosines come from leaving out one group at a time (the jackknife). At weights, two tasks
    also have noise in common on the same samples, so claims rest on *cross-cosines*: between one
    task's gradient on one half of the samples and the other's on the other half, averaged over
    all ways to halve the groups. The *self-cosine*, of the same task's gradients on two halves,
    says how well its direction is measured at all. Where both are clearly above 0,
    `cross / sqrt(self_i * self_j)` is the cosine without noise.

    **What is claimed.** A pair conflicts, or agrees, only if the interval of its mean over the
    measurements lies below, or above, 0. The interval is a t-interval at 95 %, corrected for the
    number of pairs and places. It holds the error of sampling, which does not average out since
    the samples stay the same, and how much the cosine jumps between measurements. The measurement
    before the first step does not count if there are others. Of pairs that share less than 40 %
    of their labelled samples (the Jaccard index) it makes no claim: cosines between tasks that
    share less than 30 % cannot be told from noise, those above 40 % can (arXiv:2604.07848).

    **When to use it.** When tasks are worse together than alone, and before a gradient method is
    chosen: if one task dominates, weights are the cure (`mtlkit.balancing.ImpartialLossWeighting`);
    if two tasks conflict, an aggregator (`mtlkit.balancing.UPGrad`), or features of their own. A
    conflict is no proof of harm: gradients of tasks that help each other oppose at times.

    **What it costs.** At maps, a forward pass of the backbone over the samples, and a backward pass
    through the heads for each task; at weights also a backward pass through the backbone for
    each task, and memory for `groups * tasks` gradients. The computation is compiled once. Larger
    groups, by `batch_size`, cost more, and make intervals at weights narrower.

    **What is approximate.** Losses of whole batches (contrastive ones), and batch normalisation,
    see a group in place of a batch: set `batch_size` to that of training.

    Args:
        x: Held inputs, as arrays: training data or, to see what generalises, others. At most 256
            samples are used, drawn once; at weights, 64; or four groups, if that is more.
        y: Their labels by task; missing ones as in `fit`.
        every: Steps between measurements.
        batch_size: Samples in a group. `None`: an eighth of the samples.
        space: `"features"`, `"parameters"`, or a pair of both.
        sample_weight: As in `fit`.
        log_dir: A folder. TensorBoard reads scalars in it, and the history is kept in it as
            `interference.json`, by which a training that was killed goes on. `None`: neither.
        verbose: 1 to print the report at the end of training, 0 not to. `None`: as in `fit`.
        seed: Seed of the samples that are drawn.
        keras_logs: Whether the last measurement is added to the logs of each epoch, as
            `interference_{task}_{task}` (cosines, of the last place) in the history.

    Attributes:
        history: The measurements, a list of rows with `step`, `space`, `place`, `tasks`,
            `cosines`, `ratios`, `norms`, `shares`, `self_cosines`, `cross_cosines`, `corrected`
            and their standard errors `errors`, `self_errors`, `share_errors`. In another `fit`
            it continues.

    Raises:
        ValueError: If an argument is out of range. In `fit`: if the model is no
            `mtlkit.MultiTaskModel`, the held data do not fit it, or are too few.

    Example:
        ```python
        import numpy as np

        import mtlkit as mtl

        rng = np.random.default_rng(0)
        x = rng.random((64, 8, 8, 1)).astype("float32")
        brightness = x.mean((1, 2, 3))
        y = {"bright": brightness, "dark": -brightness}
        model = mtl.MultiTaskModel(
            mtl.backbones.ConvBackbone((8, 8, 1), filters=(4, 8)),
            [mtl.Task(name, mtl.heads.RegressionHead()) for name in y],
        )
        model.compile("adam")
        monitor = mtl.balancing.InterferenceMonitor(x, y, every=2, verbose=0)
        model.fit(x, y, epochs=2, callbacks=[monitor], verbose=0)
        print(monitor.report())
        ```

    Reference:
        [Yu et al., Gradient Surgery for Multi-Task Learning, 2020](https://arxiv.org/abs/2001.06782),
        for conflicts as negative cosines; [Spearman, The Proof and Measurement of Association
        between Two Things, 1904](https://doi.org/10.2307/1412159), for the correction.
    """

    def __init__(
        self,
        x: Any,
        y: Mapping[str, Any],
        every: int = 50,
        batch_size: int | None = None,
        space: str | Sequence[str] = FEATURES,
        sample_weight: Any = None,
        log_dir: str | os.PathLike[str] | None = None,
        verbose: int | None = None,
        seed: int = 0,
        *,
        keras_logs: bool = False,
    ) -> None:
        super().__init__()
        check_count("every", every, 1)
        if batch_size is not None:
            check_count("batch_size", batch_size, _LEAST_SAMPLES)
        spaces = [space] if isinstance(space, str) else list(space)
        if not spaces or not set(spaces) <= {FEATURES, PARAMETERS}:
            raise ValueError(
                f'Expected space="{FEATURES}", "{PARAMETERS}", or ("{FEATURES}", "{PARAMETERS}"). '
                f"Received: space={space!r}"
            )
        if x is None or is_stream(x) or not isinstance(y, Mapping):
            raise ValueError(
                "Expected a held batch as arrays x and labels y by task. Of a stream, take one: "
                "x, y = next(iter(stream)). "
                f"Received: x of type {type(x).__name__}, y of type {type(y).__name__}"
            )
        self.every = every
        self.batch_size = batch_size
        self.spaces = list(dict.fromkeys(spaces))
        self.verbose = verbose
        self.seed = seed
        self.keras_logs = keras_logs
        self.history: list[Interference] = []
        self._given = x, y, sample_weight
        self._log_dir = None if log_dir is None else Path(log_dir)
        self._write_scalar = None if log_dir is None else scalar_writer(log_dir)
        self._nothing: str | None = "Nothing was measured yet: it is, when fit runs"
        self._gradients: TaskGradients | None = None
        self._stopped: list[str] = []
        self._begun = False
        self._step, self._last_batch = 0, -1

    # === What Keras calls ===

    def on_train_begin(self, logs: Any = None) -> None:
        model = self.model
        if not isinstance(model, MultiTaskModel):
            raise ValueError(
                "Expected a mtlkit.MultiTaskModel; adopt a Keras model by "
                f"mtlkit.MultiTaskModel.from_keras(model). Received: {type(model).__name__}"
            )
        self._begun = False
        self._nothing = self._why_not(model)
        if self._nothing is None:
            self._prepare(model)
        elif self._is_loud():
            print(self._nothing, flush=True)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._last_batch = -1
        if not self._begun:  # by now other callbacks have restored what they restore
            self._begun = True
            self._go_on(_steps_of(self.model))
            self._measure()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        before, self._step = self._step, self._step + batch - self._last_batch
        self._last_batch = batch
        if self._step // self.every > before // self.every:
            self._measure()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if not self.keras_logs or logs is None or not self.history:
            return
        row = next((r for r in reversed(self.history) if r.place == BACKBONE), self.history[-1])
        for i, first in enumerate(row.tasks):
            for j, second in enumerate(row.tasks[:i]):
                logs[f"interference_{second}_{first}"] = float(row.cosines[i, j])

    def on_train_end(self, logs: Any = None) -> None:
        self._measure()
        if self._nothing is None and self._is_loud():
            print(self.report(), flush=True)

    def _is_loud(self) -> bool:
        return bool(self.params.get("verbose", 1) if self.verbose is None else self.verbose)

    # === What users call ===

    def report(self) -> str:
        """Says in words which task dominates, which pairs conflict, and which agree.

        Returns:
            A text of several lines.
        """
        if not self.history:
            return self._nothing or "Nothing was measured"
        return described(self._places(), self._stopped, self._size)

    def table(self) -> list[dict[str, Any]]:
        """What the history says of each pair of tasks at each place.

        Returns:
            Rows with `space`, `place`, `first`, `second`, `cosine` (the mean), `low` and `high`
            (the interval that is claimed by), `corrected`, `ratio`, `overlap` (of labelled
            samples) and `verdict`: `"conflict"`, `"agreement"`, `"unclear"` or `"no claim"`.
        """
        return [asdict(pair) for place in self._places() for pair in place.pairs]

    def plot(self, path: str | os.PathLike[str] | None = None) -> Figure:
        """Draws, for each place, the mean cosines and the lengths of gradients over steps.

        Layers are left out; see `table`.

        Args:
            path: A file to write, such as `"interference.png"`.

        Returns:
            The figure.

        Raises:
            ValueError: If nothing was measured.
        """
        from mtlkit.callbacks._interference_figure import drawn

        if not self.history:
            raise ValueError(
                "Expected a monitor that has measured, in fit. "
                f"Received: one that has not. {self._nothing or ''}"
            )
        figure = drawn([one for one in self._places() if _is_main(one)])
        if path is not None:
            figure.savefig(path, dpi=150)
        return figure

    # === Private ===

    def _why_not(self, model: MultiTaskModel) -> str | None:
        """Why there is nothing to measure; `None` where there is something."""
        trained = {read.task for read in model._reads if read.trains}
        self._stopped = [name for name in model.tasks if name not in trained]
        start = "InterferenceMonitor: there is nothing to measure, since "
        if len(trained) < 2:
            return f"{start}fewer than two tasks train the backbone: {sorted(trained)}"
        if not model.backbone.trainable_variables:
            return f"{start}no weight of the backbone is trained, so that tasks cannot disturb it"
        return None

    def _prepare(self, model: MultiTaskModel) -> None:
        """Draws the samples, and makes what measures them."""
        x, y, weight = self._given
        data = {"x": x, "y": y, "sample_weight": weight}
        data = check_evaluate_arguments(data, model.tasks, model.input, _WHAT)
        total = len(keras.tree.flatten(data["x"])[0])
        most = _SAMPLES_AT_WEIGHTS if PARAMETERS in self.spaces else _SAMPLES
        size = self.batch_size or min(total, most) // _GROUPS
        groups = min(total, max(most, size * _LEAST_GROUPS)) // max(size, 1)
        if size < _LEAST_SAMPLES or groups < _LEAST_GROUPS:
            least = (
                _GROUPS * _LEAST_SAMPLES
                if self.batch_size is None
                else _LEAST_GROUPS * self.batch_size
            )
            raise ValueError(
                f"Expected at least {least} held samples, so that noise can be measured by their "
                f"differences. Received: {total}, with batch_size={self.batch_size}"
            )
        drawn = np.random.default_rng(self.seed).permutation(total)[: groups * size]

        def part(rows: np.ndarray) -> tuple[Any, Any, Any]:
            def of(array: Any) -> Any:
                values = to_numpy(array)[rows]
                return values.astype(keras.config.floatx()) if values.dtype.kind == "f" else values

            parts = (data["x"], dict(data["y"]), data["sample_weight"])
            return tuple(p if p is None else keras.tree.map_structure(of, p) for p in parts)  # type: ignore[return-value]

        held = part(drawn)
        self._batches = [part(rows) for rows in np.split(drawn, groups)]
        self._overlaps = overlaps_of(labelled_samples(model, held[1], len(drawn)))
        self._size = len(drawn)
        if self._gradients is None or not self._gradients.is_of(model):
            self._gradients = TaskGradients(
                model, features=FEATURES in self.spaces, parameters=PARAMETERS in self.spaces
            )

    def _go_on(self, step: int) -> None:
        """Continues the history, from what the folder keeps if there is none.

        After another `compile` the steps begin anew, and are counted from the last row. Where
        training goes on from a backup, what came after that is measured again.
        """
        if self.history and not step:
            self._step = self.history[-1].step
            return
        self._step = step
        kept = None
        if self._path is not None and step and not self.history:
            kept = read_json(self._path)
        if kept is not None:
            self.history = [Interference.from_json(row) for row in kept["rows"]]
        self.history = [row for row in self.history if row.step <= step]

    def _measure(self) -> None:
        """Measures, unless that was done at this step."""
        gradients = self._gradients
        measured = self.history and self.history[-1].step == self._step
        if gradients is None or self._nothing is not None or measured:
            return
        _ = self.model  # on JAX this brings the weights up to date
        found = gradients.measure(self._batches)
        rows = self._rows(gradients.tasks, found)
        self.history += rows
        if self._write_scalar is not None:
            for row in rows:
                for tag, value in _scalars(row).items():
                    self._write_scalar(tag, value, row.step)
        if self._path is not None:
            write_json(self._path, {"rows": [row.to_json() for row in self.history]})

    def _rows(self, tasks: list[str], found: GroupGradients) -> list[Interference]:
        places = {(FEATURES, name): products for name, products in found.features.items()}
        if found.layers:
            places[PARAMETERS, BACKBONE] = np.sum(list(found.layers.values()), axis=0)
        for name, products in found.layers.items():
            places[PARAMETERS, name if name != BACKBONE else f"{name} (layer)"] = products
        return [
            row_of(self._step, space, place, tasks, products, found.samples, found.factors)
            for (space, place), products in places.items()
        ]

    def _places(self) -> list[Place]:
        return places_of(self.history, self._overlaps) if self.history else []

    @property
    def _path(self) -> Path | None:
        return None if self._log_dir is None else self._log_dir / "interference.json"


def _steps_of(model: Any) -> int:
    """The steps that a model was trained before."""
    optimizer = model.optimizer
    return int(keras.ops.convert_to_numpy(optimizer.iterations)) * (
        getattr(optimizer, "gradient_accumulation_steps", None) or 1
    )


def _is_main(place: Place) -> bool:
    return place.space == FEATURES or place.name == BACKBONE


def _scalars(row: Interference) -> dict[str, float]:
    """What TensorBoard shows of a row, by tag."""
    start = f"interference/{row.space}/{row.place}"
    found = {}
    for i, task in enumerate(row.tasks):
        found[f"{start}/norm/{task}"] = row.norms[i]
        found[f"{start}/share/{task}"] = row.shares[i]
        found[f"{start}/self_cosine/{task}"] = row.self_cosines[i]
        for j in range(i):
            found[f"{start}/cosine/{row.tasks[j]}-{task}"] = row.cosines[i, j]
    return {tag: float(value) for tag, value in found.items() if np.isfinite(value)}
