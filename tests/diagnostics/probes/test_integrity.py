import numpy as np
import pytest

from mtlkit.diagnostics.probes.integrity import alignment, duplicates, splits


def blobs(samples, seed, noise=0.02):
    """Bright spots at random places: similar images of one kind, none of them equal."""
    rng = np.random.default_rng(seed)
    row, column = rng.uniform(2, 10, size=(2, samples, 1, 1))
    at = np.arange(12)
    spot = np.exp(-((at[:, None] - row) ** 2 + (at - column) ** 2) / 4)
    x = spot + noise * rng.normal(size=spot.shape)
    return x[..., None].astype("float32"), (row[:, 0, 0] > 6).astype(int) * 2 + (
        column[:, 0, 0] > 6
    )


@pytest.mark.parametrize("noise", [0.0, 0.02, 0.3])
def test_images_of_one_generator_are_no_copies(noise):
    x, y = blobs(700, 0, noise)
    found = splits(x[:500], y[:500], x[500:], y[500:])
    assert found.status == "absent" and found.details["exact"] == 0


def test_exact_copies_are_counted():
    x, y = blobs(700, 1)
    x[500:540] = x[:40]
    found = splits(x[:500], y[:500], x[500:], y[500:])
    assert found.found and found.effect == pytest.approx(40 / 200)
    assert found.details["exact_rows"].tolist() == list(range(40))
    assert found.details["exact_of"].tolist() == list(range(40))
    assert found.details["copies_with_other_labels"]["y"] == (y[500:540] != y[:40]).sum()


@pytest.mark.parametrize("change", [lambda x: 0.6 * x, lambda x: x + 0.1, lambda x: x + 0.001])
def test_near_copies_are_found(change):
    x, y = blobs(700, 2)
    x[500:600] = change(x[:100])
    found = splits(x[:500], y[:500], x[500:], y[500:])
    assert found.found and found.effect == pytest.approx(0.5, abs=0.05)


def test_a_single_copy_does_not_matter():
    x, y = blobs(700, 3)
    x[500] = x[0]
    found = splits(x[:500], y[:500], x[500:], y[500:])
    assert not found.found and found.effect == pytest.approx(1 / 200)


def test_images_that_are_repeated_in_training_are_not_near_copies_of_validation():
    """Near copies within the training data are no leak, if there are as many across."""
    x, y = blobs(500, 4)
    rng = np.random.default_rng(4)
    repeated = np.repeat(x, 2, axis=0) + 0.001 * rng.normal(size=(1000, 12, 12, 1))
    fresh, fresh_y = blobs(200, 5)
    assert splits(repeated, np.repeat(y, 2), fresh, fresh_y).status == "absent"


@pytest.mark.parametrize("offset", [-5, -1, 1, 3])
def test_labels_that_slipped_are_moved_back(offset):
    x, y = blobs(600, 6)
    found = alignment(x, np.roll(y, offset))
    assert found.found and found.details["offset"] == -offset
    assert found.p_value < 1e-6 and found.effect > 0.3


def test_aligned_labels_stay():
    x, y = blobs(600, 7)
    assert alignment(x, y).status == "absent"
    order = np.argsort(y, kind="stable")  # sorted rows fit well at any offset
    assert alignment(x[order], y[order]).status == "absent"


def test_labels_that_nothing_predicts_have_not_slipped():
    x, y = blobs(600, 8)
    assert not alignment(x, np.random.default_rng(0).permutation(y)).found


def test_a_lost_row_moves_those_after_it():
    x, y = blobs(800, 9)
    y = np.concatenate([y[:480], y[481:], y[:1]])
    found = alignment(x, y)
    assert found.found and found.details["offset"] == 1
    assert found.details["block_offsets"] == [0] * 6 + [1] * 4


def test_values_and_several_tasks():
    x, y = blobs(600, 10)
    value = x.mean(axis=(1, 2, 3)) + 0.01 * y
    found = alignment(x, {"place": y, "value": np.roll(value, 2)})
    assert found.found and found.details["task"] == "value" and found.details["offset"] == -2
    assert found.details["tasks"]["place"]["status"] == "absent"


def test_duplicates_and_their_labels():
    x, y = blobs(300, 11)
    x[100:130] = x[:30]
    y[100:130] = y[:30]
    y[100:110] += 1
    found = duplicates(x, {"y": y, "same": np.zeros(300)})
    assert found.effect == pytest.approx(60 / 300) and found.details["num_groups"] == 30
    assert found.details["tasks"]["y"]["conflicting"] == pytest.approx(20 / 60)
    assert found.details["tasks"]["same"]["groups"] == 0
    assert duplicates(x[130:], y[130:]).status == "absent"
