"""Loss weightings, against independent maths."""

import itertools

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras import ops
from scipy.special import logsumexp, softmax

from mtlkit import balancing
from mtlkit.balancing import scalarization
from mtlkit.testing import input_gradients

LOSSES = np.array([0.5, 2.0, 8.0], "float32")
#: Each method with an argument that is not the default.
METHODS = {
    "EqualWeighting": {},
    "FixedWeighting": {"weights": [2.0, 1.0, 0.5]},
    "LogWeighting": {},
    "GeometricMeanWeighting": {},
    "UncertaintyWeighting": {"initial": -0.5},
    "SoftOptimalUncertaintyWeighting": {"temperature": 2.0},
    "ImpartialLossWeighting": {"initial": 0.5},
    "DynamicWeightAverage": {"temperature": 3.0},
    "RandomWeighting": {"seed": 3},
    "SmoothTchebycheff": {"mu": 0.1, "reference": 0.1},
    "FAMO": {"learning_rate": 0.1, "weight_decay": 0.0, "lowest": 0.05},
    "LossDiscrepancyControl": {"penalty": 0.5},
}
every = pytest.mark.parametrize("name", METHODS)


def make(name):
    return getattr(balancing, name)(**METHODS[name])


def value(method, losses):
    return float(method(np.asarray(losses, "float32")))


def weights(method, losses=LOSSES, absent=()):
    """The gradient of the total by each loss: the weights of the tasks."""
    state = method.initial_state(len(losses))
    noise = method.noise_shape(len(losses))
    drawn = None if noise is None else np.random.default_rng(0).random(noise, dtype="float32")
    drawn = None if drawn is None else ops.convert_to_tensor(drawn)
    present = np.ones(len(losses), "float32")
    present[list(absent)] = 0
    present = ops.convert_to_tensor(present)

    def total(values):
        return method.total(values * present, present, state, noise=drawn)[0]

    return input_gradients(total, np.asarray(losses, "float32"))


def test_all_are_here():
    assert set(METHODS) == set(scalarization.__all__) - {"LossWeighting"}


