"""Customized gate control, and progressive layered extraction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from mtlkit.backbones._frame import Frame
from mtlkit.backbones._parts import check_part, serialize_part
from mtlkit.backbones._task_backbone import TaskBackbone


@keras.saving.register_keras_serializable(package="mtlkit")
class CGC(TaskBackbone):
    """Levels of experts, some shared and some of one task alone, mixed by gates.

    One level is customized gate control (CGC), several are progressive layered extraction
    (PLE). At each level, every task has experts of its own that read its feature `x_t`, and
    there are experts for all that read the shared feature `x_s`; on the first level both are
    the trunk's map. Gates mix them (see `mtlkit.layers.expert_gate.ExpertGate`):

    - the next `x_t` is a mixture of the task's own experts and the shared ones, by a gate
      that reads `x_t`;
    - the next `x_s` is a mixture of all experts, by a gate that reads `x_s`. The last level
      needs none.

    So, other than in `mtlkit.backbones.mmoe.MMoE`, conflicting tasks have places of their own.

    In a `mtlkit.MultiTaskModel` each task reads the map of its name. The maps are a dict;
    `feature_names` lists them: `"input"` (the sample, normalised), `"trunk"` (if there is
    one), then the tasks.

    Trunk and experts are given as layers, or as widths of stages: of 3x3 convolution and ReLU
    for images, dense and ReLU for vectors. Each convolutional stage halves its map first,
    except a stage that reads the input itself. `normalize` is as in
    `mtlkit.backbones.ConvBackbone`; leave it on.

    Args:
        tasks: Names of the tasks.
        experts: The expert of each level, from the first to the last: widths of its stages; or
            a layer or model, which is copied for each expert with new weights (its
            initializers should have no fixed seed, else the experts are all the same).
        num_shared: Number of shared experts at each level.
        num_specific: Number of each task's own experts at each level.
        trunk: Widths of the stages before the experts, or a layer or model, which is used as
            it is. `None`: no trunk; the first gates then read the mean of the input.
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
        all of the shape of the output of an expert of the last level.

    Raises:
        ValueError: If the names of the tasks are repeated or those of other maps, there is no
            level, shared or own expert, a part is neither a layer nor widths, or the image is
            too small for it.

    Example:
        ```python
        import mtlkit as mtl
        from mtlkit.backbones.cgc import CGC

        backbone = CGC(("identity", "intensity"), experts=[(8,), (12,)], trunk=(4,))
        tasks = [
            mtl.Task("identity", mtl.heads.ClassificationHead(10)),
            mtl.Task("intensity", mtl.heads.RegressionHead()),
        ]
        model = mtl.MultiTaskModel(backbone, tasks)
        assert backbone.output["intensity"].shape == (None, 8, 8, 12)
        ```

    Reference:
        [Tang et al., Progressive Layered Extraction (PLE): A Novel Multi-Task Learning Model
        for Personalized Recommendations, 2020](https://doi.org/10.1145/3383313.3412236)
    """

    def __init__(
        self,
        tasks: Sequence[str],
        experts: Sequence[keras.layers.Layer | Sequence[int]] = ((64,), (128,)),
        num_shared: int = 2,
        num_specific: int = 1,
        trunk: keras.layers.Layer | Sequence[int] | None = (32,),
        input_shape: tuple[int, ...] | None = None,
        normalize: bool = True,
        batch_norm: bool = False,
        data_format: str | None = None,
        dtype: Any = None,
        **kwargs: Any,
    ) -> None:
        for argument, value in (("num_shared", num_shared), ("num_specific", num_specific)):
            if value < 1:
                raise ValueError(f"Expected {argument} >= 1. Received: {argument}={value}")
        if not isinstance(experts, list | tuple) or not experts:
            raise ValueError(
                "Expected a list of experts, one for each of at least one level. "
                f"Received: experts={experts!r}"
            )
        levels = tuple(check_part(f"experts[{i}]", expert) for i, expert in enumerate(experts))
        trunk = None if trunk is None else check_part("trunk", trunk)

        # === Functional model ===
        frame = Frame(tasks, input_shape, normalize, batch_norm, data_format, dtype)
        x, maps = frame.features, {}
        if trunk is not None:
            x = maps["trunk"] = frame.apply(trunk, x, "trunk")
        features = dict.fromkeys((*frame.tasks, "shared"), x)
        numbers = dict.fromkeys(frame.tasks, num_specific) | {"shared": num_shared}
        for level, expert in enumerate(levels, 1):
            outputs = {
                owner: [
                    frame.apply_copy(expert, features[owner], f"{owner}_level{level}_expert{n}")
                    for n in range(1, number + 1)
                ]
                for owner, number in numbers.items()
            }
            seen = {task: outputs[task] + outputs["shared"] for task in frame.tasks}
            if level < len(levels):
                seen["shared"] = [output for own in outputs.values() for output in own]
            features = {
                owner: frame.gate(features[owner], found, f"{owner}_level{level}_gate")
                for owner, found in seen.items()
            }
        super().__init__(frame, maps | features, **kwargs)

        # === Config ===
        # Not the layers: Keras would take their weights for the model's.
        self._experts = [serialize_part(expert) for expert in levels]
        self.num_shared = num_shared
        self.num_specific = num_specific
        self.trunk = trunk

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "experts": self._experts,
            "num_shared": self.num_shared,
            "num_specific": self.num_specific,
            "trunk": serialize_part(self.trunk),
        }
