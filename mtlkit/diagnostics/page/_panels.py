"""The pictures of a diagnosis, each drawn from the details of its evidence, if they are there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mtlkit._statistics import count_table
from mtlkit.diagnostics.evidence import STATUSES, Evidence
from mtlkit.diagnostics.evidence import plain as as_data
from mtlkit.diagnostics.page._suspects import draw_suspects
from mtlkit.diagnostics.page._words import ARMS, CAUSES, EVIDENCE, heading
from mtlkit.reports import diagnosis_plots as plots
from mtlkit.reports._page import Markup, definitions, element, folded, picture
from mtlkit.reports.confusion import block_order, plot_confusion_blocks
from mtlkit.reports.diagnosis_plots import Level
from mtlkit.reports.gallery import plot_gallery

if TYPE_CHECKING:
    from mtlkit.diagnostics.diagnosis import Diagnosis

#: Longer lists are no numbers to read.
_MAX_LIST = 8
#: More numbers of one piece of evidence are not listed.
_MAX_NUMBERS = 40
#: Pairs of classes that are named below a picture.
_MAX_PAIRS = 3


@dataclass(frozen=True)
class Panel:
    """A picture, and the evidence that it may be drawn from.

    Attributes:
        names: The evidence; what was found is preferred.
        draw: Makes the pictures from one piece of evidence; an empty list if the details
            are not there.
        title: Its title. Empty: that of the evidence.
        wide: Whether it takes the whole width.
    """

    names: tuple[str, ...]
    draw: Callable[[Evidence, Diagnosis], list[Markup]]
    title: str = ""
    wide: bool = False

    def card(self, diagnosis: Diagnosis) -> Markup | None:
        """Returns the panel, or `None` where there is nothing to draw."""
        for evidence in self.evidence(diagnosis):
            title = element("h3", self.title or _title(evidence))
            drawn = self.draw(evidence, diagnosis)
            if drawn:
                kind = "card wide" if self.wide else "card"
                return element("section", [title, *drawn], class_=kind)
        return None

    def evidence(self, diagnosis: Diagnosis) -> list[Evidence]:
        """The evidence that is there, the most telling first."""
        there = [diagnosis.evidence[name] for name in self.names if name in diagnosis.evidence]
        return sorted(there, key=lambda one: STATUSES.index(one.status))


def panels(diagnosis: Diagnosis) -> list[Markup]:
    """Returns the pictures of a diagnosis, those of its causes first."""
    causes = [EVIDENCE.get(cause.name, cause.name) for cause in diagnosis.verdict.causes]

    def place(panel: Panel) -> int:
        return min((causes.index(n) for n in panel.names if n in causes), default=len(causes))

    cards = [panel.card(diagnosis) for panel in sorted(PANELS, key=place)]
    return [card for card in cards if card is not None]


def numbers(diagnosis: Diagnosis) -> list[Markup]:
    """Returns the numeric details of each piece of evidence, as folded tables."""
    parts = []
    for evidence in diagnosis.evidence.values():
        found = dict(_flat(as_data(evidence.details)))
        if not found:
            continue
        shown = dict(list(found.items())[:_MAX_NUMBERS])
        more = len(found) - len(shown)
        note = [element("p", f"and {more} more", class_="note")] if more else []
        parts.append(folded(heading(evidence.name), definitions(shown), *note))
    return parts


def _title(evidence: Evidence) -> str:
    """What a picture is of; of a possible cause also whether it is one."""
    status = f": {evidence.status}" if evidence.name in CAUSES else ""
    return f"{heading(evidence.name)}{status}"


def _flat(value: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, str]]:
    """The numbers in nested dicts, with the path to each as its name."""
    for name, one in value.items():
        if isinstance(one, dict):
            yield from _flat(one, f"{prefix}{name}, ")
        elif isinstance(one, bool | int | float):
            yield f"{prefix}{name}", _text(one)
        elif _is_short_list(one):
            yield f"{prefix}{name}", ", ".join(map(_text, one))


def _is_short_list(value: Any) -> bool:
    numeric = isinstance(value, list) and all(isinstance(one, int | float) for one in value)
    return numeric and 0 < len(value) <= _MAX_LIST


def _text(value: float) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


# === Drawing: each returns pictures, or an empty list where its details are not there ===


def _signal(evidence: Evidence, _: Diagnosis) -> list[Markup]:
    details = evidence.details
    if not _has(details, "null_scores", "score"):
        return []
    unit = evidence.unit or "score"
    ax = plots.plot_null(details["null_scores"], details["score"], details.get("chance"), unit)
    how = "How well labels can be predicted, as they are and permuted."
    return [picture(ax, f"{evidence.text} {how}")]


def _ranks(evidence: Evidence, _: Diagnosis) -> list[Markup]:
    if not _has(evidence.details, "ranks"):
        return []
    ax = plots.plot_ranks(evidence.details["ranks"], evidence.details.get("expected_tail"))
    how = "Labels drawn at random lie at all ranks alike: a flat tail."
    return [picture(ax, f"{evidence.text} {how}")]


def _ladder(evidence: Evidence, diagnosis: Diagnosis) -> list[Markup]:
    ladder, pairs = evidence.details.get("ladder"), evidence.details.get("pairs")
    if not ladder:
        return []
    ax = plots.plot_ladder(ladder["share"], ladder["self"], ladder["partner"])
    how = (
        "Images that only look alike are told apart where they are clear; flipped labels stay "
        "even there."
    )
    return [picture(ax, f"{evidence.text} {how} {_pairs('Pairs', pairs, diagnosis)}".rstrip())]


def _confusion(evidence: Evidence, diagnosis: Diagnosis) -> list[Markup]:
    counts = _counts(evidence)
    if counts is None:
        return []
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    np.fill_diagonal(shares, 0)
    most = np.argsort(-shares, axis=None, kind="stable")[:_MAX_PAIRS]
    pairs = [(*np.unravel_index(one, shares.shape), shares.flat[one]) for one in most]
    said = _pairs("Most confused", [pair for pair in pairs if pair[2] > 0], diagnosis)
    text = evidence.text if evidence.name == "confusion" else "What the model takes classes for."
    return [
        picture(
            plot_confusion_blocks(counts, names=diagnosis.class_names)[0], f"{text} {said}".rstrip()
        )
    ]


def _gallery(evidence: Evidence, diagnosis: Diagnosis) -> list[Markup]:
    images = evidence.details.get("images")
    if images is None:
        return []
    shown = evidence.details.get("labels") or [str(number) for number in range(len(images))]
    # Values are shown by themselves: they have no names.
    names = [diagnosis.class_name(int(one)) if one.isdigit() else one for one in shown]
    ax = plot_gallery(images, names, _order(len(images), diagnosis))
    how = "A column for each class; classes that are confused are neighbours."
    return [picture(ax, f"{evidence.text} {how}")]


def _symmetry(evidence: Evidence, _: Diagnosis) -> list[Markup]:
    looks = evidence.details.get("transformations") or evidence.details.get("transforms")
    if not looks:
        return []
    ax = plots.plot_arms(_levels(looks), f"gain by grouping ({evidence.unit or 'score'})")
    how = "What is gained where classes count as one that a transformation turns into each other."
    return [picture(ax, f"{evidence.text} {how}")]


def _context(evidence: Evidence, _: Diagnosis) -> list[Markup]:
    arms = evidence.details.get("arms")
    if not arms:
        return []
    levels = _levels({ARMS.get(name, name): arm for name, arm in arms.items()})
    task = evidence.details.get("task")
    how = f"Labels of {task}, given beside the image." if task else ""
    ax = plots.plot_arms(levels, evidence.unit or "score")
    return [picture(ax, f"{evidence.text} {how}".rstrip())]


def _amount(evidence: Evidence, _: Diagnosis) -> list[Markup]:
    details = evidence.details
    if not _has(details, "samples", "scores"):
        return []
    ax = plots.plot_amount(
        details["samples"],
        details["scores"],
        details.get("low"),
        details.get("high"),
        details.get("doubling_gain"),
        evidence.unit or "score",
    )
    return [picture(ax, f"{evidence.text} Shaded: 95 % intervals.")]


def _resolution(evidence: Evidence, _: Diagnosis) -> list[Markup]:
    if not _has(evidence.details, "sides", "scores"):
        return []
    sides, scores = evidence.details["sides"], evidence.details["scores"]
    if isinstance(sides, Mapping):
        names = [name for name in sides if sides[name] is not None and name in scores]
        sides, scores = [sides[name] for name in names], [scores[name] for name in names]
    order = np.argsort(sides, kind="stable")
    ax = plots.plot_resolution(
        [sides[one] for one in order], [scores[one] for one in order], evidence.unit or "score"
    )
    return [picture(ax, evidence.text)]


def _imbalance(evidence: Evidence, _: Diagnosis) -> list[Markup]:
    if not _has(evidence.details, "counts"):
        return []
    counts = evidence.details["counts"]
    counts = list(counts.values()) if isinstance(counts, Mapping) else counts
    return [picture(plots.plot_counts(counts), f"{evidence.text} Dotted: the mean.")]


def _uncertainty(evidence: Evidence, _: Diagnosis) -> list[Markup]:
    details, found = evidence.details, []
    bins = details["reliability"] if _has(details, "reliability") else _bins(details)
    if len(bins):
        how = "Dotted: confidence that comes true. The area of a dot is its number of samples."
        found.append(picture(plots.plot_reliability(bins), f"{evidence.text} {how}"))
    values, shares, guess = _entropy(details)
    if values is not None:
        how = "Entropy of the predictions, as the share of the samples below each value."
        found.append(picture(plots.plot_entropy(values, shares, guess), how))
    return [element("div", found, class_="pictures")] if found else []


def _location(evidence: Evidence, _: Diagnosis) -> list[Markup]:
    probes = evidence.details.get("probes")
    if not probes:
        return []
    ax = plots.plot_arms(_levels(probes), evidence.unit or "score")
    text = evidence.text if evidence.name == "location" else ""
    how = "What linear probes read from the frozen network, along it."
    return [picture(ax, f"{text} {how}".lstrip())]


def _interference(evidence: Evidence, _: Diagnosis) -> list[Markup]:
    details = evidence.details
    runs = details.get("by_seed") or {k: details[k] for k in ("alone", "together") if k in details}
    if not runs:
        return []
    ax = plots.plot_runs(runs, evidence.unit or "score")
    return [picture(ax, f"{evidence.text} A dot is a seed; the bar is their mean.")]


def _changes(_: Evidence, diagnosis: Diagnosis) -> list[Markup]:
    """All that was changed about the model, in one picture."""
    arms: dict[str, Any] = {}
    for name in _CHANGES:
        if name in diagnosis.evidence:
            arms.update(diagnosis.evidence[name].details.get("scores") or {})
    levels = _levels(arms)
    if len(levels) < 2:
        return []
    levels.sort(key=lambda level: level.value)
    unit = next(diagnosis.evidence[n].unit for n in _CHANGES if n in diagnosis.evidence)
    own = next((level.value for level in levels if level.name == "model"), None)
    ax = plots.plot_arms(levels, _skill(unit), own)
    text = (
        "What the model reaches as it is, with one thing changed, and what a reference reaches. "
        "Dotted: the model as it is."
    )
    return [picture(ax, text)]


#: Evidence whose scores are those of a model with one thing changed.
_CHANGES = (
    "head_destroys_space",
    "backbone_lacks_task",
    "input_scale",
    "under_trained",
    "optimizer",
    "loss_mismatch",
)
PANELS = (
    Panel(_CHANGES, _changes, "What each change of the model reaches"),
    Panel(("location", "head_destroys_space", "backbone_lacks_task"), _location, "Along the way"),
    Panel(("confusion", "model_gap"), _confusion, "What is taken for what", wide=True),
    Panel(("gallery",), _gallery, "What the classes look like", wide=True),
    Panel(("signal",), _signal),
    Panel(("uniform_noise",), draw_suspects, "Labels that may be wrong by chance", wide=True),
    Panel(("structured_noise",), draw_suspects, "Labels that may be exchanged", wide=True),
    Panel(("uniform_noise",), _ranks),
    Panel(("structured_noise", "ambiguity", "class_overlap"), _ladder),
    Panel(("symmetry",), _symmetry),
    Panel(("needs_context",), _context),
    Panel(("too_little_data", "amount"), _amount),
    Panel(("resolution",), _resolution),
    Panel(("imbalance",), _imbalance),
    Panel(("interference", "loss_starvation"), _interference),
    Panel(("uncertainty",), _uncertainty, wide=True),
)


# === Reading details ===


def _has(details: Mapping[str, Any], *names: str) -> bool:
    """Whether all of these details are there, and none of them is empty."""
    found = [details.get(name) for name in names]
    return all(one is not None and (np.ndim(one) == 0 or len(one) > 0) for one in found)


def _bins(details: Mapping[str, Any]) -> list[tuple[float, float, float]]:
    bins = details.get("bins") or []
    return [(one["confidence"], one["accuracy"], one["samples"]) for one in bins]


def _levels(arms: Mapping[str, Any]) -> list[Level]:
    levels = [_level(str(name).replace("_", " "), arm) for name, arm in arms.items()]
    return [level for level in levels if level is not None]


def _level(name: str, arm: Any) -> Level | None:
    """Reads a number, `[score, low, high]`, or a dict with a score and its interval."""
    if isinstance(arm, Mapping):
        value = next((arm[key] for key in ("score", "accuracy", "gain") if key in arm), None)
        low, high = arm.get("interval") or (None, None)
    elif isinstance(arm, Sequence | np.ndarray):
        value, low, high = arm
    else:
        value, low, high = arm, None, None
    if value is None or not np.isfinite(value):
        return None
    return Level(name, float(value), low, high)


def _counts(evidence: Evidence) -> NDArray[np.float64] | None:
    """The confusion matrix, or one of the labels and predictions that are there."""
    details = evidence.details
    if details.get("matrix") is not None:
        return np.asarray(details["matrix"], "float64")
    labels, probability = details.get("labels"), details.get("user_probability")
    if labels is None or probability is None:
        return None
    probability = np.asarray(probability)
    return count_table(labels, probability.argmax(axis=1), probability.shape[1]).astype("float64")


def _order(num_classes: int, diagnosis: Diagnosis) -> Sequence[int] | None:
    """The order in which classes that look alike are neighbours."""
    for name in ("confusion", "model_gap"):
        counts = _counts(diagnosis.evidence[name]) if name in diagnosis.evidence else None
        if counts is not None and len(counts) == num_classes:
            return [int(one) for one in block_order(counts)]
    return None


def _pairs(what: str, pairs: Any, diagnosis: Diagnosis) -> str:
    name = diagnosis.class_name
    first = [] if pairs is None else pairs[:_MAX_PAIRS]
    named = [f"{name(a)} as {name(b)} ({100 * float(rate):.0f} %)" for a, b, rate in first]
    return f"{what}: {', '.join(named)}." if named else ""


def _entropy(details: Mapping[str, Any]) -> tuple[Any, Any, float | None]:
    """Entropies, the share of the samples below each, and the entropy of a guess."""
    entropy = details.get("entropy")
    if isinstance(entropy, Mapping) and entropy.get("quantiles") is not None:
        values = np.asarray(entropy["quantiles"], "float64")
        share = details.get("share_of_a_guess")
        guess = float(entropy["total"]) / share if share else None
        return values, np.linspace(0, 1, len(values)), guess
    if isinstance(entropy, Mapping) and entropy.get("counts") is not None:
        counts = np.asarray(entropy["counts"], "float64")
        below = np.concatenate([[0.0], counts.cumsum() / max(counts.sum(), 1)])
        return np.asarray(entropy["edges"], "float64"), below, entropy.get("guess")
    return None, None, None


def _skill(unit: str) -> str:
    return "skill (0: chance, 1: perfect)" if unit == "skill" else unit or "score"
