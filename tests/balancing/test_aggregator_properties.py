"""What each aggregator promises, on gradients that are drawn, and on degenerate ones."""

import numpy as np
import pytest
from aggregators_under_test import BACKEND, DTYPES, METHODS, combined, cosines, noise_for
from hypothesis import given, settings
from hypothesis import strategies as st

#: Each shape is compiled anew: more tasks than parameters, too.
SHAPES = ((3, 5), (5, 3))
INDEPENDENT = (3, 5)
SEEDS = st.integers(0, 10_000)
few = settings(max_examples=12)
#: The best type that there is, and how much of a gradient's length may be left of what cancels
#: out: the root of its rounding.
EXACT = DTYPES[-1]
LEFT = {"float32": 5e-3, "float64": 1e-6}[EXACT]
CLOSE = {"float32": 2e-3, "float64": 1e-6}[EXACT]


def drawn(seed, shape=INDEPENDENT, rank=None):
    rng = np.random.default_rng(seed)
    if rank is None:
        return rng.normal(size=shape)
    rank = min(rank, *shape)
    return rng.normal(size=(shape[0], rank)) @ rng.normal(size=(rank, shape[1]))


def result(name, gradients, dtype=EXACT, **inputs):
    return combined(name, gradients, dtype=dtype, **inputs)[0]


def lengths(gradients):
    return np.linalg.norm(gradients, axis=1)


def left(name):
    """What may be left of gradients that cancel out; with FairGrad a power that depends on it."""
    return LEFT ** (2 / 3) if name == "FairGrad(2)" else LEFT


def that(promise):
    """Parametrises a test by the methods that promise something."""
    kept = [name for name in METHODS if promise(METHODS[name])]
    return pytest.mark.parametrize("name", kept)


every = that(lambda promises: True)


class TestPromises:
    @every
    @given(
        seed=SEEDS,
        shape=st.sampled_from(SHAPES),
        rank=st.integers(1, 5),
        scale=st.sampled_from([0, 1e-10, 1e3, 1e5, 1e10, 1e15]),
    )
    @few
    def test_structure(self, name, seed, shape, rank, scale):
        gradients = scale * drawn(seed, shape, rank)
        found = result(name, gradients, dtype="float32")
        assert found.shape == shape[1:] and np.isfinite(found).all()
        if scale == 0:
            assert not found.any()
        if METHODS[name].longest:
            assert np.linalg.norm(found) <= lengths(gradients).max() * (1 + 1e-2)

    @every
    @given(seed=SEEDS, power=st.sampled_from([-33, 10, 17, 33, 50]))
    @few
    def test_scale(self, name, seed, power):
        gradients = drawn(seed)
        expected = 2.0 ** (power * METHODS[name].degree) * result(name, gradients, dtype="float32")
        found = result(name, 2.0**power * gradients, dtype="float32")
        np.testing.assert_allclose(found, expected, atol=1e-4 * abs(expected).max())

    @that(lambda promises: promises.non_conflicting)
    @given(seed=SEEDS, shape=st.sampled_from(SHAPES), rank=st.integers(1, 5), spread=st.booleans())
    @few
    def test_no_conflict(self, name, seed, shape, rank, spread):
        promises = METHODS[name]
        if promises.non_conflicting == "independent":
            shape, rank = INDEPENDENT, None
        gradients = drawn(seed, shape, rank)
        if spread:
            gradients = gradients * 10 ** np.random.default_rng(seed).uniform(-2, 2, (shape[0], 1))
        found = result(name, gradients)
        size = lengths(gradients).max() if promises.degree == 1 else 10
        rounding = size * (LEFT**2 if rank is None else left(name))
        products = cosines(gradients, found) * np.linalg.norm(found)
        assert products.min() > -CLOSE * np.linalg.norm(found) - rounding

    @every
    @given(seed=SEEDS)
    @few
    def test_permutation(self, name, seed):
        rng = np.random.default_rng(seed)
        gradients, order = drawn(seed), rng.permutation(3)
        noise = noise_for(METHODS[name].make(), INDEPENDENT, seed)
        losses = rng.uniform(1, 2, 3)
        moved = noise[np.ix_(order, order)] if noise.ndim == 2 else noise
        first = result(name, gradients, noise=noise, losses=losses)
        second = result(name, gradients[order], noise=moved, losses=losses[order])
        size = abs(first).max() if METHODS[name].degree == 1 else 2.0
        np.testing.assert_allclose(second, first, atol=CLOSE * size)

    @that(lambda promises: promises.linear)
    @given(seed=SEEDS)
    @few
    def test_linear_under_scaling(self, name, seed):
        gradients = drawn(seed)
        first, second = np.random.default_rng(seed).uniform(0.1, 2, size=(2, 3, 1))
        expected = result(name, first * gradients) + result(name, second * gradients)
        found = result(name, (first + second) * gradients)
        np.testing.assert_allclose(found, expected, atol=CLOSE * abs(expected).max())

    @that(lambda promises: promises.scale_free)
    @given(seed=SEEDS)
    @few
    def test_scales_of_single_gradients(self, name, seed):
        gradients = drawn(seed)
        factors = 10 ** np.random.default_rng(seed).uniform(-2, 2, size=(3, 1))
        found, expected = result(name, factors * gradients), result(name, gradients)
        np.testing.assert_allclose(found, expected, atol=CLOSE)

    @that(lambda promises: promises.stationary)
    @given(seed=SEEDS)
    @few
    def test_nothing_where_gradients_cancel_out(self, name, seed):
        gradients = drawn(seed, (2, 5))
        weights = np.random.default_rng(seed).uniform(0.2, 1, size=2)
        gradients = np.vstack([gradients, -weights @ gradients])
        assert np.linalg.norm(result(name, gradients)) < LEFT * lengths(gradients).max()

    @that(lambda promises: promises.keeps_going)
    @given(seed=SEEDS)
    @few
    def test_something_where_a_task_can_still_improve(self, name, seed):
        rotation = np.linalg.qr(drawn(seed, (5, 5)))[0]
        found = result(name, np.vstack([rotation[0], -2 * rotation[0], rotation[1]]))
        assert rotation[1] @ found > 0.1


