"""Labels of any unit to zero mean and unit variance, and back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from mtlkit._warnings import warn
from mtlkit.losses import labelled
from mtlkit.losses._partial_labels import Entries, known_entries

#: float32 has this many digits: labels that spread less around their mean blur.
_BLURRED = 16 * np.finfo("float32").eps
#: Rounding leaves the spread of constant labels a little above zero.
_CONSTANT = 1e-12


class LabelStandardization(keras.layers.Layer):
    """Knows the mean and scale of labels, once `adapt` has seen them; 0 and 1 before.

    They are non-trainable float32 weights. The layer itself turns standardised values into
    the unit of the labels.
    """

    def __init__(self, units: int, **kwargs: Any) -> None:
        # Not in half precision, which ends at 65,504.
        super().__init__(autocast=False, dtype="float32", **kwargs)
        self.units = units
        self.built: bool = False

    def build(self, input_shape: Any = None) -> None:
        fixed = {"dtype": "float32", "trainable": False, "autocast": False}
        shape = (self.units,)
        self.mean = self.add_weight(name="label_mean", shape=shape, initializer="zeros", **fixed)
        self.scale = self.add_weight(name="label_scale", shape=shape, initializer="ones", **fixed)
        self.count = self.add_weight(name="label_count", shape=(), initializer="zeros", **fixed)
        self.built = True

    @property
    def adapted(self) -> bool:
        """Whether `adapt` has seen labels."""
        return self.built and bool(ops.convert_to_numpy(self.count) > 0)

    def adapt(self, y: Any, sample_weight: Any, task: str, entries: Entries | None = None) -> None:
        """Sets mean and scale from labels; does nothing where there are none.

        Args:
            y: Labels of shape `(samples, ..., units)`, or `(samples, ...)` where `units` is 1.
            sample_weight: Weights, one a sample; samples of weight 0 are left out.
            task: Name of the task, for messages.
            entries: Given where each number of a label may be missing by itself.
        """
        y = ops.convert_to_numpy(y) if not isinstance(y, np.ndarray) else y
        used = ops.convert_to_numpy(labelled(y, entries))
        if sample_weight is not None:
            used = used & (ops.convert_to_numpy(sample_weight).reshape(-1) > 0)
        values = y[used].astype("float64").reshape(-1, self.units)
        if entries:
            known = ops.convert_to_numpy(known_entries(ops.convert_to_tensor(y[used]), entries))
            values = values[known.reshape(-1, self.units).all(axis=1)]
        if not len(values):
            return
        if not np.isfinite(values).all():
            raise ValueError(
                f"Task {task!r}: expected finite labels (NaN: unlabelled). Received: "
                f"{values[~np.isfinite(values)][0]}"
            )
        mean, scale = values.mean(axis=0), values.std(axis=0)
        smallest = np.maximum(_CONSTANT * np.abs(mean), np.finfo("float32").tiny)
        scale = np.where(scale > smallest, scale, 1.0)
        if (scale < _BLURRED * np.abs(mean)).any():
            warn(
                f"Task {task!r}: labels differ by {scale.min():.3g} (standard deviation) around "
                f"{mean[scale.argmin()]:.8g}, which float32 hardly tells apart. Give them as "
                "differences from a constant, computed in float64: y - y.mean()"
            )
        if not self.built:
            self.build()
        self.mean.assign(mean)
        self.scale.assign(scale)
        self.count.assign(len(values))

    def statistics(self) -> tuple[Any, Any]:
        """Mean and scale, each of shape `(units,)`."""
        if not self.built:
            return np.zeros(self.units, "float32"), np.ones(self.units, "float32")
        return self.mean, self.scale

    def call(self, inputs: Any) -> Any:
        return ops.cast(inputs, "float32") * self.scale + self.mean


@keras.saving.register_keras_serializable(package="mtlkit")
class StandardizedValues(keras.layers.Layer):
    """Turns values in the unit of labels into standardised ones, within a graph.

    The weights are those of a `LabelStandardization`; saved alone, their values are.

    Args:
        statistics: `(mean, scale)`, or a function that returns them.
        **kwargs: Passed on to `keras.layers.Layer`.
    """

    def __init__(
        self, statistics: tuple[Any, Any] | Callable[[], tuple[Any, Any]], **kwargs: Any
    ) -> None:
        super().__init__(**{"autocast": False, "dtype": "float32", **kwargs})
        self.pair = statistics if callable(statistics) else lambda: statistics

    def call(self, inputs: Any) -> Any:
        mean, scale = (ops.cast(ops.convert_to_tensor(s), "float32") for s in self.pair())
        return (ops.cast(inputs, "float32") - mean) / scale

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        mean, scale = (ops.convert_to_numpy(s).tolist() for s in self.pair())
        return {**super().get_config(), "statistics": [mean, scale]}
