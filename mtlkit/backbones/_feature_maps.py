"""Reading named feature maps from any backbone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from mtlkit.layers.rotation_orbit import RotationOrbit


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
        orbit: Whether the backbone also runs over the three other quarter turns of the
            image, for `get_orbit`.
    """

    def __init__(
        self,
        backbone: Any,
        input_shape: tuple[int, ...] | None = None,
        orbit: bool = False,
    ) -> None:
        if not isinstance(backbone, keras.layers.Layer):
            raise ValueError(
                f"Expected the backbone to be a keras.Model or layer. Received: {backbone!r}"
            )
        self.backbone = backbone
        self._is_graph = _is_graph(backbone)
        self.inputs = self._make_inputs(input_shape)
        self._orbit = orbit
        if orbit and not (hasattr(self.inputs, "shape") and len(self.inputs.shape) == 4):
            raise ValueError(
                "Expected a backbone with one image as its input, since a head reads the image's "
                f"quarter turns. Received: inputs={self.inputs}"
            )
        outputs = self._apply(backbone)
        # With an axis of turns after the batch, if there is an orbit.
        self._outputs: dict[str, Any] = (
            dict(outputs) if isinstance(outputs, dict) else {"output": outputs}
        )
        self._by_dict = isinstance(outputs, dict)
        self._taps: dict[str, Any] = {}
        self._added: dict[str, Any] = {}

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
        return self._upright(self._last)

    @property
    def last_orbit(self) -> Any:
        """The last feature map of all four quarter turns, stacked after the batch."""
        return self._last

    def get(self, names: Sequence[str]) -> dict[str, Any]:
        """Returns the maps of these names."""
        return {name: self._upright(feature) for name, feature in self.get_orbit(names).items()}

    def get_orbit(self, names: Sequence[str]) -> dict[str, Any]:
        """Returns the maps of these names, of all four quarter turns if there is an orbit."""
        known = {**self._outputs, **self._taps}
        found = {name: known[name] for name in names if name in known}
        if "input" in names and "input" not in found and "input" not in self._own_names():
            found["input"] = self._apply(keras.layers.Identity(name="input_map"))
        layers = [name for name in dict.fromkeys(names) if name not in found]
        if layers:
            # One model of taps and output, so that the backbone runs once.
            taps = [_output(self.backbone.get_layer(name)) for name in layers]
            model = keras.Model(
                self.backbone.inputs,
                [*taps, self.backbone.outputs[-1]],
                name=f"{self.backbone.name}_maps",
            )
            *maps, self._outputs["output"] = self._apply(model)
            found.update(zip(layers, maps, strict=True))
        self._taps.update(found)
        return found

    def add_input(self, name: str, shape: tuple[int, ...]) -> Any:
        """Adds an input of the model beside the backbone's, once for each name.

        Args:
            name: Name of the input.
            shape: Its shape, without the batch.
        """
        if name not in self._added:
            self._added[name] = keras.Input(shape, name=name)
        return self._added[name]

    @property
    def model_inputs(self) -> Any:
        """Inputs of the model: the backbone's own, in a dict by name if there are added ones."""
        if not self._added:
            return self.inputs
        return {**{x.name: x for x in keras.tree.flatten(self.inputs)}, **self._added}

    @property
    def _last(self) -> Any:
        return self._outputs[self._own_names()[-1]] if self._by_dict else self._outputs["output"]

    def _apply(self, layer: keras.layers.Layer) -> Any:
        if not self._orbit:
            return self.inputs if isinstance(layer, keras.layers.Identity) else layer(self.inputs)
        data_format = getattr(self.backbone, "data_format", None)
        return RotationOrbit(layer, data_format, name=f"{layer.name}_orbit")(self.inputs)

    def _upright(self, feature: Any) -> Any:
        return feature[:, 0] if self._orbit else feature

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
