"""Moving the weights of levels from coarse to fine as training goes on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras

from mtlkit.losses.hierarchical.coarse_to_fine import checked_level_weights


def coarse_to_fine_stages(
    num_levels: int, epochs: int, focus: float = 0.8
) -> dict[int, tuple[float, ...]]:
    """Makes stages that attend to one level after another, and in the end to the last alone.

    The first half of the epochs is divided evenly between the levels, coarsest first; the
    level of a stage has the weight `focus`, and the others share what is left. In the second
    half the last level has the weight 1.

    Args:
        num_levels: Number of levels.
        epochs: Number of epochs of the training.
        focus: Weight of the level that a stage attends to.

    Returns:
        Weights by the epoch from which they hold, for `LevelWeightSchedule`.

    Raises:
        ValueError: If there are too few epochs for the stages, or `focus` is not in (0, 1].

    Example:
        ```python
        from mtlkit.losses.hierarchical import coarse_to_fine_stages

        stages = coarse_to_fine_stages(num_levels=2, epochs=20)
        assert list(stages) == [0, 5, 10] and stages[10] == (0, 1)
        ```
    """
    if num_levels < 1 or epochs < 2 * num_levels or not 0 < focus <= 1:
        raise ValueError(
            "Expected num_levels >= 1, at least two epochs for each, and focus in (0, 1]. "
            f"Received: num_levels={num_levels}, epochs={epochs}, focus={focus}"
        )
    last = tuple(float(level == num_levels - 1) for level in range(num_levels))
    if num_levels == 1:
        return {0: last}
    rest = (1 - focus) / (num_levels - 1)
    stages = {
        stage * epochs // (2 * num_levels): tuple(
            focus if level == stage else rest for level in range(num_levels)
        )
        for stage in range(num_levels)
    }
    return {**stages, epochs // 2: last}


class LevelWeightSchedule(keras.callbacks.Callback):
    """Sets the weights of the levels of a coarse-to-fine head, by epoch.

    The weights are a variable of the model, so they change without recompiling, and are
    saved with it.

    Args:
        level_weights: The variable, `head.level_weights` of a
            `mtlkit.heads.HierarchicalHead` with `loss="coarse_to_fine"`.
        stages: The weights of the levels by the epoch, from 0 on, from which they hold, such
            as `{0: [0.98, 0.02], 8: [0.2, 0.8], 18: [0, 1]}`, or from
            `coarse_to_fine_stages`.

    Raises:
        ValueError: If there are no stages, the first is not at epoch 0, or weights are not
            one for each level, not negative and not all zero.

    Example:
        ```python
        import keras
        from mtlkit.losses.hierarchical import LevelWeightSchedule

        weights = keras.Variable([0.5, 0.5], trainable=False)
        schedule = LevelWeightSchedule(weights, {0: [0.9, 0.1], 10: [0.0, 1.0]})
        schedule.on_epoch_begin(12)
        assert keras.ops.convert_to_numpy(weights).tolist() == [0, 1]
        ```

    Reference:
        [Zhu and Bain, B-CNN: Branch Convolutional Neural Network for Hierarchical
        Classification, 2017](https://arxiv.org/abs/1709.09890)
    """

    def __init__(self, level_weights: Any, stages: Mapping[int, Sequence[float]]) -> None:
        super().__init__()
        if not stages or min(stages) != 0:
            raise ValueError(f"Expected stages from epoch 0 on. Received: stages={dict(stages)}")
        (depth,) = level_weights.shape
        self.level_weights = level_weights
        self.stages = {
            epoch: checked_level_weights(weights, depth)
            for epoch, weights in sorted(stages.items())
        }

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        begun = [start for start in self.stages if start <= epoch]
        self.level_weights.assign(self.stages[begun[-1]])
