"""What was tried to bring a task back: heads on the frozen trunk, and the network afresh."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from mtlkit._random_state import random_state_kept
from mtlkit.diagnostics._training.bench import Bench, alone_and_afresh
from mtlkit.diagnostics._training.copies import compiled
from mtlkit.diagnostics._training.trainer import Trainer
from mtlkit.diagnostics.model_probes._features import passing_model
from mtlkit.heads import ClassificationHead, OrientationHead, RegressionHead
from mtlkit.model import MultiTaskModel
from mtlkit.model._outputs import outputs_of
from mtlkit.model.task import Task
from mtlkit.references._backbone_features import map_reader, read_map

#: Names of the arms.
OWN, FLAT = "the user's head", "a head that keeps positions"
POLAR, AFRESH = "a polar head on the image", "whole network afresh"
#: The rate of all arms, which falls to zero.
_RATE = 2e-3
_EPOCHS = 10
#: Steps below which an arm tells nothing.
_LEAST_STEPS = 30


@dataclass(frozen=True)
class ReadMap:
    """A map of the frozen trunk, channels last, of training and of held-out samples.

    Attributes:
        train: Of training samples with labels.
        held: Of held-out ones.
        name: The name by which a head reads it; `None` for the one that the task reads.
    """

    train: NDArray
    held: NDArray
    name: str | None = None

    @property
    def arrays(self) -> tuple[NDArray, NDArray]:
        """Both, in the data format of heads."""
        return _in_data_format(self.train), _in_data_format(self.held)


@dataclass
class Arms:
    """What was tried: the skill of each held-out sample, by arm."""

    on_trunk: dict[str, NDArray] = field(default_factory=dict)
    afresh: NDArray | None = None
    codes: dict[str, str] = field(default_factory=dict)
    steps: dict[str, int] = field(default_factory=dict)

    @property
    def enough(self) -> bool:
        """Whether all arms had steps enough to tell something."""
        return min(self.steps.values(), default=0) >= _LEAST_STEPS

    @property
    def best(self) -> str:
        """The best head that keeps positions."""
        return max(self.codes, key=lambda name: float(self.on_trunk[name].mean()))

    @property
    def scores(self) -> dict[str, float]:
        """The mean skills."""
        scores = {name: float(rows.mean()) for name, rows in self.on_trunk.items()}
        if self.afresh is not None:
            scores[AFRESH] = float(self.afresh.mean())
        return scores


def train_arms(bench: Bench, own: ReadMap, positions: ReadMap | None) -> Arms:
    """Trains heads on the frozen trunk, then the user's network afresh, on the task alone.

    Args:
        bench: The held-out samples, and the score.
        own: What the task reads.
        positions: The map that heads which keep positions read, if there is one.
    """
    arms = Arms()
    seconds = bench.clock.left
    heads = [(OWN, bench.task.head, *own.arrays, "")] if _reads_map(bench.task) else []
    if positions is not None:
        head, code = flat_head(bench, positions.name)
        heads.append((FLAT, head, *positions.arrays, code))
        if bench.score.period is not None:
            polar, inputs = _polar_head(bench)
            code = _code(
                bench,
                f'OrientationHead({bench.score.num_classes}, "polar"{_period(bench)})',
                reads="input" if bench.task.feature is not None else None,
            )
            images = (inputs(bench.images[bench.rows]), inputs(bench.val_images))
            heads.append((POLAR, polar, *images, code))
    for name, head, features, features_val, code in heads:
        share = 0.55 * seconds / len(heads)
        rows, arms.steps[name] = _train_head(bench, head, features, features_val, share)
        arms.on_trunk[name] = rows
        if code:
            arms.codes[name] = code
    arms.afresh, arms.steps[AFRESH] = _train_afresh(bench, 0.9 * bench.clock.left)
    return arms


def reads_a_map(bench: Bench) -> bool:
    """Whether the task's head reads one map, not a vector, and nothing else."""
    if not _reads_map(bench.task):
        return False
    return len(map_reader(bench.user, bench.task).output.shape) == 4


def _reads_map(task: Task) -> bool:
    """Whether the task's head reads one map and nothing else, as the arms have it."""
    default = task.head.default_feature
    several = isinstance(task.feature or default, tuple)
    return not (several or task.head.reads_orbit or task.condition_on is not None)


def _train_head(
    bench: Bench, head: Any, maps: NDArray, held: NDArray, seconds: float
) -> tuple[NDArray, int]:
    """The skill of a copy of a head, trained on maps with the head's own loss; and the steps."""
    model = _new_head(bench, head, maps)
    compiled(model, keras.optimizers.Adam(_RATE))
    labels = bench.y[bench.name][bench.rows]
    trainer = Trainer(model, maps, {"head": labels})
    steps = max(1, trainer.affordable(seconds, bench.longer * _epochs(trainer)))
    trainer.run(steps, bench.seed, decay=True)
    decoded = model.tasks["head"].head.decode(outputs_of(model, held)["head"])
    return bench.score.rows(decoded, bench.y_val), steps


