"""From a Keras model to a backbone and tasks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras

from mtlkit.backbones._graph import is_graph, node_of
from mtlkit.heads._adopted_labels import KINDS
from mtlkit.heads.adopted import AdoptedHead
from mtlkit.model._compile_settings import CompileSettings, OutputSettings, compile_settings
from mtlkit.model._graph_split import Part, split
from mtlkit.model._label_inference import infer, resolved_loss
from mtlkit.model.task import Task

#: What `tasks` may say of a task.
_KEYS = ("name", "head", "kind", "loss", "metrics", "weight", "gradient", "feature")
#: Methods that a model adopted from its graph would lose.
_OWN_METHODS = (
    "call",
    "train_step",
    "test_step",
    "predict_step",
    "compute_loss",
    "compute_metrics",
)


@dataclass
class Adoption:
    """What a Keras model becomes.

    Attributes:
        backbone: The model of what the outputs share.
        tasks: A task for each output.
        settings: What the model was compiled with.
    """

    backbone: keras.Model
    tasks: list[Task]
    settings: CompileSettings


def adopt(model: Any, overrides: Mapping[str, Any] | None = None) -> Adoption:
    """Takes a functional Keras model apart into a backbone and tasks."""
    _check_model(model)
    inputs, outputs = inputs_of(model), outputs_by_name(model)
    overrides = _checked(overrides, outputs)
    settings = compile_settings(model, list(outputs))
    backbone, parts = split(inputs, outputs, f"{model.name}_backbone")
    tasks = [
        _task(name, part, settings.outputs[name], overrides.get(name, {}), settings.has_losses)
        for name, part in parts.items()
    ]
    return Adoption(backbone, tasks, settings)


def _task(
    name: str,
    part: Part,
    settings: OutputSettings,
    override: Mapping[str, Any],
    has_losses: bool,
) -> Task:
    """The task of an output."""
    features = override.get("feature", part.features)
    loss, kind = override.get("loss", settings.loss), override.get("kind")
    own = {
        "weight": override.get("weight", settings.weight),
        "gradient": override.get("gradient", "flow"),
        "feature": features[0] if len(features) == 1 else features,
    }
    if override.get("head") is not None:
        given = {key: override[key] for key in ("loss", "metrics") if key in override}
        return _new_task(name, override, override["head"], **{**own, **given})
    if loss is not None:
        loss = resolved_loss(name, loss, kind, part.output)
    elif has_losses and kind is None:
        kind = _kind_without_loss(name, part)
    kind, from_logits = infer(name, part.output, loss, kind)
    metrics = override.get("metrics", settings.metrics)
    if metrics is not None and not isinstance(metrics, list | tuple):
        metrics = [metrics]
    try:
        head = AdoptedHead(part.graph, kind, from_logits, loss, metrics, dtype="float32")
        head.default_loss(), head.default_metrics()  # to be refused now
        weighted = [head.as_metric(metric) for metric in settings.weighted_metrics or []] or None
    except ValueError as error:
        raise ValueError(f"Task {name!r}: {error}") from error
    return _new_task(name, override, head, weighted_metrics=weighted, **own)


def _kind_without_loss(name: str, part: Part) -> str | None:
    """The kind of an output that `compile` gave no loss: values, unless its layers differ."""
    try:
        infer(name, part.output, None, None)
    except ValueError:
        return "regression"
    return None


def _new_task(output: str, override: Mapping[str, Any], head: Any, **own: Any) -> Task:
    try:
        return Task(override.get("name", output), head, **own)
    except ValueError as error:
        raise ValueError(
            f"{error}\nSay otherwise: MultiTaskModel.from_keras(model, "
            f'tasks={{{output!r}: {{"name": "another_name"}}}}), for one of {list(_KEYS)}'
        ) from error


def _check_model(model: Any) -> None:
    if not isinstance(model, keras.Model):
        raise ValueError(f"Expected a keras.Model. Received: model={model!r}")
    if hasattr(model, "tasks") and hasattr(model, "task_weights"):
        raise ValueError(
            "Expected a keras.Model that is to become a MultiTaskModel. "
            f"Received: {model.name!r}, which is one already"
        )
    if not is_graph(model):
        raise ValueError(_no_graph(model))
    plain = keras.Sequential if isinstance(model, keras.Sequential) else _functional()
    own = [name for name in _OWN_METHODS if getattr(type(model), name) is not getattr(plain, name)]
    if own:
        raise ValueError(
            "Expected a model whose layers and compile() say all. Received: "
            f"{type(model).__name__}, which defines {own} itself, so that this would be lost. "
            "Adopt the plain model of its layers: "
            "MultiTaskModel.from_keras(keras.Model(model.inputs, model.outputs))"
        )


def _no_graph(model: keras.Model) -> str:
    """What to do with a model whose layers are not known."""
    if isinstance(model, keras.Sequential):
        return (
            "Expected a Sequential model that is built, so that the shapes of its layers are "
            f"known. Received: {model.name!r}, which is not. Build it before: "
            "model.build((None, ...)), with the shape of the inputs behind None"
        )
    return (
        "Expected a functional or sequential keras.Model, whose graph of layers is known. "
        f"Received: {type(model).__name__}, whose call() is code. Write it as a functional model, "
        "keras.Model(inputs, {'task': output, ...}); or let it be the backbone, from the inputs "
        "to the features, and give it heads: mtl.MultiTaskModel(backbone, [mtl.Task('task', "
        "mtl.heads.ClassificationHead(10))], input_shape=(32, 32, 3))"
    )


def _functional() -> type:
    """The class of functional models, which `keras.Model` makes of inputs and outputs."""
    x = keras.Input((1,))
    return type(keras.Model(x, keras.layers.Identity()(x)))


def inputs_of(model: keras.Model) -> Any:
    if isinstance(model, keras.Sequential):
        return model.inputs[0]
    is_one = isinstance(model.input, list | tuple) and len(model.input) == 1
    return model.input[0] if is_one else model.input


def outputs_by_name(model: keras.Model) -> dict[str, Any]:
    """The outputs by name: keys of a dict, else names of layers, as in `compile`."""
    found = model.outputs if isinstance(model, keras.Sequential) else model.output
    if isinstance(found, Mapping):
        named = dict(found)
    else:
        tensors = list(found) if isinstance(found, list | tuple) else [found]
        named = {}
        flat = all(isinstance(x, keras.KerasTensor) for x in tensors)
        names = [node_of(x).operation.name for x in tensors] if flat else []
        repeated = [name for name, count in Counter(names).items() if count > 1]
        if repeated:
            raise ValueError(
                "Expected outputs of different names. Received: several of the layers "
                f"{repeated}. Name them: keras.Model(model.input, "
                f"{{'first': model.outputs[0], 'second': model.outputs[1], ...}})"
            )
        named = dict(zip(names, tensors, strict=True)) if flat else {"": found}
    if not all(isinstance(x, keras.KerasTensor) for x in named.values()):
        raise ValueError(
            "Expected outputs as a dict, a list or a single tensor, nothing nested. Received: "
            f"{keras.tree.map_structure(lambda x: x.name, found)}. Name them: "
            "keras.Model(model.input, {'first': model.outputs[0], ...})"
        )
    return named


def _checked(
    overrides: Mapping[str, Any] | None, outputs: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    """What is said of tasks, checked."""
    overrides = {} if overrides is None else overrides
    if not isinstance(overrides, Mapping) or not all(
        isinstance(one, Mapping) for one in overrides.values()
    ):
        raise ValueError(
            f"Expected tasks as a dict of dicts, such as {{{next(iter(outputs))!r}: "
            f'{{"kind": "classification"}}}}. Received: tasks={overrides!r}'
        )
    unknown = [name for name in overrides if name not in outputs]
    if unknown:
        raise ValueError(
            f"Expected tasks out of the model's outputs, {list(outputs)}. Received: {unknown}"
        )
    checked = {name: dict(one) for name, one in overrides.items()}
    for name, one in checked.items():
        wrong = [key for key in one if key not in _KEYS]
        if wrong:
            raise ValueError(f"Task {name!r}: expected keys out of {_KEYS}. Received: {wrong}")
        if one.get("head") is not None and one.get("kind") is not None:
            raise ValueError(
                f"Task {name!r}: expected no kind beside a head, which knows its labels. "
                f"Received: kind={one['kind']!r}"
            )
        if "kind" in one and one["kind"] not in KINDS:
            raise ValueError(
                f"Task {name!r}: expected kind out of {list(KINDS)}. Received: {one['kind']!r}"
            )
        if isinstance(one.get("feature"), str):
            one["feature"] = (one["feature"],)
    return checked
