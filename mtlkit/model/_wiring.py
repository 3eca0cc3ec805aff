"""How tasks are connected to a backbone, and the checks that they can be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import keras

from mtlkit.backbones._feature_maps import FeatureMaps
from mtlkit.balancing.aggregation.aggregator import Aggregator
from mtlkit.balancing.fan_out import FanOut
from mtlkit.balancing.weighted_gate import WeightedGate
from mtlkit.heads.head import LAST, PYRAMID, Head
from mtlkit.metrics._task_metric import TaskMetric
from mtlkit.metrics.class_metric import ClassMetric, reads_probabilities
from mtlkit.metrics.masked import LabelledMean, MaskedMetric, as_metric
from mtlkit.metrics.sliced import SlicedMetric
from mtlkit.model._conditioning import conditioned, gated, in_order
from mtlkit.model.task import Task

#: The end of the names of layers in which gradients meet.
_FAN_OUT = "_fan_out"
#: The end of the names of gates whose weight a balancer sets.
_BALANCE = "_balance"
#: Where gradients are aggregated: at the features that tasks share, or at the shared parameters.
Space = Literal["features", "parameters"]
#: Maps named in an error, at most.
_SHOWN_MAPS = 8


def check_tasks(tasks: Sequence[Task]) -> None:
    """Raises a ValueError unless there are tasks, with names and heads of their own."""
    if not tasks or not all(isinstance(task, Task) for task in tasks):
        raise ValueError(f"Expected at least one mtlkit.Task. Received: tasks={tasks!r}")
    repeated = [name for name, count in Counter(t.name for t in tasks).items() if count > 1]
    if repeated:
        raise ValueError(f"Expected tasks of different names. Received: {repeated} repeatedly")
    heads: dict[int, str] = {}
    for task in tasks:
        if id(task.head) in heads:
            raise ValueError(
                f"Task {task.name!r}: expected a head of its own. "
                f"Received: the head of task {heads[id(task.head)]!r}"
            )
        heads[id(task.head)] = task.name


def check_logs(trackers: dict[str, Any], metrics: dict[str, list[Any]]) -> None:
    """Raises a ValueError if two logs would have the same name."""
    names = [tracker.name for tracker in trackers.values()]
    names += [metric.name for own in metrics.values() for metric in own]
    repeated = [name for name, count in Counter(["loss", *names]).items() if count > 1]
    if repeated:
        raise ValueError(
            "Expected logs of different names, which are made of task and metric. "
            f"Received: {repeated} repeatedly, from the tasks {list(trackers)}"
        )


class Read(NamedTuple):
    """That a task reads a feature map.

    Attributes:
        task: Name of the task.
        map_name: Name of the map.
        feature: The map, a symbolic tensor.
        given: What the task gets of it: the map itself, or an output of a `FanOut`.
        trains: Whether the task's gradient goes on to what computes the map.
    """

    task: str
    map_name: str
    feature: Any
    given: Any
    trains: bool


class Wired(NamedTuple):
    """The outputs by task, the layers that govern gradients, and which task reads what.

    Attributes:
        outputs: Outputs by task.
        fan_outs: The layers in which gradients meet, with the names of their tasks.
        gates: The gates whose weight a balancer sets, with the names of their tasks.
        reads: What each task reads.
    """

    outputs: dict[str, Any]
    fan_outs: list[tuple[FanOut, list[str]]]
    gates: list[tuple[WeightedGate, str]]
    reads: list[Read]


def wire(
    maps: FeatureMaps,
    tasks: Sequence[Task],
    aggregator: Aggregator | None = None,
    space: Space = "features",
) -> Wired:
    """Connects each head to its feature map, through its gradient gate.

    Tasks that are conditioned on another one come after it, and read its outputs. With an
    aggregator, a map that several tasks read comes to them through a `FanOut`; if the aggregator is
    to work on the parameters of the backbone, each task reads each map through a `WeightedGate`.
    """
    _check_layer_names(maps, tasks, aggregator)
    names = {task.name: feature_names(maps, task) for task in tasks}
    found = _features(maps, tasks, names)
    given = {name: list(own) for name, own in found.items()}
    fan_outs, gates = [], []
    if aggregator is not None and space == "features":
        fan_outs = _fan_out(given, tasks, names, aggregator)
    elif aggregator is not None:
        gates = _gate_all(given, tasks, names)
    reads = _reads(tasks, names, found, given)
    found = given
    features = {task.name: gated(_as_head_reads(task, found[task.name]), task) for task in tasks}
    images = [task for task in tasks if task.head.reads_image_size]
    for task in images:
        image = _image(task, maps.get(["input"])["input"])
        features[task.name] = [image, *features[task.name]]
        reads.append(Read(task.name, "input", image, image, trains=False))
    outputs: dict[str, Any] = {}
    for task in in_order(tasks):
        feature = features[task.name]
        # Layers of a graph need different names, and exported outputs the tasks' ones.
        task.head.name = task.name
        try:
            if task.condition_on is not None:
                feature = conditioned(task, feature, tasks, features, outputs, maps)
            outputs[task.name] = task.head(feature)
        except (TypeError, ValueError) as error:  # layers of Keras raise either
            raise ValueError(
                f"Task {task.name!r}: expected a head that takes "
                f"{_described(names[task.name], features[task.name])}. Received: "
                f"{type(task.head).__name__}, {_why(error, features[task.name])}"
                f"{_spatial_maps(maps, features[task.name])}"
            ) from error
    return Wired({task.name: outputs[task.name] for task in tasks}, fan_outs, gates, reads)


def _why(error: Exception, features: Any) -> str:
    """Why a head does not take its features: that it takes a single one, or as its layers say."""
    several = isinstance(features, Sequence) and "to a shape" in str(error)
    return "which takes a single map." if several else f"which says: {error}"


def _features(
    maps: FeatureMaps, tasks: Sequence[Task], names: dict[str, tuple[str, ...]]
) -> dict[str, list[Any]]:
    """The maps that each task reads."""
    named = [name for own in names.values() for name in own]
    named += ["input" for task in tasks if task.head.reads_image_size]
    turned, upright = maps.get_orbit(named), maps.get(named)
    last_turned, last = maps.last_orbit, maps.last
    found = {}
    for task in tasks:
        by_name, end = (turned, last_turned) if task.head.reads_orbit else (upright, last)
        found[task.name] = [by_name[name] for name in names[task.name]] or [end]
    return found


def _fan_out(
    features: dict[str, list[Any]],
    tasks: Sequence[Task],
    names: dict[str, tuple[str, ...]],
    aggregator: Aggregator,
) -> list[tuple[FanOut, list[str]]]:
    """Puts a `FanOut` between each map and the tasks that read it, where there are several.

    The input is no map that is trained, and a task whose gradient is stopped has none.
    """
    readers: dict[int, list[tuple[str, int]]] = {}
    for name, place in _trained_through(features, tasks, names):
        readers.setdefault(id(features[name][place]), []).append((name, place))
    found: list[tuple[FanOut, list[str]]] = []
    for own in readers.values():
        if len(own) < 2:
            continue
        first, place = own[0]
        map_name = (names[first] or (LAST,))[place]
        taken = [layer.name for layer, _ in found]
        name = f"{map_name}{_FAN_OUT}"
        name = name if name not in taken else f"{map_name}_turned{_FAN_OUT}"
        layer = FanOut(aggregator, len(own), name=name)
        fanned = layer(features[first][place])
        for (name, where), feature in zip(own, fanned, strict=True):
            features[name][where] = feature
        found.append((layer, [name for name, _ in own]))
    return found


def _gate_all(
    features: dict[str, list[Any]], tasks: Sequence[Task], names: dict[str, tuple[str, ...]]
) -> list[tuple[WeightedGate, str]]:
    """Puts a `WeightedGate` before each map that a task reads."""
    gates = []
    for name, place in _trained_through(features, tasks, names):
        gate = WeightedGate(name=f"{name}{_BALANCE}{place or ''}")
        features[name][place] = gate(features[name][place])
        gates.append((gate, name))
    return gates


def _trained_through(
    features: dict[str, list[Any]], tasks: Sequence[Task], names: dict[str, tuple[str, ...]]
) -> list[tuple[str, int]]:
    """The tasks and places of maps through which a gradient reaches the backbone."""
    return [
        (task.name, place)
        for task in tasks
        for place, feature in enumerate(features[task.name])
        if _trains(task, names[task.name], place, feature)
    ]


def _trains(task: Task, names: tuple[str, ...], place: int, feature: Any) -> bool:
    """Whether a task's gradient goes on to what computes a map; the input is not trained."""
    is_input = names[place : place + 1] == ("input",)
    return task.gradient != "stop" and not is_input and "float" in feature.dtype


