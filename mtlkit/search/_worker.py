"""One worker of a search: `python -m mtlkit.search._worker FOLDER`.

It takes trials from the chief that KerasTuner's environment variables name, until there are
none, time is up, or the process that started it is gone.
"""

from __future__ import annotations

import argparse
import os
import threading
import time
from pathlib import Path

#: How often a worker looks whether its parent lives, in seconds.
_LOOK = 1.0


def main() -> None:
    """Runs the worker."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("directory", type=Path, help="the folder of the search")
    parser.add_argument("--parent", type=int, help="process whose end ends this one, too")
    arguments = parser.parse_args()
    if arguments.parent is not None:
        threading.Thread(target=_die_with, args=(arguments.parent,), daemon=True).start()
    # Late: importing takes seconds, in which the parent may end.
    from mtlkit.search._job import Job
    from mtlkit.search._running import run_worker

    job, data = Job.load(arguments.directory)
    run_worker(job, data, arguments.directory)


def _die_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_LOOK)
    os._exit(1)  # at once: who reads the output is gone, too


if __name__ == "__main__":
    main()
