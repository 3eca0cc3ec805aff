"""What the images of RotFashion32 allow: more views, an ensemble, and five times as many images.

    KERAS_BACKEND=tensorflow python tests/benchmarks/rotfashion32_ceiling.py --json ceiling.json

Each network has the wide polar head of `rotfashion32.py`, learns the orientation alone, and sees
half of its images mirrored, with their label. Its prediction is averaged with that of the mirrored
image. Two networks learn from 10,000 images for 30 epochs, and one from 50,000 for 10. The test
images are the same kind of draw; epochs and designs were fixed beforehand.
"""

from __future__ import annotations

import argparse
import datetime
import json
from pathlib import Path

import keras
import numpy as np
from rotfashion32 import WIDE
from scipy import stats

import mtlkit as mtl

BINS, BATCH, RATE = 32, 64, 2e-3
#: Images, epochs and the seed of the network.
MEMBERS = {"10,000, first": (10_000, 30, 0), "10,000, second": (10_000, 30, 1)}
MORE = {"50,000": (50_000, 10, 0)}


def probabilities(images: int, epochs: int, seed: int) -> tuple[np.ndarray, ...]:
    """Trains a network. Returns what it predicts of test images and of mirrored ones, and bins."""
    data = mtl.datasets.rotated_fashion_mnist(num_train=images, seed=0)
    keras.utils.set_random_seed(seed)
    head = mtl.heads.OrientationHead(BINS, "polar", **WIDE)
    backbone = mtl.backbones.ConvBackbone(filters=(8,))
    model = mtl.MultiTaskModel(backbone, [mtl.Task("orientation", head)])
    steps = epochs * -(-images // BATCH)
    decay = keras.optimizers.schedules.CosineDecay(RATE, steps)
    model.compile(keras.optimizers.Adam(decay))
    y = {"orientation": data.y_train["orientation"]}
    batches = mtl.datasets.TurnedBatches(
        data.x_train,
        y,
        "orientation",
        num_bins=BINS,
        quarter_turns=False,
        mirror=True,
        batch_size=BATCH,
        seed=seed,
    )
    backbone.adapt(data.x_train)
    model.fit(batches, epochs=epochs, verbose=0)
    decoded = [
        model.predict_tasks(x, batch_size=256, verbose=0)["orientation"]["probability"]
        for x in (data.x_test, data.x_test[:, :, ::-1].copy())
    ]
    # Mirroring takes an angle to its opposite sign.
    return decoded[0], decoded[1][:, -np.arange(BINS) % BINS], data.y_test["orientation"]


def row(name: str, probability: np.ndarray, bins: np.ndarray) -> dict[str, object]:
    """Accuracy with its 95 % interval, and the mean error in degrees with its own."""
    off = np.abs((probability.argmax(axis=1) - bins + BINS // 2) % BINS - BINS // 2)
    right = stats.binomtest(int((off == 0).sum()), len(off)).proportion_ci(method="wilson")
    degrees = off * 360 / BINS
    half = 1.96 * degrees.std(ddof=1) / np.sqrt(len(off))
    found = {
        "accuracy": float((off == 0).mean()),
        "interval": [float(right.low), float(right.high)],
        "degrees": float(degrees.mean()),
        "half_width": float(half),
    }
    print(
        f"| {name} | {100 * found['accuracy']:.1f} % [{100 * right.low:.1f}, "
        f"{100 * right.high:.1f}] | {degrees.mean():.2f} ± {half:.2f}° |",
        flush=True,
    )
    return found


def main() -> None:
    """Trains all networks, and prints a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    print("| network | accuracy | mean error |\n|---|---|---|")
    found, both = {}, []
    for name, settings in {**MEMBERS, **MORE}.items():
        plain, mirrored, bins = probabilities(*settings)
        found[name] = row(f"{name} images", plain, bins)
        averaged = plain * mirrored
        found[f"{name}, mirrored"] = row(
            "the same, averaged with the mirrored image", averaged, bins
        )
        if name in MEMBERS:
            both.append(averaged)
        if len(both) == len(MEMBERS) and name in MEMBERS:
            found["both"] = row("both networks, averaged", np.prod(both, axis=0), bins)
    if arguments.json:
        about = {"date": str(datetime.date.today()), "keras": keras.__version__}
        arguments.json.write_text(json.dumps({**about, "results": found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
