from types import SimpleNamespace

import numpy as np
import pytest

from mtlkit.diagnostics import Evidence, decide
from mtlkit.diagnostics.verdict._second_opinions import with_second_opinion


def one(kind, effect, status="found", low=0.0, high=1.0, name="class_overlap", **fields):
    """A reference, and what it says."""
    return SimpleNamespace(
        kind=SimpleNamespace(name=kind, says=kind),
        skill=fields.get("skill", 0.5),
        accuracy=fields.get("accuracy", 0.5),
        smaller=SimpleNamespace(accuracy=fields.get("before", 0.4)),
        num_classes=fields.get("num_classes", 8),
        says=Evidence(name, status, "", effect, (low, high), threshold=0.05),
    )


def asked(best, *others):
    panel = SimpleNamespace(
        best=best,
        independent=list(others),
        references={other.kind.name: other for other in others},
    )
    return with_second_opinion(best.says, lambda reference: reference.says, panel)


def test_what_another_reference_finds_is_believed():
    found = asked(one("patches", 0.2), one("kernel", 0.25), one("neighbours", 0.9))
    assert found.found and list(found.details["second_opinions"]) == ["kernel"]


@pytest.mark.parametrize(
    "other",
    [one("kernel", 0.6), one("kernel", 0.2, "unclear"), one("kernel", 0.0, "absent", high=0.01)],
)
def test_what_none_confirms_is_left_open(other):
    found = asked(one("patches", 0.2), other)
    assert found.status == "unclear" and found.details["weak_reference"]
    assert "weak reference" in found.text and "kernel" in found.text
    signal = Evidence("signal", "found", "", 0.4, (0.3, 0.5), details={"score": 0.5})
    verdict = decide({"signal": signal, "class_overlap": found}, "pose")
    assert verdict.causes == () and verdict.limit == "undetermined"
    assert verdict.undetermined == ("class_overlap", "weak_reference")
    assert "features=" in verdict.missing


def test_a_nearly_perfect_reference_is_believed_alone():
    best = one("patches", 0.2, skill=0.9, accuracy=0.91, before=0.9)
    assert asked(best, one("kernel", 0.0, "absent", high=0.01)).found
    still_learning = one("patches", 0.2, skill=0.9, accuracy=0.91, before=0.8)
    assert not asked(still_learning, one("kernel", 0.0, "absent", high=0.01)).found


def test_noise_among_many_classes_needs_no_confirmation_but_no_contradiction():
    noise = {"name": "uniform_noise"}
    best = one("patches", 0.2, low=0.15, **noise)
    unsure = one("kernel", 0.1, "unclear", high=0.3, **noise)
    assert asked(best, unsure).found
    # Near the borders of classes, mistakes make a low rate.
    assert asked(one("patches", 0.1, low=0.06, **noise), unsure).status == "unclear"
    assert asked(one("patches", 0.1, low=0.06, **noise), one("kernel", 0.09, **noise)).found
    nothing = one("kernel", 0.0, "absent", high=0.02, **noise)
    assert asked(best, nothing, nothing).status == "unclear"
    few = one("patches", 0.2, num_classes=3, **noise)
    assert asked(few, one("kernel", 0.1, "unclear", high=0.3, **noise)).status == "unclear"


def test_a_surer_reference_is_heard():
    noise = {"name": "uniform_noise"}
    unsure = one("patches", 0.18, "unclear", high=0.3, **noise)
    found = asked(unsure, one("kernel", 0.2, low=0.1, high=0.25, **noise))
    assert found.found and found.effect == 0.2
    assert asked(unsure, one("kernel", 0.4, low=0.3, high=0.5, **noise)).status == "unclear"


def test_other_evidence_is_not_asked_for():
    best = one("patches", 0.2, name="signal")
    assert asked(best, one("kernel", 0.9, name="signal")) is best.says


@pytest.mark.parametrize("classes", [2, 3, 5])
@pytest.mark.parametrize("rate", [0.0, 0.2])
def test_the_rate_of_few_classes(classes, rate):
    """Where images are easy for some samples and hard for others, of any number of classes."""
    from mtlkit.diagnostics.data_probes import uniform_noise
    from mtlkit.references import Reference

    rng = np.random.default_rng(0)
    clean = rng.integers(classes, size=3000)
    x = rng.normal(size=(3000, classes + 3)).astype("float32")
    x[np.arange(3000), clean] += rng.uniform(0, 8, size=3000)  # many are hard to tell
    wrong = rng.random(3000) < rate
    y = np.where(wrong, (clean + rng.integers(1, classes, 3000)) % classes, clean)
    found = uniform_noise(x, y, reference=Reference(x, y, kind="kernel"))
    low, high = found.interval
    assert low - 0.02 <= wrong.mean() <= high + 0.02
    if rate:
        assert abs(found.effect - wrong.mean()) < 0.08
    else:
        assert not found.found
