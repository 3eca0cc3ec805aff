"""How well the rate of labels that are wrong by chance is estimated, beside cleanlab.

    python tests/benchmarks/noise.py --json noise.json

For each family of images and seed: sets with a known rate, of identities and of orientations, few
and many samples, and sets in which classes look alike or images say nothing. Both estimates see
the same left-out predictions. Then classes of Gaussian images that are easily told apart, where
cleanlab is known to be excellent. Thresholds of the library were set on glyphs with seeds 0
to 4, which are not used here. Without cleanlab (`pip install cleanlab`) its columns stay empty.
What the JSON file holds is not repeated.
"""

from __future__ import annotations

import argparse
import datetime
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from planted import cleanlab_rate
from results_file import resumed

import mtlkit as mtl
from mtlkit.diagnostics import Reference, decide
from mtlkit.diagnostics.data_probes import signal, symmetry, uniform_noise

FAMILIES = ("glyphs", "textures", "fashion", "gaussians")
SAMPLES, FEW, NUM_BINS = 10_000, 2_500, 32
RATES = (0.0, 0.1, 0.2, 0.4)


def flipped(labels: NDArray, rate: float, num_classes: int, rng: np.random.Generator) -> NDArray:
    """Labels of which exactly a share is replaced by any other class."""
    wrong = rng.permutation(len(labels)) < round(rate * len(labels))
    return np.where(
        wrong, (labels + rng.integers(1, num_classes, len(labels))) % num_classes, labels
    )


def of_family(family: str, seed: int) -> Iterator[tuple[str, float, Reference]]:
    """The sets of a family: name, true rate, and the reference of images and labels."""
    rng = np.random.default_rng(seed)
    options: dict[str, Any] = {"family": family, "seed": seed, "num_bins": NUM_BINS}
    data = mtl.datasets.planted("clean", samples=SAMPLES, **options)
    first = Reference(data.x_train, data.y_train["orientation"], NUM_BINS)
    for rate in (0.0, 0.2, 0.4):
        labels = flipped(data.y_train["identity"], rate, 10, rng)
        yield f"identity, {rate:.0%}", rate, first.with_labels(labels, 10)
    for rate in RATES:
        labels = flipped(first.y, rate, NUM_BINS, rng)
        yield f"orientation, {rate:.0%}", rate, first.with_labels(labels, NUM_BINS)
    yield "orientation, permuted", 0.0, first.with_labels(rng.permutation(first.y), NUM_BINS)
    few = mtl.datasets.planted("clean", samples=FEW, **options)
    yield "orientation, few, 0%", 0.0, Reference(few.x_train, few.y_train["orientation"], NUM_BINS)
    twins = mtl.datasets.planted("symmetry", samples=SAMPLES, **options)
    alike = Reference(twins.x_train, twins.y_train["orientation"], NUM_BINS)
    for rate in (0.0, 0.2):
        labels = flipped(alike.y, rate, NUM_BINS, rng)
        yield f"twins, {rate:.0%}", rate, alike.with_labels(labels, NUM_BINS)


def gaussians(seed: int) -> Iterator[tuple[str, float, Reference]]:
    """Classes of noisy images, each with a pattern of its own, that are easily told apart."""
    for classes in (10, 32):
        rng = np.random.default_rng(seed)
        y = rng.integers(classes, size=6000)
        patterns = rng.normal(size=(classes, 12, 12, 1))
        x = (2 * patterns[y] + rng.normal(size=(6000, 12, 12, 1))).astype("float32")
        first = Reference(x, y, classes)
        for rate in RATES[1:]:
            labels = flipped(y, rate, classes, rng)
            yield f"{classes} classes, {rate:.0%}", rate, first.with_labels(labels, classes)


def estimated(name: str, rate: float, reference: Reference) -> dict[str, Any]:
    """What both make of a set, and whether a verdict speaks of labels wrong by chance."""
    x, y = reference.x, reference.y
    found = uniform_noise(x, y, reference=reference)
    evidence = {
        one.name: one
        for one in (
            signal(x, y, reference=reference),
            symmetry(x, y, reference=reference),
            found,
        )
    }
    named = {cause.name for cause in decide(evidence).causes}
    return {
        "set": name,
        "true": rate,
        "accuracy": reference.accuracy,
        "estimated": found.effect,
        "interval": found.interval,
        "called": "uniform_noise" in named,
        "cleanlab": cleanlab_rate(reference),
    }


def table(results: dict[str, list[dict[str, Any]]]) -> str:
    """A line for each set and family, over seeds, and the mean absolute errors of a family."""
    by_family: dict[str, list[dict[str, Any]]] = {}
    for key, rows in results.items():
        by_family.setdefault(key.split("/")[0], []).extend(rows)
    lines = [
        "| family | set | true | accuracy | estimated | called noise | cleanlab |",
        "|---|---|---|---|---|---|---|",
    ]
    for family, rows in by_family.items():
        for name in dict.fromkeys(row["set"] for row in rows):
            some = [row for row in rows if row["set"] == name]
            cells = [f"{mean(some, key):.3f}" for key in ("true", "accuracy", "estimated")]
            called = f"{sum(row['called'] for row in some)} of {len(some)}"
            lines.append(
                f"| {family} | {name} | " + " | ".join(cells) + f" | {called} | "
                f"{mean(some, 'cleanlab'):.3f} |"
            )
    lines += ["", "| family | mean absolute error | of cleanlab |", "|---|---|---|"]
    for family, rows in by_family.items():
        known = [row for row in rows if "permuted" not in row["set"]]
        errors = [
            np.mean([abs(row[key] - row["true"]) for row in known if row[key] is not None])
            for key in ("estimated", "cleanlab")
        ]
        lines.append(f"| {family} | {errors[0]:.3f} | {errors[1]:.3f} |")
    return "\n".join(lines)


def mean(rows: list[dict[str, Any]], key: str) -> float:
    """The mean of what is known."""
    known = [row[key] for row in rows if row[key] is not None]
    return float(np.mean(known)) if known else float("nan")


def main() -> None:
    """Runs what the JSON file does not hold yet, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--families", nargs="+", default=list(FAMILIES))
    parser.add_argument("--seeds", type=int, nargs="+", default=[31, 32, 33])
    parser.add_argument("--json", type=Path, required=True, help="where results are kept")
    arguments = parser.parse_args()
    kept = resumed(arguments.json, parser)
    for seed in arguments.seeds:
        for family in arguments.families:
            key = f"{family}/{seed}"
            if key in kept["results"]:
                continue
            sets = gaussians(seed) if family == "gaussians" else of_family(family, seed)
            kept["results"][key] = [estimated(*one) for one in sets]
            kept["date"] = str(datetime.date.today())
            arguments.json.write_text(json.dumps(kept, indent=1))
            print(
                key,
                *(f"{r['set']}: {r['estimated']:.3f}" for r in kept["results"][key]),
                sep="\n  ",
            )
    print(f"\n{kept.get('date')}\n\n{table(kept['results'])}")


if __name__ == "__main__":
    main()
