"""What the diagnosis makes of planted causes, beside naive rules and cleanlab's noise rates.

    python tests/benchmarks/planted.py --json planted.json                   # `audit`, data causes
    python tests/benchmarks/planted.py --how diagnose --json models.json     # all, with a model

Each run plants one condition with one seed in one family of images and compares the verdict
with the truth. *Right*: all planted causes (or what says the same) are named and no other; where
the data cannot decide, the verdict abstains with the truth's set. *Undecided*: a planted cause is
not named, but the verdict abstains, or its open set holds it. *Wrong*: anything else. Thresholds
of the library were set on glyphs with seeds 0 to 4; other families and seeds are for judging.

The naive rules see the same left-out predictions: an accuracy near chance is no signal, more
than 10 % of cleanlab's label issues is noise, a ratio of class counts above 10 is imbalance.
Without cleanlab (`pip install cleanlab`) its columns stay empty, and so does the second rule. Runs
that the JSON file holds are not repeated.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.util
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from results_file import resumed

import mtlkit as mtl
from mtlkit.datasets.planting._conditions import CONDITIONS
from mtlkit.diagnostics import Reference
from mtlkit.diagnostics.causes import OF_DATA

#: Conditions in which the model is to blame; `audit` has nothing to find there.
OF_MODELS = tuple(
    name for name, condition in CONDITIONS.items() if condition.limit in ("model", "mixed")
)


def judge(named: set[str], open_set: set[str], limit: str, truth: Any, data_only: bool) -> str:
    """Compares a verdict with the truth: `"right"`, `"undecided"` or `"wrong"`."""
    causes = {one for one in truth.causes if not data_only or one in OF_DATA}
    abstains = bool(truth.undetermined) and set(truth.undetermined) <= open_set
    if truth.limit == "undetermined":
        return "right" if abstains else "wrong"
    if named - causes - {*truth.allowed, *truth.instead}:
        return "wrong"
    if abstains:  # both causes, or that they cannot be told apart
        return "right"
    missing = set() if named & set(truth.instead) else causes - named
    if not missing:
        healthy = not causes and limit == "undetermined"
        return "undecided" if healthy else "right"
    return "undecided" if missing <= open_set or limit == "undetermined" else "wrong"


def naive(reference: Reference, noise: float | None) -> set[str]:
    """The verdict of rules of thumb."""
    counts = np.bincount(reference.y, minlength=reference.num_classes)
    found = set()
    if reference.accuracy < 2 * reference.chance:
        found.add("no_signal")
    if noise is not None and noise > 0.1:
        found.add("uniform_noise")
    if counts.max() > 10 * max(counts.min(), 1):
        found.add("imbalance")
    return found


def cleanlab_rate(reference: Reference) -> float | None:
    """The share of wrong labels that cleanlab estimates (confident learning's joint)."""
    if importlib.util.find_spec("cleanlab") is None:
        return None
    from cleanlab.count import estimate_joint

    joint = estimate_joint(reference.y, reference.probabilities.astype("float64"))
    return float(1 - np.trace(joint))


def run(condition: str, how: str, options: dict[str, Any], budget: float) -> dict[str, Any]:
    """Plants, diagnoses and judges once."""
    data = mtl.datasets.planted(condition, **options)
    validation = (data.x_val, data.y_val)
    high = None if data.x_high is None else data.x_high["train"]
    given = {"num_classes": data.num_bins, "validation_data": validation, "x_high": high}
    start = time.process_time()
    if how == "audit":
        found = mtl.diagnostics.audit(data.x_train, data.y_train, data.target, verbose=0, **given)
    else:
        model = data.train()
        start = time.process_time()
        found = mtl.diagnostics.diagnose(
            model, data.x_train, data.y_train, data.target, budget=budget, verbose=0, **given
        )
    seconds = time.process_time() - start
    verdict, truth = found.verdict, data.truth
    named, data_only = {cause.name for cause in verdict.causes}, how == "audit"
    reference = Reference(data.x_train, data.y_train[data.target], data.num_bins)
    noise = cleanlab_rate(reference)
    thumb = naive(reference, noise)
    return {
        "planted": [*truth.causes],
        "limit": verdict.limit,
        "named": sorted(named),
        "open": [*verdict.undetermined],
        "judged": judge(named, set(verdict.undetermined), verdict.limit, truth, data_only),
        "naive": sorted(thumb),
        "naive_judged": judge(thumb, set(), "", truth, data_only),
        "noise_rate": truth.noise_rate if "uniform_noise" in truth.causes else 0.0,
        "estimated": found.evidence["uniform_noise"].effect,
        "cleanlab": noise,
        "seconds": seconds,
    }


def table(results: dict[str, dict[str, Any]]) -> str:
    """A line for each condition and family, over its seeds."""
    lines = [
        "| planted | family | right | undecided | wrong | naive: wrong | noise: true, estimated, "
        "cleanlab | otherwise named |",
        "|---|---|---|---|---|---|---|---|",
    ]
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for key, row in results.items():
        condition, family, _ = key.split("/")
        groups.setdefault((condition, family), []).append(row)
    for (condition, family), rows in groups.items():
        judged = [row["judged"] for row in rows]
        rates = [
            _mean([row[name] for row in rows]) for name in ("noise_rate", "estimated", "cleanlab")
        ]
        others = sorted(
            {", ".join(row["named"]) or row["limit"] for row in rows if row["judged"] != "right"}
        )
        cells = [
            condition,
            family,
            *(str(judged.count(one)) for one in ("right", "undecided", "wrong")),
            str(sum(row["naive_judged"] == "wrong" for row in rows)),
            ", ".join(rates),
            "; ".join(others),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    every = [row["judged"] for row in results.values()]
    counts = ", ".join(f"{every.count(one)} {one}" for one in ("right", "undecided", "wrong"))
    seconds = np.median([row["seconds"] for row in results.values()])
    return "\n".join(lines) + f"\n\n{counts}; {seconds:.0f} CPU-seconds each (median)"


def _mean(values: list[float | None]) -> str:
    known = [value for value in values if value is not None]
    return f"{np.mean(known):.2f}" if known else "-"


def main() -> None:
    """Runs what the JSON file does not hold yet, and prints the table."""
    names = mtl.datasets.planted_conditions()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--how", choices=["audit", "diagnose"], default="audit")
    parser.add_argument("--conditions", nargs="+", choices=names, help="default: all that fit")
    parser.add_argument("--families", nargs="+", default=["glyphs"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--samples", type=int, default=6000)
    parser.add_argument("--num-bins", type=int, default=32)
    parser.add_argument("--budget", type=float, default=600.0, help="CPU-seconds of diagnose")
    parser.add_argument("--json", type=Path, required=True, help="where results are kept")
    arguments = parser.parse_args()

    settings = {key: vars(arguments)[key] for key in ("how", "samples", "num_bins", "budget")}
    kept = resumed(arguments.json, parser, settings)
    fitting = names if arguments.how == "diagnose" else [n for n in names if n not in OF_MODELS]
    for seed in arguments.seeds:
        for family in arguments.families:
            for condition in arguments.conditions or fitting:
                key = f"{condition}/{family}/{seed}"
                if key in kept["results"]:
                    continue
                options = {
                    "family": family,
                    "seed": seed,
                    "samples": arguments.samples,
                    "num_bins": arguments.num_bins,
                }
                row = run(condition, arguments.how, options, arguments.budget)
                kept["results"][key] = row
                kept["date"] = str(datetime.date.today())
                arguments.json.write_text(json.dumps(kept, indent=1))
                told = (row["judged"], row["limit"], row["named"], row["open"])
                print(key, *told, f"{row['seconds']:.0f} s", flush=True)
    print(f"\n{arguments.how}, {kept.get('date')}\n\n{table(kept['results'])}")


if __name__ == "__main__":
    main()
