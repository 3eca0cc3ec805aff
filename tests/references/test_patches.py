import numpy as np
import pytest

from mtlkit.references import _patches as patches
from mtlkit.references._patches import patch_features


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
def test_brightness_and_contrast_do_not_hide_what_there_is(contrast, brightness):
    """The patches do not notice them, the level of each cell does."""
    x = textures(60)
    features = patch_features(np.concatenate([x, contrast * x + brightness]), num_patches=16)
    patterns, levels = features[:, : 16 * 16], features[:, 16 * 16 :]
    others = np.median(distances(patterns[:60], np.roll(patterns[:60], 1, axis=0)))
    assert distances(patterns[:60], patterns[60:]).max() < 0.05 * others
    assert distances(levels[:60], levels[60:]).min() > 1


def test_levels_are_means_and_deviations():
    x = np.random.default_rng(0).normal(size=(50, 8, 8, 2)).astype("float32")
    x[:25, :2, :2, 0] += 3  # the first cell of the first channel
    x[25:, 6:, 6:, 1] *= 9  # the last one of the second
    levels = patch_features(x, num_patches=4)[:, -64:].reshape(50, 16, 2, 2)
    change = np.abs(levels[:25].mean(axis=0) - levels[25:].mean(axis=0))  # cell, level, channel
    assert change[0, 0, 0] > 1.5 and change[15, 1, 1] > 1.5
    change[0, 0, 0] = change[15, 1, 1] = 0
    assert change.max() < 1


def test_an_object_elsewhere_changes_its_cells():
    x = np.concatenate([squares(0, 100, 0), squares(13, 100, 1)])
    features = patch_features(x, num_patches=24, patch=3)
    cells = features[:, : 16 * 24].reshape(200, 4, 4, 24)
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
    assert features.dtype == "float32" and features.shape == (80, 4 * 4 * (8 + 2))
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
    ("shape", "cells", "levels"),
    [
        ((3, 5, 1), 1 * 3, 3 * 4),
        ((8, 8, 3), 3 * 3, 4 * 4),
        ((1, 9, 1), 1 * 4, 1 * 4),
        ((1, 1, 1), 1, 1),
        ((2, 2, 2), 1, 2 * 2),
    ],
)
def test_small_images(shape, cells, levels):
    x = np.random.default_rng(0).random((30, *shape), dtype="float32")
    features = patch_features(x, num_patches=4)
    assert features.shape == (30, 4 * cells + 2 * shape[-1] * levels)
    assert np.isfinite(features).all()


def test_images_of_one_shade_have_no_features():
    x = np.ones((30, 8, 8, 1), "float32")
    assert not patch_features(x, num_patches=4).any()


def test_fewer_large_images_are_encoded_at_once(monkeypatch):
    x = textures(60)
    together = patch_features(x, num_patches=8)
    monkeypatch.setattr(patches, "_VALUES", 11 * 11 * 36 * 50)
    assert list(patches._parts(x.shape, 6, 8, 1)) == [slice(0, 48), slice(48, 60)]
    np.testing.assert_allclose(patch_features(x, num_patches=8), together, atol=1e-4)


@pytest.mark.parametrize(("side", "size"), [(32, 250), (64, 48), (2000, 1)])
def test_images_that_are_encoded_at_once(side, size):
    parts = list(patches._parts((500, side, side, 3), 6, 96, 1))
    assert [part.start for part in parts[:2]] == [0, size] and parts[-1].stop == 500
    assert {part.stop for part in parts} >= {250, 500}
