import numpy as np
import pytest

from mtlkit.diagnostics.data_probes._uncertainty import uncertainty, uncertainty_of


def bright_top(samples=400, noise=0.0, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.integers(2, size=samples)
    x = 0.1 * rng.random((samples, 12, 12, 1), dtype="float32")
    x[y == 1, :6] += 1
    return x, np.where(rng.random(samples) < noise, 1 - y, y), rng


def test_clear_classes_leave_no_doubt():
    x, y, _ = bright_top()
    found = uncertainty(x, y)
    assert found.status == "described" and found.details["entropy"]["total"] < 0.2


def test_wrong_labels_are_aleatoric():
    x, y, _ = bright_top(noise=0.25)
    entropy = uncertainty(x, y).details["entropy"]
    expected = -(0.25 * np.log2(0.25) + 0.75 * np.log2(0.75))
    assert entropy["aleatoric"] == pytest.approx(expected, abs=0.2)
    assert entropy["epistemic"] < 0.25 * entropy["aleatoric"]
    assert entropy["total"] == pytest.approx(entropy["aleatoric"] + entropy["epistemic"])


def test_a_guess_is_said_to_be_one():
    x, _, rng = bright_top()
    found = uncertainty(x, rng.integers(2, size=400))
    assert found.details["share_of_a_guess"] > 0.9 and "guess" in found.text


def test_calibration_of_given_probabilities():
    """Twice too sure: the temperature brings it back."""
    x, _, rng = bright_top(samples=800)
    logit = rng.normal(size=800)
    y = (rng.random(800) < 1 / (1 + np.exp(-logit))).astype(int)

    def probabilities(scale):
        p = 1 / (1 + np.exp(-scale * logit))
        return np.stack([1 - p, p], axis=1)

    right = uncertainty(x, y, probabilities=probabilities(1))
    sure = uncertainty(x, y, probabilities=probabilities(4))
    assert right.details["temperature"] == pytest.approx(1, abs=0.25)
    assert sure.details["temperature"] == pytest.approx(4, rel=0.25)
    assert sure.effect > right.effect and sure.interval[0] > sure.null
    assert sum(one["samples"] for one in sure.details["bins"]) == 800


def test_calibration_error_by_hand():
    x, _, _ = bright_top(samples=100)
    y = np.repeat([0, 1], 50)
    probabilities = np.tile([[0.9, 0.1]], (100, 1))  # sure of 0, right half of the time
    assert uncertainty(x, y, probabilities=probabilities).effect == pytest.approx(0.4)


def test_the_entropy_of_a_models_predictions():
    x, y, _ = bright_top(samples=200, noise=0.0)
    sure, unsure = np.array([0.99, 0.01]), np.array([0.4, 0.6])
    probabilities = np.where(
        (np.arange(200) % 4 > 0)[:, None], np.eye(2)[y] @ [sure, sure[::-1]], 0
    )
    wrong = np.arange(200) % 4 == 0
    probabilities[wrong] = np.eye(2)[y[wrong]] @ [unsure, unsure[::-1]]
    found = uncertainty(x, y, probabilities=probabilities)
    entropy = found.details["entropy"]

    def of(p):
        return -float((p * np.log2(p)).sum())

    assert entropy["where_right"] == pytest.approx(of(sure))
    assert entropy["where_wrong"] == pytest.approx(of(unsure))
    assert entropy["total"] == pytest.approx(0.75 * of(sure) + 0.25 * of(unsure))
    assert "0.08 where they are right, 0.97 where they are wrong" in found.text
    assert found.details["ensemble"]["epistemic"] < 0.1
    assert uncertainty_of(probabilities, y).effect == pytest.approx(found.effect)
