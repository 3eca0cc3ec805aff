"""The multi-task model: one backbone, many heads, plain Keras training."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from mtlkit.backbones._feature_maps import FeatureMaps
from mtlkit.heads.head import Head
from mtlkit.layers.gradient_gates import GradientScale
from mtlkit.losses.masked import MaskedLoss, labelled, unlabelled_loss
from mtlkit.metrics.masked import LabelledMean
from mtlkit.model._conditioning import with_layer, with_new_layer
from mtlkit.model._fit_arguments import by_name, check_evaluate_arguments, check_fit_arguments
from mtlkit.model._objective import task_objective
from mtlkit.model._seed_states import load_seed_states, save_seed_states
from mtlkit.model._wiring import check_logs, check_tasks, task_metrics, wire
from mtlkit.model.task import Task


@keras.saving.register_keras_serializable(package="mtlkit")
class MultiTaskModel(keras.Model):
    """A backbone and several tasks, wired into one Keras model.

    Labels and predictions are dicts by task. `fit`, `evaluate`, `predict`, `save` and
    `export` are Keras's own; losses and metrics come with the tasks, so `compile` needs
    the optimizer alone.

    The total loss is the sum over tasks of weight times loss. A task's loss is the mean
    over its labelled samples, `sum_{i in S} w_i l_i / |S|` with sample weights `w_i`;
    a label is missing where the batch has no key for the task, or it is NaN (floating
    point) or -1 (integers). With no labelled sample in a batch a task adds zero.

    Logs are `loss`, `{task}_loss` (unweighted) and `{task}_{metric}`, whatever the number
    of tasks. Metrics are means over labelled samples, without sample weights; they are NaN
    where no sample had a label.

    Args:
        backbone: A `mtlkit.backbones.ConvBackbone`, or any `keras.Model` or layer.
        tasks: The tasks.
        balancer: Reserved for loss and gradient balancing; `None`.
        input_shape: Shape of an input without the batch; needed only if the backbone is a
            layer that has not been built.
        name: Name of the model.
        **kwargs: Passed on to `keras.Model`.

    Input shape:
        That of the backbone.

    Output shape:
        `{task: outputs of its head}`.

    Raises:
        ValueError: If there are no tasks, two of the same name, or two whose logs would have
            the same name; if a feature is not one of the backbone's; if two tasks share a
            head; if the head does not fit the feature.

    Example:
        ```python
        import mtlkit as mtl

        model = mtl.MultiTaskModel(
            mtl.backbones.ConvBackbone(),
            [
                mtl.Task("identity", mtl.heads.ClassificationHead(10)),
                mtl.Task("orientation", mtl.heads.OrientationHead(32)),
                mtl.Task("intensity", mtl.heads.RegressionHead(), gradient="stop"),
            ],
        )
        model.compile("adam")
        ```
    """

    def __init__(
        self,
        backbone: Any,
        tasks: Sequence[Task],
        balancer: None = None,
        *,
        input_shape: tuple[int, ...] | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        tasks = [tasks] if isinstance(tasks, Task) else list(tasks)
        check_tasks(tasks)
        tasks = [with_layer(task) for task in tasks]
        if balancer is not None:
            raise ValueError(
                "Expected balancer=None; balancing is not part of this version. "
                f"Received: balancer={balancer!r}"
            )

        # === Functional model ===
        orbit = any(task.head.reads_orbit for task in tasks)
        maps = FeatureMaps(backbone, input_shape, orbit)
        outputs = wire(maps, tasks)
        super().__init__(inputs=maps.model_inputs, outputs=outputs, name=name, **kwargs)
        self.output_names = keras.tree.flatten({task.name: task.name for task in tasks})

        # === State ===
        self.backbone = backbone
        self.tasks = {task.name: task for task in tasks}
        self.task_weights = {
            task.name: self.add_weight(
                name=f"{task.name}_weight",
                shape=(),
                initializer=keras.initializers.Constant(task.weight),
                dtype="float32",
                trainable=False,
            )
            for task in tasks
        }
        self._losses_by_task = {
            task.name: MaskedLoss(task.head.default_loss() if task.loss is None else task.loss)
            for task in tasks
        }
        self._trackers_by_task = {
            task.name: LabelledMean(name=f"{task.name}_loss") for task in tasks
        }
        self._metrics_by_task = {
            task.name: task_metrics(task, outputs[task.name]) for task in tasks
        }
        check_logs(self._trackers_by_task, self._metrics_by_task)
        self._input_shape_given = input_shape
        self._backbone_inputs = maps.inputs
        self._compile_is_stale = False

    # === Training ===

    def compile(self, optimizer: Any = "adam", **kwargs: Any) -> None:
        """Configures training, as `keras.Model.compile`.

        Losses, their weights and metrics belong to the tasks and are not arguments here.

        Args:
            optimizer: A Keras optimizer, or the name of one.
            **kwargs: Passed on to `keras.Model.compile`: `steps_per_execution`,
                `jit_compile`, `run_eagerly`, `auto_scale_loss`.

        Raises:
            ValueError: If a loss, loss weights or metrics are given.
        """
        for argument in ("loss", "loss_weights", "metrics", "weighted_metrics"):
            if kwargs.pop(argument, None) is not None:
                raise ValueError(
                    f"Expected compile() without {argument}: give it to the task, as in "
                    'Task("name", head, weight=..., loss=..., metrics=[...]). '
                    f"Received: {argument}=..."
                )
        super().compile(optimizer=optimizer, **kwargs)
        self._compile_is_stale = False

    def compile_from_config(self, config: dict[str, Any]) -> None:
        # Keras skips this where compile() is overridden.
        self.compile(**keras.saving.deserialize_keras_object(config))
        self.optimizer.build(self.trainable_variables)

    def fit(self, x: Any = None, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Trains the model, as `keras.Model.fit`, after checking the data.

        The first call also adapts the backbone's input normalisation to the training
        images. Arrays are checked whole. Of data sets and generators the first batch is
        checked, and every batch that the normalisation adapts to: all, or the first 100
        (or `steps_per_epoch`) where the number of batches is not known.

        Args:
            x: Images, or a `tf.data.Dataset`, `keras.utils.PyDataset`, loader or generator
                of `(images, labels)` or `(images, labels, sample_weights)`.
            y: Labels by task. Tasks may be left out.
            *args: As in `keras.Model.fit`.
            **kwargs: As in `keras.Model.fit`. `sample_weight` may be one array for all
                tasks, or a dict with arrays for some.

        Returns:
            A `keras.callbacks.History`.

        Raises:
            ValueError: If the data do not fit the model: wrong shapes, NaN, labels out of
                range or for unknown tasks, no label at all. Also if the backbone was frozen
                or unfrozen after `compile`.
        """
        given = by_name(keras.Model.fit, x, y, *args, **kwargs)
        if self.compiled:
            if self._compile_is_stale:
                raise ValueError(
                    "Expected compile() to be called after freeze_backbone() or "
                    "unfreeze_backbone(), since it decides which weights are trained. "
                    "Received: a model compiled before that"
                )
            self._prepare(given)
        return super().fit(**given)

    def evaluate(self, x: Any = None, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Evaluates the model, as `keras.Model.evaluate`, after checking the data.

        Args:
            x: As in `fit`.
            y: As in `fit`.
            *args: As in `keras.Model.evaluate`.
            **kwargs: As in `keras.Model.evaluate`. With `return_dict=True` the scores come
                by name, otherwise in the order of `metrics_names`.

        Returns:
            The scores.

        Raises:
            ValueError: If the data do not fit the model.
        """
        # Inside fit() Keras comes here each epoch, with data that fit() has checked.
        if kwargs.get("_use_cached_eval_dataset"):
            return super().evaluate(x, y, *args, **kwargs)
        given = by_name(keras.Model.evaluate, x, y, *args, **kwargs)
        check_evaluate_arguments(given, self.tasks, self.input)
        return super().evaluate(**given)

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        unknown = [name for name in y if name not in self.tasks]
        if unknown:
            raise ValueError(
                f"Expected labels for the tasks of the model, {list(self.tasks)}. "
                f"Received: labels for {unknown}"
            )
        losses = [ops.sum(loss) for loss in self.losses]
        for name, loss in self._losses_by_task.items():
            labels = y.get(name)
            if labels is None:
                losses.append(unlabelled_loss(y_pred[name]))
                continue
            value = loss(labels, y_pred[name], _of_task(sample_weight, name))
            samples = ops.sum(ops.cast(labelled(labels), "float32"))
            self._trackers_by_task[name].update_state(value, sample_weight=samples)
            losses.append(ops.cast(self.task_weights[name], value.dtype) * value)
        return sum(losses[1:], losses[0])

    def compute_metrics(
        self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None
    ) -> dict[str, Any]:
        for name, metrics in self._metrics_by_task.items():
            if y.get(name) is not None:
                for metric in metrics:
                    metric.update_state(y[name], y_pred[name])
        return self.get_metrics_result()

    # === Tasks ===

    def predict_tasks(self, x: Any, **kwargs: Any) -> dict[str, dict[str, np.ndarray]]:
        """Predicts, and decodes what each head says.

        Args:
            x: As in `keras.Model.predict`.
            **kwargs: As in `keras.Model.predict`.

        Returns:
            The arrays of the head's `decode` by task, such as `"label"`, `"probability"`,
            `"value"` or `"degrees"`.
        """
        outputs = self.predict(x, **kwargs)
        return {name: task.head.decode(outputs[name]) for name, task in self.tasks.items()}

    def objective(self, task: str, metric: str | None = None, direction: str | None = None) -> Any:
        """Returns what a tuner should optimise for a task.

        Args:
            task: Name of the task.
            metric: Name of one of its metrics, or `"loss"`. `None`: the head's primary
                metric if the task has it, else the loss.
            direction: `"max"` or `"min"`; needed for a metric other than the primary one.

        Returns:
            A `keras_tuner.Objective` such as `Objective("val_orientation_accuracy", "max")`.

        Raises:
            ValueError: If the task or metric is not the model's, or its direction unknown.
        """
        found = self._task(task)
        metrics = [m.name.removeprefix(f"{task}_") for m in self._metrics_by_task[task]]
        return task_objective(found, metrics, metric, direction)

    def task_model(self, task: str) -> keras.Model:
        """Returns a model of one task alone, sharing this one's weights.

        Args:
            task: Name of the task.

        Returns:
            A `keras.Model` from the images to the outputs of the task's head.

        Raises:
            ValueError: If the model has no such task.
        """
        self._task(task)
        return keras.Model(self.input, self.output[task], name=f"{self.name}_{task}")

    def with_head(self, task: str, head: Head, **changes: Any) -> MultiTaskModel:
        """Returns a new model with another head for one task.

        The backbone and the other heads are the same objects, with their weights: training
        the new model trains them for this one too. The task keeps its weight, gradient and
        feature; its loss and metrics become the new head's own.

        Args:
            task: Name of the task.
            head: The new head.
            **changes: Other changes to the task, such as `feature="stage1"`.

        Returns:
            A model that is not compiled yet.

        Raises:
            ValueError: If the model has no such task, or the new task does not fit.

        Example:
            ```python
            import mtlkit as mtl

            heads = mtl.heads
            model = mtl.MultiTaskModel(
                mtl.backbones.ConvBackbone(),
                [mtl.Task("orientation", heads.OrientationHead(32, spatial="pool"))],
            )
            model = model.with_head("orientation", heads.OrientationHead(32))
            ```
        """
        if "name" in changes:
            raise ValueError(
                f"Task {task!r}: expected to keep its name. Received: name={changes['name']!r}"
            )
        changes = {"loss": None, "metrics": None, **changes}
        changed = dataclasses.replace(with_new_layer(self._task(task)), head=head, **changes)
        tasks = [changed if name == task else old for name, old in self.tasks.items()]
        model = type(self)(self.backbone, tasks, input_shape=self._input_shape_given)
        for name, old in self._gates.items():
            if name in model._gates and (name != task or "gradient" not in changes):
                model._gates[name].scale.assign(ops.convert_to_numpy(old.scale))
        for name, weight in self.task_weights.items():
            if name != task or "weight" not in changes:
                # A copy: JAX gives the memory of trained variables away.
                model.task_weights[name].assign(ops.convert_to_numpy(weight))
        return model

    def freeze_backbone(self) -> None:
        """Stops training the backbone. Call `compile` again before `fit`."""
        self._set_backbone_trainable(False)

    def unfreeze_backbone(self) -> None:
        """Trains the backbone again. Call `compile` again before `fit`."""
        self._set_backbone_trainable(True)

    # === Config ===

    def get_config(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "backbone": keras.saving.serialize_keras_object(self.backbone),
            "tasks": [keras.saving.serialize_keras_object(task) for task in self.tasks.values()],
            "input_shape": self._input_shape_given,
            "layers_trainable": [layer.trainable for layer in self._flatten_layers()],
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> MultiTaskModel:
        config = dict(config)
        with keras.saving.custom_object_scope(custom_objects or {}):
            config["backbone"] = keras.saving.deserialize_keras_object(config["backbone"])
            config["tasks"] = [keras.saving.deserialize_keras_object(t) for t in config["tasks"]]
        trainable = config.pop("layers_trainable", [])
        model = cls(**config)
        # In the order of the graph, outer layers first: a flag of theirs sets those within.
        for layer, flag in zip(model._flatten_layers(), trainable, strict=bool(trainable)):
            layer.trainable = flag
        return model

    def save_own_variables(self, store: Any) -> None:
        super().save_own_variables(store)
        save_seed_states(self, store)

    def load_own_variables(self, store: Any) -> None:
        super().load_own_variables(load_seed_states(self, store))

    # === Private ===

    @property
    def _gates(self) -> dict[str, GradientScale]:
        """The gradient gates with a scale, by task."""
        gates = {name: f"{name}_gradient" for name in self.tasks}
        found = {layer.name: layer for layer in self.layers if isinstance(layer, GradientScale)}
        return {name: found[gate] for name, gate in gates.items() if gate in found}

    def _task(self, name: str) -> Task:
        if name not in self.tasks:
            raise ValueError(f"Expected a task out of {list(self.tasks)}. Received: {name!r}")
        return self.tasks[name]

    def _set_backbone_trainable(self, trainable: bool) -> None:
        self.backbone.trainable = trainable
        self._compile_is_stale = self.compiled

    def _prepare(self, given: dict[str, Any]) -> None:
        """Checks the arguments of `fit` in place, and adapts the input normalisation."""
        adapts = not getattr(self.backbone, "adapted", True)
        inputs = check_fit_arguments(given, self.tasks, self.input, whole=adapts)
        if adapts:
            self.backbone.adapt(self._images(x) for x in inputs)
        else:
            for _ in inputs:  # checks them
                pass

    def _images(self, x: Any) -> Any:
        """The backbone's part of the inputs, which may be a dict by name."""
        return x[self._backbone_inputs.name] if self._names_images(x) else x

    def _with_images(self, x: Any, images: Any) -> Any:
        """The inputs with another part of the backbone."""
        return {**x, self._backbone_inputs.name: images} if self._names_images(x) else images

    def _names_images(self, x: Any) -> bool:
        """Whether the inputs are a dict by name, of which the backbone reads one."""
        return isinstance(x, Mapping) and not isinstance(self._backbone_inputs, Mapping)


def _of_task(sample_weight: Any, name: str) -> Any:
    return sample_weight.get(name) if isinstance(sample_weight, dict) else sample_weight
