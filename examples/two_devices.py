"""Two devices learn what one learns: the same losses, though labels are missing unevenly.

A CPU is made into two virtual devices, so that this runs anywhere. The same model is trained on
one and on two, by TensorFlow's `MirroredStrategy` or JAX's `DataParallel`. In each batch the first
device gets fewer labels than the second one; the loss is still the mean over those of both.

Run it with `KERAS_BACKEND=jax python examples/two_devices.py`, or on TensorFlow; `--help` tells
the options. On PyTorch, Keras trains on one device.
"""

from __future__ import annotations

import argparse
import contextlib
import os

# Before Keras is imported: the number of devices is fixed when the backend starts.
if os.environ.get("KERAS_BACKEND") == "jax":
    flags = os.environ.get("XLA_FLAGS", "")
    os.environ["XLA_FLAGS"] = f"{flags} --xla_force_host_platform_device_count=2"
    os.environ["JAX_PLATFORMS"] = "cpu"

import keras
import numpy as np

import mtlkit as mtl

BATCH = 32


def two_devices() -> contextlib.AbstractContextManager:
    """Returns the scope in which a model for two devices is built and compiled."""
    if keras.backend.backend() == "jax":
        assert len(keras.distribution.list_devices()) == 2
        keras.distribution.set_distribution(keras.distribution.DataParallel())
        return contextlib.nullcontext()
    import tensorflow as tf

    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope()


def make_devices() -> None:
    """Makes the CPU two devices on TensorFlow; on JAX the flag above has done so."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        cpu = tf.config.list_physical_devices("CPU")[0]
        halves = [tf.config.LogicalDeviceConfiguration()] * 2
        tf.config.set_logical_device_configuration(cpu, halves)


def build() -> mtl.MultiTaskModel:
    """Returns a compiled model of two tasks, with the same weights each time."""
    keras.utils.set_random_seed(0)
    model = mtl.MultiTaskModel(
        mtl.backbones.ConvBackbone((16, 16, 1), filters=(8, 16)),
        [
            mtl.Task("digit", mtl.heads.ClassificationHead(10, pooling="flatten")),
            mtl.Task("brightness", mtl.heads.RegressionHead()),
        ],
    )
    model.compile(keras.optimizers.Adam(3e-3))
    return model


def digits(samples: int) -> tuple:
    """Returns training and test data; two thirds of the first device's labels are missing."""
    data = mtl.datasets.rotated_digits(copies=1)
    splits = []
    for x, y in ((data.x_train[:samples], data.y_train), (data.x_test, data.y_test)):
        labels = {"digit": y["identity"][: len(x)], "brightness": y["intensity"][: len(x)]}
        splits += [x[:, ::2, ::2], labels]  # half the size
    x, y, *test = splits
    first = np.arange(len(x)) % BATCH < BATCH // 2  # the half of each batch that it gets
    missing = first & (np.random.default_rng(0).random(len(x)) < 2 / 3)
    y = {
        "digit": np.where(missing, -1, y["digit"]),
        "brightness": np.where(missing, np.nan, y["brightness"]),
    }
    return x, y, *test


def main() -> None:
    """Trains on one device and on two, and prints losses and scores of both."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fast", action="store_true", help="few images, two epochs, as a test")
    options = parser.parse_args()
    if keras.backend.backend() == "torch":
        print("Keras trains on one device on PyTorch. Set KERAS_BACKEND to tensorflow or jax.")
        return
    samples, epochs = (64, 2) if options.fast else (1088, 8)
    make_devices()
    x, y, x_test, y_test = digits(samples)

    losses, tables = {}, []
    for name, scope in {"one device": contextlib.nullcontext, "two devices": two_devices}.items():
        with scope():
            model = build()
        fit = model.fit(x, y, batch_size=BATCH, epochs=epochs, shuffle=False, verbose=0)
        losses[name] = fit.history["loss"]
        skills = mtl.reports.task_skills(model, x_test, y_test, y)
        tables.append(mtl.metrics.skill_table(skills, title=f"\n{name}, {len(x_test)} test images"))

    print(f"The loss on {keras.backend.backend()}")
    print("epoch  one device  two devices  difference")
    for epoch, (one, two) in enumerate(zip(*losses.values(), strict=True), start=1):
        print(f"{epoch:5}  {one:10.5f}  {two:11.5f}  {abs(one - two):10.1e}")
    print(*tables, sep="\n")


if __name__ == "__main__":
    main()
