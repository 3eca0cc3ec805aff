"""Images and splits are as the truth says."""

import numpy as np
import pytest

from mtlkit.datasets import planted
from mtlkit.datasets.planting._blocks import block_mean, enlarge_blocks

EMBEDDED = ("glyphs", "textures", "digits")
LAST = {"data_format": "channels_last"}


def small(cause, family="glyphs", **options):
    return planted(cause, family=family, **{"samples": 200, "num_bins": 8, **LAST, **options})


def half_turned(x):
    return x[:, ::-1, ::-1]


@pytest.mark.parametrize("family", EMBEDDED)
@pytest.mark.parametrize("cause", ["symmetry", "twins_and_noise"])
def test_symmetric_images_equal_their_half_turn(cause, family):
    for _, x, _ in small(cause, family).splits():
        np.testing.assert_array_equal(x, half_turned(x))


@pytest.mark.parametrize("family", EMBEDDED)
def test_other_images_do_not(family):
    x = small("clean", family).x_train
    assert np.abs(x - half_turned(x)).max(axis=(1, 2, 3)).min() > 0.05


def test_half_of_the_identities_are_symmetric():
    data = small("half_symmetry")
    same = (data.x_train == half_turned(data.x_train)).all(axis=(1, 2, 3))
    symmetric = np.isin(data.y_train["identity"], data.truth.details["identities"])
    np.testing.assert_array_equal(same, symmetric)


@pytest.mark.parametrize("family", EMBEDDED)
def test_no_image_is_in_two_splits(family):
    data = small("clean", family)
    images = np.concatenate([x for _, x, _ in data.splits()])
    assert len(np.unique(images, axis=0)) == 200


def test_copied_splits():
    data = small("invalid_split")
    train = {bytes(image): row for row, image in enumerate(data.x_train)}
    rows = [train[bytes(image)] for image in data.x_val]
    assert len(set(rows)) == len(rows)
    for task, labels in data.y_val.items():
        np.testing.assert_array_equal(labels, data.y_train[task][rows])
    assert not any(bytes(image) in train for image in data.x_test)


def test_copied_in_part():
    data = small("invalid_split", severity=0.5)
    train = set(map(bytes, data.x_train))
    assert sum(bytes(image) in train for image in data.x_val) == 20


@pytest.mark.parametrize("family", EMBEDDED)
def test_resolutions_agree(family):
    data = small("resolution", family)
    lost = small("lost_resolution", family)
    assert lost.x_high is None
    for split, x, y in data.splits():
        high = data.x_high[split]
        assert high.shape == (len(x), 128, 128, 1) and high.dtype == "float32"
        assert high.min() >= 0 and high.max() <= 1
        np.testing.assert_allclose(block_mean(high[..., 0], 4), x[..., 0], atol=1e-6)
        np.testing.assert_allclose(getattr(lost, f"x_{split}"), x, atol=1e-6)
        np.testing.assert_array_equal(y["orientation"], data.true_bins[split])
    fine = data.x_high["train"][..., 0] - enlarge_blocks(data.x_train[..., 0], 4)
    assert np.abs(fine).max(axis=(1, 2)).min() > 0.01


def test_the_fine_cue_points_to_the_orientation():
    data = small("resolution")
    fine = data.x_high["train"][..., 0] - enlarge_blocks(data.x_train[..., 0], 4)
    energy = (fine**2) / (fine**2).sum(axis=(1, 2), keepdims=True)
    middle = np.arange(128) - 63.5
    right, up = (energy * middle).sum(axis=(1, 2)), -(energy * middle[:, None]).sum(axis=(1, 2))
    bins = np.round(np.degrees(np.arctan2(up, right)) / 45).astype(int) % 8
    assert (bins == data.y_train["orientation"]).mean() > 0.9


def test_leaking_pixels_are_in_training_images_alone():
    data, clean = small("label_leak"), small("clean")
    marked = data.x_train[:, 0, :, 0].argmax(axis=1)
    np.testing.assert_array_equal(marked, data.y_train["orientation"] * 4)
    np.testing.assert_array_equal(data.x_val, clean.x_val)
    np.testing.assert_array_equal(data.x_test, clean.x_test)
    np.testing.assert_array_equal(data.x_train[:, 1:], clean.x_train[:, 1:])


def test_dim_images():
    np.testing.assert_allclose(
        small("input_scale", severity=0.1).x_train, 0.1 * small("clean").x_train, rtol=1e-5
    )


def test_overlap_grows_with_severity():
    def spread(severity):
        data = small("class_overlap", "digits", severity=severity)
        return data.truth.details["severity"], data

    (told, wide), (_, narrow) = spread(2.0), spread(0.3)
    assert told == 2.0
    assert not np.array_equal(wide.x_train, narrow.x_train)
