"""An embedding for classes that were never trained on.

A `ContrastiveHead` is trained on the digits 0 to 6. Its embedding is then asked to find, for
each image of a 7, 8 or 9, others of the same digit. Beside it stands the same head with the
cross-entropy alone.

Run it with `python examples/contrastive.py`; `--help` tells the options.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import keras
import numpy as np

import mtlkit as mtl

SEEN = 7


def draw(embeddings: dict[str, np.ndarray], labels: np.ndarray, path: Path) -> None:
    """Writes a picture of the embeddings, in the plane in which they vary most."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4.5), layout="constrained")
    for ax, (name, points) in zip(figure.subplots(1, 2), embeddings.items(), strict=True):
        centred = points - points.mean(axis=0)
        flat = centred @ np.linalg.svd(centred, full_matrices=False)[2][:2].T
        for digit in np.unique(labels):
            ax.scatter(*flat[labels == digit].T, s=12, label=f"{digit}")
        ax.set(title=name, xticks=[], yticks=[])
    ax.legend(title="digit")
    figure.suptitle("Digits that were never trained on")
    figure.savefig(path, dpi=100)


def main() -> None:
    """Trains both heads, and prints how well their embeddings find digits."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fast", action="store_true", help="one epoch, as a test")
    parser.add_argument("--save", type=Path, help="where to write the picture")
    options = parser.parse_args()
    epochs = 1 if options.fast else 8
    data = mtl.datasets.rotated_digits(copies=4)
    seen = data.y_train["identity"] < SEEN
    batches = mtl.datasets.ClassBalancedBatches(
        data.x_train[seen],
        {"digit": data.y_train["identity"][seen]},
        "digit",
        classes_per_batch=SEEN,
        samples_per_class=8,
    )
    true = data.y_test["identity"]

    embeddings = {}
    print("head                  digits         recall at 1  R-precision  chance")
    for name, weight in {"cross-entropy alone": 0.0, "with contrastive loss": 1.0}.items():
        keras.utils.set_random_seed(0)
        head = mtl.heads.ContrastiveHead(SEEN, embedding_dim=32, loss_weight=weight)
        backbone = mtl.backbones.ConvBackbone(filters=(16, 32, 64))
        model = mtl.MultiTaskModel(backbone, [mtl.Task("digit", head)])
        model.compile(keras.optimizers.Adam(2e-3))
        model.fit(batches, epochs=epochs, verbose=0)
        found = model.predict_tasks(data.x_test, verbose=0)["digit"]["embedding"]
        for what, rows in {"0-6, trained on": true < SEEN, "7-9, new": true >= SEEN}.items():
            scores = mtl.metrics.retrieval_scores(found[rows], true[rows], ks=(1,))
            print(
                f"{name:21} {what:15} {scores['recall_at_1']:10.2f}  "
                f"{scores['r_precision']:11.2f}  {scores['chance']:6.2f}"
            )
        embeddings[name] = found[true >= SEEN]
    if options.save:
        draw(embeddings, true[true >= SEEN], options.save)


if __name__ == "__main__":
    main()
