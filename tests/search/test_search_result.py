"""What a search found, as data: configurations, curves, repetitions."""

import csv
import json
import math

import keras
import made_searches as made
import numpy as np
import pytest
import small_searches as small

import mtlkit as mtl
from mtlkit.search._records import Store, TrialRecord
from mtlkit.search._repetitions import Repetitions


@pytest.fixture(scope="module", autouse=True)
def eager():
    with pytest.MonkeyPatch.context() as patched:
        small.eagerly(patched)
        yield


@pytest.fixture
def searched(tmp_path, monkeypatch):
    """A search whose trials were not trained; repetitions are."""
    small.without_training(monkeypatch)
    return small.search(tmp_path / "search", tuner="random", max_trials=4, epochs=2)


@pytest.fixture
def trained(monkeypatch):
    """Counts the trainings."""
    calls = []
    train = mtl.search._repetitions.train

    def counting(model, data, watch, **options):
        calls.append((model, data, options))
        train(model, data, watch, **options)

    monkeypatch.setattr(mtl.search._repetitions, "train", counting)
    return calls


class TestRows:
    def test_leaderboard(self, tmp_path):
        records = [
            made.record(0, 0.5, family="bins"),
            made.record(1, 0.7, sacrificed=["identity"]),
            made.record(2, message="NotANumber: loss is nan"),
            made.record(3, 0.6),
        ]
        result = made.result(tmp_path / "search", records)
        rows = result.leaderboard
        assert [(row["rank"], row["trial"]) for row in rows] == [
            (1, "3"), (2, "0"), (None, ""), (3, "1"), (None, "2"),
        ]  # fmt: skip
        assert (rows[2]["head"], rows[2]["status"]) == ("chance", "baseline")
        assert rows[3]["status"] == "sacrifices identity"
        rows.to_csv(tmp_path / "rows.csv")
        with open(tmp_path / "rows.csv", newline="") as file:
            kept = list(csv.DictReader(file))
        assert [row["trial"] for row in kept] == ["3", "0", "", "1", "2"]
        assert json.loads(kept[0]["others"]) == {"identity": 0.5}
        assert kept[4]["message"] == "NotANumber: loss is nan"

    def test_scores_of_unequal_epochs_are_not_ranked_together(self, tmp_path):
        records = [
            made.record(0, 0.5, budget=9),
            made.record(1, 0.4, budget=3),  # nobody knows what 9 epochs would have made of it
            made.record(2, 0.6, budget=3),  # ahead with less
            made.record(3, 0.3, budget=9),
            made.record(4, 0.45, budget=1),
        ]
        result = made.result(tmp_path / "search", records)
        rows = [row for row in result.leaderboard if row["trial"]]
        assert [(row["rank"], row["trial"]) for row in rows] == [
            (1, "2"), (2, "0"), (3, "3"), (None, "1"), (None, "4"),
        ]  # fmt: skip
        assert result.best_trial.trial == "2"

    def test_the_first_row_is_the_best_trial(self, tmp_path):
        """A longer trial that sacrifices another task takes no rank away."""
        other = {"family": "bins", "units": 8}
        records = [
            made.record(0, 0.9, budget=9, sacrificed=["identity"], point=other),
            made.record(1, 0.8),
        ]
        result = made.result(tmp_path / "search", records)
        rows = [row for row in result.leaderboard if row["trial"]]
        assert rows[0]["trial"] == result.best_trial.trial == "1" and rows[0]["rank"] == 1

    def test_what_sacrifices_once_trained_for_longer_is_not_ahead_when_short(self, tmp_path):
        other = {"family": "bins", "units": 8}
        records = [
            made.record(0, 0.9, point=other),
            made.record(1, 0.8, budget=9, point=other, sacrificed=["identity"]),
            made.record(2, 0.7),
        ]
        result = made.result(tmp_path / "search", records)
        assert result.best_trial.trial == "2"
        status = {row["trial"]: row["status"] for row in result.leaderboard}
        assert status["0"] == status["1"] == "sacrifices identity"

    def test_curves(self, tmp_path):
        records = [made.record(0, 0.8), made.record(1, 0.4), made.record(2)]
        result = made.result(tmp_path, records)
        assert result.curves() == {"0": [0.2, 0.4, 0.8], "1": [0.1, 0.2, 0.4]}
        assert result.curves(made.OTHER) == {"0": [0.5] * 3, "1": [0.5] * 3}
        with pytest.raises(ValueError, match=r"one of \['val_identity.*log='speed'"):
            result.curves("speed")
        assert made.result(tmp_path / "none", [made.record(2)]).curves() == {}

    def test_reference_and_baseline(self, tmp_path):
        result = made.result(tmp_path, [made.record(0, 0.8), made.reference(0.6)])
        assert result.reference_scores == {"identity": 0.6}
        assert result.baseline.score == 1 / small.NUM_BINS and result.baseline.name == "chance"
        low, high = result.baseline.interval(0.5)  # Wilson's, of 6 of 12
        assert (round(low, 4), round(high, 4)) == (0.2538, 0.7462)


