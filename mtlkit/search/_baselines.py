"""What scores are to be compared with: what needs no learning, and simple references."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import ArrayLike, NDArray

from mtlkit._files import read_json, write_json
from mtlkit._statistics import share_interval
from mtlkit.metrics._labels import is_labelled
from mtlkit.metrics.skill import constant_skill
from mtlkit.model import MultiTaskModel
from mtlkit.references._backbone_features import grid_of_map, map_reader
from mtlkit.references._inputs import channels_last, one_array
from mtlkit.references._kinds import KINDS, PATCH_PIXELS, input_kind, looked_at
from mtlkit.references._neighbours import squared_distances
from mtlkit.references._reduced import at_most
from mtlkit.references._ridge import one_hot
from mtlkit.references.held_out import predict_held_out
from mtlkit.search._data import SearchData
from mtlkit.search._records import Store

#: Samples that references are fitted to, and judged on, at most.
_FITTED, _JUDGED = 10_000, 2000
#: Fewer where samples are large: as many bytes are copied, but of a thousand samples at least.
_BYTES, _LEAST = 2**30, 1000
#: Fewer labelled samples make no reference.
_FEWEST = 10
#: Boosted trees, which are fitted for each output, are left out where there are more.
_FEW_OUTPUTS = 10
#: Samples whose distances are computed at once.
_CHUNK = 500
_FILE = "baselines.json"
NEAREST_IN_PIXELS = "the nearest neighbour in pixels"
NEAREST_BY_FEATURES = "the nearest neighbour by the backbone's features"


@dataclass(frozen=True)
class Baseline:
    """What a simple predictor scores on the validation data.

    Attributes:
        score: Its score, by the metric of the search.
        name: The predictor in words, such as `"chance"`.
        samples: Number of labelled samples that it was judged on.
        shares: Whether scores are shares of the samples.
        constant: Whether it predicts the same for all samples.

    Example:
        ```python
        from mtlkit.search import Baseline

        chance = Baseline(0.1, "chance", samples=200, shares=True)
        assert chance.interval(0.1)[0] < 0.1
        ```
    """

    score: float
    name: str
    samples: int
    shares: bool
    constant: bool = True

    def interval(self, score: float) -> tuple[float, float] | None:
        """The 95 % interval of a score on as many samples; `None` if it is not a share."""
        if not self.shares:
            return None
        return share_interval(round(score * self.samples), self.samples)

    def is_beaten(self, score: float, direction: str) -> bool:
        """Whether a score is better, of shares also by more than the samples may bring about."""
        interval = self.interval(score) if self.constant else None
        if interval is not None:
            return interval[0] > self.score
        return score > self.score if direction == "max" else score < self.score


def baseline_of(metric: str, labels: ArrayLike) -> Baseline | None:
    """Returns the best constant of a metric, or chance; `None` if that is not known of it."""
    skill = constant_skill(metric, _in_a_row(np.asarray(labels)))
    if skill is None:
        return None
    shares = skill.metric == "accuracy"
    return Baseline(skill.baseline, skill.baseline_name, skill.samples, shares)


def constants_of(metric: str, labels: ArrayLike) -> list[Baseline]:
    """Returns what constants score: chance, and the best one."""
    best = baseline_of(metric, labels)
    if best is None:
        return []
    if best.name in ("chance", "best constant"):
        return [best]
    classes = int(np.asarray(labels).max()) + 1
    return [Baseline(1 / classes, "chance", best.samples, True), best]


def references_of(
    metric: str, data: SearchData, target: str, model: MultiTaskModel, seed: int = 0
) -> list[Baseline]:
    """Fits references to the training data, and scores them on the validation data.

    Args:
        metric: Name of the log that is the score.
        data: The data of the search.
        target: Name of the searched task.
        model: A model whose backbone makes features of the inputs, too.
        seed: Seed of what is drawn.

    Returns:
        The baselines; none where the metric is not that of classes or values, or where there are
        no references of such inputs, such as texts.
    """
    labels, labels_val = _in_a_row(data.y[target]), _in_a_row(data.y_val[target])
    constant = baseline_of(metric, labels_val)
    is_known = all(one.dtype.kind in "fiub" for one in keras.tree.flatten(data.x))
    if constant is None or not is_known or (constant.shares and labels.dtype.kind == "f"):
        return []
    rng = np.random.default_rng(seed)
    most = _most_rows(data.x)
    rows, rows_val = _drawn(labels, min(_FITTED, most), rng), _drawn(labels_val, _JUDGED, rng)
    if len(rows) < _FEWEST:
        return []
    y, y_val = labels[rows], labels_val[rows_val]
    parts = [_of_rows(data.x, rows), _of_rows(data.x_val, rows_val)]
    images = [channels_last(one_array(model._images(part))) for part in parts]
    if images[0].ndim not in (2, 3, 4):
        return []
    x, x_val = (looked_at(part) for part in images)
    last = map_reader(model)
    layout = getattr(model.backbone, "data_format", None)
    features = [grid_of_map(last, model._images(part), layout) for part in parts]
    classes = int(max(labels.max(), labels_val.max())) + 1 if constant.shares else 0
    targets = one_hot(y, classes) if classes else y.reshape(len(y), -1).astype("float32")
    found = predict_held_out(
        x,
        targets,
        x_val,
        seed,
        features=(features[0], features[1]),
        left_out=False,
        quick=targets.shape[1] > _FEW_OUTPUTS,
    )
    scores = {name: one.held_out for name, one in found.items()}
    says = {kind.name: kind.says for kind in (*KINDS[input_kind(x)], *KINDS["features"])}
    said = {says[name].replace("the given", "the backbone's"): scores[name] for name in scores}
    if images[0].ndim == 4:
        said[NEAREST_IN_PIXELS] = nearest_label(
            at_most(images[0], PATCH_PIXELS), at_most(images[1], PATCH_PIXELS), targets
        )
    said[NEAREST_BY_FEATURES] = nearest_label(features[0], features[1], targets)
    return [
        Baseline(
            _score(predicted, y_val, constant.shares), name, len(y_val), constant.shares, False
        )
        for name, predicted in said.items()
    ]


def nearest_label(known: NDArray, asked: NDArray, targets: NDArray) -> NDArray:
    """The target of the one known sample that is nearest to each that is asked for."""
    known, asked = (one.reshape(len(one), -1).astype("float32") for one in (known, asked))
    rows = [
        squared_distances(asked[start : start + _CHUNK], known).argmin(axis=1)
        for start in range(0, len(asked), _CHUNK)
    ]
    return targets[np.concatenate(rows)]


def keep_baselines(store: Store, baselines: Sequence[Baseline]) -> None:
    """Writes the baselines into the folder of a search."""
    write_json(store.directory / _FILE, {"baselines": [asdict(one) for one in baselines]})


def kept_baselines(store: Store) -> list[Baseline] | None:
    """Reads what `keep_baselines` wrote; `None` if nothing was."""
    kept = read_json(store.directory / _FILE)
    return None if kept is None else [Baseline(**one) for one in kept["baselines"]]


def best_baseline(baselines: Sequence[Baseline], direction: str) -> Baseline | None:
    """The baseline with the best score; `None` without any."""
    sign = 1 if direction == "max" else -1
    return max(baselines, key=lambda one: sign * one.score, default=None)


def no_better(score: float, constant: Baseline | None, direction: str) -> str:
    """What is added to the outcome of a trial that is no better than a constant."""
    if constant is None or constant.is_beaten(score, direction):
        return ""
    return f", no better than {constant.name}"


def _score(scores: NDArray, y: NDArray, shares: bool) -> float:
    """The accuracy of scores of classes, or the mean absolute error of values."""
    if shares:
        return float((scores.argmax(axis=1) == y).mean())
    return float(np.abs(scores - y.reshape(len(y), -1)).mean())


def _in_a_row(labels: NDArray) -> NDArray:
    """Labels of shape `(samples, 1)` as `(samples,)`; others as they are."""
    return labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels


def _most_rows(x: Any) -> int:
    """How many samples may be copied at once."""
    bytes_each = sum(one[:1].nbytes for one in keras.tree.flatten(x))
    return max(_LEAST, _BYTES // max(bytes_each, 1))


def _drawn(labels: NDArray, most: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Samples with a label, in order, a part of them where there are many."""
    rows = np.flatnonzero(is_labelled(labels))
    return np.sort(rng.permutation(rows)[:most])


def _of_rows(x: Any, rows: NDArray) -> Any:
    return keras.tree.map_structure(lambda array: np.asarray(array[rows]), x)
