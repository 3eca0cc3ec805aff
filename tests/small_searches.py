"""Searches without training, so that what surrounds it is tested in milliseconds."""

from __future__ import annotations

import hashlib

import keras
import numpy as np

import mtlkit as mtl
from mtlkit.search._trials import Trials
from mtlkit.space import Choice, Float

NUM_BINS = 8


def tasks():
    return [
        mtl.Task("identity", mtl.heads.ClassificationHead(3)),
        mtl.Task("orientation", mtl.heads.OrientationHead(NUM_BINS, spatial="pool")),
    ]


def backbone():
    return mtl.backbones.ConvBackbone((8, 8, 1), filters=(3, 4), normalize=False)


def data(samples=24, seed=0):
    rng = np.random.default_rng(seed)

    def part(count):
        y = {
            "identity": rng.integers(3, size=count),
            "orientation": rng.integers(NUM_BINS, size=count),
        }
        return rng.random((count, 8, 8, 1), dtype="float32"), y

    return part(samples), part(samples // 2)


#: Two small families.
CANDIDATES = [
    mtl.search.Candidate(
        "classes",
        mtl.heads.ClassificationHead,
        {
            "num_classes": NUM_BINS,
            "pooling": Choice(["average", "max"]),
            "hidden_units": Choice([0, 2]),
            "dropout": 0.0,
            "layer_norm": False,
        },
    ),
    mtl.search.Candidate(
        "bins",
        mtl.heads.OrientationHead,
        {
            "num_bins": NUM_BINS,
            "spatial": Choice(["pool", "flatten"]),
            "target": "onehot",
            "emd_weight": Choice([0.0, 0.1]),
            "hidden_units": 2,
            "dropout": 0.1,
        },
    ),
]
SETTINGS = {
    "feature": "stage2",
    "gradient": "flow",
    "weight": 1.0,
    "condition_on": None,
    "conditioning": "film",
    "learning_rate": Float(1e-3, 1e-2, log=True),
}
#: The same with separate values alone, for the grid.
GRID_SETTINGS = {**SETTINGS, "learning_rate": Choice([1e-3, 1e-2])}


def invented_scores(record, epochs):
    """A curve that depends on what is tried alone."""
    text = repr(sorted(record.point.items()))
    level = int(hashlib.sha256(text.encode()).hexdigest()[:8], 16) / 2**32
    return [level * (1 - 0.5 ** (epoch + 1)) for epoch in range(epochs)]


def without_training(monkeypatch):
    """Replaces training by invented curves."""

    def fit(self, record, point, epochs, first, begins_from, callbacks=()):
        curve = invented_scores(record, epochs)
        record.curves = {
            "val_orientation_accuracy": curve,
            "val_identity_accuracy": [0.5] * epochs,
        }
        record.epochs, record.score, record.best_epoch = epochs, curve[-1], epochs - 1
        record.status, record.seconds = "finished", 0.0
        self.store.weights_path(record.trial).touch()

    monkeypatch.setattr(Trials, "_fit", fit)
    monkeypatch.setattr(Trials, "_model_with_backbone", lambda self: None)
    monkeypatch.setattr("mtlkit.search._trials.references_of", lambda *given: [])
    monkeypatch.setattr("mtlkit.search._trials.head_size", lambda space, point: 10)


def eagerly(monkeypatch):
    """Trains without compiling, which takes longer than these few steps."""
    compile_ = mtl.MultiTaskModel.compile

    def compile_eagerly(self, optimizer="adam", **kwargs):
        compile_(self, optimizer, **{"run_eagerly": True, **kwargs})

    monkeypatch.setattr(mtl.MultiTaskModel, "compile", compile_eagerly)


def search(directory, target="orientation", backbone_seed=0, **options):
    """A small search."""
    keras.utils.set_random_seed(backbone_seed)
    arguments = {
        "candidates": CANDIDATES,
        "settings": SETTINGS,
        "epochs": 3,
        "verbose": 0,
        "directory": directory,
        **options,
    }
    return mtl.search.search_heads(backbone(), tasks(), target, data(), **arguments)


def outcome(result):
    """What of a search must not depend on interruptions."""
    return {
        record.trial: (record.status, record.point, record.score, record.epochs)
        for record in result.trials
    }
