"""Hierarchy: a validated tree, its levels and distances, and its forms."""

import io
import json
import pickle

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure
from trees import (
    FLAT,
    TREES,
    TWO_LEVELS,
    UNEVEN,
    common_ancestor_heights,
    leaves_below,
    path_to,
    random_tree,
)

from mtlkit.hierarchy import Hierarchy
from mtlkit.hierarchy._forms import as_hierarchy

seeds = st.integers(0, 10**6)


class TestNumbering:
    def test_names_in_order_of_appearance(self):
        tree = Hierarchy.from_groups(
            {"animal": {"bird": ["owl", "hen"], "pet": ["cat", "dog"]}, "stone": None}
        )
        assert tree.names == ("owl", "hen", "cat", "dog", "stone", "animal", "bird", "pet")
        assert tree.parents == (6, 6, 7, 7, -1, -1, 5, 5)
        assert (tree.num_leaves, tree.num_nodes, tree.depth) == (5, 8, 3)
        assert tree.index("pet") == 7

    def test_names_in_a_given_order(self):
        tree = Hierarchy.from_groups({"x": ["c", "a"], "y": ["d", "b"]}, class_names=list("abcd"))
        assert tree.names == ("a", "b", "c", "d", "x", "y")
        assert tree.parents == (4, 5, 4, 5, -1, -1)

    def test_integers_are_themselves(self):
        tree = Hierarchy.from_groups({1: [3, 0], 0: np.array([1, 2])})
        assert tree.names == ("0", "1", "2", "3", "group 1", "group 0")
        assert tree.parents == (4, 5, 5, 4, -1, -1)
        named = Hierarchy.from_groups({"x": [3, 0], "y": [1, 2]}, class_names=list("abcd"))
        assert named.names == ("a", "b", "c", "d", "x", "y")

    def test_lists_may_hold_groups(self):
        tree = Hierarchy.from_groups({"a": [0, 1], "b": [4, {"c": [2, 3]}], 5: None})
        assert tree.parents == UNEVEN.parents

    def test_a_group_of_one_is_what_it_has(self):
        tree = Hierarchy.from_groups({"all": {"x": ["a"], "y": {"z": ["b", "c"]}}})
        assert tree.names == ("a", "b", "c", "z") and tree.parents == (-1, 3, 3, -1)
        assert Hierarchy.from_groups({"all": ["a", "b", "c"]}).depth == 1


class TestErrors:
    @pytest.mark.parametrize(
        ("groups", "message"),
        [
            ({"x": ["a", "b"], "y": ["b", "c"]}, "class 'b' more than once"),
            ({"x": ["a", "b"], "y": []}, r"group 'y' = \[\]"),
            ({"x": ["a", "b"], "y": {"z": {}}}, r"group 'z' = \[\]"),
            ({"x": [0, 1], "y": [3, 4]}, r"lack \[2\]"),
            ({"x": [0, "b"], "y": ["c"]}, "all names, or all integers"),
            ({"x": ["a", "b"], "a": ["c", "d"]}, "'a' more than once"),
            ({"x": {"z": ["a", "b"], "w": ["e", "f"]}, "y": {"z": ["c", "d"], "v": ["g", "h"]}},
             "'z' more than once"),
            ({"x": "ab", "y": ["c"]}, "'ab' in group 'x'"),
            ({"x": ["a"]}, "at least two classes"),
            ({}, "root"),
            (["a", "b"], "as a dict"),
        ],
    )  # fmt: skip
    def test_groups(self, groups, message):
        if groups == {}:
            message = "at least"
        with pytest.raises(ValueError, match=message):
            Hierarchy.from_groups(groups)

    def test_class_names(self):
        with pytest.raises(ValueError, match=r"lack \['c'\], and have the unknown \['b'\]"):
            Hierarchy.from_groups({"x": ["a", "b"]}, class_names=["a", "c"])
        with pytest.raises(ValueError, match=r"lack \[2\]"):
            Hierarchy.from_groups({"x": [0], "y": [1]}, class_names=["a", "b", "c"])

    @pytest.mark.parametrize(
        ("parents", "names", "message"),
        [
            ([3, 3, -1, -1, 9], None, "'4' with parent 9"),
            ([3, 3, -1, -2], None, "with parent -2"),
            ([-1, 2, 3, 2], None, "'1' above itself"),
            ([3, 3, 4, -1, -1], None, "group 'group 4' with 1 children"),
            ([2, 2, -1, -1], None, "group '3' with 0 children"),
            ([2, 2, -1], None, "root with 1 children"),
            ([-1, -1], ["a", "a"], r"\['a'\] repeat"),
            ([-1, -1], ["a"], "Expected 2 different names"),
        ],
    )
    def test_parents(self, parents, names, message):
        with pytest.raises(ValueError, match=message):
            Hierarchy(parents, names)

    def test_lookups(self):
        for level in (0, 3):
            with pytest.raises(ValueError, match=rf"level in 1\.\.\.2\. Received: level={level}"):
                TWO_LEVELS.level(level)
        with pytest.raises(ValueError, match="'q'"):
            TWO_LEVELS.index("q")
        with pytest.raises(ValueError, match="'hops'"):
            TWO_LEVELS.distances("hops")
        for matrix in (np.zeros((5, 5)), np.ones((5, 5)), np.eye(4), np.triu(np.ones((5, 5)), 1)):
            with pytest.raises(ValueError, match=r"symmetric matrix.*\(5, 5\)"):
                TWO_LEVELS.distances(matrix)

    def test_it_cannot_be_changed(self):
        with pytest.raises(AttributeError):
            TWO_LEVELS.parents = ()
        for array in (TWO_LEVELS.ancestors, TWO_LEVELS.distances(), TWO_LEVELS.level(1)):
            with pytest.raises(ValueError, match="read-only"):
                array[0] = 1


