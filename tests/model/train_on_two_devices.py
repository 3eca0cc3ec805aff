"""Trains a model on one device and on two, and prints how far logs and weights are apart.

    python tests/model/train_on_two_devices.py [everything]

A program of its own: the number of devices is fixed before the first use of a backend. With
`everything` all losses of the contrastive and hierarchical heads take part.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
if os.environ.get("KERAS_BACKEND") == "jax":
    os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=2"

import keras
import numpy as np
from keras import ops

import mtlkit as mtl
from mtlkit.heads.contrastive import LOSSES as CONTRASTIVE
from mtlkit.heads.hierarchical import LOSSES as HIERARCHICAL
from mtlkit.heads.orientation import TARGETS

BATCH, BATCHES, EPOCHS = 12, 5, 4
GROUPS = {"a": ["a0", "a1"], "b": ["b0", "b1"]}


class WholeBatch(mtl.losses.BatchLoss):
    """The squared mean of a batch's weighted errors: no sum over its samples."""

    def of_batch(self, labels, outputs, weight, present):
        errors = weight * (outputs[:, 0] - ops.reshape(labels, (-1,)))
        return ops.square(ops.sum(errors) / ops.maximum(ops.sum(weight), 1.0))


def quartic(y_true, y_pred):
    return ops.mean((y_true - y_pred) ** 4, axis=-1)


def one_number(y_true, y_pred):
    return ops.sqrt(ops.mean((y_true - y_pred) ** 2))


def regression(loss=None, metrics=None, **task):
    return mtl.heads.RegressionHead(hidden_units=0), {"loss": loss, "metrics": metrics, **task}


def heads(everything: bool) -> dict:
    """Heads, and arguments of their tasks, by the name of the task."""
    contrastive = CONTRASTIVE if everything else ("supcon", "proxy_anchor")
    hierarchical = HIERARCHICAL if everything else ("conditional", "frame")
    mse = keras.losses.MeanSquaredError
    found = {
        "classes": (mtl.heads.ClassificationHead(4, hidden_units=4), {"weight": 2.0}),
        "values": regression(gradient="stop", metrics=["mae", keras.metrics.R2Score(name="r2")]),
        "sum": regression(mse(reduction="sum"), weight=0.1),
        "by_weight": regression(mse(reduction="mean_with_sample_weight")),
        "function": regression(quartic, weight=0.1),
        "number": regression(one_number),
        "whole": regression(WholeBatch(name="whole_batch")),
    }
    for target in TARGETS:
        head = mtl.heads.OrientationHead(
            8, spatial="pool", target=target, hidden_units=4, dropout=0.0
        )
        found[f"target_{target}"] = head, {}
    for loss in contrastive:
        head = mtl.heads.ContrastiveHead(4, 3, loss=loss, pooling="average", hidden_units=4)
        found[f"contrastive_{loss}"] = head, {}
    for loss in hierarchical:
        head = mtl.heads.HierarchicalHead(GROUPS, loss, pooling="average", hidden_units=4)
        found[f"hierarchical_{loss}"] = head, {}
    if not everything:  # the metrics of one head of each family are enough
        for name, (_, task) in found.items():
            if "_" in name and name.split("_", 1)[1] not in ("onehot", "supcon", "conditional"):
                task["metrics"] = []
    return found


def build(everything: bool) -> mtl.MultiTaskModel:
    backbone = mtl.backbones.ConvBackbone((8, 8, 1), filters=(4, 6))
    backbone.trainable_variables[0].regularizer = keras.regularizers.L2(0.1)
    tasks = [mtl.Task(name, head, **task) for name, (head, task) in heads(everything).items()]
    model = mtl.MultiTaskModel(backbone, tasks)
    model.compile(keras.optimizers.SGD(0.003))
    return model


def build_balanced() -> mtl.MultiTaskModel:
    """A model whose losses and gradients are balanced, by methods that have a state."""
    known = heads(everything=False)
    names = ("classes", "by_weight", "number")
    tasks = [mtl.Task(name, known[name][0], metrics=[]) for name in names]
    backbone = mtl.backbones.ConvBackbone((8, 8, 1), filters=(4, 6))
    model = mtl.MultiTaskModel(backbone, tasks, ("famo", "gradvac"))
    model.compile(keras.optimizers.SGD(0.003))
    return model


