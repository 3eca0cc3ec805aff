"""The trials of a search: trained, watched, judged and recorded, whoever proposes them."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import keras

from mtlkit._durations import duration
from mtlkit.search._baselines import (
    Baseline,
    baseline_of,
    constants_of,
    keep_baselines,
    kept_baselines,
    no_better,
    references_of,
)
from mtlkit.search._data import SearchData
from mtlkit.search._head_space import HeadSpace, written
from mtlkit.search._interpreter import decode
from mtlkit.search._ranking import leaders, too_short_to_rank
from mtlkit.search._records import Store, TrialRecord
from mtlkit.search._settings import Settings
from mtlkit.search._training import (
    EpochLines,
    OutOfTime,
    Watch,
    best_scores,
    guarded,
    in_words,
    peers_of,
    sacrificed,
    train,
)

#: The record of the model without the target, which the guard compares with.
REFERENCE = "reference"
#: So many trials show how many workers there are now.
_LATELY = 20
#: The share of the time that is left which the guard's model may take.
_GUARD_SHARE = 0.2


class Trials:
    """Runs trials of a search, and keeps what becomes of them in its folder.

    Args:
        space: What is searched.
        data: The data that trials are trained and judged on.
        settings: How they are trained and judged.
        store: The folder.
        deadline: When time is up, by `time.monotonic()`.
        report: What lines of progress go to.
        trainer: Makes the model of a point, or of the other tasks alone, and its data. `None`:
            the whole model, on the data as they are.
        max_trials: Number of trials at most, from which the time that is left is estimated.
    """

    def __init__(
        self,
        space: HeadSpace,
        data: SearchData,
        settings: Settings,
        store: Store,
        deadline: float = math.inf,
        report: Callable[[str], None] = print,
        trainer: Callable[[Any], tuple[keras.Model, SearchData]] | None = None,
        max_trials: int | None = None,
    ) -> None:
        self.space = space
        self.data = data
        self.settings = settings
        self.store = store
        self.deadline = deadline
        self.report = report
        self.max_trials = max_trials
        self._baselines = {
            task: baseline_of(metric, data.y_val[task])
            for task, (metric, _) in settings.others.items()
            if task in data.y_val
        }
        self._too_short: set[int] = set()
        self._trains_backbone = trainer is None
        self._trainer = trainer or (lambda point: (space.build(point), data))

    def run(
        self,
        trial: str,
        values: Mapping[str, Any],
        worker: str = "",
        callbacks: Sequence[keras.callbacks.Callback] = (),
    ) -> TrialRecord:
        """Runs a trial, unless its record says that it is over.

        Args:
            trial: Number of the trial, as text.
            values: What KerasTuner calls the values of its hyperparameters.
            worker: Who runs it.
            callbacks: Further callbacks of `fit`.

        Returns:
            The record, which is kept; of a trial that failed, too.

        Raises:
            OutOfTime: If time is up. The record says that the trial was interrupted.
        """
        record = self.new_record(trial, values, worker)
        known = self.store.settled(record)
        if known is not None:
            return known
        point = self._point(values)
        start = time.perf_counter()
        try:
            self._train(record, point, values, callbacks)
        except (OutOfTime, KeyboardInterrupt):
            record.status = "interrupted"
            raise
        except Exception as error:
            record.message = record.message or in_words(error)
        finally:
            record.seconds = time.perf_counter() - start
            self._finish(record)
        return record

    def tells_apart(self, epochs: int) -> bool:
        """Whether trials of so many epochs can be ranked, as those that there are show."""
        if epochs in self._too_short:
            return False
        records = [one for one in self.store.records().values() if one.trial.isdigit()]
        why = too_short_to_rank(records, epochs, self.settings.direction, self._constant)
        if why:
            self._too_short.add(epochs)
            self.report(f"{epochs} epochs do not tell heads apart ({why}): trials now get more")
        return not why

    def new_record(self, trial: str, values: Mapping[str, Any], worker: str = "") -> TrialRecord:
        """The record of a trial that has not begun."""
        point = self._point(values)
        return TrialRecord(
            trial,
            "failed",
            family=point["family"],
            point=written(point),
            budget=int(values.get("tuner/epochs", self.settings.epochs)),
            seed=self.space.seed_of(point),
            worker=worker,
        )

    @property
    def seconds_left(self) -> float:
        """Seconds until time is up; negative afterwards."""
        return self.deadline - time.monotonic()

    @property
    def out_of_time(self) -> bool:
        """Whether time is up."""
        return self.seconds_left < 0

    def score(self, record: TrialRecord) -> float | None:
        """What a tuner is to maximise; `None` of a trial without a score."""
        if record.score is None or not record.ranked:
            return None
        return guarded(record.score, self.settings.direction, record.sacrificed)

    def _point(self, values: Mapping[str, Any]) -> dict[str, Any]:
        return self.space.plain(decode(values, self.space.space, self.space.target))

    @property
    def prepared(self) -> bool:
        """Whether all is there that comes before the trials."""
        guarded = not self.settings.others or self.known_reference is not None
        return guarded and kept_baselines(self.store) is not None

    @property
    def known_reference(self) -> TrialRecord | None:
        """The record of the guard's model, if it was trained."""
        known = self.store.records().get(REFERENCE)
        kept = self.store.weights_path(REFERENCE).exists()
        return known if known is not None and known.status == "finished" and kept else None

    def ensure_reference(self) -> TrialRecord:
        """Trains the other tasks without the target, once, as what the guard compares with."""
        known = self.known_reference
        if known is not None:
            return known
        record = TrialRecord(REFERENCE, "failed", family="without the target")
        self.report(
            f"training the other tasks without {self.space.target} for {self.settings.epochs} "
            "epochs: the guard compares with them"
        )
        start = time.perf_counter()
        try:
            self._fit(record, None, self.settings.epochs, 0, None)
            record.status = "finished"
        except (OutOfTime, KeyboardInterrupt):
            record.status = "interrupted"
            raise
        finally:
            record.seconds = time.perf_counter() - start
            self.store.save(record)
        return record

    def ensure_baselines(self) -> list[Baseline]:
        """Scores what trials are to be compared with, once: constants and simple references."""
        known = kept_baselines(self.store)
        if known is not None:
            return known
        if self.out_of_time:
            raise OutOfTime
        metric, target = self.settings.metric, self.space.target
        self.report("scoring simple references of the task")
        y, y_val = (self.space.as_judged(one[target]) for one in (self.data.y, self.data.y_val))
        data = replace(self.data, y={target: y}, y_val={target: y_val})
        found = constants_of(metric, y_val)
        try:
            found += references_of(metric, data, target, self._model_with_backbone())
        except Exception as error:  # a yardstick that is missing is no reason not to search
            self.report(f"no references of the task: {in_words(error)}")
        for one in found:
            self.report(f"baseline | {one.name} | {one.score:.4f}")
        keep_baselines(self.store, found)
        return found

    def _model_with_backbone(self) -> Any:
        """A model with the backbone as the search has it: trained on the other tasks, if any."""
        model = self.space.given_model()
        if self.settings.others and self._trains_backbone:
            trained = self.space.build(None)
            self.store.load_weights(REFERENCE, trained)
            model.backbone.set_weights(trained.backbone.get_weights())
        return model

    def _train(
        self, record: TrialRecord, point: Any, values: Any, callbacks: Sequence[Any]
    ) -> None:
        epochs = record.budget or self.settings.epochs
        first = int(values.get("tuner/initial_epoch", 0))
        self._fit(record, point, epochs, first, values.get("tuner/trial_id"), callbacks)
        if epochs == self.settings.epochs:  # shorter ones say little about the other tasks
            reference = self._reference_curves()
            scores, record.sacrificed = sacrificed(
                record.curves,
                reference,
                self.settings.others,
                self.settings.guard,
                self._baselines,
            )
            # On a frozen backbone, tasks that the trial does not touch are the reference's.
            record.others = {**best_scores(reference, self.settings.others), **scores}

    def repeats(self, values: Mapping[str, Any]) -> bool:
        """Whether another point of the space is the same model, and goes first."""
        point = decode(values, self.space.space, self.space.target)
        return self.space.seed_of(self.space.plain(point)) != self.space.seed_of(point)

    def rejects(self, values: Mapping[str, Any]) -> bool:
        """Whether a head is not to be tried, as an oracle asks before it becomes a trial."""
        record = self.new_record("rejected", values)
        record.trial, record.budget = f"rejected-{record.seed:08x}", None
        try:
            self._note_size(record, head_size(self.space, self._point(values)))
        except Exception as error:
            _reject(record, error)
            self._finish(record)
            return True
        return False

    def _note_size(self, record: TrialRecord, size: int) -> None:
        """Notes the size of the head; raises a ValueError if it is too large."""
        record.parameters = size
        limit = self.settings.max_parameters
        if limit is not None and size > limit:
            raise ValueError(f"the head has {size:,} weights, more than {limit:,}")

    def _built(self, record: TrialRecord, point: Any) -> tuple[keras.Model, SearchData]:
        """The model of a point, and its data; without a point, of the other tasks alone."""
        if point is None:
            return self._trainer(None)
        try:
            model, data = self._trainer(point)
            self._note_size(record, _size_in(model, self.space.target))
        except Exception as error:
            _reject(record, error)
            raise
        return model, data

    def _fit(
        self,
        record: TrialRecord,
        point: Any,
        epochs: int,
        first: int,
        begins_from: str | None,
        callbacks: Sequence[Any] = (),
    ) -> None:
        model, data = self._built(record, point)
        earlier: dict[str, list[float]] = {}
        if begins_from is not None:
            self.store.load_weights(begins_from, model)
            earlier = self.store.records()[begins_from].curves
        watch = self._watch(record, point, epochs, earlier)
        if point is None:
            lines = EpochLines(self.report, "guard", _GUARD_SHARE * self.seconds_left)
            callbacks = [*callbacks, lines]
        try:
            train(
                model,
                data,
                watch,
                learning_rate=self.space.learning_rate(point),
                batch_size=self.settings.batch_size,
                epochs=epochs,
                seed=self.space.seed_of(point),
                first=first,
                callbacks=callbacks,
            )
        finally:
            watch.note(record)
        record.status = "hopeless" if watch.hopeless else "finished"
        record.message = watch.hopeless

    def _watch(
        self, record: TrialRecord, point: Any, epochs: int, earlier: dict[str, list[float]]
    ) -> Watch:
        settings = self.settings

        def keep(model: keras.Model) -> None:
            self.store.save_weights(record.trial, model)

        if point is None:  # the reference is judged by its loss
            return Watch("val_loss", "min", self.deadline, keep)
        peers = []
        if settings.stop_hopeless:
            known = [r for r in self.store.records().values() if r.trial != record.trial]
            peers = peers_of(known, settings.metric, epochs)
        watch = Watch(
            settings.metric,
            settings.direction,
            self.deadline,
            keep=keep,
            peers=peers,
            patience=max(2, settings.epochs // 2),
        )
        watch.curves = {name: list(values) for name, values in earlier.items()}
        return watch

    def _reference_curves(self) -> Mapping[str, list[float]]:
        known = self.store.records().get(REFERENCE)
        return {} if known is None else known.curves

    @property
    def _constant(self) -> Baseline | None:
        """The best constant."""
        labels = self.space.as_judged(self.data.y_val[self.space.target])
        return baseline_of(self.settings.metric, labels)

    def _finish(self, record: TrialRecord) -> None:
        known = self.store.records().get(record.trial)
        if known is not None and known.over and known.point == record.point and not record.over:
            return  # another worker finished it meanwhile
        self.store.save(record)
        self.report(self.line(record))

    def line(self, record: TrialRecord) -> str:
        """The line of a trial that is over: its outcome, the best one so far, the time left."""
        outcome = f"{record.score:.4f}" if record.score is not None else ""
        if record.status != "finished":
            why = f": {record.message}" if record.message else ""
            outcome = f"{outcome} {record.status}{why}".strip()
        elif record.score is not None:
            outcome += no_better(record.score, self._constant, self.settings.direction)
        ranked = [r for r in self.store.records().values() if r.ranked and r.trial != REFERENCE]
        parts = [f"trial {record.trial}", described(record), outcome or record.status]
        if ranked:
            best = leaders(ranked, self.settings.direction)[0]
            parts.append(f"best {best.score:.4f} (trial {best.trial})")
        left = self._left()
        return " | ".join([*parts, f"{duration(left)} left"] if left is not None else parts)

    def _left(self) -> float | None:
        """Seconds that are left: of the budget, or for the trials that are, by their mean."""
        if math.isfinite(self.deadline):
            return max(0.0, self.seconds_left)
        over = [r for r in self.store.records().values() if r.over and r.trial.isdigit()]
        if not self.max_trials or not over:
            return None
        each = sum(record.seconds for record in over) / len(over)
        last = sorted(over, key=lambda record: int(record.trial))[-_LATELY:]
        at_once = len({record.worker for record in last})
        return math.ceil(max(0, self.max_trials - len(over)) / at_once) * each


def head_size(space: HeadSpace, point: Any) -> int:
    """The number of weights of the head of a point, found by building its model."""
    return _size_in(space.build(point), space.target)


def _size_in(model: Any, target: str) -> int:
    return int(model.tasks[target].head.count_params())


def _reject(record: TrialRecord, error: Exception) -> None:
    """Notes why a point cannot be tried."""
    record.status, record.message = "rejected", in_words(error)


def described(record: TrialRecord) -> str:
    """The family of a trial and its design, in words."""
    prefix = f"{record.family}."
    own = [value for name, value in record.point.items() if name.startswith(prefix)]
    return " ".join([record.family, *map(str, own[:1])])
