"""Data and models in trouble, shared by the tests of probes."""

from __future__ import annotations

import pytest
from diagnostics.planted_users import split, user

from mtlkit.diagnostics._training.clock import Clock
from mtlkit.diagnostics._training.trainer import Trainer
from mtlkit.diagnostics.model_probes import ceiling


@pytest.fixture(scope="package")
def data():
    """`x, y, x_val, y_val`."""
    return split()


@pytest.fixture(scope="package")
def healthy():
    return user(epochs=12)


@pytest.fixture(scope="package")
def pooled():
    return user("average")


@pytest.fixture
def even_steps(monkeypatch):
    """Makes budgets buy as many steps on any machine, and the reference small."""
    monkeypatch.setattr(Trainer, "seconds", 0.03)
    monkeypatch.setattr(Clock, "spent", 0.0)
    monkeypatch.setattr(ceiling, "_FILTERS", (8, 16))
