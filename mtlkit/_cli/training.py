"""Training a model, with what is left of it where Ctrl-C ends it."""

from __future__ import annotations

import argparse
import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import keras

from mtlkit._cli.given import of_tasks
from mtlkit._cli.progress import EpochLines
from mtlkit._files import write_bytes, write_json
from mtlkit.callbacks import TaskEarlyStopping
from mtlkit.datasets import MultiTaskData
from mtlkit.metrics import skill_table
from mtlkit.metrics._labels import is_labelled
from mtlkit.model import MultiTaskModel
from mtlkit.reports import plot_history, task_skills

#: Epochs without improvement after which a task has ended.
_PATIENCE = 5


def trained(model: MultiTaskModel, data: MultiTaskData, arguments: argparse.Namespace) -> bool:
    """Trains a model, which has its best weights then; returns whether it was interrupted.

    A training that is interrupted before an epoch is over raises a KeyboardInterrupt.
    """
    keras.utils.set_random_seed(arguments.seed)
    y, y_val = of_tasks(model, data.y_train), of_tasks(model, data.y_val)
    judged = [task for task, labels in y_val.items() if is_labelled(labels).any()]
    if not judged:
        raise ValueError("Expected labels in the validation data. Received: none of any task")
    stopping = TaskEarlyStopping(patience=_PATIENCE, tasks=judged, verbose=1)
    try:
        model.fit(
            data.x_train,
            y,
            validation_data=(data.x_val, y_val),
            epochs=arguments.epochs,
            batch_size=arguments.batch_size,
            callbacks=[EpochLines(), stopping],
            verbose=0,
        )
    except KeyboardInterrupt:
        if stopping.progress.objective_epoch is None:
            raise
        print("\ninterrupted", flush=True)
        stopping.on_train_end()
        return True
    return False


def save_training(model: MultiTaskModel, data: MultiTaskData, folder: Path) -> list[str]:
    """Writes the model and its history into a folder; returns the names of the files."""
    written = folder / "model.part.keras"  # a whole file, or none, under the name that is read
    model.save(written)
    written.replace(folder / "model.keras")
    logs = model.history.history
    write_json(folder / "history.json", logs)
    write_bytes(folder / "history.csv", _csv(logs).encode())
    plot_history(model.history, labels=data.y_val).savefig(folder / "history.png", dpi=100)
    return ["model.keras", "history.json", "history.csv", "history.png"]


def print_scores(model: MultiTaskModel, data: MultiTaskData) -> None:
    """Prints the score of each task on the test data, beside chance or the best constant."""
    rows = task_skills(model, data.x_test, data.y_test, data.y_train)
    title = f"Scores on {len(data.x_test):,} test samples, with 95 % intervals:\n"
    print("\n" + (skill_table(rows, title) if rows else "No test sample has a label."), flush=True)
    if missing := sorted(set(model.tasks) - {row.task for row in rows}):
        print(f"without test labels: {', '.join(missing)}")


def _csv(logs: Mapping[str, Sequence[float]]) -> str:
    """A line for each epoch, a column for each log."""
    text = io.StringIO()
    lines = csv.writer(text)
    lines.writerow(["epoch", *logs])
    lines.writerows(
        [epoch, *values] for epoch, values in enumerate(zip(*logs.values(), strict=True), 1)
    )
    return text.getvalue()
