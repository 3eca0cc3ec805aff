"""A task, as data."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, fields
from typing import Any

import keras

from mtlkit._counts import is_real
from mtlkit.heads.head import Head
from mtlkit.layers.conditioning import CONDITIONINGS

#: The conditioning by the other task's feature map and prediction, rather than the latter alone.
DISTILLATION = "distillation"
#: Fields that need serialisation.
_OBJECTS = ("head", "conditioning", "loss", "metrics", "weighted_metrics")
#: Names that Keras gives to logs and metrics of its own; "val" would log "val_loss".
_RESERVED = ("loss", "val", "compile_metrics")
#: Beside a larger weight the losses of others vanish in float32.
_LARGEST_WEIGHT = 1e6
#: Class weights by which all classes count the same.
BALANCED = "balanced"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


@keras.saving.register_keras_serializable(package="mtlkit")
@dataclass(frozen=True, eq=False)
class Task:
    """What a model is to learn: a name, a head, and how both meet the backbone.

    Args:
        name: Name of the task: the key of its labels and predictions, and the beginning of
            its logs (`{name}_loss`, `{name}_accuracy`, ...).
        head: The `mtlkit.heads.Head` that computes the task's outputs.
        weight: Weight of the task's loss in the total, from 0 to 1e6.
        gradient: What the task's gradient does at the backbone: `"flow"`, `"stop"`, or a
            number that scales it (negative numbers reverse it). The head itself always
            gets the whole gradient.
        feature: Name of the backbone's feature map that the head reads, or several names for
            a head that reads a list of maps, such as a `mtlkit.heads.HierarchicalHead` with
            `loss="coarse_to_fine"`. `None`: the map that the head suits best
            (`head.default_feature`) if the backbone has it, else the last one.
        condition_on: Name of another task, whose prediction the head sees: probabilities of
            its classes, or its values. Never labels.
        conditioning: How the head sees it: `"film"`, `"concat"`, `"gate"`, `"experts"`,
            `"bilinear"` or `"distillation"`, or a layer (see `mtlkit.layers.conditioning`).
        condition_gradient: What this task's gradient does at the other task's prediction:
            `"stop"`, `"flow"`, or a number that scales it. With `"stop"` the other head
            trains as if nobody looked (and so does the backbone, with `gradient="stop"`).
        condition_from: `"model"`: the prediction of this model. `"data"`: one that the data
            hold, such as an out-of-fold prediction, as an additional input of the model by
            the name `{other task}_prediction`.
        loss: The loss, as in `keras.Model.compile`. `None`: the head's own.
        metrics: List of metrics, as in `keras.Model.compile`. `None`: the head's own. Samples count
            the same in them, whatever their `sample_weight`. Early stopping and searches follow the
            first of them, unless the head's primary metric is among them.
        weighted_metrics: List of metrics in which samples count by their `sample_weight`, as in
            `keras.Model.compile`; logged as `{name}_weighted_{metric}`. `None`: none.
        class_weight: Weights of classes in the training loss, beside those of samples: a dict such
            as `{0: 2.0}`, all others 1; or `"balanced"`, by which every class counts the same:
            `labelled / (classes * labelled of the class)`, from the labels of the first `fit`.
            Validation losses and metrics are without them, as in Keras.
        learning_rate_multiplier: What the optimizer's learning rate (and its weight decay) is
            multiplied by for the head, and for what shows it another task's prediction.

    Raises:
        ValueError: If an argument is not as described.

    Example:
        ```python
        import mtlkit as mtl

        task = mtl.Task("orientation", mtl.heads.OrientationHead(32), weight=2.0)
        ```
    """

    name: str
    head: Head
    _: KW_ONLY
    weight: float = 1.0
    gradient: str | float = "flow"
    feature: str | Sequence[str] | None = None
    condition_on: str | None = None
    conditioning: str | keras.layers.Layer = "film"
    condition_gradient: str | float = "stop"
    condition_from: str = "model"
    loss: Any = None
    metrics: list[Any] | None = None
    weighted_metrics: list[Any] | None = None
    class_weight: Mapping[int, float] | str | None = None
    learning_rate_multiplier: float = 1.0

    def __post_init__(self) -> None:
        # Keras joins task and metric names with "_", and puts "val_" before them.
        if (
            not isinstance(self.name, str)
            or not _NAME.fullmatch(self.name)
            or self.name.startswith("val_")
        ):
            raise ValueError(
                "Expected a task name of letters, digits, '_', '-' and '.', that begins with a "
                f"letter or digit and not with 'val_'. Received: name={self.name!r}"
            )
        if self.name in _RESERVED:
            raise ValueError(
                f"Expected a task name other than {list(_RESERVED)}, which Keras uses in its "
                f"logs; such as {'task_' + self.name!r}. Received: name={self.name!r}"
            )
        if not isinstance(self.head, Head):
            raise ValueError(
                f"Task {self.name!r}: expected head to be a mtlkit.heads.Head. "
                f"Received: head={self.head!r}"
            )
        if not _is_number(self.weight) or not 0 <= self.weight <= _LARGEST_WEIGHT:
            raise ValueError(
                f"Task {self.name!r}: expected a weight that is a number from 0 to "
                f"{_LARGEST_WEIGHT:g}; only its ratio to the weights of other tasks matters. "
                f"Received: weight={self.weight!r}"
            )
        check_multiplier(
            f"Task {self.name!r}: ", "learning_rate_multiplier", self.learning_rate_multiplier
        )
        for argument in ("gradient", "condition_gradient"):
            value = getattr(self, argument)
            if value not in ("flow", "stop") and not _is_number(value):
                raise ValueError(
                    f'Task {self.name!r}: expected {argument} to be "flow", "stop" or a number. '
                    f"Received: {argument}={value!r}"
                )
        self._check_feature()
        self._check_conditioning()
        self._check_class_weight()

    @property
    def own_layers(self) -> list[keras.layers.Layer]:
        """The layers that are this task's alone: its head, and its conditioning if that is one."""
        parts = [self.head, self.conditioning]
        return [part for part in parts if isinstance(part, keras.layers.Layer)]

    def _check_feature(self) -> None:
        if self.feature is None or isinstance(self.feature, str):
            return
        names = tuple(self.feature)
        if not names or not all(isinstance(name, str) for name in names):
            raise ValueError(
                f"Task {self.name!r}: expected feature to be the name of a map, or several names. "
                f"Received: feature={self.feature!r}"
            )
        if self.condition_on is not None and not isinstance(self.head.default_feature, tuple):
            raise ValueError(
                f"Task {self.name!r}: expected one feature map, since the task is conditioned on "
                f"{self.condition_on!r}. Received: feature={self.feature!r}"
            )
        object.__setattr__(self, "feature", names)

    def _check_conditioning(self) -> None:
        if self.condition_on == self.name:
            raise ValueError(
                f"Task {self.name!r}: expected to be conditioned on another task. "
                f"Received: condition_on={self.condition_on!r}"
            )
        known = (*CONDITIONINGS, DISTILLATION)
        if self.conditioning not in known and not isinstance(self.conditioning, keras.layers.Layer):
            raise ValueError(
                f"Task {self.name!r}: expected conditioning to be one of {list(known)}, or a "
                f"layer. Received: conditioning={self.conditioning!r}"
            )
        if self.condition_from not in ("model", "data"):
            raise ValueError(
                f'Task {self.name!r}: expected condition_from to be "model" or "data". '
                f"Received: condition_from={self.condition_from!r}"
            )

    def _check_class_weight(self) -> None:
        given = self.class_weight
        if given is None or (isinstance(given, str) and given == BALANCED):
            return
        weights: list[Any] = list(given.items()) if isinstance(given, Mapping) else [(None, None)]
        if not any(weight for _, weight in weights) or not all(
            str(label).isdecimal() and _is_number(weight) and weight >= 0
            for label, weight in weights
        ):
            raise ValueError(
                f'Task {self.name!r}: expected class_weight to be None, "balanced", or a dict from '
                "classes to weights >= 0, not all of them 0, such as {0: 2.0}. "
                f"Received: class_weight={given!r}"
            )
        # A configuration that was written as JSON has the classes as text.
        known = {int(label): float(weight) for label, weight in weights}
        object.__setattr__(self, "class_weight", known)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments, serialised."""
        config = {field.name: getattr(self, field.name) for field in fields(self)}
        config["weight"] = float(self.weight)
        config["learning_rate_multiplier"] = float(self.learning_rate_multiplier)
        for name in ("gradient", "condition_gradient"):
            if not isinstance(config[name], str):
                config[name] = float(config[name])
        for name in _OBJECTS:
            config[name] = keras.saving.serialize_keras_object(config[name])
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Task:
        """Builds a task from what `get_config` returned."""
        config = dict(config)
        for name in _OBJECTS:
            config[name] = keras.saving.deserialize_keras_object(config.get(name))
        return cls(**config)


def check_multiplier(whose: str, argument: str, value: Any) -> None:
    """Raises a ValueError unless a learning rate can be multiplied by a value."""
    if not _is_number(value) or value < 0:
        raise ValueError(
            f"{whose}{'e' if whose else 'E'}xpected {argument} to be a number of at least 0. "
            f"Received: {argument}={value!r}"
        )


def _is_number(value: Any) -> bool:
    return is_real(value) and math.isfinite(float(value))
