"""A data set whose trouble is known."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, field

import keras
from numpy.typing import NDArray

from mtlkit.datasets.multitask_data import MultiTaskData
from mtlkit.datasets.planting.recipe import Recipe
from mtlkit.datasets.planting.truth import Truth
from mtlkit.model import MultiTaskModel


@dataclass(frozen=True, eq=False, repr=False)
class PlantedData(MultiTaskData):
    """Images and labels with a known cause of trouble, and the model that suffers from it.

    Made by `mtlkit.datasets.planted`. A diagnosis gets the arrays and the trained model; the
    rest is for scoring it.

    Args:
        truth: What was planted.
        recipe: The user's model.
        num_bins: Number of orientation bins.
        seed: The seed that the data were drawn with; also that of the training.
        true_bins: By split, the bins at which the objects really are, whatever the labels.
        x_high: By split, the images at a higher resolution, where there are any.
        data_format: Where the channel axis of the images is.
        target: The task in trouble.

    Example:
        ```python
        from mtlkit.datasets import planted

        data = planted("uniform_noise", samples=200, num_bins=8, severity=0.4)
        assert data.truth.causes == ("uniform_noise",) and data.truth.noise_rate == 0.4
        model = data.train(epochs=1)
        print(model.evaluate(data.x_val, data.y_val, return_dict=True, verbose=0))
        ```
    """

    _: KW_ONLY
    truth: Truth
    recipe: Recipe
    num_bins: int
    seed: int
    true_bins: dict[str, NDArray]
    x_high: dict[str, NDArray] | None = None
    data_format: str | None = None
    target: str = field(default="orientation")

    def train(self, epochs: int | None = None, verbose: int = 0) -> MultiTaskModel:
        """Builds the user's model and trains it on the training split.

        Sets the seed of Keras to that of the data.

        Args:
            epochs: Number of epochs. `None`: as the recipe says.
            verbose: As in `keras.Model.fit`.

        Returns:
            The trained model.
        """
        keras.utils.set_random_seed(self.seed)
        model = self.recipe.build(self.num_bins, self.x_train.shape[1:], self.data_format)
        model.fit(
            self.x_train,
            self.y_train,
            epochs=self.recipe.epochs if epochs is None else epochs,
            batch_size=self.recipe.batch_size,
            verbose=verbose,
        )
        return model
