"""What the command takes, without Keras."""

import subprocess
import sys
import time

import pytest

import mtlkit
import mtlkit_cli
from mtlkit.cli import main

COMMANDS = ["demo", "info", "train", "preflight", "diagnose", "search"]


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"mtlkit {mtlkit.__version__}\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_examples(command, capsys):
    assert main([command, "--help"]) == 0
    assert f"examples:\n  mtlkit {command}" in capsys.readouterr().out


def test_help_lists_the_commands_and_needs_no_keras():
    code = (
        "import sys, mtlkit_cli; mtlkit_cli.main(['--help']); "
        "print({name.split('.')[0] for name in sys.modules} & {'keras', 'mtlkit', 'numpy'})"
    )
    start = time.monotonic()
    output = subprocess.check_output([sys.executable, "-c", code], text=True)
    assert time.monotonic() - start < 5
    assert all(f"    {command}" in output for command in COMMANDS)
    assert output.splitlines()[-1] == "set()"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "required: COMMAND; see mtlkit --help"),
        (["learn"], "invalid choice: 'learn'"),
        (["train"], "required: DATA; see mtlkit train --help"),
        (["diagnose", "a.npz"], "required: --task"),
        (["train", "a.npz", "--epochs", "0"], "whole number from 1 on, received '0'"),
        (["train", "a.npz", "--kind", "pose"], "NAME=KIND, such as pose=orientation:36"),
        (["info", "a.npz", "--image-size", "64x"], "such as 64 or 48x64, received '64x'"),
        (["search", "a.npz", "--task", "a", "--time-budget", "15x"], "such as 90s, 15m or 1h30m"),
        (["search", "a.npz", "--task", "a", "--time-budget", "0m"], "received '0m'"),
    ],
)
def test_wrong_use_is_one_line(arguments, words, capsys):
    assert main(arguments) == mtlkit_cli.WRONG
    said = capsys.readouterr().err
    assert said.startswith("mtlkit: error: ") and words in said
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("90s", 90), ("15m", 900), ("15 min", 900), ("1h30m", 5400), ("2h", 7200)],
)
def test_durations(text, seconds):
    given = mtlkit_cli.parser().parse_args(
        ["search", "a.npz", "--task", "a", "--time-budget", text]
    )
    assert given.time_budget == seconds


def test_what_is_said_while_importing_is_kept_back_unless_it_fails(capfd):
    with mtlkit_cli._silent():
        print("chatter", file=sys.__stderr__, flush=True)
    assert capfd.readouterr().err == ""
    with pytest.raises(ImportError), mtlkit_cli._silent():
        print("the reason", file=sys.__stderr__, flush=True)
        raise ImportError
    assert capfd.readouterr().err == "the reason\n"