class TestBestConfig:
    def test_is_plain_data(self, searched):
        config = json.loads(json.dumps(searched.best_config))
        task = keras.saving.deserialize_keras_object(config["task"])
        assert task.name == "orientation"
        expected = searched.new_model().tasks["orientation"]
        assert task.head.get_config() | {"name": 0} == expected.head.get_config() | {"name": 0}
        assert (task.weight, task.feature) == (expected.weight, expected.feature)

    def test_tells_what_was_tried(self, searched):
        best = searched.best_trial
        config = searched.best_config
        assert config["point"] == best.point and config["family"] == best.family
        assert config["learning_rate"] == best.point["learning_rate"]
        head = keras.saving.deserialize_keras_object(config["task"]).head
        prefix = f"{best.family}."
        own = {k.removeprefix(prefix): v for k, v in best.point.items() if k.startswith(prefix)}
        assert own and all(head.get_config()[name] == value for name, value in own.items())

    @pytest.mark.parametrize("trial", ["77", "reference"])
    def test_unknown_trials(self, trial, searched):
        with pytest.raises(ValueError, match=rf"Expected a trial out of .*'{trial}'"):
            searched.config(trial)


class TestRepeat:
    def test_mean_and_interval(self):
        records = [TrialRecord(str(n), "finished", score=s) for n, s in enumerate([0.1, 0.2, 0.3])]
        records.append(TrialRecord("3", "failed", message="NotANumber: loss is nan"))
        found = Repetitions("7", made.METRIC, 9, "", records)
        # Student's quantile for two degrees of freedom, out of a table.
        half = 4.30265 * 0.1 / math.sqrt(3)
        assert found.mean == pytest.approx(0.2)
        np.testing.assert_allclose(found.interval, [0.2 - half, 0.2 + half], rtol=1e-5)
        assert found.failed == {"NotANumber: loss is nan": 1}
        assert "3 more runs of 9 epochs" in str(found) and "0.2000 ± 0.2484" in str(found)

    @pytest.mark.parametrize("scores", [[], [0.4]], ids=["none", "one"])
    def test_too_few_for_an_interval(self, scores):
        records = [TrialRecord(str(n), "finished", score=s) for n, s in enumerate(scores)]
        found = Repetitions("7", made.METRIC, 9, "", records)
        assert math.isnan(found.half_width) and "±" not in str(found)

    def test_trains_the_winner_anew(self, searched, trained, capsys):
        found = searched.repeat(runs=2)
        assert found.trial == searched.best_trial.trial and found.epochs == 2
        assert len(found.scores) == len(trained) == 2
        seeds = [options["seed"] for *_, options in trained]
        assert len({*seeds, searched.best_trial.seed}) == 3  # others than the trial had
        assert [record.seed for record in found.records] == seeds
        (model, *_), record = trained[0], found.records[0]
        assert record.point == searched.best_trial.point
        assert list(record.others) == ["identity"] and len(record.curves[made.METRIC]) == 2
        # A half cosine from the trial's rate to zero, over 2 epochs of a batch.
        rate = model.optimizer._learning_rate
        expected = searched.best_config["learning_rate"] * np.array([1, 0.5, 0])
        found_rates = [float(keras.ops.convert_to_numpy(rate(step))) for step in range(3)]
        np.testing.assert_allclose(found_rates, expected, rtol=1e-5, atol=1e-9)
        assert capsys.readouterr().out.count("run ") == 2

    def test_is_reproducible(self, searched):
        first = searched.repeat(runs=1, epochs=1, verbose=0)
        for path in (searched.directory / "repetitions" / "trials").glob("*"):
            path.unlink()
        again = searched.repeat(runs=1, epochs=1, verbose=0)
        np.testing.assert_allclose(
            again.records[0].curves["loss"], first.records[0].curves["loss"], rtol=1e-5
        )

    def test_what_has_finished_is_not_trained_again(self, searched, trained, monkeypatch):
        first = searched.repeat(runs=1, epochs=1, verbose=0)
        counting = mtl.search._repetitions.train

        def killed(model, data, watch, **options):
            if len(trained) == 2:
                raise KeyboardInterrupt
            counting(model, data, watch, **options)

        with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
            patched.setattr(mtl.search._repetitions, "train", killed)
            searched.repeat(runs=3, epochs=1, verbose=0)
        found = searched.repeat(runs=3, epochs=1, verbose=0)
        assert len(trained) == 3 and found.records[0] == first.records[0]
        assert len(found.scores) == 3
        (listed,) = searched.repetitions
        assert sorted(listed.scores) == sorted(found.scores)
        assert (listed.trial, listed.epochs) == (found.trial, 1)

    def test_corrupt_files_are_trained_again(self, searched, trained):
        found = searched.repeat(runs=1, epochs=1, verbose=0)
        path = searched.directory / "repetitions" / "trials" / f"{found.records[0].trial}.json"
        path.write_text("{")
        with pytest.warns(UserWarning, match="corrupt"):
            again = searched.repeat(runs=1, epochs=1, verbose=0)
        assert len(trained) == 2
        assert again.records[0].seed == found.records[0].seed

    def test_other_epochs_trials_and_data_are_others(self, searched, trained):
        other = searched.leaderboard[1]["trial"]
        images, (x_val, y_val) = small.data()
        mirrored = images, (x_val[:, :, ::-1], y_val)
        for options in ({}, {"epochs": 2}, {"trial": other}, {"data": mirrored}):
            searched.repeat(runs=1, verbose=0, **{"epochs": 1, **options})
        assert len(trained) == 4
        np.testing.assert_array_equal(trained[3][1].x_val, mirrored[1][0])
        assert len(searched.repetitions) == 4
        assert sorted(one.trial for one in searched.repetitions).count(other) == 1

    def test_failures_are_told_and_tried_again(self, searched, monkeypatch):
        def failing(model, data, watch, **options):
            watch.best = 0.3
            raise RuntimeError("no memory")

        with monkeypatch.context() as patched:
            patched.setattr(mtl.search._repetitions, "train", failing)
            found = searched.repeat(runs=2, epochs=1, verbose=0)
        assert found.scores == [] and found.failed == {"RuntimeError: no memory": 2}
        assert math.isnan(found.mean) and "2 failed: RuntimeError" in str(found)
        assert len(searched.repeat(runs=2, epochs=1, verbose=0).scores) == 2

    def test_on_a_frozen_backbone(self, tmp_path, monkeypatch, trained):
        small.without_training(monkeypatch)
        result = small.search(tmp_path, tuner="random", max_trials=1, freeze_backbone=True)
        found = result.repeat(runs=1, epochs=1, verbose=0)
        other = small.data(seed=3)
        result.repeat(runs=1, epochs=1, data=other, verbose=0)
        (on_features, features, _), (on_images, images, _) = trained
        assert isinstance(features.x, dict) and len(found.scores) == 1
        np.testing.assert_array_equal(images.x, other[0][0])
        assert not on_images.backbone.trainable_variables
        for one, two in zip(
            on_features.tasks["orientation"].head.weights,
            on_images.tasks["orientation"].head.weights,
            strict=True,
        ):
            assert one.shape == two.shape

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"runs": 0}, "runs=0"),
            ({"epochs": 0}, "epochs=0"),
            ({"trial": "99"}, "trial='99'"),
            ({"data": 3}, "MultiTaskData, or arrays"),
        ],
        ids=range(4),
    )
    def test_bad_arguments(self, options, message, searched):
        with pytest.raises(ValueError, match=message):
            searched.repeat(**options)


def test_setup_and_time(searched, tmp_path):
    setup = searched.setup
    assert (setup["tuner"], setup["seed"], setup["epochs"]) == ("random", 0, 2)
    assert setup["versions"]["keras"] == keras.__version__
    assert f"{keras.backend.backend()} (backend)" in setup["versions"]
    assert searched.seconds > 0
    made_by_hand = made.result(tmp_path / "made", [made.record(0, 0.5), made.reference()])
    assert made_by_hand.seconds == 3.0 and "versions" not in made_by_hand.setup


def test_repetitions_are_no_trials(searched):
    searched.repeat(runs=1, epochs=1, verbose=0)
    assert len(Store(searched.directory).records()) == 5  # four trials, and the reference
