"""Where along trunk and head is the task lost?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mtlkit._statistics import mean_interval
from mtlkit.diagnostics._effects import status_of
from mtlkit.diagnostics._training.bench import Bench, Gap, least_gain
from mtlkit.diagnostics._training.copies import fresh_copy
from mtlkit.diagnostics.details import CollapseDetails
from mtlkit.diagnostics.evidence import Evidence
from mtlkit.diagnostics.model_probes._features import dead_share, effective_rank, probed
from mtlkit.diagnostics.model_probes._location_arms import (
    FLAT,
    OWN,
    POLAR,
    Arms,
    ReadMap,
    moved_by_rolling,
    reads_positions,
    train_arms,
)
from mtlkit.diagnostics.model_probes.ceiling import bench_and_ceiling
from mtlkit.diagnostics.thresholds import COLLAPSED, HEAD_AHEAD, HEAD_RECOVERS, MOVED
from mtlkit.model._outputs import outputs_of
from mtlkit.references._backbone_features import (
    last_positions,
    map_reader,
    on_grid,
    read_after,
    read_map,
)

NAMES = ("head_destroys_space", "backbone_lacks_task", "backbone_collapse")
#: Training samples that the linear probes are fitted to, and samples that ranks are taken of.
_FITTED, _RANKED = 2000, 1000


def probe(
    model: Any,
    x: Any,
    y: Mapping[str, ArrayLike],
    task: str,
    *,
    x_val: Any = None,
    y_val: Mapping[str, ArrayLike] | None = None,
    seed: int = 0,
    budget: float = 70.0,
    longer: float = 1.0,
    ceiling: Evidence | None = None,
) -> tuple[Evidence, ...]:
    """Looks for the place where the task is lost: in the head, or in the trunk.

    Linear probes read the map that the task's head reads, on a grid and averaged over
    positions. Where the model is evidently behind the reference, heads are
    trained on the frozen trunk, and a fresh copy of the whole network on the task alone; all
    with the heads' own losses and the same recipe:

    - `"head_destroys_space"`: a head that keeps positions recovers at least half of the gap on
      the frozen trunk, and the user's head, which does not, is evidently behind it even where
      the whole network is trained afresh. Effect: its skill minus that of the user's head on
      the same trunk, or minus the model's, whichever is less.
    - `"backbone_lacks_task"`: the user's network recovers half of the gap if all of it is
      trained afresh on the task, and no linear probe of the frozen trunk does. Effect: its
      skill minus that of the best head on the frozen trunk.
    - `"backbone_collapse"`: the features are (nearly) constant. Effect: the share of their
      effective rank that is gone since initialisation, or of channels that are constant
      and were not.

    Of the first two, the effect has to be a third of the gap: all arms are short. A head whose
    outputs change when its map is moved does not throw positions away, however much better
    another one is.

    Args:
        model: The user's model; it is not changed.
        x: Training inputs.
        y: Their labels by task.
        task: Name of the task.
        x_val: Inputs that the model was not trained on.
        y_val: Their labels by task.
        seed: Seed of all trainings.
        budget: CPU-seconds to spend at most.
        longer: How many times as long as usual copies are trained, if the budget allows it.
        ceiling: What the ceiling probe found. `None`: it is run first, for a third of the
            budget.

    Returns:
        Evidence on `"head_destroys_space"`, `"backbone_lacks_task"`, `"backbone_collapse"`.

    Raises:
        ValueError: If the model has no such task, or labels are missing.

    Example:
        ```python
        import numpy as np

        import mtlkit as mtl
        from mtlkit.diagnostics import Evidence
        from mtlkit.diagnostics.model_probes import location

        rng = np.random.default_rng(0)
        x, y = rng.random((80, 8, 8, 1), dtype="float32"), {"a": rng.integers(2, size=80)}
        backbone = mtl.backbones.ConvBackbone((8, 8, 1), (4,))
        model = mtl.MultiTaskModel(backbone, mtl.Task("a", mtl.heads.ClassificationHead(2)))
        same = {"reference_skill": 0.5, "user_skill": 0.5}
        gap = Evidence("model_gap", "absent", "The model is as good as can be.", details=same)
        found = location.probe(model, x, y, "a", x_val=x, y_val=y, ceiling=gap)
        assert [one.found for one in found] == [False] * 3
        ```
    """
    bench, ceiling = bench_and_ceiling(
        model, x, y, task, x_val, y_val, seed, budget, longer, ceiling
    )
    if not bench.reads_one_array:
        return tuple(bench.not_tested(name, "The backbone has several inputs.") for name in NAMES)
    gap = Gap.of(ceiling)
    reading = _Reading(bench)
    collapse = _collapse(bench, gap, reading)
    if not gap.evident:
        why = (
            f"With {bench.score.text(gap.user)} the model is not evidently behind the "
            f"reference's {bench.score.text(gap.reference)}, so no other head was tried."
        )
        details = {"probes": reading.probes}
        return (
            *(replace(bench.not_tested(name, why), details=details) for name in NAMES[:2]),
            collapse,
        )
    arms = train_arms(bench, *reading.maps())
    return _head(bench, gap, reading, arms), _trunk(bench, gap, reading, arms), collapse


class _Reading:
    """What the task reads, and the last map with positions that leads to it; and probes of that.

    Attributes:
        held: What the task reads, of the held-out samples.
        first: The same before any training. (What a trunk has become may be constant.)
        earlier: The name of the map with positions, where the task reads a vector made of it;
            `None` where the task reads such a map itself, or there is none.
        probes: The skills of linear probes of the map with positions, or else of the vector.
    """

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.reader = map_reader(bench.user, bench.task)
        self.held = read_map(self.reader, bench.val_images)
        self._fresh = fresh_copy(bench.model, bench.seed)
        reader = map_reader(self._fresh, self._fresh.tasks[bench.name])
        self.first = read_map(reader, bench.val_images[:_RANKED])
        of_images = bench.images.ndim == 4 and self.held.ndim == 2
        self.earlier = last_positions(bench.user) if of_images else None
        rng = np.random.default_rng(bench.seed)
        self.fitted = rng.permutation(bench.rows)[:_FITTED]
        self._held = self.held if self.earlier is None else self._positions(bench.val_images)
        fitted = self._positions(bench.images[self.fitted])
        self.probes = self._probe(np.concatenate([fitted, self._held]))

    def maps(self) -> tuple[ReadMap, ReadMap | None]:
        """What the task reads, and the map with positions, of all training samples with labels."""
        bench = self.bench
        images = bench.images[bench.rows]
        own = ReadMap(read_map(self.reader, images), self.held)
        if self.earlier is None:
            return own, own if own.held.ndim == 4 else None
        return own, ReadMap(self._positions(images), self._held, self.earlier)

    def positions_kept(self) -> float | None:
        """How much the user's head, or the vector that it reads, depends on positions."""
        bench = self.bench
        if self.earlier is None:
            return reads_positions(bench, self.first)
        rest = read_after(self._fresh, self._fresh.tasks[bench.name], self.earlier)
        if rest is None:
            return None
        maps = self._positions(bench.val_images[:_RANKED], self._fresh)
        return moved_by_rolling(maps, lambda given: outputs_of(rest, given))

    def _positions(self, images: NDArray, model: Any = None) -> NDArray:
        """The map with positions, of images, in the user's model or another one."""
        model = model or self.bench.user
        task = model.tasks[self.bench.name]
        if self.earlier is not None:
            task = replace(task, feature=self.earlier)
        return read_map(map_reader(model, task), images)

    def _probe(self, maps: NDArray) -> dict[str, float]:
        """The skills of linear probes: of the map on a grid, and of its average."""
        bench = self.bench
        y = np.concatenate([bench.y[bench.name][self.fitted], bench.y_val])
        judged = np.arange(len(self.fitted), len(y))
        features = {"map": on_grid(maps), "average": on_grid(maps, 1)}
        return {
            name: float(probed(one, y, bench.score, judged).mean())
            for name, one in features.items()
        }


