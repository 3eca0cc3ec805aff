"""Running a search: in this process, or as the chief or a worker of several."""

from __future__ import annotations

import math
import os
import secrets
import time
from collections.abc import Callable, Iterator
from concurrent import futures
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import keras_tuner

from mtlkit.search._data import SearchData
from mtlkit.search._frozen import FrozenFeatures
from mtlkit.search._interpreter import declare, encode
from mtlkit.search._job import Job
from mtlkit.search._oracles import make_oracle
from mtlkit.search._records import Store, again_and_again
from mtlkit.search._training import OutOfTime
from mtlkit.search._trials import Trials
from mtlkit.search._tuner import HeadTuner

#: How often a worker shows that it lives, in seconds.
BEAT = 1.0
#: After as many seconds without a beat a chief is dead.
_LEASE = 5.0
_CHIEF_VARIABLES = ("KERASTUNER_TUNER_ID", "KERASTUNER_ORACLE_IP", "KERASTUNER_ORACLE_PORT")


class Executor(Protocol):
    """Where the trials of a search run."""

    def run(
        self, job: Job, data: SearchData, directory: Path, report: Callable[[str], None]
    ) -> None:
        """Runs all trials, and keeps what becomes of them in the folder of the search."""


def print_line(line: str) -> None:
    """Prints a line at once."""
    print(line, flush=True)


def reporter(verbose: int) -> Callable[[str], None]:
    """What lines of progress go to: the screen, or nowhere if `verbose` is 0."""
    return print_line if verbose else lambda line: None


def make_tuner(
    job: Job, data: SearchData, directory: Path, report: Callable[[str], None] = print_line
) -> HeadTuner:
    """Makes the tuner of a job; a client of the chief where the environment names one."""
    oracle = _oracle(job)
    trials = make_trials(job, data, directory, report)
    oracle.rejects, oracle.repeats = trials.rejects, trials.repeats
    oracle.tells_apart = trials.tells_apart
    return HeadTuner(oracle, trials, job.tensorboard)


def make_trials(
    job: Job,
    data: SearchData,
    directory: Path,
    report: Callable[[str], None],
    features: Path | None = None,
) -> Trials:
    """Makes what runs the trials of a job; `features` is where those are cached, if elsewhere."""
    frozen = frozen_features(job, data, features or directory)
    left = math.inf if math.isinf(job.ends) else max(0.0, job.ends - time.time())
    return Trials(
        job.space,
        data,
        job.settings,
        Store(directory),
        deadline=time.monotonic() + left,
        report=report,
        trainer=None if frozen is None else frozen.trial,
        max_trials=job.max_trials,
    )


def frozen_features(job: Job, data: SearchData, directory: Path) -> FrozenFeatures | None:
    """The cached features of a job with a frozen backbone."""
    return FrozenFeatures(job.space, data, directory / "features") if job.freeze_backbone else None


def run_alone(job: Job, data: SearchData, directory: Path, report: Callable[[str], None]) -> None:
    """Runs all trials in this process."""
    tuner = make_tuner(job, data, directory, report)
    try:
        prepare(tuner.trials)
        tuner.search(verbose=0)
    except OutOfTime:
        report("time is up")


def run_worker(
    job: Job, data: SearchData, directory: Path, report: Callable[[str], None] = print_line
) -> None:
    """Runs trials of the chief that the environment names, and shows that this process lives."""
    name = os.environ["KERASTUNER_TUNER_ID"]
    with _heartbeat(beat_path(directory, name)):
        try:
            make_tuner(job, data, directory, report).search(verbose=0)
        except OutOfTime:
            report(f"{name}: time is up")


@contextmanager
def serving(oracle: Any, address: str, directory: Path) -> Iterator[Any]:
    """Serves an oracle to workers that know the token of the search, as KerasTuner's chief does."""
    import grpc
    from keras_tuner.src import protos
    from keras_tuner.src.distribute.oracle_chief import OracleServicer

    from mtlkit.search._chief_access import TokenCheck, make_token

    check = TokenCheck(make_token(directory))
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=1), interceptors=[check])
    servicer = OracleServicer(oracle)
    protos.get_service_grpc().add_OracleServicer_to_server(servicer, server)
    servicer.port = server.add_insecure_port(address)
    server.start()
    try:
        yield servicer
    finally:
        server.stop(grace=1).wait()


