"""What the first `fit` takes from its data: statistics of inputs, and of labels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from mtlkit.heads.head import Head
from mtlkit.model._arrays import to_numpy
from mtlkit.model._fit_arguments import Data, weight_of


def is_adapted(backbone: Any) -> bool:
    """Whether a backbone has its statistics, or needs none."""
    return getattr(backbone, "adapted", True)


def adapt(
    backbone: Any,
    heads: Mapping[str, Head],
    batches: Iterator[Data],
    images: Callable[[Any], Any],
) -> None:
    """Adapts a backbone to inputs, and heads to their labels, in one pass over the data.

    Args:
        backbone: The backbone, which may be adapted already.
        heads: The heads to adapt, by task.
        batches: The training data, each batch once.
        images: From the inputs of the model to those of the backbone.
    """
    labels: dict[str, list[Any]] = {name: [] for name in heads}
    weights: dict[str, list[Any]] = {name: [] for name in heads}

    def inputs() -> Iterator[Any]:
        for x, y, sample_weight in batches:
            for name in heads:
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
    for name, head in heads.items():
        if labels[name]:
            weight = np.concatenate([one.reshape(-1) for one in weights[name]])
            head.adapt(np.concatenate(labels[name]), weight)