def _threshold(gap: Gap) -> float:
    """By how much a remedy has to be ahead: all arms are short, and some learn slowly."""
    return max(gap.delta, HEAD_AHEAD * (gap.reference - gap.user))


def _head(bench: Bench, gap: Gap, reading: _Reading, arms: Arms) -> Evidence:
    """Whether a head that keeps positions finds what the user's head does not."""
    name = "head_destroys_space"
    if not arms.codes:
        if bench.images.ndim < 4:
            return bench.evidence(
                name, "absent", "The task reads a vector, which has no positions."
            )
        why = (
            "The task reads a vector, and no map before it can be read: whether positions were "
            "thrown away is not known. A head that reads an earlier map (`feature=`) shows it."
        )
        return bench.not_tested(name, why)
    best = arms.on_trunk[arms.best]
    skill = float(best.mean())
    own = arms.on_trunk.get(OWN)  # not if it needs more than the map
    rivals = [bench.user_rows] if own is None else [bench.user_rows, own]
    effect, interval = least_gain(best, rivals)
    threshold = _threshold(gap)
    status = status_of(interval, threshold) if gap.recovered(skill) >= HEAD_RECOVERS else "absent"
    on_map = reading.earlier is not None and arms.best == FLAT
    where = f" in the map {reading.earlier!r}" if on_map else ""
    text = (
        f"With the trunk frozen, {arms.best}{where} reaches {bench.score.text(skill)}, where the "
        f"model has {bench.score.text(bench.user_skill)}"
    )
    if own is not None:
        reached = bench.score.text(float(own.mean()))
        text += f" and the user's head, trained there as well, {reached}"
    if status == "found" and arms.afresh is not None:
        # All of a network can learn to do without positions; then the head is not at fault.
        status = status_of(mean_interval(best - arms.afresh)[1], gap.delta)
        reached = bench.score.text(float(arms.afresh.mean()))
        text += f"; trained afresh on the task alone, the whole network reaches {reached}"
    status = status if arms.enough else "unclear"
    moved = reading.positions_kept() if status == "found" else None
    if status == "found" and moved is None:
        status = "unclear"
        text += "; whether positions are lost before the vector that it reads is not known"
    elif moved is not None and moved >= MOVED:
        status = "absent"
        text += "; but the user's head reads positions, too"
    return bench.evidence(
        name,
        status,
        text + ".",
        effect=effect,
        interval=interval,
        null=0.0,
        threshold=threshold,
        details={
            **bench.gain(best),
            "recovered": gap.recovered(skill),
            "code": arms.codes[arms.best],
            "reads_positions": moved,
            "probes": reading.probes,
            "steps": arms.steps,
            "scores": {"model": bench.user_skill, **arms.scores, "reference": gap.reference},
        },
    )


