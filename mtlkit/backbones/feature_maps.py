"""Reading named feature maps from any backbone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras


class FeatureMaps:
    """A backbone, applied to inputs, and its feature maps by name.

    - A backbone whose output is a dict has the maps that the dict names. One named as a task
      is that task's, unless the task names another.
    - Any other functional or sequential `keras.Model` has one map a layer, named as the
      layer, and its output is the last one.
    - A plain layer or a subclassed model has its output only.
    - `"input"` is always there: where the backbone names no such map it is the input itself.

    Args:
        backbone: A `keras.Model` or layer, from images to features.
        input_shape: Shape of an input without the batch, needed for a layer that does not
            know its own.

    Raises:
        ValueError: If the shape of the input is not known, or the backbone is not a layer.
    """

    def __init__(self, backbone: Any, input_shape: tuple[int, ...] | None = None) -> None:
        if not isinstance(backbone, keras.layers.Layer):
            raise ValueError(
                f"Expected the backbone to be a keras.Model or layer. Received: {backbone!r}"
            )
        self.backbone = backbone
        self._is_graph = _is_graph(backbone)
        self.inputs = self._make_inputs(input_shape)
        outputs = backbone(self.inputs)
        self._outputs: dict[str, Any] = (
            dict(outputs) if isinstance(outputs, dict) else {"output": outputs}
        )
        self._by_dict = isinstance(outputs, dict)

    @property
    def names(self) -> list[str]:
        """Names of the maps, the last one last."""
        names = self._own_names()
        return names if "input" in names else ["input", *names]

    @property
    def by_task(self) -> list[str]:
        """Names of maps that are meant for tasks: those of a backbone with a `dict` as output."""
        return self._own_names() if self._by_dict else []

    @property
    def last(self) -> Any:
        """The last feature map."""
        return self._outputs[self._own_names()[-1]] if self._by_dict else self._outputs["output"]

    def get(self, names: Sequence[str]) -> dict[str, Any]:
        """Returns the maps of these names.

        Args:
            names: Names of maps, each one of `self.names`.

        Returns:
            The symbolic maps by name.
        """
        found = {name: self._outputs[name] for name in names if name in self._outputs}
        if "input" in names and "input" not in self._own_names():
            found["input"] = self.inputs
        layers = [name for name in names if name not in found]
        if layers:
            # One model of taps and output, so that the backbone runs once.
            taps = [_output(self.backbone.get_layer(name)) for name in layers]
            model = keras.Model(
                self.backbone.inputs,
                [*taps, self.backbone.outputs[-1]],
                name=f"{self.backbone.name}_maps",
            )
            *maps, self._outputs["output"] = model(self.inputs)
            found.update(zip(layers, maps, strict=True))
        return found

    def _own_names(self) -> list[str]:
        if self._by_dict:
            ordered = getattr(self.backbone, "feature_names", None)
            return list(ordered or self._outputs)
        if self._is_graph:
            single = [layer for layer in self.backbone.layers if _has_one_output(layer)]
            inputs = (keras.layers.InputLayer,)
            return [layer.name for layer in single if not isinstance(layer, inputs)]
        return ["output"]

    def _make_inputs(self, input_shape: tuple[int, ...] | None) -> Any:
        if self._is_graph:
            # A sequential model has no `input` before it is called.
            sequential = isinstance(self.backbone, keras.Sequential)
            own = self.backbone.inputs[0] if sequential else self.backbone.input
            return keras.tree.map_structure(
                lambda x: keras.Input(batch_shape=x.shape, dtype=x.dtype, name=x.name), own
            )
        if input_shape is None:
            known = (self.backbone.get_build_config() or {}).get("input_shape")
            if known is None:
                raise ValueError(
                    "Expected input_shape=(height, width, channels), since the backbone is a "
                    f"layer that has not been built. Received: backbone={self.backbone!r}"
                )
            input_shape = tuple(known[1:])
        return keras.Input(shape=tuple(input_shape), name="image_input")


def _is_graph(backbone: keras.layers.Layer) -> bool:
    """Whether the backbone is a functional model, or a sequential one that is built."""
    return isinstance(backbone, keras.Model) and bool(getattr(backbone, "inputs", None))


def _output(layer: keras.layers.Layer) -> Any:
    """The layer's output in the graph that calls it; a nested model has one of its own, too."""
    return keras.Operation.output.fget(layer)


def _has_one_output(layer: keras.layers.Layer) -> bool:
    try:
        return isinstance(_output(layer), keras.KerasTensor)
    except (AttributeError, ValueError):  # Keras: never called, or called several times.
        return False
