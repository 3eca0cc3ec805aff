"""A trial in a process that shares no folder with the search."""

import math

import made_searches as made
import pytest
import small_searches as small

from mtlkit.search._data import SearchData
from mtlkit.search._interpreter import encode
from mtlkit.search._job import Job
from mtlkit.search._records import Store
from mtlkit.search._remote_trial import read_files, run_far_away, write_files
from mtlkit.search._running import make_trials, prepare


@pytest.mark.parametrize("frozen", [False, True])
def test_files_go_there_and_come_back(frozen, tmp_path):
    space = made.space()
    data = SearchData.of(small.data(), "orientation")
    job = Job(space, made.SETTINGS, "random", 1, frozen, ends=math.inf)
    values = encode(space.initial_points()[-1], space.space, space.target)
    given = (job.dumped(), data)

    store = Store(tmp_path / "far")
    before, lines = run_far_away(given, {})
    assert {"trials/reference.json", "trials/reference.npz", "baselines.json"} <= set(before)
    assert any(line.startswith("guard | epoch 1 of 3") for line in lines)
    write_files(store, before)
    files, _ = run_far_away(given, read_files(store), trial="0", values=values, worker="ray0")
    assert set(files) == {"trials/0.json", "trials/0.npz"}
    write_files(store, files)

    near = make_trials(job, data, tmp_path / "near", lambda line: None)
    prepare(near)
    own, far = near.run("0", values, "ray0"), store.records()["0"]
    assert far.status == own.status == "finished" and far.worker == "ray0"
    assert far.score == pytest.approx(own.score) and far.others == pytest.approx(own.others)
    assert run_far_away(given, read_files(store), trial="0", values=values)[0] == {}  # it is over


def test_time_that_is_up_leaves_an_interrupted_trial(tmp_path):
    space = made.space()
    data = SearchData.of(small.data(), "orientation")
    job = Job(space, made.SETTINGS, "random", 1, False, ends=math.inf)
    values = encode(space.initial_points()[-1], space.space, space.target)
    store = Store(tmp_path)
    files, _ = run_far_away((job.dumped(), data), {}, left=0.0, trial="0", values=values)
    write_files(store, files)
    assert store.records()["0"].status == "interrupted"