def _reads(
    tasks: Sequence[Task],
    names: dict[str, tuple[str, ...]],
    features: dict[str, list[Any]],
    given: dict[str, list[Any]],
) -> list[Read]:
    """What each task reads."""
    found = []
    for task in tasks:
        own = names[task.name]
        for place, feature in enumerate(features[task.name]):
            trains = _trains(task, own, place, feature)
            name = (own or (LAST,))[place]
            found.append(Read(task.name, name, feature, given[task.name][place], trains))
    return found


def _as_head_reads(task: Task, found: list[Any]) -> Any:
    """One map, or the list of several."""
    is_one = _names_one(task) and len(found) == 1 and not task.head.reads_image_size
    return found[0] if is_one else found


def _image(task: Task, image: Any) -> Any:
    if len(getattr(image, "shape", ())) != 4:
        raise ValueError(
            f"Task {task.name!r}: expected a backbone that reads one image, since a "
            f"{type(task.head).__name__} predicts something for each pixel. Received: inputs of "
            f"shape {keras.tree.map_structure(lambda x: tuple(x.shape), image)}"
        )
    return image


def _names_one(task: Task) -> bool:
    return task.feature is None or isinstance(task.feature, str)


def _described(names: tuple[str, ...], feature: Any) -> str:
    """The feature maps of a task in words."""
    if not isinstance(feature, list):
        return f"the feature map {', '.join(names) or 'the last one'!r} of shape {feature.shape}"
    return f"a list of the feature maps {names} of shapes {[one.shape for one in feature]}"


