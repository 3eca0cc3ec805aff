"""The tuner: KerasTuner's loop, with trials that are trained, watched and recorded here."""

from __future__ import annotations

import contextlib
import io
import math
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import keras
import keras_tuner

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
from mtlkit.search._oracles import OBJECTIVE
from mtlkit.search._records import Store, TrialRecord
from mtlkit.search._training import (
    EpochLines,
    OutOfTime,
    Watch,
    best_scores,
    better,
    guarded,
    in_words,
    peers_of,
    sacrificed,
    train,
)

#: The record of the model without the target, which the guard compares with.
REFERENCE = "reference"
#: How long a worker waits before it asks for a trial, in seconds: there may be none yet.
_PAUSE = 0.2


@dataclass(frozen=True)
class Settings:
    """How trials are trained and judged.

    Attributes:
        metric: Name of the log that is the score.
        direction: `"max"` or `"min"`.
        others: For each other task the name of its log, and its direction.
        epochs: Epochs of a trial, where the tuner does not say otherwise.
        batch_size: Samples of a batch.
        guard: The share of its skill that another task may lose.
        max_parameters: Weights that a head may have.
        stop_hopeless: Whether to stop trials that are behind most others.
    """

    metric: str
    direction: str
    others: Mapping[str, tuple[str, str]]
    epochs: int
    batch_size: int = 64
    guard: float = 0.05
    max_parameters: int | None = None
    stop_hopeless: bool = True


class HeadTuner(keras_tuner.Tuner):
    """Runs the trials that an oracle proposes."""

    def __init__(
        self,
        oracle: Any,
        space: HeadSpace,
        data: SearchData,
        settings: Settings,
        store: Store,
        deadline: float = math.inf,
        report: Callable[[str], None] = print,
        trainer: Callable[[Any], tuple[keras.Model, SearchData]] | None = None,
        tensorboard: str | None = None,
    ) -> None:
        self.space = space
        self.data = data
        self.settings = settings
        self.store = store
        self.deadline = deadline
        self.report = report
        self.tensorboard = tensorboard
        self._baselines = {
            task: baseline_of(metric, data.y_val[task])
            for task, (metric, _) in settings.others.items()
            if task in data.y_val
        }
        self._trains_backbone = trainer is None
        self._trainer = trainer or (lambda point: (space.build(point), data))
        parent = store.directory.parent
        with contextlib.redirect_stdout(io.StringIO()):  # which says that it reloads a file
            super().__init__(
                oracle=oracle,
                hypermodel=lambda hp: None,
                directory=str(parent),
                project_name=store.directory.name,
            )
        if is_worker():
            self._bring_the_token()

    def _bring_the_token(self) -> None:
        """Has the client of the chief show the token of the search."""
        from mtlkit.search._chief_access import known_token, with_token

        host, port = (os.environ[f"KERASTUNER_ORACLE_{name}"] for name in ("IP", "PORT"))
        self.oracle.stub = with_token(f"{host}:{port}", known_token(self.store.directory))

    # === What KerasTuner calls ===

    def _populate_initial_space(self) -> None:
        """Nothing: the space is declared, models need not be built to find it."""

    def _get_tuner_fname(self) -> str:
        return self.oracle._get_oracle_fname()

    def save(self) -> None:
        """Nothing: all state is the oracle's."""

    def reload(self) -> None:
        self.oracle.reload()

    def pre_create_trial(self) -> None:
        if time.monotonic() > self.deadline:
            raise OutOfTime
        if is_worker():
            time.sleep(_PAUSE)

    def _try_run_and_update_trial(self, trial: Any, *args: Any, **kwargs: Any) -> None:
        # Without KerasTuner's tracebacks on the screen: the record has the message.
        try:
            score = self.run_trial(trial, *args, **kwargs)
            self.oracle.update_trial(trial.trial_id, score)
            trial.status = "COMPLETED"
        except keras_tuner.errors.FailedTrialError as error:
            trial.status, trial.message = "FAILED", str(error)

    def run_trial(self, trial: Any, *args: Any, **kwargs: Any) -> dict[str, float]:
        values = trial.hyperparameters.values
        point = self.space.plain(decode(values, self.space.space, self.space.target))
        record = self._new_record(trial.trial_id, point)
        record.budget = int(values.get("tuner/epochs", self.settings.epochs))
        known = self.store.settled(record)
        if known is not None:
            self.store.save(known)
            return self._told(known)
        start = time.perf_counter()
        try:
            self._train(record, point, values, trial)
        except (OutOfTime, KeyboardInterrupt):
            record.status = "interrupted"
            raise
        except Exception as error:
            record.message = record.message or in_words(error)
            raise keras_tuner.errors.FailedTrialError(record.message) from error
        finally:
            record.seconds = time.perf_counter() - start
            self._finish(record)
        return self._told(record)

    def _told(self, record: TrialRecord) -> dict[str, float]:
        """What the oracle is told of a trial."""
        if record.score is None or not record.ranked:
            raise keras_tuner.errors.FailedTrialError(record.message)
        return {OBJECTIVE.name: guarded(record.score, self.settings.direction, record.sacrificed)}

    # === Training ===

    def ensure_reference(self) -> TrialRecord:
        """Trains the other tasks without the target, once, as what the guard compares with."""
        known = self.store.records().get(REFERENCE)
        kept = self.store.weights_path(REFERENCE).exists()
        if known is not None and known.status == "finished" and kept:
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
        if time.monotonic() > self.deadline:
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

    def _train(self, record: TrialRecord, point: Any, values: Any, trial: Any) -> None:
        epochs = record.budget or self.settings.epochs
        first = int(values.get("tuner/initial_epoch", 0))
        self._fit(record, point, epochs, first, values.get("tuner/trial_id"), trial)
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
        point = decode(values, self.space.space, self.space.target)
        record = self._new_record(f"rejected-{self.space.seed_of(point):08x}", point)
        try:
            self._note_size(record, head_size(self.space, point))
        except Exception as error:
            _reject(record, error)
            self._finish(record)
            return True
        return False

    def _new_record(self, trial: str, point: Mapping[str, Any]) -> TrialRecord:
        return TrialRecord(
            trial,
            "failed",
            family=point["family"],
            point=written(point),
            seed=self.space.seed_of(point),
            worker=str(self.tuner_id),
        )

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
        trial: Any = None,
    ) -> None:
        model, data = self._built(record, point)
        earlier: dict[str, list[float]] = {}
        if begins_from is not None:
            self.store.load_weights(begins_from, model)
            earlier = self.store.records()[begins_from].curves
        watch = self._watch(record, point, epochs, earlier)
        callbacks: list[Any] = [EpochLines(self.report, "guard")] if point is None else []
        if self.tensorboard is not None and trial is not None:
            callbacks.append(keras.callbacks.TensorBoard(self.tensorboard))
            self._configure_tensorboard_dir(callbacks, trial)
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
        self.report(self._line(record))

    def _line(self, record: TrialRecord) -> str:
        outcome = f"{record.score:.4f}" if record.score is not None else ""
        if record.status != "finished":
            outcome = f"{outcome} {record.status}: {record.message}".strip()
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
            return max(0.0, self.deadline - time.monotonic())
        most = getattr(self.oracle, "max_trials", None)
        over = [r.seconds for r in self.store.records().values() if r.over and r.trial.isdigit()]
        if not most or not over:
            return None
        return max(0, most - len(over)) * sum(over) / len(over)


