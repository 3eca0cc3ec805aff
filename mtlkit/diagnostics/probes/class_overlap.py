"""Neighbouring classes whose images overlap."""

from __future__ import annotations

import time

import numpy as np
from numpy.typing import ArrayLike

from mtlkit.diagnostics.evidence import Evidence
from mtlkit.diagnostics.probes.structured_noise import is_overlap
from mtlkit.diagnostics.reference import Reference

#: Labels of neighbours below this share do not matter.
_THRESHOLD = 0.05


def class_overlap(
    x: ArrayLike,
    y: ArrayLike,
    *,
    num_classes: int | None = None,
    reference: Reference | None = None,
    seed: int = 0,
) -> Evidence:
    """Finds classes on a circle whose labels reach over into both neighbours.

    The border between two bins is always blurred, but not their middle: where the images
    are clear, labels are those of the bin. If even there the labels of *both* neighbours
    occur, and about as often, labels are blurred by more than a bin's border. (One
    neighbour alone is `structured_noise`. As to a blur of labels and a blur of images, the
    data do not tell one from the other.)

    Args:
        x: Images of shape `(samples, height, width, channels)`.
        y: Classes of shape `(samples,)`.
        num_classes: Number of classes.
        reference: The reference of these samples, if there is one already.
        seed: Seed of the reference.

    Returns:
        Evidence `"class_overlap"`: the effect is the share of neighbours' labels among clear
        samples, the mean of both sides.

    Example:
        ```python
        import numpy as np
        from mtlkit.diagnostics.probes.class_overlap import class_overlap

        rng = np.random.default_rng(0)
        clean = rng.integers(8, size=1600)
        x = rng.random((1600, 8, 8, 1), dtype="float32")
        x[np.arange(1600), clean] += 1  # the bright row is the class
        y = (clean + rng.choice([-1, 0, 1], 1600, p=[0.2, 0.6, 0.2])) % 8
        assert class_overlap(x, y).status == "found"
        ```
    """
    start = time.process_time()
    reference = reference or Reference(x, y, num_classes, seed)
    sides = [
        one.ladder for one in reference.pairings if one.distance in (1, reference.num_classes - 1)
    ]
    if len(sides) < 2:
        text = "Classes are not often confused with both of their neighbours."
        return Evidence("class_overlap", "absent", text, samples=len(reference))
    floors = [side.floor for side in sides]
    rate = float(np.mean([one.rate for one in floors]))
    low, high = (float(np.mean([getattr(one, end) for one in floors])) for end in ("low", "high"))
    found = is_overlap(reference)
    text = (
        f"Labels reach over into both neighbours, even for clear images: {100 * rate:.0f} % each."
        if found
        else "Where images are clear, labels do not reach over into both neighbours."
    )
    return Evidence(
        "class_overlap",
        "found" if found else "absent",
        text,
        rate,
        (low, high),
        0.0,
        _THRESHOLD,
        unit="share of labels",
        samples=len(reference),
        details={"ladder": sides[0].steps(), "other_side": sides[1].steps()},
        seconds=time.process_time() - start,
    )