def _spatial_maps(maps: FeatureMaps, feature: Any) -> str:
    """Where a head got a vector, or several maps: what it may read instead, and the line for it."""
    is_map = not isinstance(feature, list) and len(feature.shape) > 2
    if is_map or not maps.spatial:
        return ""
    shown = list(maps.spatial.items())[-_SHOWN_MAPS:]
    listed = ", ".join(f"{name!r} {shape}" for name, shape in shown)
    return (
        f"\nA head that needs a map instead of a vector may read one of the backbone's: {listed}. "
        f"Name it: feature={shown[-1][0]!r}"
    )


def _check_layer_names(
    maps: FeatureMaps, tasks: Sequence[Task], aggregator: Aggregator | None
) -> None:
    """Raises a ValueError if a head, named as its task, would bear another layer's name."""
    taken = {maps.backbone.name, f"{maps.backbone.name}_maps"}
    taken |= {tensor.name for tensor in keras.tree.flatten(maps.inputs)}
    taken |= {f"{task.name}_gradient" for task in tasks if task.gradient != "flow"}
    if aggregator is not None:
        names = (*maps.names, *maps.layer_names, LAST)
        taken |= {f"{name}{turn}{_FAN_OUT}" for name in names for turn in ("", "_turned")}
        taken |= {f"{task.name}{_BALANCE}" for task in tasks}
    for task in tasks:
        if task.condition_on is not None:
            taken |= {f"{task.name}_condition_gradient", f"{task.name}_condition_gradient_map"}
            taken |= {f"{task.name}_conditioning", f"{task.condition_on}_prediction"}
    for task in tasks:
        if task.name in taken:
            raise ValueError(
                f"Task {task.name!r}: expected a name that no layer of the model has, such as the "
                f"input, the backbone or a gradient gate: {sorted(taken)}. "
                f"Received: name={task.name!r}"
            )


