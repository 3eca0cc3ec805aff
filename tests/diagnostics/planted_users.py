"""Users' models in known trouble, on images whose task is a position."""

from __future__ import annotations

import keras
import numpy as np

import mtlkit as mtl
from mtlkit.diagnostics import Evidence

SHAPE = (12, 12, 1)
TRAINED, HELD_OUT = 200, 100


def places(seed: int = 0) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Images with a bright square in one of four places, and how bright it is."""
    rng = np.random.default_rng(seed)
    count = TRAINED + HELD_OUT
    x = 0.2 * rng.random((count, *SHAPE), dtype="float32")
    place = rng.integers(4, size=count)
    bright = rng.uniform(0.5, 1.0, size=count).astype("float32")
    for image, where, value in zip(x, place, bright, strict=True):
        row, column = 6 * (where // 2) + 2, 6 * (where % 2) + 2
        image[row : row + 3, column : column + 3] += value
    return x, {"place": place, "bright": bright}


def split() -> tuple:
    """`x, y, x_val, y_val` of the places."""
    x, y = places()
    return (
        x[:TRAINED],
        {name: labels[:TRAINED] for name, labels in y.items()},
        x[TRAINED:],
        {name: labels[TRAINED:] for name, labels in y.items()},
    )


def user(
    pooling: str = "flatten",
    *,
    loss=None,
    weight: float = 1.0,
    gradient: str = "stop",
    rate: float = 1e-2,
    epochs: int = 8,
    bias: float = 0.0,
    place_gradient: str = "flow",
    optimizer: str = "adam",
    **backbone,
) -> mtl.MultiTaskModel:
    """A user's model of both tasks, trained; `weight` and `gradient` are of the other task."""
    keras.utils.set_random_seed(0)
    x, y, _, _ = split()
    trunk = mtl.backbones.ConvBackbone(SHAPE, **{"filters": (4,), **backbone})
    for layer in trunk.layers:
        if bias and isinstance(layer, keras.layers.Conv2D):
            layer.bias.assign(np.full(layer.bias.shape, bias))
    heads = mtl.heads
    model = mtl.MultiTaskModel(
        trunk,
        [
            mtl.Task(
                "place",
                heads.ClassificationHead(4, pooling, hidden_units=8),
                loss=loss,
                gradient=place_gradient,
            ),
            mtl.Task(
                "bright",
                heads.RegressionHead(hidden_units=4, standardize=False),
                weight=weight,
                gradient=gradient,
            ),
        ],
    )
    made = keras.optimizers.get(optimizer)
    made.learning_rate = rate
    model.compile(made, jit_compile=False)
    model.fit(x, y, epochs=epochs, batch_size=32, verbose=0)
    return model


def told_parity(x: np.ndarray, y: dict) -> tuple[dict, dict]:
    """Inputs and labels of `seeing_parity`: the parity of the place is an input beside images."""
    parity = np.asarray(y["place"]) % 2
    told = {"image_input": x, "parity_prediction": np.eye(2, dtype="float32")[parity]}
    return told, {"place": y["place"], "parity": parity}


def seeing_parity(source: str = "data", **backbone) -> mtl.MultiTaskModel:
    """A model, not trained, whose task sees a prediction of another one, or of the data."""
    heads = mtl.heads
    seeing = {"condition_on": "parity", "condition_from": source}
    tasks = [
        mtl.Task("parity", heads.ClassificationHead(2)),
        mtl.Task("place", heads.ClassificationHead(4), **seeing),
    ]
    model = mtl.MultiTaskModel(mtl.backbones.ConvBackbone(SHAPE, (4,), **backbone), tasks)
    model.compile("adam", jit_compile=False)
    return model


def gap(user_skill: float = 0.0, status: str = "found") -> Evidence:
    """What the ceiling probe finds of a task that can be learned."""
    details = {"reference_skill": 1.0, "user_skill": user_skill}
    return Evidence("model_gap", status, "The task can be learned.", threshold=0.1, details=details)


def unchanged(model: mtl.MultiTaskModel, weights: list[np.ndarray]) -> bool:
    """Whether all weights are bit for bit the same."""
    return all(
        np.array_equal(a, b, equal_nan=True)
        for a, b in zip(model.get_weights(), weights, strict=True)
    )
