"""Does `preflight` name the fault of a small Keras program, and leave its repaired twin alone?

    python tests/benchmarks/faulty_programs.py [--seeds 0 1] [--json FILE] [NAME ...]

Each program is written twice, as a user would: with one fault, and without. The faults are those
that studies of Keras programs count most: wrong last activations and losses, rates, initial
weights, inputs and labels that are not scaled, labels off by one or of the wrong kind, units that
are dead, parts that are frozen, missing activations, gradients that vanish. A program counts as
named if a problem names the fault or its direct consequence, and as wrongly reproached if
the twin has a problem graver than a hint. Too few epochs cannot be seen before a training, and
are not among them.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers
from sklearn.datasets import load_digits

import mtlkit as mtl

Data = tuple[Any, Any]
Make = Callable[[bool], tuple[keras.Model, Any, Any]]
#: Each program by name, with the names of problems that count as naming its fault.
PROGRAMS: dict[str, tuple[Make, tuple[str, ...]]] = {}


def program(*names: str) -> Callable[[Make], Make]:
    """Adds a program, of which these problems name the fault."""

    def add(make: Make) -> Make:
        PROGRAMS[make.__name__] = make, names
        return make

    return add


def rng() -> np.random.Generator:
    """Draws that depend on the program's seed."""
    return np.random.default_rng(int(np.random.randint(2**31)))


def two_moons(samples: int = 600) -> Data:
    """Two columns, two classes that no line parts."""
    draw = rng()
    y = draw.integers(2, size=samples)
    angle = np.pi * draw.random(samples)
    x = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    x[y == 1] = [1.0, 0.5] - x[y == 1]
    return (x + 0.1 * draw.normal(size=x.shape)).astype("float32"), y


def flowers(samples: int = 450) -> Data:
    """Four columns in centimetres, three classes."""
    draw = rng()
    y = draw.integers(3, size=samples)
    centres = np.array([[5.0, 3.4, 1.5, 0.2], [5.9, 2.8, 4.3, 1.3], [6.6, 3.0, 5.5, 2.0]])
    return (centres[y] + 0.3 * draw.normal(size=(samples, 4))).astype("float32"), y


def houses(samples: int = 600) -> Data:
    """Columns of very different units, and a price."""
    draw = rng()
    area, rooms = draw.uniform(40, 300, samples), draw.integers(1, 9, samples)
    year, far = draw.uniform(1900, 2020, samples), draw.uniform(100, 40_000, samples)
    price = (
        1800 * area + 9000 * rooms + 400 * (year - 1900) - 2 * far + draw.normal(0, 9e3, samples)
    )
    return np.stack([area, rooms, year, far], axis=1).astype("float32"), price.astype("float32")


def digits() -> Data:
    """Images of 8x8 pixels from 0 to 255, ten classes."""
    found = load_digits()
    return (found.images[..., None] * 255 / 16).astype("float32"), found.target.astype("int64")


def waves(samples: int = 400) -> Data:
    """Sequences of 30 steps, three kinds of waves."""
    draw = rng()
    y = draw.integers(3, size=samples)
    t = np.arange(30)[None] * np.array([0.2, 0.5, 1.1])[y][:, None]
    x = np.sin(t + 6 * draw.random((samples, 1)))[..., None]
    return (x + 0.1 * draw.normal(size=x.shape)).astype("float32"), y


def texts(samples: int = 400) -> Data:
    """Token ids from 1 to 50, and whether the rare ones prevail."""
    draw = rng()
    y = draw.integers(2, size=samples)
    return np.where(
        draw.random((samples, 12)) < 0.3 + 0.4 * y[:, None],
        draw.integers(26, 51, (samples, 12)),
        draw.integers(1, 26, (samples, 12)),
    ), y


