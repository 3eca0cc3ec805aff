import made_searches as made
import numpy as np
import pytest
import small_searches as small
from html_page import Page

import mtlkit as mtl
from mtlkit.search import Baseline
from mtlkit.search._baselines import constants_of, keep_baselines, kept_baselines, references_of
from mtlkit.search._data import SearchData
from mtlkit.search._records import Store
from mtlkit.search._trials import Trials

NEIGHBOURS = Baseline(0.43, "nearest neighbours among small images", 200, True, constant=False)
CHANCE = Baseline(0.125, "chance", 200, True)


def named(baselines):
    return {one.name: one.score for one in baselines}


class TestConstants:
    def test_even_classes(self):
        assert named(constants_of("val_a_accuracy", np.arange(40) % 8)) == {"chance": 0.125}

    def test_uneven_classes(self):
        labels = np.repeat([0, 1, -1], [30, 10, 5])
        assert named(constants_of("val_a_accuracy", labels)) == {
            "chance": 0.5,
            "most frequent class": 0.75,
        }

    def test_values(self):
        [best] = constants_of("val_a_mae", np.array([0.0, 1.0, 5.0, np.nan]))
        assert (best.score, best.shares) == (pytest.approx(5 / 3), False)  # from the median

    @pytest.mark.parametrize("metric", ["val_a_loss", "val_a_auc"])
    def test_other_metrics(self, metric):
        assert constants_of(metric, np.arange(8)) == []


class TestIsBeaten:
    def test_a_constant_by_more_than_luck(self):
        # Of 200 samples, .165 is 33 right: Wilson's interval begins at .120.
        assert not CHANCE.is_beaten(0.165, "max") and CHANCE.is_beaten(0.2, "max")

    def test_a_reference_by_its_score(self):
        assert NEIGHBOURS.is_beaten(0.44, "max") and not NEIGHBOURS.is_beaten(0.43, "max")

    def test_less_is_better(self):
        error = Baseline(2.0, "best constant", 50, False)
        assert error.is_beaten(1.9, "min") and not error.is_beaten(2.1, "min")


def bright_rows(samples, seed, classes=4):
    """Images whose class is the row that is bright."""
    rng = np.random.default_rng(seed)
    y = rng.integers(classes, size=samples)
    x = 0.1 * rng.random((samples, 8, 8, 1), dtype="float32")
    x[np.arange(samples), 2 * y] += 1
    return x, y


