"""TaskEarlyStopping: training that ends by the tasks' own scores."""

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mtlkit as mtl
from mtlkit.callbacks import TaskEarlyStopping
from mtlkit.callbacks._progress import progress_of, skills_of, sum_of_skills

RNG = np.random.default_rng(0)
X = RNG.normal(size=(96, 4)).astype("float32")
#: "noise" can only be learnt by heart; "size" goes on improving.
Y = {"noise": RNG.integers(3, size=96), "size": X[:, 0] + 2 * X[:, 1]}
PART, HELD = slice(0, 48), slice(48, 96)


def build(conditioned=False):
    keras.utils.set_random_seed(3)
    backbone = keras.Sequential([keras.Input((4,)), keras.layers.Dense(16, activation="relu")])
    sees = {"condition_on": "size"} if conditioned else {}
    tasks = [
        mtl.Task("noise", mtl.heads.ClassificationHead(3), weight=0.7, **sees),
        mtl.Task("size", mtl.heads.RegressionHead(hidden_units=8)),
    ]
    model = mtl.MultiTaskModel(backbone, tasks)
    model.compile(keras.optimizers.Adam(0.002))
    return model


def part_of(rows):
    return X[rows], {name: labels[rows] for name, labels in Y.items()}


def fit(model, callbacks, epochs=14):
    x, y = part_of(PART)
    options = {"batch_size": 16, "shuffle": False, "verbose": 0}
    held = part_of(HELD)
    return model.fit(x, y, epochs=epochs, validation_data=held, callbacks=callbacks, **options)


def numpy(weights):
    return [np.array(keras.ops.convert_to_numpy(w)) for w in weights]


class Watch(keras.callbacks.Callback):
    """Keeps the weights of a head after each epoch, as they are judged."""

    def __init__(self, task):
        super().__init__()
        self.task, self.heads = task, []

    def on_test_end(self, logs=None):
        self.heads.append(numpy(self.model.tasks[self.task].head.weights))


SCORES = st.lists(st.integers(0, 6).map(lambda n: n / 6), min_size=1, max_size=12)


class TestProgress:
    @given(scores=SCORES, patience=st.integers(1, 4), mode=st.sampled_from(["min", "max"]))
    def test_one_task_is_keras_early_stopping(self, scores, patience, mode):
        stopping = keras.callbacks.EarlyStopping("score", mode=mode, patience=patience)
        stopping.set_model(keras.Sequential([keras.layers.Dense(1)]))
        stopping.model.stop_training = False
        stopping.on_train_begin()
        stopped = None
        for epoch, score in enumerate(scores):
            stopping.on_epoch_end(epoch, {"score": score})
            if stopping.model.stop_training and stopped is None:
                stopped = epoch
                break
        found = progress_of(
            [{"a": score} for score in scores], {"a": mode}, patience, 0.0, sum_of_skills
        )
        assert found.ended.get("a") == stopped
        assert found.best_epoch["a"] == stopping.best_epoch

    def test_min_delta(self):
        epochs = [{"a": score} for score in (0.5, 0.55, 0.61, 0.65)]
        found = progress_of(epochs, {"a": "max"}, 9, 0.1, sum_of_skills)
        assert (found.best_epoch["a"], found.waited["a"]) == (2, 1)

    def test_epochs_without_labels_say_nothing(self):
        epochs = [{"a": score} for score in (0.5, np.nan, np.nan, np.nan, 0.4)]
        found = progress_of(epochs, {"a": "max"}, 2, 0.0, sum_of_skills)
        assert found.waited["a"] == 1 and not found.ended

    def test_a_task_may_go_on_unless_it_has_ended_for_good(self):
        epochs = [{"a": score} for score in (0.5, 0.4, 0.4, 0.9)]
        found = progress_of(epochs, {"a": "max"}, 2, 0.0, sum_of_skills)
        assert not found.ended and found.best_epoch == {"a": 3}
        found = progress_of(epochs, {"a": "max"}, 2, 0.0, sum_of_skills, for_good=True)
        assert found.ended == {"a": 2} and found.best_epoch == {"a": 0}

    def test_skills(self):
        epochs = [{"a": 0.2, "b": 4.0}, {"a": 0.6, "b": 1.0}]
        assert skills_of(epochs, {"a": "max", "b": "min"}) == {"a": pytest.approx(0.5), "b": 0.75}

    def test_scores_that_are_not_finite(self):
        epochs = [{"a": score} for score in (np.inf, 2.0, 1.0)]
        found = progress_of(epochs, {"a": "min"}, 9, 0.0, sum_of_skills)
        assert (found.best_epoch["a"], found.objective_epoch) == (2, 2)

    def test_the_objective(self):
        epochs = [{"a": 0.0, "b": 0.0}, {"a": 0.6, "b": 0.0}, {"a": 0.2, "b": 0.3}]
        ways = {"a": "max", "b": "max"}
        assert progress_of(epochs, ways, 9, 0.0, sum_of_skills).objective_epoch == 1
        assert progress_of(epochs, ways, 9, 0.0, lambda s: min(s.values())).objective_epoch == 2