def dense(
    shape: tuple[int, ...], units: int, activation: str | None, hidden: Any = "relu", **options: Any
) -> keras.Model:
    """Two hidden layers."""
    return keras.Sequential(
        [
            keras.Input(shape),
            layers.Dense(32, activation=hidden, **options),
            layers.Dense(16, activation=hidden, **options),
            layers.Dense(units, activation=activation),
        ]
    )


def standard(x: np.ndarray) -> np.ndarray:
    """Columns of mean 0 and spread 1."""
    return (x - x.mean(axis=0)) / x.std(axis=0)


def convolutional(units: int, activation: str | None, *before: Any, hidden: str | None = "relu"):
    """Two convolutions for the digits."""
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            *before,
            layers.Conv2D(16, 3, activation=hidden),
            layers.Conv2D(16, 3, activation=hidden),
            layers.Flatten(),
            layers.Dense(units, activation=activation),
        ]
    )


# -- last activation and loss ----------------------------------------------------------------------


@program("one_unit_softmax", "constant_output")
def softmax_on_one_unit(faulty: bool):
    x, y = two_moons()
    model = dense((2,), 1, "softmax" if faulty else "sigmoid")
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    return model, x, y


@program("logits_as_probabilities")
def linear_end_of_binary(faulty: bool):
    x, y = two_moons()
    model = dense((2,), 1, None if faulty else "sigmoid")
    model.compile("sgd", "binary_crossentropy", metrics=["accuracy"])
    return model, x, y


@program("logits_as_probabilities")
def relu_end_of_binary(faulty: bool):
    x, y = two_moons()
    model = dense((2,), 1, "relu" if faulty else "sigmoid")
    model.compile("adam", "binary_crossentropy")
    return model, x, y


@program("logits_as_probabilities")
def linear_end_of_classes(faulty: bool):
    x, y = flowers()
    model = dense((4,), 3, None if faulty else "softmax")
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model, standard(x), y


@program("not_normalised")
def sigmoid_of_exclusive_classes(faulty: bool):
    x, y = flowers()
    model = dense((4,), 3, "sigmoid" if faulty else "softmax")
    model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
    return model, standard(x), np.eye(3)[y]


@program("softmax_twice")
def softmax_of_logits_loss(faulty: bool):
    x, y = digits()
    model = convolutional(10, "softmax" if faulty else None, layers.Rescaling(1 / 255))
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model, x, y


@program("softmax_twice")
def softmax_before_softmax(faulty: bool):
    x, y = flowers()
    parts = [keras.Input((4,)), layers.Dense(16, activation="relu")]
    parts += [layers.Dense(3, activation="softmax" if faulty else None), layers.Softmax()]
    model = keras.Sequential(parts)
    model.compile("adam", "sparse_categorical_crossentropy")
    return model, standard(x), y


@program("unreachable_labels")
def sigmoid_of_values(faulty: bool):
    x, y = houses()
    model = dense((4,), 1, "sigmoid" if faulty else None)
    model.compile("adam", "mse")
    return model, standard(x), standard(y)


@program("unreachable_labels")
def relu_of_negative_values(faulty: bool):
    x, y = houses()
    model = dense((4,), 1, "relu" if faulty else None)
    model.compile("adam", "mae")
    return model, standard(x), standard(y)


@program("binary_loss_for_exclusive_classes")
def binary_loss_of_classes(faulty: bool):
    x, y = flowers()
    model = dense((4,), 3, "softmax")
    loss = "binary_crossentropy" if faulty else "categorical_crossentropy"
    model.compile("adam", loss, metrics=["accuracy"])
    return model, standard(x), np.eye(3)[y]


@program("values_loss_for_classes")
def squared_error_of_classes(faulty: bool):
    x, y = flowers()
    model = dense((4,), 3, "softmax")
    model.compile("sgd", "mse" if faulty else "categorical_crossentropy", metrics=["accuracy"])
    return model, standard(x), np.eye(3)[y]


