"""Held-out classes that no training sample has."""

import numpy as np
import pytest

from mtlkit.diagnostics import audit, decide
from mtlkit.diagnostics.data_probes import unseen_classes
from mtlkit.diagnostics.evidence import Evidence

Y = np.arange(300) % 5


@pytest.mark.parametrize(
    ("y_val", "status", "classes"),
    [
        (np.arange(200) % 6, "found", [5]),
        (np.arange(200) % 5, "absent", []),
        (np.where(np.arange(60) < 2, 7, 0), "unclear", [7]),
        (np.where(np.arange(60) < 50, -1, 9), "found", [9]),
        (np.full(20, -1), "not_tested", None),
    ],
)
def test_the_share_of_what_no_classifier_can_name(y_val, status, classes):
    found = unseen_classes(np.where(np.arange(300) < 9, -1, Y), y_val)
    assert found.status == status
    if classes is not None:
        known = y_val[y_val >= 0]
        assert found.details["classes"] == classes
        assert found.effect == pytest.approx(np.isin(known, classes).mean())
        assert found.interval[0] <= found.effect <= found.interval[1]


def test_a_model_that_cannot_know_the_classes_is_not_called_healthy():
    """Model and reference miss them alike, so there is no gap between the two."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 5)).astype("float32") + 8 * np.eye(5, dtype="float32")[Y]
    known = Y < 3
    found = audit(
        x[known], Y[known], "kind", validation_data=(x[~known], Y[~known]), verbose=0
    ).verdict
    assert [cause.name for cause in found.causes] == ["unseen_classes"]
    assert "classes that no training sample has" in found.sentence


def test_the_cause_is_of_the_data():
    evidence = {
        "signal": Evidence("signal", "found", "There is a signal.", 0.5, (0.4, 0.6)),
        "unseen_classes": unseen_classes(Y, Y + 1),
    }
    assert decide(evidence, "kind").limit == "data"