class TestValues:
    """Totals and weights of losses of 0.5, 2 and 8, from the formulas of the papers."""

    def test_equal_and_fixed(self):
        assert value(balancing.EqualWeighting(), LOSSES) == 10.5
        np.testing.assert_allclose(weights(make("FixedWeighting")), [2, 1, 0.5])

    def test_log(self):
        assert value(balancing.LogWeighting(), LOSSES) == pytest.approx(np.log(LOSSES).sum())
        np.testing.assert_allclose(weights(balancing.LogWeighting()), 1 / LOSSES, rtol=1e-5)

    def test_geometric_mean(self):
        method = balancing.GeometricMeanWeighting()
        assert value(method, LOSSES) == pytest.approx(2, rel=1e-6)
        np.testing.assert_allclose(weights(method), 2 / (3 * LOSSES), rtol=1e-5)

    def test_uncertainty(self):
        assert value(balancing.UncertaintyWeighting(), LOSSES) == 5.25
        logs = np.array([-0.5, 0.0, 1.0])
        state = {"log_variances": ops.convert_to_tensor(logs.astype("float32"))}
        ones = ops.ones((3,))
        found, _ = balancing.UncertaintyWeighting().total(
            ops.convert_to_tensor(LOSSES), ones, state
        )
        assert float(found) == pytest.approx(3.133698, abs=1e-5)

    def test_loss_discrepancy(self):
        """Even weights at the start; the model feels the sum and the discrepancy."""
        method = balancing.LossDiscrepancyControl(penalty=0.5)
        assert value(method, LOSSES) == pytest.approx(10.5 + 0.5 * 10, rel=1e-6)
        np.testing.assert_allclose(weights(method), np.array([1, 3, 5]) / 3, rtol=1e-5)

    def test_weighted_losses_become_equal(self):
        """The logits descend the discrepancy alone, to weights of one over the loss."""
        method = balancing.LossDiscrepancyControl(penalty=1.0)
        logits = np.zeros(3, "float32")

        def total(values):
            return method.total(ops.convert_to_tensor(LOSSES), ops.ones((3,)), {"logits": values})[
                0
            ]

        for step in range(400):
            logits = logits - 0.1 * 0.985**step * np.sign(input_gradients(total, logits))
        weighted = 3 * softmax(logits) * LOSSES
        np.testing.assert_allclose(weighted, 3 / np.sum(1 / LOSSES), rtol=0.02)

    def test_uncertainties_come_to_the_losses(self):
        """The optimum of the log-variances is the logarithm of the losses."""
        method = balancing.UncertaintyWeighting()

        def total(logs):
            return method.total(
                ops.convert_to_tensor(LOSSES), ops.ones((3,)), {"log_variances": logs}
            )[0]

        gradient = input_gradients(total, np.log(LOSSES).astype("float32"))
        np.testing.assert_allclose(gradient, 0, atol=1e-6)

    def test_impartial_is_twice_uncertainty_with_the_other_sign(self):
        logs = np.array([0.5, 0.0, -1.0], "float32")
        ones = ops.ones((3,))
        found, _ = balancing.ImpartialLossWeighting().total(
            ops.convert_to_tensor(LOSSES), ones, {"log_scales": ops.convert_to_tensor(logs)}
        )
        assert float(found) == pytest.approx(6.267396, abs=1e-5)

    def test_soft_optimal_uncertainty(self):
        method = balancing.SoftOptimalUncertaintyWeighting(temperature=2.0)
        expected = 3 * softmax(1 / LOSSES / 2)
        np.testing.assert_allclose(weights(method), expected, rtol=1e-5)
        assert value(method, LOSSES) == pytest.approx(float(expected @ LOSSES), rel=1e-5)

    @pytest.mark.parametrize(("mu", "reference"), [(1.0, 0.0), (0.1, 0.1)])
    def test_smooth_tchebycheff(self, mu, reference):
        method = balancing.SmoothTchebycheff(mu, reference)
        scaled = (LOSSES.astype("float64") - reference) / (3 * mu)
        assert value(method, LOSSES) == pytest.approx(mu * logsumexp(scaled), rel=1e-5)
        np.testing.assert_allclose(weights(method), softmax(scaled) / 3, rtol=1e-4, atol=1e-7)

    def test_random_weights_are_even_on_average(self):
        method = balancing.RandomWeighting(seed=0)
        drawn = np.array([value(method, np.eye(3)[0]) for _ in range(600)])
        # weights of one task, K times a share of a softmax of normal numbers
        reference = 3 * softmax(np.random.default_rng(1).normal(size=(100_000, 3)), axis=1)[:, 0]
        assert drawn.mean() == pytest.approx(1, abs=0.1)
        assert drawn.std() == pytest.approx(reference.std(), rel=0.1)
        again = balancing.RandomWeighting(seed=0)
        assert [value(again, np.eye(3)[0]) for _ in range(3)] == list(drawn[:3])
        method.reset()
        assert value(method, np.eye(3)[0]) == drawn[0]