class TestDegenerate:
    @every
    def test_equal_gradients(self, name):
        promises = METHODS[name]
        gradients = np.tile([1.0, -2.0, 0.0, 2.0, 4.0], (3, 1))
        found = result(name, gradients)
        if promises.equal:
            np.testing.assert_allclose(found, promises.equal(3) * gradients[0], atol=1e-4)
            averages = promises.equal(3) < 2
            assert averages == promises.make().averages
        else:
            assert min(cosines(gradients, found)) > 1 - 1e-5 and not promises.make().averages

    @every
    @pytest.mark.parametrize(
        "gradients",
        [
            [[1, 0, 0, 0, 0], [-2, 0, 0, 0, 0], [0, 0, 0, 0, 0]],
            [[1, 2, 0, 1, 0], [-1, -2, 0, -1, 0], [0.5, 1, 0, 0.5, 0]],
            [[1, 0, 2, 0, 1], [2, 0, 4, 0, 2], [-1, 1, 0, 0, 0]],
            [[1e5, 1, 0, 0, 0], [1e5, 0, 0, 0, 0], [1e-5, 0, 0, 0, 0]],
        ],
        ids=["opposed", "opposed-and-copied", "copied", "nearly-copied"],
    )
    def test_dependent_gradients(self, name, gradients):
        gradients = np.array(gradients, "float64")
        found = result(name, gradients)
        assert np.isfinite(found).all()
        if METHODS[name].longest:
            assert np.linalg.norm(found) <= lengths(gradients).max() * (1 + CLOSE)
        if METHODS[name].non_conflicting == "always":
            assert cosines(gradients, found).min() * np.linalg.norm(found) > -10 * left(name)

    @that(lambda promises: promises.non_conflicting)
    def test_opposed_gradients_give_nothing(self, name):
        found = result(name, [[1, 0, 0, 0, 0], [-2, 0, 0, 0, 0], [0, 0, 0, 0, 0]])
        assert np.linalg.norm(found) < 10 * left(name)

    @every
    @pytest.mark.parametrize("place", [0, 1, 3])
    def test_tasks_without_gradients_take_no_part(self, name, place):
        gradients, kept = np.zeros((5, 5)), np.delete(np.arange(5), [place, 4])
        gradients[kept] = drawn(3)
        losses = np.full(5, np.nan)
        losses[kept] = 1.0
        noise = noise_for(METHODS[name].make(), (5, 5))
        part = noise[np.ix_(kept, kept)] if noise.ndim == 2 else noise
        found = result(name, gradients, noise=noise, losses=losses)
        expected = result(name, gradients[kept], noise=part)
        np.testing.assert_allclose(found, expected, atol=CLOSE * abs(expected).max())

    @every
    def test_one_task(self, name):
        gradient = np.array([[3.0, 0.0, -4.0]])
        found = result(name, gradient)
        factor = {"NashMTL": 1 / 5, "NashMTL at most 1": 1 / 5, "FairGrad": 1 / 5}.get(name, 1.0)
        factor = {"FairGrad(2)": 5 ** (-4 / 3), "CAGrad": 1.4}.get(name, factor)
        np.testing.assert_allclose(found, factor * gradient[0], rtol=1e-4, atol=1e-6)

    @every
    @pytest.mark.parametrize("value", [np.nan, np.inf])
    def test_what_is_not_finite_stays_visible(self, name, value):
        aggregator = METHODS[name].make()
        gradients = drawn(0)
        _, state = combined(name, gradients)
        gradients[1, 2] = value
        found, after = combined(name, gradients, state=state)
        assert not np.isfinite(found[2])
        for key in aggregator.initial_state(3):
            np.testing.assert_array_equal(after[key], state[key])


@pytest.mark.skipif(BACKEND != "tensorflow", reason="XLA is an option on TensorFlow alone")
@pytest.mark.parametrize("name", ["UPGrad", "CAGrad", "NashMTL", "AlignedMTL", "IMTLG", "GradVac"])
def test_compiled_by_xla(name):
    gradients = drawn(1)
    expected = result(name, gradients)
    np.testing.assert_allclose(
        result(name, gradients, xla=True), expected, atol=1e-4 * abs(expected).max()
    )
    gradients[1] = 0
    assert np.isfinite(result(name, gradients, xla=True)).all()
