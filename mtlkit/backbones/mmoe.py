"""Multi-gate mixture of experts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from mtlkit.backbones._frame import Frame
from mtlkit.backbones._parts import check_part, serialize_part
from mtlkit.backbones._task_backbone import TaskBackbone


@keras.saving.register_keras_serializable(package="mtlkit")
class MMoE(TaskBackbone):
    """A shared trunk, experts behind it, and for each task a gate that mixes them.

    With the trunk's map `x` and experts `f_1, ..., f_n`, the map of task `t` is
    `sum_k g_tk(x) f_k(x)` with the gate `g_t = softmax(W_t pool(x) + b_t)`, see
    `mtlkit.layers.expert_gate.ExpertGate`. So tasks that agree share experts, and tasks that
    conflict may use different ones.

    In a `mtlkit.MultiTaskModel` each task reads the map of its name. The maps are a dict;
    `feature_names` lists them: `"input"` (the sample, normalised), `"trunk"` (if there is
    one), then the tasks.

    Trunk and experts are given as layers, or as widths of stages: of 3x3 convolution and ReLU
    for images, dense and ReLU for vectors. Each convolutional stage halves its map first,
    except a stage that reads the input itself. `normalize` is as in
    `mtlkit.backbones.ConvBackbone`; leave it on.

    Args:
        tasks: Names of the tasks.
        num_experts: Number of experts. A single one is shared by all tasks, without gates.
        expert: Widths of the stages of each expert; or a layer or model, which is copied for
            each with new weights (its initializers should have no fixed seed, else the experts
            are all the same).
        trunk: Widths of the stages before the experts, or a layer or model, which is used as
            it is. `None`: no trunk; the gates then read the mean of the input.
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
        `{"input": (batch, ...), "trunk": (batch, ...), task: (batch, ...), ...}`, the tasks'
        all of the shape of an expert's output.

    Raises:
        ValueError: If the names of the tasks are repeated or those of other maps, there is no
            expert, a part is neither a layer nor widths, or the image is too small for it.

    Example:
        ```python
        import mtlkit as mtl
        from mtlkit.backbones.mmoe import MMoE

        backbone = MMoE(("identity", "orientation"), num_experts=3, expert=(8,), trunk=(4,))
        tasks = [
            mtl.Task("identity", mtl.heads.ClassificationHead(10)),
            mtl.Task("orientation", mtl.heads.OrientationHead(32, spatial="flatten")),
        ]
        model = mtl.MultiTaskModel(backbone, tasks)
        assert backbone.output["orientation"].shape == (None, 16, 16, 8)
        ```

    Reference:
        [Ma et al., Modeling Task Relationships in Multi-task Learning with Multi-gate
        Mixture-of-Experts, 2018](https://doi.org/10.1145/3219819.3220007)
    """

    def __init__(
        self,
        tasks: Sequence[str],
        num_experts: int = 4,
        expert: keras.layers.Layer | Sequence[int] = (64, 128),
        trunk: keras.layers.Layer | Sequence[int] | None = (32,),
        input_shape: tuple[int, ...] | None = None,
        normalize: bool = True,
        batch_norm: bool = False,
        data_format: str | None = None,
        dtype: Any = None,
        **kwargs: Any,
    ) -> None:
        if num_experts < 1:
            raise ValueError(f"Expected num_experts >= 1. Received: num_experts={num_experts}")
        expert = check_part("expert", expert)
        trunk = None if trunk is None else check_part("trunk", trunk)

        # === Functional model ===
        frame = Frame(tasks, input_shape, normalize, batch_norm, data_format, dtype)
        x, maps = frame.features, {}
        if trunk is not None:
            x = maps["trunk"] = frame.apply(trunk, x, "trunk")
        experts = [
            frame.apply_copy(expert, x, f"expert{number}") for number in range(1, num_experts + 1)
        ]
        maps |= {task: frame.gate(x, experts, f"{task}_gate") for task in frame.tasks}
        super().__init__(frame, maps, **kwargs)

        # === Config ===
        self.num_experts = num_experts
        # Not the layer: Keras would take its weights for the model's.
        self._expert = serialize_part(expert)
        self.trunk = trunk

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_experts": self.num_experts,
            "expert": self._expert,
            "trunk": serialize_part(self.trunk),
        }
