"""A small dense backbone, for the columns of a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from mtlkit.backbones._batch_norm import batch_normalization
from mtlkit.backbones._staged import StagedBackbone
from mtlkit.layers.input_normalization import InputNormalization
from mtlkit.layers.reproducible_dropout import ReproducibleDropout


@keras.saving.register_keras_serializable(package="mtlkit")
class DenseBackbone(StagedBackbone):
    """Dense stages with ReLU, on standardised columns.

    Its outputs are a dict of features: `"input"` (the columns, standardised), `"stage1"`,
    `"stage2"`, ... in this order.

    With `normalize=True` each column is standardised with its statistics over the training
    samples; a constant column is only centred. They are set once, by `adapt(x)` or by the first
    `fit` of a `mtlkit.MultiTaskModel`, and saved. Columns are read in single precision: of
    values as large as times in seconds since 1970 (1.7e9), subtract the beginning first.

    Args:
        num_features: Number of columns.
        units: Widths of the stages.
        normalize: Whether to standardise the columns.
        batch_norm: Whether to normalise each stage's batch, before the ReLU.
        dropout: Rate of dropout behind each stage (`mtlkit.layers.ReproducibleDropout`).
        dtype: Dtype or dtype policy of the layers. `None`: the global one.
        **kwargs: Passed on to `keras.Model`.

    Input shape:
        `(batch, num_features)`.

    Output shape:
        `{"input": (batch, num_features), "stage1": (batch, units[0]), ...}`.

    Raises:
        ValueError: If there is no column or stage, a width is not a positive integer, or the
            rate not in `[0, 1)`.

    Example:
        ```python
        import numpy as np
        import mtlkit as mtl

        backbone = mtl.backbones.DenseBackbone(num_features=5, units=(16, 8))
        columns = np.random.default_rng(0).normal(1000, 50, (20, 5))
        backbone.adapt(columns)
        assert list(backbone.predict(columns, verbose=0)) == ["input", "stage1", "stage2"]
        ```
    """

    def __init__(
        self,
        num_features: int,
        units: Sequence[int] = (64, 64),
        normalize: bool = True,
        batch_norm: bool = False,
        dropout: float = 0.0,
        dtype: Any = None,
        **kwargs: Any,
    ) -> None:
        _check("num_features", (num_features,), num_features)
        if not isinstance(units, list | tuple) or not units:
            raise ValueError(
                f"Expected units as the widths of at least one stage, such as (64, 64). "
                f"Received: units={units!r}"
            )
        _check("units", units, units)
        policy = keras.dtype_policies.get(dtype or keras.config.dtype_policy())

        # === Layers ===
        normalization = None
        if normalize:
            normalization = InputNormalization("channels_last", dtype=policy, name="normalization")
        stages: list[list[keras.layers.Layer]] = []
        for number, width in enumerate(units, 1):
            stages.append(
                [
                    keras.layers.Dense(
                        width, use_bias=not batch_norm, dtype=policy, name=f"dense{number}"
                    )
                ]
            )
            if batch_norm:
                stages[-1].append(batch_normalization(number, policy))
            stages[-1].append(keras.layers.ReLU(dtype=policy, name=f"stage{number}"))
            if dropout:
                stages[-1].append(
                    # Seeds of their own: with one, layers of a width would drop the same units.
                    ReproducibleDropout(dropout, number, dtype=policy, name=f"dropout{number}")
                )

        # === Functional model ===
        inputs = keras.Input((num_features,), name="vector_input")
        super().__init__(inputs, normalization, stages, batch_norm, policy, **kwargs)

        # === Config ===
        self.num_features = num_features
        self.units = tuple(units)
        self.dropout = dropout

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_features": self.num_features,
            "units": self.units,
            "dropout": self.dropout,
        }


def _check(argument: str, counts: Sequence[Any], given: Any) -> None:
    """Raises a ValueError unless all are positive integers."""
    if not all(isinstance(n, int) and not isinstance(n, bool) and n >= 1 for n in counts):
        raise ValueError(f"Expected {argument} >= 1, whole. Received: {argument}={given!r}")