class TestDynamicWeightAverage:
    def test_weights_follow_the_means_of_epochs(self):
        method = balancing.DynamicWeightAverage()
        for epoch in ([[0.4, 2, 7], [0.6, 2, 9]], [[0.3, 2, 8]]):
            for losses in epoch:
                assert value(method, losses) == pytest.approx(sum(losses), rel=1e-5)
            method.end_epoch()
        expected = 3 * softmax(np.array([0.3 / 0.5, 1.0, 1.0]) / 2)
        np.testing.assert_allclose(method.state["weights"], expected, rtol=1e-5)
        np.testing.assert_allclose(expected, [0.871382, 1.064309, 1.064309], atol=1e-6)
        assert value(method, LOSSES) == pytest.approx(float(expected @ LOSSES), rel=1e-5)

    def test_a_task_without_labels_in_an_epoch_keeps_its_weight(self):
        method = balancing.DynamicWeightAverage()
        for losses in ([1.0, 1.0, 1.0], [1.0, 0.5, np.nan]):
            method(np.array(losses, "float32"))
            method.end_epoch()
        found = method.state["weights"]
        np.testing.assert_allclose(found[:2], 2 * softmax(np.array([1.0, 0.5]) / 2), rtol=1e-5)
        assert found[2] == 1

    def test_a_loss_that_is_not_finite_is_left_out_of_the_means(self):
        method = balancing.DynamicWeightAverage()
        method(np.array([1.0, np.inf], "float32"))
        method.end_epoch()
        np.testing.assert_array_equal(method.state["before"], [1, 0])


class TestFAMO:
    def test_the_first_step(self):
        method = balancing.FAMO()
        assert value(method, LOSSES) == pytest.approx(0.792168, abs=1e-5)
        np.testing.assert_allclose(weights(method), [0.761905, 0.190476, 0.047619], atol=1e-5)
        method(np.array([0.4, 1.9, 7.9], "float32"))
        np.testing.assert_allclose(method.state["logits"], [-0.025, 0.025, 0.025], atol=1e-4)

    def test_the_logits_take_steps_of_adam(self):
        """Against Keras's Adam, with the gradient written out."""
        rng = np.random.default_rng(0)
        rows = np.exp(rng.normal(size=(6, 3))).astype("float32")
        method = balancing.FAMO(learning_rate=0.1, weight_decay=0.01)
        logits = keras.Variable(np.zeros(3, "float32"))
        adam = keras.optimizers.Adam(0.1, epsilon=1e-8)
        adam.build([logits])
        method(rows[0])
        for before, now in itertools.pairwise(rows):
            shares = softmax(keras.ops.convert_to_numpy(logits))
            fall = np.log(before) - np.log(now)
            gradient = shares * (fall - shares @ fall)
            gradient = gradient + 0.01 * keras.ops.convert_to_numpy(logits)
            adam.apply([ops.convert_to_tensor(gradient.astype("float32"))], [logits])
            method(now)
        found, expected = method.state["logits"], keras.ops.convert_to_numpy(logits)
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5)

    def test_one_task_alone_has_nothing_to_be_weighed_by(self):
        method = balancing.FAMO()
        for loss in (1.0, 0.5):
            method(np.array([loss, np.nan], "float32"))
        np.testing.assert_array_equal(method.state["logits"], [0, 0])
        assert method.state["steps"] == 0


class TestEveryMethod:
    @every
    def test_a_task_that_takes_no_part_is_as_if_it_were_not_there(self, name):
        if name in ("FixedWeighting", "RandomWeighting"):  # one weight, or draw, for each task
            found = weights(make(name), absent=[1])
            assert found[1] == 0
            assert (found[[0, 2]] > 0).all()
            return
        expected = weights(make(name), LOSSES[[0, 2]])
        found = weights(make(name), absent=[1])
        np.testing.assert_allclose(found, [expected[0], 0, expected[1]], rtol=1e-5, atol=1e-7)

    @every
    @pytest.mark.parametrize("losses", [[np.nan] * 3, [0.0] * 3, [1e-30, 1.0, 1e6]])
    def test_extremes_are_finite(self, name, losses):
        method = make(name)
        for _ in range(2):
            assert np.isfinite(value(method, losses))
        if not np.isnan(losses).any():
            assert np.isfinite(weights(make(name), losses)).all()
        method.end_epoch()
        assert all(np.isfinite(state).all() for state in method.state.values())

    @every
    @given(seed=st.integers(0, 50))
    def test_the_order_of_tasks_does_not_matter(self, name, seed):
        if name in ("FixedWeighting", "RandomWeighting"):
            return
        rng = np.random.default_rng(seed)
        rows, order = np.exp(rng.normal(size=(3, 4))), rng.permutation(4)
        one, other = make(name), make(name)
        for row in rows:
            assert value(one, row) == pytest.approx(value(other, row[order]), rel=1e-4, abs=1e-5)
            one.end_epoch()
            other.end_epoch()

    @every
    def test_config(self, name):
        method = make(name)
        config = keras.saving.serialize_keras_object(method)
        again = keras.saving.deserialize_keras_object(config)
        assert again.get_config() == method.get_config() == METHODS[name]
        assert repr(again).startswith(f"{name}(")

    @every
    def test_reset_forgets(self, name):
        method = make(name)
        first = [value(method, LOSSES), value(method, LOSSES / 2)]
        method.end_epoch()
        method.reset()
        assert [value(method, LOSSES), value(method, LOSSES / 2)] == first


