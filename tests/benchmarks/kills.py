"""A search that is killed at 20 random moments, against the same one left alone.

    python tests/benchmarks/kills.py

Each life of the search is a process of its own, on the same folder. It is ended by SIGKILL at
a random moment after it called `search_heads`, up to twice the time of a trial, and started
again; the last one runs to its end. Nothing is invented: trials train, on 8x8 images.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import keras
import numpy as np
import small_searches as small

import mtlkit as mtl
from mtlkit.search._records import Store
from mtlkit.search._trials import REFERENCE, Trials

BEGAN, FITS = "began", "fits.txt"


def live(folder: Path, trials: int) -> None:
    """One life of the search: notes when it begins, and every training."""
    fit = Trials._fit

    def noted(self: Any, record: Any, *args: Any, **kwargs: Any) -> None:
        with (folder / FITS).open("a") as file:
            file.write(f"{record.trial}\n")
        fit(self, record, *args, **kwargs)

    Trials._fit = noted  # type: ignore[method-assign]
    (folder / BEGAN).touch()
    result = small.search(folder / "search", tuner="random", max_trials=trials)
    (folder / "outcome.json").write_text(json.dumps(small.outcome(result)))


def start(folder: Path, trials: int) -> subprocess.Popen[bytes]:
    """Starts a life, and waits until it has called the search."""
    folder.mkdir(exist_ok=True)
    (folder / BEGAN).unlink(missing_ok=True)
    command = [sys.executable, __file__, "--live", str(folder), "--trials", str(trials)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    while not (folder / BEGAN).exists():
        if process.poll() is not None:
            raise RuntimeError(f"Expected a search. Received: exit code {process.returncode}")
        time.sleep(0.01)
    return process


def known_of(folder: Path) -> dict[str, bytes]:
    """The records of what ran to its end, the guard's model among it, as they are on the disk."""
    store = Store(folder / "search")
    names = [name for name, record in store.records().items() if record.over]
    return {name: (store.trials / f"{name}.json").read_bytes() for name in names}


def fits(folder: Path) -> list[str]:
    """The trials whose training began, in this order."""
    path = folder / FITS
    return path.read_text().split() if path.exists() else []


def main() -> None:
    """Measures, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--trials", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--live", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.live:
        live(arguments.live, arguments.trials)
        return
    with tempfile.TemporaryDirectory() as name:
        measure(Path(name), arguments)


def measure(folder: Path, arguments: argparse.Namespace) -> None:
    """Runs the search alone, then killed again and again, and prints what came of it."""
    whole, killed = folder / "whole", folder / "killed"
    began = time.perf_counter()
    if start(whole, arguments.trials).wait():
        raise RuntimeError("Expected the search to end. Received: an error")
    records = Store(whole / "search").records().values()
    trial = float(np.median([record.seconds for record in records]))

    versions = f"Keras {keras.__version__} on {keras.backend.backend()}, mtlkit {mtl.__version__}"
    print(f"{datetime.date.today()}, {versions}, Python {platform.python_version()},")
    print(f"{os.cpu_count()} cores; {arguments.trials} trials of {trial:.1f} s; ", end="")
    print(f"moments drawn with seed {arguments.seed}.\n")
    print("| kill | seconds after it began | trials over | lost | trained again |")
    print("|---|---|---|---|---|", flush=True)

    rng = np.random.default_rng(arguments.seed)
    kept: dict[str, bytes] = {}
    failures = []
    for kill in range(1, arguments.kills + 2):
        before = len(fits(killed))
        process = start(killed, arguments.trials)
        moment, last = float(rng.uniform(0, 2 * trial)), kill > arguments.kills
        try:
            code = process.wait(None if last else moment)
            if code or not last:
                failures.append(f"life {kill} ended by itself with exit code {code}")
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        known = known_of(killed)
        lost = [name for name, record in kept.items() if known.get(name) != record]
        again = [name for name in fits(killed)[before:] if name in kept]
        failures += [f"lost {name}" for name in lost] + [f"trained {name} again" for name in again]
        label, when = ("end", "") if last else (str(kill), f"{moment:.2f}")
        over = len(known.keys() - {REFERENCE})
        print(f"| {label} | {when} | {over} | {len(lost)} | {len(again)} |", flush=True)
        kept = known

    same = (whole / "outcome.json").read_bytes() == (killed / "outcome.json").read_bytes()
    points = [json.loads(record)["point"] for name, record in kept.items() if name != REFERENCE]
    once = len({json.dumps(point, sort_keys=True) for point in points})
    print(f"\n{once} different points in {len(points)} trials; {arguments.trials} were asked for.")
    print(f"Outcome equal to that of the search left alone: {'yes' if same else 'NO'}.")
    print(f"{len(fits(killed))} trainings began; {time.perf_counter() - began:.0f} s in all.")
    if failures or not same or not once == len(points) == arguments.trials:
        raise SystemExit("\n".join(["FAILED", *failures]))


if __name__ == "__main__":
    main()
