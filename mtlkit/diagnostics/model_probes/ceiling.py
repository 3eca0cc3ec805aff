"""How well can the task be learned from these images? A reference network against the user's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import ArrayLike, NDArray

from mtlkit._random_state import random_state_kept
from mtlkit._statistics import mean_interval
from mtlkit.backbones import ConvBackbone
from mtlkit.diagnostics._effects import least_effect, status_of
from mtlkit.diagnostics._training.bench import Bench, alone_and_afresh
from mtlkit.diagnostics._training.copies import compiled
from mtlkit.diagnostics._training.score import Score
from mtlkit.diagnostics._training.trainer import Trainer
from mtlkit.diagnostics.details import GapDetails
from mtlkit.diagnostics.evidence import Evidence
from mtlkit.diagnostics.model_probes._location_arms import flat_head, reads_a_map
from mtlkit.diagnostics.thresholds import SIMPLE_IS_AHEAD
from mtlkit.heads import ClassificationHead, OrientationHead, RegressionHead
from mtlkit.layers.input_normalization import InputNormalization
from mtlkit.model import MultiTaskModel
from mtlkit.model._outputs import outputs_of
from mtlkit.model.task import Task
from mtlkit.references import HeldOut, predict_held_out
from mtlkit.references._kinds import KINDS, input_kind, looked_at
from mtlkit.references._ridge import calibrated, one_hot

#: The learning rate of the reference, which falls to zero.
_RATE = 2e-3
#: Epochs, steps and inner samples at most.
_EPOCHS, _LEAST_EPOCHS, _INNER = 12, 2, 500
#: A small set needs as many steps, and so more epochs.
_LEAST_STEPS = 400
_FILTERS = (16, 32, 64)
#: Shorter sequences have nothing to convolve.
_FEWEST_STEPS = 8
#: Fewer steps teach a network nothing.
_FEWEST = 20
#: What the user's network is called among the references.
OWN = "the model's own network, trained alone"
#: The same with another head.
OWN_FLAT = "the model's own backbone under a head that keeps positions, trained alone"
_OWN_WORDS = {
    OWN: "its own network",
    OWN_FLAT: "its own backbone under a head that keeps positions",
}
#: Names of simple references.
SIMPLE = {kind.name for kinds in KINDS.values() for kind in kinds}


def probe(
    model: MultiTaskModel,
    x: Any,
    y: Mapping[str, ArrayLike],
    task: str,
    *,
    x_val: Any = None,
    y_val: Mapping[str, ArrayLike] | None = None,
    features: tuple[NDArray, NDArray] | None = None,
    seed: int = 0,
    budget: float = 70.0,
    longer: float = 1.0,
) -> Evidence:
    """Compares the model with networks of our own that are trained on the task alone.

    The references standardise their input and use batch normalisation and a decayed rate;
    one keeps positions, one averages them away, and for orientations one reads the image in
    polar coordinates. The best on an inner part of the training data is compared with the
    user's model on the same held-out samples. Simple references (`mtlkit.references`) and those on
    given features are candidates, too, where they are clearly ahead. Where none of them is better
    than the model, its own network is trained from new weights on the task alone. Without
    validation data a fresh copy of the model, trained as it was on four fifths of the samples, is
    compared on the rest.

    Args:
        model: The user's model; it is not changed.
        x: Training inputs.
        y: Their labels by task.
        task: Name of the task.
        x_val: Inputs that the model was not trained on.
        y_val: Their labels by task.
        features: Embeddings of both, of training and of held-out inputs.
        seed: Seed of the references.
        budget: CPU-seconds to spend at most; the references are trained for fewer epochs if
            need be.
        longer: How many times as long as usual copies are trained, if the budget allows it.

    Returns:
        `"model_gap"`: the skill of the reference minus that of the model, and its paired
        interval. Its details have `reference_skill`, `user_skill`, the scores of both, the
        skill of each held-out sample, and the reference's predictions for them.

    Raises:
        ValueError: If the model has no such task, or labels are missing.

    Example:
        ```python
        import numpy as np

        import mtlkit as mtl
        from mtlkit.diagnostics.model_probes import ceiling

        rng = np.random.default_rng(0)
        x, y = rng.random((80, 8, 8, 1), dtype="float32"), {"a": rng.integers(2, size=80)}
        backbone = mtl.backbones.ConvBackbone((8, 8, 1), (4,))
        model = mtl.MultiTaskModel(backbone, mtl.Task("a", mtl.heads.ClassificationHead(2)))
        evidence = ceiling.probe(model, x, y, "a", x_val=x, y_val=y, budget=3)
        assert evidence.name == "model_gap"
        ```
    """
    bench = Bench(model, x, y, task, x_val, y_val, seed, budget, longer)
    best, skills, by_features = _best_reference(bench, features)
    name, decoded = best.name, best.decoded
    rows = bench.score.rows(decoded, bench.y_val)
    reference = float(rows.mean())
    effect, interval = mean_interval(rows - bench.user_rows)
    threshold = least_effect(0.0, reference)
    seen = 0 if bench.retrained else _seen(bench)
    return bench.evidence(
        "model_gap",
        status_of(interval, threshold),
        _text(bench, name, reference, seen),
        effect=effect,
        interval=interval,
        null=0.0,
        threshold=threshold,
        details=GapDetails(
            reference=name,
            reference_skill=reference,
            user_skill=bench.user_skill,
            reference_score=bench.score.value(reference),
            user_score=bench.score.value(bench.user_skill),
            baseline=bench.score.baseline,
            metric=bench.score.metric,
            reference_rows=rows,
            user_rows=bench.user_rows,
            labels=bench.score.targets(bench.y_val),
            class_counts=_class_counts(bench),
            reference_probability=decoded.get("probability"),
            user_probability=bench.decoded.get("probability"),
            inner_skill=skills,
            inner_score=bench.score.value(max(skills.values())),
            features_rows=by_features,
            seen_in_training=seen,
            retrained=bench.retrained,
        ),
    )


def bench_and_ceiling(
    model: MultiTaskModel,
    x: Any,
    y: Mapping[str, ArrayLike],
    task: str,
    x_val: Any,
    y_val: Mapping[str, ArrayLike] | None,
    seed: int,
    budget: float,
    longer: float,
    found: Evidence | None,
) -> tuple[Bench, Evidence]:
    """The bench of a later probe, and what this one found, or finds now for a third of the budget.

    Arguments are those of `probe`, and the evidence `"model_gap"`, if there is one.
    """
    if found is None:
        share = budget / 3
        found = probe(model, x, y, task, x_val=x_val, y_val=y_val, seed=seed, budget=share)
        budget -= share
    return Bench(model, x, y, task, x_val, y_val, seed, budget, longer), found


def reference_candidates(
    score: Score, y: NDArray, input_shape: tuple[int, ...], vocabulary: int = 0
) -> Iterator[tuple[str, MultiTaskModel]]:
    """Yields references of a task by name, not compiled.

    Args:
        score: How the task is judged.
        y: Its targets, as `Score.targets` gives them.
        input_shape: Shape of a sample.
        vocabulary: Number of tokens, if samples are token ids; else 0.
    """
    heads: dict[str, Any] = {}
    if score.period is not None and len(input_shape) == 3:
        for spatial in ("polar", "flatten"):
            heads[spatial] = (OrientationHead, {"spatial": spatial, "period": score.period})
    elif score.of_classes:
        for pooling in ("flatten", "average"):
            heads[pooling] = (ClassificationHead, {"pooling": pooling})
    else:
        for pooling in ("flatten", "average"):
            heads[pooling] = (RegressionHead, {"pooling": pooling})
    size = score.num_classes if score.of_classes else y.shape[1]
    for name, (head, options) in heads.items():
        if name == "average" and len(input_shape) == 1 and not vocabulary:
            continue
        if vocabulary:
            backbone = _token_backbone(input_shape, vocabulary)
        else:
            backbone = reference_backbone(input_shape, name)
        if name == "polar":
            backbone.trainable = False  # its convolution is not used
        yield name, MultiTaskModel(backbone, [Task("reference", head(size, **options))])


def reference_backbone(input_shape: tuple[int, ...], head: str = "flatten") -> keras.Model:
    """Returns the trunk of a reference: of convolutions for images and sequences, else dense."""
    if len(input_shape) == 2 and input_shape[0] >= _FEWEST_STEPS:
        layers = [InputNormalization(name="normalization")]
        for filters in _FILTERS[1:]:
            layers += [keras.layers.Conv1D(filters, 5, 2, "same", activation="relu")]
        return keras.Sequential([keras.Input(input_shape), *layers])
    if len(input_shape) != 3:
        layers = [InputNormalization(name="normalization"), keras.layers.Flatten()]
        for _ in range(2):
            layers += [keras.layers.Dense(128, activation="relu")]
        return keras.Sequential([keras.Input(input_shape), *layers])
    if head == "polar":  # reads the image, normalised
        return ConvBackbone(input_shape, (1,))
    first = keras.config.image_data_format() == "channels_first"
    side = min(input_shape[1:] if first else input_shape[:2])
    stages = min(len(_FILTERS), max(1, side.bit_length() - 2))  # a map of 4 x 4 at least
    return ConvBackbone(input_shape, _FILTERS[:stages], batch_norm=True)


def _token_backbone(input_shape: tuple[int, ...], vocabulary: int) -> keras.Model:
    """The trunk of a reference for token ids: embeddings, and what neighbours say together."""
    return keras.Sequential(
        [
            keras.Input(input_shape, dtype="int32"),
            keras.layers.Embedding(vocabulary, _FILTERS[1]),
            keras.layers.Conv1D(_FILTERS[2], 3, padding="same", activation="relu"),
        ]
    )


@dataclass(frozen=True)
class _Candidate:
    """A reference: its skill on an inner part of the training data, and what it says of others."""

    name: str
    skill: float
    decoded: Mapping[str, NDArray]


@random_state_kept()
def _best_reference(
    bench: Bench, features: tuple[NDArray, NDArray] | None
) -> tuple[_Candidate, dict[str, float], NDArray | None]:
    """Fits the candidates, and returns the best one.

    The other parts of the result are the skills of all of them, and the skill of each held-out
    sample by the given features.
    """
    inputs = _Inputs.of(bench)
    simple = list(_simple(bench, inputs, features))
    given = [one for one in simple if one.name.startswith("features")]
    by_features = None
    if given:
        decoded = max(given, key=_skill).decoded
        by_features = bench.score.rows(decoded, bench.y_val)
    networks = list(_networks(bench, inputs))
    best = _better(networks, simple)
    if _is_ahead(bench, best):
        return best, {one.name: one.skill for one in [*networks, *simple]}, by_features
    networks += _own_networks(bench, inputs)
    skills = {one.name: one.skill for one in [*networks, *simple]}
    return _better(networks, simple), skills, by_features


def _skill(one: _Candidate) -> float:
    return one.skill


def _better(networks: list[_Candidate], simple: list[_Candidate]) -> _Candidate:
    """The best network, which is trained in the way of the user's, unless others are far ahead."""
    best = max(simple, key=_skill)
    network = max(networks, key=_skill, default=None)
    return best if network is None or best.skill > network.skill + SIMPLE_IS_AHEAD else network


