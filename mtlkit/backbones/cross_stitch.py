"""Cross-stitch networks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from mtlkit.backbones._frame import Frame
from mtlkit.backbones._parts import check_part, serialize_part
from mtlkit.backbones._task_backbone import TaskBackbone
from mtlkit.layers.cross_stitch_unit import CrossStitchUnit


@keras.saving.register_keras_serializable(package="mtlkit")
class CrossStitch(TaskBackbone):
    """One column of stages for each task, which exchange features after every stage.

    Behind each stage a `mtlkit.layers.cross_stitch_unit.CrossStitchUnit` gives column `t` the
    mixture `sum_s alpha_ts x_s` of all columns' features, with learned `alpha`. It starts near
    the identity, at which the columns are independent networks.

    In a `mtlkit.MultiTaskModel` each task reads the map of its name. The maps are a dict;
    `feature_names` lists them: `"input"` (the sample, normalised), then the tasks.

    A stage is 3x3 convolution and ReLU for images, dense and ReLU for vectors. Each
    convolutional stage but the first halves its map first. `normalize` is as in
    `mtlkit.backbones.ConvBackbone`; leave it on.

    Args:
        tasks: Names of the tasks, at least two.
        stages: The stages of each column: each a width; or a layer or model, which is copied
            for each column with new weights.
        self_weight: The initial weight of a column's own feature.
        per_channel: Whether each channel has its own `alpha`.
        input_shape: Shape of a sample without the batch: `(height, width, channels)`, in the
            data format, or `(features,)`. `None`: an image of one channel and 32x32 pixels.
        normalize: Whether to standardise the input, channel by channel.
        batch_norm: Whether stages normalise their batch, before the ReLU.
        data_format: `"channels_last"` or `"channels_first"`. `None`:
            `keras.config.image_data_format()`.
        dtype: Dtype or dtype policy of the layers. `None`: the global one.
        **kwargs: Passed on to `keras.Model`.

    Input shape:
        `(batch, height, width, channels)`, `(batch, channels, height, width)` or
        `(batch, features)`.

    Output shape:
        `{"input": (batch, ...), task: (batch, ...), ...}`, the tasks' all of the shape of the
        last stage's output.

    Raises:
        ValueError: If there are fewer than two tasks, their names are repeated or those of
            other maps, there is no stage, one is neither a layer nor a width, or the image is
            too small for so many.

    Example:
        ```python
        import mtlkit as mtl
        from mtlkit.backbones.cross_stitch import CrossStitch

        backbone = CrossStitch(("identity", "intensity"), stages=(4, 8))
        tasks = [
            mtl.Task("identity", mtl.heads.ClassificationHead(10)),
            mtl.Task("intensity", mtl.heads.RegressionHead()),
        ]
        model = mtl.MultiTaskModel(backbone, tasks)
        assert backbone.output["intensity"].shape == (None, 16, 16, 8)
        ```

    Reference:
        [Misra et al., Cross-stitch Networks for Multi-task Learning,
        2016](https://arxiv.org/abs/1604.03539)
    """

    def __init__(
        self,
        tasks: Sequence[str],
        stages: Sequence[int | keras.layers.Layer] = (32, 64, 128),
        self_weight: float = 0.9,
        per_channel: bool = True,
        input_shape: tuple[int, ...] | None = None,
        normalize: bool = True,
        batch_norm: bool = False,
        data_format: str | None = None,
        dtype: Any = None,
        **kwargs: Any,
    ) -> None:
        if not isinstance(stages, list | tuple) or not stages:
            raise ValueError(f"Expected a list of at least one stage. Received: stages={stages!r}")
        parts = tuple(check_part(f"stages[{i}]", stage) for i, stage in enumerate(stages))

        # === Functional model ===
        frame = Frame(tasks, input_shape, normalize, batch_norm, data_format, dtype)
        if len(frame.tasks) < 2:
            raise ValueError(f"Expected at least two tasks. Received: tasks={tasks!r}")
        columns = [frame.features] * len(frame.tasks)
        for number, part in enumerate(parts, 1):
            columns = [
                frame.apply_copy(part, x, f"{task}_stage{number}")
                for task, x in zip(frame.tasks, columns, strict=True)
            ]
            unit = CrossStitchUnit(
                self_weight,
                per_channel,
                frame.data_format,
                dtype=frame.policy,
                name=f"unit{number}",
            )
            columns = unit(columns)
        super().__init__(frame, dict(zip(frame.tasks, columns, strict=True)), **kwargs)

        # === Config ===
        # Not the layers: Keras would take their weights for the model's.
        self._stages = [serialize_part(stage) for stage in parts]
        self.self_weight = self_weight
        self.per_channel = per_channel

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "stages": self._stages,
            "self_weight": self.self_weight,
            "per_channel": self.per_channel,
        }
