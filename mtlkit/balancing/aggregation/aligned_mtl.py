"""The mean of gradients that were made orthogonal to each other."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from mtlkit.balancing.aggregation._geometry import Geometry, at_least, epsilon, inverse, times
from mtlkit.balancing.aggregation._spectrum import spectrum
from mtlkit.balancing.aggregation.aggregator import GramianAggregator

_SCALES = ("min", "median", "rmse")


@keras.saving.register_keras_serializable(package="mtlkit")
class AlignedMTL(GramianAggregator):
    """The mean of the gradients, after all their principal components were made equally long.

    With singular values `s` and vectors `U` of the gradients, `d = w @ gradients` with
    `w = s0 U diag(1 / s) U.T @ ones / K`, which replaces each `s` by `s0`. Values of 0 are left
    out. It costs the singular values of a matrix `(tasks, tasks)`, found from lengths and cosines,
    which keeps small ones accurate.

    Source: Senushkin, Patakin, Kuznetsov and Konushin, "Independent Component Alignment for
    Multi-Task Learning", 2023, arXiv 2305.19000.

    Use it where a few tasks drown the others, and the system is well conditioned: with nearly
    dependent gradients the smallest singular value makes `"min"` very slow. It may make a task
    worse.

    Args:
        scale: What `s0` is: `"min"`, the smallest singular value, as in the paper; `"median"`, of
            two the lower one; or `"rmse"`, the root of the mean square.

    Raises:
        ValueError: If `scale` is none of these.

    Example:
        ```python
        import numpy as np
        from mtlkit.balancing import AlignedMTL

        found = AlignedMTL()(np.array([[-4.0, 1.0, 1.0], [6.0, 1.0, 1.0]]))
        assert np.allclose(found, [0.213279, 0.967333, 0.967333], atol=1e-4)
        ```
    """

    averages = True

    def __init__(self, scale: str = "min") -> None:
        if scale not in _SCALES:
            raise ValueError(f"Expected scale to be one of {_SCALES}. Received: scale={scale!r}")
        self.scale = scale
        super().__init__()

    def get_config(self) -> dict[str, Any]:
        return {"scale": self.scale}

    def _unit_weights(
        self, geometry: Geometry, state: dict[str, Any], noise: Any, losses: Any
    ) -> tuple[Any, dict[str, Any]]:
        tasks = geometry.num_tasks
        lengths = geometry.norms / geometry.longest
        values, vectors = spectrum(geometry)
        # A square matrix with the singular values of the gradients, the largest being about 1.
        left, singular, _ = ops.svd(lengths[:, None] * vectors * ops.sqrt(values)[None, :])
        kept = singular > 8 * tasks * epsilon(geometry.dtype) * singular[0]
        count = ops.sum(ops.cast(kept, geometry.dtype))
        kept_values = ops.where(kept, singular, 0.0)
        if self.scale == "rmse":
            scale = ops.sqrt(ops.sum(kept_values**2) / at_least(count, 1.0))
        else:  # they are sorted, the largest first
            place = ops.cast(count - 1 if self.scale == "min" else count / 2, "int32")
            chosen = ops.arange(tasks, dtype="int32") == place
            scale = ops.sum(ops.where(chosen, kept_values, 0.0))
        mean = geometry.present / geometry.count
        along = times(ops.transpose(left), mean) * scale * inverse(kept_values)
        weights = times(left, along)
        return weights * geometry.norms, state
