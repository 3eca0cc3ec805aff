"""`mtlkit search`: the head for a task."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

from mtlkit._cli.given import new_model, of_tasks, read_data, read_model, targets
from mtlkit._cli.output import file_name, open_output, say_where, warn_of_other_splits
from mtlkit._files import write_bytes
from mtlkit.search import SearchResult, search_heads
from mtlkit_cli import FINE, FOUND, INTERRUPTED


def run(arguments: argparse.Namespace) -> int:
    """Searches the tasks that are named, and writes page, winner and model of each."""
    given = read_model(arguments)
    data = read_data(arguments, given)
    chosen = targets(arguments, data)
    name = "-".join(["search", data.name, *map(file_name, chosen)])
    model = given or new_model(arguments, data)
    warn_of_other_splits(arguments, data)
    folder = open_output(arguments, data, given, name)
    y, y_val = of_tasks(model, data.y_train), of_tasks(model, data.y_val)
    found = search_heads(
        model.backbone,
        list(model.tasks.values()),
        chosen,
        ((data.x_train, y), (data.x_val, y_val)),
        time_budget=arguments.time_budget,
        max_trials=arguments.max_trials,
        workers=arguments.workers,
        epochs=arguments.epochs,
        batch_size=arguments.batch_size,
        directory=folder / "search",
        seed=arguments.seed,
    )
    files = _written(found, folder)
    say_where(folder, *files)
    if any(one.interrupted for one in found.values()) or len(found) < len(chosen):
        print("Interrupted: finished trials are kept; the same command goes on.")
        return INTERRUPTED
    in_vain = any(not any(trial.ranked for trial in one.trials) for one in found.values())
    return FOUND if in_vain else FINE


def _written(found: Mapping[str, SearchResult], folder: Path) -> list[str]:
    """Writes what was found; returns the names of the files."""
    files = []
    for task, result in found.items():
        print(f"\n{result.leaderboard}", flush=True)
        name = file_name(task)
        files += [f"search-{name}.html", f"search-{name}.json"]
        result.save_html(folder / files[-2])
        write_bytes(folder / files[-1], result.to_json().encode())
        if any(record.ranked for record in result.trials):
            files.append(f"best-{name}.keras")
            result.best_model().save(folder / files[-1])
    return files
