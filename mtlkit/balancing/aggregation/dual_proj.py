"""The mean of the gradients, without what conflicts with one of them."""

from __future__ import annotations

from typing import Any

import keras

from mtlkit.balancing.aggregation._geometry import Geometry, times
from mtlkit.balancing.aggregation._nonnegative_quadratic import nonnegative_minimum
from mtlkit.balancing.aggregation.aggregator import GramianAggregator


@keras.saving.register_keras_serializable(package="mtlkit")
class DualProj(GramianAggregator):
    """The vector nearest to the mean of the gradients that conflicts with none of them.

    `d` minimises `|d - m|` over `d @ g_i >= 0` for all tasks, with the mean `m`: it is `m` itself
    if that conflicts with no task. It costs one small quadratic problem, solved exactly. Where
    gradients cancel out, `d` is 0.

    Source: Lopez-Paz and Ranzato, "Gradient Episodic Memory for Continual Learning", 2017,
    arXiv 1706.08840.

    Use it to stay as near as can be to training on the mean of the losses without making a task
    worse. Do not expect progress of a task with a small gradient: it is only kept from harm.
    `mtlkit.balancing.UPGrad` gives each a share.

    Example:
        ```python
        import numpy as np
        from mtlkit.balancing import DualProj

        found = DualProj()(np.array([[-4.0, 1.0, 1.0], [6.0, 1.0, 1.0]]))
        assert np.allclose(found, [0.555556, 1.111111, 1.111111], atol=1e-5)
        ```
    """

    averages = True

    def _unit_weights(
        self, geometry: Geometry, state: dict[str, Any], noise: Any, losses: Any
    ) -> tuple[Any, dict[str, Any]]:
        wanted = geometry.norms / geometry.longest
        products = times(geometry.cosines, wanted)
        added = nonnegative_minimum(geometry.cosines, -products[None, :])[0]
        scale = geometry.longest / geometry.count
        return geometry.present * (wanted + added) * scale, state
