"""Heads that leave their computation to a design."""

from __future__ import annotations

from typing import Any

from mtlkit.heads.designs.design import Design, build
from mtlkit.heads.head import Head


class DesignedHead(Head):
    """A head whose outputs are computed by a layer, its design.

    Subclasses set `self.design` in their constructor, to a layer from features to outputs.
    """

    design: Design

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True  # of the steps of a sequence, by its pooling

    def build(self, input_shape: Any) -> None:
        build(self.design, input_shape)

    def get_build_config(self) -> dict[str, Any] | None:
        # A conditioned head can be built only after it was given its conditioning.
        return super().get_build_config() if self.design.conditioning is None else None

    def call(self, inputs: Any, mask: Any = None) -> Any:
        return self._designed(inputs, mask)

    def _designed(self, inputs: Any, mask: Any) -> Any:
        """What the design makes of a feature: a part of this layer, not called as another one.

        What Keras does around a call (casts, masks) the head's own has done. Without a graph, as
        on PyTorch, that saves a twentieth of a step with many tasks.
        """
        return self.design.call(inputs, mask=mask)

    def compute_output_spec(self, inputs: Any, **kwargs: Any) -> Any:
        return self.design.compute_output_spec(inputs)  # whatever a subclass's call takes

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        return self.design.compute_output_shape(input_shape)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> None:
        return None  # one output a sample
