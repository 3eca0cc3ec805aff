"""Inputs that a network cannot read well."""

from __future__ import annotations

from collections.abc import Iterator

import keras
import numpy as np
from numpy.typing import NDArray

from mtlkit.diagnostics._preflight._problem import Problem
from mtlkit.diagnostics._preflight._program import Program
from mtlkit.diagnostics._preflight.training import is_amiss
from mtlkit.diagnostics.thresholds import LARGE_INPUT, SMALL_INPUT, UNEVEN_COLUMNS

#: Layers that multiply their input with weights.
_WEIGHTED = (
    *("Dense", "EinsumDense", "Conv1D", "Conv2D", "Conv3D", "DepthwiseConv2D"),
    *("SeparableConv1D", "SeparableConv2D", "LSTM", "GRU", "SimpleRNN", "Bidirectional"),
)


def broken_inputs(program: Program) -> Iterator[Problem]:
    """Inputs that are no numbers, or always the same."""
    for name, array in program.arrays.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            rows = ~np.isfinite(array).reshape(len(array), -1).all(axis=1)
            yield Problem(
                "inputs_not_finite",
                "error",
                f"{int(rows.sum())} of {len(array)} samples of {name} hold NaN or infinite values.",
                f"{name} = numpy.nan_to_num({name})",
                value=float(rows.mean()),
            )
        elif array.dtype.kind in "fiub" and len(array) > 1 and (array == array[:1]).all():
            yield Problem("constant_inputs", "error", f"All samples of {name} are the same.")


def tokens_out_of_range(program: Program) -> Iterator[Problem]:
    """Numbers of tokens that an embedding does not know."""
    for node in program.nodes:
        layer = node.operation
        if not isinstance(layer, keras.layers.Embedding) or not node.input_tensors:
            continue
        name = getattr(node.input_tensors[0], "name", "")
        array = program.arrays.get(name) if len(program.arrays) > 1 else program.arrays.get("x")
        if array is None or array.dtype.kind not in "fiu":
            continue
        low, high = array.min(), array.max()
        if low < 0 or high >= layer.input_dim:
            yield Problem(
                "tokens_out_of_range",
                "error",
                f"Tokens go from {low:g} to {high:g}; {layer.name!r} knows 0 to "
                f"{layer.input_dim - 1}.",
                f"keras.layers.Embedding({int(high) + 1}, {layer.output_dim})",
                layer=layer.name,
                value=float(high),
            )


def input_scale(program: Program) -> Iterator[Problem]:
    """What reaches the first weights is far from mean 0 and spread 1."""
    for layer, values in _first_inputs(program):
        mean, spread = float(np.abs(values.mean())), float(values.std())
        if max(mean, spread) > LARGE_INPUT:
            # A network that starts out and trains as it should is not reproached for it.
            yield Problem(
                "input_scale",
                "warning" if is_amiss(program) else "hint",
                f"{layer!r} reads values from {values.min():.3g} to {values.max():.3g} (spread "
                f"{spread:.3g}); initial weights expect a spread of about 1.",
                _scaling(values),
                layer=layer,
                value=max(mean, spread),
            )
        elif 0 < spread < SMALL_INPUT:
            yield Problem(
                "input_scale",
                "hint",
                f"{layer!r} reads values of a spread of {spread:.2g}, hardly any beside 1.",
                "normalize = keras.layers.Normalization(); normalize.adapt(x)",
                layer=layer,
                value=spread,
            )
        elif values.ndim == 2 and values.shape[1] > 1:
            yield from _uneven(layer, values)


def _uneven(layer: str, values: NDArray) -> Iterator[Problem]:
    spreads = values.std(axis=0)
    spreads = spreads[spreads > 0]
    if len(spreads) > 1 and spreads.max() > UNEVEN_COLUMNS * spreads.min():
        ratio = float(spreads.max() / spreads.min())
        yield Problem(
            "uneven_columns",
            "hint",
            f"Columns that {layer!r} reads differ {ratio:.0f} times in spread.",
            "normalize = keras.layers.Normalization(); normalize.adapt(x)",
            layer=layer,
            value=ratio,
        )


def _scaling(values: NDArray) -> str:
    if values.ndim == 4 and values.min() >= 0 and 1 < values.max() <= 255:
        return "keras.layers.Rescaling(1 / 255)  # as the first layer"
    return "normalize = keras.layers.Normalization(); normalize.adapt(x)  # as the first layer"


def _first_inputs(program: Program) -> Iterator[tuple[str, NDArray]]:
    """The layers that are the first with weights on their way, and what they read."""
    behind: set[int] = set()
    values: dict[int, NDArray] = {
        id(node): given for node, given, _ in program.activations if given.size
    }
    for node in program.nodes:
        is_behind = any(id(tensor) in behind for tensor in node.input_tensors)
        weighted = type(node.operation).__name__ in _WEIGHTED
        if weighted and not is_behind and id(node) in values:
            yield node.operation.name, values[id(node)]
        if is_behind or getattr(node.operation, "weights", None):
            behind.update(id(tensor) for tensor in node.outputs)