class TestData:
    @given(seed=seeds)
    def test_plain_walks_agree(self, seed):
        tree = random_tree(seed)
        paths = [path_to(tree, node) for node in range(tree.num_nodes)]
        assert [[n for n in row if n >= 0] for row in tree.paths.tolist()] == paths
        assert tree.depths.tolist() == [len(path) for path in paths]
        below = [leaves_below(tree, node) for node in range(tree.num_nodes)]
        assert [np.flatnonzero(row).tolist() for row in tree.ancestors] == below
        heights = [max(len(paths[leaf]) for leaf in b) - len(p)
                   for b, p in zip(below, paths, strict=True)]  # fmt: skip
        assert tree.heights.tolist() == heights
        np.testing.assert_array_equal(tree.distances(), common_ancestor_heights(tree))

    @given(seed=seeds)
    def test_levels_are_nested_partitions(self, seed):
        tree = random_tree(seed)
        assert tree.level(tree.depth).tolist() == list(range(tree.num_leaves))
        for level in range(1, tree.depth + 1):
            member = tree.membership(level)
            assert member.sum(axis=1).tolist() == [1] * tree.num_leaves and member.any(axis=0).all()
            assert (tree.level_nodes(level)[member.argmax(axis=1)] == tree.level(level)).all()
            if level > 1:
                finer = tree.level(level)
                coarser = tree.level(level - 1)
                assert all(len(set(coarser[finer == node])) == 1 for node in finer)

    def test_what_labels_determine(self):
        assert UNEVEN.determined.tolist() == [
            [6, 0, 0], [6, 1, 1], [7, 8, 2], [7, 8, 3], [7, 4, 4], [5, 5, 5],
            [6, -1, -1], [7, -1, -1], [7, 8, -1],
        ]  # fmt: skip

    @given(seed=seeds)
    def test_tree_distances_are_an_ultrametric(self, seed):
        distances = random_tree(seed, depth=4).distances()
        np.testing.assert_array_equal(distances, distances.T)
        assert (distances[~np.eye(len(distances), dtype=bool)] > 0).all()
        longest = np.maximum(distances[:, :, None], distances[None])
        assert (distances[:, None] <= longest).all()

    def test_other_distances(self):
        circular = TWO_LEVELS.distances("circular")
        assert circular[0].tolist() == [0, 1, 2, 2, 1]
        np.testing.assert_array_equal(TWO_LEVELS.distances(circular.tolist()), circular)

    def test_flat(self):
        assert (FLAT.num_leaves, FLAT.num_nodes, FLAT.depth) == (5, 5, 1)
        np.testing.assert_array_equal(FLAT.distances(), 1 - np.eye(5))


class TestForms:
    @pytest.mark.parametrize("tree", TREES.values(), ids=TREES)
    def test_round_trips(self, tree, tmp_path):
        tree.save(tmp_path / "tree.json")
        serialized = json.loads(json.dumps(keras.saving.serialize_keras_object(tree)))
        for other in (
            Hierarchy.load(tmp_path / "tree.json"),
            Hierarchy.from_config(json.loads(json.dumps(tree.get_config()))),
            keras.saving.deserialize_keras_object(serialized),
            as_hierarchy(serialized),
            as_hierarchy(tree.get_config()),
            as_hierarchy(tree),
            pickle.loads(pickle.dumps(tree)),
        ):
            assert other == tree and hash(other) == hash(tree)

    def test_names_need_not_be_ascii(self, tmp_path):
        tree = Hierarchy.from_groups({"Bäume": ["Eiche", "Föhre"], "水": None})
        tree.save(tmp_path / "tree.json")
        assert Hierarchy.load(tmp_path / "tree.json") == tree

    def test_as_hierarchy(self):
        assert as_hierarchy({"x": [0, 1, 2], "y": [3, 4]}) == TWO_LEVELS
        with pytest.raises(ValueError, match="hierarchy=3"):
            as_hierarchy(3)

    def test_text(self):
        assert str(TWO_LEVELS).splitlines() == [
            "5 classes, 2 groups, 2 levels",
            "├── x", "│   ├── 0", "│   ├── 1", "│   └── 2", "└── y", "    ├── 3", "    └── 4",
        ]  # fmt: skip
        assert "└── z" not in str(UNEVEN) and "├── z (5)" in str(UNEVEN)

    @pytest.mark.parametrize("tree", TREES.values(), ids=TREES)
    def test_picture(self, tree, tmp_path):
        ax = tree.plot(tmp_path / "tree.png")
        assert (tmp_path / "tree.png").read_bytes().startswith(b"\x89PNG")
        assert sorted(text.get_text() for text in ax.texts) == sorted(tree.names)
        ax.figure.savefig(io.BytesIO())
        boxes = [text.get_window_extent() for text in ax.texts[: tree.num_leaves]]
        assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])

    def test_picture_on_given_axes(self):
        ax = Figure().subplots()
        assert TWO_LEVELS.plot(ax=ax) is ax
