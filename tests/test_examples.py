"""The examples run, on less data."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import runpy
import subprocess
import sys
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import keras
import pytest

import mtlkit as mtl

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"


@pytest.fixture(autouse=True)
def few_digits(monkeypatch):
    """Makes the digits load quickly, and be few."""
    load = mtl.datasets.rotated_digits

    def few(**options):
        data = load(**{**options, "copies": 1})
        parts = {}
        for split, count in {"train": 320, "val": 96, "test": 96}.items():
            parts[f"x_{split}"] = getattr(data, f"x_{split}")[:count]
            labels = getattr(data, f"y_{split}")
            parts[f"y_{split}"] = {task: one[:count] for task, one in labels.items()}
        return dataclasses.replace(data, **parts)

    monkeypatch.setattr(mtl.datasets, "rotated_digits", few)


@pytest.mark.every_backend
def test_quickstart(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(sys, "argv", ["quickstart.py", "--epochs", "1", "--output", str(tmp_path)])
    runpy.run_path(str(EXAMPLES / "quickstart.py"), run_name="__main__")
    printed = capsys.readouterr().out
    for text in ("1. raw pixels", "2. normalised", "3. normalised input, polar", "chance"):
        assert text in printed
    assert (tmp_path / "confusion.png").stat().st_size > 10_000
    assert (tmp_path / "model.keras").is_file()


def test_export_model(monkeypatch, tmp_path, capsys):
    packages = {"onnx": ("tf2onnx", "onnxruntime"), "litert": ("ai_edge_litert",)}
    formats = [name for name, own in packages.items() if all(map(find_spec, own))]
    options = ["--epochs", "1", "--output", str(tmp_path), "--formats", "tf_saved_model", *formats]
    monkeypatch.setattr(sys, "argv", ["export_model.py", *options])
    runpy.run_path(str(EXAMPLES / "export_model.py"), run_name="__main__")
    gaps = re.findall(r"(\w+): 7 outputs, at most (\S+) from Keras", capsys.readouterr().out)
    assert [name for name, _ in gaps] == ["tf_saved_model", *formats]
    assert all(float(gap) < 1e-3 for _, gap in gaps)  # of degrees up to 360


@pytest.mark.every_backend
def test_two_devices():
    """In a process of its own: the number of devices is fixed when a backend starts."""
    command = [sys.executable, str(EXAMPLES / "two_devices.py"), "--fast"]
    environment = {**os.environ, "KERAS_BACKEND": keras.backend.backend(), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]
    if keras.backend.backend() == "torch":
        assert "one device on PyTorch" in done.stdout
        return
    rows = re.findall(r"^ +\d +(\S+) +(\S+) +(\S+)$", done.stdout, re.MULTILINE)
    assert len(rows) == 2 and all(float(apart) < 1e-4 for *_, apart in rows)
    assert float(rows[0][0]) != float(rows[1][0])  # something was learned
    assert "chance" in done.stdout and "constant" in done.stdout


#: What each short script prints, beside a score and its baseline.
SHORT = {
    "balancing": ("Dominant: 'brightness'", "single-task", "log"),
    "conditioning": ("pose, alone", "pose, experts", "pose, told another's object", "chance"),
    "contrastive": ("cross-entropy alone", "7-9, new", "chance"),
    "dense_prediction": ("mean IoU", "all ground", "the median everywhere"),
    "hierarchical_labels": ("10 classes, 3 groups", "few digits, and groups: digit", "chance"),
    "partial_labels": ("'identity': [", "both sets: orientation", "chance"),
    "own_head": ("Checked", "little noise", "80 % are due", "most frequent"),
    "photographs_pretrained": ("Preprocessing: tf", "fine-tuned: width", "chance"),
    "table_many_labels": ("average precision", "guessing", "mean"),
    "your_own_arrays": ("NaN", "material", "chance", "Same words when loaded: True"),
}
#: Those that write files beside the picture.
WRITES = ("your_own_arrays",)
#: Those that are short enough, and different enough, for every backend.
EVERY_BACKEND = ("own_head", "photographs_pretrained", "your_own_arrays")


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.every_backend if name in EVERY_BACKEND else ())
        for name in SHORT
    ],
)
def test_short_script(name, monkeypatch, tmp_path, capsys):
    script = EXAMPLES / f"{name}.py"
    picture = ["--save", str(tmp_path / "picture.png")]
    draws = '"--save"' in script.read_text()
    options = [*(picture if draws else []), *(["--output", str(tmp_path)] * (name in WRITES))]
    monkeypatch.setattr(sys, "argv", [script.name, "--fast", *options])
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Task 'brightness'")  # a large loss is the point
        runpy.run_path(str(script), run_name="__main__")
    printed = capsys.readouterr().out
    for text in SHORT[name]:
        assert text in printed
    assert not draws or (tmp_path / "picture.png").stat().st_size > 5_000


class Notebook(NamedTuple):
    """Settings by which a notebook is fast, what it prints, and the least sizes of its files."""

    settings: dict[str, int]
    prints: tuple[str, ...]
    writes: dict[str, int]


#: A notebook is made of a script, so these scripts are run as notebooks.
NOTEBOOKS = {
    "quickstart": Notebook({"epochs": 1}, ("1. raw pixels", "chance"), {"confusion.png": 10_000}),
    "adopt_keras_model": Notebook(
        {"epochs": 1}, ("1. adopted", "2. another head", "chance", "Decoded"), {"model.keras": 1}
    ),
    "search_orientation_head": Notebook(
        {"trials": 2, "epochs": 1},
        ("The winner on",),
        {"report.html": 10_000, "leaderboard.csv": 1, "best.keras": 1},
    ),
    "diagnose_stuck_task": Notebook(
        {"epochs": 1, "budget": 1},
        ("1. The symptom", "2. The diagnosis", "3. The cure", "chance"),
        {"diagnosis.html": 10_000, "diagnosis.json": 1},
    ),
}


@pytest.fixture(scope="module")
def notebooks():
    """The script that makes them."""
    return runpy.run_path(str(EXAMPLES / "notebooks" / "make_notebooks.py"))


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_notebook(name, notebooks, monkeypatch, tmp_path, capsys):
    text = (EXAMPLES / "notebooks" / f"{name}.ipynb").read_text()
    cure = "Run `python examples/notebooks/make_notebooks.py`"
    assert text == notebooks["as_text"](name), f"The script has changed. {cure}"
    cells = json.loads(text)["cells"]
    kinds = [cell["cell_type"] for cell in cells]
    assert kinds == ["markdown", "code"] * (len(kinds) // 2)

    monkeypatch.chdir(tmp_path)
    names = {"__name__": "__main__"}
    for cell in cells[1::2]:
        exec("".join(cell["source"]), names)
        if cell["metadata"].get("tags") == ["parameters"]:
            settings = names.get("options") or names["arguments"]
            assert NOTEBOOKS[name].settings.keys() <= vars(settings).keys()
            vars(settings).update(NOTEBOOKS[name].settings)
    printed = capsys.readouterr().out
    assert all(text in printed for text in NOTEBOOKS[name].prints)
    written = {path.name: path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()}
    assert all(written[file] >= least for file, least in NOTEBOOKS[name].writes.items()), written
    for path in tmp_path.rglob("diagnosis.json"):
        assert json.loads(path.read_text())["task"] == "orientation"


def test_every_notebook_is_tested(notebooks):
    files = {path.stem for path in (EXAMPLES / "notebooks").glob("*.ipynb")}
    assert files == set(NOTEBOOKS) == set(notebooks["TITLES"])
    index = (ROOT / "docs" / "examples" / "index.md").read_text()
    assert all(f"examples/notebooks/{name}.ipynb" in index for name in files)


def test_every_example_has_a_page():
    pages = "".join(page.read_text() for page in (ROOT / "docs").rglob("*.md"))
    for script in EXAMPLES.glob("*.py"):
        assert f'--8<-- "examples/{script.name}"' in pages, script.name


def test_a_recommended_line_is_applied():
    example = runpy.run_path(str(EXAMPLES / "diagnose_stuck_task.py"))
    line = 'model = model.with_head("orientation", mtl.heads.OrientationHead(32))'
    advice = mtl.diagnostics.Recommendation("head_destroys_space", "Another head.", line)
    verdict = mtl.diagnostics.Verdict("model", (), "The model limits it.")
    found = mtl.diagnostics.Diagnosis("orientation", verdict, {}, (advice,))
    assert example["recommended"](found) == line
    model = example["with_line"](example["stuck_model"](), line)
    assert model.tasks["orientation"].head.spatial == "polar_and_flatten"
