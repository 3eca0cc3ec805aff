"""What backbones with a feature for each task are built in."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import keras

from mtlkit.backbones._batch_norm import batch_normalization
from mtlkit.layers._data_format import standardize_data_format
from mtlkit.layers.expert_gate import ExpertGate
from mtlkit.layers.input_normalization import InputNormalization

#: Maps that are not a task's.
_OWN_MAPS = re.compile(r"input|trunk|shared|stage\d+")


class Frame:
    """Where a backbone is built: its tasks, its normalised input, and how layers are made.

    Args:
        tasks: Names of the tasks.
        input_shape: Shape of a sample without the batch: an image or a vector. `None`: an
            image of one channel and 32x32 pixels.
        normalize: Whether to standardise the input.
        batch_norm: Whether stages normalise their batch.
        data_format: `"channels_last"`, `"channels_first"` or `None`.
        dtype: Dtype or dtype policy of the layers, or `None`.
    """

    def __init__(
        self,
        tasks: Sequence[str],
        input_shape: tuple[int, ...] | None,
        normalize: bool,
        batch_norm: bool,
        data_format: str | None,
        dtype: Any,
    ) -> None:
        _check_names(tasks)
        self.tasks = tuple(tasks)
        self.normalize = normalize
        self.batch_norm = batch_norm
        self.data_format = standardize_data_format(data_format)
        self.policy = keras.dtype_policies.get(dtype or keras.config.dtype_policy())
        if input_shape is None:
            input_shape = (1, 32, 32) if self._first else (32, 32, 1)
        if len(input_shape) not in (1, 3):
            raise ValueError(
                "Expected input_shape=(height, width, channels), or channels first in that data "
                f"format, or (features,). Received: input_shape={input_shape}"
            )
        self.sample_shape = tuple(input_shape)
        self.normalization = (
            InputNormalization(self.data_format, dtype=self.policy, name="normalization")
            if normalize
            else None
        )
        name = "image_input" if len(input_shape) == 3 else "vector_input"
        self.inputs = keras.Input(shape=self.sample_shape, name=name)
        self.features = self.normalization(self.inputs) if self.normalization else self.inputs

    def apply(self, part: keras.layers.Layer | tuple[int, ...], x: Any, name: str) -> Any:
        """Applies a layer to `x`, or a stack of stages of these widths, under a name."""
        if isinstance(part, keras.layers.Layer):
            outputs = part(x)
            if not isinstance(outputs, keras.KerasTensor):
                raise ValueError(
                    f"Expected a layer with one output for {name!r}. Received: {part!r}, whose "
                    f"output is a {type(outputs).__name__}"
                )
            return outputs
        return self.stack(part, x, name)

    def apply_copy(self, part: keras.layers.Layer | tuple[int, ...], x: Any, name: str) -> Any:
        """As `apply`, with a copy of the layer that has new weights."""
        if isinstance(part, keras.layers.Layer):
            part = type(part).from_config({**part.get_config(), "name": name})
        return self.apply(part, x, name)

    def stack(self, widths: Sequence[int], x: Any, name: str, halve: bool | None = None) -> Any:
        """Applies stages: of convolution and ReLU to maps, dense and ReLU to vectors.

        Every stage halves its map first; but not the input of the backbone. `halve` decides
        otherwise of the first stage.
        """
        rank = len(x.shape)
        if rank not in (2, 4):
            raise ValueError(
                f"Expected vectors or maps with two spatial axes for the stages of {name!r}; give "
                f"a layer for others. Received: features of shape {tuple(x.shape)}"
            )
        halve = x is not self.features if halve is None else halve
        halvings = len(widths) - 1 + halve
        sizes = x.shape[2:] if self._first else x.shape[1:-1]
        if any(size is not None and size < 2**halvings for size in sizes):
            raise ValueError(
                f"Expected maps that can be halved {halvings} times by the stages of {name!r}. "
                f"Received: a map of shape {tuple(x.shape)} ({self.data_format})"
            )
        layers: list[keras.layers.Layer] = []
        for number, width in enumerate(widths, 1):
            if rank == 4 and (halve or number > 1):
                layers.append(
                    keras.layers.MaxPooling2D(
                        data_format=self.data_format, dtype=self.policy, name=f"pool{number}"
                    )
                )
            layers += self._stage(width, rank, number)
        return keras.Sequential(layers, name=name)(x)

    def gate(self, x: Any, experts: Sequence[Any], name: str) -> Any:
        """Mixes outputs of experts by a gate that reads `x`; a single one needs no gate."""
        if len(experts) == 1:
            return experts[0]
        return ExpertGate(self.data_format, dtype=self.policy, name=name)([x, *experts])

    @property
    def _first(self) -> bool:
        return self.data_format == "channels_first"

    def _stage(self, width: int, rank: int, number: int) -> list[keras.layers.Layer]:
        bias = not self.batch_norm
        layers: list[keras.layers.Layer] = [
            keras.layers.Conv2D(
                width,
                3,
                padding="same",
                use_bias=bias,
                data_format=self.data_format,
                dtype=self.policy,
                name=f"conv{number}",
            )
            if rank == 4
            else keras.layers.Dense(width, use_bias=bias, dtype=self.policy, name=f"dense{number}")
        ]
        if self.batch_norm:
            axis = 1 if self._first else -1
            layers.append(batch_normalization(number, self.policy, axis))
        return [*layers, keras.layers.ReLU(dtype=self.policy, name=f"relu{number}")]


def _check_names(tasks: Sequence[str]) -> None:
    """Raises a ValueError unless these are different names that no other map has."""
    names = () if isinstance(tasks, str) else tuple(tasks)
    if not names or not all(isinstance(name, str) for name in names):
        raise ValueError(f"Expected a sequence of names of tasks. Received: tasks={tasks!r}")
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise ValueError(f"Expected tasks of different names. Received: {repeated} repeatedly")
    taken = [name for name in names if _OWN_MAPS.fullmatch(name)]
    if taken:
        raise ValueError(
            'Expected names of tasks other than those of shared maps, "input", "trunk", "shared", '
            f'"stage1", ... Received: {taken}'
        )
