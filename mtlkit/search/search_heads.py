"""Searching the head for a task, from one call to the evidence."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from mtlkit._counts import check_count, is_real
from mtlkit._files import read_arrays, read_json, write_arrays, write_json
from mtlkit._versions import versions
from mtlkit.model._data_checks import check_inputs
from mtlkit.model.multi_task_model import MultiTaskModel
from mtlkit.model.task import Task
from mtlkit.search._data import SearchData
from mtlkit.search._head_space import HeadSpace
from mtlkit.search._job import Job
from mtlkit.search._records import Store
from mtlkit.search._running import (
    Executor,
    frozen_features,
    reporter,
    run_alone,
    run_chief,
    run_worker,
)
from mtlkit.search._settings import Settings
from mtlkit.search._tuner import is_chief, is_worker
from mtlkit.search._workers import run_workers
from mtlkit.search.result import SearchResult
from mtlkit.space._values import text_of, without_addresses

#: Epochs of a trial, and on a frozen backbone.
_EPOCHS, _FROZEN_EPOCHS = 9, 27
#: Of few samples an epoch has few steps, in which no head learns: there, a trial has as many epochs
#: as make this many steps, but not more than so many times the epochs above.
_LEAST_STEPS, _MOST_TIMES = 600, 10
_DEFAULT_TRIALS = 30


def search_heads(
    backbone: Any,
    tasks: Sequence[Task],
    target: str | Sequence[str],
    data: Any,
    *,
    candidates: Sequence[Any] | None = None,
    settings: Mapping[str, Any] | None = None,
    tuner: str = "hyperband",
    max_trials: int | None = None,
    time_budget: float | None = None,
    workers: int = 1,
    executor: Executor | None = None,
    epochs: int | None = None,
    batch_size: int = 64,
    guard: float = 0.05,
    max_parameters: int | None = None,
    stop_hopeless: bool = True,
    freeze_backbone: bool = False,
    directory: str | Path = "head_search",
    seed: int | None = None,
    input_shape: tuple[int, ...] | None = None,
    tensorboard: str | Path | None = None,
    worker_timeout: float = 60.0,
    verbose: int = 1,
) -> Any:
    """Searches the head, and how it is wired, for one task of a model, or for several in turn.

    Every trial trains the whole model, with Adam and a learning rate that falls to zero along
    a half cosine, and is judged by the task's own metric on the validation data. The first
    trials are, for an orientation, heads each of which did well on some kind of data, then each
    family of heads with its defaults and in each of its designs; the tuner goes on from there.
    Before them, simple references are scored, which a head should beat: chance, the best constant,
    and those of `mtlkit.references`, on the inputs and on the features of the backbone; they stand
    on the leaderboard, too. The search keeps what it has found in `directory`: called again with
    the same arguments, it goes on where it was, however it ended.

    The loss and the metrics of the target are those of each head. A `loss=` or `metrics=` that
    its `mtlkit.Task` was given are not used, since heads differ in what they give: to try a
    loss, let it be an argument of a head. The other tasks keep theirs.

    Args:
        backbone: The backbone, as for `mtlkit.MultiTaskModel`. It is not changed: every trial
            trains a copy, which begins with its weights (when a search goes on, with those
            that it began with).
        tasks: All tasks. Heads other than the target's are copied, with new weights.
        target: Name of the task whose head is searched, or a list of names: they are searched one
            after the other, each with the best heads of those before it (as they were when it
            began), in folders of their own in `directory`; budgets are for each. If a target reads
            several maps (`feature=("stage1", "stage2")`), so do all candidates: of the heads of
            this library, `HierarchicalHead` with `loss="coarse_to_fine"` and `OrientationHead` with
            `spatial="polar_and_flatten"` can, and all other points are rejected. Name one of these
            as the candidate, or name one map.
        data: A `mtlkit.datasets.MultiTaskData`, of which the test split is not used, or
            `((x, y), (x_val, y_val))` with labels by task.
        candidates: What to compare: `mtlkit.search.Candidate`s, classes of heads, heads with
            nothing to search, or names of families, `"classification"`, `"orientation"`,
            `"contrastive"`, `"hierarchical"`, `"regression"`. `None`: all that fit the task.
            A head goes by its name, or, where Keras chose that, by its class.
        settings: For `"feature"`, `"gradient"`, `"weight"`, `"condition_on"`, `"conditioning"`
            (as in `mtlkit.Task`) and `"learning_rate"` a value, which fixes it, or a part of
            a space, such as `mtlkit.space.Choice(["stage2", "stage3"])`. What is left out has a
            default range.
        tuner: `"hyperband"`, `"random"`, `"bayesian"` or `"grid"`.
        max_trials: Number of trials at most. `None`: 30, or no limit if there is a
            `time_budget`.
        time_budget: Seconds that the search may take in all, also over several calls. The model
            without the target is trained for fewer epochs, one at least, where it would take more
            than a fifth of them; the guard is then more lenient. The epoch that is under way when
            time is up is finished, and its trial is kept as interrupted, to be tried again if the
            search goes on.
        workers: Number of processes on this machine that run trials. They are started again if
            they die, and end with this one.
        executor: What runs the trials in place of this process: `mtlkit.search.RayExecutor`, or
            anything with such a `run`. `None`: this process, or its `workers`.
        epochs: Epochs of a trial. With `"hyperband"` of the longest ones: trials begin with a
            third, or with more where a third does not tell heads apart. `None`: 9, or 27 on a
            frozen backbone, where an epoch takes little; more of them, up to ten times as many,
            where an epoch has so few steps that all make fewer than 600.
        batch_size: Samples of a batch.
        guard: The share of its skill (what it scores beyond chance or the best constant) that
            another task may lose against a model that is trained without the target. Trials
            that cost more are marked, and ranked last.
        max_parameters: Number of weights that a head may have. Larger ones are rejected
            before they become trials.
        stop_hopeless: Whether to stop trials that are behind the median of the others.
            `"hyperband"` does so in its own way.
        freeze_backbone: Whether the backbone stays as it is. Its features are then computed
            once, kept in the folder, and read by all trials.
        directory: The folder of the search.
        seed: Seed of the draws and of all weights. `None`: 0.
        input_shape: As for `mtlkit.MultiTaskModel`.
        tensorboard: A folder for TensorBoard, with its HParams. `None`: none.
        worker_timeout: Seconds after which a worker on another machine is given up that does not
            show, in the shared folder, that it lives.
        verbose: 0 for silence; 1 for a line for each trial, baseline and step before them.

    Returns:
        A `SearchResult`; for several targets a dict of them, by name. Ctrl-C ends the search, not
        the program: the result has the trials so far, and `result.interrupted`; the dict then lacks
        the targets that were not begun.

    Raises:
        ValueError: If an argument does not fit, or the folder holds another search.

    Example:
        ```python
        import tempfile

        import mtlkit as mtl

        data = mtl.datasets.rotated_digits(num_bins=8, copies=1, data_format="channels_last")
        backbone = mtl.backbones.ConvBackbone(filters=(4, 8), data_format="channels_last")
        tasks = [mtl.Task("orientation", mtl.heads.OrientationHead(8, spatial="pool"))]
        with tempfile.TemporaryDirectory() as folder:
            result = mtl.search.search_heads(
                backbone, tasks, "orientation", data,
                candidates=["classification"], max_trials=1, epochs=1, directory=folder, verbose=0,
            )
            print(result.leaderboard)
        ```

    Reference:
        [Li et al., Hyperband, 2018](https://arxiv.org/abs/1603.06560);
        [Golovin et al., Google Vizier, 2017](https://doi.org/10.1145/3097983.3098043) (the
        median rule)
    """
    if not isinstance(target, str):
        return _one_after_the_other(
            backbone,
            tasks,
            target,
            data,
            Path(directory),
            candidates=candidates,
            settings=settings,
            tuner=tuner,
            max_trials=max_trials,
            time_budget=time_budget,
            workers=workers,
            executor=executor,
            epochs=epochs,
            batch_size=batch_size,
            guard=guard,
            max_parameters=max_parameters,
            stop_hopeless=stop_hopeless,
            freeze_backbone=freeze_backbone,
            seed=seed,
            input_shape=input_shape,
            tensorboard=tensorboard,
            worker_timeout=worker_timeout,
            verbose=verbose,
        )
    if executor is not None and (workers != 1 or tensorboard is not None):
        raise ValueError(
            "Expected an executor without workers of this machine and without TensorBoard. "
            f"Received: executor={executor!r}, workers={workers}, tensorboard={tensorboard!r}"
        )
    if epochs is not None:
        check_count("epochs", epochs, 1)
    check_count("batch_size", batch_size, 1)
    _check_time_budget(time_budget)
    report = reporter(verbose)
    report(f"searching the head for {target}; what is known is kept in {directory}")
    space = HeadSpace(
        backbone,
        tasks,
        target,
        candidates,
        settings,
        input_shape=input_shape,
        seed=0 if seed is None else seed,
    )
    arrays = SearchData.of(data, target)
    given = space.given_model()
    check_inputs(arrays.x, given.inputs, "training data")
    check_inputs(arrays.x_val, given.inputs, "validation data")
    store = Store(directory)
    _begin_with_the_same_backbone(store, space, report)
    if freeze_backbone:
        space.adapt(arrays.x)
    how = _settings(
        space,
        given,
        epochs=_epochs(arrays.samples, batch_size, freeze_backbone) if epochs is None else epochs,
        batch_size=batch_size,
        guard=guard,
        max_parameters=max_parameters,
        stop_hopeless=stop_hopeless and tuner != "hyperband",
    )
    folder = store.directory.resolve()
    if max_trials is None and time_budget is None:
        max_trials = _DEFAULT_TRIALS
    left = math.inf if time_budget is None else time_budget - store.seconds_used()
    job = Job(
        space,
        how,
        tuner,
        max_trials,
        freeze_backbone,
        ends=time.time() + left,
        tensorboard=None if tensorboard is None else str(tensorboard),
        worker_timeout=worker_timeout,
    )
    interrupted = False
    if is_worker():
        run_worker(job, arrays, folder, report)
    else:
        _check_same(store, job, arrays)
        try:
            with store.timed():
                if executor is not None:
                    executor.run(job, arrays, folder, report)
                elif is_chief():
                    run_chief(job, arrays, folder, report)
                elif workers > 1:
                    run_workers(job, arrays, folder, workers, report)
                else:
                    run_alone(job, arrays, folder, report)
        except KeyboardInterrupt:
            interrupted = True
    result = SearchResult(store, space, how, arrays, frozen_features(job, arrays, folder))
    result.interrupted = interrupted
    if not is_worker():
        _end(result, report)
    return result


def _epochs(samples: int, batch_size: int, is_frozen: bool) -> int:
    """Epochs of the longest trials, unless the user says how many."""
    usual = _FROZEN_EPOCHS if is_frozen else _EPOCHS
    steps = max(1, math.ceil(samples / batch_size))
    return min(max(usual, math.ceil(_LEAST_STEPS / steps)), _MOST_TIMES * usual)


def _end(result: SearchResult, report: Callable[[str], None]) -> None:
    """Says what was found and, where nothing simple is ahead, the lines to paste."""
    if result.interrupted:
        kept = sum(record.over for record in result.trials)
        report(f"interrupted: {kept} trials kept; call again with the same arguments to go on")
    report(result.sentence)
    if result.ahead is None and any(record.ranked for record in result.trials):
        report(result.code())


def _one_after_the_other(
    backbone: Any,
    tasks: Sequence[Task],
    targets: Sequence[str],
    data: Any,
    folder: Path,
    **options: Any,
) -> dict[str, SearchResult]:
    """Searches several targets in turn, each with the best heads of those before it.

    Which head that was is kept, so that a later search goes on with the same tasks.
    """
    for target in targets:  # what is wrong with a later one is said before hours of the first
        HeadSpace(
            backbone,
            tasks,
            target,
            options["candidates"],
            options["settings"],
            input_shape=options["input_shape"],
        )
        SearchData.of(data, target)
    _check_time_budget(options["time_budget"])
    logs = options.pop("tensorboard")
    results: dict[str, SearchResult] = {}
    for target in targets:
        result = results[target] = search_heads(
            backbone,
            tasks,
            target,
            data,
            directory=folder / target,
            tensorboard=None if logs is None else Path(logs) / target,
            **options,
        )
        if result.interrupted:
            break
        if not any(record.ranked for record in result.trials):
            continue
        path = folder / f"{target}.json"
        if read_json(path) is None:
            write_json(path, {"trial": result.best_trial.trial})
        trial = (read_json(path) or {})["trial"]
        best = keras.saving.deserialize_keras_object(result.config(trial)["task"])
        tasks = [best if task.name == target else task for task in tasks]
    return results


def _check_time_budget(seconds: Any) -> None:
    if seconds is not None and not (is_real(seconds) and seconds > 0):
        raise ValueError(
            "Expected time_budget: seconds above 0, or None for no limit. "
            f"Received: time_budget={seconds!r}"
        )


def _settings(space: HeadSpace, model: MultiTaskModel, **options: Any) -> Settings:
    """The settings of the search; the metrics are those of the model as it is given."""
    objective = model.objective(space.target)
    others = {
        name: (model.objective(name).name, model.objective(name).direction)
        for name in model.tasks
        if name != space.target
    }
    return Settings(objective.name, objective.direction, others, **options)


def _begin_with_the_same_backbone(
    store: Store, space: HeadSpace, report: Callable[[str], None]
) -> None:
    """Keeps the weights of the backbone with the search, for when it goes on."""
    path = store.directory / "backbone.npz"
    given = space.backbone_weights
    if not path.exists():
        write_arrays(path, given)
        return
    kept = read_arrays(path)
    if [one.shape for one in kept] != [one.shape for one in given]:
        raise ValueError(
            f"Expected a folder that is empty or holds this search. Received: {store.directory}, "
            "which holds one with another backbone; give a directory=... of its own"
        )
    if not all(map(np.array_equal, kept, given)):
        report("going on with the backbone with the weights that this search began with")
    space.backbone_weights = kept


def _check_same(store: Store, job: Job, data: SearchData) -> None:
    """Refuses to go on with another search than the one that the folder holds."""
    path = store.directory / "search.json"
    space, settings = job.space, job.settings
    own = {
        "target": space.target,
        "space": {name: text_of(part) for name, part in space.space.items()},
        "candidates": {
            name: without_addresses(text_of([candidate.head, dict(candidate.arguments)]))
            for name, candidate in space.candidates.items()
        },
        "tuner": job.tuner,
        "seed": space.seed,
        "data": data.fingerprint(),
        "set of other tasks": space.other_tasks(),
        "epochs": settings.epochs,
        "batch_size": settings.batch_size,
        "guard": settings.guard,
        "freeze_backbone": job.freeze_backbone,
    }
    kept = read_json(path)
    if kept is None:
        write_json(path, {**own, "versions": versions("keras-tuner")})
        return
    # Folders of earlier versions do not have all names.
    other = [name for name, value in own.items() if name in kept and kept[name] != value]
    if other:
        raise ValueError(
            f"Expected a folder that is empty or holds this search. Received: {store.directory}, "
            f"which holds one with another {', '.join(other)}; give a directory=... of its own"
        )
