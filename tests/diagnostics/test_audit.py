import json
import sys

import numpy as np
import pytest
from diagnostics.made_images import blobs, bright_rows, flipped
from objects_and_poses import objects_and_poses

import mtlkit as mtl
from mtlkit.diagnostics import Evidence, audit
from mtlkit.diagnostics.causes import RULES

X, Y = bright_rows(300)


def of(y=Y, task="pose", x=X, **options):
    return audit(x, y, task, verbose=0, **options)


def causes(found):
    return [cause.name for cause in found.verdict.causes]


@pytest.fixture(scope="module")
def clean():
    return of()


def test_nothing_is_wrong(clean):
    assert clean.verdict.limit == "healthy" and clean.evidence["signal"].found
    assert clean.recommendations == () and clean.task == "pose"
    assert clean.evidence["invalid_split"].status == "not_tested"
    assert "needs_context" not in clean.evidence  # there is no other task


def test_several_values_at_a_time():
    halves = np.stack([X[:, :4].mean(axis=(1, 2, 3)), X[:, 4:].mean(axis=(1, 2, 3))], axis=1)
    halves[3] = np.nan  # unlabelled
    found = of(halves)
    assert found.evidence["signal"].found and found.evidence["signal"].samples == 299
    assert found.evidence["gallery"].details["labels"]


def test_every_cause_in_the_data_was_looked_for(clean):
    wanted = {rule.cause for rule in RULES if rule.limit == "data"}
    missing = wanted - set(clean.evidence) - {"no_signal"}
    # Those two ask other tasks, or held-out samples, as does the third.
    assert missing == {"needs_context", "label_leak", "unseen_classes"}


def test_numbers_are_plain_and_cost_is_told(clean):
    for name, one in clean.evidence.items():
        assert one.name == name and one.text
        assert one.effect is None or type(one.effect) is float
        assert one.interval is None or [type(end) for end in one.interval] == [float, float]
    assert clean.setup["seed"] == 0 and clean.setup["samples"] == 300
    assert clean.setup["cpu_seconds"] >= 0 and "numpy" in clean.setup


def test_json_holds_everything(clean, tmp_path):
    text = clean.to_json(tmp_path / "found.json")
    read = json.loads(text)
    assert read == json.loads((tmp_path / "found.json").read_text()) == clean.to_dict()
    assert read["verdict"]["limit"] == "healthy" and set(read["evidence"]) == set(clean.evidence)
    assert read["evidence"]["signal"]["effect"] == clean.evidence["signal"].effect


def test_it_is_printed(clean, capsys):
    clean.show()
    said = capsys.readouterr().out
    assert said.replace("\n", " ").startswith(clean.verdict.sentence)
    assert all(name in said for name in clean.evidence)


def test_a_printed_diagnosis_fits_a_hundred_columns():
    found = of(np.random.default_rng(0).permutation(Y))
    said = str(found).splitlines()
    assert max(map(len, said)) <= 100
    assert " ".join(said).startswith(found.verdict.sentence)
    # Rows that matter less are printed on request only.
    assert said[-1].endswith("more rows: found.show()")
    assert not any(line.startswith("gallery") for line in said)
    assert any(line.startswith("signal") for line in said)


def test_permuted_labels_have_no_signal_and_are_not_noise():
    found = of(np.random.default_rng(0).permutation(Y))
    assert causes(found) == ["no_signal"] and found.verdict.limit == "data"
    assert [one.cause for one in found.recommendations] == ["no_signal"]


def measured(found):
    """All of it but what it cost."""
    told = found.to_dict()
    del told["setup"]["cpu_seconds"]
    for one in told["evidence"].values():
        del one["seconds"]
    return told


def test_determined_by_the_seed(clean):
    assert measured(of(seed=0)) == measured(clean)
    other = measured(of(seed=1))
    assert other["evidence"]["signal"] != measured(clean)["evidence"]["signal"]


