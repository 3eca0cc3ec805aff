import numpy as np
import pytest
from scipy.stats import norm

from mtlkit.diagnostics import Evidence, Reference
from mtlkit.diagnostics.data_probes._imbalance import _harder, confirmed, imbalance, imbalance_of


def two_gaussians(share, distance, samples=800, seed=0):
    """A rare class whose brightness overlaps, its images, and Bayes's probabilities."""
    rng = np.random.default_rng(seed)
    y = (rng.random(samples) < share).astype(int)
    value = distance * y + rng.normal(size=samples)
    x = 0.1 * rng.random((samples, 12, 12, 1), dtype="float32")
    x[:, :6] += value[:, None, None, None].astype("float32")
    rare = share * norm.pdf(value - distance)
    rare = rare / (rare + (1 - share) * norm.pdf(value))
    return x, y, np.stack([1 - rare, rare], axis=1)


def test_frequency_costs_recall_where_classes_overlap():
    x, y, probabilities = two_gaussians(0.08, 1.5)
    found = imbalance(x, y, probabilities=probabilities)
    assert found.found and found.details["of"] == "the model"
    # Bayes: thresholds in the middle instead of where the frequencies put it.
    odds = np.log(0.92 / 0.08) / 1.5
    before = (norm.cdf(0.75 + odds) + norm.sf(odds - 0.75)) / 2
    assert found.effect == pytest.approx(norm.cdf(0.75) - before, abs=0.1)


def test_a_rare_class_that_is_easily_seen_costs_nothing():
    x, y, probabilities = two_gaussians(0.08, 8)
    found = imbalance(x, y, probabilities=probabilities)
    assert found.status == "absent"
    assert found.details["ratio"] == pytest.approx(0.92 / 0.08, rel=0.3)


def test_the_reference_alone_never_blames():
    x, y, _ = two_gaussians(0.08, 1.5)
    found = imbalance(x, y)
    assert found.status in ("unclear", "absent") and found.details["of"] == "the reference"


def test_even_classes_are_even():
    x, y, probabilities = two_gaussians(0.5, 1.5)
    assert imbalance(x, y, probabilities=probabilities).status == "absent"


def test_probabilities_are_checked():
    x, y, probabilities = two_gaussians(0.3, 1)
    with pytest.raises(ValueError, match=r"shape \(800, 2\)"):
        imbalance(x, y, probabilities=probabilities[:, :1])
    with pytest.raises(ValueError, match="add up to 1"):
        imbalance(x, y, probabilities=2 * probabilities)


def sure(labels, classes, known, seed=0):
    """Probabilities that name the true class of a share `known[class]`, and class 0 else."""
    knows = np.random.default_rng(seed).random(len(labels)) < np.asarray(known)[labels]
    told = np.where(knows, labels, 0)
    return 0.9 * np.eye(classes)[told] + 0.1 / classes


LABELS = np.repeat(np.arange(6), [300, 300, 15, 15, 15, 15])


def test_rare_classes_that_no_adjustment_helps():
    found = imbalance_of(sure(LABELS, 6, [1, 0.9, 0, 0.1, 0.1, 0]), LABELS, np.bincount(LABELS))
    assert found.found and found.details["gain_of_adjustment"] < found.effect
    right = {one: found.details[f"recall_of_{one}"] for one in ("rare", "frequent")}
    assert found.effect == right["frequent"] - right["rare"]
    assert right["frequent"] == pytest.approx(0.95, abs=0.02) and right["rare"] < 0.15
    assert found.threshold == pytest.approx(right["frequent"] / 2)
    assert found.interval[0] < found.effect < found.interval[1]


@pytest.mark.parametrize(
    ("known", "status"),
    [([1, 1, 0.95, 1, 1, 1], "absent"), ([1, 0.9, 0.5, 0.4, 0.5, 0.5], "unclear")],
)
def test_rare_classes_that_are_known_well_or_half(known, status):
    assert imbalance_of(sure(LABELS, 6, known), LABELS, np.bincount(LABELS)).status == status


def test_few_rare_samples_say_nothing_of_rare_classes():
    labels = np.repeat([0, 1, 2], [60, 60, 2])
    found = imbalance_of(sure(labels, 3, [1, 1, 0]), labels, [3000, 3000, 100])
    assert found.status == "unclear"


def before(unit: str, **details) -> Evidence:
    """What a reference showed of rare classes."""
    return Evidence("imbalance", "unclear", "Uneven.", details={"unit": unit, **details})


@pytest.mark.parametrize(
    ("shown", "status"),
    [
        (before("recall", harder=0.1), "found"),
        (before("recall", harder=0.8), "unclear"),
        (before("recall", harder=None), "unclear"),
        (before("mean recall", harder=0.1), "found"),
        (before("mean recall", harder=0.8), "unclear"),
        (Evidence("imbalance", "unclear", "Uneven.", details={"harder": 0.1}), "found"),
        (Evidence("imbalance", "unclear", "Uneven."), "unclear"),
    ],
)
def test_a_lag_is_rarity_only_if_a_reference_shows_the_same(shown, status):
    found = imbalance_of(sure(LABELS, 6, [1, 0.9, 0, 0.1, 0.1, 0]), LABELS, np.bincount(LABELS))
    assert found.unit == "recall"
    confirmed_one = confirmed(found, shown)
    assert confirmed_one.status == status
    assert (confirmed_one is found) == (status == "found")


@pytest.mark.parametrize("hard", [False, True])
def test_rare_classes_that_are_hard_by_themselves(hard):
    """Where all classes are equally few, hard ones are still not known, and rare ones are."""
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(4), [400, 400, 60, 60])
    shown = np.where((y > 1) & hard, rng.permutation(y), y)
    x = rng.normal(size=(len(y), 6)).astype("float32") * 0.6
    x[np.arange(len(y)), shown] += 2
    share = _harder(Reference(x, y), np.bincount(y), seed=0)
    assert share > 0.5 if hard else share < 0.3


def test_what_a_reference_does_not_recall_a_model_may():
    reference = Reference(np.random.default_rng(0).random((len(LABELS), 8, 8, 1)), LABELS)
    reference.probabilities = sure(LABELS, 6, [1, 0.9, 0, 0.1, 0.1, 0])
    found = imbalance(reference.x, LABELS, reference=reference)
    assert found.status == "unclear" and found.interval[0] > found.threshold
    assert "of rare classes the reference knows" in found.text
    assert found.text.endswith("only the predictions of a better model show whether it needs help.")
