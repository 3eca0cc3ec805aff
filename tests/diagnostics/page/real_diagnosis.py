"""A diagnosis whose evidence real probes produced: a pooled head, and labels wrong by chance.

`python tests/diagnostics/page/real_diagnosis.py` runs it anew, in about three minutes.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import mtlkit as mtl
from mtlkit.diagnostics import Diagnosis, Evidence, decide
from mtlkit.diagnostics._kept import _read
from mtlkit.diagnostics.verdict._recommendations import recommend

FOLDER = Path(__file__).parents[2] / "data" / "diagnosis"
NAMES = [f"{45 * number} degrees" for number in range(8)]
SETUP = {"seed": 0, "cpu_seconds": 129.4, "left_out": [], "versions": {"mtlkit": "0.2.0"}}


def run() -> Diagnosis:
    """Plants, trains and diagnoses, and keeps the evidence."""
    data = mtl.datasets.planted("pool_and_noise", samples=1500, num_bins=8, seed=3)
    shutil.rmtree(FOLDER, ignore_errors=True)
    return mtl.diagnostics.diagnose(
        data.train(),
        data.x_train,
        data.y_train,
        data.target,
        validation_data=(data.x_val, data.y_val),
        budget=150,
        directory=FOLDER,
    )


def kept() -> Diagnosis:
    """The diagnosis of the evidence that was kept."""
    written = json.loads((FOLDER / "evidence.json").read_text("utf-8"))["found"]
    evidence = {name: Evidence(**_read(one)) for name, one in written.items()}
    verdict = decide(evidence, "orientation")
    advice = recommend("orientation", verdict, evidence, circular=True)
    setup = {**SETUP, "class_names": NAMES}
    return Diagnosis("orientation", verdict, evidence, advice, setup)


if __name__ == "__main__":
    print(run())
