"""`mtlkit train`: a model of all tasks, and its scores beside chance."""

from __future__ import annotations

import argparse

from mtlkit._cli.given import new_model, read_data, read_model
from mtlkit._cli.output import open_output, say_where, warn_of_other_splits
from mtlkit._cli.training import print_scores, save_training, trained
from mtlkit_cli import FINE, INTERRUPTED


def run(arguments: argparse.Namespace) -> int:
    """Trains the model, writes it, and prints its scores."""
    given = read_model(arguments)
    data = read_data(arguments, given)
    warn_of_other_splits(arguments, data)
    folder = open_output(arguments, data, given, f"train-{data.name}")
    model = given or new_model(arguments, data)
    interrupted = trained(model, data, arguments)
    files = save_training(model, data, folder)
    print_scores(model, data)
    say_where(folder, *files)
    if interrupted:
        print("Interrupted: model.keras has the best weights until then; --model goes on with it.")
    return INTERRUPTED if interrupted else FINE
