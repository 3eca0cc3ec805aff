import numpy as np
import pytest

from mtlkit.diagnostics.data_probes import symmetry

#: Positions relative to the middle of 12x12 images.
AT = np.arange(12) - 5.5


def hands(samples, bins, symmetric, seed=0, noise=0.02):
    """Bars that point in one of some directions; symmetric ones reach as far the other way."""
    rng = np.random.default_rng(seed)
    y = rng.integers(bins, size=samples)
    symmetric = np.broadcast_to(symmetric, samples)
    angle = 2 * np.pi * y[:, None, None] / bins
    along = np.cos(angle) * AT - np.sin(angle) * AT[:, None]
    across = np.sin(angle) * AT + np.cos(angle) * AT[:, None]
    bar = np.exp(-(across**2))
    x = bar * np.where(symmetric[:, None, None], np.abs(along) < 5, (along > 0) & (along < 5))
    return (x + noise * rng.normal(size=x.shape))[..., None].astype("float32"), y


@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_bars_are_twins_after_a_half_turn(noise):
    x, y = hands(800, 8, True, noise=noise)
    found = symmetry(x, y)
    assert found.found and found.details["transform"] == "rot180"
    assert found.details["twins"] == [[0, 4], [1, 5], [2, 6], [3, 7]]
    # A grouped bar is known, a single one is guessed from two; random pairs gain 1/7 as much
    # at most.
    assert 0.25 < found.effect < 0.55
    assert found.details["twin_share"] == pytest.approx(0.5, abs=0.1)
    assert found.details["transforms"]["rot90"]["status"] == "absent"


def test_hands_are_not():
    x, y = hands(800, 8, False)
    assert symmetry(x, y).status == "absent"


def test_opposite_labels_of_hands_are_noise_and_no_symmetry():
    x, y = hands(800, 8, False)
    flipped = np.random.default_rng(1).random(800) < 0.3
    assert symmetry(x, np.where(flipped, (y + 4) % 8, y)).status == "absent"


def test_whose_images_are_symmetric():
    identity = np.random.default_rng(2).integers(4, size=800)
    x, y = hands(800, 8, identity % 2 == 1)
    found = symmetry(x, y, others={"identity": identity})
    assert found.found and found.details["classes"]["identity"]["symmetric"] == [1, 3]
    assert found.details["symmetric_share"] == pytest.approx(0.5, abs=0.1)
    assert "[1, 3] of identity" in found.text


def test_crosses_are_fourfold():
    x, y = hands(800, 8, True)
    x = np.maximum(x, np.rot90(x, axes=(1, 2)))
    found = symmetry(x, y)
    assert found.found
    assert found.details["transform"] == "rot90"
    assert found.details["twins"] == [[0, 2, 4, 6], [1, 3, 5, 7]]


def test_mirrored_images_with_mirrored_labels():
    """Four pairs of classes, one on the left, one on the right, shown on both sides."""
    rng = np.random.default_rng(3)
    y = rng.integers(8, size=800)
    x = np.zeros((800, 12, 12, 1), "float32")
    row = np.where(y < 4, y, 7 - y)
    x[np.arange(800), 2 * row + 2, 2] = x[np.arange(800), 2 * row + 2, 9] = 1
    found = symmetry(x + 0.02 * rng.normal(size=x.shape).astype("float32"), y)
    assert found.found and found.details["transform"] == "flip_horizontal"
    assert found.details["twins"] == [[0, 7], [1, 6], [2, 5], [3, 4]]


def test_symmetric_images_whose_label_does_not_turn():
    """Bars across the middle, of eight widths: all symmetric, and none of them a twin."""
    rng = np.random.default_rng(4)
    y = rng.integers(8, size=800)
    x = (np.abs(AT)[:, None] <= (y[:, None, None] + 1) * 0.6) * np.ones(12)
    x = (x + 0.02 * rng.normal(size=x.shape))[..., None].astype("float32")
    found = symmetry(x, y)
    assert found.status == "absent"
    assert found.details["transforms"]["rot180"]["symmetric_share"] > 0.6


def test_symmetric_images_without_a_signal():
    x, _ = hands(800, 8, True)
    y = np.random.default_rng(5).integers(8, size=800)
    assert symmetry(x, y).status == "absent"


def test_images_that_are_not_square_are_not_turned_by_a_quarter():
    x, y = hands(400, 8, True)
    assert "rot90" not in symmetry(x[:, 1:-1], y).details["transforms"]


def test_too_few_classes_to_group():
    x, y = hands(400, 2, True)
    assert symmetry(x, y).status == "not_tested"
