"""What the command `mtlkit` takes.

This stands beside the package: importing that imports Keras, which takes seconds, and `--help` or a
wrong option needs none of it.
"""

from __future__ import annotations

import argparse
import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any, NoReturn

#: How a run may end.
FINE, FOUND, WRONG, INTERRUPTED = 0, 1, 2, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line.

    Args:
        argv: The arguments. `None`: those of the process.

    Returns:
        0 if all is fine, 1 if a preflight found problems, 2 if it was used in a wrong way or the
        data do not fit, 130 if Ctrl-C ended it, 141 if a closed pipe did.

    Example:
        ```python
        from mtlkit.cli import main

        assert main(["--version"]) == 0
        ```
    """
    try:
        arguments = parser().parse_args(argv)
    except SystemExit as end:  # after --help, --version, or an error
        return int(end.code or 0)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before Keras is imported
    try:
        with _silent():
            from mtlkit.cli import run
    except KeyboardInterrupt:
        return INTERRUPTED
    return run(arguments)


@contextmanager
def _silent() -> Iterator[None]:
    """Keeps back what libraries say on the error stream when imported, unless that fails."""
    before = os.dup(2)
    with tempfile.TemporaryFile() as said:
        os.dup2(said.fileno(), 2)
        try:
            yield
        except BaseException:
            said.seek(0)
            os.write(before, said.read())
            raise
        finally:
            os.dup2(before, 2)
            os.close(before)


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        """Says what is wrong, and where help is."""
        self.exit(WRONG, f"mtlkit: error: {message}; see {self.prog} --help\n")


def parser() -> Parser:
    """Returns the parser of all commands."""
    everything = Parser(
        prog="mtlkit",
        description="Multi-task models on your data: look at it, train, and find out why a task "
        "does not learn.",
        epilog=_examples(
            "mtlkit demo                                     three tasks on digits, in a minute",
            "mtlkit info photos.npz                          what is in the data",
            "mtlkit train photos.npz                         a model of all tasks",
            "mtlkit diagnose photos.npz --task pose          why does pose not learn?",
            "mtlkit search photos.npz --task pose --time-budget 15m",
        )
        + "\n\nmtlkit COMMAND --help says more. Exit codes: 0 fine, 1 preflight found problems,\n"
        "2 wrong use or data, 130 stopped by Ctrl-C. KERAS_BACKEND=jax or torch takes another\n"
        "backend than TensorFlow.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    everything.add_argument("--version", action="version", version=f"mtlkit {_version()}")
    commands = everything.add_subparsers(
        dest="command", required=True, metavar="COMMAND", title="commands"
    )
    for add in (_demo, _info, _train, _preflight, _diagnose, _search):
        add(commands)
    return everything


def _version() -> str:
    try:
        return metadata.version("mtlkit")
    except metadata.PackageNotFoundError:
        return "that is not installed"


# === The commands ===

Commands = argparse._SubParsersAction


def _demo(commands: Commands) -> None:
    one = _command(
        commands,
        "demo",
        "Trains three tasks on rotated digits: one is stuck, until its head is changed.",
        "mtlkit demo",
        "mtlkit demo --output my-demo --epochs 8",
    )
    _add_run(one, epochs=4)


def _info(commands: Commands) -> None:
    one = _command(
        commands,
        "info",
        "Shows shapes, tasks, kinds of labels, classes, gaps, and what a constant scores.",
        "mtlkit info photos.npz",
        "mtlkit info table.csv --task price --task colour --ignore id",
        "mtlkit info folder_of_images --image-size 64 --kind pose=orientation:36",
    )
    _add_data(one)


def _train(commands: Commands) -> None:
    one = _command(
        commands,
        "train",
        "Trains a model of all tasks, and scores each of them beside chance.",
        "mtlkit train photos.npz",
        "mtlkit train table.csv --task price --task colour --epochs 100",
        "mtlkit train photos.npz --kind pose=orientation:36 --output runs/pose",
        "mtlkit train photos.npz --model my_model.keras",
    )
    _add_data(one)
    _add_model(one, "A model to train on. Default: a small backbone, and a head for each kind.")
    _add_run(one, epochs=30)
    _add_batch_size(one)


def _preflight(commands: Commands) -> None:
    one = _command(
        commands,
        "preflight",
        "Looks for what is wired wrong, without training; exit code 1 if something is.",
        "mtlkit preflight photos.npz --model my_model.keras",
        "mtlkit preflight table.csv --task price",
    )
    _add_data(one)
    _add_model(one, "The compiled model. Default: the one that mtlkit train would begin with.")


def _diagnose(commands: Commands) -> None:
    one = _command(
        commands,
        "diagnose",
        "Finds out why a task does not learn: the data, or the model?",
        "mtlkit diagnose photos.npz --task pose --model mtlkit-runs/train-photos/model.keras",
        "mtlkit diagnose photos.npz --task pose --budget 20m",
        "mtlkit diagnose table.csv --task price --label colour",
        notes="Called again, it goes on where it was stopped. Test data are not used.",
    )
    _add_data(one, target="The task to diagnose; may be repeated.")
    _add_model(one, "The trained model. Default: one is trained first, as by mtlkit train.")
    _add_run(one, epochs=30)
    _add_batch_size(one)
    one.add_argument(
        "--budget",
        type=_seconds,
        default=600.0,
        metavar="TIME",
        help="processor time to spend, such as 90s or 10m (default: 10m)",
    )


def _search(commands: Commands) -> None:
    one = _command(
        commands,
        "search",
        "Searches the head for a task; the other tasks may not suffer.",
        "mtlkit search photos.npz --task pose --time-budget 15m",
        "mtlkit search photos.npz --task pose --kind pose=orientation:36 --max-trials 20",
        notes="Called again, it goes on where it was stopped. Test data are not used.",
    )
    _add_data(one, target="The task whose head is searched; several are searched in turn.")
    _add_model(one, "The model to begin with. Default: the one that mtlkit train begins with.")
    _add_run(one, epochs=None)
    _add_batch_size(one)
    one.add_argument(
        "--time-budget", type=_seconds, metavar="TIME", help="such as 90s, 15m or 1h30m"
    )
    one.add_argument("--max-trials", type=_count, metavar="N", help="(default: 30, or no limit)")
    one.add_argument("--workers", type=_count, default=1, metavar="N", help="(default: 1)")


# === Their arguments ===


def _command(
    commands: Commands, name: str, description: str, *examples: str, notes: str = ""
) -> argparse.ArgumentParser:
    """A command with its help."""
    one: argparse.ArgumentParser = commands.add_parser(
        name,
        help=description[0].lower() + description[1:].rstrip("."),
        description=description,
        epilog=_examples(*examples) + (f"\n\n{notes}" if notes else ""),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    one.add_argument(
        "--traceback", action="store_true", help="show where in the code an error came up"
    )
    return one


def _add_data(one: argparse.ArgumentParser, target: str | None = None) -> None:
    """The data, and how they are read."""
    one.add_argument(
        "data",
        type=Path,
        metavar="DATA",
        help="an .npz file, a .csv, .tsv or .parquet table, or a folder of images with a table",
    )
    group = one.add_argument_group("data")
    add = group.add_argument
    several: dict[str, Any] = {"action": "append", "metavar": "NAME"}
    if target is None:
        add(
            "--task",
            **several,
            dest="tasks",
            help="a task; may be repeated, and a table needs it (default: all)",
        )
        one.set_defaults(labels=None)
    else:
        one.add_argument("--task", **several, dest="tasks", required=True, help=target)
        add("--label", **several, dest="labels", help="another task of the data; may be repeated")
    add(
        "--kind",
        action="append",
        default=[],
        type=_kind,
        metavar="NAME=KIND",
        dest="kinds",
        help="what labels are: classes, values, orientation:36, ordinal or labels; may be repeated",
    )
    add("--ignore", **several, default=[], help="a column that is no input; may be repeated")
    add("--inputs", metavar="NAME", help="the array of inputs in an .npz file (default: x)")
    add("--split-column", metavar="NAME", help="says train, val or test (default: split, if any)")
    add("--group-column", metavar="NAME", help="rows of a group stay in one split")
    add("--table", type=Path, metavar="FILE", help="the table of a folder of images")
    add("--image-column", metavar="NAME", help="names of image files (default: the first one)")
    add("--image-size", type=_size, metavar="N or HxW", help="bring images to this size")
    add("--seed", type=int, default=0, metavar="N", help="of all that is drawn (default: 0)")


def _add_model(one: argparse.ArgumentParser, words: str) -> None:
    one.add_argument("--model", type=Path, metavar="FILE.keras", help=words)


def _add_run(one: argparse.ArgumentParser, epochs: int | None) -> None:
    """Where results go, and how long is trained."""
    one.add_argument(
        "--output",
        type=Path,
        metavar="DIR",
        help="a folder for the results (default: one in mtlkit-runs/, which is named at the end)",
    )
    words = (
        "of a trial (default: 9, or more if samples are few)"
        if epochs is None
        else f"at most (default: {epochs})"
    )
    one.add_argument("--epochs", type=_count, default=epochs, metavar="N", help=words)
    if one.get_default("seed") is None:
        one.add_argument("--seed", type=int, default=0, metavar="N", help="(default: 0)")


def _add_batch_size(one: argparse.ArgumentParser) -> None:
    one.add_argument("--batch-size", type=_count, default=64, metavar="N", help="(default: 64)")


def _examples(*lines: str) -> str:
    return "examples:\n" + "\n".join(f"  {line}" for line in lines)


# === Their types ===


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number from 1 on, received {text!r}")
    return int(text)


def _seconds(text: str) -> float:
    """A duration such as `90`, `90s`, `15m` or `1h30m`, in seconds."""
    found = re.fullmatch(r"(?:(\d+)h)?(?:(\d+)m(?:in)?)?(?:(\d+)s?)?", text.replace(" ", ""))
    hours, minutes, seconds = (int(part or 0) for part in found.groups()) if found else (0, 0, 0)
    if not (total := 3600 * hours + 60 * minutes + seconds):
        raise argparse.ArgumentTypeError(
            f"expected a duration such as 90s, 15m or 1h30m, received {text!r}"
        )
    return float(total)


def _size(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"([1-9]\d*)(?:x([1-9]\d*))?", text)
    if not found:
        raise argparse.ArgumentTypeError(f"expected a size such as 64 or 48x64, received {text!r}")
    return int(found[1]), int(found[2] or found[1])


def _kind(text: str) -> tuple[str, str]:
    task, sign, kind = text.rpartition("=")
    if not (task and sign and kind):
        raise argparse.ArgumentTypeError(
            f"expected NAME=KIND, such as pose=orientation:36, received {text!r}"
        )
    return task, kind
