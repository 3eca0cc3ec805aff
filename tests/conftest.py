"""Settings and data shared by all tests."""

from __future__ import annotations

import gc
import os
import sys
import tempfile
from pathlib import Path

# Before Keras is imported: no accelerator chatter in the output.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# On older CPUs TensorFlow convolves "channels_first" only with oneDNN, which it leaves out there.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
# One thread for each library: with a worker for each core, more of them wait for one another
# (a test that takes half a second alone took twenty beside others).
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MKL_NUM_THREADS", "1")
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")
# JAX compiles every operation for every shape. Compiled in haste, and once for all workers, the
# tests take half as long.
if os.environ.get("KERAS_BACKEND") == "jax":
    os.environ.setdefault(
        "XLA_FLAGS",
        "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true",
    )
    os.environ.setdefault(
        "JAX_COMPILATION_CACHE_DIR", str(Path(tempfile.gettempdir()) / "mtlkit-tests-on-jax")
    )
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")
sys.path.insert(0, str(Path(__file__).parent))

import hypothesis
import keras
import matplotlib
import numpy as np
import pytest

matplotlib.use("Agg")
# Graphs of hundreds of models are looked through at every collection: a tenth of the time.
gc.set_threshold(50_000, 20, 50)
# Times vary on shared machines; the examples themselves do not.
hypothesis.settings.register_profile("mtlkit", deadline=None, derandomize=True, max_examples=25)
hypothesis.settings.load_profile("mtlkit")


@pytest.fixture(autouse=True)
def reproducible():
    """Same seed, default dtype policy and data format for every test."""
    keras.utils.set_random_seed(0)
    yield
    keras.config.set_dtype_policy("float32")
    keras.config.set_image_data_format("channels_last")


@pytest.fixture(scope="session")
def images() -> np.ndarray:
    """48 images of 8x8 pixels."""
    return np.random.default_rng(1).random((48, 8, 8, 1)).astype("float32")


@pytest.fixture(scope="session")
def labels() -> dict[str, np.ndarray]:
    """Complete labels of three tasks for `images`."""
    rng = np.random.default_rng(2)
    return {
        "identity": rng.integers(4, size=48),
        "orientation": rng.integers(8, size=48),
        "intensity": rng.random(48).astype("float32"),
    }
