"""Hierarchy-aware frames: directions with given cosines."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from trees import random_tree

from mtlkit.hierarchy import Hierarchy
from mtlkit.hierarchy.frames import frame, frame_similarity

ARCS = Hierarchy.circular(32, 8)


@pytest.mark.parametrize(("distances", "lowest"), [("tree", -0.1007), ("circular", -0.4624)])
def test_a_search_on_a_grid_agrees(distances, lowest):
    """The known values are the authors', who try 100 numbers from -1 / (K - 1) to -1."""
    distances = ARCS.distances(distances)
    decay = np.exp(-3 * distances / distances.max())
    grid = np.linspace(-1 / 31, -1, 100)
    valid = [m for m in grid if np.linalg.eigvalsh((1 - m) * decay + m).min() > -1e-9]
    assert min(valid) == pytest.approx(lowest, abs=5e-5)
    found = frame_similarity(distances, gamma=3.0)
    m = (found[0, 5] - decay[0, 5]) / (1 - decay[0, 5])
    assert min(valid) - (grid[0] - grid[1]) < m <= min(valid)


@given(seed=st.integers(0, 1000), gamma=st.floats(0.5, 6))
def test_directions_have_the_cosines(seed, gamma):
    distances = random_tree(seed, depth=4).distances()
    similarity = frame_similarity(distances, gamma)
    directions = frame(similarity)
    np.testing.assert_allclose(directions @ directions.T, similarity, atol=1e-10)
    np.testing.assert_allclose(np.diag(similarity), 1)
    decay = np.exp(-gamma * distances / distances.max())
    m = similarity.min()
    m = (m - decay.min()) / (1 - decay.min())
    lower = m - 1e-3  # a little more negative, and it is no similarity any more
    values = np.linalg.eigvalsh((1 - lower) * decay + lower)
    assert np.linalg.eigvalsh(similarity).min() > -1e-9 and values.min() < -1e-6


def test_equal_distances_give_a_simplex():
    found = frame_similarity(1 - np.eye(5), gamma=2.0)
    np.testing.assert_allclose(found[~np.eye(5, dtype=bool)], -1 / 4)


def test_permutation_equivariance():
    order = np.random.default_rng(0).permutation(32)
    similarity = frame_similarity(ARCS.distances())
    np.testing.assert_allclose(
        frame(similarity[np.ix_(order, order)]), frame(similarity)[np.ix_(order, order)], atol=1e-9
    )


def test_errors():
    for gamma in (0, -1, np.nan):
        with pytest.raises(ValueError, match="gamma"):
            frame_similarity(ARCS.distances(), gamma)
    # Two pairs of equal classes: no different directions.
    twins = np.kron(1 - np.eye(2), np.ones((2, 2)))
    with pytest.raises(ValueError, match="positive definite"):
        frame_similarity(twins, 1.0)
