"""Learning rates of parts of a model, as multiples of the optimizer's.

Keras's optimizers update all variables by one rate. Here the step of the optimizer is taken once
for each multiple, with the rate times it. Each variable's own state, such as Adam's moments, is as
it is, so the result is that of several optimizers of the same kind, on any backend.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras


def scale_learning_rates(optimizer: Any, multipliers: Mapping[int, float]) -> None:
    """Lets an optimizer take other steps for some variables, from now on.

    Args:
        optimizer: A Keras optimizer, or one within a `LossScaleOptimizer`.
        multipliers: By `id` of a variable what its learning rate is multiplied by; else 1.
    """
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    for own in ("_backend_update_step", "_apply_weight_decay"):
        inner.__dict__.pop(own, None)  # what an earlier model has put there
    if all(multiplier == 1 for multiplier in multipliers.values()):
        return
    if isinstance(inner, keras.optimizers.Nadam):  # whose step changes what all variables share
        raise ValueError(
            "Expected another optimizer, such as Adam, where parts of the model have learning "
            "rates of their own (learning_rate_multiplier). Received: Nadam"
        )
    step, decay = inner._backend_update_step, inner._apply_weight_decay

    def groups(variables: Sequence[Any]) -> dict[float, list[int]]:
        """The places of the variables by multiplier."""
        found: dict[float, list[int]] = {}
        for place, variable in enumerate(variables):
            found.setdefault(multipliers.get(id(variable), 1.0), []).append(place)
        return found

    def update(grads: Sequence[Any], variables: Sequence[Any], learning_rate: Any) -> None:
        for multiplier, places in groups(variables).items():
            own = [variables[place] for place in places]
            step([grads[place] for place in places], own, learning_rate * multiplier)

    def apply_weight_decay(variables: Sequence[Any]) -> None:
        whole = inner.weight_decay
        if whole is None:
            return
        try:
            for multiplier, places in groups(variables).items():
                inner.weight_decay = whole * multiplier
                decay([variables[place] for place in places])
        finally:
            inner.weight_decay = whole

    inner._backend_update_step = update
    inner._apply_weight_decay = apply_weight_decay
