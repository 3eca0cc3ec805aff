"""How a task gets to see what another task predicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import keras

from mtlkit.backbones._feature_maps import FeatureMaps
from mtlkit.heads._designed_head import DesignedHead
from mtlkit.layers.conditioning import CONDITIONINGS, SpatialDistillation
from mtlkit.layers.gradient_gates import GradientScale, GradientStop
from mtlkit.model.task import DISTILLATION, Task


def in_order(tasks: Sequence[Task]) -> list[Task]:
    """Sorts tasks so that each comes after the one that it is conditioned on."""
    by_name = {task.name: task for task in tasks}
    ordered: dict[str, Task] = {}
    for task in tasks:
        chain = [task.name]
        while (other := by_name[chain[-1]].condition_on) is not None:
            if other not in by_name:
                raise ValueError(
                    f"Task {chain[-1]!r}: expected condition_on to be one of the tasks "
                    f"{list(by_name)}. Received: condition_on={other!r}"
                )
            if other in chain:
                circle = " -> ".join([*chain[chain.index(other) :], other])
                raise ValueError(
                    "Expected tasks that are not conditioned on each other in a circle. "
                    f"Received: {circle}"
                )
            chain.append(other)
        ordered.update({name: by_name[name] for name in reversed(chain) if name not in ordered})
    return list(ordered.values())


def gated(feature: Any, task: Task) -> Any:
    """Puts the gradient gate of a task before its feature, or before each of a list."""
    return _gate(feature, task.gradient, f"{task.name}_gradient")


def conditioned(
    task: Task,
    feature: Any,
    tasks: Sequence[Task],
    features: Mapping[str, Any],
    outputs: Mapping[str, Any],
    maps: FeatureMaps,
) -> Any:
    """Returns what the head of a conditioned task is to be called on.

    The heads of this library see the prediction where they have read the feature and are
    about to give outputs; any other head gets a feature that has seen it.
    """
    other = next(one for one in tasks if one.name == task.condition_on)
    prediction = other.head.predictions(outputs[other.name])
    if task.condition_from == "data":
        given = maps.add_input(f"{other.name}_prediction", tuple(prediction.shape[1:]))
        prediction = other.head.given_predictions(given)
    gate = f"{task.name}_condition_gradient"
    prediction = _gate(prediction, task.condition_gradient, gate)
    layer: Any = task.conditioning
    if isinstance(layer, SpatialDistillation):
        if isinstance(features[other.name], list):
            raise ValueError(
                f"Expected the task {other.name!r} to read one feature map, since it is distilled "
                f"from. Received: feature={other.feature!r}"
            )
        seen = _gate(features[other.name], task.condition_gradient, f"{gate}_map")
        return layer([feature, seen, prediction])
    if isinstance(task.head, DesignedHead):
        _attach(task)
        return [feature, prediction]
    return layer([feature, prediction])


def with_layer(task: Task) -> Task:
    """Returns the task with a layer for its conditioning, where that is a name."""
    if task.condition_on is None or not isinstance(task.conditioning, str):
        return task
    options = {"dtype": task.head.dtype_policy.name, "name": f"{task.name}_conditioning"}
    if task.conditioning == DISTILLATION:
        data_format = getattr(task.head, "data_format", None)
        layer = SpatialDistillation(data_format=data_format, **options)
    else:
        layer = CONDITIONINGS[task.conditioning](**options)
    return replace(task, conditioning=layer)


def with_new_layer(task: Task) -> Task:
    """Returns the task with a conditioning that is not built, for another head."""
    if isinstance(task.conditioning, str):
        return task
    config = task.conditioning.get_config()
    return replace(task, conditioning=type(task.conditioning).from_config(config))


def _attach(task: Task) -> None:
    """Gives the design of the head its conditioning, before it is built."""
    design = task.head.design
    if design.conditioning is None and not design.built:
        design.conditioning = task.conditioning
    if design.conditioning is not task.conditioning:
        raise ValueError(
            "Expected a new head where the conditioning is another. Received: a head that was "
            f"built with {design.conditioning}, and conditioning={task.conditioning}"
        )


def _gate(x: Any, gradient: str | float, name: str) -> Any:
    if gradient == "flow":
        return x
    stops = gradient == "stop"
    gate = GradientStop(name=name) if stops else GradientScale(scale=float(gradient), name=name)
    # Masks and token ids have no gradient.
    return keras.tree.map_structure(lambda one: gate(one) if "float" in one.dtype else one, x)
