"""Trees over classes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from numpy.typing import ArrayLike

from mtlkit.hierarchy import _drawing as drawing
from mtlkit.hierarchy._arrays import frozen, padded
from mtlkit.hierarchy._discovery import confusion_groups, embedding_groups
from mtlkit.hierarchy._distances import DISTANCES, checked_distances, tree_distances
from mtlkit.hierarchy._groups import read_groups
from mtlkit.hierarchy._nodes import check_names, check_tree, default_names, way_up
from mtlkit.hierarchy.circle import arc_groups, circular_distances

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@keras.saving.register_keras_serializable(package="mtlkit")
@dataclass(frozen=True)
class Hierarchy:
    """A tree over classes: groups of classes, groups of groups, to any depth.

    Nodes are numbered: the classes, which are the leaves, are `0 ... K - 1`, the groups
    `K ... N - 1`. The root has no number: to know no more than the root is to have no
    label, which is -1. A label may be any node, so a sample known only coarsely has the
    number of its group. Levels count from 1, the children of the root, to `depth`. A class
    that is less deep than that stands for itself at the levels below it.

    It is made by `from_groups`, `circular`, `from_confusion` and `from_embeddings`, and
    cannot be changed.

    Args:
        parents: The parent of each node, classes first; -1 for the root.
        names: The name of each node. `None`: their numbers, and `"group {number}"`.
        stability: The mean adjusted Rand index that `from_confusion` found, if it did.

    Raises:
        ValueError: If that is not a tree in which each group has at least two children, or
            names repeat. The message names the node.

    Example:
        ```python
        from mtlkit.hierarchy import Hierarchy

        hierarchy = Hierarchy.from_groups({"animal": ["cat", "dog"], "plant": ["oak", "fir"]})
        assert hierarchy.num_leaves == 4 and hierarchy.index("plant") == 5
        assert hierarchy.level(1).tolist() == [4, 4, 5, 5]
        print(hierarchy)
        ```
    """

    parents: Sequence[int]
    names: Sequence[str] = None  # type: ignore[assignment]
    stability: float | None = None

    def __post_init__(self) -> None:
        parents = tuple(int(parent) for parent in self.parents)
        names = default_names(parents) if self.names is None else tuple(map(str, self.names))
        check_names(names, len(parents))
        check_tree(parents, names)
        object.__setattr__(self, "parents", parents)
        object.__setattr__(self, "names", names)

    # === Ways to make one ===

    @classmethod
    def from_groups(
        cls, groups: Mapping[Any, Any], class_names: Sequence[str] | None = None
    ) -> Hierarchy:
        """Makes a hierarchy from groups as people write them.

        A group of a single class or group says no more than that, which takes its place.

        Args:
            groups: Classes by group, `{"coarse": ["fine", ...]}`; nested dicts for more
                levels. A class without a group is a key with `None`. Classes are names, or
                all of them the integers `0 ... K - 1`.
            class_names: Names of the classes, in the order of their numbers. `None`: names
                are numbered in the order of their appearance, integers are themselves.

        Returns:
            The hierarchy; groups are numbered from the coarsest level to the finest, within
            a level in the order of their appearance.

        Raises:
            ValueError: If a group is empty, or a class or name is repeated, missing or
                unknown.

        Example:
            ```python
            from mtlkit.hierarchy import Hierarchy

            deep = {"animal": {"bird": ["owl", "hen"], "pet": ["cat", "dog"]}, "stone": None}
            assert Hierarchy.from_groups(deep).depth == 3
            assert Hierarchy.from_groups({"even": [0, 2], "odd": [1, 3]}).level(1).tolist() == [
                4, 5, 4, 5
            ]
            ```
        """
        return cls(*read_groups(groups, class_names))

    @classmethod
    def circular(cls, num_bins: int, branching: int | Sequence[int], offset: int = 0) -> Hierarchy:
        """Makes a hierarchy of contiguous arcs of bins around a circle.

        Bins at the two sides of a boundary are far apart in the tree though neighbours on
        the circle; `offset` turns the boundaries, and `circular_arcs` gives arcs that
        overlap.

        Args:
            num_bins: Number of bins, the classes.
            branching: Number of arcs, such as 8, or of arcs, smaller arcs in each, ..., such
                as `(4, 2, 4)`.
            offset: The bin where the first arc begins.

        Returns:
            The hierarchy.

        Raises:
            ValueError: If `branching` does not divide the bins.

        Example:
            ```python
            from mtlkit.hierarchy import Hierarchy

            arcs = Hierarchy.circular(num_bins=32, branching=8)
            assert arcs.num_nodes == 40 and arcs.depth == 2
            ```
        """
        return cls(*read_groups(arc_groups(num_bins, branching, offset)))

    @classmethod
    def from_confusion(
        cls,
        matrix: ArrayLike,
        num_groups: int | Sequence[int],
        *,
        method: str = "linkage",
        class_names: Sequence[str] | None = None,
        bootstrap: int = 50,
        seed: int = 0,
        force: bool = False,
    ) -> Hierarchy:
        """Groups classes that a model confuses with each other.

        With the row-normalised confusion matrix `F`, the affinity of classes is
        `A = (F + F^T) / 2` with a zero diagonal. They are grouped by average linkage on
        `1 - A`, or by spectral clustering of `A`. A class that is grouped with no other has
        no group. At chance a confusion matrix is noise, so the method refuses, with a
        warning, if the accuracy (the mean over classes) is below twice chance.

        `stability` is the mean adjusted Rand index between the groups and those found in
        bootstrap samples of the counts: 1 where the groups are sure, near 0 where another
        sample would give others.

        Args:
            matrix: Counts, rows the true classes, columns the predicted ones, from
                validation data. Rates will do, but have no bootstrap.
            num_groups: Number of groups. Several, rising: a level of groups for each.
            method: `"linkage"`, or `"spectral"` for a single level.
            class_names: Names of the classes. `None`: their numbers.
            bootstrap: Number of bootstrap samples; 0 for none.
            seed: Seed of the bootstrap, and of the spectral method.
            force: Whether to go on, with the warning only, near chance.

        Returns:
            The hierarchy.

        Raises:
            ValueError: If the accuracy is below twice chance, or an argument is not as
                described.

        Reference:
            [Yan et al., HD-CNN, 2015](https://arxiv.org/abs/1410.0736)

        Example:
            ```python
            import numpy as np
            from mtlkit.hierarchy import Hierarchy

            counts = 50 * np.eye(6) + np.kron(np.eye(3), np.full((2, 2), 20))
            found = Hierarchy.from_confusion(counts, num_groups=3)
            assert found.level(1).tolist() == [6, 6, 7, 7, 8, 8]
            ```
        """
        groups, stability = confusion_groups(matrix, num_groups, method, bootstrap, seed, force)
        return cls(*read_groups(groups, class_names), stability)

    @classmethod
    def from_embeddings(
        cls,
        class_means: ArrayLike,
        num_groups: int | Sequence[int],
        *,
        class_names: Sequence[str] | None = None,
    ) -> Hierarchy:
        """Groups classes by the cosine similarity of their embeddings, with average linkage.

        Args:
            class_means: The mean embedding of each class, of shape `(classes, dimensions)`.
            num_groups: Number of groups. Several, rising: a level of groups for each.
            class_names: Names of the classes. `None`: their numbers.

        Returns:
            The hierarchy.

        Raises:
            ValueError: If an argument is not as described, or an embedding is zero.

        Example:
            ```python
            from mtlkit.hierarchy import Hierarchy

            found = Hierarchy.from_embeddings([[1, 0], [2, 0.1], [0, 1], [0, 3]], num_groups=2)
            assert found.level(1).tolist() == [4, 4, 5, 5]
            ```
        """
        return cls(*read_groups(embedding_groups(class_means, num_groups), class_names))

    # === Nodes ===

    @property
    def num_leaves(self) -> int:
        """Number of classes, `K`."""
        return min((p for p in self.parents if p >= 0), default=len(self.parents))

    @property
    def num_nodes(self) -> int:
        """Number of classes and groups, `N`; the root does not count."""
        return len(self.parents)

    @property
    def depth(self) -> int:
        """Number of levels; 1 where there are no groups."""
        return int(self.depths.max())

    def index(self, name: str) -> int:
        """Returns the number of a node.

        Args:
            name: Its name.

        Returns:
            The number, which is what labels are.

        Raises:
            ValueError: If no node has the name.
        """
        if name not in self.names:
            raise ValueError(f"Expected the name of a class or group. Received: name={name!r}")
        return self.names.index(name)

    @cached_property
    def children(self) -> dict[int, tuple[int, ...]]:
        """The children of each group by its number, and of the root, by -1."""
        children: dict[int, list[int]] = {-1: []}
        children |= {group: [] for group in range(self.num_leaves, self.num_nodes)}
        for node, parent in enumerate(self.parents):
            children[parent].append(node)
        return {group: tuple(nodes) for group, nodes in children.items()}

    @cached_property
    def paths(self) -> np.ndarray:
        """The nodes from level 1 down to each node itself, then -1; of shape `(N, depth)`."""
        ups = [way_up(node, self.parents) for node in range(self.num_nodes)]
        return padded([up[::-1] for up in ups], fill=-1)

    @cached_property
    def depths(self) -> np.ndarray:
        """The level of each node, of shape `(N,)`."""
        return frozen((self.paths >= 0).sum(axis=1))

    @cached_property
    def heights(self) -> np.ndarray:
        """How many edges each node stands above its deepest class, of shape `(N,)`."""
        deepest = np.where(self.ancestors, self.depths[: self.num_leaves], 0).max(axis=1)
        return frozen(deepest - self.depths)

    @cached_property
    def ancestors(self) -> np.ndarray:
        """Whether each node is a class itself or above it: booleans of shape `(N, K)`."""
        above = np.zeros((self.num_nodes, self.num_leaves), bool)
        leaves = np.arange(self.num_leaves)
        for nodes in self.determined[: self.num_leaves].T:
            above[nodes, leaves] = True
        return frozen(above)

    # === Levels ===

    @cached_property
    def determined(self) -> np.ndarray:
        """The node of each level that a label determines, or -1; of shape `(N, depth)`.

        A group determines its own level and the coarser ones, a class determines all.
        """
        nodes = self.paths.copy()
        for leaf in range(self.num_leaves):
            nodes[leaf, nodes[leaf] < 0] = leaf
        return frozen(nodes)

    def level(self, level: int) -> np.ndarray:
        """Returns the node of each class at a level.

        Args:
            level: 1, the coarsest, to `depth`.

        Returns:
            Numbers of nodes, of shape `(K,)`.

        Raises:
            ValueError: If there is no such level.
        """
        if not 1 <= level <= self.depth:
            raise ValueError(f"Expected level in 1...{self.depth}. Received: level={level}")
        return self.determined[: self.num_leaves, level - 1]

    def level_nodes(self, level: int) -> np.ndarray:
        """Returns the nodes of a level, in rising order.

        Args:
            level: 1, the coarsest, to `depth`.

        Returns:
            Numbers of nodes.

        Raises:
            ValueError: If there is no such level.
        """
        return np.unique(self.level(level))

    def membership(self, level: int) -> np.ndarray:
        """Tells which classes are in which nodes of a level.

        Args:
            level: 1, the coarsest, to `depth`.

        Returns:
            Booleans of shape `(K, nodes of the level)`, in the order of `level_nodes`.

        Raises:
            ValueError: If there is no such level.
        """
        return self.level(level)[:, None] == self.level_nodes(level)

    # === Distances ===

    def distances(self, kind: str | ArrayLike = "tree") -> np.ndarray:
        """Returns the distances between all pairs of classes.

        Args:
            kind: `"tree"`: the height of the lowest common ancestor, how many edges it
                stands above its deepest class. `"circular"`: the shorter way around the
                circle, in bins, where classes are bins. Or a matrix of your own, which is
                checked and returned.

        Returns:
            A symmetric matrix of shape `(K, K)`, float64, with a zero diagonal.

        Raises:
            ValueError: If `kind` is none of these.

        Example:
            ```python
            from mtlkit.hierarchy import Hierarchy

            arcs = Hierarchy.circular(32, 8)
            assert arcs.distances()[0].max() == 2 and arcs.distances("circular")[0].max() == 16
            ```
        """
        if not isinstance(kind, str):
            return checked_distances(kind, self.num_leaves)
        if kind not in DISTANCES:
            raise ValueError(
                f"Expected distances of a kind in {DISTANCES}, or a matrix. Received: {kind!r}"
            )
        return circular_distances(self.num_leaves) if kind == "circular" else self._tree_distances

    @cached_property
    def _tree_distances(self) -> np.ndarray:
        return tree_distances(self.ancestors, self.heights, self.depth)

    # === Showing and saving ===

    def to_text(self) -> str:
        """Writes the hierarchy as an indented tree; classes with their numbers in brackets."""
        return drawing.to_text(self)

    def __str__(self) -> str:
        return self.to_text()

    def plot(self, path: str | Path | None = None, ax: Axes | None = None) -> Axes:
        """Draws the hierarchy from left (the root) to right (the classes).

        Args:
            path: File to save the picture in, such as `"tree.png"`. `None`: not saved.
            ax: Where to draw. `None`: on a new figure.

        Returns:
            The axes that were drawn on.
        """
        return drawing.plot(self, path, ax)

    def save(self, path: str | Path) -> None:
        """Writes the hierarchy to a JSON file.

        Args:
            path: The file.

        Example:
            ```python
            from mtlkit.hierarchy import Hierarchy

            hierarchy = Hierarchy.circular(8, 4)
            hierarchy.save("tree.json")
            assert Hierarchy.load("tree.json") == hierarchy
            ```
        """
        text = json.dumps(self.get_config(), ensure_ascii=False, indent=1)
        Path(path).write_text(text + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: str | Path) -> Hierarchy:
        """Reads a hierarchy that `save` wrote.

        Args:
            path: The file.

        Returns:
            The hierarchy.
        """
        return cls.from_config(json.loads(Path(path).read_text(encoding="utf-8")))

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor, as JSON knows them."""
        return {
            "parents": list(self.parents),
            "names": list(self.names),
            "stability": self.stability,
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Hierarchy:
        """Builds a hierarchy from what `get_config` returned."""
        return cls(**config)
