"""What a search found: the leaderboard and the evidence behind it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import cached_property
from typing import Any

from mtlkit._files import read_json
from mtlkit.model import MultiTaskModel
from mtlkit.search._baselines import (
    Baseline,
    best_baseline,
    constants_of,
    kept_baselines,
)
from mtlkit.search._code import Schedule, code_of
from mtlkit.search._data import SearchData
from mtlkit.search._frozen import FrozenFeatures
from mtlkit.search._head_space import HeadSpace
from mtlkit.search._importance import Importance, importance
from mtlkit.search._leaderboard import Leaderboard, merged, row_of
from mtlkit.search._pareto import COSTS, pareto_front
from mtlkit.search._ranking import leaders, too_short
from mtlkit.search._records import Store, TrialRecord
from mtlkit.search._repetitions import Repeater, Repetitions, known_repetitions
from mtlkit.search._running import reporter
from mtlkit.search._sentence import sentence_of
from mtlkit.search._settings import Settings
from mtlkit.search._training import best_scores
from mtlkit.search._trials import REFERENCE


class SearchResult:
    """The outcome of a search, read from its folder.

    Attributes:
        directory: The folder of the search.
        target: Name of the task whose head was searched.
        metric: Name of the log that is the score, on validation data.
        direction: `"max"` or `"min"`.
        interrupted: Whether Ctrl-C ended the search; it goes on if it is called again.

    Example:
        ```python
        import tempfile

        import mtlkit as mtl

        data = mtl.datasets.rotated_digits(num_bins=8, copies=1, data_format="channels_last")
        backbone = mtl.backbones.ConvBackbone(filters=(4, 8), data_format="channels_last")
        tasks = [mtl.Task("orientation", mtl.heads.OrientationHead(8, spatial="pool"))]
        with tempfile.TemporaryDirectory() as folder:
            result = mtl.search.search_heads(
                backbone, tasks, "orientation", data,
                candidates=["classification"], max_trials=1, epochs=1, directory=folder, verbose=0,
            )
            print(result.pareto())
            task = result.best_config["task"]  # plain data
            model = result.best_model()
            result.save_html(f"{folder}/search.html")
        ```
    """

    def __init__(
        self,
        store: Store,
        space: HeadSpace,
        settings: Settings,
        data: SearchData,
        frozen: FrozenFeatures | None = None,
    ) -> None:
        self.directory = store.directory
        self.target = space.target
        self.metric = settings.metric
        self.direction = settings.direction
        self._store = store
        self._space = space
        self._settings = settings
        self._data = data
        self._frozen = frozen
        self._records = store.records()
        self.interrupted = False

    @property
    def trials(self) -> list[TrialRecord]:
        """The records of all trials, in the order in which they began."""
        return [record for name, record in self._records.items() if name != REFERENCE]

    @property
    def reference(self) -> TrialRecord | None:
        """The record of the model without the target, which the guard compares with."""
        return self._records.get(REFERENCE)

    @property
    def reference_scores(self) -> dict[str, float]:
        """The best score of each other task in the model without the target."""
        if self.reference is None:
            return {}
        return best_scores(self.reference.curves, self._settings.others)

    @cached_property
    def baselines(self) -> list[Baseline]:
        """What trials are to be compared with: chance, the best constant, simple references.

        The references are fitted to the training data and scored on the validation data, as the
        trials are: those of `mtlkit.references`, and two on the features of the backbone as it
        is without the target.
        """
        kept = kept_baselines(self._store)
        if kept is not None:
            return kept
        labels = self._space.as_judged(self._data.y_val[self.target])
        return constants_of(self.metric, labels)

    @property
    def baseline(self) -> Baseline | None:
        """What scores without any skill, where that is known of the metric."""
        constants = [one for one in self.baselines if one.constant]
        return best_baseline(constants, self.direction)

    @property
    def best_baseline(self) -> Baseline | None:
        """The baseline with the best score."""
        return best_baseline(self.baselines, self.direction)

    @property
    def ahead(self) -> Baseline | None:
        """The best baseline that the best trial does not beat; `None` if it beats them all.

        A constant is beaten where the 95 % interval of the score lies above it.
        """
        ranked = self._ranked()
        score = ranked[0].score if ranked else None
        if score is None:
            return None
        left = [one for one in self.baselines if not one.is_beaten(score, self.direction)]
        return best_baseline(left, self.direction)

    @property
    def sentence(self) -> str:
        """What was found: the best head, or that none is ahead of the baselines."""
        return sentence_of(self)

    @property
    def seconds(self) -> float:
        """The time that the search took, over all calls."""
        return self._store.seconds_used() or sum(one.seconds for one in self._records.values())

    @property
    def setup(self) -> dict[str, Any]:
        """How the search was made: its tuner, seed, epochs, versions, ..."""
        kept = self.directory / "search.json"
        return {
            "target": self.target,
            "epochs": self._settings.epochs,
            "batch_size": self._settings.batch_size,
            "guard": self._settings.guard,
            "seed": self._space.seed,
            **(read_json(kept) or {}),
        }

    @property
    def leaderboard(self) -> Leaderboard:
        """All trials, one row each, the best first, with the baselines among them.

        A trial that is behind another one which had more epochs has no rank, as its score does not
        compare.
        """
        constant, direction = self.baseline, self.direction
        rest = [record for record in self.trials if not record.ranked]
        ranked = self._ranked()
        short = too_short(ranked, direction)
        compared = [record for record in ranked if record.trial not in short]
        rows = [
            row_of(record, rank, constant, direction) for rank, record in enumerate(compared, 1)
        ]
        both = merged(rows, self.baselines, direction)
        others = [record for record in ranked if record.trial in short] + rest
        return Leaderboard(
            [*both, *(row_of(record, None, constant, direction) for record in others)]
        )

    @property
    def best_trial(self) -> TrialRecord:
        """The record of the best trial.

        Raises:
            ValueError: If no trial has a score.
        """
        ranked = self._ranked()
        if not ranked:
            told = "; ".join(sorted({record.message for record in self.trials if record.message}))
            raise ValueError(
                f"Expected a trial with a score. Received: {len(self.trials)} trials without one. "
                f"{told}"
            )
        return ranked[0]

    @property
    def best_config(self) -> dict[str, Any]:
        """The best point as plain data; see `config`."""
        return self.config(self.best_trial.trial)

    def config(self, trial: str) -> dict[str, Any]:
        """Returns what a trial tried, as plain data that JSON can hold.

        Args:
            trial: Number of the trial.

        Returns:
            `"family"`, `"point"`, `"learning_rate"` and `"task"`: the task, from which
            `keras.saving.deserialize_keras_object(config["task"])` makes a `mtlkit.Task`.
        """
        return self._space.config(self._point(trial))

    def code(self, trial: str | None = None) -> str:
        """Returns the lines that put the head of a trial into the model as it was given, to paste.

        Args:
            trial: Number of the trial. `None`: the best one.
        """
        trial = trial or self.best_trial.trial
        point = self._point(trial)
        schedule = Schedule(
            self._space.learning_rate(point),
            self._records[trial].budget or self._settings.epochs,
            self._settings.batch_size,
            self._data.samples,
        )
        arguments = self._space.arguments(point)
        return code_of(self._space.task(point), arguments, schedule, self._space.given_task)

    def to_json(self) -> str:
        """Returns what was found as JSON: the sentence, all rows, the best configuration."""
        best = bool(self._ranked())
        found = {
            "target": self.target,
            "metric": self.metric,
            "sentence": self.sentence,
            "best_config": self.best_config if best else None,
            "code": self.code() if best else None,
            "leaderboard": list(self.leaderboard),
            "baselines": [asdict(one) for one in self.baselines],
            "seconds": self.seconds,
            "setup": self.setup,
        }
        return json.dumps(found, indent=2, ensure_ascii=False)

    def best_model(self) -> MultiTaskModel:
        """Returns the model of the best trial, with the weights of its best epoch."""
        return self.model(self.best_trial.trial)

    def model(self, trial: str) -> MultiTaskModel:
        """Returns the model of a trial, with the weights of its best epoch.

        Args:
            trial: Number of the trial.

        Returns:
            The model, compiled.
        """
        point = self._point(trial)
        if self._frozen is not None:
            others = [(REFERENCE, None)] if self._settings.others else []
            models = []
            for name, one in [*others, (trial, point)]:
                part, _ = self._frozen.trial(one)
                self._store.load_weights(name, part)
                models.append(part)
            model = self._frozen.whole(point, *models)
            model.compile()
            return model
        model = self._space.build(point)
        self._store.load_weights(trial, model)
        return model

    def new_model(self, trial: str | None = None, run: int = 0) -> MultiTaskModel:
        """Returns the model of a trial with new weights, to be trained for longer.

        Args:
            trial: Number of the trial. `None`: the best one.
            run: Number of the repetition: others have other weights.

        Returns:
            The model, compiled with the trial's learning rate.
        """
        return self._space.build(self._point(trial or self.best_trial.trial), run)

    def pareto(self, costs: Sequence[str] = ("parameters", "step_ms")) -> Leaderboard:
        """Returns the trials that no other trial beats in everything.

        One trial beats another if its score and costs are as good, and one of them is better.
        Trials that sacrifice another task, and those without a rank, are left out.

        Args:
            costs: What to weigh against the score, out of `"parameters"` (weights of the
                head), `"step_ms"` (of training) and `"seconds"` (of the trial). Where one is
                not known, it counts as more than all others.

        Returns:
            Rows of the leaderboard, the best score first.

        Raises:
            ValueError: If a cost is not one of these.
        """
        unknown = [cost for cost in costs if cost not in COSTS]
        if unknown:
            raise ValueError(f"Expected costs out of {list(COSTS)}. Received: {unknown}")
        rows = [row for row in self.leaderboard if row["rank"] and not row["sacrificed"]]
        front = pareto_front(
            [row["score"] for row in rows],
            [[row[cost] for cost in costs] for row in rows],
            self.direction,
        )
        return Leaderboard(row for row, kept in zip(rows, front, strict=True) if kept)

    def curves(self, log: str | None = None) -> dict[str, list[float]]:
        """Returns learning curves: a value an epoch.

        Args:
            log: Name of a log, such as `"loss"`. `None`: that of the score.

        Returns:
            The curves by trial, of the trials that have one.

        Raises:
            ValueError: If no trial has such a log.
        """
        log = log or self.metric
        found = {record.trial: list(record.curves.get(log, ())) for record in self.trials}
        known = sorted({name for record in self.trials for name in record.curves})
        if known and log not in known:
            raise ValueError(f"Expected log to be one of {known}. Received: log={log!r}")
        return {trial: curve for trial, curve in found.items() if curve}

    def importance(self, refits: int = 50, seed: int = 0) -> Importance:
        """Estimates which arguments the scores of the trials depend on.

        That rests on the trials that have a score. Those that were stopped as hopeless count
        with the score that they had by then. Where the tuner gave trials different numbers of
        epochs, `"epochs"` is one of the arguments.

        Args:
            refits: Number of resamples of the trials, from which the intervals come.
            seed: Seed of the estimate.

        Returns:
            The share of each argument in the variance of the scores, with its interval; see
            `mtlkit.search.Importance`.

        Raises:
            ValueError: If fewer than 20 different points have a score, or all scores are the
                same.
        """
        records = self._ranked()
        budgets = [record.budget or self._settings.epochs for record in records]
        points: list[Mapping[str, Any]] = [record.point for record in records]
        if len(set(budgets)) > 1:
            points = [{**p, "epochs": b} for p, b in zip(points, budgets, strict=True)]
        scores = [record.score for record in records if record.score is not None]
        return importance(points, scores, refits, seed, [record.point for record in records])

    def repeat(
        self,
        runs: int = 3,
        epochs: int | None = None,
        trial: str | None = None,
        data: Any = None,
        verbose: int = 1,
    ) -> Repetitions:
        """Trains a trial anew with other seeds, for a mean of its score and its interval.

        The score of the best trial is the best of many, and partly luck; those of its
        repetitions are not. They are kept in the folder of the search: a repetition that has
        finished is not trained again.

        Args:
            runs: Number of repetitions.
            epochs: Epochs of each, over which the learning rate falls to zero. `None`: those
                of the search's longest trials.
            trial: Number of the trial. `None`: the best one.
            data: Other data, as for `mtlkit.search.search_heads`: with the test split in place
                of the validation data, the score is one that nothing was chosen by. `None`:
                those of the search.
            verbose: 0 for silence, 1 for a line a repetition that is trained.

        Returns:
            The repetitions, with their mean and interval.

        Raises:
            ValueError: If there is no such trial, or `runs` or `epochs` is less than 1.
        """
        epochs = self._settings.epochs if epochs is None else epochs
        if runs < 1 or epochs < 1:
            raise ValueError(
                f"Expected at least one run and epoch. Received: runs={runs}, epochs={epochs}"
            )
        trial = self.best_trial.trial if trial is None else trial
        point = self._point(trial)
        arrays = self._data if data is None else SearchData.of(data, self.target)

        def trainer(point: Any, run: int) -> tuple[MultiTaskModel, SearchData]:
            if self._frozen is not None and data is None:
                return self._frozen.model(point, run)
            model = self._space.build(point, run)
            if self._frozen is not None:
                model.freeze_backbone()
            return model, arrays

        repeater = Repeater(
            self.directory,
            self._space,
            self._settings,
            trainer,
            arrays.fingerprint(),
            reporter(verbose),
        )
        records = [repeater.run(point, run, epochs) for run in range(1, runs + 1)]
        return Repetitions(trial, self.metric, epochs, repeater.data, records)

    @property
    def repetitions(self) -> list[Repetitions]:
        """What `repeat` has found so far, in this and in earlier calls."""
        found = []
        for point, epochs, data, records in known_repetitions(self.directory):
            trials = [r.trial for r in [*self._ranked(), *self.trials] if r.point == point]
            found += [Repetitions(one, self.metric, epochs, data, records) for one in trials[:1]]
        return found

    def save_html(self, path: str | os.PathLike[str]) -> None:
        """Writes what was found as one page that needs no network.

        Args:
            path: The file.
        """
        from mtlkit.search._page import save_search_page

        save_search_page(self, path)

    # === Private ===

    def _ranked(self) -> list[TrialRecord]:
        return leaders([record for record in self.trials if record.ranked], self.direction)

    def _point(self, trial: str) -> dict[str, Any]:
        if trial not in self._records or trial == REFERENCE:
            raise ValueError(
                f"Expected a trial out of {[record.trial for record in self.trials]}. "
                f"Received: trial={trial!r}"
            )
        return self._space.parsed(self._records[trial].point)
