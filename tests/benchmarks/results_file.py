"""What the benchmarks keep, so that an interrupted run goes on."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any


def resumed(
    path: Path, parser: argparse.ArgumentParser, settings: dict[str, Any] | None = None
) -> dict[str, Any]:
    """What a file holds, or what a new one begins with: the settings, and no results.

    Args:
        path: The file.
        parser: Ends the program if the file holds results of other settings.
        settings: By which results cannot be mixed.

    Returns:
        The settings and whatever else was kept, with `"results"` by run.
    """
    settings = settings or {}
    if not path.exists():
        return {**settings, "results": {}}
    kept = json.loads(path.read_text())
    held = {key: kept.get(key) for key in settings}
    if held != settings:
        parser.error(f"{path} holds results of other settings: {held}")
    return kept