def chief_of(
    job: Job, data: SearchData, directory: Path, report: Callable[[str], None]
) -> HeadTuner:
    """Makes the tuner whose oracle is to be served, with the guard's reference trained."""
    with _without_chief():
        tuner = make_tuner(job, data, directory, report)
        prepare(tuner.trials)
    return tuner


def prepare(trials: Trials) -> None:
    """Trains what the guard compares with, and scores what trials are compared with."""
    if trials.settings.others:
        trials.ensure_reference()
    trials.ensure_baselines()


def run_chief(job: Job, data: SearchData, directory: Path, report: Callable[[str], None]) -> None:
    """Serves the trials to workers that were started elsewhere, until there are none left.

    A worker that has not shown for long that it lives is given up, and its trial is given to
    another one.
    """
    from mtlkit.search._chief_access import make_token

    with _lease(directory):
        make_token(directory)  # for which workers wait
        try:
            tuner = chief_of(job, data, directory, report)
        except OutOfTime:
            report("time is up")
            return
        oracle = tuner.oracle
        host, port = (os.environ[name] for name in _CHIEF_VARIABLES[1:])
        with serving(oracle, f"{host}:{port}", directory) as servicer:
            while not _is_over(oracle, servicer, job):
                time.sleep(BEAT)
                for name in _silent(oracle, directory, job.worker_timeout):
                    report(f"{name}: silent for {job.worker_timeout:g} s, is given up")
                    oracle.abandon(name)


@contextmanager
def _lease(directory: Path) -> Iterator[None]:
    """Has the folder for one chief alone; waits for the last one's beat to be old, if it died."""
    path, own = beat_path(directory, "lease"), secrets.token_hex(8)
    end = time.monotonic() + 2 * _LEASE
    while not _taken(path, own):
        if time.monotonic() > end:
            raise ValueError(
                f"Expected one chief for the folder {directory}. Received: another one, which has "
                "shown within seconds that it lives; give this one a directory=... of its own"
            )
        time.sleep(BEAT)
    with _heartbeat(path):
        yield


def _taken(path: Path, own: str) -> bool:
    """Takes a lease that nobody keeps; of several who do so at once, the last one has it."""
    age = _age(path, _touch(path.with_name("clock")))
    if age is not None and age < _LEASE:
        return False
    path.write_text(own, "utf-8")
    time.sleep(BEAT)
    return path.exists() and path.read_text("utf-8") == own


def beat_path(directory: Path, name: str) -> Path:
    """The file that a worker touches as long as it lives."""
    return directory / "workers" / name


def _is_over(oracle: Any, servicer: Any, job: Job) -> bool:
    busy = bool(oracle.ongoing_trials)
    if servicer.stop_triggered:
        return not busy and not oracle.tuner_ids
    return time.time() > job.ends and not busy


def _silent(oracle: Any, directory: Path, timeout: float) -> list[str]:
    """Workers that have not shown for long that they live."""
    now = _touch(beat_path(directory, "chief"))  # by the clock of the shared folder
    silent = []
    for name in sorted({*oracle.tuner_ids, *oracle.ongoing_trials}):
        age = _age(beat_path(directory, name), now)
        if age is None or age > timeout:
            silent.append(name)
    return silent


@contextmanager
def _heartbeat(path: Path) -> Iterator[None]:
    """Touches a file again and again, and removes it at the end."""
    _touch(path)
    try:
        with again_and_again(lambda: _touch(path), BEAT):
            yield
    finally:
        path.unlink(missing_ok=True)


def _age(path: Path, now: float) -> float | None:
    """Seconds since a file was touched; `None` if it is not there."""
    try:
        return now - path.stat().st_mtime
    except FileNotFoundError:
        return None


def _touch(path: Path) -> float:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path.stat().st_mtime


@contextmanager
def _without_chief() -> Iterator[None]:
    """Hides from KerasTuner that there is a chief: this process has the oracle itself."""
    hidden = {name: os.environ.pop(name) for name in _CHIEF_VARIABLES if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(hidden)


def _oracle(job: Job) -> Any:
    space = job.space
    hyperparameters = keras_tuner.HyperParameters()
    declare(hyperparameters, space.space, space.target)
    oracle = make_oracle(
        job.tuner,
        hyperparameters,
        max_trials=job.max_trials,
        epochs=job.settings.epochs,
        seed=space.seed,
    )
    oracle.initial = [encode(p, space.space, space.target) for p in space.initial_points()]
    return oracle
