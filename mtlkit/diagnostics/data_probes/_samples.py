"""Checks of what probes are given, and small versions of images."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mtlkit.diagnostics._checks import LEAST_SAMPLES, checked_inputs
from mtlkit.diagnostics.evidence import Evidence, not_tested
from mtlkit.references.reference import Reference

#: Small images keep at least so many pixels a side: enough to tell objects from each other.
_SMALL = 12

Probe = TypeVar("Probe", bound=Callable[..., Evidence])


def timed(probe: Probe) -> Probe:
    """Makes a probe write down its CPU-seconds."""

    @functools.wraps(probe)
    def run(*args: Any, **kwargs: Any) -> Evidence:
        start = time.process_time()
        return replace(probe(*args, **kwargs), seconds=time.process_time() - start)

    return cast(Probe, run)


def checked_labels(y: ArrayLike, samples: int, name: str = "y") -> NDArray:
    """Returns labels: integers for classes, float32 for values.

    Args:
        y: Labels of shape `(samples,)`; values may have further axes.
        samples: Number of images.
        name: What they are called in messages.
    """
    labels = np.asarray(y)
    if labels.ndim == 0 or len(labels) != samples:
        raise ValueError(
            f"Expected {name} with one label for each of {samples} images. "
            f"Received: {name}.shape={labels.shape}"
        )
    if labels.dtype.kind == "f":
        if not np.isfinite(labels).all():
            raise ValueError(f"Expected a label for every sample. Received: NaN in {name}")
        return labels.astype("float32")
    if labels.dtype.kind not in "iub" or labels.ndim != 1:
        raise ValueError(
            f"Expected {name} to be integer classes of shape (samples,), or floats. "
            f"Received: {name} with dtype={labels.dtype} and shape={labels.shape}"
        )
    if labels.min() < 0:
        raise ValueError(
            f"Expected a label for every sample, from 0 on. Received: {name} with "
            f"{int(labels.min())}"
        )
    return labels.astype("int64")


def checked_tasks(y: ArrayLike | Mapping[str, ArrayLike], samples: int) -> dict[str, NDArray]:
    """Returns labels by task; those of a single task are called `"y"`."""
    tasks = y if isinstance(y, Mapping) else {"y": y}
    return {str(name): checked_labels(labels, samples, str(name)) for name, labels in tasks.items()}


def prepared(
    name: str,
    x: ArrayLike,
    y: ArrayLike,
    reference: Reference | None = None,
    seed: int = 0,
    num_classes: int | None = None,
    classes_only: bool = True,
) -> Reference | Evidence:
    """The reference of some samples, or the evidence that nothing can be measured on them."""
    images = checked_inputs(x)
    labels = checked_labels(y, len(images))
    if reference is not None and len(reference) != len(images):
        raise ValueError(
            f"Expected a reference of the same {len(images)} images. "
            f"Received: a reference of {len(reference)} images"
        )
    if num_classes is not None and labels.dtype.kind != "f" and labels.max() >= num_classes:
        raise ValueError(
            f"Expected labels below num_classes={num_classes}. Received: {int(labels.max())}"
        )
    why = _hindrance(images, labels, num_classes, classes_only)
    if why:
        return not_tested(name, why)
    return _reference(images, labels, reference, seed, num_classes)


def checked_probabilities(
    given: ArrayLike, labels: NDArray, num_classes: int
) -> NDArray[np.float64]:
    """Returns what a model predicts for some samples.

    Args:
        given: Probabilities of shape `(samples, classes)`.
        labels: The classes of the samples.
        num_classes: Number of classes.
    """
    found = np.asarray(given, "float64")
    shape = (len(labels), num_classes)
    if found.shape != shape:
        raise ValueError(f"Expected probabilities of shape {shape}. Received: shape={found.shape}")
    if not (np.isfinite(found).all() and (found >= 0).all()) or (
        np.abs(found.sum(axis=1) - 1).max() > 1e-2
    ):
        raise ValueError(
            "Expected probabilities that are not negative and add up to 1. "
            f"Received: values from {found.min():.3g} to {found.max():.3g}, sums from "
            f"{found.sum(axis=1).min():.3g} to {found.sum(axis=1).max():.3g}"
        )
    return found


def small_images(images: NDArray[np.float32]) -> NDArray[np.float32]:
    """Grey images, averaged over blocks of pixels that divide the sides.

    Args:
        images: Images of shape `(samples, height, width, channels)`.

    Returns:
        Images of shape `(samples, rows, columns)`. As no pixel is cut off, turns and flips
        of the images are turns and flips of these.
    """
    grey = images.mean(axis=3)
    samples, height, width = grey.shape
    rows, columns = (side // _block(side) for side in (height, width))
    return grey.reshape(samples, rows, height // rows, columns, width // columns).mean(axis=(2, 4))


def unit_vectors(images: NDArray[np.float32]) -> NDArray[np.float32]:
    """Images as vectors of mean 0 and length 1, so that neither brightness nor contrast counts.

    Args:
        images: Array of shape `(samples, ...)`.

    Returns:
        Array of shape `(samples, values)`; an image of one shade becomes zeros.
    """
    flat = images.reshape(len(images), -1)
    flat = flat - flat.mean(axis=1, keepdims=True)
    return flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-6)


def _block(side: int) -> int:
    fitting = [one for one in range(1, side + 1) if side % one == 0 and side // one >= _SMALL]
    return max(fitting, default=1)


def _hindrance(
    images: NDArray, labels: NDArray, num_classes: int | None, classes_only: bool
) -> str:
    if len(images) < LEAST_SAMPLES:
        return f"{len(images)} samples are too few; {LEAST_SAMPLES} are needed."
    if np.ptp(images, axis=0).max() == 0:
        return "All images are the same."
    if labels.dtype.kind == "f":
        if classes_only:
            return "It needs classes; the labels are values."
        return "All labels are the same." if np.ptp(labels, axis=0).max() == 0 else ""
    if len(np.unique(labels)) < 2:
        return f"There is only one class: {int(labels[0])}."
    num_classes = num_classes or int(labels.max()) + 1
    if len(labels) < num_classes:
        return f"There are fewer samples ({len(labels)}) than classes ({num_classes})."
    return ""


def _reference(
    images: NDArray,
    labels: NDArray,
    reference: Reference | None,
    seed: int,
    num_classes: int | None,
) -> Reference:
    if reference is None:
        return Reference(images, labels, num_classes, seed)
    same = np.array_equal(reference.y, labels) and reference.classes == (labels.dtype.kind != "f")
    if same and num_classes in (None, reference.num_classes):
        return reference
    return reference.with_labels(labels, num_classes)
