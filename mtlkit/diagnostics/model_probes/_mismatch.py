"""Does the loss train the task at all? The user's loss against plain ones."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from mtlkit._statistics import mean_interval
from mtlkit.diagnostics._effects import status_of
from mtlkit.diagnostics._training.bench import Bench, Gap, least_gain
from mtlkit.diagnostics._training.copies import compiled, fresh_copy
from mtlkit.diagnostics._training.trainer import Trainer
from mtlkit.diagnostics.evidence import Evidence, Status
from mtlkit.diagnostics.thresholds import BEHIND_BY_HEART, BY_HEART, LOSS_RECOVERS
from mtlkit.losses.masked import MaskedLoss
from mtlkit.model._outputs import outputs_of

#: The handful of samples that any head should learn by heart, and the steps that it gets.
_HANDFUL, _STEPS = 64, 200
#: Rates of Adam that are tried.
_RATES = (1e-3, 4e-3)
#: Epochs of a training on all samples at most.
_EPOCHS = 8


def loss_mismatch(bench: Bench, gap: Gap, seconds: float) -> Evidence:
    """Compares the user's loss with plain ones, all else equal.

    First each has to bring the same network to learn 64 samples by heart, by Adam at two
    rates; then, where the loss is the user's own, to learn from all samples.
    The plain losses are that of the head and, for classes, cross-entropy of the outputs.
    """
    plain = _plain_losses(bench)
    if not plain:
        text = "The loss is the one that the head comes with."
        return bench.evidence("loss_mismatch", "absent", text)
    share = seconds / (2 * (1 + len(plain)))
    handful = {name: _by_heart(bench, loss, share) for name, loss in plain.items()}
    own = _by_heart(bench, bench.task.loss, share)
    best = max(handful, key=lambda name: float(handful[name].mean()))
    learned, failed = float(handful[best].mean()), float(own.mean())
    all_rows = {"own": _on_all(bench, bench.task.loss, share)}
    all_rows["plain"] = _on_all(bench, plain[best], share)
    effect, interval, status = _compare(bench, gap, all_rows)
    _, (behind, _) = mean_interval(handful[best] - own, comparisons=len(plain))
    if learned >= BY_HEART and behind > BEHIND_BY_HEART:
        status = "found"
    skill = float(all_rows["plain"].mean())
    text = (
        f"Of {min(_HANDFUL, len(bench.rows))} samples learned by heart, the user's loss brings "
        f"the network to {bench.score.text(failed)} and {best} to {bench.score.text(learned)}; "
        f"trained on all samples, to {bench.score.text(float(all_rows['own'].mean()))} and "
        f"{bench.score.text(skill)}."
    )
    return bench.evidence(
        "loss_mismatch",
        status,
        text,
        effect=effect,
        interval=interval,
        null=0.0,
        threshold=gap.delta,
        details={
            **bench.gain(all_rows["plain"]),
            "recovered": gap.recovered(skill),
            "by_heart": {"own": failed, **{k: float(v.mean()) for k, v in handful.items()}},
            "scores": {
                "model": bench.user_skill,
                **{name: float(rows.mean()) for name, rows in all_rows.items()},
                "reference": gap.reference,
            },
            "code": f"mtl.Task({bench.name!r}, head)  # without loss=...: the head's own",
        },
    )


def _compare(
    bench: Bench, gap: Gap, rows: dict[str, NDArray]
) -> tuple[float, tuple[float, float], Status]:
    """By how much the plain loss is ahead of the user's and of the model, on held-out samples."""
    effect, interval = least_gain(rows["plain"], (rows["own"], bench.user_rows))
    status = status_of(interval, gap.delta)
    if status == "found" and gap.recovered(float(rows["plain"].mean())) < LOSS_RECOVERS:
        status = "unclear"
    return effect, interval, status


def _plain_losses(bench: Bench) -> dict[str, Any]:
    """The losses to compare with; none where the user's is the head's own, of this library."""
    task = bench.task
    own_head = not type(task.head).__module__.startswith("mtlkit.")
    if task.loss is None and not own_head:
        return {}
    losses: dict[str, Any] = {}
    if task.loss is not None:
        losses["the head's own loss"] = task.head.default_loss()
    outputs = bench.model.output[bench.name]
    if own_head and bench.score.of_classes and outputs.shape[1:] == (bench.score.num_classes,):
        cross_entropy = keras.losses.SparseCategoricalCrossentropy
        found = outputs_of(bench.user, bench.x_val)[bench.name]
        normalised = found.min() >= 0 and np.allclose(found.sum(axis=-1), 1, atol=1e-3)
        losses["cross-entropy"] = MaskedLoss(cross_entropy(from_logits=not normalised))
    return losses


def _trainer(bench: Bench, loss: Any, rate: float, rows: NDArray) -> Trainer:
    model = fresh_copy(bench.model, bench.seed, **{bench.name: {"loss": loss}})
    bench.alone(model)
    return Trainer(compiled(model, keras.optimizers.Adam(rate)), bench.x, bench.y, rows)


def _by_heart(bench: Bench, loss: Any, seconds: float) -> NDArray:
    """The skill, on the handful, of a network that has been trained on nothing else."""
    rows = bench.rows[:_HANDFUL]
    x = keras.tree.map_structure(lambda array: array[rows], bench.x)
    trainer = _trainer(bench, loss, _RATES[0], rows)
    steps = trainer.affordable(seconds / len(_RATES), _STEPS)
    best = np.full(len(rows), -np.inf)
    for rate in _RATES:
        trainer.restart()
        trainer.model.optimizer.learning_rate = rate
        trainer.run(max(steps, 1), bench.seed)
        found = bench.score.rows(bench.decode(trainer.model, x), bench.y[bench.name][rows])
        best = found if found.mean() > best.mean() else best
    return best


def _on_all(bench: Bench, loss: Any, seconds: float) -> NDArray:
    """The skill on held-out samples of a network trained on the task alone."""
    trainer = _trainer(bench, loss, _RATES[0], bench.rows)
    trainer.run(max(1, trainer.affordable(seconds, bench.longer * _EPOCHS)), bench.seed, decay=True)
    return bench.judge(trainer.model)
