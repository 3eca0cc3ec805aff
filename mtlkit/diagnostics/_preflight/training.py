"""The first loss, its gradients, and the first steps."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from mtlkit._gradients import Unchanged
from mtlkit.backbones._graph import nodes_before, sublayers
from mtlkit.diagnostics._preflight._problem import Problem
from mtlkit.diagnostics._preflight._program import Output, Program
from mtlkit.diagnostics._preflight.layers import not_adapted
from mtlkit.diagnostics.thresholds import (
    EXPLODING,
    FAR_FROM_CONSTANT,
    FAR_FROM_CONSTANT_VALUE,
    FASTER,
    HARDLY_FALLS,
    LARGE_PENALTY,
    LEAST_LOSS,
    RATES_TRIED,
    RISING,
    SLOWER,
    STALE_SHARE,
    STALE_STATISTICS,
    STEPS,
    STEPS_TO_THE_MEAN,
    VANISHING,
)
from mtlkit.layers.gradient_gates import GradientStop
from mtlkit.model import MultiTaskModel
from mtlkit.model._first_losses import RATIO, SMALL

#: Operations that let no gradient through.
_MEANT = ("StopGradient", "GradientStop")
_STOPS = (*_MEANT, "Argmax", "Round", "Floor", "Ceil", "Sign", "OneHot", "Greater", "Less")


def first_loss(program: Program) -> Iterator[Problem]:
    """A loss that starts out as no number, or far above that of the best constant."""
    if not program.has_losses:
        return
    total = program.loss(training=True)
    if not np.isfinite(total):
        yield Problem(
            "loss_not_finite",
            "error",
            f"The first loss is {total}.",
            value=total,
        )
        return
    for out in program.outputs:
        found = _constant_and_first(program, out)
        if found is None:
            continue
        constant, first = found
        constant = max(constant, _undecided(out))
        far = FAR_FROM_CONSTANT_VALUE if out.kind == "regression" else FAR_FROM_CONSTANT
        margin = 0.0 if out.kind == "regression" else 1.0
        if constant > LEAST_LOSS and first > max(far * constant, constant + margin):
            yield Problem(
                "far_from_constant",
                "hint" if out.kind == "regression" else "warning",
                f"The first loss of {out.name!r} is {first:.3g}; the best constant has "
                f"{constant:.3g}: outputs start out far off, not undecided.",
                _normalised(program)
                if out.kind != "regression"
                else "y = (y - y.mean()) / y.std()",
                out.name,
                out.layer,
                first / constant,
            )


def _normalised(program: Program) -> str:
    """The line that normalises the inputs."""
    new = "normalize = keras.layers.Normalization(); normalize.adapt(x)  # first layer"
    return next((problem.code for problem in not_adapted(program)), new)


def _undecided(out: Output) -> float:
    """The loss where all classes have the same probability."""
    return float(np.log(out.units)) if out.kind in ("classification", "one_hot") else 0.0


def _constant_and_first(program: Program, out: Output) -> tuple[float, float] | None:
    """The loss of the best constant, and the first loss, of an output of a known kind."""
    # Batch normalisation has no statistics of the data yet, but normalises in training.
    labels, predicted = program.labels.get(out.name), program.predicted_in_training.get(out.name)
    if labels is None or predicted is None or out.loss is None or out.is_checked_by_head:
        return None
    constant = _constant(out, labels)
    if constant is None or not np.isfinite(labels.astype("float64")).all():
        return None
    try:
        same = np.broadcast_to(constant, predicted.shape).astype("float32")
        losses = [_value(out.loss, labels, one) for one in (same, predicted)]
    except (ValueError, TypeError):
        return None
    return (losses[0], losses[1]) if np.isfinite(losses).all() else None


def _constant(out: Output, labels: NDArray) -> NDArray | None:
    """The best constant prediction, as the output gives it."""
    if out.kind == "classification":
        classes = labels.reshape(-1).astype("int64")
        if classes.min() < 0 or classes.max() >= out.units:
            return None
        share = np.bincount(classes, minlength=out.units) / len(classes)
    elif out.kind in ("one_hot", "binary", "multi_label", "regression"):
        values = labels.astype("float64").reshape(len(labels), -1)
        share = values.mean(axis=0)
        if share.size != out.units:
            return None
    else:
        return None
    if out.kind == "regression":
        return share
    share = np.clip(share, 1e-3, 1 - 1e-3)
    if not out.from_logits:
        return share
    return np.log(share if out.kind in ("classification", "one_hot") else share / (1 - share))


def _value(loss: Any, labels: NDArray, outputs: NDArray) -> float:
    y = keras.ops.convert_to_tensor(labels)
    if y.ndim < outputs.ndim and outputs.shape[-1] == 1:
        y = keras.ops.reshape(y, outputs.shape)
    value = loss(y, keras.ops.convert_to_tensor(outputs))
    return float(np.mean(keras.ops.convert_to_numpy(value)))


def large_penalty(program: Program) -> Iterator[Problem]:
    """Penalties of weights that outweigh the data."""
    if not program.has_losses:
        return
    with Unchanged(collect_losses=True):
        program.model(program.batch_x, training=False)
        penalty = sum(float(keras.ops.convert_to_numpy(one)) for one in program.model.losses)
    data = program.loss(training=False) - penalty
    if penalty > LARGE_PENALTY * max(data, LEAST_LOSS):
        yield Problem(
            "large_penalty",
            "warning",
            f"Penalties of weights are {penalty:.3g} of the loss, the data {data:.3g}.",
            "kernel_regularizer=keras.regularizers.L2(1e-4)",
            value=penalty / max(data, LEAST_LOSS),
        )


def unequal_losses(program: Program) -> Iterator[Problem]:
    """Tasks whose loss drowns that of others."""
    if len(program.outputs) < 2:
        return
    losses = {}
    for out in program.outputs:
        labels, predicted = program.labels.get(out.name), program.predicted.get(out.name)
        if labels is None or predicted is None or out.loss is None:
            continue
        known = out.labelled[program.rows]
        try:
            losses[out.name] = _value(out.loss, labels[known], predicted[known])
        except (ValueError, TypeError):
            continue
    known = {name: value for name, value in losses.items() if np.isfinite(value) and value > 0}
    if len(known) < 2:
        return
    large, small = max(known, key=known.__getitem__), min(known, key=known.__getitem__)
    ratio = known[large] / max(known[small], SMALL)
    if ratio > RATIO:
        yield Problem(
            "label_scale",
            "warning",
            f"The first loss of {large!r} is {known[large]:.3g}, that of {small!r} "
            f"{known[small]:.3g}: {large!r} drowns it.",
            f"y[{large!r}] = (y[{large!r}] - y[{large!r}].mean()) / y[{large!r}].std()",
            large,
            value=ratio,
        )


def gradients_of_layers(program: Program) -> Iterator[Problem]:
    """Weights without a gradient, and gradients that vanish or explode on their way."""
    if not program.has_losses:
        return
    found = program.gradients
    wrong = [weight for weight, gradient in found if not np.isfinite(gradient).all()]
    if wrong:
        yield Problem(
            "gradient_not_finite",
            "error",
            f"The gradient of {wrong[0].path!r} is no finite number.",
            "keras.optimizers.Adam(clipnorm=1.0)",
            layer=_layer(wrong[0]),
        )
        return
    without_loss = [out.name for out in program.outputs if out.loss is None]
    if without_loss:
        yield Problem(
            "output_without_loss",
            "hint",
            f"{', '.join(map(repr, without_loss))}: no loss, so what computes it is not trained.",
            task=without_loss[0],
        )
    behind_losses = _behind_losses(program)
    none = [weight for weight in program.without_gradient if id(weight) in behind_losses]
    if none:
        stop = _stop(program)
        share = len(none) / len(found)
        meant = stop is not None and type(stop).__name__ in _MEANT
        why = "" if stop is None else f" {stop.name!r} lets none through."
        yield Problem(
            "no_gradient",
            "hint" if meant and share < 1 else "error",
            f"{len(none)} of {len(found)} trainable weights have no gradient, the first is "
            f"{none[0].path!r}.{why}",
            "" if stop is None else f"# if it is not meant, leave out {stop.name!r}",
            layer=_layer(none[0]),
            value=share,
        )
    yield from _sizes(found)


def _behind_losses(program: Program) -> set[int]:
    """The weights that some output with a loss depends on; all where there is no graph."""
    tensors = [out.tensor for out in program.outputs if out.loss is not None]
    whole = not isinstance(program.model, MultiTaskModel)
    if not whole or not program.nodes or any(tensor is None for tensor in tensors):
        return {id(weight) for weight in program.model.weights}
    layers = (layer for node in nodes_before(tensors) for layer in sublayers(node.operation))
    return {id(weight) for layer in layers for weight in getattr(layer, "weights", ())}


def _sizes(found: list[tuple[Any, NDArray]]) -> Iterator[Problem]:
    """Gradients of layers, relative to their weights, that are far apart or very large."""
    sizes: dict[str, float] = {}
    for weight, gradient in found:
        is_bias = "bias" in weight.path.rsplit("/")[-1]
        if gradient.any() and gradient.ndim > 1 and not is_bias and _norm(weight) > 0:
            size = float(np.linalg.norm(gradient)) / _norm(weight)
            sizes[_layer(weight)] = max(size, sizes.get(_layer(weight), 0.0))
    if len(sizes) < 2:
        return
    # A gradient that vanishes on its way from the loss is smallest in the first layer.
    least, most = next(iter(sizes)), max(sizes, key=sizes.__getitem__)
    ratio = sizes[least] / sizes[most]
    if ratio < VANISHING:
        yield Problem(
            "vanishing_gradient",
            "warning",
            f"The gradient of {least!r} is {ratio:.1g} of that of {most!r}, relative to the "
            "weights: this layer hardly trains.",
            'activation="relu", or keras.layers.BatchNormalization() between the layers',
            layer=least,
            value=ratio,
        )
    if sizes[most] > EXPLODING:
        yield Problem(
            "exploding_gradient",
            "hint",
            f"The gradient of {most!r} is {sizes[most]:.1g} times its weights.",
            "keras.optimizers.Adam(clipnorm=1.0)  # and inputs and labels of spread 1",
            layer=most,
            value=sizes[most],
        )


def _norm(weight: Any) -> float:
    return float(np.linalg.norm(keras.ops.convert_to_numpy(weight)))


def _layer(weight: Any) -> str:
    return str(weight.path).rsplit("/", 1)[0].rsplit("/", 1)[-1]


def _stop(program: Program) -> Any:
    """The first operation that lets no gradient through, or `None`."""
    for node in program.nodes:
        if type(node.operation).__name__ in _STOPS or isinstance(node.operation, GradientStop):
            return node.operation
    return None


def first_steps(program: Program) -> Iterator[Problem]:
    """A loss that rises, or hardly falls, in a few steps on the same samples."""
    rate = program.rate
    if not program.has_losses or rate is None:
        return
    losses, after = program.steps()
    if not np.isfinite(losses[0]):
        return  # said by the first loss
    if _is_rising(losses):
        for part in SLOWER:
            slower, _ = program.steps(rate / part)
            helped = not _is_rising(slower)
            if helped:
                break
        yield Problem(
            "learning_rate",
            "error" if not np.isfinite(losses[-1]) else "warning",
            f"In {len(losses) - 1} steps on the same {len(program.rows)} samples the loss goes "
            f"from {losses[0]:.4g} to {losses[-1]:.4g}"
            + (
                f"; with a rate {part:,} times as small, to {slower[-1]:.4g}."
                if helped
                else f", and it rises with a rate {part:,} times as small, too."
            ),
            _at_rate(program, rate / part),
            value=rate,
        )
        return
    of_labels = list(_label_scale(program, after))
    yield from of_labels
    fall = _fall(losses)
    if not of_labels and fall < HARDLY_FALLS and abs(losses[0]) > LEAST_LOSS:
        yield from _too_slow(program, rate, fall)


def _too_slow(program: Program, rate: float, fall: float) -> Iterator[Problem]:
    """A rate at which hardly anything happens, though it would at a larger one."""
    for factor in RATES_TRIED:
        losses, _ = program.steps(factor * rate)
        gained = _fall(losses) if np.isfinite(losses).all() else 0.0
        if gained > FASTER * max(fall, 1e-9) and gained > HARDLY_FALLS:
            yield Problem(
                "learning_rate",
                "warning",
                f"In {STEPS} steps on the same samples the loss {_change(fall)}; at {factor:,} "
                f"times the rate it {_change(gained)}.",
                _at_rate(program, factor * rate),
                value=rate,
            )
            return


def _change(fall: float) -> str:
    """In words, by how much a loss falls or rises."""
    return f"{'falls' if fall >= 0 else 'rises'} by {100 * abs(fall):.2g} %"


def _at_rate(program: Program, rate: float) -> str:
    """The line that sets another rate."""
    if program.has_schedule:
        return f"model.compile(keras.optimizers.Adam({rate:.2g}), ...)  # or a schedule from there"
    return f"model.optimizer.learning_rate = {rate:.2g}"


def _is_rising(losses: list[float]) -> bool:
    """Whether a training does harm."""
    if not np.isfinite(losses).all():
        return True
    return float(np.median(losses[-3:])) > losses[0] + RISING * abs(losses[0])


def _fall(losses: list[float]) -> float:
    """The share of the first loss by which it fell."""
    return (losses[0] - losses[-1]) / max(abs(losses[0]), 1e-12)


def _label_scale(program: Program, after: dict[str, NDArray]) -> Iterator[Problem]:
    """Labels so far from the outputs that steps hardly come nearer."""
    for out in program.outputs:
        before, labels = program.predicted.get(out.name), program.labels.get(out.name)
        if out.kind != "regression" or before is None or labels is None:
            continue
        mean, spread = float(np.nanmean(labels)), float(np.nanstd(labels))
        moved = abs(float(after[out.name].mean() - before.mean())) / STEPS
        way = abs(mean - float(before.mean()))
        if way > spread and way > STEPS_TO_THE_MEAN * moved:
            yield Problem(
                "label_scale",
                "warning",
                f"Labels of {out.name!r} have the mean {mean:.4g}, outputs {before.mean():.3g}; at "
                f"the pace of the first steps it takes {way / max(moved, 1e-12):,.0f} steps to get "
                "there.",
                "y = (y - y.mean()) / y.std()",
                out.name,
                out.layer,
                mean,
            )


def is_amiss(program: Program) -> bool:
    """Whether the network starts out badly, or its first steps do harm."""
    if not program.has_losses:
        return False
    graver = [*first_loss(program), *first_steps(program)]
    return any(problem.severity != "hint" for problem in graver)


def stale_batch_norm(program: Program) -> Iterator[Problem]:
    """Statistics of batch normalisation that are not those of the data, after a training."""
    optimizer = getattr(program.model, "optimizer", None)
    trained = optimizer is not None and int(keras.ops.convert_to_numpy(optimizer.iterations)) > 0
    layers = [
        layer
        for layer in program.model._flatten_layers(include_self=False)
        if isinstance(layer, keras.layers.BatchNormalization) and layer.trainable
    ]
    if not trained or not layers or not program.has_losses:
        return
    training, inference = program.loss(training=True), program.loss(training=False)
    known = [_constant_and_first(program, out) for out in program.outputs]
    scale = max((one[0] for one in known if one is not None), default=1.0)
    matters = inference - training > STALE_SHARE * scale
    if matters and inference > STALE_STATISTICS * training:
        momentum = max(float(layer.momentum) for layer in layers)
        one = len(layers) == 1
        named = "the batch normalisation" if one else f"{len(layers)} batch normalisations"
        yield Problem(
            "stale_batch_norm",
            "warning",
            f"On the same samples the loss is {training:.3g} in training mode and {inference:.3g} "
            f"in inference mode: the statistics of {named} (momentum {momentum:g}) lag behind.",
            "keras.layers.BatchNormalization(momentum=0.9)  # or train for longer",
            layer=layers[0].name,
            value=inference / max(training, 1e-12),
        )
