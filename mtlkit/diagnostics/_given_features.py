"""Embeddings that a user gives: another model's view of the same samples."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from mtlkit._arrays import to_numpy
from mtlkit._statistics import mean_interval
from mtlkit.diagnostics._effects import least_effect, status_of
from mtlkit.diagnostics.evidence import Evidence


def given_features(features: Any, x: Any, x_val: Any) -> tuple[NDArray, NDArray | None] | None:
    """Embeddings of training and of held-out samples.

    Args:
        features: A Keras model that makes them of inputs, an array for the training samples, a
            pair of arrays for both, or `None`.
        x: Training inputs.
        x_val: Held-out inputs, or `None`.

    Returns:
        Arrays of shape `(samples, numbers)`; the second is `None` where it is not known.
    """
    if features is None:
        return None
    if isinstance(features, keras.Model):
        held = None if x_val is None else _checked(features.predict(x_val, verbose=0), x_val)
        return _checked(features.predict(x, verbose=0), x), held
    if isinstance(features, tuple) and len(features) == 2:
        return _checked(features[0], x), _checked(features[1], x_val)
    return _checked(features, x), None


def of_features(evidence: Mapping[str, Evidence]) -> dict[str, Evidence]:
    """Whether a simple reference on the given features does better than the model.

    Their backbone is not trained here, so its gain is not measured.
    """
    gap = evidence.get("model_gap")
    rows = None if gap is None else gap.details.get("features_rows")
    if gap is None or rows is None:
        return {}
    effect, interval = mean_interval(rows - gap.details["user_rows"])
    threshold = least_effect(0.0, float(rows.mean()))
    text = (
        f"A simple reference on the given features reaches a skill of {rows.mean():.3f}, the model "
        f"{gap.details['user_skill']:.3f}, on the same {len(rows):,} samples."
    )
    status = status_of(interval, threshold)
    found = Evidence(
        "weak_features",
        status,
        text,
        effect,
        interval,
        0.0,
        threshold,
        unit="skill",
        samples=len(rows),
    )
    return {"weak_features": found}


def _checked(features: Any, x: Any) -> NDArray:
    samples = len(keras.tree.flatten(x)[0])
    found = to_numpy(features)
    if found.dtype.kind not in "fiu" or found.ndim < 2 or len(found) != samples:
        raise ValueError(
            f"Expected features of shape ({samples}, numbers), a row for each sample, such as "
            f"model.predict(x). Received: shape {found.shape}, dtype {found.dtype}"
        )
    if not np.isfinite(found).all():
        raise ValueError("Expected finite values in features. Received: NaN or infinite values")
    return found.reshape(samples, -1)
