import pytest

from mtlkit.metrics._text_table import text_table


def test_columns_are_aligned():
    text = text_table(["a", "long title"], [["wide cell", "1"], ["", "22"]])
    assert text.splitlines() == [
        "a          long title",
        "---------  ----------",
        "wide cell  1",
        "           22",
    ]


def test_a_table_may_be_empty():
    assert text_table(["task", "score"], []).splitlines() == ["task  score", "----  -----"]


def test_rows_must_fit_the_header():
    with pytest.raises(ValueError, match=r"2 cells.*\['x'\]"):
        text_table(["a", "b"], [["x"]])