@program("values_loss_for_classes", "accuracy_of_values")
def squared_error_of_class_numbers(faulty: bool):
    x, y = flowers()
    model = dense((4,), 1 if faulty else 3, None if faulty else "softmax")
    loss = "mse" if faulty else "sparse_categorical_crossentropy"
    model.compile("adam", loss, metrics=["accuracy"])
    return model, standard(x), y


# -- labels ----------------------------------------------------------------------------------------


@program("labels_out_of_range")
def labels_from_one(faulty: bool):
    x, y = flowers()
    model = dense((4,), 3, "softmax")
    model.compile("adam", "sparse_categorical_crossentropy")
    return model, standard(x), y + faulty


@program("one_hot_labels")
def one_hot_for_a_sparse_loss(faulty: bool):
    x, y = flowers()
    model = dense((4,), 3, "softmax")
    model.compile("adam", "sparse_categorical_crossentropy")
    return model, standard(x), np.eye(3)[y] if faulty else y


@program("labels_not_one_hot")
def numbers_for_a_categorical_loss(faulty: bool):
    x, y = flowers()
    model = dense((4,), 3, "softmax")
    model.compile("adam", "categorical_crossentropy")
    return model, standard(x), y if faulty else np.eye(3)[y]


@program("labels_out_of_range")
def plus_and_minus_one(faulty: bool):
    x, y = two_moons()
    model = dense((2,), 1, "sigmoid")
    model.compile("adam", "binary_crossentropy")
    return model, x, 2 * y - 1 if faulty else y


@program("labels_out_of_range", "shape_mismatch")
def binary_loss_of_many_classes(faulty: bool):
    x, y = waves()
    model = keras.Sequential([keras.Input((30, 1)), layers.LSTM(16)])
    model.add(layers.Dense(1 if faulty else 3, activation="sigmoid" if faulty else "softmax"))
    loss = "binary_crossentropy" if faulty else "sparse_categorical_crossentropy"
    model.compile("adam", loss)
    return model, x, y


@program("shape_mismatch")
def two_outputs_for_one_value(faulty: bool):
    x, y = houses()
    model = dense((4,), 2 if faulty else 1, None)
    model.compile("adam", "mse")
    return model, standard(x), standard(y)


@program("nan_labels", "loss_not_finite")
def labels_with_gaps(faulty: bool):
    x, y = houses()
    y = standard(y)
    if faulty:
        y[::7] = np.nan
    model = dense((4,), 1, None)
    model.compile("adam", "mse")
    return model, standard(x), y


@program("label_scale", "far_from_constant")
def prices_as_they_are(faulty: bool):
    x, y = houses()
    model = dense((4,), 1, None)
    model.compile("adam", "mse")
    return model, standard(x), y if faulty else standard(y)


# -- inputs ----------------------------------------------------------------------------------------


@program("input_scale", "uneven_columns", "far_from_constant", "learning_rate", "dead_units")
def columns_as_they_are(faulty: bool):
    x, y = houses()
    model = dense((4,), 1, None)
    model.compile("sgd", "mse")
    return model, x if faulty else standard(x), standard(y)


@program("input_scale", "far_from_constant", "saturated_units", "vanishing_gradient")
def pixels_as_they_are(faulty: bool):
    x, y = digits()
    model = convolutional(10, "softmax", *([] if faulty else [layers.Rescaling(1 / 255)]))
    model.compile("sgd", "sparse_categorical_crossentropy")
    return model, x, y


@program("saturated_units", "input_scale")
def raw_inputs_of_sigmoids(faulty: bool):
    x, y = digits()
    x = x.reshape(len(x), -1)
    model = dense((64,), 10, "softmax", "sigmoid")
    model.compile("adam", "sparse_categorical_crossentropy")
    return model, x if faulty else x / 255, y


@program("inputs_not_finite", "loss_not_finite")
def gaps_in_columns(faulty: bool):
    x, y = flowers()
    x = standard(x)
    if faulty:
        x[::11, 2] = np.nan
    model = dense((4,), 3, "softmax")
    model.compile("adam", "sparse_categorical_crossentropy")
    return model, x, y


