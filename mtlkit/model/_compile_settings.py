"""What a Keras model was compiled with, output by output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from mtlkit._warnings import warn


@dataclass
class OutputSettings:
    """What `compile` says of one output.

    Attributes:
        loss: A copy of the loss, a function or a name; `None` if there is none.
        weight: Weight of the loss.
        metrics: New metrics, functions or names; `None` if there are none.
        weighted_metrics: As `metrics`.
    """

    loss: Any = None
    weight: float = 1.0
    metrics: list[Any] | None = None
    weighted_metrics: list[Any] | None = None


@dataclass
class CompileSettings:
    """What a model was compiled with.

    Attributes:
        outputs: By output.
        has_losses: Whether `compile` was given a loss at all.
        optimizer: A new optimizer of the same settings; `None` if the model is not compiled.
        options: Other arguments for `compile`.
    """

    outputs: dict[str, OutputSettings]
    has_losses: bool = False
    optimizer: Any = None
    options: dict[str, Any] = field(default_factory=dict)


def compile_settings(model: keras.Model, names: Sequence[str]) -> CompileSettings:
    """Reads what a model was compiled with."""
    settings = CompileSettings({name: OutputSettings() for name in names})
    if not model.compiled:
        return settings
    settings.optimizer = _copied(model.optimizer)
    settings.options = {
        "jit_compile": model.jit_compile,
        "run_eagerly": model.run_eagerly,
        "steps_per_execution": model.steps_per_execution,
        # An optimizer that scales was copied with its scale; one that was not to scale, does not.
        "auto_scale_loss": False,
    }
    given = _given(model)
    settings.has_losses = given["loss"] is not None
    losses = _by_output(given["loss"], names, "loss", model)
    weights = _weights(given["loss_weights"], given["loss"], names, model)
    metrics = _by_output(given["metrics"], names, "metrics", model)
    weighted = _by_output(given["weighted_metrics"], names, "weighted_metrics", model)
    for name, output in settings.outputs.items():
        output.loss = _copied(losses[name])
        output.weight = weights[name]
        output.metrics, output.weighted_metrics = (
            [_copied_metric(metric, name) for metric in _listed(given[name])] or None
            for given in (metrics, weighted)
        )
    return settings


def carry_over_state(old: Any, new: Any, variables: Sequence[Any]) -> None:
    """Gives an optimizer the state that another one has for the same weights.

    Warns, and changes nothing, where it cannot be told which state belongs to which weight.
    """
    before, after = (getattr(one, "inner_optimizer", one) for one in (old, new))
    places = {id(variable): place for place, variable in enumerate(before._trainable_variables)}
    order = [places[id(variable)] for variable in variables if id(variable) in places]
    slots = _slots(before)
    rest = _others(old, slots)
    if len(places) != len(order) or len(order) < len(variables) or any(len(v.shape) for v in rest):
        warn(
            "The state of the optimizer is not carried over, since it does not belong to the "
            "weights that are trained now, one by one. "
            f"Received: {type(before).__name__} with {len(places)} weights, not {len(variables)}"
        )
        return
    new.build(variables)
    new_slots = _slots(after)
    for name, values in new_slots.items():
        for place, value in zip(order, values, strict=True):
            if value is not None:
                value.assign(keras.ops.convert_to_numpy(slots[name][place]))
    for value, target in zip(rest, _others(new, new_slots), strict=True):
        target.assign(keras.ops.convert_to_numpy(value))


def _slots(optimizer: Any) -> dict[str, list[Any]]:
    """The lists of variables that an optimizer keeps, with one for each weight, by attribute."""
    count = len(optimizer._trainable_variables)
    weights = {id(variable) for variable in optimizer._trainable_variables}
    return {
        name: list(values)
        for name, values in vars(optimizer).items()
        if isinstance(values, list)
        and len(values) == count
        and any(v is not None for v in values)
        and all(v is None or isinstance(v, keras.Variable) for v in values)
        and not any(id(v) in weights for v in values)
        and name != "_variables"
    }


def _others(optimizer: Any, slots: Mapping[str, list[Any]]) -> list[Any]:
    """The variables of an optimizer that belong to no weight: iterations, rates."""
    of_weights = {id(v) for values in slots.values() for v in values}
    return [v for v in optimizer.variables if id(v) not in of_weights]


def _given(model: keras.Model) -> dict[str, Any]:
    """The arguments of `compile` as they were given."""
    losses, metrics = model._compile_loss, model._compile_metrics
    return {
        "loss": None if losses is None else losses._user_loss,
        "loss_weights": None if losses is None else losses._user_loss_weights,
        "metrics": None if metrics is None else metrics._user_metrics,
        "weighted_metrics": None if metrics is None else metrics._user_weighted_metrics,
    }


def _by_output(given: Any, names: Sequence[str], what: str, model: keras.Model) -> dict[str, Any]:
    """An argument of `compile` by output, as Keras reads it."""
    if given is None:
        return dict.fromkeys(names)
    of_metrics = what != "loss"
    if isinstance(given, Mapping):
        unknown = [key for key in given if key not in names]
        if unknown:
            raise ValueError(
                f"Expected the {what} of compile() for outputs out of {list(names)}. "
                f"Received: {unknown}"
            )
        return {name: given.get(name) for name in names}
    if isinstance(given, list | tuple):
        if len(names) == 1:
            return {names[0]: list(given) if of_metrics else _only(given, names[0])}
        if len(given) != len(names):
            raise ValueError(
                f"Expected the {what} of compile() as a dict by output, or one for each of "
                f"{list(names)}. Received: {what} of length {len(given)}"
            )
        if isinstance(model.output, Mapping):  # a list goes by the order of the keys
            keys = keras.tree.flatten({key: key for key in model.output})
            return dict(zip(keys, given, strict=True))
        return dict(zip(names, given, strict=True))
    return dict.fromkeys(names, given)


def _only(given: Sequence[Any], name: str) -> Any:
    if len(given) != 1:
        raise ValueError(
            f"Output {name!r}: expected one loss. Received: {len(given)} losses, {list(given)}"
        )
    return given[0]


def _weights(given: Any, loss: Any, names: Sequence[str], model: keras.Model) -> dict[str, float]:
    """The loss weights by output: 0 where there is no loss."""
    losses = _by_output(loss, names, "loss", model)
    if given is None:
        weights = dict.fromkeys(names, 1.0)
    elif isinstance(given, list | tuple) and isinstance(loss, Mapping):
        # Keras takes such a list in the order of the losses.
        flat = keras.tree.flatten({key: key for key in loss})
        weights = {**dict.fromkeys(names, 1.0), **dict(zip(flat, given, strict=True))}
    else:
        weights = {
            name: 1.0 if value is None else value
            for name, value in _by_output(given, names, "loss", model).items()
        }
    if loss is not None:
        weights = {n: 0.0 if losses[n] is None else weight for n, weight in weights.items()}
    return {name: float(np.asarray(_number(weight))) for name, weight in weights.items()}


def _number(weight: Any) -> Any:
    is_variable = isinstance(weight, keras.Variable)
    return keras.ops.convert_to_numpy(weight) if is_variable else weight


def _listed(metrics: Any) -> list[Any]:
    if metrics is None:
        return []
    return list(metrics) if isinstance(metrics, list | tuple) else [metrics]


def _copied(thing: Any) -> Any:
    """A copy from the configuration; functions and names, which have no state, as they are."""
    if isinstance(thing, keras.optimizers.Optimizer):
        return type(thing).from_config(thing.get_config())
    if not isinstance(thing, keras.losses.Loss):
        return thing
    try:
        return type(thing).from_config(thing.get_config())
    except Exception:  # a user's own that says nothing of its arguments, and has no state either
        return thing


def _copied_metric(metric: Any, name: str) -> Any:
    if not isinstance(metric, keras.metrics.Metric):
        return metric
    try:
        return type(metric).from_config(metric.get_config())
    except Exception as error:  # whatever a metric of the user's own raises
        raise ValueError(
            f"Output {name!r}: expected metrics that can be made again from their configuration. "
            f"Received: {metric!r}, which says: {error}\nGive new ones: "
            f'MultiTaskModel.from_keras(model, tasks={{{name!r}: {{"metrics": [...]}}}})'
        ) from error
