"""Gradients on every backend: the one place of the library that imports backends."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import keras
import numpy as np
from keras import ops


def gradients(function: Callable[[], Any], variables: Sequence[Any]) -> list[np.ndarray]:
    """Differentiates the scalar `function()` with respect to Keras variables.

    The function is called once, inside a `keras.StatelessScope`: it has no side effects on
    any backend, so what it assigns (moving averages, seeds) is forgotten, frozen variables
    are differentiated too, and PyTorch parameters keep their `.grad`.

    Args:
        function: Takes no argument and returns a floating-point scalar, computed with Keras
            from the values of the variables. Layers that it calls should have been built.
        variables: The variables, or weights of a layer, to differentiate by.

    Returns:
        One array for each variable, of its shape. Where no gradient flows it is zero, on each
        backend (whether the backend says `None` there, or zero). Half-precision gradients
        are given in float32.

    Raises:
        ValueError: If the backend has no gradients (NumPy, OpenVINO), a variable is not of a
            floating-point type, or `function()` is not a floating-point scalar.

    Example:
        ```python
        import keras
        import numpy as np
        from mtlkit.testing import gradients

        weight, unused = keras.Variable([1.0, 2.0]), keras.Variable(3.0)
        found = gradients(lambda: keras.ops.sum(weight**2), [weight, unused])
        assert np.allclose(found[0], [2, 4]) and found[1] == 0
        ```
    """
    for variable in variables:
        if not keras.backend.is_float_dtype(variable.dtype):
            raise ValueError(
                "Expected variables of a floating-point type, to differentiate by. "
                f"Received: {variable.path} of type {variable.dtype}"
            )

    def of_values(values: list[Any]) -> Any:
        with Unchanged(zip(variables, values, strict=True), collect_losses=True):
            return function()

    tensors = [ops.convert_to_tensor(v.value) for v in variables]
    return _differentiate(of_values, tensors, built=True)


def input_gradients(function: Callable[[Any], Any], x: Any) -> Any:
    """Differentiates the scalar `function(x)` with respect to its input.

    As with `gradients`, what the function assigns to variables is forgotten.

    Args:
        function: Takes `x` as a tensor and returns a floating-point scalar.
        x: An array, or a nested structure (dict, list or tuple) of arrays. Floating-point
            arrays are read in `keras.config.floatx()`, as Keras does with data.

    Returns:
        The gradient, a NumPy array of the shape of `x` or such a structure of them. Where no
        gradient flows it is zero, as it is for integers and booleans.

    Raises:
        ValueError: If the backend has no gradients (NumPy, OpenVINO), or `function(x)` is not
            a floating-point scalar.

    Example:
        ```python
        import keras
        import numpy as np
        from mtlkit.layers import GradientStop
        from mtlkit.testing import input_gradients

        x = np.array([1.0, 2.0])
        assert np.allclose(input_gradients(lambda x: keras.ops.sum(x**2), x), [2, 4])
        assert not input_gradients(lambda x: keras.ops.sum(GradientStop()(x)), x).any()
        ```
    """
    tensors = [_as_data(leaf) for leaf in keras.tree.flatten(x)]
    floating = [index for index, tensor in enumerate(tensors) if _is_floating(tensor)]

    def of_values(values: list[Any]) -> Any:
        leaves = list(tensors)
        for index, value in zip(floating, values, strict=True):
            leaves[index] = value
        with Unchanged(collect_losses=True):
            return function(keras.tree.pack_sequence_as(x, leaves))

    found: list[Any] = [np.zeros(tensor.shape, keras.config.floatx()) for tensor in tensors]
    differentiated = _differentiate(of_values, [tensors[index] for index in floating])
    for index, gradient in zip(floating, differentiated, strict=True):
        found[index] = gradient
    return keras.tree.pack_sequence_as(x, found)


def pull_back(
    function: Callable[[list[Any]], list[Any]], tensors: Sequence[Any]
) -> tuple[list[Any], Callable[[Sequence[Any]], list[Any]]]:
    """Runs a function, and returns with its outputs what carries gradients back through it.

    It has no side effects of its own, and may stand within a function that `compiled` compiles.

    Args:
        function: From a list of floating-point tensors to another one.
        tensors: The arguments of the function.

    Returns:
        The outputs, and a function from the gradients at the outputs to those at the tensors,
        zero where no gradient flows. It may be called several times.
    """
    backends = {
        "tensorflow": _pull_back_tensorflow,
        "jax": _pull_back_jax,
        "torch": _pull_back_torch,
    }
    _check_backend(backends)
    return backends[keras.backend.backend()](function, list(tensors))


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compiles a function of tensors that is pure, once for each shape of its arguments.

    On PyTorch the function is only run without recording gradients.
    """
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        return cast(Callable[..., Any], tf.function(function))
    if backend == "jax":
        import jax

        return cast(Callable[..., Any], jax.jit(function))
    if backend == "torch":
        import torch

        return cast(Callable[..., Any], torch.no_grad()(function))
    return function