def _is_ahead(bench: Bench, one: _Candidate) -> bool:
    rows = bench.score.rows(one.decoded, bench.y_val)
    _, interval = mean_interval(rows - bench.user_rows)
    return status_of(interval, least_effect(0.0, float(rows.mean()))) == "found"


@dataclass(frozen=True)
class _Inputs:
    """What references learn from, and positions of its inner part and of the rest."""

    images: NDArray
    held: NDArray
    targets: NDArray
    inner: NDArray
    outer: NDArray

    @classmethod
    def of(cls, bench: Bench) -> _Inputs:
        """Draws the parts."""
        images, held = (looked_at(one) for one in (bench.images[bench.rows], bench.val_images))
        targets = bench.score.targets(bench.y[bench.name][bench.rows])
        order = np.random.default_rng(bench.seed).permutation(len(images))
        inner = order[: max(1, min(_INNER, len(order) // 5))]
        return cls(images, held, targets, inner, order[len(inner) :])

    @property
    def vocabulary(self) -> int:
        """Number of tokens; 0 where samples are none."""
        if input_kind(self.images) != "tokens":
            return 0
        return 1 + int(max(self.images.max(), self.held.max()))


def _networks(bench: Bench, inputs: _Inputs) -> Iterator[_Candidate]:
    """Networks of our own, as far as the budget allows."""
    targets, of_classes = inputs.targets, bench.score.of_classes
    # Values are standardised, so that one rate suits all.
    shift, scale = (0.0, 1.0) if of_classes else _moments(targets[inputs.outer])
    labels = targets if of_classes else (targets - shift) / scale
    shape = tuple(inputs.images.shape[1:])
    keras.utils.set_random_seed(bench.seed)
    models = list(reference_candidates(bench.score, targets, shape, inputs.vocabulary))
    for number, (name, model) in enumerate(models):
        _adapt(model, inputs.images[inputs.outer])
        compiled(model, keras.optimizers.Adam(_RATE))
        trainer = Trainer(model, inputs.images, {"reference": labels}, inputs.outer)
        # A part is left for the user's own network.
        steps = _affordable(bench, trainer, bench.clock.left / (len(models) - number + 1))
        if not steps:
            continue
        trainer.run(steps, bench.seed, decay=True)
        inner = _decode(model, inputs.images[inputs.inner], shift, scale)
        skill = float(bench.score.rows(inner, targets[inputs.inner]).mean())
        yield _Candidate(name, skill, _decode(model, inputs.held, shift, scale))


def _own_networks(bench: Bench, inputs: _Inputs) -> Iterator[_Candidate]:
    """The user's network, trained from new weights on the task alone, with two heads.

    The second one keeps positions, where the user's may not.
    """
    heads: dict[str, Any] = {OWN: None}
    if reads_a_map(bench):
        heads[OWN_FLAT] = flat_head(bench)[0]
    for number, (name, head) in enumerate(heads.items()):
        changes = {} if head is None else {"head": head}
        model = alone_and_afresh(bench, _RATE, **changes)
        trainer = Trainer(model, bench.x, bench.y, bench.rows[inputs.outer])
        steps = _affordable(bench, trainer, 0.9 * bench.clock.left / (len(heads) - number))
        if not steps:
            continue
        trainer.run(steps, bench.seed, decay=True)
        rows = bench.rows[inputs.inner]
        x = keras.tree.map_structure(lambda array, rows=rows: array[rows], bench.x)
        inner = bench.score.rows(bench.decode(model, x), bench.y[bench.name][rows])
        yield _Candidate(name, float(inner.mean()), bench.decode(model, bench.x_val))


def _affordable(bench: Bench, trainer: Trainer, seconds: float) -> int:
    """The steps of a network; 0 where there are too few to learn anything."""
    epochs = bench.longer * max(_EPOCHS, _LEAST_STEPS / trainer.steps_of_epoch)
    steps = trainer.affordable(seconds, epochs)
    return steps if steps >= min(_FEWEST, _LEAST_EPOCHS * trainer.steps_of_epoch) else 0


def _simple(
    bench: Bench, inputs: _Inputs, features: tuple[NDArray, NDArray] | None
) -> Iterator[_Candidate]:
    """References that are no networks."""
    targets, of_classes = inputs.targets, bench.score.of_classes
    fitted = one_hot(targets, bench.score.num_classes) if of_classes else targets
    found = predict_held_out(inputs.images, fitted, inputs.held, bench.seed, features=features)
    for name, scores in found.items():
        inner = _said(scores.left_out, scores, targets, of_classes)
        skill = float(bench.score.rows(inner, targets)[inputs.inner].mean())
        yield _Candidate(name, skill, _said(scores.held_out, scores, targets, of_classes))


def _said(
    scores: NDArray, fitted: HeldOut, targets: NDArray, of_classes: bool
) -> dict[str, NDArray]:
    """What scores of a simple reference say, as a head's `decode` does."""
    if not of_classes:
        return {"value": scores}
    probability = calibrated(fitted.left_out, targets, scores)
    return {"label": scores.argmax(axis=1), "probability": probability}


def _decode(model: MultiTaskModel, images: NDArray, shift: Any, scale: Any) -> dict[str, NDArray]:
    decoded = model.tasks["reference"].head.decode(outputs_of(model, images)["reference"])
    if "label" in decoded:
        return decoded
    value = decoded["value"].reshape(len(images), -1) * scale + shift
    return {"value": value}


def _moments(values: NDArray) -> tuple[NDArray, NDArray]:
    spread = values.std(axis=0)
    return values.mean(axis=0), np.where(spread > 1e-12, spread, 1.0)


def _adapt(model: MultiTaskModel, images: NDArray) -> None:
    for layer in model._flatten_layers():
        if isinstance(layer, InputNormalization):
            layer.adapt(images)


def _class_counts(bench: Bench) -> NDArray | None:
    """How many training samples there are of each class."""
    if not bench.score.of_classes:
        return None
    labels = bench.score.targets(bench.y[bench.name][bench.rows])
    return np.bincount(labels, minlength=bench.score.num_classes)


def _seen(bench: Bench) -> int:
    """How many held-out samples are among the training ones, too."""
    known = {row.tobytes() for row in bench.images}
    same = bench.val_images.astype(bench.images.dtype)
    return sum(row.tobytes() in known for row in same)


def _text(bench: Bench, name: str, reference: float, seen: int) -> str:
    what = f"A reference ({name})" if name in SIMPLE else "A reference network"
    if name in _OWN_WORDS:
        what = f"Trained from new weights on this task alone, {_OWN_WORDS[name]}"
    text = (
        f"{what} reaches {bench.score.text(reference)}, the model "
        f"{bench.score.text(bench.user_skill)} on the same {len(bench.y_val):,} samples"
    )
    if bench.retrained:
        text += "; without validation data, a fresh copy was trained and judged in its place"
    if seen:
        text += f"; {seen} of them are among the training samples, too"
    return text + "."
