import numpy as np
import pytest
from sklearn.neighbors import KNeighborsRegressor

from mtlkit.references import Panel, Reference
from mtlkit.references._encodings import (
    as_values,
    scaled_pixels,
    standardized,
    summaries,
    word_counts,
)
from mtlkit.references._kernel import kernel_features
from mtlkit.references._kinds import KINDS, input_kind
from mtlkit.references._neighbours import Neighbours
from mtlkit.references._reduced import at_most

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("x", "kind"),
    [
        (np.zeros((9, 4, 4, 1)), "images"),
        (np.zeros((9, 20, 3)), "sequences"),
        (np.zeros((9, 5)), "columns"),
        (np.stack([np.arange(60) % 90, np.arange(60) % 2, np.arange(60) % 16], axis=1), "columns"),
        (RNG.integers(0, 50, (200, 12)), "tokens"),
        (RNG.integers(0, 2, (200, 12)), "columns"),
    ],
)
def test_what_inputs_are(x, kind):
    assert input_kind(x) == kind


def test_other_inputs_are_refused():
    with pytest.raises(ValueError, match=r"Expected images.*Received: shape \(9,\)"):
        input_kind(np.zeros(9))
    with pytest.raises(ValueError, match="Expected kind, for columns, out of .*'trees'"):
        Reference(np.zeros((9, 3)), np.arange(9) % 2, kind="patches")


def inputs(kind, y):
    """Inputs that show two classes, in a way that each kind of reference sees."""
    rng = np.random.default_rng(1)
    if kind == "images":
        x = rng.random((len(y), 12, 12, 1), dtype="float32")
        x[y == 1, :6] += 1
    elif kind == "sequences":
        x = rng.normal(size=(len(y), 30, 2))
        x[y == 1, 10:20, 1] += 3
    elif kind == "tokens":
        x = rng.integers(1, 60, (len(y), 20))
        x[y == 1, :4] = 7
    else:
        x = rng.normal(size=(len(y), 6))
        x[y == 1, 2] += 4
    return x


@pytest.mark.parametrize("inputs_kind", ["images", "columns", "sequences", "tokens"])
def test_each_reference_learns_and_leaves_out(inputs_kind):
    y = np.arange(240) % 2
    panel = Panel(inputs(inputs_kind, y), y)
    assert list(panel.references) == [kind.name for kind in KINDS[inputs_kind]]
    for name, skill in panel.skills.items():
        least = 0.4 if (inputs_kind, name) == ("tokens", "neighbours") else 0.5
        assert skill > least, name
    noise = panel.with_labels(np.random.default_rng(2).integers(2, size=240))
    for name, skill in noise.skills.items():  # as any label is predicted without itself
        assert skill < 0.25, name


def test_given_features_are_two_more_references():
    y = np.arange(200) % 4
    x = RNG.normal(size=(200, 5))
    features = np.eye(4)[y] + 0.1 * RNG.normal(size=(200, 4))
    panel = Panel(x, y, features=features)
    assert panel.best.kind.name.startswith("features") and panel.best.accuracy > 0.95
    assert panel.others[0].kind.name.startswith("features")
    assert panel.best.smaller.accuracy > 0.9


def test_interactions_need_more_than_a_line():
    x = RNG.uniform(-1, 1, size=(1000, 4))
    panel = Panel(x, ((x[:, 0] > 0) ^ (x[:, 1] > 0)).astype(int))
    assert panel.skills["linear"] < 0.2 and panel.best.skill > 0.6


def test_neighbours_by_hand():
    x = RNG.normal(size=(80, 3)).astype("float32")
    y = RNG.normal(size=(80, 1)).astype("float32")
    predicted = Neighbours(x).left_out(y, 8)
    for row in range(0, 80, 7):
        others = np.delete(np.arange(80), row)

        def weights(distances):
            ratio = (distances / np.sort(distances[0])[8]) ** 2
            return np.where(ratio < 1, 1 - ratio, 0) + 1e-3 * np.exp(-2 * ratio)

        nearest = KNeighborsRegressor(65, weights=weights).fit(x[others], y[others])
        np.testing.assert_allclose(predicted[row], nearest.predict(x[[row]])[0], rtol=1e-3)


def test_near_neighbours_are_not_outvoted_where_noise_makes_distances_alike():
    rng = np.random.default_rng(0)
    place = np.repeat(np.arange(30), 2)  # of a place there are two samples, the other one is near
    x = np.concatenate([3 * np.eye(30)[place], 0.35 * rng.normal(size=(60, 300))], axis=1)
    predicted = Neighbours(x).left_out(np.eye(30)[place], 2)
    assert (predicted.argmax(axis=1) == place).mean() > 0.8


def test_pixels_that_hardly_vary_count_less():
    rng = np.random.default_rng(0)
    images = rng.normal(size=(400, 8, 8, 1))
    images[:, :, 2:] *= 0.01  # noise beside what is shown
    scaled = scaled_pixels(images).reshape(images.shape)
    np.testing.assert_allclose(scaled.mean(axis=0), 0, atol=1e-6)
    assert scaled[:, :, :2].std() > 10 * scaled[:, :, 2:].std()
    alike = scaled_pixels(images * 1000 + 5).reshape(images.shape)
    np.testing.assert_allclose(alike, scaled, rtol=1e-3, atol=1e-5)


def test_kernel_features_are_the_kernel():
    x = RNG.normal(size=(60, 3)).astype("float32")
    found = kernel_features(x)
    squared = ((x[:, None] - x[None]) ** 2).sum(axis=-1)
    width = 0.25 * np.median(squared)
    np.testing.assert_allclose(found @ found.T, np.exp(-squared / (2 * width)), atol=2e-3)


def test_principal_components_keep_distances():
    x = RNG.normal(size=(50, 400)).astype("float32")
    flat, kept = standardized(x), as_values(x)
    for few in (flat, kept):
        assert few.shape[0] == 50
    np.testing.assert_allclose(kept @ kept.T, flat @ flat.T, atol=1e-2)


def test_summaries_and_counts_are_of_one_sample():
    x = RNG.normal(size=(40, 25, 3))
    assert np.isfinite(summaries(x)).all() and np.isfinite(summaries(x[:, :1])).all()
    tokens = RNG.integers(1, 500, (40, 30))
    counts = word_counts(tokens)
    np.testing.assert_allclose(np.linalg.norm(counts, axis=1), 1, rtol=1e-5)
    padded = word_counts(np.concatenate([tokens, np.zeros((40, 5), int)], axis=1))
    np.testing.assert_allclose(padded, counts, rtol=1e-5)


def test_images_are_averaged():
    x = RNG.integers(0, 255, (3, 128, 64, 3)).astype("uint8")
    small = at_most(x, 32)
    assert small.shape == (3, 32, 16, 3)
    blocks = x.reshape(3, 32, 4, 16, 4, 3).astype("float64").mean(axis=(2, 4))
    np.testing.assert_allclose(small, blocks, rtol=1e-4)
    np.testing.assert_array_equal(at_most(x, 200), x)
