"""Losses and metrics of the heads beside those of coral-pytorch, torchmetrics and scikit-learn.

    pip install coral-pytorch torchmetrics
    KERAS_BACKEND=torch python tests/benchmarks/heads_beside_peers.py

About two minutes. A row has the largest difference over 20 draws of labels and outputs, divided
by the peer's largest value. The last rows train a linear head of each loss on the same features
from the same weights with Adam: ours in `fit`, the peer's in a loop written by hand. CORN is
brought to our scale, the mean over samples; the peer takes the mean over binary labels.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import torch
from coral_pytorch.losses import coral_loss, corn_loss
from sklearn.metrics import average_precision_score, cohen_kappa_score
from torchmetrics.classification import (
    MulticlassCohenKappa,
    MulticlassJaccardIndex,
    MultilabelAveragePrecision,
)
from torchmetrics.regression import MeanAbsolutePercentageError

import mtlkit as mtl
from mtlkit import losses, metrics

SAMPLES, CLASSES, LABELS, DRAWS = 400, 6, 5, 20


def ordinal(rng: np.random.Generator, method: str) -> float:
    label = rng.integers(CLASSES, size=SAMPLES)
    logits = rng.normal(scale=2, size=(SAMPLES, CLASSES - 1)).astype("float32")
    own, theirs = (torch.tensor(logits, requires_grad=True) for _ in range(2))
    value = losses.OrdinalCrossEntropy(CLASSES, method)(label, own)
    expected = peers_loss(theirs, label, method)
    value.backward()
    expected.backward()
    return max(apart(value, expected), apart(own.grad, theirs.grad))


def peers_loss(logits: Any, label: np.ndarray, method: str) -> Any:
    """The loss of coral-pytorch; CORN divided by samples, where the peer divides by labels."""
    if method == "coral":
        above = label[:, None] > np.arange(CLASSES - 1)
        return coral_loss(logits, torch.tensor(above.astype("float32")))
    binary = np.minimum(label + 1, CLASSES - 1).sum()
    return corn_loss(logits, torch.tensor(label), CLASSES) * binary / len(label)


def kappa(rng: np.random.Generator, peer: str) -> float:
    label = rng.integers(CLASSES, size=SAMPLES)
    found = np.clip(label + rng.integers(-2, 3, size=SAMPLES), 0, CLASSES - 1)
    metric = metrics.QuadraticKappa(CLASSES)
    metric.update_state(label, np.eye(CLASSES, dtype="float32")[found])
    if peer == "scikit-learn":
        return apart(metric.result(), cohen_kappa_score(label, found, weights="quadratic"))
    expected = MulticlassCohenKappa(CLASSES, weights="quadratic")
    return apart(metric.result(), expected(torch.tensor(found), torch.tensor(label)))


def average_precision(rng: np.random.Generator, peer: str) -> float:
    label = rng.integers(2, size=(SAMPLES, LABELS))
    logits = (label + rng.normal(size=label.shape)).astype("float32")
    metric = metrics.MeanAveragePrecision(LABELS)
    metric.update_state(label, logits)
    if peer == "scikit-learn":
        return apart(metric.result(), average_precision_score(label, logits))
    expected = MultilabelAveragePrecision(LABELS)
    return apart(metric.result(), expected(torch.tensor(logits), torch.tensor(label)))


def mean_iou(rng: np.random.Generator) -> float:
    label = rng.integers(CLASSES, size=(8, 16, 16))
    found = np.where(rng.random(label.shape) < 0.6, label, rng.integers(CLASSES, size=label.shape))
    metric = metrics.MeanIoU(CLASSES)
    metric.update_state(label, np.eye(CLASSES, dtype="float32")[found])
    expected = MulticlassJaccardIndex(CLASSES)
    return apart(metric.result(), expected(torch.tensor(found), torch.tensor(label)))


def relative_error(rng: np.random.Generator) -> float:
    label = rng.uniform(0.5, 4, size=(8, 16, 16, 1)).astype("float32")
    found = label + rng.normal(size=label.shape).astype("float32")
    metric = metrics.RelativeError()
    metric.update_state(label, found)
    expected = MeanAbsolutePercentageError()(torch.tensor(found), torch.tensor(label))
    return apart(metric.result(), expected)


def trained(rng: np.random.Generator, method: str) -> float:
    """The outputs of a linear head after ten epochs, beside those that the peer's loss trains."""
    features = rng.normal(size=(SAMPLES, 8)).astype("float32")
    label = np.digitize(features @ rng.normal(size=8), np.linspace(-3, 3, CLASSES - 1))
    head = mtl.heads.OrdinalHead(CLASSES, method, hidden_units=0, layer_norm=False)
    inputs = keras.Input((8,))
    model = keras.Model(inputs, head(inputs))
    weights = [torch.tensor(np.array(w.numpy()), requires_grad=True) for w in model.weights]
    model.compile(keras.optimizers.Adam(0.01, epsilon=1e-8), head.default_loss())
    model.fit(features, label, batch_size=50, epochs=10, shuffle=False, verbose=0)
    optimizer = torch.optim.Adam(weights, 0.01, eps=1e-8)
    for start in [*range(0, SAMPLES, 50)] * 10:
        x, y = torch.tensor(features[start : start + 50]), label[start : start + 50]
        optimizer.zero_grad()
        logits = by_hand(x, weights)
        peers_loss(logits, y, method).backward()
        optimizer.step()
    expected = by_hand(torch.tensor(features), weights).detach()
    return apart(model.predict(features, verbose=0), expected)


def by_hand(x: Any, weights: list[Any]) -> Any:
    """The head's outputs from its weights: a matrix, and the biases behind it."""
    (matrix,) = (weight for weight in weights if weight.ndim == 2)
    return x @ matrix + sum(weight for weight in weights if weight.ndim == 1)


def apart(own: Any, expected: Any) -> float:
    """The largest difference, by the largest expected value."""
    own, expected = (np.asarray(keras.ops.convert_to_numpy(one)) for one in (own, expected))
    return float(np.max(np.abs(own - expected)) / np.max(np.abs(expected)))


ROWS: dict[tuple[str, str], Callable[[np.random.Generator], float]] = {
    ("CORAL, value and gradient", "coral-pytorch"): lambda rng: ordinal(rng, "coral"),
    ("CORN, value and gradient", "coral-pytorch"): lambda rng: ordinal(rng, "corn"),
    ("quadratic kappa", "scikit-learn"): lambda rng: kappa(rng, "scikit-learn"),
    ("quadratic kappa", "torchmetrics"): lambda rng: kappa(rng, "torchmetrics"),
    ("mean average precision", "scikit-learn"): lambda rng: average_precision(rng, "scikit-learn"),
    ("mean average precision", "torchmetrics"): lambda rng: average_precision(rng, "torchmetrics"),
    ("mean IoU", "torchmetrics"): mean_iou,
    ("relative error", "torchmetrics"): relative_error,
    ("CORAL, trained", "coral-pytorch"): lambda rng: trained(rng, "coral"),
    ("CORN, trained", "coral-pytorch"): lambda rng: trained(rng, "corn"),
}


def main() -> None:
    print(f"{'what':28} {'peer':14} {'largest difference':>20}")
    for (what, peer), difference in ROWS.items():
        worst = max(difference(np.random.default_rng(seed)) for seed in range(DRAWS))
        print(f"{what:28} {peer:14} {worst:20.1e}", flush=True)


if __name__ == "__main__":
    main()
