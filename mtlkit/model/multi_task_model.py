"""The multi-task model: one backbone, many heads, plain Keras training."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from mtlkit._warnings import warn
from mtlkit.backbones._feature_maps import FeatureMaps
from mtlkit.backbones._trainable_flags import (
    set_trainable,
    set_trainable_flags,
    trainable_flags,
)
from mtlkit.heads.head import Head
from mtlkit.layers.gradient_gates import GradientScale
from mtlkit.losses._partial_labels import PartialLabels, StepLabels
from mtlkit.losses._replicas import num_replicas, own_share
from mtlkit.losses.masked import unlabelled_loss
from mtlkit.metrics.masked import LabelledMean
from mtlkit.model._adaptation import Learner, adapt, is_adapted
from mtlkit.model._adoption import adopt
from mtlkit.model._balancing import Balancing
from mtlkit.model._class_weights import ClassWeights
from mtlkit.model._compile_settings import carry_over_state
from mtlkit.model._conditioning import with_layer, with_new_layer
from mtlkit.model._export import export
from mtlkit.model._first_losses import FirstLosses
from mtlkit.model._fit_arguments import (
    by_name,
    check_evaluate_arguments,
    check_fit_arguments,
    check_predict_input,
    training_batches,
    weight_of,
)
from mtlkit.model._learning_rates import scale_learning_rates
from mtlkit.model._loss_balance import with_callbacks
from mtlkit.model._monitors import check_monitors, directions
from mtlkit.model._objective import task_objective
from mtlkit.model._own_losses import tasks_with_own, try_own_losses
from mtlkit.model._seed_states import load_seed_states, save_seed_states
from mtlkit.model._shared_weights import tasks_of_weights
from mtlkit.model._streams import is_stream, length
from mtlkit.model._wiring import Space, check_logs, check_tasks, task_metrics, wire
from mtlkit.model.task import Task, check_multiplier


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
    of tasks. Metrics are means over labelled samples, without sample weights unless the name
    says `{task}_weighted_{metric}`; they are NaN where no sample had a label.

    Args:
        backbone: A `mtlkit.backbones.ConvBackbone`, or any `keras.Model` or layer.
        tasks: The tasks.
        balancer: How losses or gradients of the tasks are balanced: a
            `mtlkit.balancing.LossWeighting`, a `mtlkit.balancing.Aggregator`, the name of one,
            such as `"uw"` or `"upgrad"`, or a pair of both. `None`: the sum of the losses.
        balancer_space: What an aggregator combines: gradients with respect to the `"features"` that
            tasks share, in the one backward pass; or to the `"parameters"` of the backbone that
            they share, with one more backward pass for each task.
        input_shape: Shape of an input without the batch; needed only if the backbone is a
            layer that has not been built.
        backbone_learning_rate_multiplier: What the optimizer's learning rate (and its weight
            decay) is multiplied by for the backbone, as `learning_rate_multiplier` of a
            `mtlkit.Task` does for its head.
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
        balancer: Any = None,
        *,
        balancer_space: Space = "features",
        input_shape: tuple[int, ...] | None = None,
        backbone_learning_rate_multiplier: float = 1.0,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        rate = backbone_learning_rate_multiplier
        check_multiplier("", "backbone_learning_rate_multiplier", rate)
        tasks = [tasks] if isinstance(tasks, Task) else list(tasks)
        check_tasks(tasks)
        tasks = [with_layer(task) for task in tasks]
        balancing = Balancing(balancer, balancer_space, tasks)

        # === Functional model ===
        orbit = any(task.head.reads_orbit for task in tasks)
        orbit = orbit and not getattr(backbone, "gives_orbit", False)  # as cached features do
        maps = FeatureMaps(backbone, input_shape, orbit)
        wired = wire(maps, tasks, balancing.aggregator, balancer_space)
        if balancing.aggregator is not None and not wired.fan_outs and len(wired.gates) < 2:
            warn(
                "There is no feature that two tasks train: "
                f"{balancing.aggregator} has nothing to combine. "
                f"The tasks are {[(task.name, task.gradient) for task in tasks]}"
            )
        super().__init__(inputs=maps.model_inputs, outputs=wired.outputs, name=name, **kwargs)
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
        self._balancing = balancing
        balancing.build(wired, self._shared_variables, self.add_weight)
        if balancing.parameters is not None:
            self._shared_variables()  # reads the graph now, not within a step
        self._reads = tuple(wired.reads)
        self._class_weights = {
            task.name: self._add_class_weights(task) for task in tasks if task.class_weight
        }
        self._losses_by_task = {task.name: task.head.training_loss(task.loss) for task in tasks}
        self._trackers_by_task = {
            task.name: LabelledMean(name=f"{task.name}_loss") for task in tasks
        }
        self._metrics_by_task = {
            task.name: task_metrics(
                task, wired.outputs[task.name], self._trackers_by_task[task.name]
            )
            for task in tasks
        }
        check_logs(self._trackers_by_task, self._metrics_by_task)
        self._input_shape_given = input_shape
        self.backbone_learning_rate_multiplier = float(rate)
        self._backbone_inputs = maps.inputs
        self._compiled_for: list[int] = []
        self._skips_a_shuffle = False
        self._losses_compared = False
        self._step_labels = StepLabels()

    @classmethod
    def from_keras(
        cls,
        model: keras.Model,
        tasks: Mapping[str, Mapping[str, Any]] | None = None,
        balancer: Any = None,
        balancer_space: Space = "features",
    ) -> MultiTaskModel:
        """Makes a multi-task model of a Keras model: of the same layers, with the same weights.

        The backbone is what at least two outputs depend on; each remainder becomes the
        `mtlkit.heads.AdoptedHead` of a task. A single output is split at its last map, or
        before its last layer with weights. A layer that would be called on both sides, or
        for two outputs, belongs to the backbone with all that it reads. Operations such as
        `keras.ops.stop_gradient` stay where they are.

        Tasks are named as the outputs: by key of a dict, else by the layer. Their losses,
        weights and metrics are those of `compile`; an output without a loss has weight 0.
        The loss shows the kind of label, and where there is none the activation of the last
        layer: softmax, sigmoid, or one linear unit, which is a regression. If the model is
        compiled, the new one is, with an optimizer of the same settings and state. The model
        itself stays as it is; training one trains the weights of both.

        Args:
            model: A functional or sequential `keras.Model`, compiled or not.
            tasks: What is to be otherwise, by output: `{"pose": {"kind": "one_hot"}}`, of
                `"kind"` (see `mtlkit.heads.AdoptedHead`), `"loss"`, `"metrics"`, `"weight"`,
                `"gradient"`, `"feature"`, `"head"` (a head in place of the output's layers)
                and `"name"`.
            balancer: As in the constructor, as is `balancer_space`.
            balancer_space: As in the constructor.

        Returns:
            The multi-task model.

        Raises:
            ValueError: If the model has no graph of layers, or methods of its own that would
                be lost; if it is not known what an output predicts; or if `tasks` does not
                fit. The message has the line that helps.

        Example:
            ```python
            import keras

            import mtlkit as mtl

            image = keras.Input((32, 32, 1))
            x = keras.layers.Conv2D(16, 3, activation="relu", name="conv")(image)
            x = keras.layers.GlobalAveragePooling2D()(x)
            outputs = {
                "identity": keras.layers.Dense(10, activation="softmax")(x),
                "intensity": keras.layers.Dense(1)(keras.ops.stop_gradient(x)),
                "pose": keras.layers.Dense(32)(x),
            }
            plain = keras.Model(image, outputs)
            model = mtl.MultiTaskModel.from_keras(plain, {"pose": {"kind": "classification"}})
            model = model.with_head("pose", mtl.heads.OrientationHead(32), feature="conv")
            ```
        """
        adoption = adopt(model, tasks)
        policy = keras.config.dtype_policy()
        keras.config.set_dtype_policy(model.dtype_policy)
        try:
            adopted = cls(
                adoption.backbone,
                adoption.tasks,
                balancer,
                balancer_space=balancer_space,
                name=model.name,
            )
        finally:
            keras.config.set_dtype_policy(policy)
        settings = adoption.settings
        if settings.optimizer is not None:
            adopted.compile(settings.optimizer, **settings.options)
            adopted._skips_a_shuffle = not model.optimizer.built
            if model.optimizer.built:
                carry_over_state(model.optimizer, adopted.optimizer, adopted.trainable_variables)
        return adopted

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
        self._balancing.check_compiled(self.optimizer, self.run_eagerly)
        scale_learning_rates(self.optimizer, self._learning_rate_multipliers())
        self._compiled_for = self._trained_variables()

    def compile_from_config(self, config: dict[str, Any]) -> None:
        # Keras skips this where compile() is overridden.
        self.compile(**keras.saving.deserialize_keras_object(config))
        self.optimizer.build(self.trainable_variables)

    def _symbolic_build(self, iterator: Any = None, data_batch: Any = None) -> None:
        # In its first fit a compiled Keras model takes a batch to build its losses, and shuffles
        # anew. An adopted model does so too, and sees the samples in the same order.
        if self._skips_a_shuffle and iterator is not None:
            self._skips_a_shuffle = False
            _, _, batches = next(iter(iterator))
            next(iter(batches))
        super()._symbolic_build(iterator=iterator, data_batch=data_batch)

    def make_train_function(self, force: bool = False) -> Any:
        # Else TensorFlow traces the first step twice, once to make the optimizer's variables.
        if self.compiled and not self.optimizer.built:
            self.optimizer.build(self.trainable_variables)
        return super().make_train_function(force)

    def fit(self, x: Any = None, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Trains the model, as `keras.Model.fit`, after checking the data.

        The first call also adapts the backbone's input normalisation to the training
        inputs, and heads to their labels: a `RegressionHead` takes its mean and scale. Arrays
        are checked whole. Of data sets and generators the first batch is checked, and every
        batch that is adapted to: all, or the first 100 (or `steps_per_epoch`) where the number
        of batches is not known. Where a task's weighted loss is a thousand times another's in
        the first batches, a warning says so, once.

        Args:
            x: Inputs, or a `tf.data.Dataset`, `keras.utils.PyDataset`, loader or generator
                of `(inputs, labels)` or `(inputs, labels, sample_weights)`.
            y: Labels by task. Tasks may be left out.
            *args: As in `keras.Model.fit`.
            **kwargs: As in `keras.Model.fit`. `sample_weight` may be one array for all
                tasks, or a dict with arrays for some.

        Returns:
            A `keras.callbacks.History`.

        Raises:
            ValueError: If the data do not fit the model: wrong shapes, NaN, labels out of
                range or for unknown tasks, no label at all. Also if the backbone was frozen
                or unfrozen, or any other layer, after `compile`, if a callback does not say which
                way a log of a task improves, or `class_weight` is given.
        """
        given = by_name(keras.Model.fit, x, y, *args, **kwargs)
        if self.compiled:
            if self._compiled_for != self._trained_variables():
                raise ValueError(
                    "Expected compile() to be called after freeze_backbone(), "
                    "unfreeze_backbone() and whatever else sets layers to be trained or not, "
                    "since it decides which weights are trained. Received: a model compiled "
                    "before that. Call model.compile(...) again"
                )
            given = self._prepared(given)
        self._skips_a_shuffle &= not is_stream(given.get("x"))
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
        self._skips_a_shuffle = False
        return super().evaluate(**check_evaluate_arguments(given, self.tasks, self.input))

    def predict(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        """Predicts, as `keras.Model.predict`, after checking inputs that are arrays.

        Args:
            x: Inputs, or a stream of batches, which is not checked.
            *args: As in `keras.Model.predict`.
            **kwargs: As in `keras.Model.predict`.

        Returns:
            The outputs by task.

        Raises:
            ValueError: If the inputs have another shape than the model's, or hold NaN or
                infinite values, of which a prediction would look like any other.
        """
        return super().predict(check_predict_input(x, self.input), *args, **kwargs)

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
        losses = [own_share(ops.sum(loss)) for loss in self.losses]
        losses += [unlabelled_loss(y_pred[name]) for name in self.tasks if y.get(name) is None]
        weighted = self.losses_of_tasks(y, y_pred, sample_weight, training)
        if weighted and training and self.balancer is not None:
            losses.append(own_share(self._balancing.total(weighted)))
        else:
            losses += [own_share(value) for value, _ in weighted.values()]
        return sum(losses[1:], losses[0])

    def losses_of_tasks(
        self, y: Any, y_pred: Any, sample_weight: Any = None, training: bool = True
    ) -> dict[str, tuple[Any, Any]]:
        """Computes, within a step, what each task adds to the total loss.

        Args:
            y: Labels by task, tensors.
            y_pred: Outputs by task, tensors.
            sample_weight: Weights of the samples, for all tasks or by task.
            training: Whether classes are weighted, too.

        Returns:
            By task the loss of the whole batch times the task's weight, and the number of samples
            with a label; nothing of tasks without labels in `y`.
        """
        # With several replicas each loss is this one's share.
        replicas = num_replicas()
        found = {}
        for name, loss in self._losses_by_task.items():
            if y.get(name) is None:
                continue
            labels = self._step_labels.look(name, y[name], loss.by_entry)
            value = self._loss_of(name, labels, y_pred[name], sample_weight, training)
            whole = value if replicas == 1 else value * replicas
            self._trackers_by_task[name].add(whole, labels.samples)
            found[name] = ops.cast(self.task_weights[name], value.dtype) * whole, labels.samples
        return found

    def compute_loss_and_updates(self, *args: Any, **kwargs: Any) -> Any:
        # Keras calls this on JAX alone, where a step that is computed keeps no graph.
        given = by_name(keras.Model.compute_loss_and_updates, *args, **kwargs)
        try:
            self._balancing.look_ahead(self, given)
            return super().compute_loss_and_updates(**given)
        finally:
            self._balancing.forget_step()

    def compute_metrics(
        self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None
    ) -> dict[str, Any]:
        for name, metrics in self._metrics_by_task.items():
            if metrics and y.get(name) is not None:
                loss = self._losses_by_task[name]
                labels = self._step_labels.take(name, y[name], loss.by_entry)
                weight = weight_of(sample_weight, name)
                for metric in metrics:
                    own = weight if metric.weighted else None
                    metric.update_labelled(labels, y_pred[name], own)
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

        Raises:
            ValueError: As `predict`.
        """
        outputs = self.predict(x, **kwargs)
        return {name: task.head.decode(outputs[name]) for name, task in self.tasks.items()}

    @property
    def balancer(self) -> Any:
        """The loss weighting, the aggregator, a list of both, or `None`."""
        return self._balancing.balancer

    @property
    def balancer_space(self) -> Space:
        """Where gradients are aggregated: `"features"` or `"parameters"`."""
        return self._balancing.space

    def objective(self, task: str, metric: str | None = None, direction: str | None = None) -> Any:
        """Returns what a tuner should optimise for a task.

        Args:
            task: Name of the task.
            metric: Name of one of its metrics, or `"loss"`. `None`: the head's primary metric if
                the task has it, else the first of its metrics of which is known which way it
                improves, else the loss.
            direction: `"max"` or `"min"`; needed for a metric of which that is not known.

        Returns:
            A `keras_tuner.Objective` such as `Objective("val_orientation_accuracy", "max")`.

        Raises:
            ValueError: If the task or metric is not the model's, or its direction unknown.
        """
        found = self._task(task)
        ways = directions({task: found}, self._metrics_by_task)
        own = [m.name for m in self._metrics_by_task[task]]
        metrics = {name.removeprefix(f"{task}_"): ways[name] for name in own}
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

    def save(self, filepath: Any, *args: Any, **kwargs: Any) -> None:
        """Saves the model with its weights and optimizer, as `keras.Model.save` does.

        Args:
            filepath: Path of a file `.keras`.
            *args: As in `keras.Model.save`.
            **kwargs: As in `keras.Model.save`.

        Raises:
            ValueError: If the path is one of HDF5, from which the model could not be loaded.
        """
        if str(filepath).endswith((".h5", ".hdf5")):
            raise ValueError(
                "Expected the path of a file .keras: HDF5 does not keep how tasks are connected. "
                f"Received: filepath={str(filepath)!r}. Save it so: "
                f"model.save({str(Path(filepath).with_suffix('.keras'))!r})"
            )
        super().save(filepath, *args, **kwargs)

    def export(
        self,
        filepath: str | Path,
        format: str = "tf_saved_model",
        *,
        decode: bool = False,
        verbose: bool | None = None,
        input_signature: Any = None,
        **kwargs: Any,
    ) -> None:
        """Writes the model for a runtime that needs neither Keras nor mtlkit.

        Outputs are named after the tasks, or `{task}_{name}` if they are decoded, and come in the
        order of the tasks where the format has an order. Batches may have any size, but for
        LiteRT on PyTorch.

        Args:
            filepath: Path of a folder, of a file `.onnx`, or of a file `.tflite`.
            format: `"tf_saved_model"` (on TensorFlow and JAX), `"onnx"` (on TensorFlow and
                PyTorch) or `"litert"` (on TensorFlow, and most models on PyTorch). `"torch"` and
                `"openvino"` are handed on to Keras, with the outputs in a list.
            decode: Whether the outputs are what `predict_tasks` gives, such as `pose_label` and
                `pose_degrees`, instead of what heads compute. Labels are int32.
            verbose: As in `keras.Model.export`.
            input_signature: As in `keras.Model.export`. `None`: the model's inputs.
            **kwargs: As in `keras.Model.export`.

        Raises:
            ValueError: If the path does not end as the format needs it, the backend does not
                write the format, or a head's decoding cannot be part of a graph.
            ImportError: If a package is missing. `pip install "mtlkit[export]"` brings all.

        Example:
            ```python
            import keras

            import mtlkit as mtl

            model = mtl.MultiTaskModel(
                mtl.backbones.ConvBackbone((8, 8, 1), filters=(4,)),
                [mtl.Task("kind", mtl.heads.ClassificationHead(3))],
            )
            if keras.backend.backend() != "torch":
                model.export("exported", decode=True)  # outputs kind_label and kind_probability
            ```
        """
        self._balancing.forget_step()
        options = {"verbose": verbose, "input_signature": input_signature, **kwargs}
        export(self, filepath, format, decode, options)

    def tasks_of_weights(self) -> dict[str, tuple[str, ...]]:
        """Says of each weight which tasks depend on it, read from the graph.

        Returns:
            The names of the tasks by path of the weight. A weight of several tasks is shared.
        """
        return {weight.path: tasks for weight, tasks in self._weight_tasks}

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
        changes = {"loss": None, "metrics": None, "weighted_metrics": None, **changes}
        changed = dataclasses.replace(with_new_layer(self._task(task)), head=head, **changes)
        tasks = [changed if name == task else old for name, old in self.tasks.items()]
        model = type(self)(
            self.backbone,
            tasks,
            self.balancer,
            balancer_space=self.balancer_space,
            input_shape=self._input_shape_given,
            backbone_learning_rate_multiplier=self.backbone_learning_rate_multiplier,
        )
        self._balancing.copy_to(model._balancing, task)
        for name, old in self._gates.items():
            if name in model._gates and (name != task or "gradient" not in changes):
                model._gates[name].scale.assign(ops.convert_to_numpy(old.scale))
        for name, weights in self._class_weights.items():
            if name != task:
                weights.copy_to(model._class_weights[name])
        for name, weight in self.task_weights.items():
            if name != task or "weight" not in changes:
                # A copy: JAX gives the memory of trained variables away.
                model.task_weights[name].assign(ops.convert_to_numpy(weight))
        return model

    def freeze_backbone(self) -> None:
        """Stops training the backbone. Call `compile` again before `fit`."""
        set_trainable(self.backbone, False)

    def unfreeze_backbone(self, from_map: str | None = None) -> None:
        """Trains the backbone again, or a part of it. Call `compile` again before `fit`.

        Args:
            from_map: Name of a map of a `mtlkit.backbones.KerasBackbone`: what computes it, and
                all behind, is trained, and the rest frozen, see its `fine_tune`. `None`: all.

        Raises:
            ValueError: If the backbone cannot be trained in parts, or has no such map.
        """
        if from_map is None:
            set_trainable(self.backbone, True)
            return
        if not hasattr(self.backbone, "fine_tune"):
            raise ValueError(
                "Expected from_map=None, since the backbone cannot be trained in parts; wrap a "
                "Keras model as mtlkit.backbones.KerasBackbone(model). Received: "
                f"from_map={from_map!r}, with a {type(self.backbone).__name__}"
            )
        self.backbone.fine_tune(from_map)

    # === Config ===

    def get_config(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "backbone": keras.saving.serialize_keras_object(self.backbone),
            "tasks": [keras.saving.serialize_keras_object(task) for task in self.tasks.values()],
            "balancer": keras.saving.serialize_keras_object(self.balancer),
            "balancer_space": self.balancer_space,
            "input_shape": self._input_shape_given,
            "backbone_learning_rate_multiplier": self.backbone_learning_rate_multiplier,
            "layers_trainable": trainable_flags(self),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> MultiTaskModel:
        config = dict(config)
        with keras.saving.custom_object_scope(custom_objects or {}):
            config["backbone"] = keras.saving.deserialize_keras_object(config["backbone"])
            config["tasks"] = [keras.saving.deserialize_keras_object(t) for t in config["tasks"]]
            config["balancer"] = keras.saving.deserialize_keras_object(config.get("balancer"))
        trainable = config.pop("layers_trainable", [])
        model = cls(**config)
        set_trainable_flags(model, trainable)
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

    def _learning_rate_multipliers(self) -> dict[int, float]:
        """What the learning rate is multiplied by, for each variable that is trained."""
        rate = self.backbone_learning_rate_multiplier
        found = {id(variable): rate for variable in self.trainable_variables}
        found.update({id(variable): 1.0 for variable in self._balancing.learned})
        for task in self.tasks.values():
            for variable in (v for layer in task.own_layers for v in layer.trainable_variables):
                found[id(variable)] = float(task.learning_rate_multiplier)
        return found

    def _loss_of(
        self, name: str, labels: PartialLabels, y_pred: Any, sample_weight: Any, training: bool
    ) -> Any:
        """The loss of a task, without the task's weight."""
        weight = weight_of(sample_weight, name)
        if training and name in self._class_weights:
            weight = self._class_weights[name].times(labels.values, weight)
        return self._losses_by_task[name].of_labels(labels, y_pred, weight)

    def _shared_variables(self) -> list[Any]:
        """The parameters of the backbone that are trained and that several tasks depend on."""
        own = {id(variable) for variable in self.backbone.trainable_variables}
        shared = [weight for weight, tasks in self._weight_tasks if len(tasks) > 1]
        return [weight for weight in shared if id(weight) in own]

    @cached_property
    def _weight_tasks(self) -> list[tuple[Any, tuple[str, ...]]]:
        """Each weight with the tasks that depend on it; read once, as reading adds to a graph."""
        return tasks_of_weights(self.input, self.output)

    def _trained_variables(self) -> list[int]:
        """What distinguishes the variables that are trained."""
        return [id(variable) for variable in self.trainable_variables]

    def _run_through_graph(self, inputs: Any, **kwargs: Any) -> Any:
        # keras.models.clone_model has no other hook. Its clone would have lost the tasks.
        caller = getattr(kwargs.get("operation_fn"), "__module__", "")
        if caller.endswith("models.cloning"):
            raise ValueError(
                "Expected a MultiTaskModel to be copied by copy.deepcopy(model), with its "
                "weights, or by mtl.MultiTaskModel.from_config(model.get_config()), with new "
                "ones. Received: keras.models.clone_model, which would leave the tasks out"
            )
        return super()._run_through_graph(inputs, **kwargs)

    def _prepared(self, given: dict[str, Any]) -> dict[str, Any]:
        """The arguments of `fit`, checked; adapts what is not adapted yet."""
        known = directions(self.tasks, self._metrics_by_task)
        check_monitors(given.get("callbacks"), known, given)
        arguments = check_fit_arguments(given, self.tasks, self.input)
        learners = self._not_adapted()
        changed, checks = tasks_with_own(self.tasks), hasattr(self.backbone, "check_inputs")
        if changed or checks:
            arguments, batches = training_batches(arguments, self.tasks, self.input, 1)
            first = next(batches)
        if checks:
            self.backbone.check_inputs(self._images(first.x))
        if learners or not is_adapted(self.backbone):
            epoch = arguments.get("steps_per_epoch")
            arguments, batches = training_batches(arguments, self.tasks, self.input, epoch)
            adapt(self.backbone, learners, batches, self._images)
            heads = [name for name in learners if not self.tasks[name].head.adapted]
            if heads and is_stream(arguments["x"]) and length(arguments["x"]) is None:
                warn(
                    f"Task {heads[0]!r}: no label among the batches that were looked at, so its "
                    "labels are taken as they are. Before fit, give the head some: "
                    f"model.tasks[{heads[0]!r}].head.adapt(labels)"
                )
        if changed:
            size = arguments.get("batch_size") or 32
            losses, metrics = self._losses_by_task, self._metrics_by_task
            try_own_losses(changed, losses, metrics, first.y, self.output, size)
        callbacks = arguments.get("callbacks")
        if not self._losses_compared and not isinstance(callbacks, keras.callbacks.CallbackList):
            own = [FirstLosses()] if len(self.tasks) > 1 else []
            arguments["callbacks"] = callbacks = [*keras.tree.flatten(callbacks or []), *own]
            self._losses_compared = True
        if self._balancing.callbacks:
            arguments["callbacks"] = with_callbacks(callbacks, self._balancing.callbacks)
        return arguments

    def _add_class_weights(self, task: Task) -> ClassWeights:
        """Adds the weights of a task's classes to the model's."""
        first = ClassWeights.first(task)
        variable = self.add_weight(
            name=f"{task.name}_class_weights",
            shape=first.shape,
            initializer=keras.initializers.Zeros(),
            dtype="float32",
            trainable=False,
        )
        variable.assign(first)
        return ClassWeights(task, variable)

    def _not_adapted(self) -> dict[str, list[Learner]]:
        """What is still to take something from training labels, by task."""
        found: dict[str, list[Learner]] = {}
        for name, task in self.tasks.items():
            learners: list[Learner] = [task.head]
            learners += [self._class_weights[name]] if name in self._class_weights else []
            own = [one for one in learners if not one.adapted]
            if own:
                found[name] = own
        return found

    def _images(self, x: Any) -> Any:
        """The backbone's part of the inputs, which may be a dict by name."""
        return x[self._backbone_inputs.name] if self._names_images(x) else x

    def _with_images(self, x: Any, images: Any) -> Any:
        """The inputs with another part of the backbone."""
        return {**x, self._backbone_inputs.name: images} if self._names_images(x) else images

    def _names_images(self, x: Any) -> bool:
        """Whether the inputs are a dict by name, of which the backbone reads one."""
        return isinstance(x, Mapping) and not isinstance(self._backbone_inputs, Mapping)
