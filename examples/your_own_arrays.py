"""Your own arrays: images and a table of labels, with words, prices in thousands, and gaps.

The table is as people keep it: `kind` and `material` are words, `price` is in thousands, and a
third of the cells is empty. It becomes arrays, a `MultiTaskData` and a model. What the model
predicts is decoded to words and prices; data and model are saved.

Run it with `python examples/your_own_arrays.py`; `--help` tells the options. It needs
`pip install ".[table]"`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import keras
import numpy as np
import pandas as pd

import mtlkit as mtl

SIZE = 24
KINDS = ["gear", "nut", "washer"]
LIGHT = {"brass": 0.6, "steel": 1.0}


def images_and_table(samples: int, seed: int = 0) -> tuple[np.ndarray, pd.DataFrame]:
    """Returns images of parts, and the table that belongs to them: words, numbers and gaps."""
    rng = np.random.default_rng(seed)
    kind, material = rng.choice(KINDS, samples), rng.choice(list(LIGHT), samples)
    radius = rng.uniform(4, 9, samples)
    price = 40 * radius**2 * np.where(material == "brass", 3, 1) + rng.normal(0, 100, samples)

    row, column = np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2
    angle = np.arctan2(row, column) + rng.uniform(0, 2 * np.pi, samples)[:, None, None]
    edges = {
        "gear": 1 + 0.3 * np.sign(np.sin(8 * angle)),
        "nut": 1 / np.maximum(abs(np.cos(angle)), abs(np.sin(angle))),
        "washer": np.ones_like(angle),
    }
    edge = np.select([(kind == one)[:, None, None] for one in KINDS], [edges[one] for one in KINDS])
    inside = np.hypot(row, column) < 0.8 * radius[:, None, None] * edge
    images = inside * np.array([LIGHT[one] for one in material])[:, None, None]
    images = (images + rng.normal(0, 0.15, images.shape))[..., None].astype("float32")

    table = pd.DataFrame({"kind": kind, "material": material, "price": price.round()})
    return images, table.mask(rng.random(table.shape) < 1 / 3)


def in_words(decoded: dict, names: dict[str, list[str]]) -> pd.DataFrame:
    """Returns what a model predicts, in the words of the table."""
    words = {task: np.take(some, decoded[task]["label"]) for task, some in names.items()}
    return pd.DataFrame({**words, "price": decoded["price"]["value"].round()})


def draw(images: np.ndarray, found: pd.DataFrame, path: Path) -> None:
    """Writes a picture of images under what was predicted for them."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 2.2), layout="constrained")
    for ax, image, row in zip(figure.subplots(1, 6), images, found.itertuples(), strict=False):
        ax.imshow(image[..., 0], cmap="gray", vmin=-0.2, vmax=1.2)
        ax.set_title(f"{row.kind}, {row.material}\n{row.price:,.0f}", fontsize=9)
        ax.set_axis_off()
    figure.savefig(path, dpi=100)


def main() -> None:
    """Reads the table, trains, scores, decodes and saves."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fast", action="store_true", help="few images and one epoch, as a test")
    parser.add_argument("--output", type=Path, default=Path("own-arrays"))
    parser.add_argument("--save", type=Path, help="where to write the picture")
    options = parser.parse_args()
    samples, epochs = (240, 1) if options.fast else (3000, 10)
    options.output.mkdir(parents=True, exist_ok=True)
    images, table = images_and_table(samples)
    print(table.head(4), "\n")

    # Words are numbered, -1 where there is none; numbers are floats, NaN where there is none.
    kind, kinds = pd.factorize(table["kind"], sort=True)
    material, materials = pd.factorize(table["material"], sort=True)
    y = {"kind": kind, "material": material, "price": table["price"].to_numpy("float32")}

    # No part has two images, so rows may be split at random.
    order = np.random.default_rng(1).permutation(samples)
    splits = []
    for rows in np.split(order, [samples // 2, samples * 2 // 3]):
        splits += [images[rows], {task: labels[rows] for task, labels in y.items()}]
    names = {"kind": list(kinds), "material": list(materials)}
    data = mtl.datasets.MultiTaskData(*splits, name="parts", class_names=names)
    print(data.summary(), "\n")

    keras.utils.set_random_seed(0)
    model = mtl.MultiTaskModel(
        mtl.backbones.ConvBackbone((SIZE, SIZE, 1), filters=(16, 32)),
        [
            mtl.Task("kind", mtl.heads.ClassificationHead(len(kinds))),
            mtl.Task("material", mtl.heads.ClassificationHead(len(materials))),
            mtl.Task("price", mtl.heads.RegressionHead()),  # standardises its labels
        ],
    )
    model.compile(keras.optimizers.Adam(2e-3))
    validation = (data.x_val, data.y_val)
    model.fit(data.x_train, data.y_train, validation_data=validation, epochs=epochs, verbose=0)
    logs = model.evaluate(data.x_test, data.y_test, verbose=0, return_dict=True)
    print("From evaluate:", {name: round(logs[name], 3) for name in ("kind_accuracy", "price_mae")})
    skills = mtl.reports.task_skills(model, data.x_test, data.y_test, data.y_train)
    print(mtl.metrics.skill_table(skills, title=f"{len(data.x_test)} test images"), "\n")

    decoded = model.predict_tasks(data.x_test, verbose=0)
    found = in_words(decoded, data.class_names)
    print("Predicted for the first test images:", found.head(4), sep="\n")
    if options.save:
        draw(data.x_test, found, options.save)

    data.save_npz(options.output / "parts.npz")
    model.save(options.output / "model.keras")
    loaded = keras.models.load_model(options.output / "model.keras")
    again = in_words(loaded.predict_tasks(data.x_test, verbose=0), data.class_names)
    same = (again.drop(columns="price") == found.drop(columns="price")).all(axis=None)
    print(f"Saved in {options.output}: parts.npz and model.keras. Same words when loaded: {same}")


if __name__ == "__main__":
    main()
