"""The examples run, on less data."""

from __future__ import annotations

import functools
import json
import runpy
import sys
from pathlib import Path

import mtlkit as mtl

EXAMPLES = Path(__file__).parents[1] / "examples"


def test_quickstart(monkeypatch, tmp_path, capsys):
    small = functools.partial(mtl.datasets.rotated_digits, copies=1)
    monkeypatch.setattr(mtl.datasets, "rotated_digits", small)
    monkeypatch.setattr(sys, "argv", ["quickstart.py", "--epochs", "1", "--output", str(tmp_path)])
    runpy.run_path(str(EXAMPLES / "quickstart.py"), run_name="__main__")
    printed = capsys.readouterr().out
    for text in ("1. raw pixels", "2. normalised", "3. normalised input, polar", "chance"):
        assert text in printed
    assert (tmp_path / "confusion.png").stat().st_size > 10_000
    assert (tmp_path / "model.keras").is_file()


def test_search_orientation_head(monkeypatch, tmp_path, capsys):
    small = functools.partial(mtl.datasets.rotated_digits, copies=1)
    monkeypatch.setattr(mtl.datasets, "rotated_digits", small)
    options = ["--trials", "2", "--epochs", "1", "--output", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", ["search_orientation_head.py", *options])
    runpy.run_path(str(EXAMPLES / "search_orientation_head.py"), run_name="__main__")
    assert "The winner on" in capsys.readouterr().out
    assert (tmp_path / "report.html").stat().st_size > 10_000
    assert (tmp_path / "leaderboard.csv").is_file() and (tmp_path / "best.keras").is_file()


def test_diagnose_stuck_task(monkeypatch, tmp_path, capsys):
    small = functools.partial(mtl.datasets.rotated_digits, copies=1)
    monkeypatch.setattr(mtl.datasets, "rotated_digits", small)
    options = ["--epochs", "1", "--budget", "1", "--output", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", ["diagnose_stuck_task.py", *options])
    runpy.run_path(str(EXAMPLES / "diagnose_stuck_task.py"), run_name="__main__")
    printed = capsys.readouterr().out
    for text in ("1. The symptom", "2. The diagnosis", "3. The cure", "chance"):
        assert text in printed
    assert (tmp_path / "diagnosis.html").stat().st_size > 10_000
    assert json.loads((tmp_path / "diagnosis.json").read_text())["task"] == "orientation"


def test_a_recommended_line_is_applied():
    example = runpy.run_path(str(EXAMPLES / "diagnose_stuck_task.py"))
    line = 'model = model.with_head("orientation", mtl.heads.OrientationHead(32))'
    advice = mtl.diagnostics.Recommendation("head_destroys_space", "Another head.", line)
    verdict = mtl.diagnostics.Verdict("model", (), "The model limits it.")
    found = mtl.diagnostics.Diagnosis("orientation", verdict, {}, (advice,))
    assert example["recommended"](found) == line
    model = example["with_line"](example["stuck_model"](), line)
    assert model.tasks["orientation"].head.spatial == "polar"
