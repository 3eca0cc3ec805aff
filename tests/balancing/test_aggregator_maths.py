"""Aggregators against closed forms, NumPy and SciPy."""

import functools

import numpy as np
import pytest
import reference_aggregators as reference
from aggregators_under_test import BACKEND, DTYPES, METHODS, combined, noise_for
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops
from scipy.optimize import nnls

from mtlkit import balancing
from mtlkit.balancing.aggregation._nonnegative_quadratic import nonnegative_minimum

PAIR = np.array([[-4.0, 1.0, 1.0], [6.0, 1.0, 1.0]])
TRIPLE = np.array([[1.0, 2.0, -1.0, 0.0], [-2.0, 1.0, 3.0, 1.0], [0.0, -3.0, 1.0, 2.0]])
#: Two hundred Jacobians in all; each number of tasks is compiled once.
TASKS, OF_EACH = (2, 3, 5, 8), 50
EXACT = DTYPES[-1]


@functools.cache
def badly_scaled(tasks):
    """Independent gradients whose lengths differ by up to a factor of 10,000."""
    rng = np.random.default_rng(tasks)
    factors = 10 ** rng.uniform(-2, 2, size=(OF_EACH, tasks, 1))
    return factors * rng.normal(size=(OF_EACH, tasks, tasks + 3))


many = pytest.mark.parametrize("tasks", TASKS)
each_dtype = pytest.mark.parametrize("dtype", DTYPES)


def result(name, gradients, **inputs):
    return combined(name, gradients, **inputs)[0].astype("float64")


@each_dtype
@many
class TestBadlyScaled:
    """200 Jacobians, with lengths of rows from 0.01 to 100."""

    def jacobians(self, tasks, dtype):
        return badly_scaled(tasks).astype(dtype).astype("float64")

    @pytest.mark.parametrize("method", ["UPGrad", "DualProj"])
    def test_no_conflict(self, tasks, dtype, method):
        exact = {"UPGrad": reference.upgrad, "DualProj": reference.dual_proj}[method]
        for gradients in self.jacobians(tasks, dtype):
            found = result(method, gradients, dtype=dtype)
            lengths = np.linalg.norm(gradients, axis=1) * np.linalg.norm(found)
            assert (gradients @ found / lengths).min() > (-1e-9 if dtype == "float64" else -1e-5)
            tolerance = (1e-9 if dtype == "float64" else 1e-4) * abs(found).max()
            np.testing.assert_allclose(found, exact(gradients), atol=tolerance)

    def test_shortest(self, tasks, dtype):
        for gradients in self.jacobians(tasks, dtype):
            found = result("MGDA", gradients, dtype=dtype)
            least = np.sum(reference.mgda(gradients) ** 2)
            assert found @ found == pytest.approx(least, rel=1e-9 if dtype == "float64" else 1e-5)

    @pytest.mark.parametrize("method", ["NashMTL", "FairGrad"])
    def test_bargaining(self, tasks, dtype, method):
        rng = np.random.default_rng(0)
        tolerance = 1e-9 if dtype == "float64" else 1e-3
        some = OF_EACH if method == "NashMTL" else 10  # they are the same at alpha 1
        for gradients in self.jacobians(tasks, dtype)[:some]:
            rows = gradients / np.linalg.norm(gradients, axis=1, keepdims=True)
            found = result(method, gradients, dtype=dtype)
            weights = np.linalg.lstsq(rows.T, found, rcond=None)[0]
            assert abs(weights * (rows @ found) - 1).max() < tolerance
            factors = 10 ** rng.uniform(-2, 2, size=(tasks, 1))
            other = result(method, (factors * gradients).astype(dtype), dtype=dtype)
            np.testing.assert_allclose(other, found, atol=max(tolerance, 1e-6))

    def test_fairness(self, tasks, dtype):
        """The equations of alpha 2, by weights that the method itself gives."""
        aggregator, tolerance = balancing.FairGrad(2.0), 1e-6 if dtype == "float64" else 1e-2
        for gradients in self.jacobians(tasks, dtype)[:5]:
            weights = aggregator.weights((gradients @ gradients.T).astype(dtype))
            products = gradients @ (weights @ gradients)
            assert abs(products * np.sqrt(weights) - 1).max() < tolerance

    def test_best_worst_task(self, tasks, dtype):
        """No vector within reach is better: the dual problem, solved by SciPy, says so."""
        for gradients in self.jacobians(tasks, dtype)[:15]:
            # SciPy's solver needs comparable scales.
            gradients = gradients / np.linalg.norm(gradients, axis=1, keepdims=True) ** 0.75
            found = result("CAGrad", gradients.astype(dtype), dtype=dtype)
            mean = gradients.mean(axis=0)
            reach = 0.4 * np.linalg.norm(mean)
            assert np.linalg.norm(found - mean) <= reach * (1 + 1e-4)
            bound = reference.cagrad_bound(gradients, 0.4)
            size = np.linalg.norm(gradients, axis=1).max() * reach
            tolerance = 1e-5 if dtype == "float64" else 1e-4
            assert (gradients @ found).min() == pytest.approx(bound, abs=tolerance * size)


