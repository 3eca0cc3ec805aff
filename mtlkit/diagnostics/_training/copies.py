"""Copies of a user's model, so that a probe never touches the model itself."""

from __future__ import annotations

import copy
import random
from dataclasses import replace
from typing import Any

import keras
import numpy as np

from mtlkit._random_state import random_state_kept
from mtlkit.heads._label_standardization import LabelStandardization
from mtlkit.heads.head import Head
from mtlkit.layers.gradient_gates import GradientScale
from mtlkit.layers.input_normalization import InputNormalization
from mtlkit.model import MultiTaskModel
from mtlkit.model.task import Task

#: Layers whose weights are settings or statistics of the data, rather than learned.
_SETTINGS = (InputNormalization, keras.layers.Normalization, GradientScale)


@random_state_kept()
def copy_of(model: MultiTaskModel, **changes: Any) -> MultiTaskModel:
    """Rebuilds a model from its configuration, and copies all weights.

    The copy computes what the model computes. It shares only losses of the user's own, which
    have no weights; it has no metrics, which a probe computes itself; it is not compiled.
    """
    random.seed(0)  # Keras draws the seeds of dropout from it, which are no weights
    rebuilt = _rebuilt(model, changes)
    if [w.shape for w in rebuilt.weights] != [w.shape for w in model.weights]:
        raise ValueError(
            "Expected a model that its configuration describes. Received: one whose copy has "
            f"{len(rebuilt.weights)} weights of other shapes than its own {len(model.weights)}"
        )
    rebuilt.set_weights(model.get_weights())
    _finalise(rebuilt)
    return rebuilt


@random_state_kept()
def conditioned_copy(
    model: MultiTaskModel, task: str, other: str, conditioning: str, seed: int
) -> MultiTaskModel:
    """Copies a model, and lets a task see what is predicted of another one.

    All weights are copied. Those of the conditioning are new, and change nothing at first.
    """
    copied = copy_of(model)
    keras.utils.set_random_seed(seed)
    old = copied.tasks[task]
    # Not built yet: what it is conditioned by is one of its layers.
    head = type(old.head).from_config(old.head.get_config())
    changes: dict[str, Any] = {"condition_on": other, "conditioning": conditioning}
    seeing = copied.with_head(task, head, loss=old.loss, **changes)
    new = seeing.tasks[task]
    conditioned_by: Any = new.conditioning
    added = {id(weight) for weight in conditioned_by.weights}
    kept = [weight for weight in new.head.weights if id(weight) not in added]
    for weight, value in zip(kept, old.head.weights, strict=True):
        weight.assign(keras.ops.convert_to_numpy(value))
    return seeing


@random_state_kept()
def fresh_copy(model: MultiTaskModel, seed: int, **changes: Any) -> MultiTaskModel:
    """Rebuilds a model with new initial weights.

    What is not learned is kept: the input normalisation, the weights of tasks, the scales of
    gradient gates, and which layers are trained.
    """
    keras.utils.set_random_seed(seed)
    rebuilt = _rebuilt(model, changes)
    for old, new in zip(_settings(model), _settings(rebuilt), strict=False):
        if new.built and [w.shape for w in old.weights] == [w.shape for w in new.weights]:
            new.set_weights(old.get_weights())
    _keep_label_units(model, rebuilt)
    for name, weight in model.task_weights.items():
        rebuilt.task_weights[name].assign(keras.ops.convert_to_numpy(weight))
    _finalise(rebuilt)
    return rebuilt


def compiled_like(
    copied: MultiTaskModel, model: MultiTaskModel, learning_rate: float | None = None
) -> MultiTaskModel:
    """Compiles a copy with the optimizer of the user's model: its class and settings."""
    optimizer = getattr(model, "optimizer", None)
    if optimizer is None:
        raise ValueError("Expected a model that is compiled. Received: one without an optimizer")
    inner = getattr(optimizer, "inner_optimizer", optimizer)  # of a LossScaleOptimizer
    config = copy.deepcopy(inner.get_config())
    if learning_rate is not None:
        config["learning_rate"] = learning_rate
    return compiled(copied, type(inner).from_config(config))


def compiled(copied: MultiTaskModel, optimizer: keras.optimizers.Optimizer) -> MultiTaskModel:
    """Compiles a copy for a short training.

    TensorFlow's XLA takes longer to compile than a probe trains, so it is left out there.
    """
    on_tensorflow = keras.backend.backend() == "tensorflow"
    copied.compile(optimizer, jit_compile=False if on_tensorflow else "auto")
    return copied


def loss_of(task: Task) -> Any:
    """Returns the loss that a task is trained with, its own or its head's, masked."""
    return task.head.training_loss(task.loss)


def _keep_label_units(model: MultiTaskModel, rebuilt: MultiTaskModel) -> None:
    """Gives the heads that standardise labels the mean and scale that the user's have."""
    for name, task in rebuilt.tasks.items():
        old, new = (
            getattr(head, "standardization", None) for head in (model.tasks[name].head, task.head)
        )
        if not isinstance(old, LabelStandardization) or not isinstance(new, LabelStandardization):
            continue
        if old.built and new.built and old.units == new.units:
            new.set_weights(old.get_weights())


def _rebuilt(model: MultiTaskModel, changes: dict[str, Any]) -> MultiTaskModel:
    try:
        backbone = _clone(model.backbone)
        tasks = [_task(task, changes.get(name, {})) for name, task in model.tasks.items()]
        rebuilt = type(model)(
            backbone,
            tasks,
            model.balancer,
            balancer_space=model.balancer_space,
            input_shape=model.get_config()["input_shape"],
        )
    except Exception as error:  # whatever a layer of the user's own raises
        raise ValueError(
            "Expected a model that can be rebuilt from its configuration: register layers of "
            "your own with keras.saving.register_keras_serializable. "
            f"Received: an error, {type(error).__name__}: {error}"
        ) from error
    flags = [layer.trainable for layer in model._flatten_layers()]
    layers = list(rebuilt._flatten_layers())
    if len(flags) == len(layers):  # another head may have other layers
        for layer, flag in zip(layers, flags, strict=True):
            layer.trainable = flag
    else:
        _copy_flag(model.backbone, rebuilt.backbone)
    return rebuilt


def _copy_flag(old: Any, new: Any) -> None:
    for one, other in zip(old._flatten_layers(), new._flatten_layers(), strict=True):
        other.trainable = one.trainable


def _task(task: Task, changes: dict[str, Any]) -> Task:
    head: Head = changes.get("head") or _clone(task.head)
    conditioning: Any = task.conditioning
    if isinstance(conditioning, keras.layers.Layer):
        conditioning = type(conditioning).from_config(conditioning.get_config())
    fields = {"metrics": [], "weighted_metrics": None, "conditioning": conditioning}
    fields |= {**changes, "head": head}
    return replace(task, **fields)


def _clone(layer: Any) -> Any:
    config = keras.saving.serialize_keras_object(layer)
    # Weights are set later; what the layer was built for, the model knows.
    return keras.saving.deserialize_keras_object(config)


def _settings(model: MultiTaskModel) -> list[Any]:
    return [layer for layer in model._flatten_layers() if isinstance(layer, _SETTINGS)]


def _finalise(model: MultiTaskModel) -> None:
    for layer in _settings(model):
        if isinstance(layer, keras.layers.Normalization):
            layer.finalize_state()


def weights_of(model: MultiTaskModel) -> list[np.ndarray]:
    """Returns copies of all weights, which no later training changes."""
    return [np.array(value) for value in model.get_weights()]
