"""The pictures of a diagnosis, each drawn from the details of its evidence, if they are there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mtlkit._statistics import count_table
from mtlkit.diagnostics.details import (
    DETAILS,
    AmountDetails,
    ChangeDetails,
    ConfusionDetails,
    ContextDetails,
    GalleryDetails,
    GapDetails,
    ImbalanceDetails,
    InterferenceDetails,
    LocationDetails,
    ResolutionDetails,
    SignalDetails,
    SymmetryDetails,
    UncertaintyDetails,
    UniformNoiseDetails,
    details_of,
)
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
        there = [one for one in there if _is_whole(one)]
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


# === Drawing: each returns pictures, or an empty list where there is nothing to draw ===


def _signal(evidence: Evidence, _: Diagnosis) -> list[Markup]:
    details = details_of(evidence, SignalDetails)
    ax = plots.plot_null(details["null_scores"], details["score"], details["chance"], evidence.unit)
    how = "How well labels can be predicted, as they are and permuted."
    return [picture(ax, f"{evidence.text} {how}")]


def _ranks(evidence: Evidence, _: Diagnosis) -> list[Markup]:
    ax = plots.plot_ranks(details_of(evidence, UniformNoiseDetails)["ranks"])
    how = "Labels drawn at random lie at all ranks alike: a flat tail."
    return [picture(ax, f"{evidence.text} {how}")]


def _ladder(evidence: Evidence, diagnosis: Diagnosis) -> list[Markup]:
    ladder, pairs = evidence.details.get("ladder"), evidence.details.get("pairs")
    if ladder is None:
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
    details = details_of(evidence, GalleryDetails)
    # Values are shown by themselves: they have no names.
    names = [diagnosis.class_name(int(one)) if one.isdigit() else one for one in details["labels"]]
    ax = plot_gallery(details["images"], names, _order(len(names), diagnosis))
    how = "A column for each class; classes that are confused are neighbours."
    return [picture(ax, f"{evidence.text} {how}")]


def _symmetry(evidence: Evidence, _: Diagnosis) -> list[Markup]:
    looks = details_of(evidence, SymmetryDetails)["transforms"]
    levels = [_level(name, look["gain"], look["interval"]) for name, look in looks.items()]
    ax = plots.plot_arms(levels, f"gain by grouping ({evidence.unit})")
    how = "What is gained where classes count as one that a transformation turns into each other."
    return [picture(ax, f"{evidence.text} {how}")]


def _context(evidence: Evidence, _: Diagnosis) -> list[Markup]:
    details = details_of(evidence, ContextDetails)
    levels = [
        _level(ARMS[name], arm["accuracy"], arm["interval"])
        for name, arm in details["arms"].items()
    ]
    ax = plots.plot_arms(levels, evidence.unit)
    return [picture(ax, f"{evidence.text} Labels of {details['task']}, given beside the image.")]


def _amount(evidence: Evidence, _: Diagnosis) -> list[Markup]:
    details = details_of(evidence, AmountDetails)
    ax = plots.plot_amount(
        details["samples"],
        details["scores"],
        details["low"],
        details["high"],
        details["doubling_gain"],
        evidence.unit,
    )
    return [picture(ax, f"{evidence.text} Shaded: 95 % intervals.")]


def _resolution(evidence: Evidence, _: Diagnosis) -> list[Markup]:
    details = details_of(evidence, ResolutionDetails)
    sides = {name: side for name, side in details["sides"].items() if side is not None}
    names = sorted(sides, key=lambda name: sides[name])
    scores = [details["scores"][name] for name in names]
    ax = plots.plot_resolution([sides[name] for name in names], scores, evidence.unit)
    return [picture(ax, evidence.text)]


def _imbalance(evidence: Evidence, _: Diagnosis) -> list[Markup]:
    counts = details_of(evidence, ImbalanceDetails)["counts"]
    return [picture(plots.plot_counts(counts), f"{evidence.text} Dotted: the mean.")]


def _uncertainty(evidence: Evidence, _: Diagnosis) -> list[Markup]:
    details = details_of(evidence, UncertaintyDetails)
    bins = [(one["confidence"], one["accuracy"], one["samples"]) for one in details["bins"]]
    values, guess = details["entropy"]["quantiles"], details["share_of_a_guess"]
    how = "Dotted: confidence that comes true. The area of a dot is its number of samples."
    drawn = picture(plots.plot_reliability(bins), f"{evidence.text} {how}")
    ax = plots.plot_entropy(
        np.asarray(values, "float64"),
        np.linspace(0, 1, len(values)),
        details["entropy"]["total"] / guess if guess else None,
    )
    how = "Entropy of the predictions, as the share of the samples below each value."
    return [element("div", [drawn, picture(ax, how)], class_="pictures")]


def _location(evidence: Evidence, _: Diagnosis) -> list[Markup]:
    probes = details_of(evidence, LocationDetails).get("probes")
    if probes is None:
        return []
    ax = plots.plot_arms([_level(name, skill) for name, skill in probes.items()], evidence.unit)
    return [picture(ax, "What linear probes read from the frozen network, along it.")]


def _interference(evidence: Evidence, _: Diagnosis) -> list[Markup]:
    runs = details_of(evidence, InterferenceDetails).get("by_seed")
    if runs is None:
        return []
    ax = plots.plot_runs(runs, evidence.unit)
    return [picture(ax, f"{evidence.text} A dot is a seed; the bar is their mean.")]


def _changes(_: Evidence, diagnosis: Diagnosis) -> list[Markup]:
    """All that was changed about the model, in one picture."""
    arms: dict[str, float] = {}
    for name in _CHANGES:
        if name in diagnosis.evidence:
            arms.update(details_of(diagnosis.evidence[name], ChangeDetails).get("scores", {}))
    levels = [_level(name, skill) for name, skill in arms.items()]
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
    "head_lacks_context",
)
PANELS = (
    Panel(_CHANGES, _changes, "What each change of the model reaches"),
    Panel(("head_destroys_space", "backbone_lacks_task"), _location, "Along the way"),
    Panel(("confusion", "model_gap"), _confusion, "What is taken for what", wide=True),
    Panel(("gallery",), _gallery, "What the classes look like", wide=True),
    Panel(("signal",), _signal),
    Panel(("uniform_noise",), draw_suspects, "Labels that may be wrong by chance", wide=True),
    Panel(("structured_noise",), draw_suspects, "Labels that may be exchanged", wide=True),
    Panel(("uniform_noise",), _ranks),
    Panel(("structured_noise", "ambiguity", "class_overlap"), _ladder),
    Panel(("symmetry",), _symmetry),
    Panel(("needs_context",), _context),
    Panel(("too_little_data",), _amount),
    Panel(("resolution",), _resolution),
    Panel(("imbalance",), _imbalance),
    Panel(("interference", "loss_starvation"), _interference),
    Panel(("uncertainty",), _uncertainty, wide=True),
)


# === Reading details ===


def _is_whole(evidence: Evidence) -> bool:
    """Whether evidence has the details that a probe writes; what was not tested has none."""
    kind = DETAILS.get(evidence.name)
    return kind is not None and kind.__required_keys__ <= evidence.details.keys()


def _level(name: str, value: float, interval: Any = (None, None)) -> Level:
    return Level(name.replace("_", " "), float(value), *interval)


def _counts(evidence: Evidence) -> NDArray[np.float64] | None:
    """The confusion matrix, or that of the model's predictions."""
    if not _is_whole(evidence):
        return None
    if evidence.name == "confusion":
        return np.asarray(details_of(evidence, ConfusionDetails)["matrix"], "float64")
    details = details_of(evidence, GapDetails)
    probability = details["user_probability"]
    if probability is None or details["class_counts"] is None:
        return None
    predicted = np.asarray(probability).argmax(axis=1)
    return count_table(details["labels"], predicted, np.shape(probability)[1]).astype("float64")


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


def _skill(unit: str) -> str:
    return "skill (0: chance, 1: perfect)" if unit == "skill" else unit or "score"