@program("tokens_out_of_range")
def too_small_a_vocabulary(faulty: bool):
    x, y = texts()
    model = keras.Sequential([keras.Input((12,)), layers.Embedding(50 if faulty else 51, 8)])
    model.add(layers.GlobalAveragePooling1D())
    model.add(layers.Dense(1, activation="sigmoid"))
    model.compile("adam", "binary_crossentropy")
    return model, x, y


# -- rates and initial weights ---------------------------------------------------------------------


@program("learning_rate")
def rate_of_ten(faulty: bool):
    x, y = houses()
    model = dense((4,), 1, None)
    model.compile(keras.optimizers.SGD(10.0 if faulty else 0.01), "mse")
    return model, standard(x), standard(y)


@program("learning_rate")
def adam_at_one(faulty: bool):
    x, y = digits()
    model = convolutional(10, "softmax", layers.Rescaling(1 / 255))
    rate = 1.0 if faulty else 0.001
    model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy")
    return model, x, y


@program("learning_rate")
def momentum_too_fast(faulty: bool):
    x, y = waves()
    model = keras.Sequential([keras.Input((30, 1)), layers.Conv1D(16, 5, activation="relu")])
    model.add(layers.GlobalAveragePooling1D())
    model.add(layers.Dense(3, activation="softmax"))
    optimizer = keras.optimizers.SGD(20.0 if faulty else 0.05, momentum=0.9)
    model.compile(optimizer, "sparse_categorical_crossentropy")
    return model, x, y


@program("learning_rate")
def tiny_rate(faulty: bool):
    x, y = flowers()
    model = dense((4,), 3, "softmax")
    rate = 1e-7 if faulty else 1e-3
    model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy")
    return model, standard(x), y


@program("same_weights", "no_gradient", "constant_output")
def zeros_as_initial_weights(faulty: bool):
    x, y = flowers()
    start = "zeros" if faulty else "glorot_uniform"
    model = dense((4,), 3, "softmax", kernel_initializer=start)
    model.compile("adam", "sparse_categorical_crossentropy")
    return model, standard(x), y


@program("far_from_constant", "exploding_gradient", "saturated_units")
def large_initial_weights(faulty: bool):
    x, y = flowers()
    start = keras.initializers.RandomNormal(0, 5.0 if faulty else 0.2)
    model = dense((4,), 3, "softmax", kernel_initializer=start)
    model.compile("sgd", "sparse_categorical_crossentropy")
    return model, standard(x), y


@program("dead_units", "constant_output", "no_gradient")
def units_that_are_dead(faulty: bool):
    x, y = flowers()
    start = keras.initializers.Constant(-20.0 if faulty else 0.0)
    model = dense((4,), 3, "softmax", bias_initializer=start)
    model.compile("adam", "sparse_categorical_crossentropy")
    return model, standard(x), y


# -- structure -------------------------------------------------------------------------------------


@program("no_nonlinearity")
def no_activations(faulty: bool):
    x, y = two_moons()
    model = dense((2,), 1, "sigmoid", None if faulty else "relu")
    model.compile("adam", "binary_crossentropy")
    return model, x, y


@program("no_nonlinearity")
def convolutions_without_activation(faulty: bool):
    x, y = digits()
    hidden = None if faulty else "relu"
    model = convolutional(10, "softmax", layers.Rescaling(1 / 255), hidden=hidden)
    model.compile("adam", "sparse_categorical_crossentropy")
    return model, x, y


@program("vanishing_gradient")
def ten_sigmoids(faulty: bool):
    x, y = flowers()
    hidden = "sigmoid" if faulty else "relu"
    start = "glorot_uniform" if faulty else "he_normal"
    model = keras.Sequential([keras.Input((4,))])
    for _ in range(10):
        model.add(layers.Dense(16, activation=hidden, kernel_initializer=start))
    model.add(layers.Dense(3, activation="softmax"))
    model.compile("adam", "sparse_categorical_crossentropy")
    return model, standard(x), y


