"""What a search tries for one task: its head, where that reads, and how it is trained."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import keras
import numpy as np
from keras import ops

from mtlkit.backbones._feature_maps import FeatureMaps
from mtlkit.heads.head import Head
from mtlkit.model import MultiTaskModel
from mtlkit.model._conditioning import with_new_layer
from mtlkit.model._wiring import default_names
from mtlkit.model.task import Task
from mtlkit.search._candidates import Candidate, candidates_for, num_classes
from mtlkit.search._portfolio import ON_VECTORS, PORTFOLIO, Row
from mtlkit.space import Choice, Fixed, Float, When, override, settled
from mtlkit.space._values import text_of, without_addresses
from mtlkit.space.parts import same
from mtlkit.space.points import holds, value_of

#: The feature that a head takes by itself.
AUTO = "auto"
#: The conditioning that the task has now, where that is a layer.
GIVEN = "given"
#: The conditionings that are tried.
_CONDITIONINGS = ("film", "gate", "experts")
#: The rate where a search begins.
LEARNING_RATE = 2e-3
#: Models of more layers than this are not tapped everywhere unless asked for.
_FEW_MAPS = 8


class HeadSpace:
    """The joint space of heads and settings for one task of a model, and its points as models.

    A point has `"family"`, the name of a candidate; `"{family}.{argument}"` for each argument
    of its head; and `"feature"`, `"gradient"`, `"weight"`, `"condition_on"`, `"conditioning"`
    (as in `mtlkit.Task`) and `"learning_rate"`. The other tasks stay as they are.

    Args:
        backbone: The backbone, as for `mtlkit.MultiTaskModel`. Every model gets a copy, with
            the weights that it has now.
        tasks: The tasks; their heads are copied, with new weights.
        target: Name of the task whose head is searched.
        candidates: As in `mtlkit.search.search_heads`.
        settings: For `"feature"`, `"gradient"`, ... a value, which fixes it, or a part of a
            space. What is left out has a default range.
        input_shape: As for `mtlkit.MultiTaskModel`.
        seed: Seed of the models' weights and of what is drawn in training.

    Attributes:
        space: The joint space, by argument name.
        candidates: The candidates by name.
        backbone_weights: The weights with which every copy of the backbone begins.

    Raises:
        ValueError: If there is no such task, or a candidate or setting does not fit.

    Example:
        ```python
        import numpy as np

        import mtlkit as mtl
        from mtlkit.search._head_space import HeadSpace

        backbone = mtl.backbones.ConvBackbone((8, 8, 1), filters=(4, 8))
        head = mtl.heads.OrientationHead(8, spatial="pool")
        space = HeadSpace(backbone, [mtl.Task("orientation", head)], "orientation")
        point = mtl.space.sample(space.space, np.random.default_rng(0))
        model = space.build(point)
        ```
    """

    def __init__(
        self,
        backbone: Any,
        tasks: Sequence[Task],
        target: str,
        candidates: Sequence[Any] | None = None,
        settings: Mapping[str, Any] | None = None,
        *,
        input_shape: tuple[int, ...] | None = None,
        seed: int = 0,
    ) -> None:
        by_name = {task.name: task for task in tasks}
        if target not in by_name:
            raise ValueError(f"Expected target to be one of {list(by_name)}. Received: {target!r}")
        self.target = target
        self.seed = seed
        self.input_shape = input_shape
        self.dtype_policy = keras.config.dtype_policy().name
        self._tasks = [keras.saving.serialize_keras_object(task) for task in tasks]
        self._task = by_name[target]
        self._backbone = keras.saving.serialize_keras_object(backbone)
        maps = FeatureMaps(backbone, input_shape)  # which builds it
        self._only_vectors = maps.only_vectors
        found = candidates_for(self._task.head, candidates, self._only_vectors)
        self.candidates = {candidate.name: candidate for candidate in found}
        self._maps, self._maps_by_task = maps.names, maps.by_task
        self._pyramid = maps.pyramid
        self.backbone_weights = [ops.convert_to_numpy(w) for w in backbone.weights]
        self.space = self._joint(maps, dict(settings or {}))

    def initial_points(self) -> list[dict[str, Any]]:
        """Returns the points to try first.

        They are those of the portfolio (see `mtlkit.search._portfolio`), then each candidate's
        defaults, then its designs: the values of the argument that stands first in its space.

        Returns:
            Points of the space, all different.
        """
        rows, other = PORTFOLIO.get(type(self._task.head), ()), self._finest_other()
        found = [point for row in rows for point in self._points_of(row, other)]
        families = [(name, self._default_point(one)) for name, one in self._families()]
        for name, candidate in self._families():
            first, *_ = [*candidate.space, None]
            part = candidate.space.get(first)
            if isinstance(part, Choice):
                families += [
                    (name, self._default_point(candidate, {first: v})) for v in part.values
                ]
        found += [self._with_settings(name, arguments) for name, arguments in families]
        return list({_key(point): point for point in found}.values())

    def _default_point(
        self, candidate: Candidate, wanted: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """The arguments that a candidate begins with, and those that are wanted."""
        wide = ON_VECTORS.get(candidate.head, {}) if self._only_vectors else {}
        return candidate.default_point({**wide, **(wanted or {})})

    def _points_of(self, row: Row, other: str | None) -> list[dict[str, Any]]:
        """The points of a row of the portfolio, one for each candidate that has room for it."""
        found = []
        for name, candidate in self._families():
            if candidate.head is not row.head:
                continue
            point = self._default_point(candidate, row.arguments)
            if all(point.get(name) == value for name, value in row.arguments.items()):
                sees = row.conditioning is not None and other is not None
                seen = {"condition_on": other, "conditioning": row.conditioning} if sees else {}
                found.append(self._with_settings(name, point, seen))
        return found

    def _finest_other(self) -> str | None:
        """The task with the most classes that the target may be conditioned on."""
        others = value_of(self.space["condition_on"]).grid(2)
        tasks = [keras.saving.deserialize_keras_object(config) for config in self._tasks]
        classes = {task.name: num_classes(task.head) for task in tasks if task.name in others}
        finest = max(classes, key=lambda name: classes[name], default=None)
        return finest if finest is not None and classes[finest] else None

    def head_arguments(self, point: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the arguments of the head of a point."""
        prefix = f"{point['family']}."
        return {k.removeprefix(prefix): v for k, v in point.items() if k.startswith(prefix)}

    @property
    def given_task(self) -> Task:
        """The target's task as it was given."""
        return self._task

    def as_judged(self, labels: np.ndarray) -> np.ndarray:
        """Returns labels of the target as its accuracy judges them: degrees as bins, -1 for NaN."""
        head = self._task.head
        if getattr(head, "labels", "bins") != "degrees":
            return labels
        known = np.isfinite(labels)
        bins = np.round(np.where(known, labels, 0.0) * head.num_bins / head.period)
        return np.where(known, bins.astype("int64") % head.num_bins, -1)

    def arguments(self, point: Mapping[str, Any]) -> dict[str, Any]:
        """Returns all arguments of the head of a point, those that the candidate fixes too."""
        return self.candidates[point["family"]].all_arguments(self.head_arguments(point))

    def plain(self, point: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the first one of all points that are the same model.

        Several names of the feature may mean the same map: a head that suits the input best
        reads it with `"auto"` and with `"input"`.

        Args:
            point: A point of the space.

        Returns:
            The point, maybe with another name of the same feature.
        """
        names = value_of(self.space["feature"]).grid(2)
        if same(point["feature"], names[0]):
            return dict(point)
        try:
            head = self.candidates[point["family"]].build(self.head_arguments(point))
        except ValueError:  # no model, which is found out elsewhere
            return dict(point)
        used = self._map(point["feature"], head)
        return {**point, "feature": next(n for n in names if self._map(n, head) == used)}

    def task(self, point: Mapping[str, Any]) -> Task:
        """Returns the task of a point, with a new head.

        Args:
            point: A point of the space.

        Returns:
            The task.

        Raises:
            ValueError: If the head refuses its arguments.
        """
        head = self.candidates[point["family"]].build(self.head_arguments(point))
        head.name = self.target  # not a number of Keras's, other in each process
        conditioning = point.get("conditioning", "film")
        task = replace(
            self._task,
            head=head,
            feature=None if point["feature"] == AUTO else point["feature"],
            gradient=point["gradient"],
            weight=point["weight"],
            condition_on=point["condition_on"],
            conditioning=self._task.conditioning if conditioning == GIVEN else conditioning,
            loss=None,
            metrics=None,
            weighted_metrics=None,
        )
        return with_new_layer(task)

    def tasks(self, point: Mapping[str, Any] | None) -> list[Task]:
        """Returns all tasks, with new heads; without the target if there is no point.

        Without the target, tasks that are conditioned on it are so no more.
        """
        found = []
        for config in self._tasks:
            task = keras.saving.deserialize_keras_object(config)
            if task.name == self.target:
                found += [] if point is None else [self.task(point)]
            elif point is None and task.condition_on == self.target:
                found.append(replace(task, condition_on=None))
            else:
                found.append(task)
        return found

    def other_tasks(self) -> str:
        """A short text that stands for all tasks but the target, and their heads."""
        tasks = [config["config"] for config in self._tasks]
        others = [
            # Keras counts the names of heads, which are others in each process.
            [task["name"], task["head"]["class_name"], {**task["head"]["config"], "name": ""}]
            for task in tasks
            if task["name"] != self.target
        ]
        text = json.dumps(others, sort_keys=True, default=str)
        return hashlib.sha256(without_addresses(text).encode()).hexdigest()[:16]

    def given_model(self) -> MultiTaskModel:
        """Returns a model of the tasks as they were given, with new weights.

        The target has its head's own loss and metrics, as in all models of the space.
        """
        tasks = [keras.saving.deserialize_keras_object(config) for config in self._tasks]
        tasks = [
            replace(task, loss=None, metrics=None, weighted_metrics=None)
            if task.name == self.target
            else task
            for task in tasks
        ]
        return MultiTaskModel(self.backbone(), tasks, input_shape=self.input_shape)

    def backbone(self) -> Any:
        """Returns a copy of the backbone, with the weights that the given one had."""
        # A copy: Keras empties the configuration of a functional model that it reads.
        backbone = keras.saving.deserialize_keras_object(copy.deepcopy(self._backbone))
        FeatureMaps(backbone, self.input_shape)  # which builds it
        backbone.set_weights(self.backbone_weights)
        for layer in backbone._flatten_layers():
            if isinstance(layer, keras.layers.Normalization):
                layer.finalize_state()  # which it otherwise does when it is loaded
        return backbone

    def adapt(self, x: Any) -> None:
        """Adapts the input normalisation of the backbone, if it has one that is not adapted."""
        backbone = self.backbone()
        if not getattr(backbone, "adapted", True):
            backbone.adapt(x)
            self.backbone_weights = [ops.convert_to_numpy(w) for w in backbone.weights]

    def build(self, point: Mapping[str, Any] | None, run: int = 0) -> MultiTaskModel:
        """Builds and compiles the model of a point.

        The same point and run always give the same weights. The global seed is set on the way,
        and the global dtype policy to the one that was in force when the space was made.

        Args:
            point: A point of the space; `None`: a model of the other tasks alone.
            run: Number of the repetition: others have other weights.

        Returns:
            The model.

        Raises:
            ValueError: If such a model cannot be built.
        """
        keras.config.set_dtype_policy(self.dtype_policy)
        keras.utils.set_random_seed(self.seed_of(point, run))
        tasks = self.tasks(point)  # first: with the same heads on cached features
        model = MultiTaskModel(self.backbone(), tasks, input_shape=self.input_shape)
        model.compile(keras.optimizers.Adam(self.learning_rate(point)))
        return model

    def learning_rate(self, point: Mapping[str, Any] | None) -> float:
        """Returns the learning rate of a point."""
        return LEARNING_RATE if point is None else float(point["learning_rate"])

    def seed_of(self, point: Mapping[str, Any] | None, run: int = 0) -> int:
        """Returns the seed of a point's model, other for every point and run."""
        text = f"{self.seed} {run} {_key(point or {})}"
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "little")

    def config(self, point: Mapping[str, Any]) -> dict[str, Any]:
        """Returns a point as plain data, from which its task is rebuilt without a tuner.

        Args:
            point: A point of the space.

        Returns:
            `"task"`, for `keras.saving.deserialize_keras_object`; `"learning_rate"`;
            `"family"`; and `"point"`.
        """
        return {
            "family": point["family"],
            "task": keras.saving.serialize_keras_object(self.task(point)),
            "learning_rate": self.learning_rate(point),
            "point": written(point),
        }

    def parsed(self, kept: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the point that was written as JSON.

        Args:
            kept: The point, as in `config(point)["point"]`.

        Returns:
            The point of the space.

        Raises:
            ValueError: If it is none of the space.
        """
        point: dict[str, Any] = {}
        for name, part in self.space.items():
            if not holds(part, point):
                continue
            value = value_of(part)
            known = value.grid(2) if isinstance(value, Choice | Fixed) else [kept.get(name)]
            found = [one for one in known if name in kept and same(jsonable(one), kept[name])]
            if not found or found[0] not in value:
                raise ValueError(
                    f"Expected {name} to be in {value}. Received: {name}={kept.get(name)!r}"
                )
            point[name] = found[0]
        return point

    # === Private ===

    def _map(self, feature: Any, head: Head) -> Any:
        """The name of the map that a head reads."""
        if feature not in (AUTO, None):
            return feature
        if self.target in self._maps_by_task:
            return self.target
        names = default_names(head, self._maps, self._pyramid) or (self._maps[-1],)
        return names[0] if len(names) == 1 else names

    def _families(self) -> list[tuple[str, Candidate]]:
        return list(self.candidates.items())

    def _joint(self, maps: FeatureMaps, settings: dict[str, Any]) -> dict[str, Any]:
        joint: dict[str, Any] = {"family": Choice(list(self.candidates))}
        for name, candidate in self._families():
            for argument, part in candidate.searched().items():
                joint[f"{name}.{argument}"] = (
                    When(f"{name}.{part.parent}", part.values, part.space)
                    if isinstance(part, When)
                    else When("family", name, part)
                )
        defaults = self._setting_ranges(maps)
        unknown = [name for name in settings if name not in defaults]
        if unknown:
            raise ValueError(
                f"Expected settings out of {list(defaults)}; arguments of heads belong to a "
                f"mtlkit.search.Candidate. Received: {unknown}"
            )
        chosen = override(defaults, settings)
        others = [name for name in self._names() if name != self.target]
        _check_known("feature", chosen["feature"], [AUTO, None, *maps.names, *maps.layer_names])
        _check_known("condition_on", chosen["condition_on"], [None, *others])
        return settled({**joint, **chosen})

    def _setting_ranges(self, maps: FeatureMaps) -> dict[str, Any]:
        task = self._task
        feature: Any = Fixed(task.feature)
        if task.feature is None:
            *others, _ = [name for name in maps.names if name not in maps.same_as_last]
            tapped = others if len(others) <= _FEW_MAPS and task.name not in maps.by_task else []
            feature = Choice([AUTO, *tapped])
        others = [
            name for name in self._names() if name != task.name and not self._sees(name, task.name)
        ]
        # A task that reads several maps cannot be conditioned.
        free = task.condition_on is None and (task.feature is None or isinstance(task.feature, str))
        given = task.conditioning if isinstance(task.conditioning, str) else GIVEN
        return {
            "feature": feature,
            "gradient": Choice(["flow", "stop"])
            if task.gradient == "flow"
            else Fixed(task.gradient),
            "weight": Float(task.weight / 3, 3 * task.weight, log=True)
            if task.weight > 0
            else Fixed(task.weight),
            "condition_on": Choice([None, *others]) if free else Fixed(task.condition_on),
            "conditioning": When(
                "condition_on", others, Choice(list(_CONDITIONINGS)) if free else Fixed(given)
            ),
            "learning_rate": Float(5e-4, 4e-3, log=True),
        }

    def _names(self) -> list[str]:
        return [config["config"]["name"] for config in self._tasks]

    def _sees(self, name: str | None, target: str) -> bool:
        """Whether a task is conditioned, maybe through others, on the target."""
        by_name = {config["config"]["name"]: config["config"] for config in self._tasks}
        while name is not None:
            name = by_name[name]["condition_on"]
            if name == target:
                return True
        return False

    def _with_settings(
        self, family: str, arguments: Mapping[str, Any], settings: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """A point with these arguments of a head, and other settings as the task has them now."""
        wanted = {
            "family": family,
            **{f"{family}.{name}": value for name, value in arguments.items()},
            "feature": self._task.feature or AUTO,
            "gradient": self._task.gradient,
            "weight": self._task.weight,
            "condition_on": self._task.condition_on,
            "conditioning": self._task.conditioning,
            "learning_rate": LEARNING_RATE,
            **(settings or {}),
        }
        point: dict[str, Any] = {}
        for name, part in self.space.items():
            if holds(part, point):
                value = value_of(part)
                point[name] = wanted[name] if wanted.get(name) in value else value.grid(3)[0]
        return point


def _check_known(setting: str, part: Any, known: list[Any]) -> None:
    """Raises a ValueError if a setting may have a value that the model does not know."""
    part = value_of(part)
    for value in part.grid(2):
        unknown = [v for v in (value if isinstance(value, tuple) else [value]) if v not in known]
        if unknown:
            raise ValueError(
                f"Expected {setting} out of {known}. Received: {setting}={unknown[0]!r}"
            )


def jsonable(value: Any) -> Any:
    """Returns a value of a point as JSON knows it, objects as their description."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, list | tuple):
        return [jsonable(one) for one in value]
    return value if value is None or isinstance(value, str | int | float | bool) else text_of(value)


def written(point: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a point as JSON knows it; `HeadSpace.parsed` reads it."""
    return {name: jsonable(value) for name, value in point.items()}


def _key(point: Mapping[str, Any]) -> str:
    """A text that is the same for the same point, in whatever order."""
    return json.dumps({name: text_of(value) for name, value in point.items()}, sort_keys=True)
