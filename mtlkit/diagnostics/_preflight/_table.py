"""The checks of a preflight, in the order in which they are run."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from mtlkit.diagnostics._preflight import inputs, labels, layers, outputs, training
from mtlkit.diagnostics._preflight._problem import Problem
from mtlkit.diagnostics._preflight._program import Program

Check = Callable[[Program], Iterator[Problem]]

#: Those that compute nothing. With an error of theirs, nothing can be computed.
OF_DATA: tuple[Check, ...] = (
    labels.missing_labels,
    labels.wrong_labels,
    labels.one_label,
    labels.no_shared_samples,
    inputs.broken_inputs,
    inputs.tokens_out_of_range,
)
#: Those that read the model, and what it computes for a batch.
OF_MODEL: tuple[Check, ...] = (
    layers.frozen,
    layers.not_adapted,
    layers.same_weights,
    layers.no_nonlinearity,
    layers.hidden_softmax,
    layers.large_dropout,
    outputs.activation_of_output,
    outputs.accuracy_of_values,
    layers.dead_units,
    layers.constant_output,
)
#: Those that compute losses and gradients, and take steps.
OF_TRAINING: tuple[Check, ...] = (
    training.first_loss,
    training.unequal_losses,
    training.large_penalty,
    training.stale_batch_norm,
    training.gradients_of_layers,
    training.first_steps,
    inputs.input_scale,
)
