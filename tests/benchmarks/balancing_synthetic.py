"""Balancers where the truth is known: a plane with two losses, and four kinds of tasks.

    KERAS_BACKEND=jax python tests/benchmarks/balancing_synthetic.py plane
    python tests/benchmarks/balancing_synthetic.py tasks

`plane` is the two-dimensional problem of CAGrad (Liu et al., 2021, arXiv 2110.14048): from five
starts 35,000 steps of Adam with a rate of 0.001. A run has arrived if both losses are those of the
segment between the two minima, within 0.5 % of how far they differ. The loop needs the JAX backend.

`tasks` trains three regressions on 20 columns behind one layer, for 5 seeds:

- *related*: three mixtures of the same two features, with room for six;
- *unrelated*: each of a feature of its own, with room for all;
- *conflicting*: mixtures of five features, with room for two: what serves one takes from another;
- *imbalanced*: as unrelated, but one loss is multiplied by 1,000. Adam trains it, whose steps do
  not depend on how long the combined gradient is: its direction decides. SGD trains the others.

The score is the mean over tasks of R² on test data.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
from pathlib import Path
from typing import Any

import keras
import numpy as np

import mtlkit as mtl
from mtlkit.balancing._names import BALANCERS

RESULTS = Path(__file__).parent / "results" / "balancing_synthetic.json"
STARTS = ((-8.5, 7.5), (-8.5, 5.0), (0.0, 0.0), (9.0, 9.0), (10.0, -8.0))
STEPS, RATE = 35_000, 1e-3
COLUMNS, SAMPLES, SEEDS = 20, 600, 5
KINDS = ("related", "unrelated", "conflicting", "imbalanced")


# === The plane ===


def two_losses(point: Any) -> Any:
    """The two losses of a point, scaled by 0.1."""
    import jax.numpy as jnp

    first, second = point
    valley_1 = jnp.log(jnp.maximum(jnp.abs(0.5 * (-first - 7) - jnp.tanh(-second)), 5e-6)) + 6
    valley_2 = jnp.log(jnp.maximum(jnp.abs(0.5 * (-first + 3) + jnp.tanh(-second) + 2), 5e-6)) + 6
    # The gradient passes where the second coordinate is 0: a start there would stay there.
    steep = jnp.tanh(0.5 * second)
    upper, lower = jnp.where(steep >= 0, steep, 0), jnp.where(steep <= 0, -steep, 0)
    bowl_1 = ((-first + 7) ** 2 + 0.1 * (-second - 8) ** 2) / 10 - 20
    bowl_2 = ((-first - 7) ** 2 + 0.1 * (-second - 8) ** 2) / 10 - 20
    return 0.1 * jnp.stack([valley_1 * upper + bowl_1 * lower, valley_2 * upper + bowl_2 * lower])


def descended(name: str, start: tuple[float, float]) -> tuple[float, float]:
    """Where a method comes to from a start."""
    import jax
    import jax.numpy as jnp

    method = mtl.balancing.get(name)
    is_weighting = isinstance(method, mtl.balancing.LossWeighting)
    shape = method.noise_shape(2) if is_weighting else method.noise_shape(2, 2)
    # Losses that are negative have no logarithm: they are counted from a bound below them.
    lowest = -3.0

    def gradient(point: Any, state: Any, noise: Any) -> tuple[Any, Any]:
        if is_weighting:

            def total(point: Any) -> tuple[Any, Any]:
                return method.total(two_losses(point) - lowest, jnp.ones(2), state, noise=noise)

            (_, after), found = jax.value_and_grad(total, has_aux=True)(point)
            return found, after
        rows = jax.jacrev(two_losses)(point)
        found, after = method.combine(rows, state, noise=noise, losses=two_losses(point) - lowest)
        return found * (2.0 if method.averages else 1.0), after

    @jax.jit
    def run(point: Any, state: Any, key: Any) -> Any:
        def step(number: Any, carried: Any) -> Any:
            point, state, moment, square = carried
            drawn = jax.random.uniform(jax.random.fold_in(key, number), shape or ())
            found, state = gradient(point, state, drawn if shape else None)
            moment, square = 0.9 * moment + 0.1 * found, 0.999 * square + 0.001 * found**2
            count = number + 1.0
            size = jnp.sqrt(square / (1 - 0.999**count)) + 1e-8
            return point - RATE * moment / (1 - 0.9**count) / size, state, moment, square

        start = (point, state, jnp.zeros(2), jnp.zeros(2))
        return jax.lax.fori_loop(0, STEPS, step, start)[0]

    state = {k: jnp.asarray(v) for k, v in method.initial_state(2).items()}
    found = run(jnp.asarray(start), state, jax.random.key(0))
    return float(found[0]), float(found[1])


def arrived(point: tuple[float, float]) -> bool:
    """Whether both losses are those of a point between the minima, which lie at x2 = -8.3."""
    between = np.array([two_losses((x, -8.0)) for x in np.linspace(-7, 7, 1401)])
    apart = between.max(axis=0) - between.min(axis=0)
    near = np.abs(between - np.array(two_losses(point))) <= 0.005 * apart
    return bool(near.all(axis=1).any())


def plane(methods: list[str], kinds: list[str]) -> dict[str, Any]:
    """How many of the five starts each method brings to the segment."""
    found = {}
    for name in methods:
        ends = [descended(name, start) for start in STARTS]
        found[name] = {"arrived": sum(map(arrived, ends)), "ends": ends}
        print(f"{name:12} {found[name]['arrived']} of {len(STARTS)}", np.round(ends, 2).tolist())
    return found


# === Tasks ===


def made(kind: str, seed: int) -> dict[str, Any]:
    """Columns and labels of three tasks."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(SAMPLES, COLUMNS)).astype("float32")
    directions, _ = np.linalg.qr(rng.normal(size=(COLUMNS, COLUMNS)))
    features = np.tanh(x @ directions)
    mixing = {
        "related": np.array([[1, 0.3], [0.3, 1], [0.7, 0.7]]),
        "conflicting": np.array([[1, -1, 1, 0, 0], [-1, 1, 0, 1, 0], [0, 1, -1, 0, 1]]),
    }.get(kind, np.eye(3))
    y = features[:, : mixing.shape[1]] @ mixing.T
    y = (y + 0.1 * rng.normal(size=y.shape)).astype("float32")
    return {"x": x, "y": {f"t{k}": y[:, k] for k in range(3)}}


