"""Helpers of the test case: instances, structures of arrays, and the naming of failures."""

from __future__ import annotations

import contextlib
import functools
import inspect
import warnings
from collections.abc import Callable, Iterator
from typing import Any, TypeVar, cast

import keras
import numpy as np
from keras import ops

Check = TypeVar("Check", bound=Callable[..., None])


def check(of: str) -> Callable[[Check], Check]:
    """Turns whatever goes wrong in a check into an AssertionError that names it and the class.

    It also seeds, and reads the argument `inputs` or `features` as data, so that a check does
    the same whether it runs alone or after others.
    """

    def decorate(method: Check) -> Check:
        signature = inspect.signature(method)

        @functools.wraps(method)
        def checked(self: Any, cls: type, *args: Any, **kwargs: Any) -> None:
            call = signature.bind(self, cls, *args, **kwargs)
            for name in call.arguments.keys() & {"inputs", "features"}:
                call.arguments[name] = as_data(call.arguments[name])
            keras.utils.set_random_seed(self.seed)
            try:
                method(*call.args, **call.kwargs)
            except AssertionError as error:
                raise AssertionError(f"{cls.__name__} fails the check of {of}: {error}") from error
            except Exception as error:
                raised = f"It raised {type(error).__name__}: {error}"
                raise AssertionError(f"{cls.__name__} fails the check of {of}. {raised}") from error

        return cast(Check, checked)

    return decorate