class TestScaleFree:
    """Losses in other units do not change the ratios of weights times losses."""

    @pytest.mark.parametrize("name", ["LogWeighting", "GeometricMeanWeighting", "FAMO"])
    @given(scale=st.floats(1e-3, 1e3))
    def test_ratios(self, name, scale):
        scales = np.array([scale, 1.0, 1 / scale])
        method = getattr(balancing, name)()
        pulls = weights(method) * LOSSES
        scaled = weights(method, LOSSES * scales) * LOSSES * scales
        np.testing.assert_allclose(scaled / scaled.sum(), pulls / pulls.sum(), rtol=1e-3)


@pytest.mark.parametrize(
    ("kind", "arguments", "message"),
    [
        ("FixedWeighting", {"weights": []}, r"weights=\[\]"),
        ("FixedWeighting", {"weights": [-1.0]}, r"weights >= 0, one for each task"),
        ("SoftOptimalUncertaintyWeighting", {"temperature": 0.0}, "temperature > 0"),
        ("DynamicWeightAverage", {"temperature": np.nan}, "temperature > 0"),
        ("SmoothTchebycheff", {"mu": 0.0}, "mu > 0"),
        ("FAMO", {"learning_rate": 0.0}, "learning_rate > 0"),
        ("FAMO", {"weight_decay": -1.0}, "weight_decay >= 0"),
    ],
)
def test_arguments(kind, arguments, message):
    with pytest.raises(ValueError, match=message):
        getattr(balancing, kind)(**arguments)


def test_losses_that_do_not_fit():
    with pytest.raises(ValueError, match=r"losses of shape \(tasks,\)\. Received: shape \(1, 3\)"):
        balancing.EqualWeighting()(LOSSES[None])
    method = balancing.FAMO()
    method(LOSSES)
    with pytest.raises(
        ValueError, match=r"3 tasks, as in the calls before reset\(\)\. Received: 2"
    ):
        method(LOSSES[:2])
    with pytest.raises(ValueError, match="3 tasks, one for each weight"):
        make("FixedWeighting")(LOSSES[:2])


class TestNames:
    def test_every_method_has_one(self):
        kinds = {type(balancing.get(name)).__name__ for name in balancing._names.BALANCERS}
        parts = {*aggregation_names(), *METHODS}
        assert kinds == parts - {"FixedWeighting"}  # which needs weights

    def test_case_and_hyphens_do_not_matter(self):
        assert isinstance(balancing.get("Nash-MTL"), balancing.NashMTL)

    def test_an_object_is_itself(self):
        method = balancing.PCGrad()
        assert balancing.get(method) is method

    @pytest.mark.parametrize("name", ["adam", 3, None])
    def test_no_such_balancer(self, name):
        with pytest.raises(ValueError, match=f"or a name out of .*Received: balancer={name!r}"):
            balancing.get(name)


def aggregation_names():
    from mtlkit.balancing import aggregation

    return set(aggregation.__all__) - {"Aggregator", "GramianAggregator"}
