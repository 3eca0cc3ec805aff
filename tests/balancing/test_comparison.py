"""Comparing balancers: the protocol, what it keeps, and what it says."""

from __future__ import annotations

import json
import zlib

import keras
import numpy as np
import pytest
from scipy import stats

import mtlkit as mtl
from mtlkit.balancing import MGDA, Comparison, FixedWeighting, compare
from mtlkit.balancing.comparison import _step_times, _training, _tuning

FEATURES, SAMPLES = 12, {"train": 256, "val": 128, "test": 256}


@keras.saving.register_keras_serializable(package="comparison_tests")
class Scaled(keras.losses.Loss):
    """The squared error times a factor."""

    def __init__(self, factor: float = 1.0, **kwargs) -> None:
        super().__init__(**kwargs)
        self.factor = factor

    def call(self, y_true, y_pred):
        return self.factor * keras.ops.mean(keras.ops.square(y_true - y_pred), axis=-1)

    def get_config(self):
        return {**super().get_config(), "factor": self.factor}


def made_data(seed: int = 0) -> dict[str, tuple]:
    """A value that is mostly noise, and one of other columns that can be learned."""
    rng = np.random.default_rng(seed)
    splits = {}
    for split, samples in SAMPLES.items():
        x = rng.normal(size=(samples, FEATURES)).astype("float32")
        noise = rng.normal(size=(2, samples))
        splits[split] = (
            x,
            {
                "loud": x[:, 0] + 3 * noise[0],
                "quiet": x[:, 1] + x[:, 2] + 0.1 * noise[1],
            },
        )
    return splits


def build(factor: float = 1.0, units: int = 32):
    """Two tasks, the loss of one of them times a factor."""
    tasks = [
        mtl.Task("loud", mtl.heads.RegressionHead(), loss=Scaled(factor)),
        mtl.Task("quiet", mtl.heads.RegressionHead(), loss=Scaled()),
    ]
    return mtl.backbones.DenseBackbone(FEATURES, units=(units,)), tasks


DATA, SAME = made_data(), build()


@pytest.fixture
def trained(monkeypatch):
    """Trainings that take no time, with scores out of the request; returns their jobs."""
    jobs: list = []

    def train(protocol, job):
        jobs.append(job)
        request = protocol.request(job)
        rng = np.random.default_rng(zlib.crc32(json.dumps(request, sort_keys=True).encode()))
        parts = ("val", "test") if job.test else ("val",)
        return {
            "seconds": 1.0,
            **{part: {task: float(rng.uniform(0.5, 1)) for task in job.tasks} for part in parts},
        }

    monkeypatch.setattr(_training.Protocol, "train", train)
    monkeypatch.setattr(_step_times.StepTimes, "ratio", lambda times, job: 1.5)
    return jobs


def asked(methods, data=DATA, made=build, **options):
    """Compares quietly, of few epochs."""
    return compare(made, data, methods, **{"epochs": 1, "verbose": 0, "tuning": 4, **options})


def labels(jobs) -> list[tuple]:
    return [(job.method, job.seed, *job.tasks) for job in jobs]


# === Numbers ===


def runs_of(scores) -> list[dict]:
    """Trainings out of test scores by method, `(seeds, tasks)`; of single tasks one a task."""
    runs = []
    for method, rows in scores.items():
        for seed, row in enumerate(rows):
            test = dict(zip(("a", "b"), map(float, row), strict=True))
            parts = [{t: v} for t, v in test.items()] if method == "single-task" else [test]
            runs += [{"method": method, "seed": seed, "seconds": 2.0, "test": one} for one in parts]
    return runs


