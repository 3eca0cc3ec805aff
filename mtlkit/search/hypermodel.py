"""The search of a head as a KerasTuner hypermodel, for users who drive KerasTuner themselves."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import keras_tuner

from mtlkit.model import MultiTaskModel
from mtlkit.model.task import Task
from mtlkit.search._head_space import HeadSpace
from mtlkit.search._interpreter import declare, decode
from mtlkit.search._training import decayed


class HeadHyperModel(keras_tuner.HyperModel):
    """Builds the models of `mtlkit.search.search_heads` for any tuner of KerasTuner.

    Trials are trained with Adam and a learning rate that falls to zero along a half cosine,
    where the number of steps can be told from the arguments of `search`. Install `mtlkit`'s
    requirements with it: KerasTuner imports packages that it does not declare.

    Args:
        backbone: As for `mtlkit.search.search_heads`.
        tasks: As there.
        target: As there.
        candidates: As there.
        settings: As there.
        freeze_backbone: Whether the backbone stays as it is; adapt its normalisation before.
        input_shape: As for `mtlkit.MultiTaskModel`.
        seed: Seed of the models.

    Raises:
        ValueError: If an argument does not fit.

    Example:
        ```python
        import keras_tuner

        import mtlkit as mtl

        backbone = mtl.backbones.ConvBackbone((8, 8, 1), filters=(4, 8))
        tasks = [mtl.Task("orientation", mtl.heads.OrientationHead(8, spatial="pool"))]
        hypermodel = mtl.search.HeadHyperModel(backbone, tasks, "orientation")
        hp = keras_tuner.HyperParameters()
        model = hypermodel.build(hp)
        print(model.objective("orientation"))
        print(hypermodel.config(hp)["family"])
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
        freeze_backbone: bool = False,
        input_shape: tuple[int, ...] | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.space = HeadSpace(
            backbone, tasks, target, candidates, settings, input_shape=input_shape, seed=seed
        )
        self.freeze_backbone = freeze_backbone

    def declare_hyperparameters(self, hp: Any) -> None:
        """Declares the whole space, whatever the values are.

        Args:
            hp: A `keras_tuner.HyperParameters`.
        """
        declare(hp, self.space.space, self.space.target)

    def point(self, hp: Any) -> dict[str, Any]:
        """Returns the point of the space that hyperparameters stand for.

        Args:
            hp: A `keras_tuner.HyperParameters`, such as one of
                `tuner.get_best_hyperparameters()`.

        Returns:
            The point; of several that are the same model the first.
        """
        self.declare_hyperparameters(hp)
        return self.space.plain(decode(hp.values, self.space.space, self.space.target))

    def config(self, hp: Any) -> dict[str, Any]:
        """Returns what hyperparameters stand for as plain data.

        Args:
            hp: A `keras_tuner.HyperParameters`.

        Returns:
            As `mtlkit.search.SearchResult.best_config`.
        """
        return self.space.config(self.point(hp))

    def build(self, hp: Any) -> MultiTaskModel:
        """Builds and compiles a model.

        Args:
            hp: A `keras_tuner.HyperParameters`.

        Returns:
            The model.
        """
        model = self.space.build(self.point(hp))
        if self.freeze_backbone:
            model.freeze_backbone()
            model.compile(keras.optimizers.Adam(self.space.learning_rate(self.point(hp))))
        return model

    def fit(self, hp: Any, model: MultiTaskModel, *args: Any, **kwargs: Any) -> Any:
        """Trains a model, as `keras.Model.fit`, with a learning rate that falls to zero.

        Args:
            hp: A `keras_tuner.HyperParameters`.
            model: The model.
            *args: As in `fit`.
            **kwargs: As in `fit`.

        Returns:
            A `keras.callbacks.History`.
        """
        given = inspect.signature(keras.Model.fit).bind(model, *args, **kwargs)
        given.apply_defaults()
        rate = self.space.learning_rate(self.point(hp))
        model.compile(keras.optimizers.Adam(decayed(rate, _steps(given.arguments))))
        return model.fit(*args, **kwargs)


def _steps(given: Mapping[str, Any]) -> int | None:
    """The number of training steps of a `fit`; `None` if it cannot be told."""
    epochs = given["epochs"] - given["initial_epoch"]
    if given["steps_per_epoch"]:
        return epochs * given["steps_per_epoch"]
    x = given["x"]
    if given["y"] is None and hasattr(x, "__len__"):
        return epochs * len(x)
    if given["y"] is None:
        return None
    samples = len(keras.tree.flatten(x)[0]) * (1 - (given["validation_split"] or 0.0))
    return epochs * math.ceil(samples / (given["batch_size"] or 32))
