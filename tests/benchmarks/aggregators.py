"""What the aggregators of gradients cost beside forming the products of the gradients.

    KERAS_BACKEND=tensorflow python tests/benchmarks/aggregators.py

One run a backend, about a minute. By method and number of tasks the table has the milliseconds
of finding the weights from a Gramian, compiled (`tf.function`, with XLA by `--xla`; `jax.jit`;
PyTorch runs as it is): the least of the medians of a few rounds of calls, on one core.
`GradDrop`, which needs the gradients, combines 1000 parameters. Gradients are drawn
evenly; the lengths of rows differ by up to a factor of 10,000.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before a backend is imported

import keras
import numpy as np
from keras import ops

from mtlkit import balancing
from mtlkit.balancing import Aggregator, GramianAggregator

TASKS, PARAMETERS = (2, 3, 8, 32), 1000
METHODS = (
    "Sum",
    "Mean",
    "PCGrad",
    "GradVac",
    "MGDA",
    "CAGrad",
    "IMTLG",
    "NashMTL",
    "FairGrad",
    "AlignedMTL",
    "UPGrad",
    "DualProj",
    "ConFIG",
    "GradDrop",
    "GradNorm",
    "DBMTL",
)


def compiled(function: Callable[..., Any], xla: bool) -> Callable[..., Any]:
    """A function as the backend compiles it, that waits for its result."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(1)
        graph = tf.function(function, jit_compile=xla)
        return lambda *inputs: graph(*inputs)[0].numpy()
    if backend == "jax":
        import jax

        graph = jax.jit(function)
        return lambda *inputs: graph(*inputs)[0].block_until_ready()
    import torch

    torch.set_num_threads(1)
    return function


def milliseconds(method: Aggregator, tasks: int, xla: bool, calls: int, rounds: int) -> float:
    """How long a call takes."""
    rng = np.random.default_rng(tasks)
    rows = rng.normal(size=(tasks, PARAMETERS)) * 10 ** rng.uniform(-2, 2, size=(tasks, 1))
    inputs = rows.astype("float32")
    pure: Callable[..., Any] = method.combine
    if isinstance(method, GramianAggregator):
        inputs = inputs @ inputs.T
        pure = method.weigh
    shape = method.noise_shape(tasks, PARAMETERS) or (1,)

    def function(values: Any, state: Any, noise: Any, losses: Any) -> Any:
        return pure(values, state, noise=noise, losses=losses)

    run = compiled(function, xla)
    draws = [ops.convert_to_tensor(rng.random(shape).astype("float32")) for _ in range(4)]
    given = ops.convert_to_tensor(inputs), method.initial_state(tasks)
    losses = ops.ones((tasks,))
    run(*given, draws[0], losses)
    medians = []
    for _ in range(rounds):
        times = []
        for call in range(calls):
            start = time.perf_counter()
            run(*given, draws[call % len(draws)], losses)
            times.append(time.perf_counter() - start)
        medians.append(np.median(times))
    return 1000 * float(min(medians))


def main() -> None:
    """Measures, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--xla", action="store_true", help="compile by XLA on TensorFlow")
    parser.add_argument("--methods", nargs="+", default=METHODS, choices=METHODS)
    parser.add_argument("--tasks", type=int, nargs="+", default=TASKS)
    parser.add_argument("--calls", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    backend = keras.backend.backend()
    print(f"{backend} {__import__(backend).__version__}{', XLA' if arguments.xla else ''}; ms\n")
    print("| method | " + " | ".join(f"K = {tasks}" for tasks in arguments.tasks) + " |")
    print("|---|" + "---|" * len(arguments.tasks))
    for name in arguments.methods:
        method = getattr(balancing, name)()
        times = [
            milliseconds(method, tasks, arguments.xla, arguments.calls, arguments.rounds)
            for tasks in arguments.tasks
        ]
        print(f"| {name} | " + " | ".join(f"{time:.2f}" for time in times) + " |", flush=True)


if __name__ == "__main__":
    main()
