import numpy as np
import pytest

from mtlkit.diagnostics.data_probes._resolution import (
    _reduced_and_back,
    detail_share,
    resolution,
)
from mtlkit.references._reduced import averaging


def checkers(samples=500, side=24, seed=0):
    """Fine stripes along the rows or the columns, which vanish if the side is halved."""
    rng = np.random.default_rng(seed)
    y = rng.integers(2, size=samples)
    lines = np.broadcast_to((np.arange(side) % 2)[:, None], (side, side))
    x = np.where(y[:, None, None] == 0, lines, lines.T) + 0.3 * rng.normal(
        size=(samples, side, side)
    )
    return x[..., None].astype("float32"), y


def halved(x):
    samples, side = x.shape[:2]
    return x.reshape(samples, side // 2, 2, side // 2, 2, 1).mean(axis=(2, 4))


def test_coarse_structure_needs_no_resolution():
    rng = np.random.default_rng(0)
    y = rng.integers(2, size=400)
    x = 0.1 * rng.random((400, 12, 12, 1), dtype="float32")
    x[y == 1, :6] += 1
    found = resolution(x, y)
    assert found.status == "absent" and found.details["sides"]["0.5"] == 6


def test_fine_structure_may_need_it():
    x, y = checkers(side=12)
    found = resolution(x, y)
    assert found.status == "unclear" and found.effect > 0.3


def test_only_a_higher_resolution_shows_that_it_is_missing():
    x, y = checkers()
    low = halved(x)
    unseen = resolution(low, y)
    assert unseen.status == "unclear"  # nothing is learned, so nothing is lost by halving
    found = resolution(low, y, x_high=x)
    assert found.found and found.effect == pytest.approx(0.5, abs=0.08)


def test_a_higher_resolution_that_does_not_help():
    x, _ = checkers()
    y = np.random.default_rng(1).integers(2, size=500)
    x[y == 1, :12] += 1
    assert resolution(halved(x), y, x_high=x).status == "absent"


def test_values():
    rng = np.random.default_rng(0)
    y = rng.random(400).astype("float32")
    x = 0.05 * rng.random((400, 12, 12, 1), dtype="float32")
    x[np.arange(400), (y * 12).astype(int)] += 1
    found = resolution(x, y)
    assert found.unit == "R²" and found.details["scores"]["1"] > 0.5


def test_reduced_images_are_averages_over_larger_pixels():
    x = np.random.default_rng(0).random((2, 12, 12, 1), dtype="float32")
    expected = np.repeat(np.repeat(halved(x), 2, axis=1), 2, axis=2)
    assert np.allclose(_reduced_and_back(x, 0.5), expected, atol=1e-6)
    # Where pixels do not divide: each new one is a mean, none is lost.
    weights = averaging(12, 9)
    assert np.allclose(weights.sum(axis=1), 1) and np.allclose(weights.sum(axis=0), 9 / 12)


def test_higher_resolution_must_be_higher():
    x, y = checkers(samples=60)
    with pytest.raises(ValueError, match="x_high"):
        resolution(x, y, x_high=halved(x))


def photos(samples=40, side=64, seed=0):
    """Images with as much energy in each octave of frequency, as photographs have."""
    rng = np.random.default_rng(seed)
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(side), np.fft.fftfreq(side)))
    frequency[0, 0] = np.inf
    phases = np.exp(2j * np.pi * rng.random((samples, side, side)))
    return np.fft.ifft2(phases / frequency).real[..., None].astype("float32")


def test_enlarged_images_have_less_detail_than_pixels():
    from scipy.ndimage import zoom

    x = photos()
    half, quarter = halved(x), halved(halved(x))
    repeated = half.repeat(2, axis=1).repeat(2, axis=2)
    assert detail_share(x) == 1.0 and detail_share(repeated) == 0.5
    assert detail_share(zoom(half, (1, 2, 2, 1), order=1)) == 0.5
    assert detail_share(zoom(half, (1, 2, 2, 1), order=3)) == 0.5
    assert detail_share(zoom(quarter, (1, 4, 4, 1), order=1)) == 0.25
    assert detail_share(np.ones((5, 32, 32, 1))) == 1.0
    assert detail_share(np.random.default_rng(0).random((5, 32, 32, 1))) == 1.0


def test_of_enlarged_images_the_detail_is_halved():
    """Stripes of two pixels, which are gone at half of what they were drawn at."""
    x, y = checkers(side=16)
    large = x.repeat(2, axis=1).repeat(2, axis=2)
    found = resolution(large, y)
    assert found.details["detail_share"] == 0.5
    assert found.status == "unclear" and found.effect > 0.3
    assert "no more detail than 16 pixels" in found.text
