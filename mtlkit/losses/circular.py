"""Losses for labels on a circle, or on a line of ordered bins."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from mtlkit.losses._distances import bin_distance, label_position

#: The shapes of soft labels.
_KINDS = ("gaussian", "von_mises")
#: Below this width, in bins, soft labels are one-hot in float32.
_LEAST_WIDTH = 1e-3


def soft_bin_labels(
    position: Any, num_bins: int, width: float, kind: str = "gaussian", circular: bool = True
) -> Any:
    """Spreads labels over neighbouring bins; the sum over bins is 1.

    With the distance `d` of a bin to the label, in bins, `"gaussian"` is
    `q_i ~ exp(-d^2 / (2 width^2))`, and `"von_mises"` is `q_i ~ exp(k cos(2 pi d / num_bins))`
    with `k = (num_bins / (2 pi width))^2`, the concentration of that width. As `width` goes
    to 0 both tend to one-hot labels, as it grows to uniform ones.

    Args:
        position: Positions of the labels in bins, of shape `(batch,)`; need not be whole.
        num_bins: Number of bins.
        width: Width of the distribution, in bins; 0 for one-hot labels.
        kind: `"gaussian"` or `"von_mises"`.
        circular: Whether the last bin is the neighbour of the first.

    Returns:
        Probabilities of shape `(batch, num_bins)`, float32.

    Raises:
        ValueError: If the kind is unknown, or a von Mises distribution is asked for on a line.

    Example:
        ```python
        import numpy as np
        from mtlkit.losses import soft_bin_labels

        labels = np.asarray(soft_bin_labels(np.array([0]), num_bins=8, width=1.0))
        assert np.isclose(labels.sum(), 1) and np.isclose(labels[0, 1], labels[0, 7])
        ```

    Reference:
        [Yang and Yan, Arbitrary-Oriented Object Detection with Circular Smooth Label,
        2020](https://arxiv.org/abs/2003.05597)
    """
    _check_kind(kind, circular)
    position = ops.reshape(ops.cast(position, "float32"), (-1, 1))
    if width < _LEAST_WIDTH:
        return _one_hot(position[:, 0], num_bins, circular)
    bins = ops.arange(num_bins, dtype="float32")[None, :]
    distance = bin_distance(bins, position, num_bins, circular)
    if kind == "gaussian":
        return ops.softmax(-ops.square(distance / width) / 2, axis=-1)
    concentration = (num_bins / (2 * math.pi * width)) ** 2
    # cos - 1 = -2 sin^2(half), which keeps its digits where the concentration is large.
    half = ops.sin(distance * (math.pi / num_bins))
    return ops.softmax(-2 * concentration * ops.square(half), axis=-1)


def _one_hot(position: Any, num_bins: int, circular: bool) -> Any:
    """One at the nearest bin, half-way at the lower one: of shape `(batch, num_bins)`."""
    nearest = ops.ceil(position - 0.5)
    inside = ops.mod(nearest, num_bins) if circular else ops.clip(nearest, 0, num_bins - 1)
    return ops.one_hot(ops.cast(inside, "int32"), num_bins, dtype="float32")


def circular_earth_movers_distance(p: Any, q: Any) -> Any:
    """How far mass has to move around a circle, in bins, to turn `p` into `q`.

    `W = sum_i |D_i - median(D)|` with `D = cumsum(p - q)`.

    Args:
        p: Probabilities of shape `(batch, bins)`.
        q: Probabilities of shape `(batch, bins)`.

    Returns:
        Distances of shape `(batch,)`.

    Example:
        ```python
        import numpy as np
        from mtlkit.losses import circular_earth_movers_distance

        eye = np.eye(8, dtype="float32")
        assert float(circular_earth_movers_distance(eye[:1], eye[7:])[0]) == 1.0
        ```

    Reference:
        [Rabin, Delon and Gousseau, Transportation Distances on the Circle,
        2011](https://arxiv.org/abs/0906.5499)
    """
    difference = ops.cumsum(ops.subtract(p, q), axis=-1)
    middle = ops.median(difference, axis=-1, keepdims=True)
    return ops.sum(ops.abs(difference - middle), axis=-1)


@keras.saving.register_keras_serializable(package="mtlkit")
class CircularCrossEntropy(keras.losses.Loss):
    """Cross-entropy of logits over bins on a circle, with labels that may be smooth.

    `-sum_i q_i log softmax(z)_i + emd_weight * sum_i softmax(z)_i d_i` with the labels `q` of
    `soft_bin_labels` and the distances `d_i` to the label, in bins. The second term is the
    earth mover's distance to the label. It is a regulariser only: alone it has a flat
    optimum at chance, where every prediction that ignores the input costs the same.

    Args:
        num_bins: Number of bins.
        width: Width of the labels, in bins; 0 for one-hot labels.
        kind: `"gaussian"` or `"von_mises"`, the shape of the labels.
        circular: Whether the last bin is the neighbour of the first.
        emd_weight: Weight of the earth mover's distance.
        label_period: Length of the circle in the unit of the labels, such as 360 for labels
            in degrees. `None`: labels are bins.
        name: Name of the loss.
        **kwargs: Passed on to `keras.losses.Loss`.

    Raises:
        ValueError: If an argument is out of range, or a von Mises distribution is asked for
            on a line.

    Example:
        ```python
        import numpy as np
        from mtlkit.losses import CircularCrossEntropy

        loss = CircularCrossEntropy(num_bins=32, width=0.5)
        chance = loss(np.array([3, 31]), np.zeros((2, 32), "float32"))
        assert np.isclose(float(chance), np.log(32), atol=1e-5)
        ```

    Reference:
        [Yang and Yan, Circular Smooth Label, 2020](https://arxiv.org/abs/2003.05597);
        [Liu et al., Conservative Wasserstein Training for Pose Estimation,
        2019](https://arxiv.org/abs/1911.00962)
    """

    def __init__(
        self,
        num_bins: int,
        width: float = 0.0,
        kind: str = "gaussian",
        circular: bool = True,
        emd_weight: float = 0.0,
        label_period: float | None = None,
        name: str = "circular_cross_entropy",
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        if num_bins < 2 or width < 0 or emd_weight < 0:
            raise ValueError(
                "Expected num_bins >= 2, width >= 0 and emd_weight >= 0. "
                f"Received: num_bins={num_bins}, width={width}, emd_weight={emd_weight}"
            )
        _check_kind(kind, circular)
        self.num_bins = num_bins
        self.width = width
        self.kind = kind
        self.circular = circular
        self.emd_weight = emd_weight
        self.label_period = label_period

    def call(self, y_true: Any, y_pred: Any) -> Any:
        position = label_position(y_true, self.num_bins, self.label_period)
        labels = soft_bin_labels(position, self.num_bins, self.width, self.kind, self.circular)
        logits = ops.cast(y_pred, "float32")
        loss = -ops.sum(labels * ops.log_softmax(logits, axis=-1), axis=-1)
        if self.emd_weight:
            bins = ops.arange(self.num_bins, dtype="float32")[None, :]
            distance = bin_distance(bins, position[:, None], self.num_bins, self.circular)
            moved = ops.sum(ops.softmax(logits, axis=-1) * distance, axis=-1)
            loss = loss + self.emd_weight * moved
        return loss

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_bins": self.num_bins,
            "width": self.width,
            "kind": self.kind,
            "circular": self.circular,
            "emd_weight": self.emd_weight,
            "label_period": self.label_period,
        }


@keras.saving.register_keras_serializable(package="mtlkit")
class PhaseLoss(keras.losses.Loss):
    """Mean squared error of an angle's cosines at several phases.

    The target of an angle `a` is `cos(a + phase)` for each phase. Phases of 0 and -90 degrees
    are the cosine and the sine; phases evenly spread over the circle are the phase-shifting
    coder (PSC).

    Args:
        num_bins: Number of bins around the circle, of which labels are one.
        phases: The phases, in degrees; at least two that are not opposite.
        label_period: Length of the circle in the unit of the labels, such as 360 for labels
            in degrees. `None`: labels are bins.
        name: Name of the loss.
        **kwargs: Passed on to `keras.losses.Loss`.

    Raises:
        ValueError: If `num_bins < 2`.

    Example:
        ```python
        import numpy as np
        from mtlkit.losses import PhaseLoss

        loss = PhaseLoss(num_bins=4)
        assert float(loss(np.array([1]), np.array([[0.0, 1.0]]))) < 1e-12  # 90 degrees
        ```

    Reference:
        [Yu and Da, Phase-Shifting Coder: Predicting Accurate Orientation in Oriented Object
        Detection, 2023](https://arxiv.org/abs/2211.06368)
    """

    def __init__(
        self,
        num_bins: int,
        phases: Sequence[float] = (0.0, -90.0),
        label_period: float | None = None,
        name: str = "phase_loss",
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        _check_num_bins(num_bins)
        self.num_bins = num_bins
        self.phases = tuple(phases)
        self.label_period = label_period

    def call(self, y_true: Any, y_pred: Any) -> Any:
        position = label_position(y_true, self.num_bins, self.label_period)
        angle = position[:, None] * (2 * math.pi / self.num_bins)
        target = ops.cos(angle + ops.array([math.radians(p) for p in self.phases], "float32"))
        return ops.mean(ops.square(ops.cast(y_pred, "float32") - target), axis=-1)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_bins": self.num_bins,
            "phases": self.phases,
            "label_period": self.label_period,
        }


@keras.saving.register_keras_serializable(package="mtlkit")
class MultiBinLoss(keras.losses.Loss):
    """Cross-entropy over bins, and the angle left over within the bins around the label.

    `-log softmax(z)_t + residual_weight * mean_i s (1 - cos(a - a_i - r_i))` over the bins `i`
    that are at most one bin from the label, `t` being the nearest. The scale
    `s = 2 (num_bins / (2 pi))^2` makes the second term the squared error, in bins, where it
    is small.

    Args:
        num_bins: Number of bins around the circle.
        residual_weight: Weight of the second term.
        label_period: Length of the circle in the unit of the labels, such as 360 for labels
            in degrees, without which there is nothing left over to learn. `None`: labels
            are bins.
        name: Name of the loss.
        **kwargs: Passed on to `keras.losses.Loss`.

    Raises:
        ValueError: If `num_bins < 2`.

    Output shape:
        Predictions are of shape `(batch, 2 num_bins)`: logit and residual (in bins) of the
        first bin, of the second, and so on.

    Example:
        ```python
        import numpy as np
        from mtlkit.losses import MultiBinLoss

        loss = MultiBinLoss(num_bins=4, label_period=360)
        outputs = np.array([[0, 0, 50, 0.1, 0, 0, 0, 0]], "float32")  # bin 1 and 9 degrees
        assert float(loss(np.array([99.0]), outputs)) < 1.0
        ```

    Reference:
        [Mousavian et al., 3D Bounding Box Estimation Using Deep Learning and Geometry,
        2017](https://arxiv.org/abs/1612.00496)
    """

    def __init__(
        self,
        num_bins: int,
        residual_weight: float = 1.0,
        label_period: float | None = None,
        name: str = "multibin_loss",
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        _check_num_bins(num_bins)
        self.num_bins = num_bins
        self.residual_weight = residual_weight
        self.label_period = label_period

    def call(self, y_true: Any, y_pred: Any) -> Any:
        position = label_position(y_true, self.num_bins, self.label_period)
        outputs = ops.reshape(ops.cast(y_pred, "float32"), (-1, self.num_bins, 2))
        logits, residual = outputs[..., 0], outputs[..., 1]
        label = soft_bin_labels(position, self.num_bins, width=0.0)
        classes = -ops.sum(label * ops.log_softmax(logits, axis=-1), axis=-1)

        bins = ops.arange(self.num_bins, dtype="float32")[None, :]
        near = ops.cast(bin_distance(bins, position[:, None], self.num_bins) <= 1, "float32")
        step = 2 * math.pi / self.num_bins
        # 1 - cos(2a) = 2 sin(a)^2
        missed = ops.square(2 * ops.sin((position[:, None] - bins - residual) * (step / 2)) / step)
        left_over = ops.sum(near * missed, axis=-1) / ops.sum(near, axis=-1)
        return classes + self.residual_weight * left_over

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_bins": self.num_bins,
            "residual_weight": self.residual_weight,
            "label_period": self.label_period,
        }


def _check_kind(kind: str, circular: bool) -> None:
    if kind not in _KINDS or (kind == "von_mises" and not circular):
        raise ValueError(
            f'Expected kind to be one of {_KINDS}, "von_mises" on a circle only. '
            f"Received: kind={kind!r}, circular={circular}"
        )


def _check_num_bins(num_bins: int) -> None:
    if num_bins < 2:
        raise ValueError(f"Expected num_bins >= 2. Received: num_bins={num_bins}")
