import numpy as np
import pytest

from mtlkit.diagnostics.data_probes import label_leak, needs_context


def stripes(samples=800, seed=0):
    """Images whose bright row tells a digit of 0-3."""
    rng = np.random.default_rng(seed)
    row = rng.integers(4, size=samples)
    x = 0.1 * rng.random((samples, 12, 12, 1), dtype="float32")
    x[np.arange(samples), 3 * row + 1] += 1
    return x, row, rng


def test_a_context_that_the_image_does_not_show():
    x, row, rng = stripes()
    context = rng.integers(4, size=800)
    found = needs_context(x, (row + context) % 4, {"context": context, "row": row})
    assert found.found and found.details["task"] == "context"
    arms = {arm: one["accuracy"] for arm, one in found.details["arms"].items()}
    assert arms["true"] > 0.9
    for arm in ("image", "predicted", "shuffled", "alone"):
        assert arms[arm] == pytest.approx(0.25, abs=0.08)
    assert found.details["gain_predicted"] == pytest.approx(0, abs=0.08)


def test_a_context_that_the_image_shows_is_none():
    x, row, rng = stripes()
    column = rng.integers(4, size=800)
    x[np.arange(800), :, 3 * column + 1] += 1
    found = needs_context(x, (row + column) % 4, {"column": column})
    assert found.status == "absent"
    assert found.details["arms"]["image"]["accuracy"] > 0.95


def test_a_context_that_the_image_shows_in_part_is_open():
    """A better model may read the rest of it."""
    x, row, rng = stripes()
    column = rng.integers(4, size=800)
    seen = np.flatnonzero(rng.random(800) < 0.4)
    x[seen, :, 3 * column[seen] + 1] += 1
    found = needs_context(x, (row + column) % 4, {"column": column})
    assert found.status == "unclear" and "enough of column" in found.text
    assert found.interval[0] > found.threshold and found.details["shown"]


def test_a_context_that_turns_what_the_image_shows_around():
    """Neither the image nor the context weighs anything alone; neighbours within a context do."""
    x, row, rng = stripes()
    column, context = rng.integers(4, size=800), rng.integers(2, size=800)
    x[np.arange(800), :, 3 * column + 1] += 1
    found = needs_context(x, (row + column) % 2 ^ context, {"context": context})
    assert found.found and found.details["arms"]["true"]["accuracy"] > 0.95


def test_an_unrelated_task_adds_nothing():
    x, row, rng = stripes()
    other = rng.integers(3, size=800)
    assert needs_context(x, row, {"other": other}).status == "absent"
    assert label_leak(row, {"other": other}).status == "absent"


def test_a_task_that_gives_the_label_away_is_a_leak_and_no_context():
    x, _, rng = stripes()
    noise = 0.9 * rng.random(x.shape).astype("float32")
    y = rng.integers(4, size=800)
    told = np.where(rng.random(800) < 0.8, y, rng.integers(4, size=800))
    assert needs_context(x + noise, y, {"told": told}).status == "unclear"
    found = label_leak(y, {"told": 3 - told})
    assert found.status == "unclear" and found.p_value <= 0.001  # as of related tasks
    # 80 % are told, a quarter of the others by luck; a guess has a quarter.
    assert found.effect == pytest.approx(0.85 - 0.25, abs=0.06)
    again = np.where(rng.random(800) < 0.98, y, rng.integers(4, size=800))
    assert label_leak(y, {"again": 3 - again}).found


def test_a_related_label_that_changes_no_guess_is_no_context_for_certain():
    """Two rare findings of a common cause: the other one makes neither the more likely guess."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2000, 4)).astype("float32")
    hidden = rng.normal(size=2000)
    y, other = ((1.2 * hidden + rng.normal(size=2000) > 1.6).astype(int) for _ in range(2))
    found = needs_context(x, y, {"other": other})
    assert found.details["leaks"] and not found.found


def test_mutual_information_by_hand():
    y = np.tile([0, 1, 2, 3], 100)
    found = label_leak(y, {"half": y // 2})
    assert found.details["bits"] == pytest.approx(1)
    assert found.details["bits_by_luck"] == pytest.approx(3 / (2 * 400 * np.log(2)), rel=0.2)


@pytest.mark.parametrize("exceptions", [0, 1, 80])
def test_related_tasks_may_give_each_other_away(exceptions):
    fine = np.tile(np.arange(8), 50)
    coarse = fine // 4
    coarse[:exceptions] = 1
    for y, other in ((fine, coarse), (coarse, fine)):
        found = label_leak(y, {"other": other, "chance": np.arange(400) // 8 % 2})
        assert found.status == "unclear" and found.details["task"] == "other"
        assert "related" in found.text


def test_a_task_under_another_name_is_a_leak():
    y = np.tile(np.arange(8), 50)
    assert label_leak(y, {"again": 7 - y, "half": y // 2}).found


def test_missing_labels_and_values_are_left_aside():
    x, row, rng = stripes()
    context = rng.integers(4, size=800)
    y = (row + context) % 4
    partly = np.where(np.arange(800) < 400, context, -1)
    found = needs_context(x, y, {"partly": partly, "value": rng.random(800)})
    assert found.samples == 400 and list(found.details["tasks"]) == ["partly"]
    assert needs_context(x, y, {"value": rng.random(800)}).status == "not_tested"
    with pytest.raises(ValueError, match="800 labels for task 'short'"):
        needs_context(x, y, {"short": context[:-1]})


def test_association_within_classes():
    """Samples that are hard for both tasks: right together, also within each class."""
    x, row, rng = stripes()
    hard = rng.random(800) < 0.4
    x[hard] = rng.random((int(hard.sum()), 12, 12, 1), dtype="float32")
    other = row // 2
    found = needs_context(x, row, {"other": other}).details["tasks"]["other"]["association"]
    assert found["right_if_other_right"] > found["right_if_other_wrong"]
    assert found["p"] < 0.01
