"""A script that searches, for tests that need processes of their own."""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import keras
import small_searches as small

from mtlkit.heads import ClassificationHead


class MyHead(ClassificationHead):
    """A head of the user's own, in a script that nobody can import."""


if __name__ == "__main__":
    options = json.loads(sys.argv[1])
    if "ray" in options:
        options["executor"] = small.mtl.search.RayExecutor(**options.pop("ray"))
    mine = small.mtl.search.Candidate(
        "mine", MyHead, {"num_classes": small.NUM_BINS, "pooling": "max", "hidden_units": 2}
    )
    result = small.search(candidates=[mine, *small.CANDIDATES], **options)
    print("backend", keras.backend.backend())
    print("outcome", json.dumps(small.outcome(result)))
