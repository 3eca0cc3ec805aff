"""Trials on a cluster of two nodes, of which one is killed, and so is the process that proposes."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import keras
import pytest

import mtlkit as mtl
from mtlkit.search._records import Store

ray = pytest.importorskip("ray")
pytestmark = [
    pytest.mark.every_backend,
    pytest.mark.skipif(
        keras.backend.backend() != "torch", reason="once is enough, and its workers start fast"
    ),
]

SCRIPT = Path(__file__).with_name("own_search.py")
LIMIT = 500
OPTIONS = {"tuner": "random", "max_trials": 5, "epochs": 2, "stop_hopeless": False, "verbose": 1}


@pytest.fixture
def cluster(monkeypatch):
    """Two nodes with a core each; this process is not connected to them."""
    from ray.cluster_utils import Cluster

    # Ray's workers would wait for whatever else this machine does.
    monkeypatch.setenv("RAY_worker_niceness", "0")
    nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    nodes.second = nodes.add_node(num_cpus=1)
    yield nodes
    nodes.shutdown()


@pytest.fixture
def start():
    """Starts the script in processes that end with the test."""
    started = []

    def begin(directory, **options):
        environment = {**os.environ, "KERAS_BACKEND": keras.backend.backend()}
        given = json.dumps({**OPTIONS, "directory": str(directory), **options})
        started.append(
            subprocess.Popen(
                [sys.executable, str(SCRIPT), given],
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        )
        return started[-1]

    yield begin
    for process in started:
        process.kill()


def outcome(process):
    text, _ = process.communicate(timeout=LIMIT)
    lines = [line for line in text.splitlines() if line.startswith("outcome ")]
    assert process.returncode == 0 and lines, text[-5000:]
    return json.loads(lines[0].removeprefix("outcome ")), text


def wait_for_trials(directory, count, process):
    end = time.monotonic() + LIMIT
    while len(found := finished(directory)) < count:
        assert time.monotonic() < end and process.poll() is None, process.communicate()[0][-5000:]
        time.sleep(0.1)
    return found


def finished(directory):
    records = Store(directory).records().values()
    return {r.trial: r for r in records if r.status == "finished" and r.trial.isdigit()}


def test_a_lost_node_and_a_killed_driver_cost_no_trial(cluster, start, tmp_path):
    on_ray = {"ray": {"address": cluster.address}}
    driver = start(tmp_path / "far", **on_ray)
    before = wait_for_trials(tmp_path / "far", 1, driver)
    driver.kill()  # which takes the trials under way along
    driver.communicate()

    driver = start(tmp_path / "far", **on_ray)
    wait_for_trials(tmp_path / "far", len(before) + 1, driver)
    cluster.remove_node(cluster.second, allow_graceful=False)
    far, text = outcome(driver)
    assert {status for status, *_ in far.values()} == {"finished"}
    assert sorted(far) == [str(number) for number in range(OPTIONS["max_trials"])]
    assert {point["family"] for _, point, *_ in far.values()} >= {"mine", "classes", "bins"}
    after = finished(tmp_path / "far")
    assert all(after[trial] == record for trial, record in before.items())
    assert "trial 4" in text and "best" in text
    assert not list((tmp_path / "far").glob(".*"))  # nothing unfinished is left

    near, _ = outcome(start(tmp_path / "near"))
    for trial, (status, point, score, epochs) in near.items():
        assert far[trial][:2] == [status, point] and far[trial][3] == epochs
        assert far[trial][2] == pytest.approx(score, abs=1e-6)


@pytest.mark.parametrize("bad", [{"num_cpus": 0}, {"num_gpus": -1}, {"max_concurrent": 0}])
def test_numbers_out_of_range_are_refused(bad):
    with pytest.raises(ValueError, match=next(iter(bad))):
        mtl.search.RayExecutor(**bad)


def test_room_is_that_of_the_scarcest_share():
    class Nodes:
        def __init__(self, **shares):
            self.shares = shares

        def cluster_resources(self):
            return self.shares

    executor = mtl.search.RayExecutor(num_cpus=2, num_gpus=0.5)
    assert executor.room(Nodes(CPU=16.0, GPU=1.0)) == 2
    assert executor.room(Nodes(CPU=2.0, GPU=4.0)) == 1
    assert executor.room(Nodes(CPU=1.0)) == 1  # which waits for a node
    assert mtl.search.RayExecutor(max_concurrent=3).room(Nodes(CPU=2.0)) == 3  # which may grow


def test_a_trial_fits_on_one_node_not_on_two_halves():
    class Nodes:
        def nodes(self):
            return [
                {"Alive": True, "Resources": {"CPU": 2.0}},
                {"Alive": True, "Resources": {"CPU": 2.0, "GPU": 1.0, "a100": 1.0}},
                {"Alive": False, "Resources": {"CPU": 64.0, "GPU": 8.0}},
            ]

    fits = mtl.search.RayExecutor(num_cpus=2, num_gpus=1, options={"resources": {"a100": 1}})
    assert fits.fits(Nodes())
    assert not mtl.search.RayExecutor(num_cpus=4).fits(Nodes())
    assert not mtl.search.RayExecutor(num_gpus=2).fits(Nodes())