class Unchanged(keras.StatelessScope):
    """A scope in which nothing is changed: variables that it does not map keep their value.

    Keras's own answers `None` for them, which regularizers cannot take.
    """

    def get_current_value(self, variable: Any) -> Any:
        value = super().get_current_value(variable)
        return variable._value if value is None else value


def _dtype(tensor: Any) -> str:
    return str(keras.backend.standardize_dtype(tensor.dtype))


def _is_floating(tensor: Any) -> bool:
    return bool(keras.backend.is_float_dtype(_dtype(tensor)))


def _as_data(leaf: Any) -> Any:
    """Reads a leaf of the input as Keras reads data."""
    tensor = ops.convert_to_tensor(leaf)
    return ops.cast(tensor, keras.config.floatx()) if _is_floating(tensor) else tensor


def _differentiate(
    function: Callable[[list[Any]], Any], tensors: list[Any], built: bool = False
) -> list[np.ndarray]:
    """Differentiates `function(tensors)` by each of the tensors, on the active backend.

    Only a function of layers that are built can be compiled: weights made within would leak.
    """
    jax = _jax_compiled if built else _jax
    backends = {"tensorflow": _tensorflow, "jax": jax, "torch": _torch}
    _check_backend(backends)

    def scalar(tensors: list[Any]) -> Any:
        value = ops.convert_to_tensor(function(tensors))
        if tuple(value.shape) or not _is_floating(value):
            raise ValueError(
                "Expected the function to return a floating-point scalar. Received: a value of "
                f"shape {tuple(value.shape)} and type {_dtype(value)}"
            )
        return value

    return [
        _to_numpy(ops.zeros_like(tensor) if gradient is None else gradient)
        for gradient, tensor in zip(
            backends[keras.backend.backend()](scalar, tensors), tensors, strict=True
        )
    ]


def _check_backend(backends: Mapping[str, Any]) -> None:
    backend = keras.backend.backend()
    if backend not in backends:
        raise ValueError(
            f"Expected a backend that differentiates: {', '.join(backends)}. "
            f"Received: keras.backend.backend()={backend!r}"
        )


def _to_numpy(tensor: Any) -> np.ndarray:
    if _dtype(tensor) in ("float16", "bfloat16"):  # NumPy has not both
        tensor = ops.cast(tensor, "float32")
    return np.asarray(ops.convert_to_numpy(tensor))


def _tensorflow(scalar: Callable[[list[Any]], Any], tensors: list[Any]) -> list[Any]:
    import tensorflow as tf

    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(tensors)
        value = scalar(tensors)
    # The conversion makes the sparse gradients of embeddings dense.
    return [
        None if gradient is None else tf.convert_to_tensor(gradient)
        for gradient in tape.gradient(value, tensors)
    ]


def _jax(scalar: Callable[[list[Any]], Any], tensors: list[Any]) -> list[Any]:
    import jax

    return jax.grad(scalar)(tensors)


def _jax_compiled(scalar: Callable[[list[Any]], Any], tensors: list[Any]) -> list[Any]:
    import jax

    # Compiled as a whole: operation by operation, JAX compiles each of them for each shape.
    try:
        return jax.jit(jax.grad(scalar))(tensors)
    except jax.errors.JAXTypeError:  # a function that looks at values
        return jax.grad(scalar)(tensors)


