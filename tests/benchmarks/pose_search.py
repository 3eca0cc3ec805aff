"""A timed search on sets of poses; the winner beside one nearest neighbour in pixels.

    python tests/benchmarks/pose_search.py --data turntable --json pose_search.json
    python tests/benchmarks/pose_search.py --data eth80 eth80-objects --folder DATA --json ...

The sets, and how they are split, are those of `poses.py`. A fifth of the training part validates
the search (whole objects, where whole objects are tested). Its winner is trained anew on the
training part, for 20 epochs unless told otherwise, once per seed, and scored on the test part,
which nothing was chosen by. What the JSON file and the folder beside it hold is not repeated.
"""

from __future__ import annotations

import argparse
import datetime
import json
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np
from poses import NEIGHBOUR, SETS, Poses, neighbour, scored
from poses import table as table_of
from results_file import resumed

import mtlkit as mtl

BATCH = 64


def searched(data: Poses, minutes: float, folder: Path) -> Any:
    """The result of a search of which a fifth of the training part is the validation data."""
    rng = np.random.default_rng(0)
    if data.objects is None:
        held_out = rng.random(len(data.x)) < 0.2
    else:
        held_out = np.isin(data.objects, rng.permutation(np.unique(data.objects))[::5])
    parts = [
        (data.x[rows], {k: v[rows] for k, v in data.y.items()}) for rows in (~held_out, held_out)
    ]
    return mtl.search.search_heads(
        mtl.backbones.ConvBackbone(data.x.shape[1:]),
        [
            mtl.Task("identity", mtl.heads.ClassificationHead(data.identities)),
            mtl.Task("pose", mtl.heads.OrientationHead(data.num_bins)),
        ],
        "pose",
        tuple(parts),
        time_budget=60 * minutes,
        directory=folder,
    )


def trained(result: Any, data: Poses, seed: int, epochs: int) -> dict[str, float]:
    """Test scores of the winner, trained anew."""
    keras.utils.set_random_seed(seed)
    model = result.new_model(run=seed)
    steps = epochs * -(-len(data.x) // BATCH)
    rate = keras.optimizers.schedules.CosineDecay(result.best_config["learning_rate"], steps)
    model.compile(keras.optimizers.Adam(rate))
    start = time.perf_counter()
    model.fit(data.x, data.y, batch_size=BATCH, epochs=epochs, verbose=2)
    seconds = time.perf_counter() - start
    return {**scored(model, data, data.x_test), "seconds": seconds}


def main() -> None:
    """Runs what is not kept yet, and prints a table for each set."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", nargs="+", choices=list(SETS), default=["turntable"])
    parser.add_argument("--minutes", type=float, default=15.0)
    parser.add_argument("--epochs", type=int, default=20, help="epochs to train the winner")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--folder", type=Path, help="where eth80.npz is")
    parser.add_argument("--json", type=Path, required=True, help="where scores are kept")
    arguments = parser.parse_args()
    settings = {"minutes": arguments.minutes, "epochs": arguments.epochs}
    kept = resumed(arguments.json, parser, settings)
    for which in arguments.data:
        # The split of seed 0 alone: the search saw images that other splits test.
        data = SETS[which](0, arguments.folder)
        folder = arguments.json.with_suffix("") / which
        result = searched(data, arguments.minutes, folder)
        rows = kept["results"].setdefault(which, {"winner": {}, NEIGHBOUR: {}})
        rows["searched"] = {"head": result.code(), "sentence": result.sentence}
        print(result.leaderboard, result.code(), sep="\n", flush=True)
        rows[NEIGHBOUR]["0"] = neighbour(data)
        for seed in map(str, arguments.seeds):
            if seed not in rows["winner"]:
                rows["winner"][seed] = trained(result, data, int(seed), arguments.epochs)
                print(which, "seed", seed, rows["winner"][seed], flush=True)
            kept["date"] = str(datetime.date.today())
            kept["versions"] = f"Keras {keras.__version__} on {keras.backend.backend()}"
            arguments.json.write_text(json.dumps(kept, indent=1))
    for which in arguments.data:
        print(f"\n{which}, {kept['versions']}, {kept['date']}\n")
        rows = {k: v for k, v in kept["results"][which].items() if k != "searched"}
        print(table_of(rows))


if __name__ == "__main__":
    main()
