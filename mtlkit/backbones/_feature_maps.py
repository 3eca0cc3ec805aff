"""Reading named feature maps from any backbone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from mtlkit.backbones._graph import is_graph, layer_outputs
from mtlkit.backbones._named_maps import graph_of, nodes_by_stride, spatial_axes
from mtlkit.layers._data_format import standardize_data_format
from mtlkit.layers._keep_mask import with_mask
from mtlkit.layers.rotation_orbit import RotationOrbit


class FeatureMaps:
    """A backbone, applied to inputs, and its feature maps by name.

    - A backbone whose output is a dict has the maps that the dict names. One named as a task
      is that task's, unless the task names another. Of a functional one, the outputs of its
      layers can be read as well, by the names of the layers (`layer_names`).
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
        self._is_graph = is_graph(backbone)
        self._layer_outputs = layer_outputs(backbone) if self._is_graph else {}
        self.inputs = self._make_inputs(input_shape)
        self._orbit = orbit
        if orbit and not (hasattr(self.inputs, "shape") and len(self.inputs.shape) == 4):
            raise ValueError(
                "Expected a backbone with one image as its input, since a head reads the image's "
                f"quarter turns. Received: inputs={self.inputs}"
            )
        outputs = self._apply(_with_masks(backbone) if self._is_graph else backbone)
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
    def layer_names(self) -> list[str]:
        """Names of layers that can be read beside the maps that a `dict` names."""
        return [name for name in self._layer_outputs if self._by_dict and name not in self.names]

    @property
    def spatial(self) -> dict[str, tuple[int | None, ...]]:
        """Shapes of the maps that are no vectors, in the order of the layers, by name."""
        return {name: tuple(x.shape) for name, x in self.tensors.items() if len(x.shape) > 2}

    @property
    def tensors(self) -> dict[str, Any]:
        """All that can be read in the graph of the backbone itself, by name."""
        own = self.backbone.output if self._by_dict and self._is_graph else {}
        return {**self._layer_outputs, **own}

    @property
    def pyramid(self) -> list[str]:
        """Names of one map for each size, the last of its size, from the finest to the coarsest."""
        if len(getattr(self.inputs, "shape", ())) != 4:
            return []
        data_format = getattr(self.backbone, "data_format", None) or standardize_data_format(None)
        if self._is_graph and not self._by_dict:
            nodes = nodes_by_stride(graph_of(self.backbone), data_format).values()
            names = [node.operation.name for node in nodes]
            return [name for name in names if name in self._layer_outputs]
        axes = spatial_axes(4, data_format)
        by_size: dict[Any, str] = {}
        for name in self._own_names():
            shape = tuple(self._outputs[name].shape)[int(self._orbit) :]
            if name == "input" or name in self.same_as_last or len(shape) != 4:
                continue
            size = tuple(shape[axis] for axis in axes)
            by_size[size if None not in size else name] = name
        return list(by_size.values())

    @property
    def only_vectors(self) -> bool:
        """Whether all that can be read are vectors, as of columns."""
        ends = [*keras.tree.flatten(self.inputs), self.last]
        return not self.spatial and all(len(x.shape) == 2 for x in ends)

    @property
    def by_task(self) -> list[str]:
        """Names of maps that are meant for tasks: those of a backbone with a `dict` as output."""
        return self._own_names() if self._by_dict else []

    @property
    def same_as_last(self) -> list[str]:
        """Names under which a backbone has its last map a second time, if it says so."""
        return list(getattr(self.backbone, "same_as_last", []))

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
            # One model of taps and outputs, so that the backbone runs once.
            taps = [self._layer_outputs[name] for name in layers]
            own = self.backbone.output if self._by_dict else {"output": self.backbone.outputs[-1]}
            model = keras.Model(
                self._own_inputs(),
                [with_mask(tensor) for tensor in (*taps, *own.values())],
                name=f"{self.backbone.name}_maps",
            )
            maps = self._apply(model)
            self._outputs = dict(zip(own, maps[len(taps) :], strict=True))
            found = {name: self._outputs.get(name, map) for name, map in found.items()}
            found.update(zip(layers, maps, strict=False))
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
            return list(self._layer_outputs)
        return ["output"]

    def _make_inputs(self, input_shape: tuple[int, ...] | None) -> Any:
        if self._is_graph:
            return keras.tree.map_structure(
                lambda x: keras.Input(
                    batch_shape=x.shape, dtype=x.dtype, sparse=x.sparse, name=x.name
                ),
                self._own_inputs(),
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

    def _own_inputs(self) -> Any:
        """The symbolic inputs of a functional or sequential backbone."""
        return _structured(self.backbone)[0]


def _structured(backbone: keras.Model) -> tuple[Any, Any]:
    """Symbolic inputs and outputs; before it is called, a sequential model has no `input`."""
    if isinstance(backbone, keras.Sequential):
        return backbone.inputs[0], backbone.outputs[0]
    return backbone.input, backbone.output


def _with_masks(backbone: keras.Model) -> keras.Model:
    """The model, or one whose outputs keep the masks that they have within it."""
    inputs, outputs = _structured(backbone)
    kept = keras.tree.map_structure(with_mask, outputs)
    pairs = zip(keras.tree.flatten(outputs), keras.tree.flatten(kept), strict=True)
    if all(tensor is same for tensor, same in pairs):
        return backbone
    return keras.Model(inputs, kept, name=f"{backbone.name}_maps")