def test_numbers_against_scipy():
    rng = np.random.default_rng(3)
    base = np.array([[0.7, 3.0]])
    scores = {
        name: rng.normal(base + np.array([shift, -4 * shift]), 0.02, size=(4, 2))
        for name, shift in {
            "single-task": 0.0,
            "equal": -0.1,
            "tuned": 0.05,
            "uw": 0.06,
            "dwa": -0.1,
            "rlw": -0.3,
        }.items()
    }
    metrics = {"a": ("accuracy", "max"), "b": ("mae", "min")}
    methods = ["equal", "tuned", "uw", "dwa", "rlw"]
    found = Comparison(metrics, methods, range(4), runs_of(scores))
    rows = {row["method"]: row for row in found.rows}
    single = scores["single-task"]
    deltas = {m: 50 * ((scores[m] - single) / single * [1, -1]).sum(axis=1) for m in methods}
    for method, expected in deltas.items():
        mean = expected.mean()
        interval = stats.t.interval(0.95, 3, mean, stats.sem(expected))
        assert rows[method]["delta_m"] == pytest.approx(mean)
        assert rows[method]["delta_m_interval"] == pytest.approx(interval)
    others = methods[1:]
    raw = [stats.ttest_rel(deltas[m], deltas["equal"]).pvalue for m in others]
    order = np.argsort(raw)
    corrected, most = dict.fromkeys(others, 0.0), 0.0
    for rank, index in enumerate(order):
        most = max(most, (len(raw) - rank) * raw[index])
        corrected[others[index]] = min(most, 1.0)
    for method in others:
        paired = deltas[method] - deltas["equal"]
        interval = stats.t.interval(0.95, 3, paired.mean(), stats.sem(paired))
        assert rows[method]["difference_interval"] == pytest.approx(interval)
        assert rows[method]["p"] == pytest.approx(corrected[method])
    verdicts = [rows[method]["verdict"] for method in others]
    assert verdicts == ["better", "better", "not different", "worse"]
    assert "tuned (by" in found.sentence and "rlw (by" in found.sentence
    assert "No method was better than tuned weights beyond chance." in found.sentence
    assert rows["tuned"]["over_tuned"] is None and rows["single-task"]["delta_m"] is None


def test_skill_gain_is_the_mean_share_of_the_way_to_perfection():
    scores = {"single-task": [[0.8, 1.0]], "equal": [[0.6, 0.5]]}
    baselines = {
        "a": mtl.metrics.skill.constant_skill("a_accuracy", [0, 1] * 20),
        "b": mtl.metrics.skill.constant_skill("b_mae", np.array([-2.0, 2.0] * 20)),
    }
    metrics = {"a": ("accuracy", "max"), "b": ("mae", "min")}
    found = Comparison(metrics, ["equal"], [0], runs_of(scores), baselines=baselines)
    expected = 100 * np.mean([(0.6 - 0.5) / 0.5 - (0.8 - 0.5) / 0.5, 0.75 - 0.5])
    assert found.rows[-1]["skill_gain"] == pytest.approx(expected)


def test_scores_of_zero_and_missing_scores_leave_delta_m_unknown():
    scores = {"single-task": [[0.0, 1.0]], "equal": [[0.6, 0.5]]}
    metrics = {"a": ("accuracy", "max"), "b": ("mae", "min")}
    row = Comparison(metrics, ["equal"], [0], runs_of(scores)).rows[-1]
    assert row["delta_m"] is None and row["scores"] == {"a": 0.6, "b": 0.5}
    scores = {"single-task": [[0.5, 1.0]], "equal": [[np.nan, 0.5]]}
    assert Comparison(metrics, ["equal"], [0], runs_of(scores)).rows[-1]["delta_m"] is None


def test_one_seed_cannot_tell(trained):
    found = asked(["equal", "uw"], seeds=[4])
    assert found.rows[-1]["verdict"] == "not different"
    assert "One seed cannot tell" in found.sentence


def test_equal_results_are_not_different():
    scores = {"single-task": [[0.5, 1.0]] * 3, "equal": [[0.6, 0.9]] * 3, "uw": [[0.6, 0.9]] * 3}
    metrics = {"a": ("accuracy", "max"), "b": ("mae", "min")}
    found = Comparison(metrics, ["equal", "uw"], range(3), runs_of(scores))
    assert found.rows[-1]["verdict"] == "not different" and found.rows[-1]["p"] == 1
    assert found.sentence == "No method was better than equal weights beyond chance."


# === What is trained, and kept ===


