"""Any functional Keras model as a backbone, pretrained or not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from mtlkit._warnings import warn
from mtlkit.backbones._applications import leading_preprocessing, mode_to_add, rescales_bytes
from mtlkit.backbones._named_maps import INPUT, LAST, graph_of, named_maps
from mtlkit.backbones._normalized import NormalizedBackbone
from mtlkit.backbones._strides import Graph
from mtlkit.backbones._trainable_flags import (
    set_trainable,
    set_trainable_flags,
    trainable_flags,
)
from mtlkit.layers._data_format import standardize_data_format
from mtlkit.layers._keep_mask import with_mask
from mtlkit.layers.imagenet_preprocessing import MODES, ImageNetPreprocessing
from mtlkit.layers.input_normalization import InputNormalization

#: Samples by which the range of images is told.
_SAMPLES = 64


@keras.saving.register_keras_serializable(package="mtlkit")
class KerasBackbone(NormalizedBackbone):
    """A functional Keras model, such as one of `keras.applications` or KerasHub, with named maps.

    The layers and weights are those of the model given: what trains one trains the other.

    The outputs are a dict of maps; `feature_names` lists them:

    - `"input"`: the image as the network sees it, preprocessed.
    - Of an image, one map for each stride, `"stride2"`, `"stride4"`, ...: the last tensor whose
      pixels are so many pixels wide and that all later layers are computed from (where there
      is no such tensor, the last one of this stride). A model with `pyramid_outputs`
      (KerasHub) has these, under the same names. A model with a dict as output has its entries.
    - Of a sequence, a vector or several inputs, one map for each layer, under its name.
    - `"last"`: the output of the model. Without pooling it is also the map of the deepest
      stride, under a second name; with `pooling="avg"` a vector.

    `preprocess="auto"` adds what networks of `keras.applications` were trained with and do not
    do themselves (`mtlkit.layers.ImageNetPreprocessing`), so that they take images of 0...255.
    They are recognised by the names of their layers; any other model is taken as it is. The
    first `fit` warns where 0...255 is expected and the images are something else.

    While `trainable` is false, the backbone runs in inference mode in training, too: batch
    normalisation uses its moving statistics, which stay as they are, and dropout drops nothing.

    Args:
        keras_model: A functional model, or a sequential one that is built. Of a network with a
            classifier build the part without, `include_top=False`.
        maps: Which maps there are besides `"input"` and `"last"`: names of layers by names of
            maps, or a list of names of layers. `None`: those above.
        preprocess: `"auto"`; `None` for nothing; `"caffe"`, `"tf"` or `"torch"`, a mode of
            `mtlkit.layers.ImageNetPreprocessing`; or a layer. A `mtlkit.layers.InputNormalization`
            is adapted by the first `fit`.
        data_format: `"channels_last"` or `"channels_first"`. `None`: that of the model's layers.
        **kwargs: Passed on to `keras.Model`.

    Input shape:
        That of the model. Where it takes images of any size, `(None, None, 3)`, so does the
        backbone.

    Output shape:
        `{"input": (batch, ...), "stride2": (batch, height / 2, width / 2, channels), ...,
        "last": (batch, ...)}`, in the data format.

    Raises:
        ValueError: If the model is not functional, ends in a classifier, has not the layers
            named, or preprocessing is to be chosen automatically and cannot be told.

    Example:
        ```python
        import keras
        import mtlkit as mtl

        image = keras.Input((None, None, 3))
        x = keras.layers.Conv2D(8, 3, strides=2, activation="relu", padding="same")(image)
        x = keras.layers.Conv2D(16, 3, strides=2, activation="relu", padding="same")(x)
        backbone = mtl.backbones.KerasBackbone(keras.Model(image, x))
        assert backbone.feature_names == ["input", "stride2", "stride4", "last"]
        ```
    """

    def __init__(
        self,
        keras_model: keras.Model,
        maps: Mapping[str, str] | Sequence[str] | None = None,
        preprocess: str | keras.layers.Layer | None = "auto",
        *,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        _check_model(keras_model)
        _check_maps(maps)
        if data_format is None:
            data_format = _data_format_of(keras_model)
        graph = graph_of(keras_model)
        tensors = named_maps(keras_model, graph, maps, data_format)
        layer, expects = _preprocessing(keras_model, graph, preprocess, data_format)
        own = leading_preprocessing(graph.nodes)
        if own and layer is None:
            tensors[INPUT] = own[-1].outputs[0]

        # === Functional model ===
        inputs = keras.tree.map_structure(
            lambda x: keras.Input(batch_shape=x.shape, dtype=x.dtype, name=x.name),
            _inputs_of(keras_model),
        )
        x = inputs if layer is None else layer(inputs)
        kept = {name: with_mask(tensor) for name, tensor in tensors.items()}
        inner = keras.Model(_inputs_of(keras_model), kept, name=f"{keras_model.name}_maps")
        outputs = inner(x)
        if len(graph.inputs) == 1:
            outputs.setdefault(INPUT, x)
        names = list(dict.fromkeys(name for name in (INPUT, *tensors) if name in outputs))
        super().__init__(inputs=inputs, outputs={n: outputs[n] for n in names}, **kwargs)
        if not keras_model.trainable:
            set_trainable(self, False)

        # === Config ===
        # Not tracked: its layers are those of the model of maps, and would be listed twice.
        object.__setattr__(self, "_keras_model", keras_model)
        self.maps = dict(maps) if isinstance(maps, Mapping) else maps and list(maps)
        self.preprocess = preprocess
        self.data_format = data_format
        self.normalization = layer if isinstance(layer, InputNormalization) else None
        self._map_names = tuple(names)
        self._expects = expects

    @property
    def keras_model(self) -> keras.Model:
        """The model that was given."""
        return self._keras_model

    @property
    def same_as_last(self) -> list[str]:
        """Other names of the map `"last"`."""
        tensors = self._tensors()
        return [name for name, x in tensors.items() if x is tensors[LAST] and name != LAST]

    def fine_tune(self, from_map: str) -> None:
        """Trains a map and all that is computed behind it, and freezes the rest.

        The layers that compute a map begin behind the map before it: `fine_tune("stride16")`
        trains what makes `"stride16"` of `"stride8"`, and what follows. The batch normalisation
        of frozen layers stays in inference mode. If the backbone is part of a compiled model, call
        `mtlkit.MultiTaskModel.unfreeze_backbone(from_map=...)` instead, then `compile` again.

        Args:
            from_map: Name of the map. `"input"`: everything is trained.

        Raises:
            ValueError: If there is no such map.
        """
        if from_map not in self._map_names:
            raise ValueError(
                f"Expected from_map to be one of the backbone's maps, {self.feature_names}. "
                f"Received: from_map={from_map!r}"
            )
        graph = graph_of(self.keras_model)
        tensors = self._tensors()
        here = -1 if from_map == INPUT else graph.position(tensors[from_map])
        earlier = [x for x in tensors.values() if graph.position(x) < here]
        set_trainable(self, True)
        if earlier:
            for operation in graph.before(max(earlier, key=graph.position)):
                if isinstance(operation, keras.layers.Layer):
                    set_trainable(operation, False)

    def check_inputs(self, x: Any) -> None:
        """Warns, once, if images have evidently another range than the network expects.

        Args:
            x: Images, or a batch of them.
        """
        if self._expects is None or not hasattr(x, "shape") or not x.shape[0]:
            return
        expects, self._expects = self._expects, None
        values = ops.convert_to_numpy(x[:_SAMPLES])
        least, largest = float(np.min(values)), float(np.max(values))
        if least >= 0 and largest > 1:
            return
        cure = (
            "They seem to be preprocessed already: give them as they were before"
            if least < 0
            else "Multiply them by 255"
        )
        warn(
            f"Expected images with values in 0...255, which {expects}. Received: values from "
            f"{least:.3g} to {largest:.3g}. {cure}, or name what they need, "
            "KerasBackbone(model, preprocess=...)"
        )

    def get_config(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "keras_model": keras.saving.serialize_keras_object(self.keras_model),
            "maps": self.maps,
            "preprocess": keras.saving.serialize_keras_object(self.preprocess),
            "data_format": self.data_format,
            "layers_trainable": trainable_flags(self),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> KerasBackbone:
        config = dict(config)
        flags = config.pop("layers_trainable", [])
        with keras.saving.custom_object_scope(custom_objects or {}):
            for name in ("keras_model", "preprocess"):
                config[name] = keras.saving.deserialize_keras_object(config[name])
        backbone = cls(**config)
        set_trainable_flags(backbone, flags)
        return backbone

    def _tensors(self) -> dict[str, Any]:
        """The tensors of the model by name, without the input."""
        model = self.keras_model
        return named_maps(model, graph_of(model), self.maps, self.data_format)


def _check_model(model: Any) -> None:
    if not isinstance(model, keras.Model) or not getattr(model, "inputs", None):
        raise ValueError(
            "Expected a functional keras.Model, or a sequential one that is built. Received: "
            f"{type(model).__name__}; a layer or a subclassed model is a backbone as it is: "
            "mtlkit.MultiTaskModel(model, tasks, input_shape=...)"
        )


def _check_maps(maps: Any) -> None:
    given = list(maps.items()) if isinstance(maps, Mapping) else [(n, n) for n in maps or []]
    texts = all(isinstance(name, str) for pair in given for name in pair)
    if isinstance(maps, str) or not texts:
        raise ValueError(
            'Expected maps={"name": "layer"}, or a list of names of layers. '
            f"Received: maps={maps!r}"
        )


def _inputs_of(model: keras.Model) -> Any:
    return model.inputs[0] if isinstance(model, keras.Sequential) else model.input


def _data_format_of(model: keras.Model) -> str:
    """The data format of the first layer that has one."""
    for layer in model._flatten_layers(include_self=False):
        if getattr(layer, "data_format", None) in ("channels_last", "channels_first"):
            return layer.data_format
    return standardize_data_format(None)


def _preprocessing(
    model: keras.Model, graph: Graph, preprocess: Any, data_format: str
) -> tuple[keras.layers.Layer | None, str | None]:
    """The layer to put before a model, and who expects images of 0...255, if anyone does."""
    if isinstance(preprocess, keras.layers.Layer) or preprocess is None:
        _check_one_input(graph, preprocess)
        return preprocess, None
    if preprocess not in ("auto", *MODES):
        raise ValueError(
            f'Expected preprocess to be "auto", None, one of {MODES}, or a layer. '
            f"Received: preprocess={preprocess!r}"
        )
    mode = preprocess
    if preprocess == "auto":
        mode, family = mode_to_add(model, graph.nodes)
        if mode is None and family is not None:
            return None, f"the network, of the kind {family.name}, preprocesses"
        if mode is None:
            return None, "its first layer rescales" if rescales_bytes(graph.nodes) else None
    _check_one_input(graph, mode)
    layer = ImageNetPreprocessing(mode, data_format, name="preprocessing")
    return layer, f'the layer of preprocess="{mode}" rescales'


def _check_one_input(graph: Graph, preprocess: Any) -> None:
    if preprocess is not None and len(graph.inputs) != 1:
        raise ValueError(
            "Expected a model with one input for preprocessing. Received: "
            f"{len(graph.inputs)} inputs, preprocess={preprocess!r}"
        )
