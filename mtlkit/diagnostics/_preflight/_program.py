"""A compiled model and a batch of its data, as the checks of a preflight see them."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from mtlkit._arrays import to_numpy
from mtlkit._gradients import Unchanged, gradients
from mtlkit.backbones._graph import is_graph, node_of, nodes_before, replay
from mtlkit.diagnostics._labels import labels_by_output
from mtlkit.diagnostics.thresholds import BATCH, STEPS
from mtlkit.heads._adopted_labels import width
from mtlkit.heads.adopted import AdoptedHead
from mtlkit.heads.head import Head
from mtlkit.metrics._labels import is_labelled
from mtlkit.model import MultiTaskModel
from mtlkit.model._adoption import inputs_of, outputs_by_name
from mtlkit.model._compile_settings import compile_settings
from mtlkit.model._graph_split import inlined
from mtlkit.model._label_inference import (
    from_logits_of,
    kind_of_loss,
    last_activation,
    resolved_loss,
)

#: The losses of a few steps, and the outputs after them.
Trial = tuple[list[float], dict[str, NDArray]]


@dataclass(frozen=True)
class Output:
    """One output of a model: a task.

    Attributes:
        name: Name of the task, or of the output.
        tensor: The symbolic output, from which its graph can be traced; `None` if there is none.
        loss: Its loss; `None` if it has none.
        labels: All its labels; `None` if there are none.
        head: The head of a `MultiTaskModel`, which knows its own loss and labels.
        metrics: Names of its metrics.
    """

    name: str
    tensor: Any
    loss: Any
    labels: NDArray | None
    head: Head | None = None
    metrics: tuple[str, ...] = ()

    @cached_property
    def units(self) -> int:
        """Numbers that are predicted for a sample, on the last axis."""
        return width(tuple(self.tensor.shape))

    @cached_property
    def activation(self) -> str | None:
        """The function that the output went through last; `None` if it is not known."""
        return None if self.tensor is None else last_activation(self.tensor)

    @cached_property
    def kind(self) -> str:
        """The kind of labels that the loss takes; `"unchecked"` if the loss does not tell."""
        if self.loss is None or self.tensor is None:
            return "unchecked"
        return kind_of_loss(self.loss, self.units)

    @cached_property
    def from_logits(self) -> bool:
        """Whether the loss takes logits."""
        return bool(from_logits_of(self.loss))

    @cached_property
    def layer(self) -> str | None:
        """Name of the layer that computes it."""
        return None if self.tensor is None else node_of(self.tensor).operation.name

    @cached_property
    def labelled(self) -> NDArray[np.bool_]:
        """Which samples have a label, or a part of one where the task's loss takes that."""
        if self.labels is None:
            return np.zeros(0, bool)
        loss = None if self.head is None else self.head.default_loss()
        return is_labelled(self.labels, in_part=bool(getattr(loss, "by_entry", None)))

    @property
    def is_checked_by_head(self) -> bool:
        """Whether loss and activation belong together by construction."""
        return self.head is not None and not isinstance(self.head, AdoptedHead)


