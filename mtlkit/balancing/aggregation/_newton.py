"""Newton's method for weights whose products with the gradients are powers of themselves."""

from __future__ import annotations

from typing import Any

from keras import ops

from mtlkit.balancing.aggregation._geometry import Geometry, at_least, epsilon, length_of, times
from mtlkit.balancing.aggregation._nonnegative_quadratic import ridge

_STEPS, _LAST_STEPS = 50, 2


def fair_weights(geometry: Geometry, power: float) -> Any:
    """Positive weights `u` of unit rows with `cosines @ u = norms**(power - 1) * u**-power`.

    They are the only minimum of a convex function, `u @ cosines @ u / 2` plus a barrier. A step
    is shortened by how far it would change a weight against itself, for which the theory of
    self-concordant functions (Sun and Tran-Dinh, arXiv 1703.04599) promises a descent.
    """
    tolerance = epsilon(geometry.dtype) ** 0.4  # of a step: what is left is its square
    identity = ops.eye(geometry.num_tasks, dtype=geometry.dtype)
    # As good as nothing, but where gradients cancel out, and weights would grow for ever.
    ridged = geometry.cosines + ridge(geometry.cosines)
    lengths = ops.where(geometry.present > 0, geometry.norms / geometry.longest, 1.0)
    wanted = lengths ** (power - 1)

    def stepped(weights: Any, cosines: Any) -> tuple[Any, Any]:
        """Weights after a step, and how far it goes against the weights."""
        barrier = wanted * weights**-power
        slope = times(cosines, weights) - barrier
        # In units of the weights, in which the equations are well scaled.
        scaled = ridged * weights[:, None] * weights[None, :]
        curvature = scaled + identity * (power * barrier * weights)[:, None]
        scale = ops.sqrt(ops.diagonal(curvature))
        balanced = curvature / (scale[:, None] * scale[None, :])
        relative = ops.solve(balanced, (-slope * weights / scale)[:, None])[:, 0] / scale
        size = ops.max(ops.abs(relative))
        measure = (1 + power) * size
        short = ops.log1p(measure) / at_least(measure, 1e-30)
        length = ops.where(measure < 0.3, 1.0, short)
        return weights * at_least(1 + length * relative, 0.1), size

    weights = wanted ** (1 / (1 + power))  # right where all rows are orthogonal
    product = at_least(length_of(weights, ridged) ** 2, epsilon(geometry.dtype))
    pull = ops.sum(wanted * weights ** (1 - power))
    weights = weights * (pull / product) ** (1 / (1 + power))
    weights, _ = ops.while_loop(
        lambda weights, size: size > tolerance,
        lambda weights, size: stepped(weights, ridged),
        (weights, ops.ones_like(weights[0])),
        maximum_iterations=_STEPS,
    )
    # A few steps without the ridge, unless it is all that holds the weights.
    better = weights
    for _ in range(_LAST_STEPS):
        better, _ = stepped(better, geometry.cosines)
    held = (ridged - geometry.cosines)[0, 0] * weights ** (1 + power) / wanted
    weights = ops.where(ops.max(held) < 0.1, better, weights)
    return geometry.present * weights * geometry.longest ** ((power - 1) / (power + 1))
