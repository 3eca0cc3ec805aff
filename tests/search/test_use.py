"""How a search is used: its lines, Ctrl-C, several targets, and what is pasted."""

import json
import math
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import small_searches as small

import mtlkit as mtl
from mtlkit._durations import duration
from mtlkit.search._code import Schedule, code_of
from mtlkit.search._records import TrialRecord
from mtlkit.search._training import in_words
from mtlkit.search._trials import Trials


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (-1, "0 s"), (59.6, "1 min"), (125, "2 min 5 s"), (3725, "1 h 2 min")],
)
def test_durations(seconds, text):
    assert duration(seconds) == text


def test_lines_of_a_search(tmp_path, monkeypatch, capsys):
    small.eagerly(monkeypatch)
    result = small.search(tmp_path, tuner="random", max_trials=2, epochs=2, verbose=1)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == (f"searching the head for orientation; what is known is kept in {tmp_path}")
    assert lines[1].startswith("training the other tasks without orientation for 2 epochs")
    assert lines[2].startswith("guard | epoch 1 of 2 | ") and lines[2].endswith(" left")
    assert lines[3].startswith("guard | epoch 2 of 2 | 0 s left")
    trials = [line for line in lines if line.startswith("trial ")]
    assert len(trials) == 2 and all(line.endswith(" left") for line in trials)
    assert result.sentence in lines


class TestCtrlC:
    @pytest.fixture
    def stopped(self, monkeypatch):
        """Ctrl-C during the third trial."""
        small.without_training(monkeypatch)
        invented = Trials._fit
        trials = []

        def fit(self, record, point, *rest):
            trials.append(point)
            if len([one for one in trials if one is not None]) == 3:
                raise KeyboardInterrupt
            invented(self, record, point, *rest)

        monkeypatch.setattr(Trials, "_fit", fit)

    def test_keeps_and_says_so(self, stopped, tmp_path, capsys):
        result = small.search(tmp_path, tuner="random", max_trials=5, verbose=1)
        assert result.interrupted
        assert "interrupted: 2 trials kept; call again with the same arguments to go on" in (
            capsys.readouterr().out.splitlines()
        )
        assert result.best_trial.score == max(r.score for r in result.trials if r.ranked)
        again = small.search(tmp_path, tuner="random", max_trials=5)
        assert not again.interrupted and len([r for r in again.trials if r.ranked]) == 5

    def test_ends_a_search_of_several_targets(self, stopped, tmp_path):
        found = small.search(tmp_path, ["orientation", "identity"], tuner="random", max_trials=5)
        assert list(found) == ["orientation"] and found["orientation"].interrupted


def test_several_targets_one_after_the_other(tmp_path, monkeypatch):
    small.without_training(monkeypatch)
    given = []
    init = mtl.search.HeadSpace.__init__

    def noted(self, backbone, tasks, *rest, **options):
        given.append({task.name: task.head.get_config() for task in tasks})
        init(self, backbone, tasks, *rest, **options)

    monkeypatch.setattr(mtl.search.HeadSpace, "__init__", noted)
    monkeypatch.setattr(small, "CANDIDATES", ["classification"])
    found = small.search(tmp_path, ["orientation", "identity"], tuner="random", max_trials=2)
    assert list(found) == ["orientation", "identity"]
    assert [one.directory.name for one in found.values()] == ["orientation", "identity"]
    best = found["orientation"].best_config["task"]["config"]["head"]["config"]
    assert given[-1]["orientation"]["hidden_units"] == best["hidden_units"]
    assert "num_classes" in given[-1]["orientation"]  # the head that was found, not the given one
    # A longer search of the first does not change what the second began with.
    small.search(tmp_path, ["orientation", "identity"], tuner="random", max_trials=6)
    again = given[-1]["orientation"]
    assert again["hidden_units"] == best["hidden_units"] and again["pooling"] == best["pooling"]


def test_what_is_wrong_with_a_later_target_is_said_first(tmp_path, monkeypatch):
    small.without_training(monkeypatch)
    with pytest.raises(ValueError):
        small.search(tmp_path, ["orientation", "identiy"], tuner="random", max_trials=1)
    assert not (tmp_path / "orientation").exists()


def test_other_heads_of_other_tasks_are_another_search(tmp_path, monkeypatch):
    small.without_training(monkeypatch)
    options = {"tuner": "random", "max_trials": 1}
    small.search(tmp_path, **options)
    given = small.tasks()
    given[0] = mtl.Task("identity", mtl.heads.ClassificationHead(3, hidden_units=2))
    monkeypatch.setattr(small, "tasks", lambda: given)
    with pytest.raises(ValueError, match="another set of other tasks"):
        small.search(tmp_path, **options)


