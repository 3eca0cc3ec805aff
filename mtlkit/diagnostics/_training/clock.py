"""Budgets in CPU-seconds."""

from __future__ import annotations

import time


class Clock:
    """Counts the CPU-seconds of this process against a budget.

    CPU time rather than wall time: it says what a probe costs on a machine that others use,
    too.
    """

    def __init__(self, budget: float) -> None:
        if not budget > 0:
            raise ValueError(f"Expected a budget of CPU-seconds > 0. Received: budget={budget}")
        self.budget = budget
        self._start = time.process_time()

    @property
    def spent(self) -> float:
        """CPU-seconds since the clock was made."""
        return time.process_time() - self._start

    @property
    def left(self) -> float:
        """CPU-seconds that are left; negative once the budget is overdrawn."""
        return self.budget - self.spent
