"""Which labels to check first, where labels are wrong."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mtlkit.diagnostics.data_probes._panels import shown
from mtlkit.diagnostics.details import SuspectDetails
from mtlkit.diagnostics.evidence import Evidence
from mtlkit.references.reference import Reference

#: More samples than these are not listed, and not shown.
_LISTED, _SHOWN = 300, 12


def suspects(
    reference: Reference, rate: float, candidates: NDArray[np.bool_] | None = None
) -> SuspectDetails:
    """Lists the samples whose labels are most likely wrong, the most suspicious first.

    As in confident learning, a sample is suspected where the likeliest class is another one
    than the given one, and as likely as that class is of its own samples: what the reference
    does not know, is no suspect. The order is that of how many times likelier than the given
    class it is. No more are listed than are wrong by the estimated rate.

    Args:
        reference: The reference of the samples; its probabilities are of left-out samples.
        rate: The share of labels that are wrong.
        candidates: The samples that may be listed. `None`: all.

    Returns:
        `rows`, the number of each sample; `given`, its class; `likeliest`, the class that it
        looks like; `expected`, how many are wrong by the rate; and `images`, the first of
        them, from 0 to 1, where any are listed: grey, without an axis of channels, or of
        three colours.

    Example:
        ```python
        import numpy as np
        from mtlkit.diagnostics import Reference
        from mtlkit.diagnostics.data_probes import suspects

        y = np.arange(400) % 4
        x = np.random.default_rng(0).random((400, 8, 8, 1), dtype="float32")
        x[np.arange(400), y] += 1  # the bright row is the class
        y[7] = 0
        found = suspects(Reference(x, y), rate=1 / 400)
        assert found["rows"] == [7] and found["likeliest"] == [3]
        ```

    Reference:
        [Northcutt et al., Confident Learning, 2021](https://arxiv.org/abs/1911.00068)
    """
    probabilities, given, likeliest = reference.probabilities, reference.y, reference.predicted
    rows = np.arange(len(reference))
    own, best = probabilities[rows, given], probabilities[rows, likeliest]
    suspected = (likeliest != given) & (best >= _usual(reference)[likeliest])
    if candidates is not None:
        suspected &= candidates
    expected = round(rate * len(reference))
    found = np.flatnonzero(suspected)
    ratio = own[found] / np.maximum(best[found], 1e-12)
    found = found[np.argsort(ratio, kind="stable")][: min(expected, _LISTED)]
    listed: SuspectDetails = {
        "rows": found,
        "given": given[found],
        "likeliest": likeliest[found],
        "expected": expected,
    }
    if not len(found) or reference.inputs != "images":
        return listed
    return {**listed, "images": _images(reference, found)}


def no_suspects() -> SuspectDetails:
    """Returns the list where labels are not found to be wrong."""
    none = np.zeros(0, "int64")
    return {"rows": none, "given": none, "likeliest": none, "expected": 0}


def in_users_rows(evidence: Evidence, rows: ArrayLike) -> Evidence:
    """Numbers suspects and examples as the user does, where a probe was given a part of them."""
    numbers = np.asarray(rows)
    changed: dict[str, Any] = {}
    listed = evidence.details.get("suspects")
    if listed is not None:
        changed["suspects"] = {**listed, "rows": numbers[np.asarray(listed["rows"], "int64")]}
    if "examples" in evidence.details:
        changed["examples"] = numbers[np.asarray(evidence.details["examples"], "int64")]
    if not changed:
        return evidence
    return replace(evidence, details={**evidence.details, **changed})


def _usual(reference: Reference) -> NDArray[np.floating]:
    """How likely each class is of the samples that have its label; without any, none is."""
    counts = np.bincount(reference.y, minlength=reference.num_classes)
    own = reference.probabilities[np.arange(len(reference)), reference.y]
    sums = np.bincount(reference.y, weights=own, minlength=reference.num_classes)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.inf)


def _images(reference: Reference, rows: NDArray[np.integer]) -> NDArray[np.float32]:
    """The first images, small and grey or of three colours: they are kept with the numbers."""
    images = shown(reference, rows[:_SHOWN])
    step = -(-max(images.shape[1:3]) // 32)
    images = images[:, ::step, ::step]
    if images.shape[-1] != 3:
        images = images.mean(axis=-1)
    return np.round(images, 2)
