import numpy as np
import pytest

from mtlkit.diagnostics.data_probes import skill_of_tasks


@pytest.fixture(name="data", scope="module")
def three_tasks():
    rng = np.random.default_rng(0)
    top, noise = rng.integers(2, size=(2, 400))
    brightness = rng.random(400).astype("float32")
    x = 0.05 * rng.random((400, 12, 12, 1), dtype="float32")
    x[np.arange(400), (brightness * 12).astype(int)] += 1
    x[top == 1, :, :6] += 1
    return x, {"top": top, "noise": noise, "brightness": brightness}


def test_every_task_is_scored_beside_its_baseline(data):
    x, y = data
    found = skill_of_tasks(x, y)
    rows = found.details["tasks"]
    assert found.details["task"] == "noise" and found.status != "found"
    assert rows["top"]["score"] > 0.95
    assert rows["brightness"]["metric"] == "mae" and rows["brightness"]["skill"] > 0.5


def test_given_predictions_are_scored(data):
    x, y = data
    constant = np.full(400, np.median(y["brightness"]))
    found = skill_of_tasks(
        x, y, task="brightness", predictions={"brightness": constant, "top": y["top"]}
    )
    assert found.effect == 0 and found.status != "found"
    assert found.details["tasks"]["top"]["skill"] == 1
    assert [one["by"] for one in found.details["tasks"].values()] == [
        "the model",
        "the reference",
        "the model",
    ]


def test_interval_is_that_of_the_score(data):
    x, y = data
    found = skill_of_tasks(x, y, task="brightness")
    row = found.details["tasks"]["brightness"]
    assert found.interval[0] == pytest.approx(1 - row["interval"][1] / row["baseline"])
    assert found.interval[0] < found.effect < found.interval[1]


def test_unknown_task(data):
    x, y = data
    with pytest.raises(ValueError, match="labels of task 'other'"):
        skill_of_tasks(x, y, task="other")
