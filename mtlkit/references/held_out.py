"""What references predict for held-out samples."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mtlkit.references._kinds import KINDS, Kind, as_inputs, input_kind


class HeldOut(NamedTuple):
    """The scores of one reference.

    Attributes:
        left_out: Those of the training samples, each predicted without itself; none if they were
            not asked for.
        held_out: Those of the held-out samples.

    Example:
        ```python
        import numpy as np
        from mtlkit.references import HeldOut

        scores = HeldOut(left_out=np.eye(3), held_out=np.eye(3)[:1])
        assert scores.held_out.shape == (1, 3)
        ```
    """

    left_out: NDArray[np.float32]
    held_out: NDArray[np.float32]


def predict_held_out(
    x: ArrayLike,
    targets: NDArray[np.floating],
    x_val: ArrayLike,
    seed: int = 0,
    *,
    features: tuple[NDArray, NDArray] | None = None,
    left_out: bool = True,
    quick: bool = False,
) -> Mapping[str, HeldOut]:
    """Fits every reference to training samples, and predicts held-out ones.

    Args:
        x: Training inputs, as of `Reference`.
        targets: One-hot classes, or values, of shape `(samples, outputs)`.
        x_val: Held-out inputs.
        seed: Seed of what is drawn.
        features: Embeddings of both.
        left_out: Whether the training samples are predicted, too, each without itself.
        quick: Whether to leave references out that take long.

    Returns:
        The scores by kind of reference.

    Example:
        ```python
        import numpy as np
        from mtlkit.references import predict_held_out

        rng = np.random.default_rng(0)
        x = rng.normal(size=(300, 4))
        scores = predict_held_out(x[:200], x[:200, :1], x[200:])
        error = scores["linear"].held_out - x[200:, :1]
        assert np.abs(error).max() < 0.1
        ```
    """
    train, held = as_inputs(x), as_inputs(x_val)
    both = np.concatenate([train, held])
    found = {
        kind.name: _predicted(kind, both, targets, seed, left_out)
        for kind in KINDS[input_kind(train)]
        if kind.quick or not quick
    }
    if features is not None:
        both = np.concatenate([np.asarray(part).reshape(len(part), -1) for part in features])
        for kind in KINDS["features"]:
            found[kind.name] = _predicted(kind, both, targets, seed, left_out)
    return found


def _predicted(kind: Kind, both: NDArray, targets: NDArray, seed: int, left_out: bool) -> HeldOut:
    # No label is used for features, so they may be made of all samples together.
    features = kind.features(both, seed)
    predictor = kind.predictor(features[: len(targets)])
    strength = predictor.best_strength(targets)
    return HeldOut(
        predictor.left_out(targets, strength) if left_out else targets[:0].astype("float32"),
        predictor.predict(targets, features[len(targets) :], strength),
    )
