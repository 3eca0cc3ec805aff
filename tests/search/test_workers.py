"""Several processes: supervised on this machine, and started by hand with a chief."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import keras
import pytest
import small_searches as small

from mtlkit.search import _workers as workers
from mtlkit.search._records import Store
from mtlkit.search._workers import WorkersFailed

SCRIPT = Path(__file__).with_name("own_search.py")
LIMIT = 150


STARTED = []


@pytest.fixture(autouse=True)
def nobody_stays():
    """Ends what a failed test leaves behind."""
    yield
    while STARTED:
        STARTED.pop().kill()


def start(options, **variables):
    """Runs the script in a process of its own."""
    environment = {**os.environ, "KERAS_BACKEND": keras.backend.backend(), **variables}
    process = subprocess.Popen(
        [sys.executable, str(SCRIPT), json.dumps(options)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    STARTED.append(process)
    return process


def outcome(process):
    """What the script says that it found."""
    text, _ = process.communicate(timeout=LIMIT)
    lines = [line for line in text.splitlines() if line.startswith("outcome ")]
    assert process.returncode == 0 and lines, text[-3000:]
    return json.loads(lines[0].removeprefix("outcome "))


def wait_for(condition):
    """Waits until something is so."""
    end = time.monotonic() + LIMIT
    while not (found := condition()):
        assert time.monotonic() < end
        time.sleep(0.05)
    return found


def children_of(process):
    """Its child processes that run a worker."""
    found = subprocess.run(
        ["pgrep", "-P", str(process.pid), "-f", "mtlkit.search._worker"],
        capture_output=True,
        text=True,
        check=False,
    )
    return [int(line) for line in found.stdout.split()]


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "Z" not in Path(f"/proc/{pid}/stat").read_text().split()[2]


def finished(directory):
    return [r for r in Store(directory).records().values() if r.status == "finished"]


def test_a_killed_worker_is_replaced_and_a_killed_search_leaves_nobody(tmp_path):
    options = {"directory": str(tmp_path), "tuner": "random", "max_trials": 3, "workers": 2}
    search = start({**options, "epochs": 1, "verbose": 1})
    first = wait_for(lambda: len(found := children_of(search)) == 2 and found)
    wait_for(lambda: len(finished(tmp_path)) >= 2)  # the reference, and one trial
    os.kill(first[0], signal.SIGKILL)
    replaced = wait_for(lambda: len(now := children_of(search)) == 2 and now != first and now)
    search.kill()
    text, _ = search.communicate(timeout=LIMIT)
    assert "died with exit code -9, is started again" in text
    wait_for(lambda: not any(map(alive, replaced)))

    before = {record.trial: record for record in finished(tmp_path)}
    done = outcome(start({**options, "epochs": 1}))
    assert sorted(done) == ["0", "1", "2"]
    assert {status for status, *_ in done.values()} == {"finished"}
    assert {point["family"] for _, point, *_ in done.values()} >= {"mine", "classes", "bins"}
    points = [json.dumps(point, sort_keys=True) for _, point, *_ in done.values()]
    assert len(set(points)) == 3
    after = Store(tmp_path).records()
    assert all(after[trial] == record for trial, record in before.items())


def test_chief_and_workers_started_by_hand(tmp_path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    options = {
        "directory": str(tmp_path),
        "tuner": "random",
        "max_trials": 4,
        "epochs": 2,
        "worker_timeout": 4.0,
        "verbose": 1,
    }
    where = {"KERASTUNER_ORACLE_IP": "127.0.0.1", "KERASTUNER_ORACLE_PORT": port}
    chief = start(options, KERASTUNER_TUNER_ID="chief", **where)
    team = [start(options, KERASTUNER_TUNER_ID=f"tuner{n}", **where) for n in range(2)]
    beat = tmp_path / "workers" / "tuner0"
    wait_for(beat.exists)
    wait_for(lambda: len(finished(tmp_path)) >= 2)
    assert (tmp_path / "token").stat().st_mode & 0o777 == 0o600
    chief.kill()  # which knows what was finished, when it is started again
    chief.communicate()
    chief = start(options, KERASTUNER_TUNER_ID="chief", **where)
    wait_for(lambda: len(finished(tmp_path)) >= 3)
    team[0].kill()
    team[0].communicate()
    done = outcome(chief)
    assert sorted(done) == ["0", "1", "2", "3"]
    assert {status for status, *_ in done.values()} == {"finished"}
    outcome(team[1])


def test_workers_that_always_die(tmp_path, monkeypatch):
    """Their last lines are in the error."""
    monkeypatch.setattr(workers, "RESTARTS", 1)
    monkeypatch.setattr("mtlkit.search._workers.sys.executable", "/bin/false")
    small.without_training(monkeypatch)
    with pytest.raises(WorkersFailed, match=r"all 2 died, each 2 times"):
        small.search(tmp_path, workers=2, tuner="random", max_trials=2)
