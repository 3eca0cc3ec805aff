import random
import sys
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from diagnostics.made_images import bright_rows

import mtlkit as mtl
from mtlkit.diagnostics import Evidence, _model_steps, diagnose
from mtlkit.diagnostics.causes import RULES

X, Y = bright_rows(300)
LABELS = {"pose": Y, "shade": X.mean(axis=(1, 2, 3))}
OF_MODEL = [rule.cause for rule in RULES if rule.limit == "model"] + ["model_gap"]


def user(compiled=True):
    model = mtl.MultiTaskModel(
        mtl.backbones.ConvBackbone((8, 8, 1), filters=(4,)),
        [
            mtl.Task("pose", mtl.heads.ClassificationHead(8, "flatten")),
            mtl.Task("shade", mtl.heads.RegressionHead()),
        ],
    )
    if compiled:
        model.compile("adam", jit_compile=False)
    return model


@pytest.fixture(scope="module")
def model():
    return user()


def test_without_time_the_data_are_looked_at_alone(model):
    before = [one.copy() for one in model.get_weights()]
    drawn, of_numpy = random.getstate(), np.random.get_state()[1].copy()
    found = diagnose(model, X, LABELS, "pose", budget=5, verbose=0)
    of_time = [name for name in found.evidence if name in OF_MODEL]
    assert set(OF_MODEL) - set(of_time) == {"weak_features", "label_scale", "stale_batch_norm"}
    assert found.setup["left_out"] == ["preflight", *of_time]
    for name in of_time:
        assert found.evidence[name].status == "not_tested"
        assert "budget of 5 CPU-seconds" in found.evidence[name].text
        assert found.evidence[name].text.endswith("are left, and this needs 30.")
    assert found.evidence["signal"].found and found.setup["budget"] == 5
    for one, other in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(one, other)
    assert random.getstate() == drawn and np.array_equal(np.random.get_state()[1], of_numpy)


def test_no_model_is_trained_where_there_is_nothing_to_learn(model):
    labels = {"pose": np.random.default_rng(0).permutation(Y)}
    found = diagnose(model, X, labels, "pose", budget=500, verbose=0)
    assert [cause.name for cause in found.verdict.causes] == ["no_signal"]
    assert not set(OF_MODEL) & set(found.evidence)


@pytest.mark.every_backend
def test_every_task_of_the_model_is_scored_on_held_out_samples(model):
    held = {"pose": np.where(np.arange(300) < 60, -1, Y), "shade": LABELS["shade"]}
    found = diagnose(model, X, LABELS, "pose", validation_data=(X, held), budget=5, verbose=0)
    rows = found.evidence["skill"].details["tasks"]
    assert {name: row["by"] for name, row in rows.items()} == dict.fromkeys(LABELS, "the model")
    outputs = model.predict(X, verbose=0)
    right = outputs["pose"].argmax(axis=1) == Y
    assert rows["pose"]["score"] == pytest.approx(right[60:].mean())
    error = np.abs(outputs["shade"].reshape(-1) - LABELS["shade"])
    assert rows["shade"]["score"] == pytest.approx(error.mean(), rel=1e-4)
    by_reference = found.evidence["skill"].details["by_reference"]
    assert by_reference["pose"]["by"] == "the reference"


@pytest.mark.parametrize("seen", [True, False])
def test_what_the_model_sees_is_a_signal(seen):
    module = sys.modules["mtlkit.diagnostics.diagnose"]
    none = Evidence("signal", "absent", "No signal was found.", 0.0, (-0.1, 0.1))
    skill = Evidence("skill", "found" if seen else "absent", "", 0.9 * seen, (0.0, 1.0))
    given = {"signal": none, "skill": Evidence("skill", "absent", "")}
    found = {**given, **module._of_users_model(given, skill)}
    assert found["signal"].found == seen
    assert ("But the model predicts" in found["signal"].text) == seen


class FakeProbe:
    """Stands in for a probe of the model, and remembers what it was given."""

    def __init__(self, *names):
        self.names, self.given = names, []

    def probe(self, model, **given):
        self.given.append({"model": model, **given})
        found = tuple(Evidence(name, "absent", "", 0.0, (0.0, 0.0)) for name in self.names)
        return found if len(found) > 1 else found[0]


