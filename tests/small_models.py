"""Small models for tests: 8x8 images, few weights, nothing random in training."""

from __future__ import annotations

import numpy as np

import mtlkit as mtl

TASKS = ("identity", "orientation", "intensity")


def small_backbone(**kwargs) -> mtl.backbones.ConvBackbone:
    return mtl.backbones.ConvBackbone((8, 8, 1), filters=(4, 6), **kwargs)


def small_tasks(spatial: str = "flatten", **changes) -> list[mtl.Task]:
    """Returns three tasks; `changes` are arguments by task: `identity={"weight": 2}`."""
    options = {"filters": (4,), "jitter": 0.0} if spatial == "polar" else {}
    heads = {
        "identity": mtl.heads.ClassificationHead(4, hidden_units=5),
        "orientation": mtl.heads.OrientationHead(
            8, spatial=spatial, hidden_units=5, dropout=0.0, **options
        ),
        "intensity": mtl.heads.RegressionHead(hidden_units=5),
    }
    return [mtl.Task(name, head, **changes.get(name, {})) for name, head in heads.items()]


def small_model(spatial: str = "flatten", **changes) -> mtl.MultiTaskModel:
    """Returns a model of the three tasks, normalised already."""
    model = mtl.MultiTaskModel(small_backbone(), small_tasks(spatial, **changes))
    model.backbone.adapt(np.random.default_rng(1).random((48, 8, 8, 1)))
    return model


def set_weights(model, seed: int = 0) -> None:
    """Sets the trainable weights to values that depend on nothing but the seed."""
    rng = np.random.default_rng(seed)
    for variable in model.trainable_variables:
        variable.assign(rng.normal(0.0, 0.2, variable.shape))
