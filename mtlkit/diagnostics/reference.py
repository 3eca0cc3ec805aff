"""What a simple model of its own makes of a task: the yardstick of the probes."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mtlkit.diagnostics._partners import Pairing, pairing_by_class, pairings
from mtlkit.diagnostics._patches import patch_features
from mtlkit.diagnostics._ridge import Ridge, calibrated, one_hot


class Reference:
    """A ridge regression on patches of the images, and what it predicts for left-out samples.

    It keeps positions, needs seconds, and every prediction is for a sample that the
    regression was not fitted to. Everything is computed when it is first asked for, and once,
    so that probes of one data set share it.

    Args:
        x: Images of shape `(samples, height, width, channels)`.
        y: Labels of shape `(samples,)`, all of them there: integers `0 ... num_classes - 1`
            for classes, floats for values.
        num_classes: Number of classes. `None`: one more than the largest label.
        seed: Seed of the patches.

    Example:
        ```python
        import numpy as np
        from mtlkit.diagnostics import Reference

        y = np.arange(200) % 2
        x = np.random.default_rng(0).random((200, 12, 12, 1), dtype="float32")
        x[y == 1, :6] += 1  # class 1 is bright at the top
        assert Reference(x, y).accuracy > 0.9
        ```
    """

    def __init__(
        self, x: ArrayLike, y: ArrayLike, num_classes: int | None = None, seed: int = 0
    ) -> None:
        self.x: NDArray[np.floating] = np.asarray(x, "float32")
        self.y: NDArray = np.asarray(y)
        self.seed = seed
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
        """Standardised features of the images, `(samples, features)`."""
        return patch_features(self.x, seed=self.seed)

    @cached_property
    def ridge(self) -> Ridge:
        """The regression, which fits any labels of these samples."""
        return Ridge(self.features)

    @cached_property
    def targets(self) -> NDArray[np.float32]:
        """What the regression is fitted to: one-hot classes, or values in a column."""
        if self.classes:
            return one_hot(self.y, self.num_classes)
        return self.y.reshape(len(self.y), -1).astype("float32")

    @cached_property
    def strength(self) -> float:
        """The strength of the penalty that predicts left-out samples best."""
        return self.ridge.best_strength(self.targets)

    @cached_property
    def scores(self) -> NDArray[np.float32]:
        """What is predicted for left-out samples, `(samples, outputs)`."""
        return self.ridge.left_out(self.targets, self.strength)

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
        """Which classes are taken for which, see `mtlkit.diagnostics._partners`."""
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
    def accuracy(self) -> float:
        """The accuracy on left-out samples."""
        return float(self.correct.mean())

    def with_labels(self, y: ArrayLike, num_classes: int | None = None) -> Reference:
        """Returns the reference of other labels of the same samples; features are shared."""
        other = Reference(self.x, y, num_classes, self.seed)
        other.features, other.ridge = self.features, self.ridge
        return other

    def of_rows(self, rows: NDArray) -> Reference:
        """Returns the reference of some of the samples; their features are shared."""
        other = Reference(self.x[rows], self.y[rows], self.num_classes, self.seed)
        other.features = self.features[rows]
        return other
