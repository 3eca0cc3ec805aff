"""Arcs of bins around a circle."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtlkit.hierarchy import Hierarchy, circular_arcs, circular_distances


def test_distances():
    found = circular_distances(5)
    assert found[0].tolist() == [0, 1, 2, 2, 1]
    np.testing.assert_array_equal(found, np.roll(found, (1, 1), axis=(0, 1)))


def test_one_level_of_arcs():
    tree = Hierarchy.circular(32, 8)
    assert tree.level(1).tolist() == np.repeat(np.arange(32, 40), 4).tolist()
    assert tree.names[32] == "bins 0-3"
    for branching in ((8,), (8, 4)):
        assert Hierarchy.circular(32, branching) == tree


def test_arcs_of_arcs():
    tree = Hierarchy.circular(32, (4, 2, 4))
    assert (tree.depth, tree.num_nodes) == (3, 32 + 4 + 8)
    assert tree.membership(1).sum(axis=0).tolist() == [8] * 4
    assert tree.membership(2).sum(axis=0).tolist() == [4] * 8
    assert tree.distances()[0, [1, 4, 8, 31]].tolist() == [1, 2, 3, 3]
    assert Hierarchy.circular(6, 6).depth == Hierarchy.circular(6, (6,)).depth == 1


@given(offset=st.integers(-40, 40))
def test_offset_turns_the_arcs(offset):
    plain, turned = Hierarchy.circular(12, (2, 3)), Hierarchy.circular(12, (2, 3), offset=offset)
    for level in (1, 2):
        moved = np.roll(plain.level(level), offset)
        np.testing.assert_array_equal(
            moved[:, None] == moved, turned.level(level)[:, None] == turned.level(level)
        )


@pytest.mark.parametrize(
    ("num_bins", "branching"), [(32, 5), (32, 1), (32, (4, 1)), (32, (8, 8)), (32, ())]
)
def test_branching_must_divide_the_bins(num_bins, branching):
    with pytest.raises(ValueError, match=r"product divides num_bins.*branching="):
        Hierarchy.circular(num_bins, branching)


def test_arcs_without_overlap_are_those_of_the_hierarchy():
    for offset in (0, 1, -3):
        tree = Hierarchy.circular(12, 4, offset=offset)
        np.testing.assert_array_equal(circular_arcs(12, 4, offset=offset), tree.membership(1))


def test_overlap():
    arcs = circular_arcs(32, 8, overlap=2, offset=1)
    assert arcs.shape == (32, 8) and np.flatnonzero(arcs[:, 0]).tolist() == [1, 2, 3, 4, 5, 6]
    assert np.flatnonzero(arcs[:, 7]).tolist() == [0, 1, 2, 29, 30, 31]
    assert set(arcs.sum(axis=1)) == {1, 2}
    neighbours = (arcs.astype(int) @ arcs.T.astype(int))[np.arange(32), (np.arange(32) + 1) % 32]
    assert neighbours.min() == 1  # no two neighbours are apart in all arcs


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"num_arcs": 5}, "num_arcs=5"),
        ({"num_arcs": 1}, "num_arcs=1"),
        ({"num_arcs": 8, "overlap": -1}, "overlap=-1"),
        ({"num_arcs": 8, "overlap": 28}, r"0\.\.\.27.*overlap=28"),
    ],
)
def test_arc_errors(kwargs, message):
    with pytest.raises(ValueError, match=message):
        circular_arcs(32, **kwargs)
