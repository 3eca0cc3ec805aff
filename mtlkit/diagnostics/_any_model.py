"""Models of any kind, as the probes take them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras

from mtlkit.datasets._label_reader import LabelReader
from mtlkit.diagnostics._labels import labels_by_output
from mtlkit.heads.adopted import AdoptedHead
from mtlkit.model import MultiTaskModel

#: Takes labels as `fit` does, and returns them by task.
ByTask = Callable[[Any], dict[str, Any]]


def adopted(model: Any) -> tuple[MultiTaskModel, ByTask]:
    """Returns a model of tasks, and what brings labels into its form.

    A Keras model is adopted: the new one has its weights. Outputs that learn from one-hot rows
    become outputs of classes, which is the same loss.

    Args:
        model: A `MultiTaskModel`, or a compiled `keras.Model` with a graph of layers.
    """
    if not isinstance(model, keras.Model):
        raise ValueError(
            "Expected a compiled keras.Model or a mtlkit.MultiTaskModel; audit needs no model. "
            f"Received: {type(model).__name__}"
        )
    if not model.compiled:
        raise ValueError(
            "Expected a compiled model, to train copies of it. Received: one that is not\n"
            'Compile it: model.compile("adam", loss=...)'
        )
    if isinstance(model, MultiTaskModel):
        return model, lambda y: dict(y) if isinstance(y, Mapping) else y
    found = MultiTaskModel.from_keras(model)
    one_hot = {
        name: task.head
        for name, task in found.tasks.items()
        if isinstance(task.head, AdoptedHead) and task.head.kind == "one_hot"
    }
    if one_hot:
        found = MultiTaskModel.from_keras(
            model,
            {
                name: {
                    "kind": "classification",
                    "loss": keras.losses.SparseCategoricalCrossentropy(head.from_logits),
                    "metrics": ["accuracy"],
                }
                for name, head in one_hot.items()
            },
        )
    names = list(found.tasks)

    def by_task(y: Any) -> dict[str, Any]:
        given = labels_by_output(y, names)
        return {
            name: LabelReader(labels, name).read(labels) if name in one_hot else labels
            for name, labels in given.items()
        }

    return found, by_task
