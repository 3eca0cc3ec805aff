"""Families draw objects at their angles."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from mtlkit.datasets.planting import FAMILIES
from mtlkit.datasets.planting.families._originals import draw_originals
from mtlkit.datasets.rotated_digits import enlarge

SIZES = {"train": 60, "val": 20, "test": 20}


def pictures(family, seed=0, size=32):
    return FAMILIES[family](SIZES, np.random.default_rng(seed), size)


@pytest.mark.parametrize("family", ["textures", "digits"])
def test_angles_are_counter_clockwise(family):
    objects = pictures(family)["train"]
    upright = objects.turned(np.zeros(60))
    turned = objects.turned(np.full(60, 90.0))
    np.testing.assert_allclose(turned, np.rot90(upright, axes=(1, 2)), atol=1e-4)


def test_glyphs_turn_counter_clockwise_but_for_their_place():
    objects = pictures("glyphs")["train"]
    upright, turned = (objects.turned(np.full(60, angle)) for angle in (0.0, 90.0))
    expected = np.rot90(upright, axes=(1, 2))

    def likeness(a, b):
        spectra = np.fft.fft2(a) * np.conj(np.fft.fft2(b))
        norm = np.sqrt((a**2).sum((1, 2)) * (b**2).sum((1, 2)))
        return np.fft.ifft2(spectra).real.max(axis=(1, 2)) / norm

    assert likeness(turned, expected).min() > 0.85
    assert likeness(turned, upright).mean() < 0.8


@pytest.mark.parametrize("family", ["glyphs", "textures", "digits"])
def test_objects_are_in_range_and_differ(family):
    objects = pictures(family, size=16)
    for split, number in SIZES.items():
        images = objects[split].turned(np.zeros(number))
        assert images.shape == (number, 16, 16) and images.dtype == "float32"
        assert images.min() >= 0 and images.max() <= 1 and images.max(axis=(1, 2)).min() > 0.3
        assert len(np.unique(images, axis=0)) == number
    assert len(np.unique(objects["train"].identity)) == 10


@pytest.mark.parametrize("family", ["glyphs", "textures"])
def test_an_identity_looks_like_itself(family):
    objects = FAMILIES[family]({"train": 400}, np.random.default_rng(1), 32)["train"]
    if family == "textures":  # whose stripes have any phase: compare their spectra
        images = np.abs(np.fft.fft2(objects.turned(np.zeros(400))))
    else:
        images = objects.turned(np.zeros(400))
    first, second = images[:200].reshape(200, -1), images[200:].reshape(200, -1)
    means = np.stack([first[objects.identity[:200] == k].mean(axis=0) for k in range(10)])
    distance = ((second[:, None] - means[None]) ** 2).sum(axis=-1)
    assert (distance.argmin(axis=1) == objects.identity[200:]).mean() > 0.7


def test_digits_are_split_before_they_are_turned():
    upright = {bytes(scan): n for n, scan in enumerate(enlarge(load_digits().images / 16))}
    used = {}
    for split, objects in FAMILIES["digits"](
        {"train": 3000, "val": 1000, "test": 1000}, np.random.default_rng(0), 32
    ).items():
        images = objects.turned(np.zeros(len(objects.identity)))
        used[split] = {upright[bytes(image)] for image in images}
    assert not used["train"] & used["val"] and not used["train"] & used["test"]
    assert not used["val"] & used["test"]
    assert sum(map(len, used.values())) == 1797


def test_originals_are_used_equally_often():
    drawn = draw_originals({"train": 60, "val": 20, "test": 20}, 50, np.random.default_rng(0))
    for split, number in SIZES.items():
        assert len(drawn[split]) == number
        assert set(np.bincount(drawn[split])) <= {0, 2}