def test_order_and_number_of_trainings(trained):
    found = asked(["tuned", "uw"], seeds=[3, 1])
    tuned = [(f"try {n}", 3, "loud", "quiet") for n in (2, 3, 4)]
    of_seed = [
        [("single-task", s, "loud"), ("single-task", s, "quiet"), ("equal", s, "loud", "quiet")]
        for s in (3, 1)
    ]
    both = [[(m, s, "loud", "quiet") for m in ("tuned", "uw")] for s in (3, 1)]
    assert labels(trained) == [*of_seed[0], *tuned, *both[0], *of_seed[1], *both[1]]
    assert found.planned == found.finished == len(trained)
    assert [row["trainings"] for row in found.rows] == [4, 2, 2 + 4, 2]
    assert [row["step_ratio"] for row in found.rows] == [None, 1, 1.5, 1.5]
    best = max(found.tries, key=lambda one: one["delta_m"])
    assert found.tuned_weights == best["weights"]
    assert "Tuned weights, the best of 4 tries on the validation data: loud" in found.sentence
    assert all(job.weights == best["weights"] for job in trained if job.method == "tuned")
    assert not any(job.test for job in trained if job.method.startswith("try"))


def test_goes_on_after_an_interrupt(trained, tmp_path, monkeypatch):
    options = {"methods": ["tuned", "uw"], "seeds": [0, 1]}
    whole = asked(**options)
    assert whole.finished == whole.planned
    count, train = len(trained), _training.Protocol.train

    def killed(protocol, job):
        if len(trained) == count + 9:
            raise KeyboardInterrupt
        return train(protocol, job)

    with monkeypatch.context() as patch:
        patch.setattr(_training.Protocol, "train", killed)
        part = asked(**options, directory=tmp_path)
    assert part.finished == 9 < part.planned
    assert part.sentence.startswith(f"A part: 9 of {part.planned} trainings are finished.")
    again = asked(**options, directory=tmp_path)
    assert len(trained) == 2 * count
    assert again.table() == whole.table() and again.rows == whole.rows
    asked(**options, directory=tmp_path)
    assert len(trained) == 2 * count


def test_additions_train_what_is_missing(trained, tmp_path):
    asked(["tuned", "uw"], seeds=[0], directory=tmp_path)
    trained.clear()
    asked(["tuned", "uw"], seeds=[0, 5], directory=tmp_path)
    assert {job.seed for job in trained} == {5} and len(trained) == 5
    trained.clear()
    asked(["tuned", "uw", "dwa"], seeds=[0, 5], directory=tmp_path)
    assert labels(trained) == [("dwa", seed, "loud", "quiet") for seed in (0, 5)]


@pytest.mark.parametrize(
    "change",
    [
        {"epochs": 2},
        {"batch_size": 8},
        {"select": "validation"},
        {"optimizer": "sgd"},
        {"compile_options": {"run_eagerly": True}},
        {"optimizer": keras.optimizers.Adam(0.1)},
        {"metrics": {"quiet": "loss"}},
        {"data": made_data(1)},
        {"data": {**DATA, "test": (DATA["test"][0], DATA["val"][1])}},
        {"made": lambda: build(units=8)},
        {"made": lambda: build(factor=2.0)},
    ],
)
def test_what_does_not_fit_is_not_mixed(trained, tmp_path, change):
    asked(["uw"], seeds=[0], directory=tmp_path)
    trained.clear()
    asked(["uw"], seeds=[0], directory=tmp_path, **change)
    assert len(trained) == 4


def test_layers_of_plain_keras_are_known_again(trained, tmp_path):
    def made(feature="stage_1"):
        image = keras.Input((FEATURES,))
        first = keras.layers.Dense(4, name="stage_1")(keras.layers.Dense(4)(image))
        backbone = keras.Model(image, keras.layers.Dense(4, name="stage_2")(first))
        heads = [
            mtl.Task(n, mtl.heads.RegressionHead(), feature=feature) for n in ("loud", "quiet")
        ]
        return backbone, heads

    for _ in range(2):
        asked(["uw"], made=made, seeds=[0], directory=tmp_path)
    assert len(trained) == 4
    asked(["uw"], made=lambda: made("stage_2"), seeds=[0], directory=tmp_path)
    assert len(trained) == 8


