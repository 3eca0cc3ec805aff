"""Does the scale of the inputs hinder the training? The user's model on standardised ones."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import keras

from mtlkit._statistics import mean_interval
from mtlkit.diagnostics._training.bench import Bench, Gap, steps_trained
from mtlkit.diagnostics._training.copies import compiled, compiled_like
from mtlkit.diagnostics._training.standardised import Standardised, is_standardised
from mtlkit.diagnostics._training.trials import TWIN, Trials
from mtlkit.diagnostics.causes import BY_CAUSE
from mtlkit.diagnostics.evidence import Evidence
from mtlkit.diagnostics.thresholds import LEFT_THE_PLATEAU, SCALE_RECOVERS

#: The part of the budget for the user's own training; what it leaves is for the task alone.
_OWN = 0.9
#: A rate that suits most networks if it falls to zero.
_RATE = 2e-3
#: A plateau is left after so many steps, rather than samples: small batches leave it for less.
_BATCH = 16
#: Shares of the training on the task alone after which the two are compared, before its end.
_LOOKS = (1 / 4, 1 / 2, 3 / 4)
#: What a trial with standardised inputs is called.
_REMEDY = "standardised inputs"


def input_scale(bench: Bench, gap: Gap, seconds: float) -> Evidence:
    """Trains the user's model from a fresh start, on standardised inputs.

    First as the user trained it, for as many steps if the budget allows; the user's model is
    what it is compared with. Where that does not gain enough, because another cause is in the
    way, on the task alone, with a rate that falls to zero, against the same start on the inputs
    as they are.
    """
    name = "input_scale"
    if not bench.reads_one_array:
        return bench.not_tested(name, "The backbone has several inputs.")
    if is_standardised(bench.user, bench.images):
        text = "The inputs reach the first layer standardised."
        return bench.evidence(name, "absent", text)
    inputs = Standardised.of(bench.images)
    before = bench.clock.left
    own = _own(bench, gap, inputs, _OWN * seconds)
    if own.found:
        return own
    left = seconds - (before - bench.clock.left)
    return max(own, _alone(bench, gap, inputs, left / 2), key=_sureness)


def _sureness(one: Evidence) -> tuple[bool, float]:
    """Orders evidence by whether it is found, then by the least effect that it leaves possible."""
    intervals = [one.interval, *(look["interval"] for look in one.details.get("early", ()))]
    return one.found, max((each[0] for each in intervals if each is not None), default=-math.inf)


def _own(bench: Bench, gap: Gap, inputs: Standardised, seconds: float) -> Evidence:
    """Trained as the user did; another cause may be in the way, so any gain that matters counts."""
    steps = steps_trained(bench.model)
    trials = Trials(bench, gap, seconds, recovered=0.0, steps=steps)
    setting = lambda one: compiled_like(one, bench.model)  # noqa: E731
    trials.run(_REMEDY, setting, inputs)
    return _judged(bench, trials, "with standardised inputs, trained as the model was,")


def _alone(bench: Bench, gap: Gap, inputs: Standardised, seconds: float) -> Evidence:
    """Trained on the task alone, which learns faster."""
    trials = Trials(
        bench, gap, seconds, alone=True, recovered=SCALE_RECOVERS, batch=_BATCH, looks=_LOOKS
    )
    setting = lambda one: compiled(one, keras.optimizers.Adam(_RATE))  # noqa: E731
    trials.run(_REMEDY, setting, inputs)
    trials.confirm(setting)
    return _judged(bench, trials, "with standardised inputs, on the task alone,")


def _judged(bench: Bench, trials: Trials, remedy: str) -> Evidence:
    if trials.best is None:
        return bench.not_tested("input_scale", trials.why)
    found = trials.evidence(
        "input_scale",
        remedy,
        code=BY_CAUSE["input_scale"].code,
        mean=float(bench.images.mean()),
        deviation=float(bench.images.std()),
        early=_early(trials),
    )
    if found.status == "absent" and found.details["recovered"] < LEFT_THE_PLATEAU:
        return replace(found, status="unclear")  # of what was not learned, nothing is known
    return found


def _early(trials: Trials) -> list[dict[str, Any]]:
    """What standardised inputs were ahead of the same start on the inputs as they are, by then."""
    ours, others = (trials.early.get(name, {}) for name in (_REMEDY, TWIN))
    found = []
    for steps in sorted(ours.keys() & others.keys()):
        effect, interval = mean_interval(ours[steps] - others[steps], comparisons=len(_LOOKS) + 1)
        reach = float(ours[steps].mean())
        found.append({"steps": steps, "reach": reach, "effect": effect, "interval": interval})
    return found