def head_size(space: HeadSpace, point: Any) -> int:
    """The number of weights of the head of a point, found by building its model."""
    return _size_in(space.build(point), space.target)


def _size_in(model: Any, target: str) -> int:
    return int(model.tasks[target].head.count_params())


def _reject(record: TrialRecord, error: Exception) -> None:
    """Notes why a point cannot be tried."""
    record.status, record.message = "rejected", in_words(error)


def leaders(records: list[TrialRecord], direction: str) -> list[TrialRecord]:
    """Sorts ranked trials, the best first.

    Those that sacrifice another task come last, and before them those of fewer epochs than a
    better one: what more epochs would have made of them is not known.
    """
    sign = -1 if direction == "max" else 1
    short = too_short(records, direction)

    def key(record: TrialRecord) -> tuple[Any, ...]:
        longest_first = -(record.budget or 0) if record.trial in short else 0
        return (
            bool(record.sacrificed),
            record.trial in short,
            longest_first,
            sign * (record.score or 0.0),
            record.trial,
        )

    return sorted(records, key=key)


def too_short(records: list[TrialRecord], direction: str) -> set[str]:
    """The trials that are behind others which were given more epochs: scores do not compare.

    A trial that is ahead with fewer epochs is ahead.
    """
    return {
        one.trial
        for one in records
        if any(
            not other.sacrificed
            and (other.budget or 0) > (one.budget or 0)
            and better(other.score or 0.0, one.score or 0.0, direction)
            for other in records
        )
    }


def described(record: TrialRecord) -> str:
    """The family of a trial and its design, in words."""
    prefix = f"{record.family}."
    own = [value for name, value in record.point.items() if name.startswith(prefix)]
    return " ".join([record.family, *map(str, own[:1])])


def is_worker() -> bool:
    """Whether KerasTuner's environment variables make this process a worker."""
    name = os.environ.get("KERASTUNER_TUNER_ID", "chief")
    return "KERASTUNER_ORACLE_IP" in os.environ and not name.startswith("chief")


def is_chief() -> bool:
    """Whether KerasTuner's environment variables make this process the chief."""
    name = os.environ.get("KERASTUNER_TUNER_ID", "")
    return "KERASTUNER_ORACLE_IP" in os.environ and name.startswith("chief")
