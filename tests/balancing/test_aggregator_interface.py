"""Aggregators in use: arguments, configurations, arrays and tensors, seeds and states."""

import keras
import numpy as np
import pytest
from aggregators_under_test import DTYPES, METHODS
from keras import ops

from mtlkit import balancing
from mtlkit.balancing import Aggregator, GramianAggregator, aggregation

RNG = np.random.default_rng(0)
GRADIENTS = RNG.normal(size=(3, 5))
ARGUMENTS = {
    "CAGrad": {"c": 0.3},
    "NashMTL": {"max_norm": 2.0},
    "FairGrad": {"alpha": 2.0},
    "AlignedMTL": {"scale": "median"},
    "PCGrad": {"seed": 3},
    "GradVac": {"beta": 0.1, "seed": 3},
    "GradDrop": {"leak": [0.0, 0.5, 1.0], "seed": 3},
    "GradNorm": {"alpha": 0.5, "learning_rate": 0.1},
}
CLASSES = sorted(set(aggregation.__all__) - {"Aggregator", "GramianAggregator"})
every = pytest.mark.parametrize("name", CLASSES)


def called(aggregator, gradients=GRADIENTS):
    losses = [1.0, 2.0, 3.0] if aggregator.needs_losses else None
    return aggregator(gradients, losses)


@every
def test_configuration(name):
    aggregator = getattr(balancing, name)(**ARGUMENTS.get(name, {}))
    assert aggregator.get_config() == ARGUMENTS.get(name, {})
    assert repr(aggregator).startswith(f"{name}(")
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(aggregator))
    assert type(again) is type(aggregator) and again.get_config() == aggregator.get_config()
    np.testing.assert_array_equal(called(again), called(aggregator))


def test_every_class_is_under_test():
    assert {type(promises.make()).__name__ for promises in METHODS.values()} == set(CLASSES)


