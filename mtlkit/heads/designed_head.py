"""Heads that leave their computation to a design."""

from __future__ import annotations

from typing import Any

import keras

from mtlkit.heads.head import Head


class DesignedHead(Head):
    """A head whose outputs are computed by a layer, its design.

    Subclasses set `self.design` in their constructor, to a layer from features to outputs.

    Args:
        **kwargs: Passed on to `keras.layers.Layer`.
    """

    design: keras.layers.Layer

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        if not self.design.built:
            self.design.build(input_shape)

    def call(self, inputs: Any) -> Any:
        return self.design(inputs)

    def compute_output_spec(self, inputs: Any) -> Any:
        return self.design.compute_output_spec(inputs)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return self.design.compute_output_shape(input_shape)
