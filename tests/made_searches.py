"""Results of searches that nobody ran, so that what is made of them can be checked."""

from __future__ import annotations

import numpy as np
import small_searches as small

import mtlkit as mtl
from mtlkit.search._data import SearchData
from mtlkit.search._head_space import HeadSpace, jsonable
from mtlkit.search._records import Store, TrialRecord
from mtlkit.search._settings import Settings
from mtlkit.search._trials import REFERENCE

METRIC, OTHER = "val_orientation_accuracy", "val_identity_accuracy"
SETTINGS = Settings(METRIC, "max", {"identity": (OTHER, "max")}, epochs=3)


def space():
    return HeadSpace(
        small.backbone(), small.tasks(), "orientation", small.CANDIDATES, small.SETTINGS
    )


def record(trial, score=None, point=None, **changes):
    """A record of 3 epochs, that finished if it has a score."""
    point = {"family": "bins"} if point is None else point
    curves = {} if score is None else {METRIC: [score / 4, score / 2, score], OTHER: [0.5] * 3}
    return TrialRecord(
        **{
            "trial": str(trial),
            "status": "failed" if score is None else "finished",
            "family": point["family"],
            "point": {name: jsonable(value) for name, value in point.items()},
            "score": score,
            "epochs": len(curves.get(METRIC, ())),
            "budget": 3,
            "curves": curves,
            "others": {} if score is None else {"identity": 0.5},
            "parameters": 10,
            "step_ms": 1.0,
            "seconds": 2.0,
            "seed": 5,
            **changes,
        }
    )


def reference(score=0.6):
    return TrialRecord(REFERENCE, "finished", curves={OTHER: [score / 2, score]}, seconds=1.0)


def drawn(count, score, heads, seed=0):
    """Records of points drawn from a space, each with the score of its point."""
    rng = np.random.default_rng(seed)
    points = [mtl.space.sample(heads.space, rng) for _ in range(count)]
    return [record(number, score(point), point) for number, point in enumerate(points)]


def result(directory, records, heads=None, settings=SETTINGS):
    """The result of a search of which these are the records."""
    store = Store(directory)
    for one in records:
        store.save(one)
    heads = heads or space()
    arrays = SearchData.of(small.data(), "orientation")
    return mtl.search.SearchResult(store, heads, settings, arrays)
