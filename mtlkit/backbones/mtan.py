"""Multi-task attention networks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from mtlkit.backbones._frame import Frame
from mtlkit.backbones._parts import check_part
from mtlkit.backbones._task_backbone import TaskBackbone
from mtlkit.layers._channels import channel_axis
from mtlkit.layers.task_attention import TaskAttention


@keras.saving.register_keras_serializable(package="mtlkit")
class MTAN(TaskBackbone):
    """A shared trunk, out of whose stages each task takes what its attention masks let through.

    Each stage of the trunk computes a first feature `u` and from it a second one `p`. A task
    reads `a * p`, with the mask `a` computed by a `mtlkit.layers.task_attention.TaskAttention`
    from `u` and, behind the first stage, from what the task took of the stage before (brought
    to the size of `u` by a stage of the task's own). The trunk itself is not masked, so tasks
    share all of it.

    In a `mtlkit.MultiTaskModel` each task reads the map of its name. The maps are a dict;
    `feature_names` lists them: `"input"` (the sample, normalised), `"stage1"`, `"stage2"`, ...
    (those of the trunk, `p`), then the tasks.

    Features are computed by 3x3 convolution and ReLU for images, dense and ReLU for vectors;
    maps are halved between stages. The masks have no batch normalisation, other than in
    the paper. `normalize` is as in `mtlkit.backbones.ConvBackbone`; leave it on.

    Args:
        tasks: Names of the tasks.
        stages: Widths of the stages.
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
        `{"input": (batch, ...), "stage1": (batch, ...), ..., task: (batch, ...), ...}`, the
        tasks' all of the shape of the last stage's.

    Raises:
        ValueError: If the names of the tasks are repeated or those of other maps, there is no
            stage, or the image is too small for so many.

    Example:
        ```python
        import mtlkit as mtl
        from mtlkit.backbones.mtan import MTAN

        backbone = MTAN(("identity", "intensity"), stages=(4, 8))
        tasks = [
            mtl.Task("identity", mtl.heads.ClassificationHead(10)),
            mtl.Task("intensity", mtl.heads.RegressionHead()),
        ]
        model = mtl.MultiTaskModel(backbone, tasks)
        assert backbone.output["intensity"].shape == (None, 16, 16, 8)
        ```

    Reference:
        [Liu et al., End-to-End Multi-Task Learning with Attention,
        2019](https://arxiv.org/abs/1803.10704)
    """

    def __init__(
        self,
        tasks: Sequence[str],
        stages: Sequence[int] = (32, 64, 128),
        input_shape: tuple[int, ...] | None = None,
        normalize: bool = True,
        batch_norm: bool = False,
        data_format: str | None = None,
        dtype: Any = None,
        **kwargs: Any,
    ) -> None:
        if isinstance(stages, keras.layers.Layer):
            raise ValueError(f"Expected the widths of the stages. Received: stages={stages!r}")
        widths = check_part("stages", stages)

        # === Functional model ===
        frame = Frame(tasks, input_shape, normalize, batch_norm, data_format, dtype)
        axis = channel_axis(len(frame.features.shape), frame.data_format)
        shared = frame.features
        taken: dict[str, Any] = {}
        maps: dict[str, Any] = {}
        for number, width in enumerate(widths, 1):
            first = frame.stack((width,), shared, f"stage{number}_first")
            shared = frame.stack((width,), first, f"stage{number}_second", halve=False)
            maps[f"stage{number}"] = shared
            for task in frame.tasks:
                context = first
                if task in taken:
                    before = frame.stack((width,), taken[task], f"{task}_stage{number}")
                    context = ops.concatenate([first, before], axis=axis)
                attention = TaskAttention(
                    frame.data_format, dtype=frame.policy, name=f"{task}_attention{number}"
                )
                taken[task] = attention([shared, context])
        super().__init__(frame, maps | taken, **kwargs)

        # === Config ===
        self.stages = widths

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "stages": self.stages}
