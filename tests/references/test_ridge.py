import numpy as np
import pytest
from scipy.special import log_softmax, softmax
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge as SklearnRidge
from sklearn.metrics import log_loss

from mtlkit.references._ridge import Ridge, calibrated, one_hot

#: Fewer features than samples, and more.
SHAPES = [(40, 6), (24, 60)]


def problem(samples, features, outputs=3, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(samples, features)) * rng.uniform(0.5, 2, size=features) + 3
    y = x[:, :outputs] + rng.normal(size=(samples, outputs)) + 10
    return x, y


def refitted(x, y, strength):
    """Predictions for each sample by a regression that was fitted without it."""
    values = np.linalg.svd(x - x.mean(axis=0), compute_uv=False) ** 2
    alpha = strength * values[values > 1e-9 * values[0]].mean()
    rows = np.arange(len(x))
    return np.concatenate(
        [SklearnRidge(alpha).fit(x[rows != row], y[rows != row]).predict(x[[row]]) for row in rows]
    )


@pytest.mark.parametrize("strength", [0.01, 1.0])
@pytest.mark.parametrize("shape", SHAPES)
def test_left_out_equals_refits_without_each_sample(shape, strength):
    x, y = problem(*shape)
    np.testing.assert_allclose(
        Ridge(x).left_out(y, strength), refitted(x, y, strength), rtol=1e-3, atol=2e-3
    )


@pytest.mark.parametrize("shape", SHAPES)
def test_the_best_strength_has_the_least_error(shape):
    x, y = problem(*shape)
    strengths = [1e-3, 1e-2, 1e-1, 1.0, 10.0]
    errors = [np.mean((refitted(x, y, one) - y) ** 2) for one in strengths]
    best = strengths[int(np.argmin(errors))]
    ridge = Ridge(x)
    assert ridge.best_strength(y) == best
    np.testing.assert_array_equal(ridge.left_out(y), ridge.left_out(y, best))


@pytest.mark.parametrize("shape", SHAPES)
def test_samples_may_come_in_any_order(shape):
    x, y = problem(*shape)
    order = np.random.default_rng(1).permutation(len(x))
    expected = Ridge(x).left_out(y, 0.1)[order]
    np.testing.assert_allclose(Ridge(x[order]).left_out(y[order], 0.1), expected, atol=2e-3)


def test_constant_features_predict_the_mean_of_the_others():
    _, y = problem(30, 5)
    others = (y.sum(axis=0) - y) / 29
    np.testing.assert_allclose(Ridge(np.ones((30, 5))).left_out(y), others, rtol=1e-4)


def test_a_feature_that_is_the_target_is_found():
    x, _ = problem(200, 5)
    assert np.abs(Ridge(x).left_out(x[:, :1], 1e-3) - x[:, :1]).max() < 0.05


@pytest.mark.parametrize("shape", SHAPES)
def test_components_are_the_principal_ones(shape):
    x, _ = problem(*shape)
    expected = PCA(4).fit_transform(x)
    found = Ridge(x).components(4)
    signs = np.sign((expected * found).sum(axis=0))
    np.testing.assert_allclose(found * signs, expected, atol=1e-2)


def test_one_hot():
    assert one_hot(np.array([2, 0]), 3).tolist() == [[0, 0, 1], [1, 0, 0]]


@pytest.mark.parametrize("scale", [0.2, 1.0, 30.0])
def test_calibrated_probabilities(scale):
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(500, 4))
    labels = (softmax(truth, axis=1).cumsum(axis=1) < rng.random((500, 1))).sum(axis=1)
    scores = truth / scale  # so the best temperature is about 1 / scale
    probabilities = calibrated(scores, labels)
    assert probabilities.min() >= 0
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_array_equal(probabilities.argmax(axis=1), scores.argmax(axis=1))
    found = -np.log(probabilities[np.arange(500), labels]).mean()
    assert found <= log_loss(labels, softmax(scores, axis=1)) + 1e-4
    tried = [
        -log_softmax(factor * scores, axis=1)[np.arange(500), labels].mean()
        for factor in scale * np.linspace(0.5, 2, 31)
    ]
    assert found <= min(tried) + 1e-4


def test_folds_are_predicted_from_the_others():
    """The closed form, against a ridge that is fitted to the other folds alone."""
    rng = np.random.default_rng(0)
    features, targets = rng.normal(size=(60, 5)), rng.normal(size=(60, 2))
    features -= features.mean(axis=0)
    folds = np.arange(60) % 4
    ridge, strength = Ridge(features), 0.1
    found = ridge.without_its_fold(targets, strength, folds)
    # The ridge does not penalise a constant, and centres features by all samples.
    design = np.concatenate([np.ones((60, 1)), features], axis=1)
    penalty = strength * np.mean(np.linalg.svd(features, compute_uv=False) ** 2)
    penalties = penalty * np.diag([0, 1, 1, 1, 1, 1])
    for fold in range(4):
        rest, own = folds != fold, folds == fold
        known = design[rest]
        weights = np.linalg.solve(known.T @ known + penalties, known.T @ targets[rest])
        np.testing.assert_allclose(found[own], design[own] @ weights, atol=1e-4)
