"""Which network of `keras.applications` a model is, and the preprocessing that it expects."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatch
from typing import Any

import keras


@dataclass(frozen=True)
class Family:
    """Networks of `keras.applications` that expect the same preprocessing."""

    name: str
    layers: tuple[str, ...]
    mode: str | None


#: The first one that fits counts.
FAMILIES = (
    Family("VGG", ("block1_conv1", "block1_conv2", "block1_pool", "block2_conv1"), "caffe"),
    Family("Xception", ("block1_conv1", "block1_conv1_bn", "block2_sepconv1"), "tf"),
    Family("ResNetV2", ("conv1_conv", "conv2_block1_preact_bn", "conv2_block1_out"), "tf"),
    Family("DenseNet", ("conv1_conv", "conv2_block1_0_bn", "conv2_block1_concat"), "torch"),
    Family("ResNet", ("conv1_conv", "conv1_bn", "conv2_block1_out"), "caffe"),
    Family("MobileNetV2", ("Conv1", "bn_Conv1", "expanded_conv_depthwise"), "tf"),
    Family("MobileNetV3", ("conv", "conv_bn", "expanded_conv_project"), "tf"),
    Family("MobileNet", ("conv1", "conv1_bn", "conv_dw_1"), "tf"),
    Family("InceptionResNetV2", ("mixed_5b", "block35_1_mixed"), "tf"),
    Family("InceptionV3", ("mixed0", "mixed1", "mixed2"), "tf"),
    Family("NASNet", ("stem_conv1", "stem_bn1", "reduction_conv_1_stem_1"), "tf"),
    Family("EfficientNet", ("stem_conv", "stem_bn", "block1a_dwconv"), None),
    Family("EfficientNetV2", ("stem_conv", "stem_bn", "block1a_project_conv"), None),
    Family("ConvNeXt", ("*_stem", "*_stage_0_block_0_depthwise_conv"), "torch"),
)

#: Layers that preprocess images, by the names of their classes.
_PREPROCESSING = ("Rescaling", "Normalization", "InputNormalization", "ImageNetPreprocessing")
#: Layers that change nothing but the size of a map.
PADDING = ("ZeroPadding1D", "ZeroPadding2D", "ZeroPadding3D", "Cropping1D", "Cropping2D")


def family_of(names: list[str]) -> Family | None:
    """Returns the family of a network by the names of its layers, or `None`."""
    for family in FAMILIES:
        if all(any(fnmatch(name, pattern) for name in names) for pattern in family.layers):
            return family
    return None


def leading_preprocessing(nodes: list[Any]) -> list[Any]:
    """Returns the nodes at the beginning of a graph that preprocess the image."""
    found = []
    for node in nodes:
        if type(node.operation).__name__ not in _PREPROCESSING:
            break
        found.append(node)
    return found


def rescales_bytes(nodes: list[Any]) -> bool:
    """Whether a graph begins with a layer that makes small numbers of those up to 255."""
    scales = [getattr(node.operation, "scale", 1.0) for node in leading_preprocessing(nodes)]
    return any(isinstance(scale, float) and 0 < scale < 0.02 for scale in scales)


def mode_to_add(model: keras.Model, nodes: list[Any]) -> tuple[str | None, Family | None]:
    """Returns which preprocessing a model lacks, and which network it is."""
    family = family_of([node.operation.name for node in nodes])
    if leading_preprocessing(nodes):
        return None, family
    if family is None:
        _check_nested(model, nodes)
        return None, None
    first = next((node for node in nodes if not _is_padding(node)), None)
    if first is not None and not _has_weights(first.operation):
        raise _cannot_tell(
            model, family, f"which begins with {first.operation.name!r}, before its first layer"
        )
    if family.mode is None:
        raise _cannot_tell(model, family, "without the preprocessing that it is built with")
    return family.mode, family


def _check_nested(model: keras.Model, nodes: list[Any]) -> None:
    """Raises a ValueError for a network that needs preprocessing inside of another model."""
    for node in nodes:
        inner = node.operation
        if not isinstance(inner, keras.Model):
            continue
        family = family_of([layer.name for layer in inner.layers])
        kinds = [type(layer).__name__ for layer in inner.layers[:3]]
        if family is not None and not any(kind in _PREPROCESSING for kind in kinds):
            raise _cannot_tell(model, family, f"inside of it as {inner.name!r}")


def _is_padding(node: Any) -> bool:
    return type(node.operation).__name__ in PADDING


def _has_weights(operation: Any) -> bool:
    return bool(getattr(operation, "weights", None))


def _cannot_tell(model: keras.Model, family: Family, where: str) -> ValueError:
    return ValueError(
        "Expected preprocess to be given, since it cannot be told whether the model's images are "
        f"preprocessed. Received: preprocess='auto' for {model.name!r}, a network of the kind "
        f"{family.name} {where}. Give preprocess=None if it gets what it expects, else "
        'preprocess="caffe", "tf" or "torch" (see mtlkit.layers.ImageNetPreprocessing), or a layer'
    )
