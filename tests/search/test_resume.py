"""Searches that are killed and go on: nothing is lost, repeated or unreadable."""

import os
import warnings
from dataclasses import replace

import pytest
import small_searches as fakes

from mtlkit._files import read_json, write_json
from mtlkit.search import _records as records
from mtlkit.search._records import Store, TrialRecord

TUNERS = {
    "random": {"max_trials": 7},
    "bayesian": {"max_trials": 22},
    "grid": {"max_trials": 9, "settings": fakes.GRID_SETTINGS},
    "hyperband": {"max_trials": 16},
}


class Killed(BaseException):
    """As if the process ended here."""


def die_at(monkeypatch, write, half=False):
    """Kills the process at its nth write: before the file is in its place, or after it is."""
    count = 0
    replace = os.replace

    def replacing(source, target):
        nonlocal count
        if str(target).endswith("clock.json"):
            return replace(source, target)  # another thread writes it
        count += 1
        if count == write and half:
            raise Killed
        replace(source, target)
        if count == write:
            raise Killed

    monkeypatch.setattr(records.os, "replace", replacing)
    return lambda: count


@pytest.mark.parametrize("tuner", TUNERS)
def test_killed_at_every_write_the_outcome_is_the_same(tuner, tmp_path, monkeypatch):
    fakes.without_training(monkeypatch)
    options = {"tuner": tuner, **TUNERS[tuner]}
    with monkeypatch.context() as patched:
        written = die_at(patched, write=0)
        expected = fakes.outcome(fakes.search(tmp_path / "whole", **options))
        total = written()
    assert len(expected) == options["max_trials"]
    writes = range(1, total + 1)
    for write in list(writes)[total // 2 :: max(1, total // 3)]:
        for half in (True, False):
            directory = tmp_path / f"{write}-{half}"
            with monkeypatch.context() as patched, pytest.raises(Killed):
                die_at(patched, write, half)
                fakes.search(directory, **options)
            finished = {
                name: record
                for name, record in Store(directory).records().items()
                if record.status == "finished"
            }
            result = fakes.search(directory, **options)
            assert fakes.outcome(result) == expected
            for name, record in finished.items():  # not run again
                kept = result.reference if name == "reference" else result._records[name]
                assert replace(kept, seconds=0) == replace(record, seconds=0)


def test_a_clock_that_was_half_written_goes(tmp_path):
    store = Store(tmp_path)
    left = tmp_path / ".clock.json.x1y2z3"
    left.write_text("{")
    with store.timed():
        pass
    assert not left.exists() and (tmp_path / "clock.json").is_file()


def test_going_on_with_more_trials(tmp_path, monkeypatch):
    fakes.without_training(monkeypatch)
    expected = fakes.outcome(fakes.search(tmp_path / "whole", tuner="random", max_trials=8))
    fakes.search(tmp_path / "parts", tuner="random", max_trials=3)
    result = fakes.search(tmp_path / "parts", tuner="random", max_trials=8)
    assert fakes.outcome(result) == expected


def test_nothing_left_to_do(tmp_path, monkeypatch):
    fakes.without_training(monkeypatch)
    first = fakes.search(tmp_path, tuner="random", max_trials=3)
    monkeypatch.setattr("mtlkit.search._trials.Trials._fit", None)
    assert fakes.outcome(fakes.search(tmp_path, tuner="random", max_trials=3)) == fakes.outcome(
        first
    )


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[]"], ids=range(4))
@pytest.mark.parametrize("name", ["oracle.json", "trials/1.json", "clock.json", "search.json"])
def test_a_corrupt_file_is_moved_aside(name, content, tmp_path, monkeypatch):
    fakes.without_training(monkeypatch)
    expected = fakes.outcome(fakes.search(tmp_path, tuner="random", max_trials=4))
    (tmp_path / name).write_bytes(content)
    with pytest.warns(UserWarning, match="Expected a JSON object in .*corrupt"):
        result = fakes.search(tmp_path, tuner="random", max_trials=4)
    found = fakes.outcome(result)
    if name == "trials/1.json":  # the trial is known to be over: its record alone is lost
        expected.pop("1")
    assert found == expected
    assert (tmp_path / f"{name}.corrupt").read_bytes() == content


def test_another_search_in_the_folder(tmp_path, monkeypatch):
    fakes.without_training(monkeypatch)
    fakes.search(tmp_path, tuner="random", max_trials=2)
    with pytest.raises(ValueError, match=r"holds one with another seed; give a directory"):
        fakes.search(tmp_path, tuner="random", max_trials=2, seed=1)
    with pytest.raises(ValueError, match=r"another space, candidates, tuner"):
        fakes.search(tmp_path, tuner="bayesian", candidates=["classification"])


def test_a_file_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "a.json"
    write_json(path, {"a": 1})
    with pytest.raises(TypeError):
        write_json(path, {"a": object()})
    assert read_json(path) == {"a": 1} and os.listdir(tmp_path) == ["a.json"]
    assert read_json(tmp_path / "nothing.json") is None


def test_records_come_back(tmp_path):
    record = TrialRecord("3", "finished", "bins", {"a": [1, 2]}, 0.5, 1, curves={"loss": [1.0]})
    store = Store(tmp_path)
    store.save(record)
    store.save(TrialRecord("20", "failed"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = store.records()
    assert list(found) == ["3", "20"] and found["3"] == record