def test_values():
    shade = (X[:, :4].mean(axis=(1, 2, 3)) - X[:, 4:].mean(axis=(1, 2, 3))).astype("float32")
    found = of({"shade": shade, "pose": Y}, "shade")
    assert found.evidence["signal"].found and found.verdict.limit != "undetermined"
    assert "uniform_noise" not in found.evidence
    assert not {"uniform_noise", "structured_noise", "imbalance"} & set(causes(found))
    noise = np.random.default_rng(0).random(300)
    assert causes(of(noise, "noise")) == ["no_signal"]


def test_unlabelled_samples_are_left_out():
    half = np.where(np.arange(300) % 2, -1, Y)
    kept = of(half).evidence
    alone = of(Y[::2], x=X[::2]).evidence
    assert kept["signal"].samples == 150
    assert kept["signal"].effect == alone["signal"].effect
    values = np.where(np.arange(300) % 2, np.nan, Y + 0.5)
    assert of(values).evidence["signal"].samples == 150


def test_copies_are_numbered_as_the_user_does():
    x, labels = X.copy(), np.where(np.arange(300) % 2, -1, Y)
    x[100], labels[100] = x[40], (labels[40] + 1) % 4
    details = of(labels, x=x).evidence["duplicates"].details
    assert details["groups"] == details["tasks"]["pose"]["rows"] == [[40, 100]]


def test_other_tasks_may_have_missing_labels():
    others = {
        "class": np.where(Y == 0, -1, Y),
        "value": np.where(Y == 0, np.nan, 0.5),
        "none": np.full(300, -1),
        "box": np.random.default_rng(0).random((300, 4)),
    }
    found = of({"pose": Y, **others})
    assert found.evidence["signal"].found
    skill = found.evidence["skill"].details
    assert set(skill["tasks"]) == {"pose", "box"}
    assert set(skill["not_scored"]) == {"class", "value", "none"}
    # Where it has a label, "class" is the pose itself.
    known = int((Y != 0).sum())
    for name in ("label_leak", "needs_context"):
        assert found.evidence[name].details["task"] == "class"
        assert found.evidence[name].samples == known
    assert causes(found) == ["label_leak"]


def test_copies_in_the_validation_data():
    held = X[:60], {"pose": np.where(np.arange(60) < 5, -1, Y[:60])}
    found = of(x=X, validation_data=held)
    assert causes(found) == ["invalid_split"] and found.evidence["invalid_split"].samples == 55
    fresh, labels = bright_rows(30, seed=9)
    few = of({"pose": Y}, validation_data=(fresh, {"pose": labels, "other": labels}))
    assert few.evidence["invalid_split"].status != "found"


def test_of_many_samples_no_copy_and_no_slip_is_lost(monkeypatch):
    """The images that are drawn have other neighbours than those that are stored."""
    monkeypatch.setattr(sys.modules["mtlkit.diagnostics._data_steps"], "_MOST_SAMPLES", 150)
    x, y = blobs(500, 0)
    y = np.where(np.arange(500) < 50, -1, np.roll(y, 1))
    found = of(y, x=x, validation_data=(x[:100], np.arange(100) % 4))
    assert found.evidence["signal"].samples == 150
    assert found.evidence["misaligned_labels"].details["offset"] == -1
    assert found.evidence["invalid_split"].details["exact"] == 100
    assert causes(found) == ["invalid_split"]  # nothing else can be said then


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"validation_data": (X, {"pose": np.full(300, -1)})}, "Task 'pose': expected labels in y"),
        ({"validation_data": (X, {"other": Y})}, "Task 'pose': expected labels in y_val"),
        ({"validation_data": (X * np.nan, Y)}, "finite values in x_val"),
        ({"num_classes": 4}, "Task 'pose': expected classes below num_classes=4. Received: 7"),
        ({"x_high": X * np.nan}, "finite values in x_high"),
        ({"x_high": X[:299]}, "one image for each of the 300 of x. Received: 299"),
        ({"x_high": np.concatenate([X, X])}, "one image for each of the 300.*Received: 600"),
        ({"validation_data": (X, Y, Y)}, "a pair .x_val, y_val.. Received: tuple of 3 parts"),
        ({"validation_data": X[:2]}, "a pair .x_val, y_val.. Received: ndarray"),
        ({"num_classes": "10"}, "num_classes as an integer.*Received: num_classes='10'"),
        ({"num_classes": 10.0}, "num_classes as an integer.*Received: num_classes=10.0"),
        ({"num_classes": 1}, "num_classes as an integer of at least 2.*Received: num_classes=1"),
    ],
)
def test_bad_input(options, message):
    with pytest.raises(ValueError, match=message):
        of(**options)


