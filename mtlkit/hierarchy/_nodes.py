"""Nodes as parents and names: the way up, and whether they make a tree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence


def way_up(node: int, parents: Sequence[int]) -> list[int]:
    """Returns a node and its ancestors, from the node to the root."""
    path: list[int] = []
    while node >= 0 and len(path) <= len(parents):
        path.append(node)
        node = parents[node]
    return path


def default_names(parents: Sequence[int]) -> tuple[str, ...]:
    """Returns the numbers of classes, and `"group {number}"`, as names."""
    groups = set(parents)
    return tuple(f"group {n}" if n in groups else str(n) for n in range(len(parents)))


def check_names(names: Sequence[str], num_nodes: int) -> None:
    """Raises a ValueError unless each node has a name of its own."""
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if len(names) != num_nodes or repeated:
        raise ValueError(
            f"Expected {num_nodes} different names, one for each node. "
            f"Received: {len(names)} names, of which {repeated} repeat"
        )


def check_tree(parents: Sequence[int], names: Sequence[str]) -> None:
    """Raises a ValueError, which names the node, unless the parents make a tree."""
    expected = "Expected parents that make a tree, groups (with two children or more) after classes"
    nodes = range(len(parents))
    for node in nodes:
        if not -1 <= parents[node] < len(parents):
            raise ValueError(f"{expected}. Received: {names[node]!r} with parent {parents[node]}")
        if len(way_up(node, parents)) > len(parents):
            raise ValueError(f"{expected}. Received: {names[node]!r} above itself")
    counts = Counter(parents)
    first_group = min((p for p in parents if p >= 0), default=len(parents))
    for node in nodes[first_group:]:
        if counts[node] < 2:
            raise ValueError(
                f"{expected}. Received: group {names[node]!r} with {counts[node]} children"
            )
    if counts[-1] < 2:
        raise ValueError(f"{expected}. Received: a root with {counts[-1]} children")