@random_state_kept()
def _new_head(bench: Bench, head: Any, maps: NDArray) -> MultiTaskModel:
    """A model of maps alone, with a copy of a head that has new weights."""
    keras.utils.set_random_seed(bench.seed)
    config = keras.saving.serialize_keras_object(head)
    config.pop("build_config", None)  # it may have been built for another map
    fresh = keras.saving.deserialize_keras_object(config)
    return passing_model(maps, Task("head", fresh, metrics=[]))


def reads_positions(bench: Bench, maps: NDArray) -> float:
    """How much what the user's head says depends on where in the map things are.

    How the weights were trained does not matter, so a new copy is asked, of maps that are not
    constant.
    """
    if maps.ndim != 4 or len(maps) < 2 or not _reads_map(bench.task):
        return 0.0
    model = _new_head(bench, bench.task.head, _in_data_format(maps))
    return moved_by_rolling(maps, lambda given: outputs_of(model, given)["head"])


def moved_by_rolling(maps: NDArray, said_of: Callable[[NDArray], Any]) -> float:
    """How much what is said of maps changes if they are rolled by half their height and width.

    A value of 1 means: as much as another sample changes it. Pooling over positions gives 0.
    """
    rolled = np.roll(maps, (maps.shape[1] // 2, maps.shape[2] // 2), axis=(1, 2))
    said, moved = (_flat(said_of(_in_data_format(given))) for given in (maps, rolled))
    other = np.abs(said - np.roll(said, 1, axis=0)).mean()
    return float(np.abs(moved - said).mean() / max(other, 1e-9))


def _flat(outputs: Any) -> NDArray:
    arrays = [np.asarray(one) for one in keras.tree.flatten(outputs)]
    return np.concatenate([one.reshape(len(one), -1) for one in arrays], axis=1)


def _train_afresh(bench: Bench, seconds: float) -> tuple[NDArray, int]:
    """The skill of the user's network, trained afresh on the task alone with a plain recipe."""
    model = alone_and_afresh(bench, _RATE)
    trainer = Trainer(model, bench.x, bench.y, bench.rows)
    steps = max(1, trainer.affordable(seconds, bench.longer * _epochs(trainer)))
    trainer.run(steps, bench.seed, decay=True)
    return bench.judge(model), steps


def _epochs(trainer: Trainer) -> float:
    """Ten epochs; more where an epoch has few steps."""
    return max(_EPOCHS, 300 / trainer.steps_of_epoch)


def flat_head(bench: Bench, reads: str | None = None) -> tuple[Any, str]:
    """A head for the task that keeps positions, and the code that brings it in.

    Args:
        bench: The held-out samples, and the score.
        reads: The name of the map that it reads. `None`: the one that the task reads.
    """
    size = bench.score.num_classes or bench.score.targets(bench.y_val).shape[1]
    if bench.score.period is not None:
        labels = getattr(bench.task.head, "labels", "bins")
        head: Any = OrientationHead(size, "flatten", period=bench.score.period, labels=labels)
        text = f'OrientationHead({size}, "flatten"{_period(bench)})'
    elif bench.score.of_classes:
        head, text = ClassificationHead(size, "flatten"), f'ClassificationHead({size}, "flatten")'
    else:
        head, text = RegressionHead(size, "flatten"), f'RegressionHead({size}, "flatten")'
    return head, _code(bench, text, reads)


def _polar_head(bench: Bench) -> tuple[Any, Any]:
    """The polar head, and what turns images into the map `"input"` that it reads."""
    period = bench.score.period or 360.0
    labels = getattr(bench.task.head, "labels", "bins")
    head = OrientationHead(bench.score.num_classes, "polar", period=period, labels=labels)
    reader = map_reader(bench.user, Task("polar", head, feature="input"))
    return head, lambda images: _in_data_format(read_map(reader, images))


def _code(bench: Bench, head: str, reads: str | None = None) -> str:
    feature = f', feature="{reads}"' if reads else ""
    return f'model = model.with_head("{bench.name}", mtl.heads.{head}{feature})'


def _period(bench: Bench) -> str:
    text = "" if bench.score.period == 360 else f", period={bench.score.period:g}"
    labels = getattr(bench.task.head, "labels", "bins")
    return text + (', labels="degrees"' if labels == "degrees" else "")


def _in_data_format(maps: NDArray) -> NDArray:
    first = keras.config.image_data_format() == "channels_first" and maps.ndim == 4
    return np.moveaxis(maps, -1, 1) if first else maps