@program("frozen")
def everything_frozen(faulty: bool):
    x, y = flowers()
    model = dense((4,), 3, "softmax")
    model.trainable = not faulty
    model.compile("adam", "sparse_categorical_crossentropy")
    return model, standard(x), y


@program("no_gradient")
def rounded_on_the_way(faulty: bool):
    x, y = flowers()
    inputs = keras.Input((4,))
    hidden = layers.Dense(16, activation="relu")(inputs)
    hidden = keras.ops.round(hidden) if faulty else hidden
    model = keras.Model(inputs, layers.Dense(3, activation="softmax")(hidden))
    model.compile("adam", "sparse_categorical_crossentropy")
    return model, standard(x), y


@program("large_dropout")
def dropout_of_nearly_all(faulty: bool):
    x, y = digits()
    inputs = keras.Input((8, 8, 1))
    hidden = layers.Flatten()(layers.Rescaling(1 / 255)(inputs))
    hidden = layers.Dense(32, activation="relu")(hidden)
    hidden = layers.Dropout(0.95 if faulty else 0.25)(hidden)
    model = keras.Model(inputs, layers.Dense(10, activation="softmax")(hidden))
    model.compile("adam", "sparse_categorical_crossentropy")
    return model, x, y


@program("large_penalty")
def penalty_above_all(faulty: bool):
    x, y = flowers()
    penalty = keras.regularizers.L2(10.0 if faulty else 1e-4)
    model = dense((4,), 3, "softmax", kernel_regularizer=penalty)
    model.compile("adam", "sparse_categorical_crossentropy")
    return model, standard(x), y


@program("hidden_softmax")
def softmax_within(faulty: bool):
    x, y = digits()
    x = x.reshape(len(x), -1) / 255
    model = dense((64,), 10, "softmax", "softmax" if faulty else "relu")
    model.compile("adam", "sparse_categorical_crossentropy")
    return model, x, y


def judged(name: str, seed: int) -> dict[str, Any]:
    """What is said of a program and of its twin."""
    make, expected = PROGRAMS[name]
    row: dict[str, Any] = {"program": name, "seed": seed}
    start = time.process_time()
    for faulty in (True, False):
        keras.utils.clear_session()
        keras.utils.set_random_seed(seed)
        model, x, y = make(faulty)
        found = mtl.diagnostics.preflight(model, x, y)
        said = [(one.severity, one.name) for one in found.problems]
        row["faulty" if faulty else "repaired"] = said
        if found.not_checked and not faulty:
            row["not_checked"] = found.not_checked
    row["seconds"] = round(time.process_time() - start, 1)
    row["named"] = any(one in expected for _, one in row["faulty"])
    row["first"] = bool(row["faulty"]) and row["faulty"][0][1] in expected
    row["beyond_a_hint"] = any(
        one in expected and severity != "hint" for severity, one in row["faulty"]
    )
    row["reproached"] = [one for severity, one in row["repaired"] if severity != "hint"]
    return row


def main() -> None:
    """Judges all programs, and prints what was said."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="programs; all of them, if none is named")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    rows = []
    for seed in arguments.seeds:
        for name in arguments.names or PROGRAMS:
            row = judged(name, seed)
            rows.append(row)
            mark = "named" if row["named"] else "MISSED"
            wrong = f"  REPROACHED {row['reproached']}" if row["reproached"] else ""
            print(f"{mark:7}{name:34}{row['seconds']:5.1f} s  {row['faulty']}{wrong}", flush=True)
            if row.get("not_checked"):
                print("        not checked:", row["not_checked"])
    for what in ("named", "first", "beyond_a_hint"):
        print(f"{what}: {sum(row[what] for row in rows)} of {len(rows)}")
    print(f"repaired programs reproached: {sum(bool(row['reproached']) for row in rows)}")
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
