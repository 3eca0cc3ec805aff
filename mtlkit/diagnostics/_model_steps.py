"""The steps that train copies of a model, and what of the budget each may spend."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import keras
from numpy.typing import NDArray

from mtlkit.diagnostics._steps import Steps
from mtlkit.diagnostics._training.bench import Bench
from mtlkit.diagnostics._training.standardised import is_standardised
from mtlkit.diagnostics.evidence import Evidence, not_tested
from mtlkit.diagnostics.model_probes import (
    ceiling,
    context,
    interference,
    location,
    training_health,
)
from mtlkit.diagnostics.verdict import Verdict, decide
from mtlkit.references._inputs import one_array

#: Below this many CPU-seconds a probe of the model finds nothing.
LEAST_SECONDS = 15.0
#: As many have to be left where a copy is trained first, which takes a third.
LEAST_WITH_TRAINING = 30.0


@dataclass(frozen=True)
class ModelStep:
    """A probe of the model.

    Attributes:
        module: Its module, which has the function `probe`.
        names: The evidence that it finds.
        share: Its share of the seconds that are left by then.
    """

    module: Any
    names: tuple[str, ...]
    share: float


#: In the order in which they are run. The last ones are the first to be left out.
MODEL_STEPS = (
    ModelStep(ceiling, ("model_gap",), 0.25),
    ModelStep(location, location.NAMES, 0.3),
    ModelStep(training_health, training_health.NAMES, 0.55),
    ModelStep(context, context.NAMES, 0.4),
    ModelStep(interference, interference.NAMES, 0.95),
)
#: The share of the probe of the training where the inputs are not standardised: what that costs
#: is only seen in a training as long as the user's.
_SHARE_IF_RAW = 0.95
#: How many times as long trainings are repeated where the first ones left a question open.
_LONGER = (2.0, 4.0)


@dataclass
class ModelQuestion:
    """A model, and the data that it is judged on.

    Attributes:
        model: The user's model.
        x: Training inputs.
        y: Their labels by task.
        task: Name of the task.
        validation: `(x_val, y_val)`. `None`: a part of the data is held out, and a fresh copy is
            trained on the rest.
        features: Embeddings of training and of held-out samples, or `None`.
        seed: Seed of all trainings.
    """

    model: Any
    x: Any
    y: Mapping[str, Any]
    task: str
    validation: tuple[Any, Any] | None = None
    features: tuple[NDArray, NDArray] | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        self.data: dict[str, Any] = {}

    def hold_out(self, seconds: float) -> None:
        """Makes the model and the data that are judged: on what it was trained on, it cannot be."""
        if self.data:
            return
        if self.validation is not None:
            x_val, y_val = self.validation
            self.data = {"x": self.x, "y": self.y, "x_val": x_val, "y_val": y_val}
            return
        bench = Bench(self.model, self.x, self.y, self.task, seed=self.seed, budget=seconds)
        self.model = bench.model
        held = {"x_val": bench.x_val, "y_val": {self.task: bench.y_val}}
        self.data = {"x": bench.x, "y": bench.y, **held}

    @property
    def is_standardised(self) -> bool:
        """Whether the inputs are standardised where the backbone learns from them."""
        inputs = self.model._images(self.x)
        several = len(keras.tree.flatten(inputs)) > 1
        return several or is_standardised(self.model, one_array(inputs))


def run_model_steps(steps: Steps, question: ModelQuestion, setup: dict[str, Any]) -> None:
    """Runs all probes that there is time for, and those again that left a question open."""
    for step in MODEL_STEPS:
        needed = LEAST_SECONDS
        if question.validation is None and not question.data:
            needed = LEAST_WITH_TRAINING
        if not _is_kept(step, steps) and steps.left < needed:
            setup["left_out"] += step.names
            why = (
                f"Of the budget of {steps.budget:g} CPU-seconds {max(steps.left, 0):.1f} are left, "
                f"and this needs {needed:g}."
            )
            steps.skip(why, *(_left_out(name, f"Left out: {why}") for name in step.names))
            continue
        steps.run(step.names, partial(_probed, step, steps, question))
    _look_again(steps, question)


def _probed(
    step: ModelStep, steps: Steps, question: ModelQuestion, longer: float = 1.0
) -> Evidence | tuple[Evidence, ...]:
    """Runs a probe with its share of what is left, or with all of it when it is run again."""
    question.hold_out(steps.left)
    share = step.share
    if step.module is training_health and not question.is_standardised:
        share = _SHARE_IF_RAW
    if longer > 1:
        share = 1.0
    seconds = min(steps.left, max(share * steps.left, LEAST_SECONDS))
    options: dict[str, Any] = {"seed": question.seed, "budget": seconds, "longer": longer}
    if step.module is not ceiling:
        options["ceiling"] = steps.evidence["model_gap"]
        if step.module is context:
            options["context"] = steps.evidence.get("needs_context")
    elif question.features is not None:
        options["features"] = question.features
    return step.module.probe(question.model, task=question.task, **question.data, **options)


def _look_again(steps: Steps, question: ModelQuestion) -> None:
    """Spends what is left on the probes whose trainings were too short to decide."""
    for longer in _LONGER:
        for step in MODEL_STEPS:
            found = [steps.evidence[name] for name in step.names]
            took = sum(one.seconds for one in found)
            is_open = _leave_open(found, decide(steps.evidence, question.task))
            if not is_open or steps.left < max(LEAST_SECONDS, longer * took):
                continue
            steps.run(step.names, partial(_probed, step, steps, question, longer), again=True)


def _leave_open(found: list[Evidence], verdict: Verdict) -> bool:
    """Whether more of a training may decide what the verdict leaves open."""
    unclear = {one.name for one in found if one.status == "unclear"}
    return bool(unclear & set(verdict.undetermined) or (unclear and not verdict.causes))


def _is_kept(step: ModelStep, steps: Steps) -> bool:
    return all(name in steps.evidence for name in step.names)


def _left_out(name: str, why: str) -> Evidence:
    return replace(not_tested(name, why), details={"left_out": True})
