"""The tables of the documentation say what the results of the benchmarks say."""

import sys
from pathlib import Path

import pytest

import mtlkit as mtl
from mtlkit.balancing._names import BALANCERS

BENCHMARKS = Path(__file__).parent / "benchmarks"


@pytest.fixture(scope="module")
def tables():
    sys.path.insert(0, str(BENCHMARKS))
    try:
        import tables
    finally:
        sys.path.remove(str(BENCHMARKS))
    return tables


def test_pages_agree_with_the_results(tables):
    for page in tables.pages():
        text = (tables.DOCS / page).read_text()
        assert tables.rewritten(page, text) == text, "run tests/benchmarks/tables.py"


def test_every_table_with_results_is_in_its_page_once(tables):
    for page in tables.pages():
        text = (tables.DOCS / page).read_text()
        assert tables.homeless(page, text) == []
        found = [name for _, name, _, _ in tables.MARKED.findall(text)]
        assert len(found) == len(set(found))


def test_a_changed_number_is_written_anew(tables):
    page = tables.PAGE
    text = (tables.DOCS / page).read_text()
    begin, _, end = text.partition("<!-- table: dense -->")
    changed = begin + "<!-- table: dense -->" + end.replace("0.614", "0.999", 1)
    assert changed != text
    assert tables.rewritten(page, changed) == text


def test_a_table_that_nobody_knows_is_an_error(tables):
    with pytest.raises(ValueError, match="Received: {'unknown'}"):
        tables.rewritten(tables.PAGE, "<!-- table: unknown -->\n<!-- end of table -->")


def test_tables_by_hand_are_named(tables):
    text = "# One\n|---|\n<!-- table: dense -->\n# Two\n|---|\n<!-- end of table -->\n"
    assert list(tables.by_hand(text)) == ["One"]


def test_commands_name_scripts_that_are_there(tables):
    for table in tables.TABLES:
        assert (BENCHMARKS / table.command.split()[0]).is_file(), table.command


def test_balancing_overhead_has_a_table_for_each_backend(tables):
    def ratio(value):
        return {"ratio": value, "quartiles": [value - 0.1, value + 0.1], "pairs": 5}

    own = {"date": "2026-11-30", "keras": "3.15.1"}
    kept = {
        "torchjd": {**own, "ratios": {"UPGrad, at once": {"3": ratio(4)}}},
        "jax": {**own, "ratios": {"uw, features": {"3": ratio(1)}}},
        "tensorflow": {
            **own,
            "ratios": {
                "uw, features": {"3": ratio(1), "32": ratio(1.5)},
                "upgrad, features": {"3": ratio(1.2)},
                "upgrad, parameters": {"32": ratio(9), "8": ratio(3)},
            },
        },
    }
    text = tables.texts.balancing_overhead(kept)
    assert text.index("TensorFlow, method") < text.index("JAX, method") < text.index("TorchJD, agg")
    assert "| 3 tasks | 8 tasks | 32 tasks |" in text
    assert '| `"upgrad"` | 1.20 (1.10 to 1.30) | | |' in text
    assert '| `"upgrad"`, at the parameters | | 3.00 (2.90 to 3.10) | 9.00 (8.90 to 9.10) |' in text
    assert "| weightings of losses, the least to the most | 1.00 to 1.00 | | 1.50 to 1.50 |" in text
    assert "| UPGrad, rows at once | 4.00 (3.90 to 4.10) |" in text


def test_weightings_are_those_of_mtlkit(tables):
    weighing = mtl.balancing.LossWeighting
    found = {name for name, make in BALANCERS.items() if isinstance(make(), weighing)}
    assert found == tables.texts.WEIGHTINGS


def test_growth_is_the_exponent(tables):
    def row(size):
        times = {"first_s": 2.0, "step_s": size**2, "peak_mb": size, "save_s": 1.0, "load_s": 1.0}
        ratios = {"first_ratio": [1, 1, 1], "step_ratio": [1, 1, 1]}
        return {"mtlkit": times, "by hand": times, **ratios}

    own = {"date": "2026-11-30", "keras": "3.15.1", "backend": "tensorflow 2.21.0"}
    kept = {"tensorflow": {"tasks": {**own, "sizes": {str(n): row(n) for n in (1, 10, 100)}}}}
    last = tables.texts.scale("tasks", "tasks")(kept).splitlines()[-1]
    assert "2.00 / 2.00" in last and "1.00 / 1.00" in last