class TestCode:
    def test_is_the_model_of_the_trial(self, tmp_path, monkeypatch):
        small.without_training(monkeypatch)
        result = small.search(tmp_path, tuner="random", max_trials=3)
        for trial in result.trials:
            code = result.code(trial.trial)
            expected = result._space.build(trial.point).tasks["orientation"]
            names = {
                "model": mtl.MultiTaskModel(small.backbone(), small.tasks()),
                "mtl": mtl,
                "keras": keras,
            }
            exec(code, names)
            found = names["model"].tasks["orientation"]
            own, other = found.head.get_config(), expected.head.get_config()
            assert {**own, "name": ""} == {**other, "name": ""}
            assert (found.feature, found.gradient, found.weight) == ("stage2", "flow", 1.0)
        assert code.count("\n") == 1

    def test_of_a_task_that_changes(self):
        head = mtl.heads.ClassificationHead(3)
        task = mtl.Task("kind", head, weight=0.5, gradient="stop", condition_on="place")
        schedule = Schedule(0.00123456, 3, 16, 100)
        code = code_of(task, {"num_classes": np.int64(3), "dropout": 0.25}, schedule)
        assert code.splitlines() == [
            'model = model.with_head("kind", mtl.heads.ClassificationHead(num_classes=3, '
            'dropout=0.25), gradient="stop", weight=0.5, condition_on="place")',
            "model.compile(keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(0.00123, "
            "21)))  # 21 steps: model.fit(x, y, epochs=3, batch_size=16)",
        ]

    def test_says_what_differs_from_the_given_task(self):
        given = mtl.Task("kind", mtl.heads.ClassificationHead(3), weight=3.0, feature="stage1")
        task = mtl.Task("kind", mtl.heads.ClassificationHead(3), feature="stage1")
        code = code_of(task, {"num_classes": 3}, Schedule(0.001, 3, 16, 100), given)
        assert "ClassificationHead(num_classes=3), weight=1)" in code

    def test_of_objects_that_no_line_makes(self):
        tree = {"a": ["a0", "a1"], "b": ["b0", "b1"]}
        task = mtl.Task("kind", mtl.heads.HierarchicalHead(tree))
        code = code_of(task, {"hierarchy": task.head.hierarchy}, Schedule(0.001, 3, 16, 100))
        lines = 'task = keras.saving.deserialize_keras_object(result.best_config["task"])'
        assert code.startswith(lines) and 'model.with_head("kind", task.head' in code


def test_everything_as_json(tmp_path, monkeypatch):
    small.without_training(monkeypatch)
    result = small.search(tmp_path, tuner="random", max_trials=2)
    found = json.loads(result.to_json())
    assert found["sentence"] == result.sentence and found["code"] == result.code()
    assert len(found["leaderboard"]) == 3
    task = keras.saving.deserialize_keras_object(found["best_config"]["task"])
    assert task.name == "orientation"


class ResourceExhaustedError(Exception):
    pass


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (MemoryError("12 GB"), "out of memory: try a smaller batch_size, or max_parameters"),
        (
            ResourceExhaustedError("OOM when allocating"),
            "out of memory: try a smaller batch_size, or max_parameters",
        ),
        (ValueError("Expected bins. Received: none"), "Expected bins. Received: none"),
        (RuntimeError("it broke"), "RuntimeError: it broke"),
        (RuntimeError(), "RuntimeError"),
    ],
)
def test_words_for_exceptions(error, words):
    assert in_words(error) == words


def test_a_family_has_one_colour_in_all_plots():
    from mtlkit.reports.search_plots import plot_costs, plot_curves

    rows = [
        {"family": name, "score": score, "parameters": 10, "step_ms": 1.0, "sacrificed": []}
        for name, score in (("a", None), ("b", 0.5), ("c", 0.6))
    ]
    families = {str(number): row["family"] for number, row in enumerate(rows)}
    curves = plot_curves({"1": [0.1, 0.5], "2": [0.2, 0.6]}, families)
    costs = plot_costs(rows)
    lines = [line.get_color() for line in curves.get_lines()]
    marks = [one.get_markeredgecolor() for one in costs.get_lines() if one.get_marker() != "None"]
    assert lines == marks[: len(lines)] and len(np.unique(lines)) == 2


def test_time_left_counts_trials_at_once():
    """Two workers, ten seconds a trial, four trials to go."""
    records = {
        str(n): TrialRecord(str(n), "finished", seconds=10.0, worker=f"worker{n % 2}")
        for n in range(4)
    }
    store = SimpleNamespace(records=lambda: records)
    trials = SimpleNamespace(deadline=math.inf, max_trials=8, store=store)
    assert Trials._left(trials) == 20.0