def set_steps(monkeypatch, steps):
    """Puts other probes of the model in place, by their shares; the first is of the ceiling."""
    monkeypatch.setattr(_model_steps, "ceiling", steps[0][0])
    made = tuple(_model_steps.ModelStep(probe, probe.names, share) for probe, share in steps)
    monkeypatch.setattr(_model_steps, "MODEL_STEPS", made)


def test_probes_share_the_data_and_the_time(model, monkeypatch):
    gap, rest = FakeProbe("model_gap"), FakeProbe("optimizer", "under_trained")
    set_steps(monkeypatch, [(gap, 0.25), (rest, 0.5)])
    x_val, y_val = bright_rows(60, seed=9)
    held = x_val, {"pose": y_val, "shade": x_val.mean(axis=(1, 2, 3))}
    found = diagnose(model, X, LABELS, "pose", validation_data=held, budget=1e4, seed=3, verbose=0)
    assert found.setup["left_out"] == [] and found.verdict.limit == "healthy"
    (first,), (second,) = gap.given, rest.given
    for given in (first, second):
        assert given["model"] is model and given["task"] == "pose" and given["seed"] == 3
        assert given["x"] is X and given["x_val"] is held[0]
        assert all(given["y_val"][name] is labels for name, labels in held[1].items())
    assert 2400 < first["budget"] <= 2500 and 4800 < second["budget"] <= 5000
    assert "ceiling" not in first and second["ceiling"].name == "model_gap"


@pytest.fixture
def quick(monkeypatch):
    """Stands in for the part that looks at the data; returns what it was given."""
    module = sys.modules["mtlkit.diagnostics.diagnose"]
    given = {}

    def run_data_steps(steps, samples):
        given.update(images=samples.inputs, labels=samples.labels, others=samples.others)
        given["held"] = samples.validation
        steps.note(
            Evidence("signal", "found", "", 0.5, (0.4, 0.6)), Evidence("imbalance", "absent", "")
        )

    monkeypatch.setattr(module, "run_data_steps", run_data_steps)
    return given


def costly(probe, spent, seconds):
    """A probe that spends so many seconds."""

    def run(*args, **kwargs):
        spent.seconds += seconds
        return probe(*args, **kwargs)

    return run


def test_what_is_left_of_a_small_budget_is_used(model, quick, monkeypatch):
    fakes = [FakeProbe("model_gap"), FakeProbe("a", "b"), FakeProbe("interference")]
    set_steps(monkeypatch, [(one, 0.25) for one in fakes])
    spent = SimpleNamespace(seconds=0.0)
    clock = SimpleNamespace(process_time=lambda: spent.seconds)
    for name in ("diagnose", "_steps"):
        monkeypatch.setattr(sys.modules[f"mtlkit.diagnostics.{name}"], "time", clock)
    monkeypatch.setattr(sys.modules["mtlkit.diagnostics.diagnose"], "_wired_wrong", lambda *_: ())
    for fake, seconds in zip(fakes, (16.0, 14.0, 0.0), strict=True):
        monkeypatch.setattr(fake, "probe", costly(fake.probe, spent, seconds))
    held = (X, LABELS)
    found = diagnose(model, X, LABELS, "pose", validation_data=held, budget=35, verbose=0)
    assert [one.given[0]["budget"] for one in fakes[:2]] == [15, 15] and not fakes[2].given
    assert found.setup["left_out"] == ["interference"]
    assert "of 35 CPU-seconds 5.0 are left, and this needs 15" in (
        found.evidence["interference"].text
    )


class Undecided(FakeProbe):
    """A probe that decides once it trains for four times as long."""

    def probe(self, model, **given):
        super().probe(model, **given)
        status = "found" if given["longer"] == 4 else "unclear"
        return tuple(Evidence(name, status, "", 0.2, (0.1, 0.3)) for name in self.names)


@pytest.mark.parametrize("open_question", [True, False])
def test_seconds_that_remain_are_spent_on_the_open_question(
    model, quick, monkeypatch, open_question
):
    gap = FakeProbe("model_gap")
    other = Undecided("optimizer", "under_trained") if open_question else FakeProbe("optimizer")
    set_steps(monkeypatch, [(gap, 0.25), (other, 0.5)])
    found = diagnose(model, X, LABELS, "pose", validation_data=(X, LABELS), budget=1e4, verbose=0)
    asked = [one["longer"] for one in other.given]
    assert asked == ([1, 2, 4] if open_question else [1])
    assert other.given[-1]["budget"] > (9e3 if open_question else 4e3)
    assert len(gap.given) == 1
    assert found.verdict.limit == ("model" if open_question else "healthy")