class TestClosedForms:
    def test_two_tasks(self):
        """The core values, by hand: a is [-4, 1, 1], b is [6, 1, 1]; a @ b = -22."""
        a, b = PAIR
        products = {"aa": 18.0, "bb": 38.0, "ab": -22.0}
        a_without, b_without = a + 22 / 38 * b, b + 22 / 18 * a
        expected = {
            "Sum": a + b,
            "Mean": (a + b) / 2,
            "PCGrad": a_without + b_without,
            "UPGrad": (a_without + b_without) / 2,
            "MGDA": 0.6 * a + 0.4 * b,
            # The mean conflicts with a: -2 / 18 of it is taken away.
            "DualProj": (a + b) / 2 + (22 - 18) / 2 / 18 * a,
        }
        assert a @ a == products["aa"] and b @ b == products["bb"] and a @ b == products["ab"]
        u, v = a / np.sqrt(18), b / np.sqrt(38)
        cosine = u @ v
        expected["NashMTL"] = (u + v) / np.sqrt(1 + cosine)
        expected["FairGrad"] = expected["NashMTL"]
        expected["NashMTL at most 1"] = expected["NashMTL"] / np.sqrt(2)
        expected["IMTLG"] = (u + v) / (18**-0.5 + 38**-0.5)
        bisector = (u + v) / np.linalg.norm(u + v)
        expected["ConFIG"] = (a + b) @ bisector * bisector
        for name, vector in expected.items():
            np.testing.assert_allclose(result(name, PAIR), vector, atol=1e-5, err_msg=name)

    def test_core_values(self):
        expected = {
            "FairGrad": [0.350347, 0.600358, 0.556237, 1.485741],
            "NashMTL": [0.350347, 0.600358, 0.556237, 1.485741],
            "MGDA": [0.318182, 0.287879, 0.121212, 0.757576],
        }
        for name, vector in expected.items():
            np.testing.assert_allclose(result(name, TRIPLE), vector, atol=1e-5)

    @pytest.mark.parametrize("name", ["IMTLG", "ConFIG"])
    @given(seed=st.integers(0, 10_000))
    @settings(max_examples=30)
    def test_equal_projections(self, name, seed):
        gradients = np.random.default_rng(seed).normal(size=(3, 6))
        found = result(name, gradients)
        if name == "ConFIG":
            expected = reference.config(gradients)
        else:
            expected = reference.imtl_g(gradients)
            rows = gradients / np.linalg.norm(gradients, axis=1, keepdims=True)
            projections = rows @ expected
            longest = np.linalg.norm(gradients, axis=1).max()
            if projections[0] < 0 or np.linalg.norm(expected) > longest:  # the guard
                expected = longest * expected * np.sign(projections[0]) / np.linalg.norm(expected)
        np.testing.assert_allclose(found, expected, atol=1e-3 * abs(expected).max())

    @pytest.mark.parametrize(
        ("gradients", "published_conflicts"),
        [
            ([[-2, -1, 1], [-1, 0, 0], [-2, 0, -1]], True),
            ([[0, 0, 1], [1, 0, 1], [-1, -1, 2]], False),
        ],
        ids=["weights sum to less than 0", "weights sum to nearly 0"],
    )
    def test_guard_of_equal_projections(self, gradients, published_conflicts):
        gradients = np.array(gradients, "float64")
        longest = np.linalg.norm(gradients, axis=1).max()
        found, published = result("IMTLG", gradients), reference.imtl_g(gradients)
        if published_conflicts:
            assert (gradients @ published < 0).all()
            cosine = -1
        else:
            assert np.linalg.norm(published) > 4 * longest
            cosine = 1
        size = np.linalg.norm(found)
        assert found @ published / size / np.linalg.norm(published) == pytest.approx(cosine)
        assert size == pytest.approx(longest, rel=1e-4) and (gradients @ found > 0).all()

    @pytest.mark.parametrize("scale", ["min", "median", "rmse"])
    @pytest.mark.parametrize("rank", [2, 3, 4])
    def test_aligned(self, scale, rank):
        rng = np.random.default_rng(rank)
        gradients = rng.normal(size=(4, rank)) @ rng.normal(size=(rank, 6))
        found = balancing.AlignedMTL(scale)(gradients.astype("float32"))
        expected = reference.aligned_mtl(gradients, scale)
        np.testing.assert_allclose(found, expected, atol=1e-4 * abs(expected).max())

    def test_aligned_and_badly_scaled(self):
        """The smallest singular value is found although the largest is 10,000 times that."""
        for gradients in badly_scaled(3)[:10]:
            found = result("AlignedMTL", gradients)
            expected = reference.aligned_mtl(gradients, "min")
            np.testing.assert_allclose(found, expected, atol=1e-2 * abs(expected).max())

    def test_cagrad_beyond(self):
        np.testing.assert_allclose(balancing.CAGrad(0.0)(TRIPLE), TRIPLE.mean(axis=0), atol=1e-6)
        # With a long reach, it goes where the shortest vector points.
        found, shortest = balancing.CAGrad(1e4)(TRIPLE), reference.mgda(TRIPLE)
        cosine = found @ shortest / np.linalg.norm(found) / np.linalg.norm(shortest)
        assert cosine > 1 - 1e-5

    def test_cagrad_of_a_mean_of_zero(self):
        assert not balancing.CAGrad()(np.array([[1.0, 0.0], [-1.0, 0.0]])).any()


