import numpy as np
import pytest

from mtlkit.diagnostics.patches import patch_features


def textures(samples, side=16, seed=0):
    """Images of random waves, which differ in direction and wavelength."""
    rng = np.random.default_rng(seed)
    at = np.arange(side)
    down, right, phase = rng.uniform(-1.5, 1.5, size=(3, samples, 1, 1))
    waves = np.sin(down * at[:, None] + right * at + 4 * phase)
    return (waves + 0.1 * rng.normal(size=waves.shape))[..., None].astype("float32")


def squares(place, samples, seed):
    """Faint noise with a bright, striped square at a place."""
    x = 0.01 * np.random.default_rng(seed).normal(size=(samples, 16, 16, 1))
    x[:, place : place + 3, place : place + 3, 0] += [1, 0, 1]
    return x.astype("float32")


def distances(a, b):
    return np.linalg.norm(a - b, axis=1)


@pytest.mark.parametrize(("contrast", "brightness"), [(1.0, 0.3), (0.5, 0.0), (2.0, -1.0)])
def test_brightness_and_contrast_hardly_count(contrast, brightness):
    x = textures(60)
    features = patch_features(np.concatenate([x, contrast * x + brightness]), num_patches=16)
    same = distances(features[:60], features[60:])
    others = distances(features[:60], np.roll(features[:60], 1, axis=0))
    assert same.max() < 0.05 * np.median(others)


def test_an_object_elsewhere_changes_its_cells():
    x = np.concatenate([squares(0, 100, 0), squares(13, 100, 1)])
    cells = patch_features(x, num_patches=24, patch=3).reshape(200, 4, 4, 24)
    change = np.abs(cells[:100].mean(axis=0) - cells[100:].mean(axis=0)).mean(axis=2)
    touched = [change[0, 0], change[3, 3]]
    untouched = [change[0, 3], change[3, 0], change[1, 2], change[2, 1]]
    assert min(touched) > 3 * max(untouched)


def test_determined_by_the_seed():
    x = textures(40)
    first, same, other = (patch_features(x, num_patches=8, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, same)
    assert not np.allclose(first, other)


def test_features_are_standardised():
    features = patch_features(textures(80), num_patches=8)
    assert features.dtype == "float32" and features.shape == (80, 4 * 4 * 8)
    np.testing.assert_allclose(features.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(features.std(axis=0), 1, atol=1e-4)


def test_order_of_samples_does_not_matter_to_their_features():
    """The dictionary changes, the likeness of images does not."""
    x = textures(60)
    order = np.random.default_rng(0).permutation(60)
    features, moved = patch_features(x), patch_features(x[order])
    near = np.corrcoef(features)[np.ix_(order, order)]
    assert np.corrcoef(near.ravel(), np.corrcoef(moved).ravel())[0, 1] > 0.95


@pytest.mark.parametrize(
    ("shape", "cells"),
    [((3, 5, 1), 1 * 3), ((8, 8, 3), 3 * 3), ((1, 9, 1), 1 * 4), ((1, 1, 1), 1), ((2, 2, 2), 1)],
)
def test_small_images(shape, cells):
    x = np.random.default_rng(0).random((30, *shape), dtype="float32")
    features = patch_features(x, num_patches=4)
    assert features.shape == (30, 4 * cells) and np.isfinite(features).all()


def test_images_of_one_shade_have_no_features():
    x = np.ones((30, 8, 8, 1), "float32")
    assert not patch_features(x, num_patches=4).any()
