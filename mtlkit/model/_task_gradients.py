"""The gradients of tasks where they meet: at feature maps, and at the backbone's weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from mtlkit._gradients import Unchanged, compiled, input_gradients, pull_back
from mtlkit._random_state import all_random_states_kept
from mtlkit.losses._partial_labels import PartialLabels

if TYPE_CHECKING:
    from mtlkit.model.multi_task_model import MultiTaskModel


@dataclass(frozen=True)
class GroupGradients:
    """What the gradients of tasks have to do with each other, in groups of samples.

    Attributes:
        features: Inner products of the gradients at each map that several tasks share, of shape
            `(groups, tasks, tasks)`, by the name of the map.
        layers: Inner products of the gradients at the weights of each layer of the backbone, of
            shape `(groups, tasks, groups, tasks)`, by the name of the layer.
        losses: Losses times weights of tasks, of shape `(groups, tasks)`.
        samples: Numbers of labelled samples, of shape `(groups, tasks)`.
        factors: What the loss weighting of the model multiplies the losses by, `(tasks,)`.
    """

    features: Mapping[str, NDArray[np.float64]]
    layers: Mapping[str, NDArray[np.float64]]
    losses: NDArray[np.float64]
    samples: NDArray[np.float64]
    factors: NDArray[np.float64]


class TaskGradients:
    """Measures the gradients of each task's loss, as they come to the backbone in training.

    With the weight of the task, its class weights and its gradient gate; before an aggregator
    combines them. Nothing of the model is changed. The computation is compiled once.

    Args:
        model: The model.
        features: Whether gradients at the shared maps are wanted.
        parameters: Whether those at the backbone's weights are.
    """

    def __init__(self, model: MultiTaskModel, features: bool, parameters: bool) -> None:
        self._model = model
        self.tasks = list(model.tasks)
        reads = model._reads
        inputs = {id(tensor) for tensor in model.inputs}
        #: Maps that gradients are measured at, with the tasks that train them.
        self.readers: dict[str, list[str]] = {}
        maps: dict[int, Any] = {}
        given: dict[int, tuple[Any, int]] = {}
        readers: dict[int, dict[str, None]] = {}
        names: dict[int, str] = {}
        for read in reads:
            if id(read.feature) in inputs:
                continue
            maps.setdefault(id(read.feature), read.feature)
            given.setdefault(id(read.given), (read.given, list(maps).index(id(read.feature))))
            if read.trains:
                names.setdefault(id(read.feature), read.map_name)
                readers.setdefault(id(read.feature), {})[read.task] = None
        self._shared: dict[str, int] = {}
        for key, own in readers.items():
            if len(own) > 1:
                name = names[key] if names[key] not in self._shared else f"{names[key]}_turned"
                self._shared[name] = list(maps).index(key)
                self.readers[name] = list(own)
        self._variables = list(model.variables)
        self._layers = _layers(model.backbone) if parameters else {}
        if not features:
            self._shared = {}
        self._given = [index for _, index in given.values()]
        self._trunk = keras.Model(model.inputs, list(maps.values()), name="trunk_of_tasks")
        self._heads = keras.Model(
            [*(tensor for tensor, _ in given.values()), *model.inputs],
            model.output,
            name="heads_of_tasks",
        )
        self._step = compiled(self._measured)

    @property
    def layers(self) -> list[str]:
        """The names of the backbone's layers whose weights are trained."""
        return list(self._layers)

    def is_of(self, model: MultiTaskModel) -> bool:
        """Whether it measures a model as that is now: the same weights of it may be trained."""
        trained = {id(variable) for variable in model.backbone.trainable_variables}
        mine = {id(variable) for own in self._layers.values() for variable in own}
        return model is self._model and (mine == trained or not self._layers)

    def measure(self, batches: Sequence[tuple[Any, Mapping[str, Any], Any]]) -> GroupGradients:
        """Measures the gradients of groups of samples.

        Args:
            batches: Inputs, labels by task, and sample weights (or `None`) of each group. All
                groups have the same size, and labels for the same tasks.
        """
        model = self._model
        values = [ops.convert_to_tensor(variable.value) for variable in self._variables]
        with all_random_states_kept():
            found = [self._step(values, *batch) for batch in batches]
        losses, samples = (
            np.array([ops.convert_to_numpy(one[key]) for one in found], "float64")
            for key in ("losses", "samples")
        )
        features = {
            name: np.array([ops.convert_to_numpy(one["features"][name]) for one in found])
            for name in self._shared
        }
        layers = {}
        for name in self._layers:
            rows = ops.concatenate([one["layers"][name] for one in found])
            size = (len(found), len(self.tasks))
            products = ops.convert_to_numpy(_products(rows))
            layers[name] = products.reshape(*size, *size).astype("float64")
        factors = np.ones(len(self.tasks))
        if model._balancing.losses is not None:
            factors = self._factors(losses, samples)
        features = {name: one.astype("float64") for name, one in features.items()}
        return GroupGradients(features, layers, losses, samples, factors)

    def _measured(self, values: Any, x: Any, y: Any, sample_weight: Any) -> dict[str, Any]:
        """The measurements of a group; of weights, the gradients themselves."""
        model = self._model
        trained = [v for own in self._layers.values() for v in own]
        places = {id(variable): place for place, variable in enumerate(self._variables)}
        trained_places = [places[id(variable)] for variable in trained]

        def scope(changed: Sequence[Any]) -> Unchanged:
            now = list(values)
            for place, value in zip(trained_places, changed, strict=True):
                now[place] = value
            return Unchanged(zip(self._variables, now, strict=True), collect_losses=True)

        masks: list[Any] = []
        inputs: list[Any] = []

        def trunk(changed: list[Any]) -> list[Any]:
            with scope(changed):
                inputs[:] = model._standardize_inputs(x)
                maps = self._trunk(inputs, training=True)
            maps = list(maps) if isinstance(maps, list | tuple) else [maps]
            masks[:] = [getattr(one, "_keras_mask", None) for one in maps]
            return maps

        unchanged = [values[place] for place in trained_places]
        if trained:
            maps, at_weights = pull_back(trunk, unchanged)
        else:
            maps = trunk(unchanged)
        samples: list[Any] = []

        def heads(given: list[Any]) -> list[Any]:
            for one, place in zip(given, self._given, strict=True):
                if masks[place] is not None:
                    one._keras_mask = masks[place]
            with scope(unchanged):
                outputs = self._heads([*given, *inputs], training=True)
                return self._losses(outputs, y, sample_weight, samples)

        losses, at_maps = pull_back(heads, [maps[place] for place in self._given])
        rows: list[list[Any]] = []
        for number, _ in enumerate(self.tasks):
            seed = [ops.full_like(v, float(i == number)) for i, v in enumerate(losses)]
            own: list[Any] = [None] * len(maps)
            for gradient, place in zip(at_maps(seed), self._given, strict=True):
                own[place] = gradient if own[place] is None else own[place] + gradient
            rows.append(own)
        features = {
            name: _products(ops.stack([_flat([own[place]]) for own in rows]))
            for name, place in self._shared.items()
        }
        layers: dict[str, Any] = {}
        if trained:
            pulled = [at_weights(own) for own in rows]
            first = 0
            for name, variables in self._layers.items():
                part = slice(first, first + len(variables))
                layers[name] = ops.stack([_flat(own[part]) for own in pulled])
                first += len(variables)
        return {
            "features": features,
            "layers": layers,
            "losses": ops.stack(losses),
            "samples": ops.stack(samples),
        }

    def _losses(self, outputs: Any, y: Any, sample_weight: Any, samples: list[Any]) -> list[Any]:
        """The loss of each task times its weight, and the numbers of labelled samples."""
        model = self._model
        losses: list[Any] = []
        samples.clear()
        for name in self.tasks:
            if y.get(name) is None:
                losses.append(ops.cast(ops.sum(outputs[name]) * 0, "float32"))
                samples.append(ops.zeros((), "float32"))
                continue
            labels = PartialLabels(y[name], by_entry=model._losses_by_task[name].by_entry)
            value = model._loss_of(name, labels, outputs[name], sample_weight, training=True)
            weight = ops.cast(model.task_weights[name], "float32")
            losses.append(ops.cast(value, "float32") * weight)
            samples.append(ops.cast(labels.samples, "float32"))
        return losses

    def _factors(
        self, losses: NDArray[np.float64], samples: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """The derivative of the total loss by each task's, with the state as it is now."""
        balance: Any = self._model._balancing.losses
        count = samples.sum(0)
        mean = (losses * samples).sum(0) / np.maximum(count, 1.0)

        def total(values: Any) -> Any:
            named = enumerate(self.tasks)
            return balance.total({name: (values[i], count[i]) for i, name in named if count[i]})

        return np.asarray(input_gradients(total, mean.astype("float32")), "float64")


def labelled_samples(
    model: MultiTaskModel, y: Mapping[str, Any], samples: int
) -> NDArray[np.bool_]:
    """Which samples have a label of which task, of shape `(samples, tasks)`."""
    columns = []
    for name in model.tasks:
        if y.get(name) is None:
            columns.append(np.zeros(samples, bool))
            continue
        labels = PartialLabels(y[name], by_entry=model._losses_by_task[name].by_entry)
        columns.append(np.asarray(ops.convert_to_numpy(labels.present), bool))
    return np.stack(columns, axis=1)


def _flat(gradients: Sequence[Any]) -> Any:
    return ops.concatenate([ops.reshape(ops.cast(one, "float32"), (-1,)) for one in gradients])


def _products(rows: Any) -> Any:
    return ops.matmul(rows, ops.transpose(rows))


def _layers(backbone: Any) -> dict[str, list[Any]]:
    """The trained variables of a backbone, by the layer that owns them."""
    trained = {id(variable): variable for variable in backbone.trainable_variables}
    found: dict[str, list[Any]] = {}
    for layer in backbone._flatten_layers():
        own = [trained.pop(id(v)) for v in layer._trainable_variables if id(v) in trained]
        if own:
            name = layer.name if layer.name not in found else layer.path
            found.setdefault(name, []).extend(own)
    if trained:
        found["other"] = list(trained.values())
    return found
