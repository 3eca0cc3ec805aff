"""The steps of a diagnosis: how far it is, what is left, and what was found."""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from mtlkit._durations import duration
from mtlkit.diagnostics._kept import KeptEvidence
from mtlkit.diagnostics.evidence import Evidence, not_tested

#: Whose warnings are about how models are run, not about the user's data.
_BACKENDS = ("keras", "tensorflow", "jax", "torch", "absl")


class Steps:
    """Runs one step after the other, unless its evidence was kept; shows each, and keeps it.

    Args:
        kept: Where evidence is kept.
        plan: The names of the evidence that each step finds.
        start: When the diagnosis began, in CPU-seconds of this process.
        budget: CPU-seconds of all steps; `None`: as many as it takes.
        verbose: 0: silent; 1: a line for each step.
    """

    def __init__(
        self,
        kept: KeptEvidence,
        plan: Sequence[tuple[str, ...]],
        start: float,
        budget: float | None = None,
        verbose: int = 1,
    ) -> None:
        self.kept = kept
        self.plan = plan
        self.total = len(plan)
        self.budget = budget
        self.verbose = verbose
        self.done = 0
        self._start = start
        self._before = kept.seconds
        self._missed: dict[str, Evidence] = {}
        if verbose and kept.evidence:
            print(f"Going on with {len(kept.evidence)} tests that were kept.", flush=True)

    @property
    def evidence(self) -> dict[str, Evidence]:
        """What was found so far."""
        return {**self.kept.evidence, **self._missed}

    @property
    def spent(self) -> float:
        """CPU-seconds so far, those of what was kept among them."""
        return self._before + time.process_time() - self._start

    @property
    def left(self) -> float:
        """CPU-seconds that are left; without a budget there is no end to them."""
        return float("inf") if self.budget is None else self.budget - self.spent

    def run(
        self,
        names: Iterable[str],
        make: Callable[[], Evidence | tuple[Evidence, ...]],
        again: bool = False,
    ) -> tuple[Evidence, ...]:
        """Runs a step that finds evidence of these names, and returns it.

        A step whose evidence was kept is not run. With `again` it is, and its seconds add up.
        """
        names = tuple(names)
        before = [self.evidence[name].seconds for name in names if name in self.evidence]
        self.total += again
        self.done += 1
        if len(before) == len(names) and not again:
            return tuple(self.evidence[name] for name in names)
        began = time.process_time()
        self._say(f"{self._place()} {', '.join(names)} ...", end=" ")
        with _backends_silent():
            found = make()
        found = found if isinstance(found, tuple) else (found,)
        took = time.process_time() - began
        each = (took + sum(before)) / len(found)
        found = tuple(replace(one, seconds=each) for one in found)
        self.kept.keep(*found)
        self._say(f"{', '.join(map(_in_words, found))} ({took:.1f} s)")
        return found

    @contextmanager
    def until_interrupted(self, setup: dict[str, Any]) -> Iterator[None]:
        """Ends the steps at Ctrl-C, and writes that down."""
        try:
            yield
        except KeyboardInterrupt:
            setup["interrupted"] = True
            self._say(f"\nInterrupted: {self.done - 1} of {self.total} steps were done.")
            missing = {name for names in self.plan for name in names} - self.evidence.keys()
            self.missed(*(_interrupted(name) for name in missing))

    @contextmanager
    def named(self, name: str) -> Iterator[list[str]]:
        """A step that finds no evidence; what is added to the list is said at its end."""
        said: list[str] = []
        began = time.process_time()
        self.total, self.done = self.total + 1, self.done + 1
        self._say(f"{self._place()} {name} ...", end=" ")
        with _backends_silent():
            yield said
        self._say(f"{', '.join(said)} ({time.process_time() - began:.1f} s)")

    def note(self, *found: Evidence) -> None:
        """Keeps evidence that takes no step of its own."""
        self.kept.keep(*found)

    def skip(self, why: str, *found: Evidence) -> None:
        """Leaves a step out, and says why."""
        self.done += 1
        self.missed(*found)
        self._say(f"{self._place()} {', '.join(one.name for one in found)}: left out. {why}")

    def missed(self, *found: Evidence) -> None:
        """Adds evidence of steps that were left out, which is not kept for another time."""
        self._missed.update({one.name: one for one in found})

    def _place(self) -> str:
        """How far it is."""
        place = f"{self.done:2d}/{self.total}"
        if self.budget is None:
            return f"[{place}]"
        used = min(100.0, 100 * self.spent / self.budget)
        return f"[{place}, {used:.0f} % of the budget, {duration(self.left)} left]"

    def _say(self, text: str, end: str = "\n") -> None:
        if self.verbose:
            print(text, end=end, flush=True)


def _in_words(one: Evidence) -> str:
    """The status, with the reason where there was nothing to measure."""
    if one.status == "not_tested" and not one.details.get("without_power"):
        return f"not tested: {one.text.rstrip('.')}"
    return one.status.replace("_", " ")


def _interrupted(name: str) -> Evidence:
    why = not_tested(name, "The diagnosis was interrupted before this was looked at.")
    return replace(why, details={"interrupted": True})


@contextmanager
def _backends_silent() -> Iterator[None]:
    """Keeps back what backends say of how copies are trained; errors are raised as ever."""
    loggers = [logging.getLogger(name) for name in _BACKENDS]
    levels = [one.level for one in loggers]
    with warnings.catch_warnings():
        for name in _BACKENDS:
            warnings.filterwarnings("ignore", module=rf"{name}(\.|$)")
        for one in loggers:
            one.setLevel(max(one.level, logging.ERROR))
        try:
            yield
        finally:
            for one, level in zip(loggers, levels, strict=True):
                one.setLevel(level)