def _torch(scalar: Callable[[list[Any]], Any], tensors: list[Any]) -> list[Any]:
    import torch

    # A clone of its own, since a tensor may share the memory of a NumPy array.
    tensors = [tensor.detach().clone().requires_grad_(True) for tensor in tensors]
    with torch.enable_grad():
        value = scalar(tensors)
    if not (tensors and value.requires_grad):  # a constant: PyTorch refuses to differentiate it
        return [None] * len(tensors)
    return list(torch.autograd.grad(value, tensors, allow_unused=True))


def _pull_back_tensorflow(function: Any, tensors: list[Any]) -> Any:
    import tensorflow as tf

    # If a tensor is there twice, the tape gives the sum of both gradients for each.
    tensors = [tf.identity(tensor) for tensor in tensors]
    with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
        tape.watch(tensors)
        outputs = function(tensors)

    def pull(gradients: Sequence[Any]) -> list[Any]:
        found = tape.gradient(
            outputs,
            tensors,
            output_gradients=list(gradients),
            unconnected_gradients=tf.UnconnectedGradients.ZERO,
        )
        return [tf.convert_to_tensor(one) for one in found]

    return outputs, pull


def _pull_back_jax(function: Any, tensors: list[Any]) -> Any:
    import jax

    outputs, pull = jax.vjp(function, tensors)
    return outputs, lambda gradients: pull(list(gradients))[0]


def _pull_back_torch(function: Any, tensors: list[Any]) -> Any:
    import torch

    leaves = [tensor.detach().clone().requires_grad_(True) for tensor in tensors]
    with torch.enable_grad():
        outputs = function(leaves)

    def pull(gradients: Sequence[Any]) -> list[Any]:
        pairs = zip(outputs, gradients, strict=True)
        reached = [(output, one) for output, one in pairs if output.requires_grad]
        if not reached:
            return [torch.zeros_like(leaf) for leaf in leaves]
        found = torch.autograd.grad(
            [output for output, _ in reached],
            leaves,
            grad_outputs=[one for _, one in reached],
            retain_graph=True,
            allow_unused=True,
        )
        pairs = zip(found, leaves, strict=True)
        return [torch.zeros_like(leaf) if one is None else one for one, leaf in pairs]

    return [output.detach() for output in outputs], pull


def keeps_graph() -> bool:
    """Whether what is being computed keeps a graph by which `rows_in_step` finds gradients."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return not tf.executing_eagerly()
    return keras.backend.backend() == "torch"


def rows_in_step(values: Sequence[Any], variables: Sequence[Any]) -> list[list[Any]]:
    """The gradients of several scalars, within the training step that computed them.

    On TensorFlow and PyTorch, whose steps keep a graph of what was computed; on JAX, see
    `rows_of_function`.

    Args:
        values: Scalars.
        variables: Keras variables.

    Returns:
        For each scalar one gradient for each variable, zero where none flows.
    """
    rows = [_in_step(value, variables) for value in values]
    return [
        [
            ops.zeros_like(variable) if gradient is None else gradient
            for gradient, variable in zip(row, variables, strict=True)
        ]
        for row in rows
    ]


def _in_step(value: Any, variables: Sequence[Any]) -> list[Any]:
    if keras.backend.backend() == "torch":
        import torch

        if not value.requires_grad:
            return [None] * len(variables)
        tensors = [variable.value for variable in variables]
        return list(torch.autograd.grad(value, tensors, retain_graph=True, allow_unused=True))
    import tensorflow as tf

    found = tf.gradients(value, [variable.value for variable in variables])
    return [None if gradient is None else tf.convert_to_tensor(gradient) for gradient in found]


def rows_of_function(
    function: Callable[[list[Any]], Any], tensors: list[Any]
) -> tuple[list[Any], Any]:
    """The gradients of `function(tensors)`, a row of scalars, on JAX and within its steps.

    Args:
        function: From tensors to a tensor of shape `(rows,)`.
        tensors: The tensors to differentiate by.

    Returns:
        For each tensor its gradients, of shape `(rows, ...)`; and the row.
    """
    import jax

    def twice(tensors: list[Any]) -> tuple[Any, Any]:
        row = function(tensors)
        return row, row

    rows, values = jax.jacrev(twice, has_aux=True)(tensors)
    return list(rows), values
