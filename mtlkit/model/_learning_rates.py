"""Learning rates of parts of a model, as multiples of the optimizer's.

Keras's optimizers update all variables by one rate. Here the step of the optimizer is taken once
for each multiple, with the rate times it. Each variable's own state, such as Adam's moments, is as
it is, so the result is that of several optimizers of the same kind, on any backend.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MethodType
from typing import Any

from mtlkit.losses._replicas import num_replicas

#: Optimizers whose step changes what all variables share, divides by the rate, or is not theirs.
_REFUSED = ("Nadam", "Ftrl", "Muon", "MultiOptimizer")


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
    _check(inner)

    def groups(variables: Sequence[Any]) -> dict[float, list[int]]:
        """The places of the variables by multiplier."""
        found: dict[float, list[int]] = {}
        for place, variable in enumerate(variables):
            found.setdefault(multipliers.get(id(variable), 1.0), []).append(place)
        return found

    # Methods, which a copy of the optimizer takes for its own.
    def update(self: Any, grads: Sequence[Any], variables: Sequence[Any], rate: Any) -> None:
        for multiplier, places in groups(variables).items():
            own = [variables[place] for place in places]
            step = type(self)._backend_update_step
            step(self, [grads[place] for place in places], own, rate * multiplier)

    def apply_weight_decay(self: Any, variables: Sequence[Any]) -> None:
        whole = self.weight_decay
        if whole is None:
            return
        try:
            for multiplier, places in groups(variables).items():
                self.weight_decay = whole * multiplier
                type(self)._apply_weight_decay(self, [variables[place] for place in places])
        finally:
            self.weight_decay = whole

    inner._backend_update_step = MethodType(update, inner)
    inner._apply_weight_decay = MethodType(apply_weight_decay, inner)


def _check(optimizer: Any) -> None:
    """Raises a ValueError for an optimizer that cannot do it."""
    names = [kind.__name__ for kind in type(optimizer).__mro__]
    refused = [name for name in _REFUSED if name in names]
    if refused:
        raise ValueError(
            "Expected another optimizer, such as Adam, where parts of the model have learning "
            f"rates of their own (learning_rate_multiplier). Received: {refused[0]}"
        )
    if optimizer.weight_decay and num_replicas() > 1:
        raise ValueError(
            "Expected an optimizer without weight_decay on several devices, where parts of the "
            "model have learning rates of their own (learning_rate_multiplier). "
            f"Received: weight_decay={optimizer.weight_decay}"
        )