class TestDrawn:
    @given(seed=st.integers(0, 10_000))
    @settings(max_examples=30)
    def test_pcgrad(self, seed):
        gradients = np.random.default_rng(seed).normal(size=(4, 6))
        noise = noise_for(METHODS["PCGrad"].make(), (4, 6), seed)
        found = result("PCGrad", gradients, noise=noise)
        np.testing.assert_allclose(found, reference.pcgrad(gradients, noise), atol=1e-4)

    @given(seed=st.integers(0, 10_000))
    @settings(max_examples=30)
    def test_gradvac(self, seed):
        rng = np.random.default_rng(seed)
        gradients, noise = rng.normal(size=(4, 6)), rng.random((4, 4))
        averages = rng.uniform(-0.7, 0.7, size=(4, 4))
        found, state = combined("GradVac", gradients, noise, {"averages": averages})
        expected, after = reference.gradvac(gradients, noise, averages, 0.5)
        np.testing.assert_allclose(found, expected, atol=1e-3)
        np.testing.assert_allclose(state["averages"], after, atol=1e-4)

    @given(seed=st.integers(0, 10_000))
    @settings(max_examples=30)
    def test_graddrop(self, seed):
        rng = np.random.default_rng(seed)
        gradients, noise = rng.normal(size=(4, 6)), rng.random(6)
        found = result("GradDrop", gradients, noise=noise)
        np.testing.assert_allclose(found, reference.graddrop(gradients, noise), atol=1e-5)

    def test_graddrop_with_leaks(self):
        gradients, leak = np.random.default_rng(0).normal(size=(3, 500)), [0.0, 0.5, 1.0]
        found = balancing.GradDrop(leak, seed=1)(gradients.astype("float32"))
        noise = np.random.default_rng(1).random(500, dtype="float32")
        expected = reference.graddrop(gradients, noise, np.array(leak))
        np.testing.assert_allclose(found, expected, atol=1e-5)
        free = balancing.GradDrop(1.0)(gradients)
        np.testing.assert_allclose(free, gradients.sum(axis=0), atol=1e-5)


class TestDBMTL:
    def test_all_are_as_long_as_the_longest(self):
        gradients = np.array([[3.0, 4.0], [0.0, 0.1], [0.0, 0.0]])
        found, _ = combined("DBMTL", gradients)
        np.testing.assert_allclose(found, [3.0, 4.0 + 5.0], rtol=1e-5)

    def test_factors_of_shorter_gradients_do_not_matter(self):
        gradients = np.random.default_rng(0).normal(size=(3, 5))
        gradients[0] *= 100
        changed = gradients * np.array([1.0, 0.02, 7.0])[:, None]
        found, _ = combined("DBMTL", gradients)
        np.testing.assert_allclose(combined("DBMTL", changed)[0], found, rtol=1e-4)


