"""The user's models are as the recipes say."""

import keras
import numpy as np
import pytest

from mtlkit.datasets import planted
from mtlkit.datasets.planting import PLANTED_CONDITIONS, Recipe
from mtlkit.datasets.planting._conditions import CONDITIONS
from mtlkit.datasets.planting._mismatched_losses import earth_mover_alone, softmax_twice


def small(cause, **options):
    return planted(cause, samples=100, num_bins=8, data_format="channels_last", **options)


#: One condition for each recipe.
DISTINCT = {CONDITIONS[cause].recipe: cause for cause in PLANTED_CONDITIONS}.values()


@pytest.mark.parametrize("cause", DISTINCT)
def test_every_recipe_builds(cause):
    data = small(cause)
    model = data.train(epochs=0)
    assert list(model.tasks) == list(data.tasks)
    assert model(data.x_test[:3])["orientation"].shape == (3, 8)


def test_training_is_determined_by_the_seed():
    data = small("label_leak", size=16)
    first, second = (data.train(epochs=1)(data.x_val)["orientation"] for _ in range(2))
    first, second = map(keras.ops.convert_to_numpy, (first, second))
    np.testing.assert_allclose(first, second, atol=1e-5)


def test_severity_sets_the_recipe():
    assert small("under_trained", severity=1e-6).recipe.learning_rate == 1e-6
    assert small("optimizer", severity=2).recipe.learning_rate == 2
    assert small("loss_starvation", severity=500).recipe.intensity_weight == 500
    assert small("under_trained").truth.noise_rate is None


def test_optimizer_and_weights():
    recipe = Recipe(optimizer="sgd", learning_rate=0.5, intensity_weight=7.0)
    model = recipe.build(8, (32, 32, 1), "channels_last")
    assert isinstance(model.optimizer, keras.optimizers.SGD)
    assert float(model.optimizer.learning_rate) == 0.5
    assert float(model.task_weights["intensity"]) == 7.0


def test_a_collapsed_trunk_is_dead():
    data = small("backbone_collapse", size=16)
    model = data.train(epochs=1)
    features = keras.ops.convert_to_numpy(model.backbone(data.x_val)["stage3"])
    assert np.abs(features).max() == 0


def test_a_raw_input_is_not_normalised():
    names = [layer.name for layer in small("input_scale").train(epochs=0).backbone.layers]
    assert "normalization" not in names
    names = [layer.name for layer in small("label_leak").train(epochs=0).backbone.layers]
    assert "normalization" in names


def test_mismatched_losses():
    logits = np.zeros((2, 8), "float32")
    labels = np.array([0, 5])
    # A uniform prediction is moved by 0 1 2 3 4 3 2 1 bins.
    moved = keras.ops.convert_to_numpy(earth_mover_alone(labels, logits))
    np.testing.assert_allclose(moved, 16 / 8, atol=1e-5)
    sure = np.array([[50.0, 0, 0, 0, 0, 0, 0, 0]], "float32")
    least = keras.ops.convert_to_numpy(softmax_twice(np.array([0]), sure))
    np.testing.assert_allclose(least, np.log(np.e + 7) - 1, atol=1e-5)
