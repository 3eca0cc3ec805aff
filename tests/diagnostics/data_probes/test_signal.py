import numpy as np
import pytest
from diagnostics.made_images import bright_rows

from mtlkit.diagnostics import Reference
from mtlkit.diagnostics.data_probes import signal


@pytest.fixture(scope="module")
def visible():
    return Reference(*bright_rows(300))


def test_a_signal_is_found(visible):
    found = signal(visible.x, visible.y, reference=visible)
    assert found.found and found.samples == 300 and found.unit == "accuracy"
    assert found.p_value == 1 / 200  # no permutation reaches it
    assert found.details["score"] == visible.accuracy
    assert found.effect > 0.5 and found.interval[0] > 0.5
    assert abs(found.details["chance"] - 1 / 8) < 0.03
    assert len(found.details["null_scores"]) == 199


@pytest.mark.parametrize("seed", [0, 1])
def test_permuted_labels_are_none(visible, seed):
    y = np.random.default_rng(seed).permutation(visible.y)
    found = signal(visible.x, y, reference=visible.with_labels(y), permutations=99, seed=seed)
    assert found.status == "absent" and found.p_value > 0.01
    assert any(found.details["watermarks_found"].values())
    assert found.interval[0] < 0.05


def test_the_best_of_several_is_compared_with_the_best_of_permuted_labels(visible):
    """Choosing the luckiest of several references is no signal."""
    rng = np.random.default_rng(0)
    y = rng.permutation(visible.y)
    made = [Reference(rng.random((300, 8, 8, 1), dtype="float32"), y) for _ in range(4)]
    best, *rivals = sorted(made, key=lambda one: -one.accuracy)
    alone = signal(best.x, y, reference=best, permutations=99)
    among = signal(best.x, y, reference=best, rivals=rivals, permutations=99)
    assert among.p_value >= alone.p_value
    assert (among.details["null_scores"] >= alone.details["null_scores"]).all()


def test_a_weak_signal_shows_where_nearly_all_labels_are_of_one_class():
    """No sample is predicted to be of the rare class, but some are surer than others."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1500, 8))
    rare = (rng.random(1500) < 0.05 + 0.12 * (x[:, 0] > 0)).astype(int)
    made = Reference(x, rare, kind="linear")
    assert made.predicted.max() == 0
    assert signal(x, rare, reference=made, permutations=99).found
    permuted = rng.permutation(rare)
    other = made.with_labels(permuted)
    assert not signal(x, permuted, reference=other, permutations=99).found


def test_what_luck_seldom_brings_about_is_not_denied(visible, monkeypatch):
    y = np.random.default_rng(0).permutation(visible.y)
    options = {"reference": visible.with_labels(y), "permutations": 99}
    assert signal(visible.x, y, **options).status == "absent"
    monkeypatch.setattr("mtlkit.diagnostics.data_probes._signal._DOUBT", 1.0)
    found = signal(visible.x, y, **options)
    assert found.status == "unclear" and "There may be a weak one" in found.text


def test_values(visible):
    x = visible.x
    shade = x[:, :4].mean(axis=(1, 2, 3)) - x[:, 4:].mean(axis=(1, 2, 3))
    found = signal(x, shade, reference=visible.with_labels(shade), permutations=99)
    assert found.found and found.unit == "share of the variance" and found.effect > 0.3
    other = np.random.default_rng(0).random(300)
    absent = signal(x, other, reference=visible.with_labels(other), permutations=99)
    assert absent.status == "absent" and absent.effect < 0.1


def test_outliers_hide_no_signal_of_values():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1500, 5)).astype("float32")
    price = np.exp(1.5 * x[:, 0] + 1.5 * rng.standard_t(2, size=1500)).astype("float32")
    made = Reference(x, price, kind="linear")
    assert made.skill < 0.1
    found = signal(x, price, reference=made, permutations=99)
    assert found.found and 0 <= found.details["chance"] < 0.05
    other = rng.permutation(price)
    assert not signal(x, other, reference=made.with_labels(other), permutations=99).found


def test_few_values_cannot_deny_a_signal():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(25, 20)), rng.normal(size=25).astype("float32")
    found = signal(x, y, reference=Reference(x, y, kind="linear"), permutations=99)
    assert found.status == "unclear"


def test_few_samples_cannot_deny_a_signal():
    rng = np.random.default_rng(0)
    found = signal(rng.random((50, 8, 8, 1)), np.arange(50) % 25, permutations=99)
    assert found.status == "unclear" and "too weak" in found.text
    assert not any(found.details["watermarks_found"].values())


@pytest.mark.parametrize("permutations", [0, 98])
def test_a_level_that_cannot_be_reached_is_refused(visible, permutations):
    with pytest.raises(ValueError, match=f"at least 99 .*permutations={permutations}"):
        signal(visible.x, visible.y, permutations=permutations, reference=visible)


def test_determined_by_the_seed(visible):
    given = {"permutations": 99, "reference": visible}
    first, same, other = (signal(visible.x, visible.y, seed=s, **given) for s in (1, 1, 2))
    np.testing.assert_array_equal(first.details["null_scores"], same.details["null_scores"])
    assert (first.details["null_scores"] != other.details["null_scores"]).any()
