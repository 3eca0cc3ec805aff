"""search_heads as users call it: real trials, failures, the guard, time and frozen backbones."""

import dataclasses
import sys
import time

import keras
import numpy as np
import pytest
import small_searches as small
from keras import ops

import mtlkit as mtl
from mtlkit.heads import ClassificationHead
from mtlkit.search._data import SearchData
from mtlkit.search._frozen import FrozenFeatures, connected
from mtlkit.search._head_space import HeadSpace
from mtlkit.search._records import Store
from mtlkit.search._training import Watch, train
from mtlkit.search._trials import REFERENCE


@pytest.fixture(scope="module", autouse=True)
def eager():
    with pytest.MonkeyPatch.context() as patched:
        small.eagerly(patched)
        yield


CLASSES = {"num_classes": small.NUM_BINS}


@keras.saving.register_keras_serializable(package="tests")
class RaisingHead(ClassificationHead):
    """Cannot be trained."""

    def call(self, inputs, training=False):
        if training:
            raise RuntimeError("this head always raises")
        return super().call(inputs)


@keras.saving.register_keras_serializable(package="tests")
class NaNHead(ClassificationHead):
    """Has no finite loss."""

    def call(self, inputs):
        return super().call(inputs) * float("nan")


@keras.saving.register_keras_serializable(package="tests")
class UnbuildableHead(ClassificationHead):
    """Cannot be built."""

    def build(self, input_shape):
        raise ValueError("this head cannot be built")


@keras.saving.register_keras_serializable(package="tests")
class HungryHead(ClassificationHead):
    """Needs more memory than Python has."""

    def call(self, inputs, training=False):
        if training:
            raise MemoryError
        return super().call(inputs)


class ResourceExhaustedError(Exception):
    """What backends call it."""


@keras.saving.register_keras_serializable(package="tests")
class ExhaustingHead(ClassificationHead):
    """Needs more memory than the device has."""

    def call(self, inputs, training=False):
        if training:
            raise out_of_memory()
        return super().call(inputs)