def test_damaged_file_is_trained_again(trained, tmp_path):
    whole = asked(["uw"], seeds=[0], directory=tmp_path)
    trained.clear()
    files = [p for p in tmp_path.glob("*.json") if '"test": true' in p.read_text()]
    files[0].write_text(files[0].read_text()[:30])
    with pytest.warns(UserWarning, match="corrupt"):
        again = asked(["uw"], seeds=[0], directory=tmp_path)
    assert len(trained) == 1 and again.rows == whole.rows


def test_settings_of_methods_tell_them_apart(trained, tmp_path):
    first = {"mine": FixedWeighting([1.0, 2.0])}
    asked(first, seeds=[0], directory=tmp_path)
    trained.clear()
    asked(
        {"mine": FixedWeighting([1.0, 3.0]), "that": ("uw", "upgrad")},
        directory=tmp_path,
        seeds=[0],
    )
    assert [job.method for job in trained] == ["mine", "that"]
    trained.clear()
    asked({"another name": FixedWeighting([1.0, 2.0])}, directory=tmp_path, seeds=[0])
    assert not trained


def test_spaces_are_told_apart(trained, tmp_path):
    both = {"here": "mgda", "there": "mgda", "uw": "uw"}
    asked(both, seeds=[0], directory=tmp_path, balancer_space={"there": "parameters"})
    spaces = {job.method: job.space for job in trained}
    assert spaces["there"] == "parameters"
    assert {spaces[name] for name in ("here", "uw", "equal", "single-task")} == {"features"}
    trained.clear()
    asked(both, seeds=[0], directory=tmp_path, balancer_space="parameters")
    assert [(job.method, job.space) for job in trained] == []  # known, under another name


def test_a_model_is_made_in_the_space_of_its_job():
    names = ("loud", "quiet")
    for space in ("features", "parameters"):
        job = _training.Job("mgda", 0, names, MGDA(), space=space)
        assert protocol().model(job).balancer_space == space


def test_failure_of_a_method_leaves_the_others(trained, monkeypatch):
    train = _training.Protocol.train

    def failing(protocol, job):
        if job.method == "uw":
            raise ValueError("too large")
        return train(protocol, job)

    monkeypatch.setattr(_training.Protocol, "train", failing)
    with pytest.warns(UserWarning, match="uw, seed . failed"):
        found = asked(["uw", "dwa"], seeds=[0, 1])
    rows = {row["method"]: row for row in found.rows}
    assert rows["dwa"]["seeds"] == [0, 1] and not rows["uw"]["seeds"]
    assert "uw failed: ValueError: too large." in found.sentence


def test_json_and_picture(trained, tmp_path):
    found = asked(["tuned", "uw"])
    again = Comparison.from_json(found.to_json())
    assert again.rows == found.rows
    assert again.table() == found.table() and again.sentence == found.sentence
    assert found.to_markdown().count("\n") == 1 + len(found.rows)
    axes = found.plot(tmp_path / "deltas.png")
    assert [text.get_text() for text in axes.get_yticklabels()] == ["equal", "tuned", "uw"]
    assert (tmp_path / "deltas.png").stat().st_size > 1000