@every
@pytest.mark.parametrize("dtype", DTYPES)
def test_arrays_and_tensors(name, dtype):
    make = lambda: getattr(balancing, name)(**ARGUMENTS.get(name, {}))  # noqa: E731
    array = called(make(), GRADIENTS.astype(dtype))
    assert isinstance(array, np.ndarray) and array.dtype == dtype and array.shape == (5,)
    tensor = called(make(), ops.convert_to_tensor(GRADIENTS, dtype=dtype))
    assert ops.is_tensor(tensor) and keras.backend.standardize_dtype(tensor.dtype) == dtype
    np.testing.assert_array_equal(ops.convert_to_numpy(tensor), array)
    listed = called(make(), GRADIENTS.astype("float32").tolist())
    np.testing.assert_allclose(listed, array, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", [n for n in CLASSES if n != "GradDrop"])
def test_weights(name):
    """The weights of the Gramian are those that the gradients get."""
    make = lambda: getattr(balancing, name)(**ARGUMENTS.get(name, {}))  # noqa: E731
    losses = [1.0, 2.0, 3.0] if make().needs_losses else None
    aggregator = make()
    assert isinstance(aggregator, GramianAggregator)
    weights = aggregator.weights(GRADIENTS @ GRADIENTS.T, losses)
    assert isinstance(weights, np.ndarray) and weights.shape == (3,)
    found = called(make())
    np.testing.assert_allclose(weights @ GRADIENTS, found, atol=2e-4)


def test_integers_are_read_as_floats():
    assert balancing.Mean()([[1, 2], [3, 4]]).tolist() == [2, 3]


@pytest.mark.parametrize("name", ["PCGrad", "GradVac", "GradDrop"])
def test_seeds(name):
    gradients = RNG.normal(size=(6, 40))
    make = getattr(balancing, name)
    first, second = make(seed=1), make(seed=1)
    one, two = first(gradients), first(gradients)
    np.testing.assert_array_equal(one, second(gradients))
    if name != "GradVac":  # it has changed averages, too
        assert abs(one - two).max() > 1e-3
    first.reset()
    np.testing.assert_array_equal(first(gradients), one)
    assert abs(make(seed=2)(gradients) - one).max() > 1e-3


@pytest.mark.parametrize(("name", "key"), [("GradVac", "averages"), ("GradNorm", "weights")])
def test_state(name, key):
    aggregator = METHODS[name].make()
    first = called(aggregator)
    state = ops.convert_to_numpy(aggregator._state[key])
    assert abs(state - ops.convert_to_numpy(aggregator.initial_state(3)[key])).max() > 1e-3
    assert abs(called(aggregator) - first).max() > 1e-4
    with pytest.raises(ValueError, match=r"Expected 3 tasks.*reset\(\)\. Received: 2"):
        aggregator(GRADIENTS[:2], [1.0, 1.0])
    broken = GRADIENTS.copy()
    broken[0, 0] = np.nan
    before = ops.convert_to_numpy(aggregator._state[key])
    assert np.isnan(called(aggregator, broken)).all()
    np.testing.assert_array_equal(ops.convert_to_numpy(aggregator._state[key]), before)
    aggregator.reset()
    np.testing.assert_array_equal(called(aggregator), first)


def test_state_does_not_grow_with_parameters():
    for name in CLASSES:
        for value in getattr(balancing, name)().initial_state(4).values():
            assert set(value.shape) == {4}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: balancing.CAGrad(-1.0), "Expected c >= 0. Received: c=-1.0"),
        (lambda: balancing.NashMTL(-1.0), "Expected max_norm >= 0. Received: max_norm=-1.0"),
        (lambda: balancing.FairGrad(0.0), "Expected alpha > 0. Received: alpha=0.0"),
        (lambda: balancing.FairGrad(np.nan), "Expected alpha > 0. Received: alpha=nan"),
        (lambda: balancing.AlignedMTL("max"), "Expected scale to be one of .* scale='max'"),
        (lambda: balancing.GradVac(2.0), r"Expected beta in \[0, 1\]. Received: beta=2.0"),
        (lambda: balancing.GradDrop(1.5), r"Expected leak in \[0, 1\].* Received: leak=1.5"),
        (lambda: balancing.GradDrop([[0.5]]), r"Expected leak in \[0, 1\].*leak=\[\[0.5\]\]"),
        (lambda: balancing.GradNorm(-1.0), "Expected alpha >= 0. Received: alpha=-1.0"),
        (lambda: balancing.GradNorm(1.0, 0.0), "Expected learning_rate > 0. .*learning_rate=0.0"),
    ],
)
def test_arguments_out_of_range(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: balancing.Mean()(GRADIENTS[0]), r"gradients as a matrix. Received: shape \(5,\)"),
        (
            lambda: balancing.MGDA().weights(GRADIENTS),
            r"gramian of shape \(tasks, tasks\). Received: shape \(3, 5\)",
        ),
        (lambda: balancing.GradNorm()(GRADIENTS), r"losses of shape \(3,\). Received: none"),
        (
            lambda: balancing.GradNorm()(GRADIENTS, [1.0]),
            r"losses of shape \(3,\). Received: shape \(1,\)",
        ),
        (
            lambda: balancing.GradDrop([0.0, 1.0])(GRADIENTS),
            r"a leak for 3 tasks. Received: leak=\[0.0, 1.0\]",
        ),
        (lambda: balancing.PCGrad().combine(ops.ones((2, 3)), {}), "noise .* Received: None"),
        (lambda: balancing.GradDrop().combine(ops.ones((2, 3)), {}), "noise .* Received: None"),
        (
            lambda: balancing.GradNorm().combine(
                ops.ones((2, 3)), balancing.GradNorm().initial_state(2)
            ),
            "losses .* Received: None",
        ),
    ],
)
def test_inputs_that_do_not_fit(call, message):
    with pytest.raises(ValueError, match=f"Expected {message}"):
        call()


def test_an_aggregator_of_a_users_own():
    class First(Aggregator):
        def combine(self, gradients, state, *, noise=None, losses=None):
            return gradients[0], state

    np.testing.assert_allclose(First()(GRADIENTS), GRADIENTS[0], rtol=1e-6)
    assert First.averages is False
