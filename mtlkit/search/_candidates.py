"""Candidates: the families of heads that a search compares."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import keras

from mtlkit.heads import (
    AdoptedHead,
    ClassificationHead,
    ContrastiveHead,
    DenseHead,
    HierarchicalHead,
    MultiLabelHead,
    OrdinalHead,
    OrientationHead,
    RegressionHead,
)
from mtlkit.heads.head import Head
from mtlkit.hierarchy import Hierarchy
from mtlkit.space import Choice, Fixed, override, settled
from mtlkit.space._values import is_counted_name
from mtlkit.space.parts import same
from mtlkit.space.points import holds, value_of

#: Arguments that say how many outputs a head has, in the order in which they are looked for.
_SIZES = ("num_classes", "num_bins", "units")
_VARIABLE = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
#: Arguments of a head that are no part of its design.
_NOT_DESIGN = ("name", "trainable", "dtype")


@dataclass(frozen=True)
class Candidate:
    """A family of heads, and what of it is searched.

    Args:
        name: Name of the family, for the leaderboard.
        head: The class of the heads, a subclass of `mtlkit.heads.Head`.
        arguments: For each argument of its constructor a value, which fixes it, or a part of a
            search space such as `mtlkit.space.Float(0.0, 0.5)`. Arguments left out have the
            range that `head.search_space()` declares, or the constructor's default.

    Raises:
        ValueError: If the head is no subclass of `Head`, or its constructor has no such argument.

    Example:
        ```python
        from mtlkit.heads import OrientationHead
        from mtlkit.search import Candidate
        from mtlkit.space import Float

        arguments = {"num_bins": 32, "spatial": "polar", "dropout": Float(0.2, 0.5)}
        polar = Candidate("polar", OrientationHead, arguments)
        head = polar.build({**polar.default_point(), "dropout": 0.25})
        assert head.spatial == "polar"
        ```
    """

    name: str
    head: type[Head]
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not (inspect.isclass(self.head) and issubclass(self.head, Head)):
            raise ValueError(
                f"Candidate {self.name!r}: expected head to be a subclass of mtlkit.heads.Head. "
                f"Received: head={self.head!r}"
            )
        parameters = inspect.signature(self.head).parameters.values()
        known = [p.name for p in parameters if p.kind not in _VARIABLE]
        of_layers = _NOT_DESIGN if any(p.kind is p.VAR_KEYWORD for p in parameters) else ()
        unknown = [name for name in self.arguments if name not in (*known, *of_layers)]
        if unknown:
            raise ValueError(
                f"Candidate {self.name!r}: expected arguments of {self.head.__name__}, {known}. "
                f"Received: {unknown}"
            )

    @property
    def space(self) -> dict[str, Any]:
        """The search space: what the head declares, with the arguments given here."""
        return settled(override(self.head.search_space(), self.arguments))

    def searched(self) -> dict[str, Any]:
        """The part of the space that is not the same for all heads."""
        return {name: part for name, part in self.space.items() if not isinstance(part, Fixed)}

    def default_point(self, wanted: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Returns the point of the space that is nearest to the constructor's defaults.

        Args:
            wanted: Values that some arguments shall have, each within its range.

        Returns:
            The arguments.
        """
        parameters = inspect.signature(self.head).parameters
        defaults = {name: p.default for name, p in parameters.items()} | dict(wanted or {})
        point: dict[str, Any] = {}
        for name, part in self.space.items():
            if holds(part, point):
                value = value_of(part)
                point[name] = _nearest(value, defaults.get(name))
        return point

    def build(self, point: Mapping[str, Any]) -> Head:
        """Builds the head of a point.

        Args:
            point: The arguments, as `mtlkit.space.sample(self.space, rng)` draws them. Those
                that are the same for all heads may be left out.

        Returns:
            A new head.

        Raises:
            ValueError: If the head refuses the arguments.
        """
        arguments = self.all_arguments(point)
        return self.head(**{name: _new(name, value) for name, value in arguments.items()})

    def all_arguments(self, point: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the arguments of a point with those that are the same for all heads."""
        fixed = {k: part.value for k, part in self.space.items() if isinstance(part, Fixed)}
        return {**fixed, **point}


def _new(name: str, value: Any) -> Any:
    """A layer as a new one, since it would take its weights along; other values as they are."""
    if not isinstance(value, keras.layers.Layer):
        return value
    config = value.get_config()
    if is_counted_name(value.name, type(value).__name__):
        config["name"] = name
    return type(value).from_config(config)


def _nearest(part: Any, default: Any) -> Any:
    """The default where it is in the range, else the middle of the range."""
    values = part.grid(3)
    return default if default in part else values[len(values) // 2]


def candidates_for(
    head: Head, given: Sequence[Any] | None = None, vectors: bool = False
) -> list[Candidate]:
    """Returns the candidates of a search; `vectors` says that there are no maps to read."""
    families = _families(head, vectors)
    if not given and not families:
        raise ValueError(
            "Expected candidates, since the families of this library do not fit the task's head. "
            f"Received: candidates={given!r}, head={head!r}"
        )
    found: list[Candidate] = []
    for one in given or families:
        candidate = _candidate(one, head, families)
        if isinstance(one, Head) and is_counted_name(one.name, type(one).__name__):
            candidate = replace(candidate, name=_free_name(type(one).__name__, found))
        found.append(candidate)
    names = [candidate.name for candidate in found]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ValueError(f"Expected candidates of different names. Received: {repeated} repeatedly")
    return found


def _free_name(name: str, found: Sequence[Candidate]) -> str:
    """A name, with a number if candidates before have it already."""
    taken = {candidate.name for candidate in found}
    numbered = (f"{name}_{number}" for number in range(2, len(found) + 3))
    return next(one for one in (name, *numbered) if one not in taken)


def _families(head: Head, vectors: bool) -> dict[str, Candidate]:
    """The families of this library that can do what a head does."""
    size = _size(head)
    layout = {"data_format": head.data_format} if hasattr(head, "data_format") else {}
    pooled = {"pooling": "average"} if vectors else {}  # which then are all the same
    if isinstance(head, RegressionHead):
        fixed = {"units": head.units, "standardize": head.standardize, **layout, **pooled}
        return {"regression": Candidate("regression", RegressionHead, fixed)}
    if isinstance(head, MultiLabelHead):
        fixed = {"num_labels": head.num_labels, **layout, **pooled}
        return {"multi_label": Candidate("multi_label", MultiLabelHead, fixed)}
    if isinstance(head, DenseHead):
        fixed = {"num_classes": head.num_classes, "units": head.units, **layout}
        fixed["standardize"] = head.standardize
        return {"dense": Candidate("dense", DenseHead, fixed)}
    if isinstance(head, OrdinalHead):
        fixed = {"num_classes": head.num_classes, **layout, **pooled}
        return {"ordinal": Candidate("ordinal", OrdinalHead, fixed)}
    if isinstance(head, OrientationHead) and (head.labels != "bins" or not head.circular):
        kept = ("num_bins", "circular", "period", "labels")
        fixed = {k: getattr(head, k) for k in kept}
        return {"orientation": _orientation(vectors, **fixed, **layout)}
    if isinstance(head, AdoptedHead) and head.kind == "regression" and size is not None:
        return {"regression": Candidate("regression", RegressionHead, {"units": size, **pooled})}
    if size is None:
        return {}
    fixed = {"num_classes": size, **layout, **pooled}
    families = [Candidate("classification", ClassificationHead, fixed)]
    # Classes may be poses that nobody called so, but hardly among columns.
    if not vectors or isinstance(head, OrientationHead):
        families.append(_orientation(vectors, num_bins=size, **_circle(head), **layout))
    families.append(Candidate("contrastive", ContrastiveHead, fixed))
    tree = _tree(head, size)
    if tree:
        families.append(Candidate("hierarchical", HierarchicalHead, {**tree, **layout, **pooled}))
    return {family.name: family for family in families}


def _orientation(vectors: bool, /, **fixed: Any) -> Candidate:
    """The orientation heads, with the designs and targets that there are for such bins."""
    space = OrientationHead.search_space()
    ranges: dict[str, Choice] = {}
    known = dict(fixed)
    for argument in ("spatial", "target"):
        values = space[argument].values
        possible = [v for v in values if _takes(OrientationHead, {**known, argument: v}, vectors)]
        ranges[argument] = Choice(possible)
        known[argument] = possible[0]
    return Candidate("orientation", OrientationHead, {**fixed, **ranges})


def _takes(kind: type[OrientationHead], arguments: Mapping[str, Any], vectors: bool) -> bool:
    """Whether a constructor takes these arguments, and its head vectors, if there are no maps."""
    try:
        head = kind(**arguments)
        if "spatial" in arguments and head.spatial != arguments["spatial"]:
            return False  # it is another design here, which stands beside it
        if vectors:
            head.build((None, 8))
    except ValueError:
        return False
    return True


def _candidate(one: Any, head: Head, families: Mapping[str, Candidate]) -> Candidate:
    if isinstance(one, Candidate):
        return one
    if isinstance(one, str) and one in families:
        return families[one]
    if isinstance(one, Head):
        return Candidate(one.name, type(one), _config(one))
    if inspect.isclass(one) and issubclass(one, Head):
        for family in families.values():
            if family.head is one:
                return replace(family, name=one.__name__)
        arguments = _own_arguments(head) if type(head) is one else _size_argument(one, head)
        return Candidate(one.__name__, one, arguments)
    raise ValueError(
        "Expected each candidate to be a mtlkit.search.Candidate, a class of heads, a head, or one "
        f"of the families that fit the task, {list(families)}. Received: {one!r}"
    )


def _own_arguments(head: Head) -> dict[str, Any]:
    """The arguments of the task's own head that its class does not search."""
    kind, config = type(head), _config(head)
    parameters, searched = inspect.signature(kind).parameters, kind.search_space()
    named = {k: v for k, v in config.items() if k in parameters}
    before, after = head.get_config(), kind(**named).get_config()
    lost = [k for k in config if k not in searched and not same(before[k], after.get(k))]
    if lost:
        raise _needs_values(kind, lost, "which its constructor does not name")
    return {k: v for k, v in named.items() if k not in searched}


def _config(head: Head) -> dict[str, Any]:
    """The arguments of a head that make its design."""
    return {k: _object(v) for k, v in head.get_config().items() if k not in _NOT_DESIGN}


def _size_argument(kind: type[Head], head: Head) -> dict[str, Any]:
    """The number of classes, by the name that a constructor has for it."""
    parameters = inspect.signature(kind).parameters
    known = [name for name in _SIZES if name in parameters]
    size = _size(head)
    if size is not None and known:
        return {known[0]: size}
    needed = [
        name
        for name, parameter in parameters.items()
        if parameter.default is parameter.empty and parameter.kind not in _VARIABLE
    ]
    if needed:
        raise _needs_values(kind, needed, "which cannot be told from the task")
    return {}


def _needs_values(kind: type[Head], names: list[str], why: str) -> ValueError:
    return ValueError(
        f"Expected mtlkit.search.Candidate(name, {kind.__name__}, {{...}}) with values for "
        f"{names}, {why}. Received: {kind.__name__}"
    )


def _size(head: Head) -> int | None:
    if isinstance(head, HierarchicalHead):
        return head.hierarchy.num_leaves
    if isinstance(head, AdoptedHead):
        of_samples = len(head.output_shape) == 2 and head.kind in ("classification", "regression")
        return head.output_shape[-1] if of_samples else None
    return next((getattr(head, name) for name in _SIZES if hasattr(head, name)), None)


def num_classes(head: Head) -> int:
    """The number of classes that a head tells apart; 0 if it predicts something else."""
    regresses = isinstance(head, RegressionHead) or getattr(head, "kind", "") == "regression"
    return 0 if regresses else _size(head) or 0


def _object(value: Any) -> Any:
    """The object that stands serialised in a config; other values as they are."""
    serialised = isinstance(value, Mapping) and "class_name" in value
    return keras.saving.deserialize_keras_object(value) if serialised else value


def _circle(head: Head) -> dict[str, Any]:
    return {"period": head.period} if isinstance(head, OrientationHead) else {}


def _tree(head: Head, size: int) -> dict[str, Any]:
    """The hierarchy of a head's classes and their distances; of bins their arcs."""
    if isinstance(head, HierarchicalHead):
        return {"hierarchy": head.hierarchy, "distances": head.distances}
    arcs = [number for number in range(2, size // 2 + 1) if size % number == 0]
    if not isinstance(head, OrientationHead) or not arcs:
        return {}
    branching = min(arcs, key=lambda number: abs(number**2 - size))
    return {"hierarchy": Hierarchy.circular(size, branching), "distances": "circular"}