class TestGradNorm:
    def test_first_step(self):
        """Down the slope of the loss of the paper, by the logarithms of the weights."""
        gradients = np.array([[3.0, 0.0], [0.0, 4.0], [1.0, 1.0]])
        losses, first = np.array([0.5, 2.0, 1.0]), np.array([1.0, 2.5, 2.0])
        weights = np.array([0.8, 1.2, 1.0])
        state = {"weights": weights, "first_losses": first}
        found, after = combined("GradNorm", gradients, state=state, losses=losses)
        np.testing.assert_allclose(found, weights @ gradients, rtol=1e-5)
        rates = (losses / first) / (losses / first).mean()
        loss = reference.gradnorm_loss(weights, gradients, rates, 1.5)
        slope = [
            (loss(weights * np.exp(step)) - loss(weights * np.exp(-step))) / 2e-6
            for step in 1e-6 * np.eye(3)
        ]
        mean = (weights * np.linalg.norm(gradients, axis=1)).mean()
        moved = weights * np.exp(-0.025 * np.array(slope) / mean)
        np.testing.assert_allclose(after["weights"], 3 * moved / moved.sum(), rtol=1e-4)
        np.testing.assert_allclose(after["first_losses"], first)

    def test_lengths_and_rates(self):
        """Lengths become equal, but for a task that lags behind."""
        aggregator = balancing.GradNorm(alpha=1.0, learning_rate=0.01)
        gradients = np.diag([3.0, 1.0, 0.5])
        aggregator(gradients, losses=[1.0, 2.0, 3.0])
        for _ in range(250):
            found = aggregator(gradients, losses=[0.5, 2.0, 1.5])
        np.testing.assert_allclose(found / found.mean(), [0.75, 1.5, 0.75], rtol=0.1)

    def test_a_task_that_comes_later(self):
        aggregator = balancing.GradNorm()
        gradients = np.diag([1.0, 2.0, 0.0])
        for _ in range(5):
            aggregator(gradients, losses=[1.0, 1.0, np.nan])
        assert aggregator._state["weights"][2] == 1
        found = aggregator(np.diag([1.0, 2.0, 4.0]), losses=[1.0, 1.0, 5.0])
        assert np.isfinite(found).all() and found[2] == 4
        assert aggregator._state["first_losses"][2] == 5


class TestSolver:
    """`u @ C @ u / 2 - b @ u` over `u >= 0`, against SciPy."""

    @given(seed=st.integers(0, 10_000), tasks=st.sampled_from([1, 4, 12]))
    @settings(max_examples=40 if BACKEND != "jax" else 8)
    def test_exact(self, seed, tasks):
        rng = np.random.default_rng(seed)
        rows = rng.normal(size=(tasks, tasks + 4))
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        wanted = rng.normal(size=(3, tasks + 4))
        tensors = [ops.convert_to_tensor(x, dtype=EXACT) for x in (rows @ rows.T, wanted @ rows.T)]
        found = ops.convert_to_numpy(nonnegative_minimum(*tensors))
        for one, vector in zip(found, wanted, strict=True):
            expected, _ = nnls(rows.T, vector)
            np.testing.assert_allclose(one, expected, atol=1e-8 if EXACT == "float64" else 2e-3)

    def test_many_tasks(self):
        rng = np.random.default_rng(0)
        rows = rng.normal(size=(40, 60))
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        products = rows @ rows.T
        tensor = ops.convert_to_tensor(products, dtype=EXACT)
        found = ops.convert_to_numpy(nonnegative_minimum(tensor, -tensor))
        for number, one in enumerate(found):
            expected, _ = nnls(rows.T, -rows[number])
            np.testing.assert_allclose(one, expected, atol=1e-8 if EXACT == "float64" else 1e-3)

    @pytest.mark.parametrize("seed", [18, 57, 74, 145, 191, 321])
    def test_rounded_copies_and_opposites(self, seed):
        """Cosines of 1 and -1, each of them a bit wrong: nothing is added that conflicts."""
        rng = np.random.default_rng(seed)
        signs = rng.choice([-1.0, 1.0], size=5)
        error = np.triu(rng.choice([-2, -1, 0, 1], size=(5, 5)), 1)
        products = np.outer(signs, signs) + 2.0**-24 * (error + error.T)
        wanted = -products @ rng.uniform(0.2, 1, size=5)
        inputs = [ops.convert_to_tensor(x, dtype="float32") for x in (products, wanted[None])]
        found = ops.convert_to_numpy(nonnegative_minimum(*inputs))[0]
        assert (products @ found - wanted).min() > -1e-5
