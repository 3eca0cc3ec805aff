"""Reading nested groups, as people write them, into a numbered tree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(eq=False)
class _Node:
    """A class (no children), or a group."""

    key: Any
    children: list[_Node] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.key if isinstance(self.key, str) else f"group {self.key}"

    def leaves(self) -> Iterator[_Node]:
        if not self.children:
            yield self
        for child in self.children:
            yield from child.leaves()


def read_groups(
    groups: Mapping[Any, Any], class_names: Sequence[str] | None = None
) -> tuple[list[int], list[str]]:
    """Numbers the nodes of nested groups."""
    if not isinstance(groups, Mapping):
        raise ValueError(
            f'Expected groups as a dict, {{"group": ["class", ...]}}. Received: {groups!r}'
        )
    root = _collapsed(_Node("the root", [_read(key, value) for key, value in groups.items()]))
    leaves = list(root.leaves())
    number, names = _number_classes([leaf.key for leaf in leaves], class_names)
    numbers = {leaf: number[leaf.key] for leaf in leaves}
    parent_of: dict[int, int] = {}
    level = [root]
    while level:
        below = [child for node in level for child in node.children]
        for group in (node for node in below if node.children):
            numbers[group] = len(names)
            names.append(group.name)
        for node in level:
            parent_of |= {numbers[child]: numbers.get(node, -1) for child in node.children}
        level = below
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise ValueError(
            "Expected groups and classes of different names. "
            f"Received: {', '.join(map(repr, repeated))} more than once"
        )
    return [parent_of[node] for node in range(len(names))], names


def _read(key: Any, content: Any) -> _Node:
    if content is None:
        return _Node(key)
    if isinstance(content, Mapping):
        children = [_read(name, below) for name, below in content.items()]
    elif isinstance(content, Sequence | np.ndarray) and not isinstance(content, str):
        children = [child for item in content for child in _read_item(item)]
    else:
        raise ValueError(
            "Expected the content of a group to be a list of classes, or a dict of groups. "
            f"Received: {content!r} in group {key!r}"
        )
    if not children:
        raise ValueError(f"Expected at least one class in each group. Received: group {key!r} = []")
    return _Node(key, children)


def _read_item(item: Any) -> list[_Node]:
    if isinstance(item, Mapping):
        return [_read(name, below) for name, below in item.items()]
    return [_Node(item)]


def _collapsed(node: _Node) -> _Node:
    """A group of a single child says no more than the child, which takes its place."""
    if len(node.children) == 1:
        return _collapsed(node.children[0])
    return _Node(node.key, [_collapsed(child) for child in node.children])


def _number_classes(
    keys: list[Any], class_names: Sequence[str] | None
) -> tuple[dict[Any, int], list[str]]:
    """The number of each class by its key in the groups, and the names by number."""
    by_number = [isinstance(key, int | np.integer) and not isinstance(key, bool) for key in keys]
    if not all(by_number) and not all(isinstance(key, str) for key in keys):
        raise ValueError(
            f"Expected classes that are all names, or all integers. Received: {keys!r}"
        )
    repeated = [key for key, count in Counter(keys).items() if count > 1]
    if repeated:
        raise ValueError(
            "Expected each class in one place of the tree. "
            f"Received: class {', '.join(map(repr, repeated))} more than once"
        )
    if all(by_number):
        count = len(class_names) if class_names is not None else max(map(int, keys)) + 1
        expected: list[Any] = list(range(count))
    else:
        expected = list(keys if class_names is None else class_names)
    missing = [key for key in expected if key not in set(keys)]
    unknown = [key for key in keys if key not in set(expected)]
    if missing or unknown or len(expected) < 2:
        raise ValueError(
            f"Expected at least two classes, and each of the {len(expected)} in a group. Received: "
            f"groups that lack {missing}, and have the unknown {unknown}"
        )
    names = expected if class_names is None else class_names
    return {key: number for number, key in enumerate(expected)}, [str(name) for name in names]
