"""The state of a method in variables of a layer or model, which saves them."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from typing import Any

import keras
from keras import ops


def state_variables(
    initial: Mapping[str, Any],
    add_weight: Callable[..., Any],
    prefix: str = "",
    trained: Container[str] = (),
    **options: Any,
) -> dict[str, Any]:
    """Adds a variable for each part of a state.

    Args:
        initial: The first state, arrays by name.
        add_weight: Adds a variable to a layer or model.
        prefix: The beginning of the names of the variables.
        trained: Names of the parts that are trained.
        **options: Passed on to `add_weight`.

    Returns:
        The variables, float32, by the names of the parts.
    """
    return {
        name: add_weight(
            name=f"{prefix}{name}",
            shape=tuple(value.shape),
            initializer=keras.initializers.Constant(ops.convert_to_numpy(value)),
            trainable=name in trained,
            dtype="float32",
            autocast=False,
            **options,
        )
        for name, value in initial.items()
    }


def copy_state(state: Mapping[str, Any], other: Mapping[str, Any]) -> None:
    """Gives the values of a state to the variables of another one."""
    for name, value in state.items():
        other[name].assign(ops.convert_to_numpy(value))
