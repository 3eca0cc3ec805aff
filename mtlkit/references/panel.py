"""References of several kinds: the best one is the yardstick, the others check it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mtlkit.references._kinds import KINDS, input_kind
from mtlkit.references._other_tasks import TOLD_NAMES, told_features
from mtlkit.references.reference import Reference

#: Redraws that measure how much the choice of the best flatters it.
_DRAWS = 200


class Panel:
    """References of several kinds for the same samples and labels.

    Args:
        x: Inputs, as of `Reference`.
        y: Labels of shape `(samples,)`, as of `Reference`.
        num_classes: Number of classes. `None`: one more than the largest label.
        seed: Seed of what is drawn.
        features: Embeddings of the samples, `(samples, numbers)`, such as those of a pretrained
            model: two more references, a regression on them and neighbours.

    Example:
        ```python
        import numpy as np
        from mtlkit.references import Panel

        y = np.arange(200) % 2
        x = np.random.default_rng(0).random((200, 12, 12, 1), dtype="float32")
        x[y == 1, :6] += 1  # class 1 is bright at the top
        panel = Panel(x, y)
        assert panel.best.accuracy > 0.9
        print(panel.skills)
        ```
    """

    def __init__(
        self,
        x: ArrayLike,
        y: ArrayLike,
        num_classes: int | None = None,
        seed: int = 0,
        *,
        features: ArrayLike | None = None,
    ) -> None:
        inputs = np.asarray(x)
        self.references = {
            kind.name: Reference(inputs, y, num_classes, seed, kind=kind.name)
            for kind in KINDS[input_kind(inputs)]
        }
        if features is not None:
            given = np.asarray(features, "float32").reshape(len(inputs), -1)
            first = next(iter(self.references.values()))
            for kind in KINDS["features"]:
                self.references[kind.name] = first.of_kind(kind, kind.features(given, seed))

    @cached_property
    def skills(self) -> dict[str, float]:
        """The skill of each reference on left-out samples, by kind: 0 for the best constant."""
        return {name: one.skill for name, one in self.references.items()}

    @cached_property
    def best(self) -> Reference:
        """The reference with the most skill."""
        return self.references[max(self.skills, key=lambda name: self.skills[name])]

    @cached_property
    def optimism(self) -> float:
        """By how much the skill of the best is too high, as it was chosen on the same samples.

        Samples are drawn again, with replacement; the winner among them is on average this much
        better there than it is on all samples. Source: Tibshirani and Tibshirani, "A bias
        correction for the minimum error rate in cross-validation", Annals of Applied Statistics
        2009, here by the bootstrap.
        """
        rows = np.stack([one.skill_by_sample for one in self.references.values()], axis=1)
        rng = np.random.default_rng(self.best.seed)
        gains = []
        for _ in range(_DRAWS):
            again = rows[rng.integers(len(rows), size=len(rows))].mean(axis=0)
            winner = again.argmax()
            gains.append(again[winner] - rows[:, winner].mean())
        return max(0.0, float(np.mean(gains)))

    @cached_property
    def quick(self) -> Reference:
        """The reference with the most skill of those that can be asked of hundreds of labels."""
        quick = [name for name, one in self.references.items() if one.kind.quick]
        return self.references[max(quick, key=lambda name: self.skills[name])]

    @cached_property
    def others(self) -> list[Reference]:
        """The other references, the best first."""
        order = sorted(self.skills, key=lambda name: -self.skills[name])
        return [self.references[name] for name in order if self.references[name] is not self.best]

    @property
    def independent(self) -> list[Reference]:
        """The others that err in another way than the best one, the best first.

        References that are told of other tasks look at the inputs as the best of the rest does.
        """
        told = [name for name in TOLD_NAMES if name in self.references]
        rest = {name: skill for name, skill in self.skills.items() if name not in told}
        alike = {*told, max(rest, key=lambda name: rest[name])}
        same = alike if self.best.kind.name in alike else {self.best.kind.name}
        return [one for one in self.others if one.kind.name not in same]

    def with_labels(self, y: ArrayLike, num_classes: int | None = None) -> Panel:
        """Returns the panel of other labels of the same samples; features are shared."""
        return self._of(
            {name: one.with_labels(y, num_classes) for name, one in self.references.items()}
        )

    def with_other_tasks(self, others: Mapping[str, NDArray]) -> Panel:
        """Returns the panel with two more references, which are told of other tasks.

        They are told what is predicted of the other tasks' labels, of samples left out. So they
        read a label that means something only beside another one, such as the pose of an object
        from its own front.

        Args:
            others: Classes of the other tasks, by name, of the same samples; -1: unlabelled.
        """
        if not others:
            return self
        told = {
            kind.name: self.best.of_kind(kind, features)
            for kind, features in told_features(self, others).items()
        }
        return self._of({**self.references, **told})

    def _of(self, references: dict[str, Reference]) -> Panel:
        other = Panel.__new__(Panel)
        other.references = references
        return other