@pytest.mark.parametrize(("normalize", "share"), [(True, 0.5), (False, 0.95)])
def test_raw_inputs_get_the_time_that_a_training_takes(normalize, share, monkeypatch):
    gap, training = FakeProbe("model_gap"), FakeProbe("optimizer", "input_scale")
    monkeypatch.setattr(_model_steps, "training_health", training)
    set_steps(monkeypatch, [(gap, 0.25), (training, 0.5)])
    trunk = mtl.backbones.ConvBackbone((8, 8, 1), filters=(4,), normalize=normalize)
    model = mtl.MultiTaskModel(trunk, mtl.Task("pose", mtl.heads.ClassificationHead(8)))
    model.compile("adam", jit_compile=False)
    bright, y = 5 + X, {"pose": Y}
    if normalize:
        trunk.adapt(bright)
    diagnose(model, bright, y, "pose", validation_data=(bright, y), budget=1e4, verbose=0)
    (given,) = training.given
    assert given["budget"] == pytest.approx(share * 1e4, rel=0.02)


def test_angles_are_looked_at_as_bins():
    head = mtl.heads.OrientationHead(9, "pool", labels="degrees")
    backbone = mtl.backbones.ConvBackbone((8, 8, 1), filters=(4,))
    model = mtl.MultiTaskModel(backbone, mtl.Task("pose", head))
    model.compile("adam", jit_compile=False)
    angles = np.where(np.arange(300) == 5, np.nan, 40.0 * Y + 3)
    found = diagnose(model, X, {"pose": angles}, "pose", budget=5, verbose=0)
    assert found.evidence["confusion"].details["matrix"].shape == (9, 9)
    assert found.evidence["signal"].samples == 299 and found.evidence["signal"].effect > 0.5


@pytest.mark.parametrize("missing", [(), (3, 7)])
def test_whole_numbers_of_a_head_of_values_are_values(model, quick, missing):
    ages = np.random.default_rng(0).permutation(np.arange(1, 301))
    ages[list(missing)] = -1
    diagnose(model, X, {"shade": ages, "pose": Y}, "shade", budget=1, verbose=0)
    assert quick["labels"].dtype == "float64" and quick["others"]["pose"].dtype == "int64"
    assert np.flatnonzero(np.isnan(quick["labels"])).tolist() == list(missing)


def test_a_task_with_several_labels_is_context_and_is_not_diagnosed(quick):
    tags = (np.arange(900).reshape(300, 3) % 4) - 1
    tags = np.minimum(tags, 1)
    head = mtl.heads.MultiLabelHead(3)
    backbone = mtl.backbones.ConvBackbone((8, 8, 1), filters=(4,))
    tasks = [mtl.Task("pose", mtl.heads.ClassificationHead(9)), mtl.Task("tags", head)]
    model = mtl.MultiTaskModel(backbone, tasks)
    model.compile("adam", jit_compile=False)
    labels = {"pose": Y, "tags": tags}
    diagnose(model, X, labels, "pose", budget=1, verbose=0)
    assert quick["others"]["tags"].dtype == "float64"
    with pytest.raises(ValueError, match="Task 'tags'.*Received: a MultiLabelHead, with several"):
        diagnose(model, X, labels, "tags", budget=1, verbose=0)


