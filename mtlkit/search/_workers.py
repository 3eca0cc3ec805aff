"""Several workers on this machine: started, watched, started again, and never left behind."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from mtlkit.search._data import SearchData
from mtlkit.search._job import Job
from mtlkit.search._running import chief_of, serving
from mtlkit.search._training import OutOfTime

#: How often a worker that died is started again.
RESTARTS = 3
_POLL = 0.2
_GRACE = 5.0
_TAIL = 20


class WorkersFailed(RuntimeError):
    """All workers died, more often than they are started again."""


class Worker:
    """A worker process, whose lines are passed on."""

    def __init__(
        self,
        name: str,
        directory: Path,
        port: int,
        threads: int | None,
        report: Callable[[str], None],
    ) -> None:
        self.name = name
        self.starts = 0
        self.tail: deque[str] = deque(maxlen=_TAIL)
        self._directory = directory
        self._port = port
        self._threads = threads
        self._report = report

    def start(self) -> None:
        """Starts the process."""
        self.starts += 1
        command = [sys.executable, "-m", "mtlkit.search._worker", str(self._directory)]
        self.process = subprocess.Popen(
            [*command, "--parent", str(os.getpid())],
            env=self._environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def exit_code(self) -> int | None:
        """The exit code of the process; `None` while it runs."""
        return self.process.poll()

    def kill(self) -> None:
        """Ends the process and what it started, at once if it does not end by itself."""
        for kind in (signal.SIGTERM, signal.SIGKILL):
            if self.exit_code() is not None:
                break
            _signal_group(self.process.pid, kind)
            try:
                self.process.wait(_GRACE)
            except subprocess.TimeoutExpired:
                continue
        self._reader.join(_GRACE)

    def _environment(self) -> dict[str, str]:
        import keras

        variables = {
            **os.environ,
            "KERAS_BACKEND": keras.backend.backend(),
            "KERASTUNER_TUNER_ID": self.name,
            "KERASTUNER_ORACLE_IP": "127.0.0.1",
            "KERASTUNER_ORACLE_PORT": str(self._port),
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
            "PYTHONUNBUFFERED": "1",
        }
        if self._threads is not None:
            for name in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
                variables.setdefault(name, str(self._threads))
        return variables

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.tail.append(line.rstrip())
            if line.startswith("trial "):
                self._report(f"{self.name}: {line.rstrip()}")


def run_workers(
    job: Job,
    data: SearchData,
    directory: Path,
    workers: int,
    report: Callable[[str], None],
    restarts: int | None = None,
) -> None:
    """Runs the trials of a search in several processes of this machine.

    This process is the chief. A worker that dies gives its trial back and is started again,
    `restarts` times at most. When the search ends, or this process does, all workers end.
    """
    try:
        tuner = chief_of(job, data, directory, report)
    except OutOfTime:
        report("time is up")
        return
    job.save(directory, data)
    threads = max(1, (os.cpu_count() or 1) // workers) if workers > 1 else None
    oracle = tuner.oracle
    with serving(oracle, "127.0.0.1:0", directory) as servicer:
        team = [
            Worker(f"worker{number}", directory, servicer.port, threads, report)
            for number in range(workers)
        ]
        try:
            for worker in team:
                worker.start()
            _supervise(team, oracle, RESTARTS if restarts is None else restarts, report)
        finally:
            for worker in team:
                worker.kill()
                oracle.abandon(worker.name)


def _supervise(
    team: list[Worker], oracle: object, restarts: int, report: Callable[[str], None]
) -> None:
    running = list(team)
    dead: list[Worker] = []
    while running:
        time.sleep(_POLL)
        for worker in list(running):
            code = worker.exit_code()
            if code is None:
                continue
            oracle.abandon(worker.name)  # type: ignore[attr-defined]
            if code == 0:
                running.remove(worker)
            elif worker.starts <= restarts:
                report(f"{worker.name}: died with exit code {code}, is started again")
                worker.start()
            else:
                report(f"{worker.name}: died with exit code {code}, for the last time")
                running.remove(worker)
                dead.append(worker)
    if len(dead) == len(team):
        said = "\n".join(dead[-1].tail)
        raise WorkersFailed(
            f"Expected workers that run trials. Received: all {len(team)} died, each "
            f"{restarts + 1} times. The last lines of {dead[-1].name}:\n{said}"
        )


def _signal_group(pid: int, kind: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, kind)