class Program:
    """A model, and the data that it is to be trained on.

    Args:
        model: The compiled model. It is trained for a few steps, which are taken back.
        x: All inputs.
        y: All labels, in the structure that `fit` takes.
        seed: Seed of the batch.
    """

    def __init__(self, model: keras.Model, x: Any, y: Any, seed: int = 0) -> None:
        self.model = model
        self.x = keras.tree.map_structure(to_numpy, x)
        self.y = y
        self.outputs = _outputs(model, y)
        labelled = [out.labelled for out in self.outputs if out.labels is not None]
        known = np.any(labelled, axis=0) if labelled else None
        rows = np.flatnonzero(known) if known is not None else np.arange(len(self))
        chosen = np.random.default_rng(seed).permutation(rows)[:BATCH]
        self.rows = np.sort(chosen)
        self.batch_x = _rows(self.x, self.rows)
        self.batch_y = _rows(keras.tree.map_structure(to_numpy, y), self.rows)
        self._losses: dict[bool, float] = {}
        self._trials: dict[float | None, Trial] = {}
        self._gradients_after_steps: list[NDArray] = []

    def __len__(self) -> int:
        return len(keras.tree.flatten(self.x)[0])

    @cached_property
    def arrays(self) -> dict[str, NDArray]:
        """The inputs by name; `"x"` if there is one."""
        if isinstance(self.x, Mapping):
            return {str(name): array for name, array in self.x.items()}
        flat = keras.tree.flatten(self.x)
        return {"x": flat[0]} if len(flat) == 1 else {f"x[{n}]": a for n, a in enumerate(flat)}

    # -- the graph --------------------------------------------------------------------------------

    @cached_property
    def nodes(self) -> list[Any]:
        """The calls of layers in order, without inputs; empty if the model has no graph."""
        return [node for node in self._graph_nodes if not node.is_input]

    @cached_property
    def _graph_nodes(self) -> list[Any]:
        return nodes_before(self._graph[1].values()) if self._graph else []

    @cached_property
    def _graph(self) -> Any:
        if not is_graph(self.model):
            return None
        named = {f"output{n}": tensor for n, tensor in enumerate(self.model.outputs)}
        return inlined(inputs_of(self.model), named, everything=True)

    @cached_property
    def activations(self) -> list[tuple[Any, NDArray, NDArray]]:
        """Each call of a layer, what it reads first, and what it gives, in inference mode."""
        if not self._graph:
            return []
        inputs = keras.tree.flatten(self._graph[0])
        given = keras.tree.flatten(self.batch_x)
        if isinstance(self.batch_x, Mapping) and not isinstance(self._graph[0], Mapping):
            given = [self.batch_x[tensor.name] for tensor in inputs]
        values = {
            id(symbolic): ops.cast(ops.convert_to_tensor(array), symbolic.dtype)
            for symbolic, array in zip(inputs, given, strict=True)
        }
        values = replay(self._graph_nodes, values, training=False)
        found = []
        for node in self.nodes:
            if len(node.outputs) == 1 and "float" in str(node.outputs[0].dtype):
                reads = [values[id(tensor)] for tensor in node.input_tensors[:1]]
                read = _to_numpy(reads[0]) if reads else np.zeros((0,), "float32")
                found.append((node, read, _to_numpy(values[id(node.outputs[0])])))
        return found

    # -- what it computes -------------------------------------------------------------------------

    @cached_property
    def predicted(self) -> dict[str, NDArray]:
        """The outputs for the batch, in inference mode."""
        return self._predicted(training=False)

    @cached_property
    def predicted_in_training(self) -> dict[str, NDArray]:
        """The outputs for the batch, in training mode; nothing of the model is changed."""
        with Unchanged(collect_losses=True):
            return self._predicted(training=True)

    def _predicted(self, training: bool) -> dict[str, NDArray]:
        outputs = self.model(self.batch_x, training=training)
        if isinstance(outputs, Mapping):
            return {name: _to_numpy(value) for name, value in outputs.items()}
        flat = keras.tree.flatten(outputs)
        names = [out.name for out in self.outputs]
        return {name: _to_numpy(value) for name, value in zip(names, flat, strict=True)}

    @cached_property
    def labels(self) -> dict[str, NDArray]:
        """The labels of the batch by output, of those that have any."""
        return {o.name: o.labels[self.rows] for o in self.outputs if o.labels is not None}

    def loss(self, training: bool) -> float:
        """The total loss of the batch; nothing of the model is changed."""
        if training not in self._losses:
            self._losses[training] = self._loss_now(training)
        return self._losses[training]

    def _loss_now(self, training: bool) -> float:
        with Unchanged(collect_losses=True):
            return float(_to_numpy(self._loss(training)))

    def _loss(self, training: bool) -> Any:
        outputs = self.model(self.batch_x, training=training)
        x, y = (
            keras.tree.map_structure(ops.convert_to_tensor, one)
            for one in (self.batch_x, self.batch_y)
        )
        return self.model.compute_loss(x=x, y=y, y_pred=outputs, sample_weight=None)

    @cached_property
    def gradients(self) -> list[tuple[Any, NDArray]]:
        """The trainable weights, and the gradient of the loss of the batch by each."""
        # What is overwritten is state of a layer, whose "gradient" is its next state.
        weights = [
            w
            for w in self.model.trainable_weights
            if "float" in str(w.dtype) and not getattr(w, "overwrite_with_gradient", False)
        ]
        self.loss(training=True)  # losses and metrics are built outside of the gradient
        return list(zip(weights, gradients(lambda: self._loss(True), weights), strict=True))

    @cached_property
    def without_gradient(self) -> list[Any]:
        """The trainable weights whose gradient is zero, at first and after a few steps, too.

        Weights that begin at zero may keep others waiting for the first step.
        """
        none = self._without_at_first
        if not none or self.rate is None:
            return none
        self.steps()
        later = zip(none, self._gradients_after_steps, strict=True)
        return [weight for weight, gradient in later if not gradient.any()]

    @cached_property
    def _without_at_first(self) -> list[Any]:
        return [weight for weight, gradient in self.gradients if not gradient.any()]

    @cached_property
    def has_losses(self) -> bool:
        """Whether there is a loss to compute for the batch."""
        return any(out.loss is not None and out.labels is not None for out in self.outputs)

    # -- trying -----------------------------------------------------------------------------------

    def steps(self, rate: float | None = None) -> Trial:
        """Trains on the batch for a few steps, and takes them back.

        Args:
            rate: A learning rate in place of the model's.

        Returns:
            The loss before each step and after the last one, which ends where it is no finite
            number, and the outputs after it.
        """
        if rate not in self._trials:
            self._trials[rate] = self._steps(rate)
        return self._trials[rate]

    def _steps(self, rate: float | None) -> Trial:
        losses: list[float] = []
        none = self._without_at_first if rate is None else []
        with self._taken_back(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of weights without a gradient
            if rate is not None:
                self._set_rate(rate)
            for _ in range(STEPS):
                self.model.reset_metrics()
                logs = self.model.train_on_batch(self.batch_x, self.batch_y, return_dict=True)
                losses.append(float(_to_numpy(logs["loss"])))
                if not np.isfinite(losses[-1]):
                    break
            else:
                losses.append(self._loss_now(training=True))
            after = self._predicted(training=False)
            if none:
                self._gradients_after_steps = gradients(lambda: self._loss(True), none)
        return losses, after

    def _set_rate(self, rate: float) -> None:
        optimizer = self.model.optimizer
        if self.has_schedule:  # which a number cannot replace
            optimizer._learning_rate = keras.optimizers.schedules.ExponentialDecay(rate, 1, 1.0)
        else:
            optimizer.learning_rate = rate

    @property
    def has_schedule(self) -> bool:
        """Whether the learning rate follows a schedule."""
        schedule = keras.optimizers.schedules.LearningRateSchedule
        return isinstance(getattr(self.model.optimizer, "_learning_rate", None), schedule)

    @property
    def rate(self) -> float | None:
        """The learning rate of the first step; `None` if there is no optimizer."""
        optimizer = getattr(self.model, "optimizer", None)
        if optimizer is None:
            return None
        return float(_to_numpy(ops.convert_to_tensor(optimizer.learning_rate)))

    @contextmanager
    def _taken_back(self) -> Iterator[None]:
        """Puts all variables of model and optimizer back at the end."""
        model, optimizer = self.model, self.model.optimizer
        function, eagerly = model.train_function, model.run_eagerly
        if keras.backend.backend() == "tensorflow":  # tracing takes longer than a few steps
            model.train_function, model.run_eagerly = None, True
        if not optimizer.built:
            optimizer.build(model.trainable_variables)
        schedule = optimizer._learning_rate
        variables = {id(v): v for v in [*model.variables, *optimizer.variables]}
        before = [(v, _to_numpy(v.value)) for v in variables.values()]
        try:
            yield
        finally:
            for variable, value in before:
                variable.assign(value)
            if optimizer._learning_rate is not schedule:
                optimizer._learning_rate = schedule
            model.train_function, model.run_eagerly = function, eagerly
            model.reset_metrics()


def _outputs(model: keras.Model, y: Any) -> list[Output]:
    if isinstance(model, MultiTaskModel):
        return [_of_task(name, task, y) for name, task in model.tasks.items()]
    tensors: Mapping[str, Any] = outputs_by_name(model) if is_graph(model) else {"output": None}
    settings = compile_settings(model, list(tensors))
    by_output = labels_by_output(y, list(tensors))
    labels = {name: to_numpy(by_output[name]) for name in tensors if name in by_output}
    found = []
    for name, tensor in tensors.items():
        given = settings.outputs[name]
        loss = given.loss
        fits_any_output = isinstance(loss, str) and loss.lower() in ("crossentropy", "ce")
        if loss is not None and (tensor is not None or not fits_any_output):
            loss = resolved_loss(name, loss, None, tensor)
        metrics = tuple(getattr(m, "name", str(m)) for m in given.metrics or ())
        found.append(Output(name, tensor, loss, labels.get(name), None, metrics))
    return found


def _of_task(name: str, task: Any, y: Any) -> Output:
    head = task.head
    labels = to_numpy(y[name]) if isinstance(y, Mapping) and name in y else None
    if isinstance(head, AdoptedHead):
        return Output(name, head.graph.outputs[0], task.loss or head.loss, labels, head)
    return Output(name, None, head.training_loss(task.loss), labels, head)


def _rows(structure: Any, rows: NDArray) -> Any:
    return keras.tree.map_structure(lambda array: array[rows], structure)


def _to_numpy(tensor: Any) -> NDArray:
    tensor = ops.convert_to_tensor(tensor)
    if keras.backend.standardize_dtype(tensor.dtype) == "bfloat16":
        tensor = ops.cast(tensor, "float32")
    return np.array(ops.convert_to_numpy(tensor))