def _trunk(bench: Bench, gap: Gap, reading: _Reading, arms: Arms) -> Evidence:
    """Whether the trunk has features for the task."""
    name = "backbone_lacks_task"
    if arms.afresh is None or not arms.on_trunk:
        return bench.not_tested(name, "No head could be trained on the frozen trunk.")
    fixed = {k: rows for k, rows in arms.on_trunk.items() if k != POLAR}
    best = max(fixed.values(), key=lambda rows: float(rows.mean()))
    effect, interval = mean_interval(arms.afresh - best)
    skill = float(arms.afresh.mean())
    threshold = _threshold(gap)
    status = status_of(interval, threshold)
    if (
        gap.recovered(skill) < HEAD_RECOVERS
        or gap.recovered(reading.probes["map"]) >= HEAD_RECOVERS
    ):
        status = "absent"
    status = status if arms.enough else "unclear"
    text = (
        f"On the frozen trunk the best head reaches {bench.score.text(float(best.mean()))} and a "
        f"linear probe {bench.score.text(reading.probes['map'])}; the same network, all of it "
        f"trained on the task alone, {bench.score.text(skill)}."
    )
    return bench.evidence(
        name,
        status,
        text,
        effect=effect,
        interval=interval,
        null=0.0,
        threshold=threshold,
        details={
            **bench.gain(arms.afresh),
            "recovered": gap.recovered(skill),
            "probes": reading.probes,
            "scores": {"model": bench.user_skill, **arms.scores, "reference": gap.reference},
            "code": (
                "model.unfreeze_backbone(); model.compile(...)"
                f"  # and gradient='flow' for {bench.name!r}"
            ),
        },
    )


def _collapse(bench: Bench, gap: Gap, reading: _Reading) -> Evidence:
    """How much of the features' variety is gone since initialisation."""
    name = "backbone_collapse"
    first, now = reading.first, reading.held[:_RANKED]
    parts = np.array_split(np.arange(len(now)), 5)
    lost = [_lost(now[part], first[part]) for part in parts if len(part) > 1] or [_lost(now, first)]
    effect, interval = _lost(now, first), (min(lost), max(lost))
    ranks = effective_rank(on_grid(now, 1)), effective_rank(on_grid(first, 1))
    shares = dead_share(now), dead_share(first)
    status = status_of(interval, COLLAPSED)
    if status == "found" and not gap.evident:
        status = "absent"  # a task that is learned does not need more
    text = (
        f"The features have effective rank {ranks[0]:.1f} ({ranks[1]:.1f} at initialisation), and "
        f"{100 * shares[0]:.0f} % of their channels are constant ({100 * shares[1]:.0f} %)."
    )
    return bench.evidence(
        name,
        status,
        text,
        effect=effect,
        interval=interval,
        null=0.0,
        threshold=COLLAPSED,
        unit="share of the features",
        details=CollapseDetails(
            rank=ranks[0],
            rank_at_start=ranks[1],
            dead=shares[0],
            dead_at_start=shares[1],
            code="model = mtl.MultiTaskModel.from_config(model.get_config())  # a fresh start",
        ),
    )


def _lost(now: NDArray, first: NDArray) -> float:
    """The share of the rank that is gone, or of the channels that have died; whichever is more."""
    before = max(effective_rank(on_grid(first, 1)), 1.0)
    rank = 1 - effective_rank(on_grid(now, 1)) / before
    alive = max(1 - dead_share(first), 1e-6)
    return float(np.clip(max(rank, 1 - (1 - dead_share(now)) / alive), 0.0, 1.0))