def test_images_that_are_all_the_same():
    assert causes(of(x=np.ones_like(X))) == ["no_signal"]


def test_noise_and_what_to_do():
    x, y = bright_rows(3000, seed=4)
    found = mtl.diagnostics.audit(x, flipped(y, "any", 0.2), "pose", verbose=0)
    assert causes(found) == ["uniform_noise"]
    assert found.evidence["uniform_noise"].effect == pytest.approx(0.2, abs=0.05)
    assert found.recommendations[0].cause == "uniform_noise"


def test_progress_is_shown_on_demand(capsys):
    audit(X[:60], Y[:60], "pose", verbose=1)
    assert "uniform_noise ... " in capsys.readouterr().out
    audit(X[:60], Y[:60], "pose", verbose=0)
    assert not capsys.readouterr().out


def test_copies_are_not_learned_by_heart():
    """Each sample twice, of images that do not tell the labels."""
    rng = np.random.default_rng(1)
    x, y = rng.random((150, 12, 12, 1), dtype="float32"), rng.integers(4, size=150)
    found = of(np.concatenate([y, y]), x=np.concatenate([x, x]))
    assert found.evidence["duplicates"].found and found.evidence["signal"].samples == 150
    assert not found.evidence["signal"].found and found.verdict.limit != "healthy"
    other = of(np.concatenate([y, (y + 1) % 4]), x=np.concatenate([x, x]))
    assert other.evidence["signal"].samples == 300  # which label is right, is not known


@pytest.mark.parametrize("names", [["a", "b"], "abcdefgh"])
def test_a_name_for_each_class(names):
    with pytest.raises(ValueError, match="Expected class_names with a name for each of 8 classes"):
        audit(X, Y, "pose", class_names=names, verbose=0)


def test_wrong_features_are_named_before_anything_is_run(capsys):
    with pytest.raises(ValueError, match="Expected features of shape"):
        audit(X, Y, "pose", features=np.ones((3, 2)))
    assert not capsys.readouterr().out


@pytest.mark.parametrize("samples", [400, 1200])
def test_a_pose_from_the_front_of_each_object_is_no_noise(samples):
    """Labels are exact, but mean something only beside the object, of which images show which."""
    x, pose, kind = objects_and_poses(samples)
    found = of({"pose": pose, "kind": kind}, x=x)
    assert not causes(found) and "needs_context" in found.verdict.undetermined
    assert "condition_on" in found.verdict.missing
    shown = found.evidence["needs_context"]
    assert shown.details["shown"] and shown.interval[0] > 0


def test_wrong_labels_are_found_beside_another_task():
    """Of poses that count from the front of each object, too, where there are enough samples."""
    x, pose, kind = objects_and_poses(2400)
    wrong = flipped(pose, "any", 0.2)
    found = of({"pose": wrong, "kind": kind}, x=x)
    assert causes(found) == ["uniform_noise"]
    assert found.verdict.causes[0].effect == pytest.approx(0.2, abs=0.05)


def test_what_only_slow_references_read_is_a_signal(monkeypatch):
    """Boosted trees are not asked of labels in other orders, but read them as they are."""
    rng = np.random.default_rng(0)
    code = rng.integers(100, size=1500)
    x = np.stack([code, rng.normal(size=1500)], axis=1).astype("float32")
    y = rng.integers(3, size=100)[code]
    absent = Evidence("signal", "absent", "No signal was found.", 0.0, (0.0, 0.0))
    monkeypatch.setattr("mtlkit.diagnostics._data_steps.signal", lambda *args, **kwargs: absent)
    found = of({"kind": y}, task="kind", x=x)
    assert found.evidence["signal"].found and "boosted trees" in found.evidence["signal"].text
    assert not causes(found)
