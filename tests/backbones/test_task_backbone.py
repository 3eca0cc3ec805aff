"""Backbones that give each task a feature of its own."""

import pytest

import mtlkit as mtl


def test_task_that_the_backbone_does_not_know():
    backbone = mtl.backbones.MMoE(("identity", "orientation"), input_shape=(8, 8, 1))
    head = mtl.heads.RegressionHead(hidden_units=4)
    with pytest.raises(ValueError, match=r"(?s)Task 'intensity'.*'identity', 'orientation'"):
        mtl.MultiTaskModel(backbone, [mtl.Task("intensity", head)])
    named = mtl.Task("intensity", head, feature="trunk")
    assert mtl.MultiTaskModel(backbone, [named]).output_names == ["intensity"]
