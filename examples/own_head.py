"""A head of your own: not only a value, but how sure it is.

`QuantileHead` predicts three quantiles of a number, 10, 50 and 90 %, so that four values in five
should lie in its range. It is checked by `mtlkit.testing`, which finds what is easy to get wrong,
and then trained beside a task of classes. On these data the noise differs from place to place.

Run it with `python examples/own_head.py`; `--help` tells the options.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import keras
import numpy as np
from keras import ops

import mtlkit as mtl
from mtlkit.testing import LayerTestCase

LEVELS = (0.1, 0.5, 0.9)


@keras.saving.register_keras_serializable(package="own_head")
def pinball(y_true, y_pred):
    """Returns a loss for each sample, which draws each output to its quantile."""
    error = ops.cast(ops.reshape(y_true, (-1, 1)), y_pred.dtype) - y_pred
    level = ops.convert_to_tensor(LEVELS, y_pred.dtype)
    return ops.mean(ops.maximum(level * error, (level - 1) * error), axis=-1)


@keras.saving.register_keras_serializable(package="own_head")
class QuantileHead(mtl.heads.Head):
    """Predicts three quantiles of a number; NaN means unlabelled."""

    def __init__(self, hidden_units=32, **kwargs):
        super().__init__(**kwargs)
        self.hidden_units = hidden_units
        self.hidden = keras.layers.Dense(hidden_units, "relu", dtype=self.dtype_policy)
        self.last = keras.layers.Dense(3, dtype="float32")

    def build(self, input_shape):
        for layer in (self.hidden, self.last):
            if not layer.built:
                layer.build(input_shape)
            input_shape = layer.compute_output_shape(input_shape)

    def call(self, inputs):
        low, median, high = ops.split(self.last(self.hidden(inputs)), 3, axis=-1)
        # Steps down and up from the median, so that quantiles never cross.
        outputs = [median - ops.softplus(low), median, median + ops.softplus(high)]
        return ops.concatenate(outputs, axis=-1)

    def get_config(self):
        return {**super().get_config(), "hidden_units": self.hidden_units}

    def default_loss(self):
        return mtl.losses.MaskedLoss(pinball)

    def default_metrics(self):
        return [mtl.metrics.MaskedMetric(pinball, name="pinball")]

    @property
    def primary_metric(self):
        return "pinball", "min"

    def decode_tensors(self, outputs):
        return {"value": outputs[:, 1], "low": outputs[:, 0], "high": outputs[:, 2]}

    def validate_labels(self, y, task=None):
        y = np.asarray(y)
        if not np.issubdtype(y.dtype, np.floating) or y.ndim != 1 or np.isinf(y).any():
            raise ValueError(
                f"Task {task or self.name!r}: expected finite floats of shape (samples,), or NaN "
                f"where unlabelled, as of y.astype('float32'). Received: {y.dtype} of {y.shape}"
            )


def check() -> None:
    """What belongs into the tests of your project."""
    rng = np.random.default_rng(0)
    LayerTestCase().run_head_test(
        QuantileHead,
        {"hidden_units": 8},
        features=rng.normal(size=(6, 4)),
        labels=np.array([0.5, 1.0, -2.0, 3.0, np.nan, 5.0]),
        bad_labels=[np.arange(6), np.full(6, np.inf)],
        expected_output_shape=(6, 3),
    )


def rows(samples: int, seed: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Returns two columns, a number that is noisier to the right, and a class."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, (samples, 2)).astype("float32")
    value = np.sin(3 * x[:, 0]) + (0.05 + 0.4 * (x[:, 0] > 0)) * rng.normal(size=samples)
    return x, {"value": value.astype("float32"), "side": (x[:, 1] > x[:, 0] ** 2).astype("int64")}


def draw(x: np.ndarray, y: np.ndarray, found: dict[str, np.ndarray], path: Path) -> None:
    """Writes a picture of the range and the median, over the labels."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3.5), layout="constrained")
    ax, order = figure.subplots(), np.argsort(x)
    low, median, high = (found[name][order] for name in ("low", "value", "high"))
    ax.scatter(x, y, s=4, color="gray", label="labels of test rows")
    ax.fill_between(x[order], low, high, alpha=0.4, label="from 10 to 90 %")
    ax.plot(x[order], median, label="median")
    ax.set(xlabel="first column", ylabel="value")
    ax.legend()
    figure.savefig(path, dpi=100)


def main() -> None:
    """Checks the head, trains it beside another task, and prints how often its range is right."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fast", action="store_true", help="few rows and one epoch, as a test")
    parser.add_argument("--save", type=Path, help="where to write the picture")
    options = parser.parse_args()
    samples, epochs = (200, 1) if options.fast else (3000, 30)
    check()
    print("Checked: QuantileHead keeps what a head promises.")

    x, y = rows(samples, seed=0)
    y["value"][::3] = np.nan  # not measured
    x_test, y_test = rows(1000, seed=1)
    keras.utils.set_random_seed(0)
    model = mtl.MultiTaskModel(
        mtl.backbones.DenseBackbone(2, units=(32, 32)),
        [
            mtl.Task("value", QuantileHead()),
            mtl.Task("side", mtl.heads.ClassificationHead(2)),
        ],
    )
    model.compile(keras.optimizers.Adam(3e-3))
    model.fit(x, y, epochs=epochs, verbose=0)

    skills = mtl.reports.task_skills(model, x_test, y_test, y)
    print(mtl.metrics.skill_table(skills, title=f"{len(x_test)} test rows"), "\n")
    found, first = model.predict_tasks(x_test, verbose=0)["value"], x_test[:, 0]
    inside = (found["low"] < y_test["value"]) & (y_test["value"] < found["high"])
    for where, part in {"little noise": first < 0, "much noise": first > 0}.items():
        width = (found["high"] - found["low"])[part].mean()
        print(f"{where}: a range {width:.2f} wide has {inside[part].mean():.0%} (80 % are due)")
    if options.save:
        draw(x_test[:, 0], y_test["value"], found, options.save)


if __name__ == "__main__":
    main()
