"""What a simple model of its own makes of a task: the yardstick of the probes."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mtlkit.references._kinds import Kind, Predictor, as_inputs, input_kind, kind_of
from mtlkit.references._partners import Pairing, pairing_by_class, pairings
from mtlkit.references._ridge import Ridge, calibrated, one_hot


class Reference:
    """A simple predictor of one kind, and what it predicts for left-out samples.

    It needs seconds, and every prediction is for a sample whose label it was not given.
    Everything is computed when it is first asked for, and once, so that those who look at the same
    samples share it. The shape and type of `x` decide which kinds there are:

    - images: `"patches"`, a ridge regression on typical patches, which keeps positions;
      `"kernel"`, a kernel regression on whole small images; `"neighbours"` among them.
    - columns of a table: `"trees"`, a ridge regression on the leaves of random trees; `"kernel"`;
      `"linear"`; `"boosting"`, boosted trees; `"neighbours"`.
    - sequences of values: `"summaries"` of their course; `"kernel"`; `"neighbours"`.
    - token ids: `"words"`, their counts and pairs; `"neighbours"`; `"trees"`.

    Args:
        x: Images of shape `(samples, height, width, channels)`, sequences `(samples, steps,
            values)`, columns `(samples, columns)` of floats, or integer tokens `(samples, steps)`.
        y: Labels of shape `(samples,)`, all of them there: integers `0 ... num_classes - 1`
            for classes, floats for values.
        num_classes: Number of classes. `None`: one more than the largest label.
        seed: Seed of what is drawn.
        kind: The kind of predictor, by name. `None`: the first one of these inputs.

    Raises:
        ValueError: If the inputs have no kind of reference, or not the one that is named.

    Example:
        ```python
        import numpy as np
        from mtlkit.references import Reference

        y = np.arange(200) % 2
        x = np.random.default_rng(0).random((200, 12, 12, 1), dtype="float32")
        x[y == 1, :6] += 1  # class 1 is bright at the top
        assert Reference(x, y).accuracy > 0.9
        ```
    """

    def __init__(
        self,
        x: ArrayLike,
        y: ArrayLike,
        num_classes: int | None = None,
        seed: int = 0,
        *,
        kind: str | Kind | None = None,
    ) -> None:
        self.x: NDArray = as_inputs(x)
        self.y: NDArray = np.asarray(y)
        self.seed = seed
        self.inputs = input_kind(self.x)
        self.kind = kind if isinstance(kind, Kind) else kind_of(self.inputs, kind)
        self.classes = self.y.dtype.kind != "f"
        self.num_classes = (
            0 if not self.classes else num_classes if num_classes else int(self.y.max()) + 1
        )

    def __len__(self) -> int:
        return len(self.y)

    @property
    def chance(self) -> float:
        """The accuracy of a guess."""
        return 1 / self.num_classes

    @cached_property
    def features(self) -> NDArray[np.float32]:
        """Features of the inputs, which need no labels, `(samples, features)`."""
        return self.kind.features(self.x, self.seed)

    @cached_property
    def predictor(self) -> Predictor:
        """What predicts any labels of these samples: the ridge, or neighbours."""
        return self.ridge if self.kind.predictor is Ridge else self.kind.predictor(self.features)

    @cached_property
    def ridge(self) -> Ridge:
        """A ridge regression on the features."""
        return Ridge(self.features)

    @cached_property
    def targets(self) -> NDArray[np.float32]:
        """What is predicted: one-hot classes, or values in a column."""
        if self.classes:
            return one_hot(self.y, self.num_classes)
        return self.y.reshape(len(self.y), -1).astype("float32")

    @cached_property
    def strength(self) -> float:
        """The penalty, or the number of neighbours, with the least error of left-out samples."""
        return self.predictor.best_strength(self.targets)

    @cached_property
    def scores(self) -> NDArray[np.float32]:
        """What is predicted for left-out samples, `(samples, outputs)`."""
        return self.predictor.left_out(self.targets, self.strength)

    @cached_property
    def probabilities(self) -> NDArray[np.float32]:
        """Calibrated probabilities of the classes for left-out samples."""
        return calibrated(self.scores, self.y)

    @cached_property
    def predicted(self) -> NDArray[np.int64]:
        """The predicted classes of left-out samples."""
        return self.scores.argmax(axis=1)

    @cached_property
    def pairings(self) -> list[Pairing]:
        """Which classes are taken for which, see `mtlkit.references._partners`."""
        return pairings(self.scores, self.y)

    @cached_property
    def pairing_by_class(self) -> Pairing:
        """The pairing of each class with the one that it is taken for, at any distance."""
        return pairing_by_class(self.scores, self.y)

    @cached_property
    def smaller(self) -> Reference:
        """The same reference, fitted to half of the samples."""
        rows = np.random.default_rng(self.seed).permutation(len(self))[: len(self) // 2]
        return self.of_rows(rows)

    @property
    def correct(self) -> NDArray[np.bool_]:
        """Which left-out samples are predicted right."""
        return self.predicted == self.y

    @property
    def skill(self) -> float:
        """The share of the way from the best constant to perfection, of left-out samples.

        For values it is the share of the variance that is explained.
        """
        return float(self.skill_by_sample.mean())

    @property
    def skill_by_sample(self) -> NDArray[np.float64]:
        """What each left-out sample adds to the skill, which is the mean, `(samples,)`."""
        if not self.classes:
            spread = ((self.targets - self.targets.mean(axis=0)) ** 2).sum(axis=1).mean()
            errors = ((self.scores - self.targets) ** 2).sum(axis=1, dtype="float64")
            return 1 - errors / max(float(spread), 1e-12)
        constant = np.bincount(self.y).max() / len(self)
        return (self.correct - constant) / max(1 - constant, 1e-12)

    @property
    def accuracy(self) -> float:
        """The accuracy on left-out samples."""
        return float(self.correct.mean())

    def with_labels(self, y: ArrayLike, num_classes: int | None = None) -> Reference:
        """Returns the reference of other labels of the same samples; features are shared."""
        other = self._like(self.x, y, num_classes)
        other.features, other.predictor = self.features, self.predictor
        if self.kind.predictor is Ridge:
            other.ridge = self.ridge
        return other

    def of_kind(self, kind: Kind, features: NDArray) -> Reference:
        """Returns the reference of another kind, with features that were made beforehand."""
        other = Reference(self.x, self.y, self.num_classes, self.seed, kind=kind)
        other.features = features
        return other

    def of_rows(self, rows: NDArray) -> Reference:
        """Returns the reference of some of the samples; their features are shared."""
        other = self._like(self.x[rows], self.y[rows], self.num_classes)
        other.features = self.features[rows]
        return other

    def _like(self, x: ArrayLike, y: ArrayLike, num_classes: int | None) -> Reference:
        return Reference(x, y, num_classes, self.seed, kind=self.kind)