def feature_names(maps: FeatureMaps, task: Task) -> tuple[str, ...]:
    """Names of the maps that a task reads; none where it reads the last one."""
    if task.feature is not None:
        names = (task.feature,) if isinstance(task.feature, str) else tuple(task.feature)
        for name in names:
            if name not in maps.names and name not in maps.layer_names:
                layers = f", or one of its layers, {maps.layer_names}" if maps.layer_names else ""
                raise ValueError(
                    f"Task {task.name!r}: expected feature to be one of the backbone's maps, "
                    f"{maps.names}{layers}. Received: feature={name!r}"
                )
        return names
    if task.name in maps.by_task:
        return (task.name,)
    served = getattr(maps.backbone, "task_names", None)
    if served is not None:  # a feature for each task: no other task's will do
        raise ValueError(
            f"Task {task.name!r}: expected a task that the backbone has a feature for, "
            f"{list(served)}, or feature=... to name a map. Received: name={task.name!r}"
        )
    return default_names(task.head, maps.names, maps.pyramid)


def default_names(head: Head, maps: Sequence[str], pyramid: Sequence[str]) -> tuple[str, ...]:
    """Names of the maps that suit a head best; none where that is the last one, or not there."""
    given = head.default_feature
    if given == PYRAMID:
        return tuple(pyramid)
    wanted = given if isinstance(given, tuple) else (given,)
    names = tuple(maps[-1] if name == LAST else name for name in wanted if name)
    return names if all(name in maps for name in names) else ()


def task_metrics(task: Task, output: Any, tracker: LabelledMean) -> list[TaskMetric]:
    """Returns the metrics of a task, masked, and named after task and metric."""
    metrics = task.head.default_metrics() if task.metrics is None else _listed(task.metrics)
    weighted = _listed(task.weighted_metrics or [])
    masked = []
    for number, metric in enumerate([*metrics, *weighted]):
        is_weighted = number >= len(metrics)
        if metric in ("accuracy", "acc") and len(output.shape) > 1 and output.shape[-1] > 1:
            metric = keras.metrics.SparseCategoricalAccuracy(name=metric)  # as Keras infers
        plain = as_metric(metric)
        classes = task.head.class_logits
        _make_variables(plain, (None, classes) if classes else output.shape)
        name = metric.name if isinstance(metric, MaskedMetric) else plain.name
        count = task.head.metric_outputs
        if classes and reads_probabilities(plain):
            plain = ClassMetric(plain, classes)
        own = task.metrics is not None or is_weighted
        if own and count is not None and not isinstance(plain, SlicedMetric):
            plain = SlicedMetric(plain, 0, count)
        name = f"weighted_{name}" if is_weighted else name
        masked.append(TaskMetric(plain, f"{task.name}_{name}", tracker, is_weighted))
    return masked


def _listed(metrics: Any) -> Sequence[Any]:
    return metrics if isinstance(metrics, list | tuple) else [metrics]


def _make_variables(metric: keras.metrics.Metric, shape: tuple[int | None, ...]) -> None:
    """Lets metrics make their variables that do so at the first update.

    On JAX they would come up while the step is compiled, which several devices do not take.
    """
    if isinstance(metric, keras.metrics.R2Score | keras.metrics.FBetaScore):
        sample = keras.ops.zeros((1, *shape[1:]))
        metric.update_state(sample, sample)
        metric.reset_state()