@pytest.mark.every_backend
class TestReferences:
    def of(self, y, y_val, metric):
        model = mtl.MultiTaskModel(small.backbone(), small.tasks())
        x, x_val = bright_rows(120, 0)[0], bright_rows(60, 1)[0]
        return references_of(metric, SearchData(x, {"a": y}, x_val, {"a": y_val}), "a", model)

    def test_classes(self):
        found = self.of(bright_rows(120, 0)[1], bright_rows(60, 1)[1], "val_a_accuracy")
        assert named(found) == {
            "a ridge regression on patches": 1.0,
            "a kernel regression on whole images": 1.0,
            "nearest neighbours among small images": 1.0,
            "a ridge regression on the backbone's features": pytest.approx(1, abs=0.2),
            "nearest neighbours by the backbone's features": pytest.approx(1, abs=0.3),
            "the nearest neighbour in pixels": 1.0,
            "the nearest neighbour by the backbone's features": pytest.approx(1, abs=0.3),
        }
        assert all(one.samples == 60 and not one.constant for one in found)

    def test_samples_without_labels_are_left_out(self):
        y, y_val = bright_rows(120, 0)[1], bright_rows(60, 1)[1]
        y[::2] = y_val[:20] = -1
        found = self.of(y, y_val, "val_a_accuracy")
        assert {one.samples for one in found} == {40}
        assert named(found)["a ridge regression on patches"] == 1.0

    def test_random_labels(self):
        rng = np.random.default_rng(2)
        found = self.of(rng.integers(4, size=120), rng.integers(4, size=60), "val_a_accuracy")
        assert all(one.score < 0.5 for one in found)

    def test_values(self):
        y, y_val = (bright_rows(*of)[1].astype("float32") for of in ((120, 0), (60, 1)))
        found = named(self.of(y, y_val, "val_a_mae"))
        assert found["a kernel regression on whole images"] < 0.2

    def test_labels_in_a_column(self):
        y, y_val = (bright_rows(*of)[1][:, None] for of in ((120, 0), (60, 1)))
        found = self.of(y, y_val, "val_a_accuracy")
        assert named(found)["a ridge regression on patches"] == 1.0
        assert named(constants_of("val_a_accuracy", y_val)) == {"chance": 0.25}

    def test_values_that_are_whole_numbers(self):
        """Their error is one, however the labels are stored."""
        y, y_val = bright_rows(120, 0)[1] * 10, bright_rows(60, 1)[1] * 10
        whole = named(self.of(y, y_val, "val_a_mae"))
        values = named(self.of(y.astype("float32"), y_val.astype("float32"), "val_a_mae"))
        for name in ("a ridge regression on patches", "a kernel regression on whole images"):
            assert whole[name] == pytest.approx(values[name], rel=1e-4) and whole[name] > 0

    def test_too_few_labels(self):
        y = np.full(120, -1)
        y[:5] = 0
        assert self.of(y, bright_rows(60, 1)[1], "val_a_accuracy") == []

    def test_large_samples_are_copied_in_part(self, monkeypatch):
        monkeypatch.setattr("mtlkit.search._baselines._BYTES", 0)
        monkeypatch.setattr("mtlkit.search._baselines._LEAST", 40)
        y, y_val = bright_rows(120, 0)[1], bright_rows(60, 1)[1]
        found = self.of(y, y_val, "val_a_accuracy")
        assert {one.samples for one in found} == {60}

    def test_what_has_no_references(self):
        y = np.arange(120) % 4
        texts = np.array([["a"], ["b"]] * 60)
        data = SearchData(texts, {"a": y}, texts[:60], {"a": y[:60]})
        assert references_of("val_a_accuracy", data, "a", None) == []
        assert self.of(y, y[:60], "val_a_loss") == []
        assert self.of(np.eye(4)[y], np.eye(4)[y[:60]], "val_a_accuracy") == []


@pytest.mark.parametrize("period", [360.0, 180.0])
def test_degrees_are_judged_as_bins(period, tmp_path, monkeypatch):
    small.without_training(monkeypatch)
    head = mtl.heads.OrientationHead(8, "pool", labels="degrees", period=period)
    monkeypatch.setattr(small, "tasks", lambda: [mtl.Task("orientation", head)])
    seen = []

    def scored(metric, data, target, model):
        seen.append(data)
        return []

    monkeypatch.setattr("mtlkit.search._trials.references_of", scored)
    (x, _), (x_val, _) = small.data()
    bins = np.arange(24) % 8
    degrees = bins * period / 8 + 0.4 * period / 8
    degrees[0] = np.nan
    data = (x, {"orientation": degrees}), (x_val, {"orientation": degrees[1:13]})
    monkeypatch.setattr(small, "data", lambda: data)
    found = small.search(tmp_path, candidates=["orientation"], tuner="random", max_trials=1)
    [judged] = seen
    np.testing.assert_array_equal(judged.y["orientation"], [-1, *bins[1:]])
    assert named(found.baselines) == {"chance": 0.125}


def result(tmp_path, scores, baselines=(CHANCE, NEIGHBOURS)):
    heads = made.space()
    points = [one.point for one in made.drawn(len(scores), lambda point: 0.0, heads)]
    records = [made.record(n, *one) for n, one in enumerate(zip(scores, points, strict=True))]
    found = made.result(tmp_path / "search", records, heads)
    keep_baselines(Store(found.directory), baselines)
    return found


