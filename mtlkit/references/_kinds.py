"""The kinds of inputs, and for each of them the kinds of references."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from mtlkit.references._boosting import Boosting
from mtlkit.references._encodings import (
    as_values,
    main_components,
    scaled_pixels,
    standardized,
    summaries,
    tree_leaves,
    word_counts,
)
from mtlkit.references._kernel import kernel_features
from mtlkit.references._neighbours import Neighbours
from mtlkit.references._patches import patch_features
from mtlkit.references._reduced import at_most
from mtlkit.references._ridge import Ridge

InputKind = Literal["images", "columns", "sequences", "tokens"]

#: Larger images are looked at with so many pixels a side; patches are taken from fewer, and whole
#: images are compared with still fewer.
MOST_PIXELS, PATCH_PIXELS, WHOLE_PIXELS = 64, 32, 16
#: Sides of a patch, in pixels, of small images and of those that were reduced.
_PATCH, _REDUCED_PATCH = 6, 4
#: Integers whose largest value is below this are columns of a table rather than tokens.
_LEAST_VOCABULARY = 16


class Predictor(Protocol):
    """What predicts samples from the labels of others, for any labels of the same samples."""

    usual_strength: float

    def left_out(self, targets: NDArray, strength: float | None = None) -> NDArray:
        """Predicts each sample without its own label."""

    def best_strength(self, targets: NDArray) -> float:
        """The strength that predicts left-out samples best."""

    def predict(self, targets: NDArray, features: NDArray, strength: float) -> NDArray:
        """Predicts other samples by their features."""


@dataclass(frozen=True)
class Kind:
    """A kind of reference.

    Attributes:
        name: Its name.
        says: The predictor in words.
        features: Makes features of shape `(samples, features)` of inputs and a seed.
        predictor: Makes what predicts, of features.
        quick: Whether it can be asked of hundreds of other labels.
    """

    name: str
    says: str
    features: Callable[[NDArray, int], NDArray[np.float32]]
    predictor: Callable[[NDArray], Predictor] = Ridge
    quick: bool = True


def _pixels(x: NDArray, seed: int) -> NDArray[np.float32]:
    return main_components(scaled_pixels(at_most(x, WHOLE_PIXELS)))


def _pixels_kernel(x: NDArray, seed: int) -> NDArray[np.float32]:
    return kernel_features(_pixels(x, seed), seed)


def _patches(x: NDArray, seed: int) -> NDArray[np.float32]:
    patch = _PATCH if max(x.shape[1:3]) <= PATCH_PIXELS else _REDUCED_PATCH
    return patch_features(at_most(x, PATCH_PIXELS), patch=patch, seed=seed)


def _standardized(x: NDArray, seed: int) -> NDArray[np.float32]:
    return standardized(x)


def _columns_kernel(x: NDArray, seed: int) -> NDArray[np.float32]:
    return kernel_features(standardized(x), seed)


def _summaries(x: NDArray, seed: int) -> NDArray[np.float32]:
    return summaries(x)


def _summaries_kernel(x: NDArray, seed: int) -> NDArray[np.float32]:
    return kernel_features(as_values(summaries(x)), seed)


def _words(x: NDArray, seed: int) -> NDArray[np.float32]:
    return word_counts(x)


def _words_neighbours(x: NDArray, seed: int) -> NDArray[np.float32]:
    return main_components(word_counts(x))


#: The references of each kind of inputs; those of one kind err in different ways.
KINDS: dict[str, tuple[Kind, ...]] = {
    "images": (
        Kind("patches", "a ridge regression on patches", _patches),
        Kind("kernel", "a kernel regression on whole images", _pixels_kernel),
        Kind("neighbours", "nearest neighbours among small images", _pixels, Neighbours),
    ),
    "columns": (
        Kind("trees", "a ridge regression on the leaves of random trees", tree_leaves),
        Kind("kernel", "a kernel regression on the columns", _columns_kernel),
        Kind("linear", "a ridge regression on the columns", _standardized),
        Kind("boosting", "boosted trees", _standardized, Boosting, quick=False),
        Kind("neighbours", "nearest neighbours among the rows", _standardized, Neighbours),
    ),
    "sequences": (
        Kind("summaries", "a ridge regression on summaries of the sequence", _summaries),
        Kind("kernel", "a kernel regression on summaries of the sequence", _summaries_kernel),
        Kind("neighbours", "nearest neighbours among the sequences", _summaries, Neighbours),
    ),
    "tokens": (
        Kind("words", "a ridge regression on counts of tokens and pairs", _words),
        Kind("neighbours", "nearest neighbours by their tokens", _words_neighbours, Neighbours),
        Kind("trees", "a ridge regression on the leaves of random trees", tree_leaves),
    ),
    "features": (
        Kind("features", "a ridge regression on the given features", _standardized),
        Kind(
            "features_neighbours",
            "nearest neighbours by the given features",
            _standardized,
            Neighbours,
        ),
    ),
}


def input_kind(x: Any) -> InputKind:
    """Returns what inputs are, by their shape and type.

    Four axes are images, three a sequence of values, two the columns of a table; unless they are
    integers whose columns share one vocabulary, which are tokens.

    Args:
        x: Array of shape `(samples, ...)`.

    Raises:
        ValueError: If the array has another number of axes.
    """
    x = np.asarray(x)
    if x.ndim == 4:
        return "images"
    if x.ndim == 3:
        return "sequences"
    if x.ndim != 2:
        raise ValueError(
            "Expected images (samples, height, width, channels), sequences (samples, steps, "
            "values), columns (samples, columns) or tokens (samples, steps). "
            f"Received: shape {x.shape}"
        )
    if x.dtype.kind not in "iu":
        return "columns"
    largest = x.max(axis=0)
    alike = np.median(largest) >= largest.max() / 2 and largest.max() >= _LEAST_VOCABULARY
    return "tokens" if alike and x.min() >= 0 and x.shape[1] > 1 else "columns"


def as_inputs(x: Any) -> NDArray[Any]:
    """Returns inputs as float32; integers of two axes, which may be tokens, as they are."""
    x = np.asarray(x)
    return x if x.ndim == 2 and x.dtype.kind in "iu" else x.astype("float32", copy=False)


def looked_at(inputs: NDArray) -> NDArray[Any]:
    """Inputs as references look at them: large images are reduced, others stay as they are."""
    return at_most(inputs, MOST_PIXELS) if inputs.ndim == 4 else inputs


def kind_of(inputs: str, name: str | None = None) -> Kind:
    """Returns a kind of reference by its name; the first one of the inputs without a name."""
    kinds = {kind.name: kind for kind in KINDS[inputs]}
    if name is None:
        return KINDS[inputs][0]
    if name not in kinds:
        raise ValueError(f"Expected kind, for {inputs}, out of {list(kinds)}. Received: {name!r}")
    return kinds[name]
