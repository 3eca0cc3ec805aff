"""The angle itself, as its cosines at several phases."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from mtlkit.heads.targets.target import Target, bin_directions, vector_length
from mtlkit.losses.circular import PhaseLoss


@keras.saving.register_keras_serializable(package="mtlkit")
class PhasesTarget(Target):
    """Outputs are `cos(a + phase)` of the angle `a`, for several phases.

    They are read from the first circular harmonic of the profile, which turns as the
    profile does. The angle is that of the vector `(c, s)` for which the outputs
    `c cos(phase) - s sin(phase)` are the nearest (least squares), and the length of this
    vector the mean resultant length `R`. The probabilities are the von Mises distribution of
    this angle and `R` (or, by an approximation, of a length up to 0.012 larger): of all
    distributions that have them, the one with the largest entropy.

    Args:
        num_bins: Number of bins.
        phases: The phases, in degrees. `(0, -90)`: cosine and sine.
        **kwargs: As for `Target`.

    Raises:
        ValueError: If the phases do not tell all angles apart, or bins are not on a circle.

    Example:
        ```python
        import numpy as np
        from mtlkit.heads.targets import PhasesTarget

        target = PhasesTarget(num_bins=8)
        assert np.isclose(float(target.position(np.array([[0.0, 0.7]]))[0]), 2.0)  # 90 degrees
        ```

    Reference:
        [Yu and Da, Phase-Shifting Coder, 2023](https://arxiv.org/abs/2211.06368);
        [Banerjee et al., Clustering on the Unit Hypersphere using von Mises-Fisher
        Distributions, 2005](https://jmlr.org/papers/v6/banerjee05a.html)
    """

    def __init__(
        self, num_bins: int, phases: Sequence[float] = (0.0, -90.0), **kwargs: Any
    ) -> None:
        super().__init__(num_bins, **kwargs)
        self.phases = tuple(float(phase) for phase in phases)
        radians = np.radians(self.phases)
        basis = np.stack([np.cos(radians), -np.sin(radians)])  # x = basis^T (cos a, sin a)
        if not self.circular:
            raise ValueError(
                "Expected bins on a circle, which have angles. Received: circular=False"
            )
        if len(phases) < 2 or np.linalg.svd(basis)[1].min() < 1e-3:
            raise ValueError(
                "Expected phases of which at least two are neither equal nor opposite. "
                f"Received: phases={self.phases}"
            )
        self._encode = basis.astype("float32")
        self._decode = np.linalg.pinv(basis).astype("float32")
        self._bins = bin_directions(num_bins)

    @property
    def num_outputs(self) -> int:
        return len(self.phases)

    def outputs(self, profile: Any) -> Any:
        harmonic = ops.matmul(ops.cast(profile, "float32"), self._bins * (2 / self.num_bins))
        return ops.matmul(harmonic, self._encode)

    def loss(self) -> keras.losses.Loss:
        return PhaseLoss(self.num_bins, self.phases, self.label_period)

    def probability(self, outputs: Any) -> Any:
        vector = self._vector(outputs)
        length = vector_length(vector)[:, None]
        cosine = ops.matmul(vector / length, np.transpose(self._bins))
        return ops.softmax(_concentration(ops.clip(length, 0.0, 0.999)) * cosine, axis=-1)

    def said_position(self, outputs: Any) -> Any:
        vector = self._vector(outputs)
        return ops.arctan2(vector[:, 1], vector[:, 0]) * (self.num_bins / (2 * math.pi))

    def resultant_length(self, outputs: Any) -> Any:
        return ops.minimum(vector_length(self._vector(outputs)), 1.0)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "phases": self.phases}

    def _vector(self, outputs: Any) -> Any:
        """The cosine and sine of the angle, times the mean resultant length."""
        return ops.matmul(ops.cast(outputs, "float32"), self._decode)


def _concentration(length: Any) -> Any:
    """The von Mises concentration of a mean resultant length, by Banerjee et al."""
    square = ops.square(length)
    return length * (2 - square) / (1 - square)