class TestResult:
    def test_baselines_stand_where_their_score_is(self, tmp_path):
        rows = result(tmp_path, [0.3, 0.6, 0.14]).leaderboard
        assert [(row["rank"], row["trial"], row["status"]) for row in rows] == [
            (1, "1", "finished"),
            (None, "", "baseline"),
            (2, "0", "finished"),
            (3, "2", "finished, no better than chance"),
            (None, "", "baseline"),
        ]
        assert [rows[n]["head"] for n in (1, 4)] == [NEIGHBOURS.name, "chance"]
        assert NEIGHBOURS.name in str(rows)

    def test_a_winner(self, tmp_path):
        found = result(tmp_path, [0.3, 0.6])
        assert found.ahead is None and found.best_baseline == NEIGHBOURS
        assert "nearest neighbours among small images 0.43" in found.sentence
        found.save_html(tmp_path / "page.html")
        page = Page(tmp_path / "page.html")
        assert "The best configuration" in page and 'class="strong"' in page.source

    def test_none_is_ahead_of_a_reference(self, tmp_path):
        found = result(tmp_path, [0.3, 0.4])
        assert found.ahead == NEIGHBOURS
        assert found.sentence.startswith(
            "No head for the task orientation is ahead of nearest neighbours among small images "
            "(0.43): the best of 2 trials with a score is "
        )
        assert "mtlkit.diagnostics.diagnose(result.best_model()" in found.sentence
        found.save_html(tmp_path / "page.html")
        page = Page(tmp_path / "page.html")
        assert "The best of the trials" in page and 'class="strong"' not in page.source

    def test_a_simple_one_that_does_as_well(self, tmp_path):
        found = result(tmp_path, [0.3, NEIGHBOURS.score])
        assert found.ahead == NEIGHBOURS and "diagnose" not in found.sentence
        assert found.sentence.endswith(
            "nearest neighbours among small images (0.43), which is simpler, does as well."
        )

    def test_none_is_better_than_a_constant(self, tmp_path):
        found = result(tmp_path, [0.13, 0.15])
        assert found.sentence.startswith("No head learned the task orientation: the best of 2 ")
        assert "is no better than chance (0.125)" in found.sentence

    def test_none_has_a_score(self, tmp_path):
        found = result(tmp_path, [None])
        assert found.ahead is None
        assert found.sentence == "None of the 1 trials for the task orientation has a score."


def test_they_are_scored_once_and_reported(tmp_path, monkeypatch, capsys):
    small.without_training(monkeypatch)
    calls = []

    def scored(metric, data, target, model):
        calls.append((metric, target))
        return [NEIGHBOURS]

    monkeypatch.setattr("mtlkit.search._trials.references_of", scored)
    found = small.search(tmp_path, tuner="random", max_trials=2, verbose=1)
    lines = capsys.readouterr().out.splitlines()
    assert "baseline | nearest neighbours among small images | 0.4300" in lines
    assert found.sentence in lines
    assert calls == [("val_orientation_accuracy", "orientation")]
    assert named(found.baselines) == {"chance": 0.125, NEIGHBOURS.name: 0.43}
    again = small.search(tmp_path, tuner="random", max_trials=2)
    assert again.baselines == found.baselines and len(calls) == 1
    assert kept_baselines(Store(tmp_path)) == found.baselines


def test_a_reference_that_fails_ends_no_search(tmp_path, monkeypatch, capsys):
    small.without_training(monkeypatch)

    def fails(*given):
        raise IndexError("no rows")

    monkeypatch.setattr("mtlkit.search._trials.references_of", fails)
    found = small.search(tmp_path, tuner="random", max_trials=1, verbose=1)
    assert "no references of the task: IndexError: no rows" in capsys.readouterr().out
    assert named(found.baselines) == {"chance": 0.125} and found.best_trial.score > 0


def test_a_trial_at_chance_is_called_so(tmp_path, monkeypatch, capsys):
    small.without_training(monkeypatch)
    invented = Trials._fit

    def fit(self, record, *rest):
        invented(self, record, *rest)
        record.score = 0.125

    monkeypatch.setattr(Trials, "_fit", fit)
    small.search(tmp_path, tuner="random", max_trials=1, verbose=1)
    assert "0.1250, no better than chance | best 0.1250" in capsys.readouterr().out


def test_features_are_those_of_the_backbone_that_was_trained(tmp_path):
    """The guard's reference has trained it, without the target."""
    space = made.space()
    store = Store(tmp_path / "search")
    trained = space.build(None)
    trained.backbone.set_weights([w + 1 for w in trained.backbone.get_weights()])
    store.save_weights("reference", trained)
    trials = Trials.__new__(Trials)
    trials.space, trials.settings, trials.store = space, made.SETTINGS, store
    for trains, expected in ((True, trained.backbone), (False, space.backbone())):
        trials._trains_backbone = trains
        model = trials._model_with_backbone()
        for own, other in zip(model.backbone.get_weights(), expected.get_weights(), strict=True):
            np.testing.assert_array_equal(own, other)
