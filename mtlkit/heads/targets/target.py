"""The frame of targets: what the outputs of an orientation head mean."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import keras
import numpy as np
from keras import ops

from mtlkit._largest import largest
from mtlkit.losses._distances import bin_distance

#: The ways in which a prediction is made from probabilities.
_DECISIONS = ("likeliest", "least_cost")


class Target(ABC):
    """What labels are turned into, how that is learnt, and what outputs say.

    A design gives a profile, `channels` numbers a bin, of shape `(batch, num_bins * channels)`;
    the target reads its outputs from it. Everything is in `keras.ops` and works inside a
    graph.

    Args:
        num_bins: Number of bins.
        circular: Whether the last bin is the neighbour of the first.
        label_period: Length of the circle in the unit of the labels, such as 360 for labels
            in degrees. `None`: labels are bins.
        decision: `"likeliest"`: the prediction is what the outputs say. `"least_cost"`: it is
            the bin whose expected distance to the label is the least, the median of the
            probabilities (conditional risk minimisation, CRM).

    Raises:
        ValueError: If the decision is none of the above.

    Example:
        ```python
        import numpy as np
        from mtlkit.heads.targets import BinsTarget

        logits = np.log([[0.4, 0.0001, 0.3, 0.3]])
        assert float(BinsTarget(4, decision="least_cost").position(logits)[0]) == 3.0
        ```

    Reference:
        [Karthik et al., No Cost Likelihood Manipulation at Test Time for Making Better
        Mistakes in Deep Networks, 2021](https://arxiv.org/abs/2104.00795)
    """

    channels = 1
    #: Whether `said_position` may lie outside of a circle's `[0, num_bins)`.
    says_outside = True

    def __init__(
        self,
        num_bins: int,
        circular: bool = True,
        label_period: float | None = None,
        decision: str = "likeliest",
    ) -> None:
        if decision not in _DECISIONS:
            raise ValueError(
                f"Expected decision to be one of {_DECISIONS}. Received: decision={decision!r}"
            )
        self.num_bins = num_bins
        self.circular = circular
        self.label_period = label_period
        self.decision = decision

    @property
    @abstractmethod
    def num_outputs(self) -> int:
        """Number of outputs of a sample."""

    @abstractmethod
    def outputs(self, profile: Any) -> Any:
        """Reads outputs `(batch, num_outputs)` from a profile `(batch, num_bins * channels)`."""

    @abstractmethod
    def loss(self) -> keras.losses.Loss:
        """Returns the loss of the outputs, one value a sample."""

    @abstractmethod
    def probability(self, outputs: Any) -> Any:
        """Returns the probabilities of the bins, of shape `(batch, num_bins)`."""

    @abstractmethod
    def said_position(self, outputs: Any) -> Any:
        """Returns what the outputs say: positions in bins, of shape `(batch,)`, float32.

        On a circle they may lie outside of `[0, num_bins)`, if `says_outside`.
        """

    def resultant_length(self, outputs: Any) -> Any:
        """Returns the mean resultant length of the probabilities, of shape `(batch,)`."""
        directions = bin_directions(self.num_bins)
        return vector_length(ops.matmul(self.probability(outputs), directions))

    def position(self, outputs: Any) -> Any:
        """Returns the prediction: positions in bins, of shape `(batch,)`, float32.

        On a circle they are in `[0, num_bins)`.
        """
        outputs = ops.cast(outputs, "float32")
        if self.decision == "likeliest":
            said = self.said_position(outputs)
            return self._around(said) if self.circular and self.says_outside else said
        bins = np.arange(self.num_bins, dtype="float32")
        distance = bin_distance(bins[:, None], bins[None, :], self.num_bins, self.circular)
        cost = ops.matmul(self.probability(outputs), distance)
        return ops.cast(largest(-cost), "float32")

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor."""
        return {
            "num_bins": self.num_bins,
            "circular": self.circular,
            "label_period": self.label_period,
            "decision": self.decision,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Target:
        """Builds a target from what `get_config` returned."""
        return cls(**config)

    def _around(self, position: Any) -> Any:
        position = ops.mod(position, self.num_bins)
        # Just below 0 a float32 number is rounded to the whole circle.
        return ops.where(position < self.num_bins, position, ops.zeros_like(position))


def bin_directions(num_bins: int) -> np.ndarray:
    """The cosine and sine of each bin's angle, float32, of shape `(num_bins, 2)`."""
    angle = np.arange(num_bins) * (2 * np.pi / num_bins)
    return np.stack([np.cos(angle), np.sin(angle)], axis=1).astype("float32")


def vector_length(vectors: Any) -> Any:
    """The Euclidean length of vectors, at least 1e-12: the root has no gradient at 0.

    Args:
        vectors: Vectors of shape `(..., dim)`.

    Returns:
        Lengths of shape `(...)`.
    """
    return ops.sqrt(ops.maximum(ops.sum(ops.square(vectors), axis=-1), 1e-24))