def data(names, samples: int):
    """Images, labels of which a third is missing, and sample weights of some tasks.

    More is missing in the first half of a batch, which the first device gets; in the first
    batch it has no label at all, and in the second batch no sample has one.
    """
    rng = np.random.default_rng(0)
    x = rng.random((samples, 8, 8, 1)).astype("float32")
    place = np.arange(samples) % BATCH
    y, weights = {}, {}
    for name in names:
        missing = rng.random(samples) < np.where(place < BATCH / 2, 0.4, 0.1)
        missing |= (np.arange(samples) < BATCH) & (place < BATCH / 2)
        missing |= (np.arange(samples) // BATCH == 1) & (name != "classes")
        if name in ("values", "sum", "by_weight", "function", "number", "whole"):
            missing &= name != "number"
            y[name] = np.where(missing, np.nan, rng.random(samples)).astype("float32")
        else:
            classes = 8 if name.startswith("target") else 4
            y[name] = np.where(missing, -1, rng.integers(classes, size=samples))
        if name in ("classes", "by_weight", "sum", "number", "whole", "contrastive_supcon"):
            weights[name] = rng.uniform(0.5, 2.0, samples).astype("float32")
    return x, y, weights


def train(model, samples: int):
    """Trains a model; returns its logs and its last weights."""
    x, y, sample_weight = data(model.tasks, samples)
    history = model.fit(
        x,
        y,
        sample_weight=sample_weight,
        batch_size=BATCH,
        epochs=EPOCHS,
        shuffle=False,
        verbose=0,
        validation_data=(x[: 2 * BATCH], {name: v[: 2 * BATCH] for name, v in y.items()}),
    )
    return history.history, model.get_weights()


def two_devices():
    """Makes what is built from now on be of two devices, as the backend's users do."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope()
    keras.distribution.set_distribution(keras.distribution.DataParallel())
    return contextlib.nullcontext()


def apart(a, b) -> float:
    """The largest difference, relative to values above one; infinite if one is no number."""
    a, b = np.asarray(a, "float64"), np.asarray(b, "float64")
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        return float("inf")
    return float((np.abs(a - b) / np.maximum(np.abs(a), 1)).max())


def main() -> None:
    everything = "everything" in sys.argv
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        cpus = tf.config.list_physical_devices("CPU")
        halves = [tf.config.LogicalDeviceConfiguration()] * 2
        tf.config.set_logical_device_configuration(cpus[0], halves)
    # The last batch is smaller, where the backend can divide it.
    samples = BATCH * BATCHES - (3 if keras.backend.backend() == "tensorflow" else 0)
    keras.utils.set_random_seed(0)
    model, balanced = build(everything), build_balanced()
    first, first_balanced = model.get_weights(), balanced.get_weights()
    _, last_balanced = train(balanced, samples)
    trained = [ops.convert_to_numpy(variable) for variable in model.trainable_variables]
    logs, last = train(model, samples)
    moved = max(
        float(np.abs(ops.convert_to_numpy(variable) - before).max())
        for variable, before in zip(model.trainable_variables, trained, strict=True)
    )
    with two_devices():
        model, balanced = build(everything), build_balanced()
        model.set_weights(first)
        balanced.set_weights(first_balanced)
    other_logs, other_last = train(model, samples)
    _, other_balanced = train(balanced, samples)
    names = list(logs)
    print(
        json.dumps(
            {
                "logs": {name: apart(logs[name], other_logs[name]) for name in names},
                "weights": [apart(a, b) for a, b in zip(last, other_last, strict=True)],
                "balanced": [
                    apart(a, b) for a, b in zip(last_balanced, other_balanced, strict=True)
                ],
                "moved": moved,
                "same_names": names == list(other_logs),
                "loss": [logs["loss"], other_logs["loss"]],
            }
        )
    )


if __name__ == "__main__":
    main()