def test_progress(trained, capsys):
    asked(["uw"], seeds=[0], verbose=1)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("1 of 4 | single-task loud, seed 0 | ")
    assert lines[3] == "4 of 4 | uw, seed 0 | 0 s left"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": 0}, "epochs >= 1"),
        ({"seeds": []}, "seeds that differ"),
        ({"seeds": [1, 1]}, "seeds that differ"),
        ({"select": "test"}, 'select "last" or "validation"'),
        ({"methods": ["nonsense"]}, "Expected a balancer"),
        ({"methods": "uw"}, "a list of methods"),
        ({"methods": ["uw", "uw"]}, "different names"),
        ({"methods": {"single-task": "uw"}}, "another name"),
        ({"data": {"train": DATA["train"], "val": DATA["val"]}}, "train.*val.*test"),
        ({"data": {**DATA, "val": (DATA["val"][0], {"loud": 0})}}, "'quiet'.*val split"),
        ({"made": lambda: None}, r"\(backbone, tasks\)"),
        ({"made": lambda: (build()[0], build()[1][:1])}, "at least two tasks"),
        ({"made": lambda: SAME}, "new backbone"),
        ({"tuning": 0}, "tuning >= 1"),
        ({"tuning": [{"loud": 1.0}]}, "weights of the tasks"),
        ({"optimizer": 3}, "Keras optimizer"),
        ({"compile_options": {"loss": "mse"}}, "compile_options out of"),
        ({"metrics": {"other": "mae"}}, "metrics of tasks"),
        ({"balancer_space": "pixels"}, "balancer_space"),
        ({"balancer_space": {"nash_mtl": "parameters"}}, "balancer_space of methods out of"),
        ({"balancer_space": {"uw": "parameters"}}, "an aggregator alone"),
    ],
)
def test_errors(trained, changes, message):
    with pytest.raises(ValueError, match=message):
        asked(**{"methods": ["uw"], **changes})
    assert not trained


def test_a_task_alone_is_not_conditioned_and_trains_the_backbone():
    def conditioned():
        backbone, (loud, quiet) = build()
        options = {"condition_on": "loud", "gradient": "stop", "weight": 7.0}
        return backbone, [loud, mtl.Task("quiet", quiet.head, **options)]

    options = {"epochs": 1, "batch_size": 32, "select": "last"}
    asked = _training.protocol_of(conditioned, DATA, "adam", None, **options)
    alone = asked.model(_training.Job("single-task", 0, ("quiet",))).tasks["quiet"]
    assert (alone.condition_on, alone.gradient, alone.weight) == (None, "flow", 1.0)
    weights = {"loud": 0.5, "quiet": 1.5}
    whole = asked.model(_training.Job("tuned", 0, ("loud", "quiet"), None, weights))
    quiet = whole.tasks["quiet"]
    assert (quiet.condition_on, quiet.gradient, quiet.weight) == ("loud", "stop", 1.5)


def test_draws_of_a_method_depend_on_the_seed():
    given = mtl.balancing.get("rlw"), mtl.balancing.RandomWeighting(seed=5)
    assert [_training.seeded(one, 3).seed for one in given] == [3, 5]
    assert given[0].seed is None
    assert [part.seed for part in _training.seeded(given, 4)] == [4, 5]


# === Tries of weights ===


def protocol(factor: float = 1.0, **options) -> _training.Protocol:
    given = {"epochs": 1, "batch_size": 32, "select": "last", **options}
    return _training.protocol_of(lambda: build(factor), DATA, "adam", None, **given)


@pytest.mark.every_backend
def test_initial_losses_and_gradients_follow_the_scale_of_a_loss():
    before, norms = _tuning.initial_sizes(protocol(), seed=0)
    after, scaled = _tuning.initial_sizes(protocol(1000.0), seed=0)
    assert after["loud"] == pytest.approx(1000 * before["loud"], rel=1e-4)
    assert scaled["loud"] == pytest.approx(1000 * norms["loud"], rel=1e-3)
    assert after["quiet"] == pytest.approx(before["quiet"], rel=1e-4)
    assert scaled["quiet"] == pytest.approx(norms["quiet"], rel=1e-3)


def test_tries(monkeypatch):
    sizes = {"loud": 400.0, "quiet": 1.0}, {"loud": 90.0, "quiet": 10.0}
    monkeypatch.setattr(_tuning, "initial_sizes", lambda protocol, seed: sizes)
    asked = protocol()
    found = _tuning.tries(asked, 40, seed=0)
    weights = np.array([[one["weights"][t] for t in ("loud", "quiet")] for one in found])
    assert np.allclose(weights.mean(axis=1), 1, rtol=1e-3)
    ratios = weights[:, 1] / weights[:, 0]
    assert np.allclose(ratios[:3], [1, 400, 9], rtol=1e-3)
    assert ratios[3:].min() > 400 / 101 and ratios[3:].max() < 400 * 101
    assert np.median(ratios[3:]) == pytest.approx(400, rel=1)
    assert found == _tuning.tries(asked, 40, seed=0)
    assert found[3:] != _tuning.tries(asked, 40, seed=1)[3:]
    assert [one["how"] for one in _tuning.tries(asked, 1, seed=0)] == ["equal"]
    given = _tuning.tries(asked, [{"loud": 1.0, "quiet": 3.0}], seed=0)
    assert given[1]["weights"] == {"loud": 0.5, "quiet": 1.5}


