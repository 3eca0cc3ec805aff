import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from mtlkit.datasets import rotate_images
from mtlkit.datasets.rotation import rotated_tasks


def random_images(samples=3, height=9, width=9, seed=0):
    return np.random.default_rng(seed).random((samples, height, width))


@pytest.mark.parametrize("size", [(9, 9), (8, 12), (1, 1)])
@pytest.mark.parametrize("degrees", [0.0, 11.25, 33.0, 90.0, -57.5, 200.0, 1000.0])
def test_agrees_with_scipy(size, degrees):
    images = random_images(2, *size)
    expected = ndimage.rotate(
        images, degrees, axes=(2, 1), order=1, reshape=False, mode="grid-constant"
    )
    rotated = rotate_images(images, np.full(2, degrees))
    np.testing.assert_allclose(rotated, expected, atol=2e-5)
    assert rotated.dtype == "float32"


@pytest.mark.parametrize("turns", [-1, 0, 1, 2, 3])
def test_quarter_turns_agree_with_rot90(turns):
    images = random_images()
    rotated = rotate_images(images, np.full(3, 90.0 * turns))
    np.testing.assert_allclose(rotated, np.rot90(images, turns, axes=(1, 2)), atol=1e-5)


def test_positive_angles_turn_counter_clockwise_as_displayed():
    image = np.zeros((1, 21, 21))
    image[0, 10, 20] = 1  # 3 o'clock
    rotated = rotate_images(image, np.array([45.0]))[0]
    row, column = np.unravel_index(rotated.argmax(), rotated.shape)
    assert row < 10 < column  # half past one: up and to the right


def test_each_image_has_its_own_angle():
    images = random_images(600, 5, 5)  # more than one chunk
    degrees = np.random.default_rng(1).uniform(0, 360, 600)
    together = rotate_images(images, degrees)
    for index in (0, 255, 256, 599):
        alone = rotate_images(images[index : index + 1], degrees[index : index + 1])
        np.testing.assert_array_equal(together[index], alone[0])


@settings(max_examples=30, deadline=None)
@given(
    turns=st.integers(-3, 3),
    height=st.integers(1, 12),
    width=st.integers(1, 12),
    seed=st.integers(0, 2**32 - 1),
)
def test_whole_turns_change_nothing(turns, height, width, seed):
    images = random_images(2, height, width, seed)
    np.testing.assert_allclose(rotate_images(images, np.full(2, 360.0 * turns)), images, atol=1e-5)


@settings(max_examples=30, deadline=None)
@given(degrees=st.floats(-720, 720), seed=st.integers(0, 2**32 - 1))
def test_interpolation_stays_within_the_range_of_the_image_and_zero(degrees, seed):
    rotated = rotate_images(random_images(1, 7, 10, seed), np.array([degrees]))
    assert rotated.min() >= -1e-6 and rotated.max() <= 1 + 1e-6


def test_wrong_shapes_are_errors():
    with pytest.raises(ValueError, match=r"degrees\.shape=\(2,\)"):
        rotate_images(random_images(3), np.zeros(2))
    with pytest.raises(ValueError, match=r"images\.shape=\(9, 9\)"):
        rotate_images(np.zeros((9, 9)), np.zeros(9))


def test_labels_follow_the_definition():
    """An off-centre spot tells the angle and the amplitude that were really applied."""
    rows, columns = np.mgrid[16:-17:-1, -16:17]  # upwards and to the right of the centre
    spots = np.tile(np.exp(-(rows**2 + (columns - 9) ** 2) / 8), (400, 1, 1))
    x, y = rotated_tasks(spots, np.arange(400) % 7, np.random.default_rng(0), num_bins=16)

    np.testing.assert_array_equal(y["identity"], np.arange(400) % 7)
    assert y["identity"].dtype == y["orientation"].dtype == "int64"
    assert set(y["orientation"]) == set(range(16))
    assert 0.2 <= y["intensity"].min() < 0.21 and 0.99 < y["intensity"].max() <= 1
    mass = x.sum(axis=(1, 2))
    np.testing.assert_allclose(mass, spots[0].sum() * y["intensity"], rtol=0.01)
    angle = np.degrees(np.arctan2((x * rows).sum((1, 2)), (x * columns).sum((1, 2))))
    off_centre = (angle / 22.5 - y["orientation"] + 8) % 16 - 8  # in bins, from the bin's centre
    assert np.abs(off_centre).max() < 0.52
    assert off_centre.min() < -0.45 and off_centre.max() > 0.45


def test_tasks_are_determined_by_the_generator():
    def make(seed):
        return rotated_tasks(random_images(20), np.zeros(20, int), np.random.default_rng(seed))

    (x, y), (same_x, same_y), (other_x, _) = make(0), make(0), make(1)
    np.testing.assert_array_equal(x, same_x)
    for task in y:
        np.testing.assert_array_equal(y[task], same_y[task])
    assert not np.array_equal(x, other_x)


def test_ten_thousand_images_take_a_few_seconds():
    images, rng = np.ones((10_000, 32, 32), "float32"), np.random.default_rng(0)

    def seconds():
        start = time.process_time()
        rotated_tasks(images, np.zeros(10_000, int), rng)
        return time.process_time() - start

    assert min(seconds(), seconds()) < 6  # a second on a fast machine
