"""Held-out classes that no training sample has."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from mtlkit._statistics import share_interval
from mtlkit.diagnostics._effects import status_of
from mtlkit.diagnostics.data_probes._samples import timed
from mtlkit.diagnostics.details import UnseenClassesDetails
from mtlkit.diagnostics.evidence import Evidence, not_tested
from mtlkit.diagnostics.thresholds import UNSEEN
from mtlkit.metrics._labels import is_labelled


@timed
def unseen_classes(y: ArrayLike, y_val: ArrayLike) -> Evidence:
    """Counts the held-out samples of classes that no training sample has.

    No classifier names a class that it was never shown, so it misses all of them. Such classes
    come about where whole objects or persons are held out, and the label is which one it is.

    Args:
        y: Training labels, classes of shape `(samples,)`; -1 is unlabelled.
        y_val: Held-out labels.

    Returns:
        Evidence `"unseen_classes"`; the effect is the share of held-out samples with a label.

    Example:
        ```python
        from mtlkit.diagnostics.data_probes import unseen_classes

        found = unseen_classes([0, 1, 2] * 20, [0, 1, 5] * 20)
        assert found.status == "found" and found.details["classes"] == [5]
        ```
    """
    name = "unseen_classes"
    train, held = (labels[is_labelled(labels)] for labels in map(np.asarray, (y, y_val)))
    if not len(held):
        return not_tested(name, "No held-out sample has a label.")
    unseen = ~np.isin(held, train)
    count, samples = int(unseen.sum()), len(held)
    interval = share_interval(count, samples)
    classes = np.unique(held[unseen])
    details: UnseenClassesDetails = {"classes": classes.tolist(), "samples": count}
    return Evidence(
        name,
        status_of(interval, UNSEEN),
        f"{count} of {samples} held-out samples are of classes that no training sample has "
        f"({len(classes)} classes).",
        count / samples,
        interval,
        null=0.0,
        threshold=UNSEEN,
        unit="share of validation samples",
        samples=samples,
        details=details,
    )