def test_a_model_with_several_inputs(quick):
    head = mtl.heads.ClassificationHead
    model = mtl.MultiTaskModel(
        mtl.backbones.ConvBackbone((8, 8, 1), filters=(4,)),
        [
            mtl.Task("half", head(2)),
            mtl.Task("pose", head(8), condition_on="half", condition_from="data"),
        ],
    )
    model.compile("adam", jit_compile=False)
    x, y = {"image_input": X, "half_prediction": np.eye(2)[Y // 4]}, {"pose": Y, "half": Y // 4}
    diagnose(model, x, y, "pose", validation_data=(x, y), budget=1, verbose=0)
    assert quick["images"] is X and quick["held"][0] is X
    with pytest.raises(ValueError, match="Expected x with the backbone's input 'image_input'"):
        diagnose(model, {"image": X}, y, "pose", verbose=0)
    with pytest.raises(ValueError, match="Expected 2 input.*Received: 1"):
        diagnose(model, X, y, "pose", verbose=0)


def test_a_model_that_cannot_be_copied(quick):
    class Own(keras.layers.Layer):
        def call(self, inputs):
            return inputs

    model = mtl.MultiTaskModel(
        keras.Sequential([keras.Input((8, 8, 1)), Own()]),
        mtl.Task("pose", mtl.heads.ClassificationHead(8, "flatten")),
    )
    model.compile("adam", jit_compile=False)
    with pytest.raises(ValueError, match="Expected a model that can be rebuilt"):
        diagnose(model, X, {"pose": Y}, "pose", verbose=0)
    assert not quick


@pytest.mark.parametrize(
    ("given", "task", "message"),
    [
        (user(), "size", r"Expected a task out of \['pose', 'shade'\]. Received: task='size'"),
        (user(compiled=False), "pose", "Expected a compiled model"),
        (keras.Sequential([keras.layers.Dense(1)]), "pose", "Expected a compiled model"),
        (None, "pose", "MultiTaskModel.*Received: NoneType"),
    ],
)
def test_models_that_cannot_be_diagnosed(given, task, message):
    with pytest.raises(ValueError, match=message):
        diagnose(given, X, LABELS, task, verbose=0)


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (X, {"shade": LABELS["shade"]}, "Task 'pose': expected labels in y"),
        (X, {"pose": 0 * Y}, "Task 'pose'.*at least two values"),
        (X[:40], {"pose": Y[:40]}, "Task 'pose'.*at least 50"),
        (np.where(X[5] == X, np.nan, X), LABELS, "finite values in x.*1 of 300"),
        (X, {"pose": Y[:-1]}, "Task 'pose': expected labels of shape"),
        (X, Y, "Task 'pose': expected y as a dict by task.*Received: ndarray"),
        (X, {"pose": np.where(Y == 0, 12, Y)}, "Task 'pose': expected integer labels in 0...7"),
        (X, {"pose": np.where(Y == 0, np.nan, Y)}, "Task 'pose': expected integer labels"),
        (X[:, :7], LABELS, r"images of shape \(samples, 8, 8, 1\)"),
    ],
)
def test_bad_input(model, x, y, message):
    with pytest.raises(ValueError, match=message):
        diagnose(model, x, y, "pose", verbose=0)


@pytest.mark.parametrize("budget", [0, -1, np.inf, np.nan, "20", None, True])
def test_budgets(model, budget):
    with pytest.raises(ValueError, match="Expected a budget.*Received: budget="):
        diagnose(model, X, LABELS, "pose", budget=budget, verbose=0)


@pytest.mark.parametrize(
    ("held", "message"),
    [
        ((X, LABELS, None), "Expected validation_data as a pair.*Received: tuple of 3 parts"),
        (object(), "Expected validation_data as a pair.*Received: object"),
        ((X, Y), "Task 'pose': expected y_val as a dict by task"),
        ((X, {"shade": Y}), "Task 'pose': expected labels in y_val"),
        ((X[:, :7], LABELS), "in the validation data"),
        ((X, {"pose": Y + 5}), "Task 'pose': expected integer labels.*in the validation data"),
    ],
)
def test_bad_validation_data(model, quick, held, message):
    with pytest.raises(ValueError, match=message):
        diagnose(model, X, LABELS, "pose", validation_data=held, verbose=0)
    assert not quick


def test_labels_of_pixels_are_no_context_and_are_not_diagnosed(quick):
    backbone = mtl.backbones.ConvBackbone((8, 8, 1), filters=(4,))
    mask = mtl.Task("mask", mtl.heads.DenseHead(num_classes=2, channels=4))
    tasks = [mtl.Task("pose", mtl.heads.ClassificationHead(9)), mask]
    model = mtl.MultiTaskModel(backbone, tasks)
    model.compile("adam", jit_compile=False)
    pixels = (np.arange(len(X) * 64) % 3).reshape(-1, 8, 8) - 1
    labels = {"pose": Y, "mask": pixels}
    diagnose(model, X, labels, "pose", budget=1, verbose=0)
    assert "mask" not in quick["others"]
    with pytest.raises(ValueError, match="Task 'mask'.*Received: a DenseHead, with one for each p"):
        diagnose(model, X, labels, "mask", budget=1, verbose=0)
    assert "no_labels" not in [p.name for p in mtl.diagnostics.preflight(model, X, labels).problems]
    rows = {row.task: row.next for row in mtl.diagnostics.triage(model, X, labels).rows}
    assert rows["mask"].startswith("look at its predictions: it has a label for each pixel")
