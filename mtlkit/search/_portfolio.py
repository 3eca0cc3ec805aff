"""What a search tries first: heads, each of which did well on some kind of data.

The rows come from `tests/benchmarks/poses.py` and `tests/benchmarks/frozen_features.py`. A row is
used where a candidate makes such heads, and its space has room for these arguments.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mtlkit.heads import ClassificationHead, ContrastiveHead, OrientationHead
from mtlkit.heads.head import Head


@dataclass(frozen=True)
class Row:
    """A head to try, and why.

    Attributes:
        head: Its class.
        arguments: Those of its constructor that are not the defaults.
        why: The tasks that the head is good for.
        conditioning: How it sees the prediction of the task with the most classes, if there is one.
    """

    head: type[Head]
    arguments: Mapping[str, Any]
    why: str
    conditioning: str | None = None


#: For orientations, in the order in which they are tried.
_ORIENTATIONS = (
    Row(
        OrientationHead,
        {"spatial": "polar_and_flatten", "target": "onehot", "emd_weight": 0.3, "dropout": 0.3},
        "what turns in the plane of the image, or out of it; the distance leads to the right side",
    ),
    Row(
        OrientationHead,
        {"spatial": "flatten", "target": "sincos", "dropout": 0.0},
        "fine poses of many objects, each with a front of its own: the angle is learned at once",
        conditioning="experts",
    ),
    Row(
        OrientationHead,
        {
            "spatial": "flatten",
            "target": "smooth",
            "width": 1.0,
            "emd_weight": 0.3,
            "dropout": 0.0,
        },
        "the same, where a view may fit several poses",
        conditioning="experts",
    ),
    Row(
        OrientationHead,
        {"spatial": "polar", "target": "onehot", "emd_weight": 0.0, "dropout": 0.3},
        "what turns in the plane of the image alone",
    ),
    Row(ContrastiveHead, {"loss": "supcon"}, "classes or poses that look alike"),
)

#: For classes.
_CLASSES = (
    Row(
        ClassificationHead,
        {"hidden_units": 512, "dropout": 0.5},
        "features of a pretrained backbone, and columns",
    ),
    Row(ContrastiveHead, {"loss": "supcon"}, "classes that look alike"),
)

#: What all first points of a class of heads have on vectors: wide, and kept from overfitting.
ON_VECTORS: Mapping[type[Head], Mapping[str, Any]] = {
    ClassificationHead: {"hidden_units": 512, "dropout": 0.5},
    ContrastiveHead: {"hidden_units": 512, "dropout": 0.5},
}

#: The rows by the class of the head that the task has now.
PORTFOLIO: Mapping[type[Head], tuple[Row, ...]] = {
    OrientationHead: _ORIENTATIONS,
    ClassificationHead: _CLASSES,
}