class TestStop:
    def test_the_model_has_the_weights_of_the_best_objective(self):
        model, watch = build(), Watch("size")
        stopping = TaskEarlyStopping(patience=3)
        history = fit(model, [stopping, watch]).history
        best = stopping.progress.objective_epoch
        assert len(history["loss"]) < 14 or not set(stopping.progress.ended) >= set(Y)
        for found, wanted in zip(
            numpy(model.tasks["size"].head.weights), watch.heads[best], strict=True
        ):
            np.testing.assert_array_equal(found, wanted)
        scores = model.evaluate(*part_of(HELD), verbose=0, return_dict=True)
        for log in ("size_mae", "noise_accuracy", "size_loss"):
            assert scores[log] == pytest.approx(history[f"val_{log}"][best], rel=1e-4)

    def test_the_best_epoch_of_each_task_can_be_had(self):
        model = build()
        stopping = TaskEarlyStopping(patience=3)
        history = fit(model, [stopping]).history
        for task in Y:
            stopping.restore(task)
            scores = model.evaluate(*part_of(HELD), verbose=0, return_dict=True)
            log, choose = {"noise": ("noise_accuracy", max), "size": ("size_mae", min)}[task]
            assert scores[log] == pytest.approx(choose(history[f"val_{log}"]), rel=1e-4)
        with pytest.raises(ValueError, match=r"task with a score.*Received: 'age'"):
            stopping.restore("age")

    def test_only_the_followed_task_counts(self):
        model = build()
        stopping = TaskEarlyStopping(patience=2, tasks=["noise"], restore_best_weights=False)
        history = fit(model, [stopping]).history
        scores = np.array(history["val_noise_accuracy"])
        waited = next(e for e in range(len(scores)) if e - scores[: e + 1].argmax() >= 2)
        assert len(scores) == waited + 1
        assert list(stopping.progress.ended) == ["noise"]


def test_epochs_are_those_of_fit():
    stopping = TaskEarlyStopping(patience=9)
    x, y = part_of(PART)
    options = {"validation_data": part_of(HELD), "callbacks": [stopping], "verbose": 0}
    build().fit(x, y, initial_epoch=5, epochs=7, **options)
    assert set(stopping.progress.best_epoch.values()) <= {5, 6}
    assert stopping.progress.objective_epoch in (5, 6)


class TestFreeze:
    @pytest.mark.parametrize("conditioned", [False, True])
    def test_a_task_that_ends_keeps_its_best_head_and_is_silent(self, conditioned):
        model, watch = build(conditioned), Watch("noise")
        stopping = TaskEarlyStopping(2, action="freeze")
        fit(model, [watch, stopping])
        best, ended = stopping.progress.best_epoch["noise"], stopping.progress.ended["noise"]
        assert ended + 1 < len(watch.heads)  # it goes on for the other task
        for heads in watch.heads[ended + 1 :]:
            for found, wanted in zip(heads, watch.heads[best], strict=True):
                np.testing.assert_array_equal(found, wanted)
        assert float(model.task_weights["noise"]) == pytest.approx(0.7)

    def test_the_backbone_no_longer_feels_it(self):
        """After the end of "noise", the other task trains as in a model without it."""

        class Silent(keras.callbacks.Callback):
            weights = ()

            def on_epoch_begin(self, epoch, logs=None):
                self.weights = (*self.weights, float(self.model.task_weights["noise"]))

        model, silent = build(), Silent()
        stopping = TaskEarlyStopping(2, action="freeze")
        fit(model, [silent, stopping])
        ended = stopping.progress.ended["noise"]
        assert silent.weights[: ended + 1] == pytest.approx((0.7,) * (ended + 1))
        assert set(silent.weights[ended + 1 :]) == {0.0}


