"""Whether images look the same after a turn or a flip that changes their label."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mtlkit._statistics import bootstrap_interval, holm, p_better, share_interval
from mtlkit.diagnostics._effects import least_effect, status_of
from mtlkit.diagnostics.data_probes._samples import (
    checked_labels,
    prepared,
    small_images,
    timed,
    unit_vectors,
)
from mtlkit.diagnostics.details import SymmetryDetails
from mtlkit.diagnostics.evidence import Evidence, not_tested
from mtlkit.diagnostics.thresholds import ALPHA, CLEAR_TWIN, NEAREST_TWIN, TWIN_SHARE, USUAL_TWIN
from mtlkit.references.reference import Reference

#: Images that are compared with all others; the rest would show the same.
_QUERIES = 3000
#: Random groupings of equal size.
_GROUPINGS = 100
#: A class of another task is listed as symmetric if most of its images are.
_MOST = 0.5

#: The turns and flips. A turn by 270 degrees leaves the same images alike as one by 90.
_TURNS: dict[str, Callable[[NDArray], NDArray]] = {
    "rot180": lambda images: images[:, ::-1, ::-1],
    "rot90": lambda images: np.rot90(images, axes=(1, 2)),
    "flip_horizontal": lambda images: images[:, :, ::-1],
    "flip_vertical": lambda images: images[:, ::-1],
}
_DEGREES = {"rot180": 180, "rot90": 90}


@timed
def symmetry(
    x: ArrayLike,
    y: ArrayLike,
    *,
    others: Mapping[str, ArrayLike] | None = None,
    num_classes: int | None = None,
    reference: Reference | None = None,
    seed: int = 0,
) -> Evidence:
    """Looks for images that look the same after a turn or a flip, but are labelled otherwise.

    Three things must come together. Images are *symmetric*: an image is as near to its turned
    self as to its nearest neighbour. Their labels are *twins*: the reference takes label `b`
    of such an image for that of the turned image as often as for `b`. And it *costs*: were
    the twins of symmetric images one class, the accuracy would gain more than by random
    groupings of equal size, which are as easy to guess.

    Labels are bins around a circle: a turn by 180 degrees moves them by half of the bins. A
    flip reflects them around an axis, which is read from the labels of the images that are
    nearest to the flipped ones; if these do not agree on one, the flip is left aside.

    Args:
        x: Images.
        y: Labels, the bins of angles.
        others: Labels of other tasks, to say whose images are symmetric.
        num_classes: Number of bins. `None`: as the reference says, or one more than the
            largest label.
        reference: A reference of the same images, whose work is shared.
        seed: Seed of a new reference, of groupings and intervals.

    Returns:
        Evidence `"symmetry"`; the effect is the gain of accuracy by grouping, above that of
        random groupings.

    Raises:
        ValueError: If images or labels are not valid.

    Example:
        ```python
        import numpy as np
        from mtlkit.diagnostics.data_probes import symmetry

        rng = np.random.default_rng(0)
        y = rng.integers(4, size=400)
        x = 0.1 * rng.random((400, 12, 12, 1), dtype="float32")
        x[y % 2 == 0, 5:7] += 1  # a bar, which looks the same after a half turn
        x[y % 2 == 1, :, 5:7] += 1
        found = symmetry(x, y)
        assert found.found and found.details["transform"] == "rot180"
        ```
    """
    ready = prepared("symmetry", x, y, reference, seed, num_classes)
    if isinstance(ready, Evidence):
        return ready
    if ready.num_classes < 4:
        return not_tested(
            "symmetry", "Grouping two or three classes leaves nothing to compare with."
        )
    groups = {
        name: checked_labels(labels, len(ready), name) for name, labels in (others or {}).items()
    }
    rng = np.random.default_rng(seed)
    rows = np.sort(rng.permutation(len(ready))[:_QUERIES])
    distances = _Distances(ready.x, rows)
    looks = {
        name: _look(ready, rows, name, distances, rng, seed)
        for name in _TURNS
        if name != "rot90" or ready.x.shape[1] == ready.x.shape[2]
    }
    corrected = holm([one["p"] for one in looks.values()])
    for one, p in zip(looks.values(), corrected, strict=True):
        one["p"] = float(p)
        one["status"] = _status(one)
    return _evidence(ready, rows, looks, groups)


class _Distances:
    """How far images are from others, and from what they become by a turn."""

    def __init__(self, images: NDArray, rows: NDArray) -> None:
        self._images = small_images(images)
        self._rows = rows
        self._vectors = unit_vectors(self._images)
        self.nearest, self.usual = np.empty(len(rows)), np.empty(len(rows))
        for start in range(0, len(rows), 500):
            part = slice(start, start + 500)
            away = 1 - self._vectors[rows[part]] @ self._vectors.T
            away[np.arange(len(away)), rows[part]] = np.inf
            self.nearest[part] = away.min(axis=1)
            self.usual[part] = np.median(away, axis=1)

    def to_turned(self, turn: Callable[[NDArray], NDArray]) -> NDArray:
        turned = unit_vectors(turn(self._images[self._rows]))
        return 1 - (self._vectors[self._rows] * turned).sum(axis=1)

    def nearest_to_turned(self, turn: Callable[[NDArray], NDArray]) -> NDArray[np.int64]:
        """The rows of the images that are nearest to the turned ones, other than themselves."""
        turned = unit_vectors(turn(self._images[self._rows]))
        found = np.empty(len(turned), "int64")
        for start in range(0, len(turned), 500):
            part = slice(start, start + 500)
            alike = turned[part] @ self._vectors.T
            alike[np.arange(len(alike)), self._rows[part]] = -np.inf
            found[part] = alike.argmax(axis=1)
        return found

    def varied(self) -> NDArray[np.bool_]:
        """Images that are not of one shade, for which all turns are the same."""
        return np.asarray(self._vectors[self._rows].any(axis=1))


def _look(
    reference: Reference,
    rows: NDArray,
    name: str,
    distances: _Distances,
    rng: np.random.Generator,
    seed: int,
) -> dict[str, Any]:
    away = distances.to_turned(_TURNS[name])
    symmetric = (
        (away <= NEAREST_TWIN * distances.nearest + 1e-5)
        & (away <= USUAL_TWIN * distances.usual)
        & distances.varied()
    )
    labels, scores = reference.y[rows], reference.scores[rows]
    orbit = _orbit(name, reference, labels, distances)
    found: dict[str, Any] = {
        "symmetric": symmetric,
        "share": float(symmetric.mean()),
        "share_interval": share_interval(int(symmetric.sum()), len(rows)),
        "away": away / np.maximum(distances.usual, 1e-9),
        "orbit": orbit,
    }
    return found | _gain(reference, labels, scores, symmetric, orbit, rng, seed)


def _orbit(
    name: str, reference: Reference, labels: NDArray, distances: _Distances
) -> NDArray | None:
    """The group of each class; `None` if it is not known what becomes of labels."""
    bins = reference.num_classes
    classes = np.arange(bins)
    if name in _DEGREES:
        turned = bins * _DEGREES[name]
        return None if turned % 360 else classes % (turned // 360)
    axis = _axis(labels, reference.y[distances.nearest_to_turned(_TURNS[name])], bins)
    return None if axis is None else np.minimum(classes, (axis - classes) % bins)


def _axis(labels: NDArray, turned: NDArray, bins: int) -> int | None:
    """The number that the labels of images and of their flipped selves add up to.

    A flip reflects labels around an axis that depends on how they are defined. `turned` are
    the labels of those images that are nearest to the flipped ones.
    """
    sums = np.bincount((labels + turned) % bins, minlength=bins)
    second, first = np.sort(sums)[-2:]
    return int(sums.argmax()) if first >= CLEAR_TWIN * second else None


def _gain(
    reference: Reference,
    labels: NDArray,
    scores: NDArray,
    symmetric: NDArray,
    orbit: NDArray | None,
    rng: np.random.Generator,
    seed: int,
) -> dict[str, Any]:
    nothing = {
        "gain": 0.0,
        "interval": (0.0, 0.0),
        "null": 0.0,
        "p": 1.0,
        "self": 0,
        "twin": 0,
        "threshold": least_effect(reference.chance, reference.accuracy),
    }
    if orbit is None or not symmetric.any():
        return nothing
    labels, scores = labels[symmetric], scores[symmetric]
    predicted = scores.argmax(axis=1)
    plain = predicted == labels
    grouped = _right(scores, labels, orbit)
    others = _random_groupings(orbit, rng)
    if not others:
        return nothing
    random = np.mean([_right(scores, labels, one) for one in others], axis=0)
    # Samples that are not symmetric stay as they are: they gain nothing.
    difference = np.zeros(len(symmetric))
    difference[: len(labels)] = grouped - random
    twin = (orbit[predicted] == orbit[labels]) & ~plain
    return {
        "gain": float(difference.mean()),
        "interval": bootstrap_interval(difference, seed=seed),
        "null": float((random - plain).sum() / len(symmetric)),
        "p": p_better(grouped.astype("float64"), random),
        "self": int(plain.sum()),
        "twin": int(twin.sum()),
        "threshold": least_effect(reference.chance, reference.accuracy + float(difference.mean())),
    }


def _right(scores: NDArray, labels: NDArray, groups: NDArray) -> NDArray[np.bool_]:
    """Which samples are right if classes are grouped; scores of a regression just add up."""
    names, index = np.unique(groups, return_inverse=True)
    added = scores @ np.eye(len(names), dtype=scores.dtype)[index]
    return np.asarray(added.argmax(axis=1) == index[labels])


def _random_groupings(groups: NDArray, rng: np.random.Generator) -> list[NDArray]:
    """Groupings with groups of the same sizes, none of them the same grouping."""
    same = groups[:, None] == groups
    found = []
    for _ in range(_GROUPINGS):
        one = rng.permutation(groups)
        if not np.array_equal(one[:, None] == one, same):
            found.append(one)
    return found


def _status(one: dict[str, Any]) -> str:
    if one["p"] >= ALPHA:
        return "absent"
    twins = status_of(share_interval(one["twin"], one["self"] + one["twin"]), TWIN_SHARE)
    costs = status_of(one["interval"], one["threshold"])
    if "absent" in (twins, costs):
        return "absent"
    return "found" if twins == costs == "found" else "unclear"


def _evidence(
    reference: Reference,
    rows: NDArray,
    looks: dict[str, dict[str, Any]],
    others: dict[str, NDArray],
) -> Evidence:
    rank = {"found": 2, "unclear": 1, "absent": 0}
    best = max(looks, key=lambda name: (rank[looks[name]["status"]], looks[name]["gain"]))
    one = looks[best]
    classes = {
        task: _symmetric_classes(labels[rows], one["symmetric"]) for task, labels in others.items()
    }
    details: SymmetryDetails = {
        "transform": best,
        "symmetric_share": one["share"],
        "symmetric_share_interval": one["share_interval"],
        "twins": _twins(one["orbit"]),
        "groups": one["orbit"],
        "twin_share": one["twin"] / max(one["self"] + one["twin"], 1),
        "gain_of_random_groupings": one["null"],
        "classes": classes,
        "examples": rows[one["symmetric"]][:16],
        "transforms": {
            name: {
                "status": look["status"],
                "symmetric_share": look["share"],
                "gain": look["gain"],
                "interval": look["interval"],
                "p": look["p"],
                "distance": np.quantile(look["away"], np.linspace(0, 1, 21)),
            }
            for name, look in looks.items()
        },
    }
    return Evidence(
        "symmetry",
        one["status"],
        _text(best, one, classes),
        one["gain"],
        one["interval"],
        null=0.0,
        threshold=one["threshold"],
        p_value=one["p"],
        unit="accuracy",
        samples=len(rows),
        details=details,
    )


def _twins(orbit: NDArray | None) -> list[list[int]]:
    if orbit is None:
        return []
    groups = [np.flatnonzero(orbit == one).tolist() for one in np.unique(orbit)]
    return [group for group in groups if len(group) > 1]


def _symmetric_classes(labels: NDArray, symmetric: NDArray) -> dict[str, Any]:
    if labels.dtype.kind == "f":
        return {}
    known = np.unique(labels)
    share = [float(symmetric[labels == one].mean()) for one in known]
    return {
        "classes": known,
        "share": share,
        "symmetric": [int(one) for one, part in zip(known, share, strict=True) if part > _MOST],
    }


def _text(name: str, one: dict[str, Any], classes: dict[str, dict[str, Any]]) -> str:
    what = {
        "rot180": "a half turn",
        "rot90": "a quarter turn",
        "flip_horizontal": "a flip left to right",
        "flip_vertical": "a flip upside down",
    }[name]
    share = f"{100 * one['share']:.0f} % of the images look the same after {what}"
    if one["status"] == "found":
        text = f"{share}: were their twin labels one, the accuracy would gain {one['gain']:.3f}."
        for task, found in classes.items():
            if found.get("symmetric") and len(found["symmetric"]) < len(found["classes"]):
                text += f" These are the classes {found['symmetric']} of {task}."
        return text
    if one["status"] == "unclear":
        return f"{share}; whether that limits the task is open."
    if one["share"] > USUAL_TWIN:
        return f"{share}, which does not limit this task."
    return "No symmetry limits the task."