def test_step_ratio_is_the_median_of_pairs(monkeypatch):
    monkeypatch.setattr(
        _step_times._Steps, "__init__", lambda steps, _, job: setattr(steps, "job", job)
    )
    times = {"equal": iter(np.full(99, 0.01)), "slow": iter([0.02, *[0.02, 0.5, 0.02] * 30])}
    monkeypatch.setattr(_step_times._Steps, "block", lambda steps, _: next(times[steps.job]))
    assert _step_times.StepTimes(None, "equal").ratio("slow") == pytest.approx(2)


# === Real trainings ===


#: One loss is a thousand times the other, and its gradient is mostly noise.
PLANTED = {
    "build": lambda: build(1000.0),
    "epochs": 8,
    "batch_size": 32,
    "optimizer": keras.optimizers.Adam(0.01),
    "tuning": 2,
    "select": "validation",
    "compile_options": {"jit_compile": False},  # which would take longer than it saves
    "verbose": 0,
}


@pytest.fixture(scope="module")
def planted():
    warned = pytest.warns(UserWarning, match="its weighted loss is")
    with warned, pytest.MonkeyPatch.context() as patch:
        patch.setattr(_step_times.StepTimes, "ratio", lambda times, job: 1.0)
        return compare(data=DATA, methods=["tuned", "log", "mean"], **PLANTED)


def test_a_task_that_starves_is_found_and_fed(planted):
    rows = {row["method"]: row for row in planted.rows}
    assert rows["tuned"]["verdict"] == "better" and rows["log"]["verdict"] == "better"
    assert rows["equal"]["scores"]["quiet"] > 1.5 * rows["single-task"]["scores"]["quiet"]
    assert planted.tries[1]["delta_m"] > planted.tries[0]["delta_m"]
    assert "log (by" in planted.sentence and "better than equal weights" in planted.sentence


def test_the_same_method_under_another_name_is_not_different(planted):
    row = planted.rows[-1]
    assert row["method"] == "mean" and row["verdict"] == "not different"
    assert abs(row["difference"]) < 2


def test_test_labels_change_nothing_but_the_test_scores(planted, monkeypatch):
    monkeypatch.setattr(_step_times.StepTimes, "ratio", lambda times, job: 1.0)
    x, y = DATA["test"]
    poisoned = {**DATA, "test": (x, {task: 100.0 - 5 * values for task, values in y.items()})}
    found = compare(data=poisoned, methods=["tuned"], seeds=[0], **PLANTED)
    before = [run for run in planted.runs if run["seed"] == 0]
    assert found.tries == planted.tries
    for one, other in zip(found.runs, before, strict=False):
        assert (one["method"], one["tasks"]) == (other["method"], other["tasks"])
        assert one["val"] == other["val"]
        assert all(one["test"][task] > 10 * other["test"][task] for task in one["test"])


def test_the_epoch_is_chosen_by_validation_data():
    metrics = {"a": ("accuracy", "max"), "b": ("loss", "min")}
    callback = _training._BestEpoch(metrics)
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    callback.set_model(model)
    for epoch, (a, b) in enumerate([(0.2, 2.0), (0.6, 1.0), (0.7, 1.9)]):
        model.layers[0].bias.assign([float(epoch)])
        callback.on_epoch_end(epoch, {"val_a_accuracy": a, "val_b_loss": b})
    callback.on_train_end()
    assert keras.ops.convert_to_numpy(model.layers[0].bias)[0] == 1.0
