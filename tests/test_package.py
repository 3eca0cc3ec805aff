"""The package as users import it."""

from __future__ import annotations

import importlib.resources
import subprocess
import sys
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.version import Version

import mtlkit as mtl

ROOT = Path(__file__).parents[1]


def test_public_names():
    names = {
        mtl.layers: ["GradientStop", "GradientScale", "GradientReversal"],
        mtl.heads: ["Head", "ClassificationHead", "RegressionHead", "OrientationHead"],
        mtl.backbones: ["ConvBackbone"],
        mtl.datasets: ["MultiTaskData", "rotated_digits", "rotated_fashion_mnist", "load_npz"],
        mtl.space: ["Choice", "Int", "Float", "Boolean", "Fixed", "When"],
        mtl.testing: ["LayerTestCase"],
        mtl: ["Task", "MultiTaskModel"],
    }
    for module, expected in names.items():
        assert all(hasattr(module, name) for name in expected), module
    assert all(hasattr(mtl, name) for name in mtl.__all__)
    assert importlib.resources.files("mtlkit").joinpath("py.typed").is_file()


def test_import_brings_no_heavy_library():
    code = (
        "import sys, keras; before = set(sys.modules); import mtlkit; "
        "new = {name.split('.')[0] for name in set(sys.modules) - before}; "
        "print(sorted(new & {'sklearn', 'matplotlib', 'scipy', 'keras_tuner', 'pandas', 'pytest'}))"
    )
    output = subprocess.check_output([sys.executable, "-c", code], text=True)
    assert output.split("\n")[-2] == "[]"


def test_oldest_versions_are_those_that_are_promised():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    promised = list(project["dependencies"])
    promised += [one for name in ("table", "export", "jax", "torch") for one in extras[name]]
    lines = (ROOT / "tests" / "oldest_versions.txt").read_text().splitlines()
    pins = dict(line.split("==") for line in lines if "==" in line)
    for requirement in map(Requirement, promised):
        oldest = [Version(one.version) for one in requirement.specifier if one.operator == ">="]
        if oldest:
            assert [Version(pins[requirement.name])] == oldest, requirement
