"""The aggregators, what each of them promises, and ways to run them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np
from keras import ops

from mtlkit import balancing
from mtlkit.balancing import Aggregator

BACKEND = keras.backend.backend()
#: JAX has float64 only where the whole process has it.
DTYPES = ("float32",) if BACKEND == "jax" else ("float32", "float64")


@dataclass
class Promises:
    """What an aggregator promises beside a result that is finite and of the right shape.

    Attributes:
        make: Makes it.
        non_conflicting: It makes no task worse: `"always"`, for `"independent"` gradients, or not.
        equal: What a number of tasks with the same gradient `g` get, as a multiple of `g`; `None`
            for what depends on the length of `g`.
        degree: By which power of a factor the result grows if all gradients grow by it.
        linear: The result is linear in positive factors of the rows.
        scale_free: Positive factors of single rows change nothing.
        stationary: The result is 0 where gradients cancel out with positive weights.
        keeps_going: It is not 0 where they do so only with some weights of 0.
        longest: It is never longer than the longest gradient.
    """

    make: Callable[[], Aggregator]
    non_conflicting: str = ""
    equal: Callable[[int], float] | None = None
    degree: float = 1
    linear: bool = False
    scale_free: bool = False
    stationary: bool = False
    keeps_going: bool = False
    longest: bool = False


def one(tasks):
    return 1


def number(tasks):
    return tasks


METHODS = {
    "Sum": Promises(balancing.Sum, equal=number, linear=True),
    "Mean": Promises(balancing.Mean, equal=one, linear=True, longest=True),
    "PCGrad": Promises(lambda: balancing.PCGrad(seed=0), equal=number, linear=True),
    "GradVac": Promises(lambda: balancing.GradVac(seed=0), equal=number, linear=True),
    "MGDA": Promises(balancing.MGDA, "always", one, stationary=True, longest=True),
    "CAGrad": Promises(lambda: balancing.CAGrad(c=0.4), equal=lambda tasks: 1.4),
    "IMTLG": Promises(balancing.IMTLG, "independent", one, longest=True),
    "NashMTL": Promises(lambda: balancing.NashMTL(max_norm=0), "always", None, 0, scale_free=True),
    "NashMTL at most 1": Promises(balancing.NashMTL, "always", None, 0, scale_free=True),
    "FairGrad": Promises(balancing.FairGrad, "always", None, 0, scale_free=True),
    "FairGrad(2)": Promises(lambda: balancing.FairGrad(alpha=2.0), "always", None, -1 / 3),
    "AlignedMTL": Promises(balancing.AlignedMTL, equal=one, longest=True),
    "AlignedMTL(median)": Promises(lambda: balancing.AlignedMTL("median"), equal=one, longest=True),
    "AlignedMTL(rmse)": Promises(lambda: balancing.AlignedMTL("rmse"), equal=one, longest=True),
    "UPGrad": Promises(
        balancing.UPGrad,
        "always",
        one,
        linear=True,
        stationary=True,
        keeps_going=True,
        longest=True,
    ),
    "DualProj": Promises(balancing.DualProj, "always", one, stationary=True, longest=True),
    "ConFIG": Promises(balancing.ConFIG, "independent", number, linear=True),
    "GradDrop": Promises(lambda: balancing.GradDrop(seed=0), equal=number),
    "GradNorm": Promises(balancing.GradNorm, equal=number),
    "DBMTL": Promises(balancing.DBMTL, equal=number),
}


def noise_for(aggregator: Aggregator, shape: tuple[int, int], seed: int = 0) -> np.ndarray:
    """Random numbers of the shape that an aggregator wants, or one that nothing reads."""
    wanted = aggregator.noise_shape(*shape) or (1,)
    return np.random.default_rng(seed).random(wanted)


@functools.cache
def compiled(name: str, shape: tuple[int, int], xla: bool = False) -> Callable:
    """`combine` of a method as the backend compiles it."""
    aggregator = METHODS[name].make()

    def function(gradients, state, noise, losses):
        return aggregator.combine(gradients, state, noise=noise, losses=losses)

    if BACKEND == "tensorflow":
        import tensorflow as tf

        return tf.function(function, jit_compile=xla)
    if BACKEND == "jax":
        import jax

        return jax.jit(function)
    return function


def combined(name: str, gradients, noise=None, state=None, losses=None, dtype="float32", xla=False):
    """The gradient and the state after one compiled call, as arrays."""
    gradients = np.asarray(gradients)
    aggregator = METHODS[name].make()
    if noise is None:
        noise = noise_for(aggregator, gradients.shape)
    if state is None:
        state = aggregator.initial_state(len(gradients))
    if losses is None:
        losses = np.ones(len(gradients))
    tensors = [ops.convert_to_tensor(x, dtype=dtype) for x in (gradients, noise, losses)]
    state = {key: ops.convert_to_tensor(value, dtype=dtype) for key, value in state.items()}
    found, state = compiled(name, gradients.shape, xla)(tensors[0], state, *tensors[1:])
    return ops.convert_to_numpy(found), {k: ops.convert_to_numpy(v) for k, v in state.items()}


def cosines(gradients, vector) -> np.ndarray:
    """Cosines of a vector with the gradients that are not zero."""
    gradients = np.asarray(gradients, "float64")
    gradients = gradients[gradients.any(axis=1)]
    lengths = np.linalg.norm(gradients, axis=1) * np.linalg.norm(vector)
    return gradients @ np.asarray(vector, "float64") / np.where(lengths == 0, 1, lengths)
