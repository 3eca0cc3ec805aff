"""What the predictions of trained networks tell, where a simple reference told it before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtlkit.diagnostics.data_probes._imbalance import confirmed, imbalance_of
from mtlkit.diagnostics.data_probes._panels import confusion_of
from mtlkit.diagnostics.data_probes._samples import checked_probabilities
from mtlkit.diagnostics.data_probes._uncertainty import uncertainty_of
from mtlkit.diagnostics.evidence import Evidence
from mtlkit.diagnostics.verdict._readings import is_unclear

#: Whose predictions they are.
_NAMES = {"reference": "a reference network", "user": "the model"}


def of_networks(seed: int, evidence: Mapping[str, Evidence]) -> dict[str, Evidence]:
    """Asks networks again what was asked of the simple reference.

    How sure predictions are is asked of the user's model, whatever it is worth. Which classes are
    taken for which, and what frequency costs, is asked of the better one of the user's and the
    reference network: the first if it beats the simple reference, too, and the second where the
    simple reference left it open.
    """
    gap = evidence["model_gap"].details
    counts = gap.get("class_counts")
    if counts is None:
        return {}
    labels = gap["labels"]
    found: dict[str, Evidence] = {}
    of_user = _probabilities("user", gap)
    if of_user is not None and "uncertainty" in evidence:
        ensemble = evidence["uncertainty"].details.get("entropy")
        found["uncertainty"] = uncertainty_of(of_user, labels, ensemble=ensemble, seed=seed)
    better = max(_NAMES, key=lambda who: gap[f"{who}_skill"])
    probabilities = _probabilities(better, gap)
    if probabilities is None:
        return found
    if is_unclear("imbalance", evidence):
        one = imbalance_of(probabilities, labels, counts, seed=seed)
        found["imbalance"] = confirmed(one, evidence["imbalance"])
    if "confusion" in evidence:
        predicted = probabilities.argmax(axis=1)
        one = confusion_of(labels, predicted, len(counts), of=_NAMES[better])
        if _accuracy(one) > _accuracy(evidence["confusion"]):
            found["confusion"] = one
    return found


def _probabilities(who: str, gap: Mapping[str, Any]) -> NDArray[np.float64] | None:
    """What a network predicts, if its head tells probabilities of classes that exclude others."""
    given = gap[f"{who}_probability"]
    if given is None:
        return None
    try:
        return checked_probabilities(given, gap["labels"], len(gap["class_counts"]))
    except ValueError:
        return None


def _accuracy(confusion: Evidence) -> float:
    matrix = np.asarray(confusion.details["matrix"], "float64")
    return float(np.trace(matrix) / max(matrix.sum(), 1))
