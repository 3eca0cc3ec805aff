import json

import numpy as np
import pytest

from mtlkit.diagnostics import Evidence
from mtlkit.diagnostics.evidence import not_tested, plain


def test_numbers_are_plain_floats():
    given = Evidence(
        "a", "found", "", np.float32(0.5), (np.float64(0), 1), np.int64(0), 1, np.float64(0.01)
    )
    numbers = (given.effect, *given.interval, given.null, given.threshold, given.p_value)
    assert [type(one) for one in numbers] == [float] * 6
    assert numbers == (0.5, 0.0, 1.0, 0.0, 1.0, 0.01)
    assert isinstance(given.interval, tuple)


def test_what_was_not_measured_stays_empty():
    given = not_tested("noise", "There are no labels.")
    assert given.status == "not_tested" and not given.found
    assert given.effect is given.interval is given.null is given.p_value is None


def test_a_wrong_status_is_refused():
    with pytest.raises(ValueError, match="status to be one of .*Received: status='maybe'"):
        Evidence("a", "maybe", "")


def test_everything_is_plain_json():
    details = {
        1: np.arange(3),
        "shape": (np.int64(2), 3),
        "lost": [np.nan, np.inf, np.float32(0.5)],
        "yes": np.bool_(True),
        "nested": {"none": None, "text": "é"},
    }
    given = Evidence("a", "absent", "", 0.0, (-np.inf, 1.0), details=details).to_dict()
    assert json.loads(json.dumps(given, allow_nan=False)) == given
    assert given["interval"] == [None, 1.0]
    assert given["details"] == {
        "1": [0, 1, 2],
        "shape": [2, 3],
        "lost": [None, None, 0.5],
        "yes": True,
        "nested": {"none": None, "text": "é"},
    }
    assert plain(np.zeros((1, 2))) == [[0.0, 0.0]]
    assert plain(np.array([[1.0, np.nan]])) == [[1.0, None]]
    assert plain(np.array([None, np.float32(2)], object)) == [None, 2.0]
