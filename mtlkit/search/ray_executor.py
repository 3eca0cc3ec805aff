"""Trials of a search on a Ray cluster."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import keras

from mtlkit._counts import check_count
from mtlkit.search._data import SearchData
from mtlkit.search._job import Job
from mtlkit.search._remote_trial import read_files, run_far_away, write_files
from mtlkit.search._running import make_tuner
from mtlkit.search._tuner import HeadTuner

#: How long to wait for a trial before looking whether nodes came or went, in seconds.
_LOOK = 1.0


class RayExecutor:
    """Runs the trials of a search on a [Ray](https://docs.ray.io) cluster.

    This process proposes trials and keeps the folder of the search; Ray places them on nodes that
    have the processors, and runs them again if a node leaves. Data, records and weights travel with
    the trials, so that nodes need no shared folder; they need the same version of mtlkit, and
    whatever modules your heads come from. A search that was killed goes on when it is called
    again, with whatever cluster there is then.

    Needs Ray: `pip install "mtlkit[ray]"`.

    Args:
        num_cpus: CPU cores of a trial, at least 1; may be a fraction.
        num_gpus: GPUs of a trial; may be a fraction, such as 0.5 for two trials on one.
        max_concurrent: Number of trials at once; those that do not fit wait, so that a cluster that
            grows by itself sees them. `None`: as many as the cluster has room for, which is looked
            up again as nodes come and go.
        max_retries: How often a trial is run again whose process or node was lost.
        address: The cluster, as for `ray.init`. `None`: that of a `ray.init` of your own, of the
            environment, or one that was started on this machine; without any, a cluster of this
            machine alone, which ends with the search.
        options: Further options of Ray's tasks, such as `{"resources": {"a100": 1}}` or
            `{"runtime_env": {"working_dir": "."}}`.

    Raises:
        ValueError: If a number is out of range.

    Example:
        ```python
        from mtlkit.search import RayExecutor

        executor = RayExecutor(num_cpus=2, num_gpus=0.5)
        # search_heads(backbone, tasks, "pose", data, executor=executor)
        ```
    """

    def __init__(
        self,
        num_cpus: float = 1,
        num_gpus: float = 0,
        *,
        max_concurrent: int | None = None,
        max_retries: int = 3,
        address: str | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        if num_cpus <= 0 or num_gpus < 0:
            raise ValueError(
                "Expected num_cpus above 0, and num_gpus of 0 or more. "
                f"Received: num_cpus={num_cpus}, num_gpus={num_gpus}"
            )
        if max_concurrent is not None:
            check_count("max_concurrent", max_concurrent, 1)
        check_count("max_retries", max_retries, 0)
        self.num_cpus = num_cpus
        self.num_gpus = num_gpus
        self.max_concurrent = max_concurrent
        self.max_retries = max_retries
        self.address = address
        self.options = dict(options or {})

    def run(
        self, job: Job, data: SearchData, directory: Path, report: Callable[[str], None]
    ) -> None:
        """Runs all trials of a search, and keeps what becomes of them in its folder."""
        ray = _ray()
        with self._cluster(ray):
            _Driver(self, ray, job, data, directory, report).run()

    def room(self, ray: Any) -> int:
        """How many trials to have under way now; 1 at least, which then waits."""
        if self.max_concurrent is not None:
            return self.max_concurrent
        return max(1, int(self._share(ray.cluster_resources())))

    def fits(self, ray: Any) -> bool:
        """Whether a node that is there now can run a trial."""
        return any(self._share(node["Resources"]) >= 1 for node in ray.nodes() if node["Alive"])

    def _share(self, resources: Mapping[str, float]) -> float:
        """How many trials some resources are enough for."""
        needed = {"CPU": self.num_cpus, "GPU": self.num_gpus, **self.options.get("resources", {})}
        return min(resources.get(name, 0) / much for name, much in needed.items() if much)

    def placed(self, ray: Any, function: Callable[..., Any]) -> Any:
        """A function as a task of Ray, with the resources of a trial."""
        given = self.options.get("runtime_env", {})
        variables = {
            "KERAS_BACKEND": keras.backend.backend(),
            "TF_NUM_INTRAOP_THREADS": str(max(1, int(self.num_cpus))),
            "TF_CPP_MIN_LOG_LEVEL": "3",
        }
        if self.num_gpus % 1:  # no trial may take the memory of the others
            variables["TF_FORCE_GPU_ALLOW_GROWTH"] = "true"
            variables["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"
        options = {
            "num_cpus": self.num_cpus,
            "max_retries": self.max_retries,
            "scheduling_strategy": "SPREAD",
            **self.options,
            "runtime_env": {**given, "env_vars": {**variables, **given.get("env_vars", {})}},
        }
        if self.num_gpus:
            options["num_gpus"] = self.num_gpus
        # Given here, not later, GPUs have Ray end the process with the trial, which frees them.
        return ray.remote(**options)(function)

    @contextmanager
    def _cluster(self, ray: Any) -> Iterator[None]:
        """Connects to the cluster; one that is started here ends here."""
        if ray.is_initialized():
            yield
            return
        address = self.address or os.environ.get("RAY_ADDRESS")
        # Trials print nothing; this process reports them.
        ray.init(address=address, log_to_driver=False, include_dashboard=None if address else False)
        try:
            yield
        finally:
            ray.shutdown()


class _Driver:
    """One run of a search on a cluster: the oracle proposes, Ray runs, the folder remembers."""

    def __init__(
        self,
        executor: RayExecutor,
        ray: Any,
        job: Job,
        data: SearchData,
        directory: Path,
        report: Callable[[str], None],
    ) -> None:
        self._executor = executor
        self._ray = ray
        self._report = report
        self._tuner: HeadTuner = make_tuner(job, data, directory, report)
        self._task = executor.placed(ray, run_far_away)
        self._given = ray.put((job.dumped(), data))
        #: The trial of each task under way, and the name under which the oracle knows who runs it.
        self._running: dict[Any, tuple[str, Any]] = {}
        self._warned = False

    def run(self) -> None:
        trials, oracle = self._tuner.trials, self._tuner.oracle
        try:
            more = self._prepare()
            while more or self._running:
                more = more and not trials.out_of_time and self._propose()
                done = self._wait(list(self._running))
                for task in done:
                    self._finish(task)
                if trials.out_of_time and not done and not self._executor.fits(self._ray):
                    break  # nothing that runs, only what waits
            if trials.out_of_time:
                self._report("time is up")
        finally:
            for task, (name, _) in self._running.items():
                self._ray.cancel(task, force=True)
                oracle.abandon(name)

    def _prepare(self) -> bool:
        """Has what comes before the trials run as a task, too: this process may have no GPU."""
        trials = self._tuner.trials
        if trials.prepared:
            return True
        self._report("preparing on the cluster: the guard's model, and simple references")
        files = read_files(trials.store, whole=True)
        task = self._task.remote(self._given, files, trials.seconds_left)
        try:
            while not self._wait([task]):
                if trials.out_of_time and not self._executor.fits(self._ray):
                    return False
            files, lines = self._ray.get(task)
        finally:
            self._ray.cancel(task, force=True)  # does nothing to one that is over
        for line in lines:
            self._report(line)
        write_files(trials.store, files)
        return trials.prepared

    def _wait(self, tasks: list[Any]) -> list[Any]:
        """Waits a little; returns the tasks that are over."""
        if tasks and not self._warned and not self._executor.fits(self._ray):
            self._warned = True
            self._report(
                f"no node has num_cpus={self._executor.num_cpus} and "
                f"num_gpus={self._executor.num_gpus} now: trials wait for one"
            )
        return self._ray.wait(tasks, timeout=_LOOK)[0]

    def _propose(self) -> bool:
        """Starts trials as long as there is room; returns whether there may be more."""
        oracle, trials = self._tuner.oracle, self._tuner.trials
        while len(self._running) < self._executor.room(self._ray):
            taken = {name for name, _ in self._running.values()}
            name = next(one for one in map("ray{}".format, count()) if one not in taken)
            trial = oracle.create_trial(name)
            if trial.status == "STOPPED":
                return False
            if trial.status == "IDLE":
                return bool(self._running)
            values = trial.hyperparameters.values
            known = trials.store.settled(trials.new_record(trial.trial_id, values))
            if known is not None:
                self._tuner.end(trial, known)
                continue
            files = read_files(trials.store, values.get("tuner/trial_id"))
            task = self._task.remote(
                self._given, files, trials.seconds_left, trial.trial_id, dict(values), name
            )
            self._running[task] = (name, trial)
        return True

    def _finish(self, task: Any) -> None:
        """Keeps what became of a trial, and lets the oracle know."""
        name, trial = self._running.pop(task)
        trials = self._tuner.trials
        lost = self._ray.exceptions
        try:
            files, _ = self._ray.get(task)
            write_files(trials.store, files)
            record = trials.store.records()[trial.trial_id]
        except (lost.WorkerCrashedError, lost.NodeDiedError, lost.OutOfMemoryError) as error:
            record = trials.new_record(trial.trial_id, trial.hyperparameters.values, name)
            record.message = f"lost with its process or node: {type(error).__name__}"
            trials.store.save(record)
        except lost.RayError as error:  # the cluster's fault: the trial is to be tried again
            self._tuner.oracle.abandon(name)
            *_, cause = str(error).strip().splitlines() or [type(error).__name__]
            raise RuntimeError(
                f"Expected nodes that can run trials. Received, of trial {trial.trial_id}: {cause}"
            ) from error
        self._report(trials.line(record))
        if record.status == "interrupted":
            self._tuner.oracle.abandon(name)
        else:
            self._tuner.end(trial, record)


def _ray() -> Any:
    try:
        import ray
    except ImportError:
        raise ImportError(
            'Expected Ray, which runs the trials. Received: none; pip install "mtlkit[ray]"'
        ) from None
    return ray
