"""The states of seed generators, saved with a model.

Keras leaves them out; with them, resumed training is exact.
"""

from __future__ import annotations

from typing import Any

import keras

_PREFIX = "seed_"


def save_seed_states(model: keras.Model, store: Any) -> None:
    """Writes the states of all layers' seed generators."""
    for number, state in enumerate(_seed_states(model)):
        store[f"{_PREFIX}{number}"] = state


def load_seed_states(model: keras.Model, store: Any) -> dict[str, Any]:
    """Restores the states that were saved, if they were."""
    saved = {key: store[key] for key in store.keys()}  # noqa: SIM118 (no mapping)
    for number, state in enumerate(_seed_states(model)):
        if f"{_PREFIX}{number}" in saved:
            state.assign(saved[f"{_PREFIX}{number}"])
    return {key: value for key, value in saved.items() if not key.startswith(_PREFIX)}


def _seed_states(model: keras.Model) -> list[Any]:
    """The variables of a model that are neither weights nor metrics."""
    known = {id(v) for v in (*model.weights, *model.metrics_variables)}
    return [v for v in model.variables if id(v) not in known]