def require(condition: Any, message: str) -> None:
    """Raises an AssertionError, also under `python -O`."""
    if not condition:
        raise AssertionError(message)


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """Ignores warnings that are expected, whatever filters the user's tests set."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


# === Instances ===


def create(cls: type, init_kwargs: dict[str, Any], **overrides: Any) -> Any:
    """Makes an instance that shares no layer with other instances."""
    return cls(**{name: _fresh(value) for name, value in init_kwargs.items()} | overrides)


def _fresh(value: Any) -> Any:
    if isinstance(value, keras.layers.Layer):
        return type(value).from_config(value.get_config())
    if type(value) in (list, tuple):
        return type(value)(_fresh(item) for item in value)
    if type(value) is dict:
        return {key: _fresh(item) for key, item in value.items()}
    return value


def constructor_arguments(cls: type) -> list[str]:
    """The names of the arguments of the constructor, and of those that its **kwargs reach.

    Those of Keras's own base classes are left out: their `get_config` answers for them.
    """
    names: list[str] = []
    for base in cls.__mro__:
        if base.__module__.partition(".")[0] == "keras" and base is not cls:
            break
        if "__init__" not in vars(base):
            continue
        parameters = list(inspect.signature(base.__init__).parameters.values())[1:]  # type: ignore[misc]
        named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
        names += [p.name for p in parameters if p.kind in named and p.name not in names]
        if not any(p.kind == inspect.Parameter.VAR_KEYWORD for p in parameters):
            break
    return names


def filled_arguments(cls: type, init_kwargs: dict[str, Any]) -> list[str]:
    """The names of the arguments of base classes that the class itself gives them.

    They have no default, are not among the arguments of the class and were not given, and yet
    there is an instance.
    """
    return [
        name
        for base in cls.__mro__[1:]
        if "__init__" in vars(base)
        for name, parameter in inspect.signature(base.__init__).parameters.items()  # type: ignore[misc]
        if parameter.default is inspect.Parameter.empty
        and name not in inspect.signature(cls).parameters
        and name not in init_kwargs
    ]


def unbuilt(config: Any) -> Any:
    """A configuration without what Keras notes of layers in it once they are built."""
    if isinstance(config, dict):
        return {key: unbuilt(item) for key, item in config.items() if key != "build_config"}
    if isinstance(config, list | tuple):
        return [unbuilt(item) for item in config]
    return config


def functional(layer: Any, inputs: Any) -> Any:
    """A model of the layer alone, with an unknown batch size."""

    def symbol(array: np.ndarray, name: str | None = None) -> Any:
        return keras.Input(array.shape[1:], dtype=array.dtype.name, name=name)

    if isinstance(inputs, dict) and not any(map(keras.tree.is_nested, inputs.values())):
        # Keras warns where names of inputs are not those of the keys.
        symbolic = {key: symbol(array, key) for key, array in inputs.items()}
    else:
        symbolic = keras.tree.map_structure(symbol, inputs)
    return keras.Model(symbolic, layer(symbolic))


def float_weights(weights: list[Any]) -> list[Any]:
    """Those weights that are of a floating-point type (states of seeds are not)."""
    return [weight for weight in weights if keras.backend.is_float_dtype(weight.dtype)]


def move(weights: list[Any], rng: np.random.Generator) -> None:
    """Moves weights a little away from their initial values, which hide faults.

    Upwards, so that variances stay positive.
    """
    for weight in float_weights(weights):
        noise = rng.uniform(0.01, 0.1, size=tuple(weight.shape))
        weight.assign_add(noise)


# === Structures of arrays ===


def as_data(inputs: Any) -> Any:
    """Reads arrays as Keras reads data, and checks that they have a common batch axis."""

    def convert(leaf: Any) -> np.ndarray:
        array = np.asarray(ops.convert_to_numpy(leaf))
        if array.dtype.kind == "f":
            return array.astype(keras.config.floatx())
        return array.astype("int32") if array.dtype.kind == "i" else array

    arrays = keras.tree.map_structure(convert, inputs)
    sizes = {array.shape[:1] for array in keras.tree.flatten(arrays)}
    if len(sizes) != 1 or () in sizes or (0,) in sizes:
        raise ValueError(
            "Expected arrays with a common first axis, the batch. Received: inputs of shapes "
            f"{[array.shape for array in keras.tree.flatten(arrays)]}"
        )
    return arrays


def one_more_row(arrays: Any) -> Any:
    """The same batch, with its first row once more at the end."""
    return keras.tree.map_structure(lambda a: np.concatenate([a, a[:1]]), arrays)


def perturbed(arrays: Any, rng: np.random.Generator) -> Any:
    """Floating-point arrays times 1 ± 0.2: signs and zeros, which may matter, are kept."""

    def perturb(array: np.ndarray) -> np.ndarray:
        if array.dtype.kind != "f":
            return array
        return (array * rng.uniform(0.8, 1.2, array.shape)).astype(array.dtype)

    return keras.tree.map_structure(perturb, arrays)


def to_numpy(tensors: Any) -> Any:
    """A structure of tensors as one of NumPy arrays, half precision as float32."""

    def convert(tensor: Any) -> np.ndarray:
        tensor = ops.convert_to_tensor(tensor)  # of a variable, its value
        if dtype_of(tensor) in ("float16", "bfloat16"):  # NumPy has not both
            tensor = ops.cast(tensor, "float32")
        return np.asarray(ops.convert_to_numpy(tensor))

    return keras.tree.map_structure(convert, tensors)


def dtype_of(tensor: Any) -> str:
    """The Keras name of the type of a tensor."""
    return str(keras.backend.standardize_dtype(tensor.dtype))


def is_floating(tensor: Any) -> bool:
    """Whether a tensor is of a floating-point type."""
    return bool(keras.backend.is_float_dtype(dtype_of(tensor)))


def floating(tensors: Any) -> list[Any]:
    """The floating-point leaves of a structure."""
    return [leaf for leaf in keras.tree.flatten(tensors) if is_floating(leaf)]


def shapes(tensors: Any) -> Any:
    """The structure of the shapes of a structure of tensors, lists as tuples."""
    return as_tuples(keras.tree.map_structure(lambda t: tuple(t.shape), tensors))


def dtypes(tensors: Any) -> Any:
    """The structure of the types of a structure of tensors, lists as tuples."""
    return as_tuples(keras.tree.map_structure(dtype_of, tensors))


def as_tuples(structure: Any) -> Any:
    """Replaces lists by tuples, for comparison."""
    if isinstance(structure, dict):
        return {key: as_tuples(item) for key, item in structure.items()}
    if isinstance(structure, list | tuple):
        return tuple(as_tuples(item) for item in structure)
    return structure


def difference(first: Any, second: Any, rtol: float, atol: float) -> str | None:
    """Says how two structures of arrays differ, or None if they are close."""
    if shapes(first) != shapes(second):
        return f"shapes {shapes(first)} and {shapes(second)}"
    for a, b in zip(keras.tree.flatten(first), keras.tree.flatten(second), strict=True):
        if not np.allclose(a, b, rtol=rtol, atol=atol, equal_nan=True):
            gap = np.abs(np.asarray(a, "float64") - np.asarray(b, "float64"))
            largest = np.nanmax(np.abs(b))
            return f"the largest difference is {np.nanmax(gap):.3g}, of values up to {largest:.3g}"
    return None
