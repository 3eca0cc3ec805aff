"""`mtlkit preflight`: what is wired wrong, before a training."""

from __future__ import annotations

import argparse

from mtlkit._cli.given import new_model, of_tasks, read_data, read_model
from mtlkit.diagnostics import preflight
from mtlkit_cli import FINE, FOUND


def run(arguments: argparse.Namespace) -> int:
    """Prints the problems."""
    model = read_model(arguments)
    data = read_data(arguments, model)
    model = model or new_model(arguments, data)
    found = preflight(model, data.x_train, of_tasks(model, data.y_train), seed=arguments.seed)
    print(found, flush=True)
    print(f"\n{found.samples} samples were looked at, in {found.seconds:.1f} s.")
    return FINE if found.ok else FOUND
