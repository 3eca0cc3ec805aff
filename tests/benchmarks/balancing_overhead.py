"""What a balancer costs: a training step beside that of a model without one.

    python tests/benchmarks/balancing_overhead.py
    KERAS_BACKEND=torch python tests/benchmarks/balancing_overhead.py --torchjd

One run a backend (KERAS_BACKEND); the file of results holds all of them. Tasks are classifications
of 32x32 images behind `ConvBackbone()`, in batches of 64. Blocks of steps of both models alternate,
and so does who goes first; a ratio of CPU-seconds, on one thread, is the median of those of the
pairs, with their quartiles. With 32 tasks only a few methods are measured, one of each kind.

`--torchjd` measures `torchjd.autojac.mtl_backward` in place of mtlkit, in a loop of plain PyTorch
with a network of the same layers, its rows at once (the default) or one by one. Beside it stands
`sum(losses).backward()`. It needs `pip install "torchjd[quadprog-projector]"`.
"""

from __future__ import annotations

import argparse
import datetime
import itertools
import json
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")  # before a backend is imported
os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false")

import keras
import numpy as np

import mtlkit as mtl
from mtlkit.balancing._names import BALANCERS

RESULTS = Path(__file__).parent / "results" / "balancing_overhead.json"
BATCH, CLASSES = 64, 10
#: What is measured with the gradients at the parameters, too.
AT_PARAMETERS = ("mean", "upgrad", "nash_mtl")
#: What is measured with many tasks.
FEW, MANY = ("uw", "mean", "mgda", "upgrad", "nash_mtl"), 16


def model_of(tasks: int, balancer: str | None, space: str) -> Any:
    """A compiled model."""
    keras.utils.set_random_seed(0)
    heads = [mtl.Task(f"t{i}", mtl.heads.ClassificationHead(CLASSES)) for i in range(tasks)]
    backbone = mtl.backbones.ConvBackbone()
    model = mtl.MultiTaskModel(backbone, heads, balancer, balancer_space=space)
    model.compile("adam")
    return model


def block_of(model: Any, data: Any) -> Callable[[], Any]:
    """Trains a model for some steps."""
    return lambda: model.fit(*data, batch_size=BATCH, verbose=0)


def torch_block(data: Any, aggregator: str | None, chunk: int | None = None) -> Callable[[], Any]:
    """The same for a loop of PyTorch, with an aggregator of TorchJD or without one."""
    import torch
    from torch import nn
    from torchjd import aggregation
    from torchjd.autojac import jac_to_grad, mtl_backward

    torch.manual_seed(0)
    torch.set_num_threads(1)
    sizes = (1, 32, 64, 128)
    layers: list[Any] = []
    for before, after in itertools.pairwise(sizes):
        layers += [nn.Conv2d(before, after, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
    trunk = nn.Sequential(*layers)
    pool = [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    heads = nn.ModuleList(
        nn.Sequential(*pool, nn.Linear(128, 128), nn.LayerNorm(128), nn.ReLU(), nn.Linear(128, 10))
        for _ in data[1]
    )
    optimizer = torch.optim.Adam([*trunk.parameters(), *heads.parameters()])
    inputs = torch.tensor(np.moveaxis(data[0], -1, 1))
    labels = [torch.tensor(one) for one in data[1].values()]
    combine = None if aggregator is None else getattr(aggregation, aggregator)()

    def block() -> None:
        for start in range(0, len(inputs), BATCH):
            rows = slice(start, start + BATCH)
            features = trunk(inputs[rows])
            losses = [
                nn.functional.cross_entropy(head(features), own[rows])
                for head, own in zip(heads, labels, strict=True)
            ]
            optimizer.zero_grad()
            if combine is None:
                sum(losses).backward()
            else:
                mtl_backward(losses, features=features, parallel_chunk_size=chunk)
                jac_to_grad(trunk.parameters(), combine)
            optimizer.step()

    return block


def measured(balanced: Callable[[], Any], plain: Callable[[], Any], pairs: int) -> dict[str, Any]:
    """The ratio of the times of a block of steps, with and without a balancer."""
    balanced()  # compiles
    times: dict[bool, list[float]] = {True: [], False: []}
    for pair in range(pairs):
        for which in (True, False)[:: 1 if pair % 2 else -1]:
            start = time.process_time()
            (balanced if which else plain)()
            times[which].append(time.process_time() - start)
    ratios = np.array(times[True]) / np.array(times[False])
    low, median, high = (float(np.quantile(ratios, q)) for q in (0.25, 0.5, 0.75))
    return {"ratio": median, "quartiles": [low, high], "pairs": pairs}


def main() -> None:
    """Measures all methods, prints a line for each, and keeps the numbers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", type=int, nargs="+", default=[3, 8, 32])
    parser.add_argument("--methods", nargs="+", default=list(BALANCERS))
    parser.add_argument("--torchjd", action="store_true")
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--output", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    samples = BATCH * arguments.steps
    x = rng.random((samples, 32, 32, 1)).astype("float32")
    kept = json.loads(arguments.output.read_text()) if arguments.output.is_file() else {}
    mine = kept.setdefault("torchjd" if arguments.torchjd else keras.backend.backend(), {})
    mine |= {
        "date": str(datetime.date.today()),
        "keras": keras.__version__,
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "mtlkit": mtl.__version__,
        "steps": arguments.steps,
    }
    rows = mine.setdefault("ratios", {})

    def keep(name: str, tasks: int, found: dict[str, Any]) -> None:
        rows.setdefault(name, {})[str(tasks)] = found
        low, high = found["quartiles"]
        print(
            f"{tasks:3} tasks  {name:24} {found['ratio']:.2f} ({low:.2f} to {high:.2f})", flush=True
        )
        arguments.output.write_text(json.dumps(kept, indent=2) + "\n")

    for tasks in arguments.tasks:
        data = x, {f"t{i}": rng.integers(CLASSES, size=samples) for i in range(tasks)}
        if arguments.torchjd:
            plain = torch_block(data, None)
            plain()
            for method, chunk in itertools.product(("Mean", "UPGrad"), (None, 1)):
                found = measured(torch_block(data, method, chunk), plain, arguments.pairs)
                keep(f"{method}, {'one by one' if chunk else 'at once'}", tasks, found)
            continue
        plain = block_of(model_of(tasks, None, "features"), data)
        plain()
        methods = [m for m in arguments.methods if tasks < MANY or m in FEW]
        spaces = [(method, "features") for method in methods]
        spaces += [(m, "parameters") for m in AT_PARAMETERS if m in methods]
        for method, space in spaces:
            balanced = block_of(model_of(tasks, method, space), data)
            keep(f"{method}, {space}", tasks, measured(balanced, plain, arguments.pairs))


if __name__ == "__main__":
    main()