def r_squared(kind: str, balancer: Any, seed: int, only: str | None = None) -> list[float]:
    """R² of each task on the second half of the data."""
    data = made(kind, seed)
    keras.utils.set_random_seed(seed)
    units = 2 if kind == "conflicting" else 6
    names = [only] if only else list(data["y"])
    weights = {name: 1000.0 if kind == "imbalanced" and name == "t0" else 1.0 for name in names}
    tasks = [
        mtl.Task(name, mtl.heads.RegressionHead(hidden_units=0), weight=weights[name])
        for name in names
    ]
    backbone = mtl.backbones.DenseBackbone(COLUMNS, units=(units,))
    model = mtl.MultiTaskModel(backbone, tasks, None if only else balancer)
    adam, sgd = keras.optimizers.Adam(0.01), keras.optimizers.SGD(0.05)
    model.compile(adam if kind == "imbalanced" else sgd)
    half = SAMPLES // 2
    train = {name: data["y"][name][:half] for name in names}
    model.fit(data["x"][:half], train, epochs=60, batch_size=50, verbose=0)
    outputs = model.predict(data["x"][half:], verbose=0)
    found = []
    for name in names:
        true = data["y"][name][half:]
        error = np.mean((true - np.asarray(outputs[name])[:, 0]) ** 2)
        found.append(float(1 - error / true.var()))
    return found


def tasks(methods: list[str], kinds: list[str]) -> dict[str, Any]:
    """The mean R² of each method for each kind, with its standard error over seeds."""
    found: dict[str, Any] = {}
    for kind in kinds:
        for name in methods:
            scores = [np.mean(r_squared(kind, name, seed)) for seed in range(SEEDS)]
            error = float(np.std(scores, ddof=1) / np.sqrt(SEEDS))
            found.setdefault(kind, {})[name] = {"r2": float(np.mean(scores)), "error": error}
            print(f"{kind:12} {name:12} {np.mean(scores):.3f} +- {error:.3f}", flush=True)
    return found


def main() -> None:
    """Runs one part, and keeps what it found beside the other."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("part", choices=["plane", "tasks"])
    parser.add_argument("--methods", nargs="+", default=list(BALANCERS))
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--output", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    found = {"plane": plane, "tasks": tasks}[arguments.part](arguments.methods, arguments.kinds)
    kept = json.loads(arguments.output.read_text()) if arguments.output.is_file() else {}
    if arguments.part == "tasks":  # kinds that were not run stay
        found = {**kept.get("tasks", {}).get("found", {}), **found}
    kept[arguments.part] = {
        "date": str(datetime.date.today()),
        "keras": keras.__version__,
        "backend": keras.backend.backend(),
        "cores": os.cpu_count(),
        "found": found,
    }
    arguments.output.write_text(json.dumps(kept, indent=2) + "\n")


if __name__ == "__main__":
    main()
