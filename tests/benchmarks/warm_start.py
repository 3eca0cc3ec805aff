"""Whether a search may start its trials from a trained backbone: does that keep their order?

    python tests/benchmarks/warm_start.py --data digits eth80 --folder DATA --json warm_start.json

The sets are those of `poses.py`. A backbone is trained for `--guard` epochs beside the identity and
a head that averages positions away, as a search trains the user's model before its trials. Each
head is then trained for `--short` epochs from new weights, and from that backbone; and for `--long`
epochs from new weights. Printed are the accuracies, and the rank correlations (Spearman) of the two
short trainings with the long one. A search would take the start that orders heads better.
"""

from __future__ import annotations

import argparse
import datetime
import json
from pathlib import Path

import keras
import numpy as np
from poses import SETS, Poses, run
from results_file import resumed
from scipy import stats

import mtlkit as mtl

HEADS = (
    "pool / one-hot",
    "pool / smooth",
    "flatten / one-hot",
    "flatten / smooth",
    "flatten / sincos",
    "polar / one-hot",
    "polar / smooth",
    "polar_and_flatten / one-hot",
    "polar_and_flatten / one-hot, EMD",
    "contrastive / supcon",
)
ARMS = ("long", "short", "warm")


def trained_backbone(data: Poses, seed: int, epochs: int) -> keras.Model:
    """A backbone as the training before a search leaves it."""
    keras.utils.set_random_seed(seed)
    backbone = mtl.backbones.ConvBackbone(data.x.shape[1:])
    run("pool / one-hot", data, seed, epochs, backbone)
    return backbone


def copied(backbone: keras.Model) -> keras.Model:
    """A backbone with the same weights."""
    copy = type(backbone).from_config(backbone.get_config())
    copy.set_weights(backbone.get_weights())
    return copy


def main() -> None:
    """Trains what the JSON file does not hold yet, and prints a table for each set."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", nargs="+", choices=list(SETS), default=["digits"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--samples", type=int, default=2000, help="training samples at most")
    parser.add_argument("--guard", type=int, default=6)
    parser.add_argument("--short", type=int, default=3)
    parser.add_argument("--long", type=int, default=12)
    parser.add_argument("--folder", type=Path, help="where eth80.npz is")
    parser.add_argument("--json", type=Path, required=True, help="where scores are kept")
    arguments = parser.parse_args()

    settings = {name: getattr(arguments, name) for name in ("samples", "guard", "short", "long")}
    kept = resumed(arguments.json, parser, settings)
    for seed in arguments.seeds:
        for which in arguments.data:
            results = kept["results"].setdefault(which, {}).setdefault(str(seed), {})
            missing = [
                (head, arm) for head in HEADS for arm in ARMS if arm not in results.get(head, {})
            ]
            if not missing:
                continue
            data = SETS[which](seed, arguments.folder)
            rows = np.random.default_rng(seed).permutation(len(data.x))[: arguments.samples]
            data = data._replace(x=data.x[rows], y={k: v[rows] for k, v in data.y.items()})
            warm = trained_backbone(data, seed, arguments.guard)
            for head, arm in missing:
                backbone = copied(warm) if arm == "warm" else None
                epochs = arguments.long if arm == "long" else arguments.short
                scores = run(head, data, seed, epochs, backbone)
                results.setdefault(head, {})[arm] = scores
                print(which, seed, head, arm, f"{scores['accuracy']:.3f}", flush=True)
                kept["date"] = str(datetime.date.today())
                kept["versions"] = f"Keras {keras.__version__} on {keras.backend.backend()}"
                arguments.json.write_text(json.dumps(kept, indent=1))
    for which, by_seed in kept["results"].items():
        print(f"\n{which}, {kept['versions']}, {kept['date']}\n")
        print("| head | " + " | ".join(ARMS) + " |\n|---" + "|---" * len(ARMS) + "|")
        scores = {
            arm: np.array(
                [[row[head][arm]["accuracy"] for head in HEADS] for row in by_seed.values()]
            )
            for arm in ARMS
        }
        for number, head in enumerate(HEADS):
            cells = [f"{100 * scores[arm][:, number].mean():.1f} %" for arm in ARMS]
            print(f"| {head} | {' | '.join(cells)} |")
        for arm in ARMS[1:]:
            pairs = zip(scores[arm], scores["long"], strict=True)
            found = [stats.spearmanr(*pair).statistic for pair in pairs]
            each = ", ".join(f"{one:.2f}" for one in found)
            print(f"Rank correlation of {arm} with long: {np.mean(found):.2f} ({each})")


if __name__ == "__main__":
    main()
