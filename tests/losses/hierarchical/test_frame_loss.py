"""Cross-entropy over a fixed frame: tree or circle."""

import numpy as np
import pytest
from keras import ops

from mtlkit.hierarchy import Hierarchy
from mtlkit.hierarchy.frames import frame, frame_similarity
from mtlkit.losses.hierarchical import FrameCrossEntropy

ARCS = Hierarchy.circular(12, 3)


@pytest.mark.parametrize("distances", ["tree", "circular"])
def test_the_directions_themselves_have_no_error(distances):
    directions = frame(frame_similarity(ARCS.distances(distances), 3.0))
    options = {"distances": distances, "gamma": 3.0}
    cosines = FrameCrossEntropy(ARCS, cosine_weight=1.0, scale=7.0, **options)
    logits = 7.0 * directions @ directions.T
    found = ops.convert_to_numpy(cosines.call(np.arange(12), logits))
    np.testing.assert_allclose(found, 0, atol=1e-10)
    turned = ops.convert_to_numpy(cosines.call(np.arange(12), np.roll(logits, 1, axis=0)))
    assert turned.min() > 0.01


def test_parts_add_up():
    logits = np.random.default_rng(0).normal(size=(12, 12)).astype("float32")
    likelihood, cosines, mixed = (
        ops.convert_to_numpy(
            FrameCrossEntropy(ARCS, "circular", cosine_weight=w).call(np.arange(12), logits)
        )
        for w in (0.0, 1.0, 0.3)
    )
    np.testing.assert_allclose(mixed, 0.7 * likelihood + 0.3 * cosines, rtol=1e-5)


@pytest.mark.parametrize(
    "kwargs", [{"cosine_weight": 1.1}, {"cosine_weight": -0.1}, {"scale": 0}, {"gamma": 0}]
)
def test_errors(kwargs):
    ((name, value),) = kwargs.items()
    with pytest.raises(ValueError, match=f"{name}={value}"):
        FrameCrossEntropy(ARCS, **kwargs)
