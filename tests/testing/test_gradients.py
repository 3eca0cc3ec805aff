"""Gradients on the active backend, against gradients worked out by hand."""

import keras
import numpy as np
import pytest
from keras import ops

from mtlkit.testing import gradients, input_gradients


def test_gradients_by_variables():
    a, b = keras.Variable([1.0, 2.0]), keras.Variable(3.0)
    by_a, by_b = gradients(lambda: b * ops.sum(a**2), [a, b])
    np.testing.assert_allclose(by_a, [6, 12])
    np.testing.assert_allclose(by_b, 5)
    assert isinstance(by_a, np.ndarray) and by_a.dtype == "float32"


def test_no_gradient_reads_zero():
    used, unused = keras.Variable([1.0, 2.0]), keras.Variable([[3.0]])
    stopped, constant = keras.Variable(4.0), keras.Variable(5.0)
    found = gradients(
        lambda: ops.sum(used) + ops.stop_gradient(stopped + 0), [used, unused, stopped]
    )
    for gradient, expected in zip(found, ([1, 1], [[0]], 0), strict=True):
        np.testing.assert_array_equal(gradient, expected)
    np.testing.assert_array_equal(gradients(lambda: ops.ones(()), [constant])[0], 0)
    assert gradients(lambda: ops.ones(()), []) == []
    np.testing.assert_array_equal(input_gradients(lambda x: ops.ones(()), np.ones(3)), np.zeros(3))


def test_of_a_layer_against_the_formula():
    rng = np.random.default_rng(0)
    x, c = rng.normal(size=(5, 4)), rng.normal(size=(5, 3))
    layer = keras.layers.Dense(3)
    layer.build((None, 4))
    cotangent = ops.convert_to_tensor(c, "float32")
    kernel, bias = gradients(lambda: ops.sum(layer(x) * cotangent), [layer.kernel, layer.bias])
    np.testing.assert_allclose(kernel, x.T @ c, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(bias, c.sum(axis=0), rtol=1e-4, atol=1e-5)
    by_x = input_gradients(lambda x: ops.sum(layer(x) * cotangent), x)
    np.testing.assert_allclose(by_x, c @ np.asarray(layer.kernel).T, rtol=1e-4, atol=1e-5)


def test_embeddings_have_dense_gradients():
    layer = keras.layers.Embedding(4, 2)
    layer.build((None,))
    (found,) = gradients(lambda: ops.sum(layer(np.array([1, 3, 3]))), layer.weights)
    np.testing.assert_array_equal(found, [[0, 0], [1, 1], [0, 0], [2, 2]])


def test_frozen_variables_are_differentiated():
    layer = keras.layers.Dense(1, trainable=False)
    layer.build((None, 2))
    kernel, _ = gradients(lambda: ops.sum(layer(np.ones((3, 2)))), [layer.kernel, layer.bias])
    np.testing.assert_allclose(kernel, [[3], [3]])
    assert not layer.trainable_weights


def test_half_precision_reads_float32():
    variable = keras.Variable([1.0, 2.0], dtype="bfloat16")
    (found,) = gradients(lambda: ops.sum(variable * variable), [variable])
    assert found.dtype == "float32"
    np.testing.assert_allclose(found, [2, 4])


def test_what_the_function_assigns_is_forgotten():
    layer = keras.layers.BatchNormalization()
    layer.build((None, 2))
    dropout = keras.layers.Dropout(0.5)
    before = np.asarray(dropout.seed_generator.state.value)
    x = np.random.default_rng(0).normal(3, 1, size=(8, 2))

    def function(x):
        return ops.sum(layer(dropout(x, training=True), training=True) ** 2)

    gradients(lambda: function(x), [layer.gamma])
    input_gradients(function, x)
    np.testing.assert_array_equal(np.asarray(layer.moving_mean), [0, 0])
    np.testing.assert_array_equal(np.asarray(dropout.seed_generator.state.value), before)


def test_losses_of_layers_are_seen_whatever_the_variables():
    # Keras's own stateless scope fails on regularizers of variables that it does not map.
    regularizer = keras.regularizers.L2(0.5)
    layer = keras.layers.Dense(
        1,
        kernel_regularizer=regularizer,
        bias_regularizer=regularizer,
        activity_regularizer=keras.regularizers.L1(1.0),
        kernel_initializer="ones",
    )
    layer.build((None, 2))

    def function(x):
        layer(x)
        return ops.sum(ops.stack(layer.losses))

    x = np.ones((1, 2))
    np.testing.assert_allclose(gradients(lambda: function(x), [layer.kernel])[0], [[2], [2]])
    np.testing.assert_allclose(input_gradients(function, x), [[1, 1]])


@pytest.mark.skipif(keras.backend.backend() != "torch", reason="PyTorch only")
def test_parameters_keep_their_grad():
    import torch

    variable = keras.Variable([1.0, 2.0])
    variable.value.grad = before = torch.ones(2)
    with torch.no_grad():
        gradients(lambda: ops.sum(variable**2), [variable])
    assert variable.value.grad is before and variable.value.requires_grad
    np.testing.assert_array_equal(before, [1, 1])


def test_inputs_may_be_nested():
    x = {"a": np.array([[1.0, 2.0]]), "b": (np.array([3]), np.array([4.0], "float64"))}
    found = input_gradients(
        lambda x: ops.sum(x["a"] ** 2) * ops.sum(ops.cast(x["b"][0], "float32")), x
    )
    np.testing.assert_allclose(found["a"], [[6, 12]])
    np.testing.assert_array_equal(found["b"][0], [0])
    np.testing.assert_array_equal(found["b"][1], [0])
    assert found["b"][1].dtype == "float32"
    np.testing.assert_array_equal(x["a"], [[1, 2]])


def test_functions_must_be_floating_scalars():
    variable = keras.Variable([1.0, 2.0])
    with pytest.raises(ValueError, match=r"Expected the function .* shape \(2,\)"):
        gradients(lambda: variable * 2, [variable])
    with pytest.raises(ValueError, match="type int"):
        input_gradients(lambda x: ops.argmax(x), np.ones(3))


def test_variables_must_be_floating():
    with pytest.raises(ValueError, match=r"Expected variables of a floating-point type.*int32"):
        gradients(lambda: ops.ones(()), [keras.Variable(1, dtype="int32", trainable=False)])


@pytest.mark.parametrize("backend", ["numpy", "openvino"])
def test_backend_must_differentiate(monkeypatch, backend):
    monkeypatch.setattr(keras.backend, "backend", lambda: backend)
    for call in (
        lambda: gradients(lambda: ops.ones(()), [keras.Variable(1.0)]),
        lambda: input_gradients(ops.sum, np.ones(3)),
    ):
        with pytest.raises(ValueError, match=f"Expected a backend.*'{backend}'"):
            call()
