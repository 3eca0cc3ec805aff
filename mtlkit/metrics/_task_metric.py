"""A metric of a task, within its model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from mtlkit.losses._partial_labels import PartialLabels
from mtlkit.metrics.masked import LabelledMean, entries_known_to, nan_unless, update_labelled


class TaskMetric(keras.metrics.Metric):
    """A metric of the labelled samples, NaN where the task's loss has counted none.

    It is a `MaskedMetric` without a count of its own: the loss's is read. `weighted` says whether
    samples count by their weight.
    """

    def __init__(
        self,
        metric: keras.metrics.Metric,
        name: str,
        tracker: LabelledMean,
        weighted: bool = False,
    ) -> None:
        super().__init__(name=name)
        self.metric = metric
        self.weighted = weighted
        # Not as an attribute: Keras would take its variables for this metric's.
        self._is_known: Callable[[], Any] = lambda: tracker.count > 0

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        labels = PartialLabels(y_true, by_entry=entries_known_to(self.metric))
        self.update_labelled(labels, y_pred, sample_weight)

    def update_labelled(
        self, labels: PartialLabels, y_pred: Any, sample_weight: Any = None
    ) -> None:
        """As `update_state`, with labels that have been looked at."""
        update_labelled(self.metric, labels, y_pred, sample_weight)

    def result(self) -> Any:
        if type(self.metric).result is keras.metrics.Mean.result:
            return self.metric.total / self.metric.count  # 0 / 0 is NaN
        return nan_unless(self._is_known(), self.metric.result())

    def reset_state(self) -> None:
        self.metric.reset_state()