@pytest.mark.parametrize("action", ["stop", "freeze"])
def test_killed_and_started_again(action, tmp_path):
    class Killed(Exception):
        """Stands for whatever ends a process."""

    class Kill(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 3:
                raise Killed

    def callbacks(name):
        stopping = TaskEarlyStopping(2, action=action, directory=tmp_path / name / "stopping")
        backup = keras.callbacks.BackupAndRestore(tmp_path / name / "backup")
        return stopping, backup

    def compiled():
        model = build()
        model.compile(keras.optimizers.SGD(0.02))  # without a state of its own
        return model

    straight, whole = compiled(), callbacks("straight")
    fit(straight, list(whole), epochs=9)
    with pytest.raises(Killed):
        fit(compiled(), [*callbacks("killed"), Kill()], epochs=9)
    # As if it had been killed before the last epoch was backed up: its weights are not the best.
    again, resumed = compiled(), callbacks("killed")
    fit(again, list(resumed), epochs=9)
    assert resumed[0].progress == whole[0].progress
    for found, wanted in zip(numpy(again.weights), numpy(straight.weights), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)


class TestErrors:
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"patience": 0}, "patience >= 1"),
            ({"action": "pause"}, "Received: action='pause'"),
            ({"min_delta": -1.0}, "min_delta >= 0"),
            ({"tasks": "size"}, "as a list of names"),
            ({"tasks": []}, "as a list of names"),
        ],
    )
    def test_arguments(self, arguments, message):
        with pytest.raises(ValueError, match=message):
            TaskEarlyStopping(**arguments)

    def test_tasks_of_another_model(self):
        with pytest.raises(ValueError, match=r"\['noise', 'size'\].*Received: \['age'\]"):
            fit(build(), [TaskEarlyStopping(tasks=["age"])])

    def test_no_validation_data(self):
        model = build()
        with pytest.raises(ValueError, match=r"Expected validation_data.*Received: neither"):
            model.fit(*part_of(PART), callbacks=[TaskEarlyStopping()], verbose=0)
        assert model.optimizer.iterations == 0

    def test_epochs_without_a_score(self):
        model = build()
        options = {"validation_data": part_of(HELD), "validation_freq": 2, "verbose": 0}
        with pytest.raises(ValueError, match=r"Expected validation_freq=1.*Received: .*=2"):
            model.fit(*part_of(PART), callbacks=[TaskEarlyStopping()], **options)

    def test_a_task_without_validation_labels(self):
        x, y = part_of(HELD)
        held = x, {"size": y["size"]}
        with pytest.raises(
            ValueError, match=r"Task 'noise'.*TaskEarlyStopping\(tasks=\['size'\]\)"
        ):
            build().fit(
                *part_of(PART), validation_data=held, callbacks=[TaskEarlyStopping()], verbose=0
            )

    def test_a_folder_that_lacks_epochs(self, tmp_path):
        fit(build(), [TaskEarlyStopping(directory=tmp_path)], epochs=2)
        x, y = part_of(PART)
        with pytest.raises(ValueError, match="scores of 5 epochs.*Received: 2.*before Backup"):
            build().fit(
                x,
                y,
                initial_epoch=5,
                epochs=6,
                validation_data=part_of(HELD),
                callbacks=[TaskEarlyStopping(directory=tmp_path)],
                verbose=0,
            )


def test_what_is_printed(capsys):
    fit(build(), [TaskEarlyStopping(2, tasks=["noise"], verbose=1)])
    printed = capsys.readouterr().out
    assert (
        "noise has not improved for 2 epochs, best 0." in printed
        and "the best objective" in printed
    )
