"""The package as users import it."""

from __future__ import annotations

import importlib.resources
import subprocess
import sys

import mtlkit as mtl


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
