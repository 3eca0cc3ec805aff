"""Warnings point at the user's own line."""

import numpy as np
import pytest

import mtlkit as mtl


def test_a_warning_of_a_callback_within_fit():
    x = np.random.default_rng(0).random((32, 2), dtype="float32")
    y = {"price": 5e4 + 1e4 * x[:, 0], "kind": np.arange(32) % 2}
    tasks = [
        mtl.Task("price", mtl.heads.RegressionHead(standardize=False)),
        mtl.Task("kind", mtl.heads.ClassificationHead(2)),
    ]
    model = mtl.MultiTaskModel(mtl.backbones.DenseBackbone(2), tasks)
    model.compile("adam")
    with pytest.warns(UserWarning, match="weighted loss") as said:
        model.fit(x, y, verbose=0)
    assert [one.filename for one in said if "weighted loss" in str(one.message)] == [__file__]
