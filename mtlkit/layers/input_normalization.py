"""Standardisation of a model's input."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import keras
import numpy as np
from keras import ops

from mtlkit._arrays import parts, to_numpy
from mtlkit.layers._channels import channel_axis
from mtlkit.layers._data_format import standardize_data_format

#: Numbers looked at together: in double precision all samples would not always fit into memory.
_TOGETHER = 1 << 18


@keras.saving.register_keras_serializable(package="mtlkit")
class InputNormalization(keras.layers.Layer):
    """Standardises each channel of an image, or column of a table, to mean 0 and variance 1.

    Computes `(x - mean) / sqrt(variance)` with the statistics of the samples given to
    `adapt`; before that it is the identity. The statistics are non-trainable weights,
    saved with the model, and acting at once, also in a model that has been called before
    (where `keras.layers.Normalization` keeps the old ones in compiled functions).
    A channel that is constant is only centred.

    Args:
        data_format: `"channels_last"` or `"channels_first"`. `None`:
            `keras.config.image_data_format()`.
        **kwargs: Passed on to `keras.layers.Layer`.

    Input shape:
        `(batch, ..., channels)`, or `(batch, channels, ...)` for maps with channels first.

    Output shape:
        That of the input.

    Example:
        ```python
        import keras
        import numpy as np
        from mtlkit.layers import InputNormalization

        images = np.random.default_rng(0).random((100, 4, 4, 3))
        layer = InputNormalization(data_format="channels_last")
        layer.adapt(images)
        assert np.isclose(keras.ops.std(layer(images)), 1, atol=1e-3)
        ```
    """

    def __init__(self, data_format: str | None = None, **kwargs: Any) -> None:
        # Neither images nor statistics in half precision: their difference needs the digits.
        super().__init__(autocast=False, **kwargs)
        self.data_format = standardize_data_format(data_format)
        self.supports_masking = True
        self.built: bool = False

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        channels = input_shape[self._axis(len(input_shape))]
        if channels is None:
            raise ValueError(
                "Expected inputs with a known number of channels. "
                f"Received: input_shape={tuple(input_shape)} ({self.data_format})"
            )
        fixed = {"dtype": "float32", "trainable": False, "autocast": False}
        self.mean = self.add_weight(name="mean", shape=(channels,), initializer="zeros", **fixed)
        self.variance = self.add_weight(
            name="variance", shape=(channels,), initializer="ones", **fixed
        )
        self.count = self.add_weight(name="count", shape=(), initializer="zeros", **fixed)

    @property
    def adapted(self) -> bool:
        """Whether `adapt` has set the statistics."""
        return self.built and bool(ops.convert_to_numpy(self.count) > 0)

    def adapt(self, data: Any) -> None:
        """Sets the statistics from samples.

        Args:
            data: An array of samples (images, sequences, rows of a table), or an iterable of
                arrays (batches of samples).

        Raises:
            ValueError: If there are no samples, or they hold NaN or infinite values.
        """
        batches = [data] if hasattr(data, "shape") else data
        count, mean, variance = self._statistics(batches)
        self.mean.assign(mean)
        # Rounding leaves the variance of a constant channel a little above zero.
        constant = np.maximum((1e-12 * mean) ** 2, np.finfo("float32").tiny)
        self.variance.assign(np.where(variance > constant, variance, 1.0))
        self.count.assign(count)

    def call(self, inputs: Any) -> Any:
        shape = [1] * len(inputs.shape)
        shape[self._axis(len(shape))] = -1
        x = ops.cast(inputs, "float32")
        x = (x - ops.reshape(self.mean, shape)) / ops.sqrt(ops.reshape(self.variance, shape))
        return ops.cast(x, self.compute_dtype)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "data_format": self.data_format}

    def _axis(self, rank: int) -> int:
        return channel_axis(rank, self.data_format)

    def _statistics(self, batches: Iterable[Any]) -> tuple[float, np.ndarray, np.ndarray]:
        """Returns how many values a channel had, their mean and their variance.

        Batches, and parts of large ones, are merged by the pairwise update of Chan et al. (1983),
        in float64.
        """
        count, mean, squares = 0.0, np.zeros(1), np.zeros(1)
        for values in (to_numpy(batch) for batch in batches):
            if not values.size:
                continue
            if not self.built:
                self.build((None, *values.shape[1:]))
                self.built = True
            axes = tuple(a for a in range(values.ndim) if a != self._axis(values.ndim))
            for part in _parts(values):
                with np.errstate(invalid="ignore"):  # of infinite values, which are found below
                    part_mean = part.mean(axis=axes)
                    part_squares = part.var(axis=axes) * (part.size / len(part_mean))
                if not np.all(np.isfinite(part_squares)):
                    raise _not_finite(values, axes)
                part_count = part.size / len(part_mean)
                total = count + part_count
                delta = part_mean - mean
                squares = squares + part_squares + delta**2 * (count * part_count / total)
                mean = mean + delta * (part_count / total)
                count = total
        if not count:
            raise ValueError("Expected at least one sample to adapt to. Received: none")
        return count, mean, squares / count


def _parts(values: np.ndarray) -> Iterator[np.ndarray]:
    """The samples in double precision, a few at a time."""
    return (np.asarray(part, "float64") for _, part in parts(values, _TOGETHER))


def _not_finite(values: np.ndarray, axes: tuple[int, ...]) -> ValueError:
    """What to say of samples with NaN or infinite values, and of the channels that have them."""
    wrong = np.concatenate([~np.isfinite(part) for part in _parts(values)])
    channels = np.flatnonzero(wrong.any(axis=axes))
    kind = "columns" if values.ndim == 2 else "channels"
    shown = ", ".join(map(str, channels[:10])) + (", ..." if len(channels) > 10 else "")
    return ValueError(
        f"Expected samples with finite values to adapt to. Received: {int(wrong.sum())} NaN or "
        f"infinite values in a batch of shape {values.shape}, in the {kind} {shown}. Fill them, "
        "as by numpy.nan_to_num, or leave these samples out"
    )
