"""Fresh starts of the user's model with one thing changed, and the same start unchanged."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from numpy.typing import NDArray

from mtlkit._statistics import mean_interval
from mtlkit.diagnostics._effects import status_of
from mtlkit.diagnostics._training.bench import Bench, Gap, least_gain, steps_trained
from mtlkit.diagnostics._training.copies import fresh_copy
from mtlkit.diagnostics._training.standardised import Standardised
from mtlkit.diagnostics._training.trainer import BATCH, Trainer
from mtlkit.diagnostics.evidence import Evidence
from mtlkit.diagnostics.thresholds import ENOUGH_STEPS, RECOVERED

#: Epochs of a fresh start at most, with all tasks and on the task alone.
_EPOCHS, _EPOCHS_ALONE = 8, 16
#: Steps of a fresh start at least, if the budget allows so many.
LEAST_STEPS = 100
#: How much longer a trained model is trained, in shares of its steps so far; epochs at least.
_LONGER, _LEAST_EPOCHS = 0.5, 2
#: What the same start unchanged is called among the scores.
TWIN = "as it is"


class Trials:
    """Fresh starts with one thing changed, and the same start as the user has it.

    The latter, the twin, is trained only if one of the others beats the user's model: where
    none does, none is a remedy.
    """

    def __init__(
        self,
        bench: Bench,
        gap: Gap,
        seconds: float,
        alone: bool = False,
        recovered: float = RECOVERED,
        steps: int | None = None,
        batch: int = BATCH,
        looks: Sequence[float] = (),
    ) -> None:
        self.bench = bench
        self.alone = alone
        self.recovered = recovered
        self.gap = gap
        self.seconds = seconds
        self.rows: dict[str, NDArray] = {}
        self.twin: NDArray | None = None
        self.wanted = steps
        self.batch = batch
        self.looks = looks
        self.early: dict[str, dict[int, NDArray]] = {}
        self.steps: int | None = None
        self.why = ""

    @property
    def best(self) -> str | None:
        """The name of the best trial."""
        return max(self.rows, key=lambda name: self.rows[name].mean(), default=None)

    def run(self, name: str, setting: Any, inputs: Standardised | None = None) -> None:
        """Trains a fresh copy with a setting that compiles it."""
        rows = self._trained(name, setting, inputs)
        if rows is not None:
            self.rows[name] = rows

    def confirm(self, setting: Any) -> None:
        """Trains the twin, if a trial beats the user's model by what matters."""
        if self.best is None:
            return
        effect, _ = mean_interval(self.rows[self.best] - self.bench.user_rows)
        if effect > self.gap.delta:
            self.twin = self._trained(TWIN, setting, None)

    def evidence(self, name: str, remedy: str, code: str, **details: Any) -> Evidence:
        """Judges the best trial."""
        bench, gap = self.bench, self.gap
        best = self.rows[self.best or ""]
        skill = float(best.mean())
        against = [bench.user_rows] + ([] if self.twin is None else [self.twin])
        effect, interval = least_gain(best, against, len(self.rows))
        # What the task gains alone is no gain over a model of all tasks.
        gain = {"gain": effect, "gain_interval": interval}
        if not self.alone:
            gain = bench.gain(best, len(self.rows))
        status = status_of(interval, gap.delta)
        if status == "found" and gap.recovered(skill) < self.recovered:
            status = "unclear"  # it helps, but something else is in the way
        done = steps_trained(bench.model) or 0
        if status == "absent" and (self.steps or 0) < ENOUGH_STEPS * done:
            status = "unclear"  # too few steps to tell
        text = (
            f"A fresh start {remedy} reaches {bench.score.text(skill)} after {self.steps} steps; "
            f"the model has {bench.score.text(bench.user_skill)}"
        )
        if self.twin is not None:
            text += f", and {bench.score.text(float(self.twin.mean()))} when started anew, too"
        scores = {key: float(rows.mean()) for key, rows in self.rows.items()}
        if self.twin is not None:
            scores[TWIN] = float(self.twin.mean())
        return bench.evidence(
            name,
            status,
            text + ".",
            effect=effect,
            interval=interval,
            null=0.0,
            threshold=gap.delta,
            details={
                **gain,
                "recovered": gap.recovered(skill),
                "steps": self.steps,
                "scores": {"model": bench.user_skill, **scores, "reference": gap.reference},
                "code": code,
                **details,
            },
        )

    def _trained(self, name: str, setting: Any, inputs: Standardised | None) -> NDArray | None:
        bench = self.bench
        changes = {bench.name: {"loss": None}} if self.alone else {}
        model = fresh_copy(bench.model, bench.seed, **changes)
        if self.alone:
            bench.alone(model)
        setting(model)
        x = bench.x if inputs is None else bench.changed(bench.x, inputs)
        trainer = Trainer(model, x, bench.y, bench.rows if self.alone else None, self.batch)
        if self.steps is None:
            most = _EPOCHS_ALONE if self.alone else _EPOCHS
            wanted = self.wanted or max(most * trainer.steps_of_epoch, LEAST_STEPS)
            epochs = bench.longer * wanted / trainer.steps_of_epoch
            self.steps = trainer.affordable(self.seconds, epochs) or None
        if self.steps is None:
            self.why = too_dear(trainer)
            return None
        held = None if inputs is None else bench.changed(bench.x_val, inputs)
        early = self.early[name] = {}

        def look(step: int) -> None:
            early[step] = bench.judge(model, held)

        steps = {max(1, round(share * self.steps)) for share in self.looks}
        after = {step: partial(look, step) for step in steps}
        trainer.run(self.steps, bench.seed, decay=self.alone, after=after)
        return bench.judge(model, held)


def steps_on(bench: Bench, trainer: Trainer, seconds: float) -> int:
    """For how many steps a trained model is trained on; 0 if the budget allows too few."""
    least = max(_LEAST_EPOCHS * trainer.steps_of_epoch, LEAST_STEPS)
    wanted = bench.longer * max(_LONGER * (steps_trained(bench.model) or 0), least)
    return trainer.affordable(seconds, wanted / trainer.steps_of_epoch)


def too_dear(trainer: Trainer) -> str:
    """Why a training was left out."""
    return f"A step takes {trainer.seconds:.2g} CPU-seconds, too long for the budget."