def out_of_memory():
    """The error of the backend where it can be made by hand."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.errors.ResourceExhaustedError(None, None, "OOM when allocating")
    return ResourceExhaustedError("OOM when allocating")


@pytest.mark.every_backend
class TestFailures:
    @pytest.fixture(scope="class")
    @classmethod
    def result(cls, tmp_path_factory):
        bad = [
            mtl.search.Candidate(kind.__name__, kind, {**CLASSES, "pooling": "average"})
            for kind in (RaisingHead, NaNHead, HungryHead, ExhaustingHead, UnbuildableHead)
        ]
        large = mtl.search.Candidate(
            "large", ClassificationHead, {**CLASSES, "hidden_units": 5000, "pooling": "average"}
        )
        return small.search(
            tmp_path_factory.mktemp("failures"),
            candidates=[*bad, large, *small.CANDIDATES],
            tuner="random",
            max_trials=6,
            epochs=2,
            max_parameters=2000,
        )

    def test_the_search_ends_and_finds_the_best_of_the_rest(self, result):
        assert result.best_trial.family in ("classes", "bins")
        finished = [r for r in result.trials if r.ranked]
        assert len(finished) == 2
        assert result.best_trial.score == max(r.score for r in finished)

    def test_each_failure_is_reported(self, result):
        told = {r.family: (r.status, r.message) for r in result.trials if not r.ranked}
        assert told["RaisingHead"][0] == "failed" and "always raises" in told["RaisingHead"][1]
        assert told["NaNHead"][0] == "failed" and "is nan" in told["NaNHead"][1]
        assert told["HungryHead"] == told["ExhaustingHead"]
        assert told["HungryHead"][1].startswith("out of memory: try a smaller batch_size")
        assert told["UnbuildableHead"][0] == "rejected"
        assert "cannot be built" in told["UnbuildableHead"][1]
        assert told["large"] == ("rejected", told["large"][1])
        assert "more than 2,000" in told["large"][1]

    def test_the_best_model_has_the_best_weights(self, result):
        _, (x_val, y_val) = small.data()
        scores = result.best_model().evaluate(x_val, y_val, return_dict=True, verbose=0)
        assert scores["orientation_accuracy"] == pytest.approx(result.best_trial.score, abs=1e-6)

    def test_the_reference_lacks_the_target(self, result):
        assert "val_identity_accuracy" in result.reference.curves
        assert not [name for name in result.reference.curves if "orientation" in name]


def test_all_fail(tmp_path):
    candidates = [mtl.search.Candidate("nan", NaNHead, {**CLASSES, "pooling": "average"})]
    result = small.search(tmp_path, candidates=candidates, tuner="random", max_trials=4, epochs=1)
    assert {r.status for r in result.trials} == {"failed"} and len(result.trials) == 4
    with pytest.raises(ValueError, match=r"Expected a trial with a score.*is nan"):
        _ = result.best_trial


def test_time_is_up(tmp_path, monkeypatch, capsys):
    """The epoch that is under way is finished; its trial is tried again later."""
    small.search(tmp_path, tuner="random", max_trials=1, epochs=2)
    epoch_end = mtl.search._training.Watch._time_steps
    monkeypatch.setattr(
        mtl.search._training.Watch,
        "_time_steps",
        lambda self: (time.sleep(0.2), epoch_end(self), setattr(self, "deadline", 0.0)),
    )
    cut = small.search(tmp_path, tuner="random", max_trials=2, epochs=2, time_budget=1e4, verbose=1)
    assert [r.status for r in cut.trials] == ["finished", "interrupted"]
    assert cut.trials[1].epochs == 1
    assert "time is up" in capsys.readouterr().out
    monkeypatch.undo()
    spent = small.search(tmp_path, tuner="random", max_trials=2, epochs=2, time_budget=0.1)
    assert [r.status for r in spent.trials] == ["finished", "interrupted"]
    whole = small.search(tmp_path, tuner="random", max_trials=2, epochs=2)
    assert [r.status for r in whole.trials] == ["finished", "finished"]
    assert Store(tmp_path).seconds_used() > 0.2


def assert_same_head(one, other, task):
    weights = [model.tasks[task].head.get_weights() for model in (one, other)]
    for first, second in zip(*weights, strict=True):
        np.testing.assert_array_equal(first, second)


class TestFrozen:
    @pytest.fixture(scope="class")
    @classmethod
    def searched(cls, tmp_path_factory):
        backbone = small.backbone()
        result = mtl.search.search_heads(
            backbone,
            small.tasks(),
            "orientation",
            small.data(),
            candidates=[*small.CANDIDATES, mtl.heads.OrientationHead(8, spatial="orbit", name="o")],
            settings=small.SETTINGS,
            tuner="random",
            max_trials=3,
            epochs=2,
            batch_size=8,
            freeze_backbone=True,
            directory=tmp_path_factory.mktemp("frozen"),
            verbose=0,
        )
        return backbone, result

    def test_features_are_kept(self, searched):
        _, result = searched
        kept = {path.name for path in (result.directory / "features").iterdir()}
        # identity reads the last map, and the orbit the map of each quarter turn.
        names = ("cached_stage2", "cached_last_map", "turned_stage2")
        assert kept == {f"{split}@{name}.npy" for split in ("x", "x_val") for name in names}

    def test_every_trial_is_finished(self, searched):
        _, result = searched
        assert {(r.family, r.status) for r in result.trials} == {
            ("classes", "finished"),
            ("bins", "finished"),
            ("o", "finished"),
        }

    def test_scores_are_those_of_a_model_with_the_backbone(self, searched):
        """The same trial, trained on images with the backbone frozen."""
        _, result = searched
        for record in result.trials:
            point = result._space.parsed(record.point)
            model = result._space.build(point)
            model.freeze_backbone()
            images = small.data()[0][0]
            frozen = FrozenFeatures(result._space, result._data, result.directory / "features")
            trained, data = frozen.model(point)
            for name in model.tasks:  # equal to begin with
                assert_same_head(model, trained, name)
            whole, cached = (
                m.predict(x, verbose=0)["orientation"]
                for m, x in ((model, images), (trained, data.x))
            )
            np.testing.assert_allclose(whole, cached, rtol=1e-4, atol=1e-5)

    def test_trained_scores_are_those_of_a_model_with_the_backbone(self, searched):
        """All tasks on images, the backbone frozen: the same scores after the same epochs."""
        _, result = searched
        for record in result.trials:
            point = result._space.parsed(record.point)
            model = result._space.build(point)
            model.freeze_backbone()
            watch = Watch(result.metric, result.direction)
            train(
                model,
                result._data,
                watch,
                learning_rate=result._space.learning_rate(point),
                batch_size=8,
                epochs=2,
                seed=result._space.seed_of(point),
            )
            expected = record.curves["val_orientation_loss"]
            np.testing.assert_allclose(watch.curves["val_orientation_loss"], expected, rtol=1e-3)

    def test_other_tasks_are_trained_once(self, searched):
        """Without the target; the best model has what they learned there."""
        _, result = searched
        _, (x_val, y_val) = small.data()
        for record in result.trials:
            assert "val_identity_accuracy" not in record.curves
            assert record.others == result.reference_scores and not record.sacrificed
        scores = result.best_model().evaluate(x_val, y_val, return_dict=True, verbose=0)
        kept = result.reference.best_epoch
        expected = result.reference.curves["val_identity_accuracy"][kept]
        assert scores["identity_accuracy"] == pytest.approx(expected, abs=1e-6)

    def test_tasks_that_depend_on_the_head_are_trained_with_it(self):
        names = {"a": None, "b": "a", "c": "b", "d": None, "e": "d"}
        tasks = [
            mtl.Task(name, mtl.heads.RegressionHead(), condition_on=other)
            for name, other in names.items()
        ]
        for target, expected in (("a", "abc"), ("b", "abc"), ("c", "abc"), ("e", "de")):
            assert "".join(task.name for task in connected(tasks, target)) == expected

    def test_a_task_that_is_conditioned_on_the_target(self, tmp_path):
        """Without the target it has no conditioning; the best model has that of the trial."""
        tasks = [
            mtl.Task("orientation", mtl.heads.OrientationHead(8, spatial="pool")),
            mtl.Task("identity", ClassificationHead(10), condition_on="orientation"),
            mtl.Task("intensity", mtl.heads.RegressionHead()),
        ]
        space = HeadSpace(small.backbone(), tasks, "orientation")
        data = SearchData.of(small.data(), "orientation")
        frozen = FrozenFeatures(space, data, tmp_path)
        point = space.initial_points()[0]
        (reference, _), (trial, _) = frozen.trial(None), frozen.trial(point)
        assert list(reference.tasks) == ["identity", "intensity"]
        assert list(trial.tasks) == ["orientation", "identity"]
        whole = frozen.whole(point, reference, trial)
        for name, other in (("intensity", reference), ("identity", trial)):
            assert_same_head(whole, other, name)

    def test_best_model_reads_images_and_keeps_the_backbone(self, searched):
        backbone, result = searched
        _, (x_val, y_val) = small.data()
        model = result.best_model()
        scores = model.evaluate(x_val, y_val, return_dict=True, verbose=0)
        assert scores["orientation_accuracy"] == pytest.approx(result.best_trial.score, abs=1e-6)
        for one, other in zip(model.backbone.weights, backbone.weights, strict=True):
            np.testing.assert_array_equal(ops.convert_to_numpy(one), ops.convert_to_numpy(other))


@pytest.mark.every_backend
def test_equal_searches_have_equal_scores(tmp_path):
    options = {"tuner": "random", "max_trials": 2, "epochs": 2, "seed": 3}
    first, second = (small.search(tmp_path / str(n), **options) for n in range(2))
    assert small.outcome(first) == small.outcome(second)
    assert first.reference.curves == second.reference.curves


def test_a_search_goes_on_with_the_backbone_that_it_began_with(tmp_path, capsys):
    """A script that is run again draws other weights: the outcome must not depend on that."""
    options = {"tuner": "random", "epochs": 1}
    expected = small.search(tmp_path / "whole", max_trials=2, **options)
    small.search(tmp_path / "parts", max_trials=1, **options)
    assert "began with" not in capsys.readouterr().out
    resumed = small.search(tmp_path / "parts", max_trials=2, backbone_seed=9, verbose=1, **options)
    assert small.outcome(resumed) == small.outcome(expected)
    assert "backbone with the weights that this search began with" in capsys.readouterr().out


def test_a_trial_builds_its_model_once(tmp_path, monkeypatch):
    """And once before it, to know whether it can be one."""
    built = []
    build = mtl.search.HeadSpace.build

    def counted(self, point, run=0):
        built.append(point is not None)
        return build(self, point, run)

    monkeypatch.setattr(mtl.search.HeadSpace, "build", counted)
    result = small.search(tmp_path, tuner="random", max_trials=1, epochs=1)
    # The first is the guard's, whose backbone the baselines read.
    assert built == [False, False, True, True]
    [trial] = result.trials
    head = result.best_model().tasks["orientation"].head
    assert trial.parameters == head.count_params()


def test_too_large_a_head_that_a_tuner_insists_on(tmp_path, monkeypatch):
    """The Bayesian and the grid tuner do not ask before a point becomes a trial."""
    monkeypatch.setattr(mtl.search._trials.Trials, "rejects", lambda self, values: False)
    result = small.search(tmp_path, tuner="random", max_trials=2, epochs=1, max_parameters=5)
    assert {r.status for r in result.trials} == {"rejected"} and len(result.trials) == 2
    assert all("more than 5" in r.message for r in result.trials)


def test_the_score_is_the_heads_own_metric(tmp_path, monkeypatch):
    """Whatever loss and metrics the target was given."""
    small.without_training(monkeypatch)
    given = [dataclasses.replace(task, metrics=["mse"]) for task in small.tasks()]
    monkeypatch.setattr(small, "tasks", lambda: given)
    result = small.search(tmp_path, tuner="random", max_trials=1)
    assert (result.metric, result.direction) == ("val_orientation_accuracy", "max")
    assert result.trials[0].status == "finished"


def test_the_guard_ranks_below(tmp_path, monkeypatch):
    """A trial that costs another task more than the tolerance is marked, and last."""
    small.without_training(monkeypatch)
    invented = mtl.search._trials.Trials._fit

    def fit(self, record, point, *rest):
        invented(self, record, point, *rest)
        worse = point is not None and record.family == "bins"
        record.curves["val_identity_accuracy"] = [0.1 if worse else 0.9]

    monkeypatch.setattr(mtl.search._trials.Trials, "_fit", fit)
    result = small.search(tmp_path, tuner="random", max_trials=8)
    rows = [row for row in result.leaderboard if row["rank"]]
    marked = [row["status"] == "sacrifices identity" for row in rows]
    assert marked == [row["point"]["family"] == "bins" for row in rows]
    assert any(marked) and marked == sorted(marked)
    assert result.best_trial.family == "classes"
    assert REFERENCE not in [row["trial"] for row in rows]


class TestBadInput:
    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"tuner": "genetic"}, r"tuner to be one of.*'genetic'"),
            ({"candidates": ["regression"]}, r"families that fit the task.*'regression'"),
            ({"candidates": small.CANDIDATES * 2}, r"different names.*'bins', 'classes'"),
            ({"settings": {"speed": 1}}, r"settings out of.*'speed'"),
            ({"settings": {"feature": "stage9"}, "max_trials": 1}, r"stage9"),
            ({"time_budget": -1}, r"time_budget: seconds above 0.*-1"),
            ({"batch_size": 0}, r"batch_size >= 1.*batch_size=0"),
        ],
        ids=range(7),
    )
    def test_arguments(self, changes, message, tmp_path):
        with pytest.raises(ValueError, match=message):
            small.search(tmp_path, **changes)

    @pytest.mark.parametrize(
        ("samples", "options", "epochs"),
        [
            (64 * 100, {}, 9),  # enough steps
            (64 * 30, {}, 20),  # 600 steps
            (64 * 30, {"batch_size": 32}, 10),
            (64 * 30, {"epochs": 4}, 4),
            (10, {}, 90),  # not more than ten times as many
            (64 * 30, {"freeze_backbone": True}, 27),
            (64 * 6, {"freeze_backbone": True}, 100),
        ],
    )
    def test_epochs_where_samples_are_few(self, samples, options, epochs, tmp_path, monkeypatch):
        monkeypatch.setattr(sys.modules["mtlkit.search.search_heads"], "run_alone", lambda *_: None)
        monkeypatch.setattr(SearchData, "samples", samples)
        assert small.search(tmp_path, **{"epochs": None, **options}).setup["epochs"] == epochs

    def test_target(self, tmp_path):
        with pytest.raises(ValueError, match=r"target to be one of.*'turn'"):
            mtl.search.search_heads(
                small.backbone(), small.tasks(), "turn", small.data(), directory=tmp_path
            )

    @pytest.mark.parametrize("data", [None, (1, 2), 3], ids=range(3))
    def test_data(self, data, tmp_path):
        with pytest.raises(ValueError, match="MultiTaskData, or arrays as"):
            mtl.search.search_heads(
                small.backbone(), small.tasks(), "orientation", data, directory=tmp_path
            )

    def test_inputs_without_a_number(self, tmp_path):
        (x, y), held_out = small.data()
        x = np.copy(x)
        x[3, 0, 0] = np.nan
        with pytest.raises(ValueError, match=r"finite numbers in the training data.*sample 3"):
            mtl.search.search_heads(
                small.backbone(),
                small.tasks(),
                "orientation",
                ((x, y), held_out),
                directory=tmp_path,
            )

    def test_labels(self, tmp_path):
        (x, y), (x_val, y_val) = small.data()
        y.pop("orientation")
        with pytest.raises(ValueError, match=r"Task 'orientation': expected training labels"):
            mtl.search.search_heads(
                small.backbone(),
                small.tasks(),
                "orientation",
                ((x, y), (x_val, y_val)),
                directory=tmp_path,
            )
