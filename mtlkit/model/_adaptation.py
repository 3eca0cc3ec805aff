"""What the first `fit` takes from its data: statistics of inputs, and of labels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from mtlkit._arrays import to_numpy
from mtlkit.model._fit_arguments import Data, weight_of


class Learner(Protocol):
    """What takes something from the training labels of a task, such as a head."""

    @property
    def adapted(self) -> bool:
        """Whether it has done so, or need not."""

    def adapt(self, y: Any, sample_weight: Any = None) -> None:
        """Takes it from labels, and sample weights of shape `(samples,)`."""


def is_adapted(backbone: Any) -> bool:
    """Whether a backbone has its statistics, or needs none."""
    return getattr(backbone, "adapted", True)


def adapt(
    backbone: Any,
    learners: Mapping[str, Sequence[Learner]],
    batches: Iterator[Data],
    images: Callable[[Any], Any],
) -> None:
    """Adapts a backbone to inputs, and others to labels, in one pass over the data.

    Args:
        backbone: The backbone, which may be adapted already.
        learners: What is to adapt to the labels of a task, by its name.
        batches: The training data, each batch once.
        images: From the inputs of the model to those of the backbone.
    """
    labels: dict[str, list[Any]] = {name: [] for name in learners}
    weights: dict[str, list[Any]] = {name: [] for name in learners}

    def inputs() -> Iterator[Any]:
        for x, y, sample_weight in batches:
            for name in learners:
                if y.get(name) is not None:
                    labels[name].append(to_numpy(y[name]))
                    weight = weight_of(sample_weight, name)
                    ones = np.ones(len(labels[name][-1]))
                    weights[name].append(ones if weight is None else to_numpy(weight))
            yield images(x)

    remaining = inputs()
    if not is_adapted(backbone):
        backbone.adapt(remaining)
    for _ in remaining:  # of which only the labels are needed
        pass
    for name, own in learners.items():
        if labels[name]:
            weight = np.concatenate([one.reshape(-1) for one in weights[name]])
            for learner in own:
                learner.adapt(np.concatenate(labels[name]), weight)
