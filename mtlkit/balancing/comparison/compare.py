"""The protocol that compares balancers."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mtlkit._counts import check_count
from mtlkit._durations import duration
from mtlkit._warnings import warn
from mtlkit.balancing._names import split
from mtlkit.balancing.comparison._scores import best_weights, delta_m
from mtlkit.balancing.comparison._step_times import StepTimes
from mtlkit.balancing.comparison._store import Store
from mtlkit.balancing.comparison._training import Job, Protocol, protocol_of
from mtlkit.balancing.comparison._tuning import tries
from mtlkit.balancing.comparison.result import EQUAL, SINGLE, TUNED, Comparison
from mtlkit.balancing.scalarization import EqualWeighting
from mtlkit.metrics.skill import constant_skill
from mtlkit.model._parameter_balance import check_space, check_space_name
from mtlkit.model._wiring import Space
from mtlkit.search._running import reporter

#: What `compare` compares unless told otherwise.
METHODS = (EQUAL, TUNED, "uw", "famo", "upgrad")
#: Arguments of `compile` that leave a step a step.
_OPTIONS = ("jit_compile", "run_eagerly", "auto_scale_loss")


def compare(
    build: Callable[[], Any],
    data: Any,
    methods: Sequence[Any] | Mapping[str, Any] = METHODS,
    *,
    balancer_space: Space | Mapping[str, Space] = "features",
    epochs: int,
    seeds: Iterable[int] = (0, 1, 2),
    batch_size: int = 64,
    optimizer: Any = "adam",
    compile_options: Mapping[str, Any] | None = None,
    metrics: Mapping[str, Any] | None = None,
    tuning: int | Sequence[Mapping[str, float]] = 8,
    select: str = "last",
    directory: str | os.PathLike[str] | None = None,
    verbose: int = 1,
) -> Comparison:
    """Compares balancers with single-task models, equal weights and tuned weights.

    For each seed one model is trained for each task alone, one with equal weights, and one with
    each method, all with the same data, optimizer and number of epochs. The seed sets the initial
    weights and the order of the samples; the split is yours. Scores are those of the tasks'
    primary metrics on the test data, which each finished training looks at once. Nothing is chosen
    by them.

    A method's `delta_m` is the mean relative change to the single-task models of the same seed,

        delta_m = 100 / K * sum_k s_k (M_k - S_k) / |S_k|    (percent)

    over `K` tasks with scores `M_k` and single-task scores `S_k`; `s_k` is 1 where more is better,
    else -1 (Maninis et al., 2019, arXiv 1904.08918). It is unstable where a single-task score is
    near 0, such as a small error. So the table also has the mean gain in skill, the share of the
    way from the best constant prediction to perfection, over the tasks of which that is known
    (accuracy and mean absolute error).

    A method is called better than equal weights if the 95 % t-interval over seeds of the paired
    difference in `delta_m` excludes 0 and the p-value, corrected for the number of methods by
    Holm's method, is below 0.05. Careful studies found few methods that are ahead of tuned
    weights, or of equal ones (Kurin et al., 2022, arXiv 2201.04122; Xin et al., 2022,
    arXiv 2209.11379), so keep `"tuned"` among the methods.

    Tuned weights are the best of `tuning` tries by `delta_m` on the validation data, all trained
    with the first seed: equal weights, those that make the initial losses equal, those that make
    the norms of initial gradients at the backbone equal, and others that are drawn around the
    second ones, each times a factor from 1/10 to 10, even in its logarithm. All are scaled to a
    mean of 1. The weights that are found are then trained with every seed, as any method is.
    Other methods are trained with their own settings, which are not tuned.

    Cost: `seeds * (tasks + methods) + tries - 1` trainings, then a few seconds a method to time
    its steps: blocks of steps with the method and with equal weights alternate, and the ratio is
    the median of those of the pairs. The library's global seed is set for each training.

    Args:
        build: A function without arguments that returns `(backbone, tasks)`, new at each call, as
            for `mtlkit.MultiTaskModel`. The weights of the tasks are set to 1, unless a method
            says otherwise. Alone, a task is not conditioned on another one and its gradient
            flows.
        data: A `mtlkit.datasets.MultiTaskData`, or a dict with `"train"`, `"val"` and `"test"`,
            `(x, y)` each, with `y` a dict by task.
        methods: Each is a name out of `mtlkit.balancing.get`, or `"tuned"`; a balancer; or a pair
            of a loss weighting and an aggregator. To name them yourself give a dict by name. Your
            own weights are `{"mine": mtlkit.balancing.FixedWeighting([1.0, 3.0])}`. Equal weights
            are always trained.
        balancer_space: Where aggregators combine gradients, `"features"` or `"parameters"`, as for
            `mtlkit.MultiTaskModel`. A dict says so for single methods by their names, which
            compares the spaces: `compare(..., {"at maps": "mgda", "at weights": "mgda"},
            balancer_space={"at weights": "parameters"})`.
        epochs: Epochs of every training.
        seeds: The seeds. With one seed no difference can be told from chance; with three only a
            large one.
        batch_size: Samples in a batch.
        optimizer: The name of a Keras optimizer, one that is copied for each training, or a
            function that makes one.
        compile_options: Other arguments of `compile`: `"jit_compile"`, `"run_eagerly"` or
            `"auto_scale_loss"`.
        metrics: Other metrics to judge by: the name of a task's metric or `"loss"`, or a pair of
            it and `"max"` or `"min"`, by task.
        tuning: Number of tries for `"tuned"`, or the weights to try beside equal ones: a list of
            dicts by task.
        select: The epoch that counts: `"last"`, or `"validation"`, the one with the best sum of
            skills on the validation data, as in `mtlkit.callbacks.TaskEarlyStopping`.
        directory: A folder that keeps each finished training. A rerun goes on, and trains only
            what is missing where seeds or methods are added. What was trained on other data, with
            another model, number of epochs, optimizer, backend or version is not used. `None`:
            nothing is kept.
        verbose: 0 for silence, 1 for a line a training with the time that is left.

    Returns:
        A `mtlkit.balancing.Comparison`. Interrupted by Ctrl-C, it holds what has been finished.

    Raises:
        ValueError: If an argument is not as described.

    Example:
        ```python
        import keras
        import numpy as np

        import mtlkit as mtl

        rng = np.random.default_rng(0)
        x = rng.normal(size=(96, 4)).astype("float32")
        y = {"kind": (x[:, 0] > 0).astype("int64"), "size": x[:, 1] + x[:, 2]}
        splits = {"train": range(0, 48), "val": range(48, 72), "test": range(72, 96)}
        data = {s: (x[r], {k: v[r] for k, v in y.items()}) for s, r in splits.items()}

        def build():
            tasks = [
                mtl.Task("kind", mtl.heads.ClassificationHead(2)),
                mtl.Task("size", mtl.heads.RegressionHead()),
            ]
            return mtl.backbones.DenseBackbone(4, units=(8,)), tasks

        found = mtl.balancing.compare(
            build, data, ["equal", "upgrad"], epochs=2, seeds=[0], verbose=0
        )
        print(found)
        ```
    """
    check_count("epochs", epochs, 1)
    check_count("batch_size", batch_size, 1)
    if select not in ("last", "validation"):
        raise ValueError(f'Expected select "last" or "validation". Received: select={select!r}')
    seeds = [int(seed) for seed in seeds]
    if not seeds or len(set(seeds)) < len(seeds):
        raise ValueError(f"Expected seeds that differ, one or more. Received: seeds={seeds}")
    unknown = set(compile_options or {}) - set(_OPTIONS)
    if unknown:
        raise ValueError(
            f"Expected compile_options out of {list(_OPTIONS)}. Received: {sorted(unknown)}"
        )
    balancers = _balancers(methods)
    spaces = _spaces(balancer_space, balancers)
    protocol = protocol_of(
        build, data, optimizer, metrics, epochs, batch_size, select, compile_options
    )
    _check_tuning(tuning, protocol)
    store = Store(None if directory is None else Path(directory))
    return _Run(protocol, balancers, spaces, seeds, tuning, store, reporter(verbose)).all()


class _Run:
    """One call of `compare`."""

    def __init__(
        self,
        protocol: Protocol,
        balancers: dict[str, Any],
        spaces: dict[str, Space],
        seeds: list[int],
        tuning: Any,
        store: Store,
        report: Callable[[str], None],
    ) -> None:
        self._protocol = protocol
        self._balancers = balancers
        self._spaces = spaces
        self._seeds = seeds
        self._tuning = tuning
        self._store = store
        self._report = report
        self._tasks = tuple(protocol.metrics)
        self._runs: list[dict[str, Any]] = []
        self._tries: list[dict[str, Any]] = []
        self._ratios: dict[str, float] = {}
        self._weights: dict[str, float] | None = None
        methods = len(balancers)
        self._total = len(seeds) * (len(self._tasks) + methods)
        if TUNED in balancers:
            count = tuning if isinstance(tuning, int | np.integer) else len(tuning) + 1
            self._total += int(count) - 1
        self._done = self._trained = 0
        self._seconds = 0.0

    def all(self) -> Comparison:
        """Trains what is missing; returns what was found."""
        try:
            for seed in self._seeds:
                self._of_seed(seed)
            self._time_steps()
        except KeyboardInterrupt:
            self._report("interrupted: this is what has been finished")
        return self._found()

    def _of_seed(self, seed: int) -> None:
        for task in self._tasks:
            self._keep(Job(SINGLE, seed, (task,)))
        self._keep(self._job(EQUAL, seed))
        if TUNED in self._balancers and self._weights is None:
            self._tune(seed)
        for method in self._balancers:
            if method == EQUAL:
                continue
            try:
                self._keep(self._job(method, seed))
            except Exception as error:  # the others are still worth their time
                self._done += 1
                told = f"{type(error).__name__}: {error}"
                warn(f"{method}, seed {seed} failed. {told}")
                self._runs.append({"method": method, "seed": seed, "message": told})

    def _job(self, method: str, seed: int) -> Job:
        weights = self._weights if method == TUNED else None
        balancer, space = self._balancers[method], self._spaces[method]
        return Job(method, seed, self._tasks, balancer, weights, space=space)

    def _keep(self, job: Job) -> None:
        found = self._result(job)
        self._runs.append(
            {"method": job.method, "seed": job.seed, "tasks": list(job.tasks), **found}
        )

    def _result(self, job: Job) -> dict[str, Any]:
        """What came of a training, which is done unless it is known."""
        request = self._protocol.request(job)
        found = self._store.get(request)
        if found is not None:
            self._done += 1
            return dict(found)
        start = time.monotonic()
        found = self._protocol.train(job)
        self._store.put(request, found)
        self._done += 1
        self._trained += 1
        self._seconds += time.monotonic() - start
        left = duration((self._total - self._done) * self._seconds / self._trained)
        alone = f" {job.tasks[0]}" if job.method == SINGLE else ""
        what = f"{job.method}{alone}, seed {job.seed}"
        self._report(f"{self._done} of {self._total} | {what} | {left} left")
        return found

    def _tune(self, seed: int) -> None:
        """Finds weights by the validation data."""
        request = {**self._protocol.same, "seed": seed, "tries": self._tuning}
        kept = self._store.get(request)
        if kept is None:
            kept = tries(self._protocol, self._tuning, seed)
            self._store.put(request, kept)
        single: dict[str, float] = {}
        for run in self._runs:
            if run["method"] == SINGLE and run["seed"] == seed:
                single.update(run["val"])
        directions = {task: way for task, (_, way) in self._protocol.metrics.items()}
        known = [run for run in self._runs if (run["method"], run["seed"]) == (EQUAL, seed)]
        for number, one in enumerate(kept):
            if number == 0:
                val = known[0]["val"]
            else:
                job = Job(f"try {number + 1}", seed, self._tasks, None, one["weights"], test=False)
                val = self._result(job)["val"]
            change = delta_m(_known(val), _known(single), directions)
            self._tries.append({**one, "val": val, "delta_m": change})
        self._weights = best_weights(self._tries)

    def _time_steps(self) -> None:
        """Times steps of each method that has been trained."""
        seed = self._seeds[0]
        failed = {run["method"] for run in self._runs if "message" in run}
        times = StepTimes(self._protocol, self._job(EQUAL, seed))
        for method in self._balancers:
            if method == EQUAL or method in failed:
                continue
            job = self._job(method, seed)
            request = {**self._protocol.same, "timed": True, **self._protocol.asked(job)}
            ratio = self._store.get(request)
            if ratio is None:
                self._report(f"timing steps of {method}")
                ratio = times.ratio(job)
                self._store.put(request, ratio)
            self._ratios[method] = ratio

    def _found(self) -> Comparison:
        protocol = self._protocol
        test = protocol.splits.test
        skills = {
            task: constant_skill(f"{task}_{name}", test.y[task], task)
            for task, (name, _) in protocol.metrics.items()
        }
        return Comparison(
            metrics=protocol.metrics,
            methods=list(self._balancers),
            seeds=self._seeds,
            runs=self._runs,
            tries=self._tries,
            step_ratios=self._ratios,
            baselines=skills,
            settings={
                **protocol.same,
                "epochs": protocol.epochs,
                "select": protocol.select,
                "samples": {
                    name: getattr(protocol.splits, name).samples
                    for name in ("train", "val", "test")
                },
            },
            planned=self._total,
            finished=self._done,
        )


def _known(scores: Mapping[str, float | None]) -> dict[str, float]:
    return {task: np.nan if score is None else score for task, score in scores.items()}


def _balancers(methods: Sequence[Any] | Mapping[str, Any]) -> dict[str, Any]:
    """The balancer of each method by its name, that of equal weights first."""
    if isinstance(methods, str):
        raise ValueError(f"Expected a list of methods. Received: methods={methods!r}")
    named = methods.items() if isinstance(methods, Mapping) else [(_name(m), m) for m in methods]
    found: dict[str, Any] = {EQUAL: None}
    for name, given in named:
        if name == SINGLE:
            raise ValueError(f"Expected another name than {SINGLE!r}, which is always trained")
        if given in (EQUAL, TUNED) or isinstance(given, EqualWeighting):
            found.setdefault(TUNED if given == TUNED else EQUAL, None)
            continue
        if name in found or name == TUNED:
            raise ValueError(
                f"Expected methods of different names, none of them {EQUAL!r} or {TUNED!r}. "
                f"Received: {name!r}; name them yourself by a dict"
            )
        weighting, aggregator = split(given)
        parts = [part for part in (weighting, aggregator) if part is not None]
        found[name] = parts if len(parts) > 1 else (*parts, None)[0]
    return found


def _spaces(given: Space | Mapping[str, Space], balancers: Mapping[str, Any]) -> dict[str, Space]:
    """Where each method combines gradients; what combines none stays at the features."""
    asked = {} if isinstance(given, str) else dict(given)
    if unknown := sorted(set(asked) - set(balancers)):
        raise ValueError(
            f"Expected balancer_space of methods out of {list(balancers)}. Received: {unknown}"
        )
    if isinstance(given, str):
        check_space_name(given)
    found: dict[str, Space] = {}
    for name, balancer in balancers.items():
        weighting, aggregator = split(balancer)
        of_all = given if isinstance(given, str) and aggregator is not None else "features"
        space = asked.get(name, of_all)
        check_space(space, weighting, aggregator, ())
        found[name] = space
    return found


def _name(method: Any) -> str:
    """What a method is called in the table."""
    if isinstance(method, str):
        return method
    if isinstance(method, Sequence):
        return " + ".join(_name(part) for part in method)
    return repr(method)


def _check_tuning(tuning: Any, protocol: Protocol) -> None:
    if isinstance(tuning, int | np.integer) or not isinstance(tuning, Sequence):
        check_count("tuning", tuning, 1)
        return
    for weights in tuning:
        if not isinstance(weights, Mapping) or set(weights) != set(protocol.metrics):
            raise ValueError(
                f"Expected tuning to be a number, or weights of the tasks "
                f"{list(protocol.metrics)}. Received: {weights!r}"
            )
