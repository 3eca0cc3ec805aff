"""What heads share that pool the feature and read it with a small dense network."""

from __future__ import annotations

from typing import Any

from mtlkit.heads._designed_head import DesignedHead
from mtlkit.heads.designs import PooledDesign
from mtlkit.space import Boolean, Choice, Float


class PooledHead(DesignedHead):
    """A head with a `PooledDesign`."""

    def __init__(
        self,
        units: int,
        pooling: str,
        hidden_units: int,
        dropout: float,
        layer_norm: bool,
        data_format: str | None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.pooling = pooling
        self.hidden_units = hidden_units
        self.dropout = dropout
        self.layer_norm = layer_norm
        self.design = PooledDesign(
            units,
            pooling,
            hidden_units,
            dropout,
            layer_norm,
            data_format=data_format,
            dtype=self.dtype_policy,
            name="design",
        )
        self.data_format = self.design.data_format

    @classmethod
    def search_space(cls) -> dict[str, Any]:
        return {
            "pooling": Choice(["average", "max", "flatten", "attention"]),
            "hidden_units": Choice([0, 64, 128, 256, 512]),
            "dropout": Float(0.0, 0.5),
            "layer_norm": Boolean(),
        }

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "pooling": self.pooling,
            "hidden_units": self.hidden_units,
            "dropout": self.dropout,
            "layer_norm": self.layer_norm,
            "data_format": self.data_format,
        }
