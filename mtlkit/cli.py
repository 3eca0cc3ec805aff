"""The command line. Its arguments are in `mtlkit_cli`, its commands in `mtlkit._cli`."""

from __future__ import annotations

import argparse
import os
import re
import sys
import warnings
from importlib import import_module

from mtlkit_cli import INTERRUPTED, WRONG, main

__all__ = ["main"]

#: Errors that a user can mend; they are printed in one line.
_MENDABLE = (ValueError, OSError, ImportError)
#: What errors of the library call an argument, and the option that gives it here.
_OPTIONS = {
    "tasks": "--task",
    "kinds": "--kind",
    "ignore": "--ignore",
    "inputs": "--inputs",
    "split": "--split-column",
    "group": "--group-column",
    "table": "--table",
    "image_column": "--image-column",
    "image_size": "--image-size",
}
#: As a shell says of a program that a pipe ended.
_BROKEN_PIPE = 141


def run(arguments: argparse.Namespace) -> int:
    """Runs a command, and returns its exit code."""
    try:
        command = import_module(f"mtlkit._cli.{arguments.command}")
        with warnings.catch_warnings():
            setattr(warnings, "showwarning", _note)  # noqa: B010 (mypy wants its signature)
            return int(command.run(arguments))
    except KeyboardInterrupt:
        print("\nmtlkit: interrupted before results were written", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # nobody reads on, as behind `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _BROKEN_PIPE
    except _MENDABLE as error:
        if arguments.traceback:
            raise
        print(f"mtlkit: error: {_as_options(str(error))}", file=sys.stderr)
        return WRONG


def _as_options(message: str) -> str:
    """An error in one line, in which arguments of functions are options of the command."""
    return re.sub(
        r"`(\w+)`", lambda name: _OPTIONS.get(name[1], name[0]), " ".join(message.split())
    )


def _note(message: Warning | str, *where: object) -> None:
    """Says a warning in one line, without the place in the code."""
    print(f"mtlkit: note: {' '.join(str(message).split())}", file=sys.stderr)
