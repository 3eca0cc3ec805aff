"""Settings and data shared by all tests."""

from __future__ import annotations

import gc
import os
import re
import sys
import tempfile
from importlib.util import find_spec
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

if keras.backend.backend() == "tensorflow":
    import tensorflow as tf

    # A graph that runs a few times is not worth optimising: a sixth of the time of a `fit`.
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
matplotlib.use("Agg")
# Graphs of hundreds of models are looked through at every collection: a tenth of the time.
gc.set_threshold(50_000, 20, 50)
# Times vary on shared machines; the examples themselves do not.
hypothesis.settings.register_profile("mtlkit", deadline=None, derandomize=True, max_examples=25)
hypothesis.settings.load_profile("mtlkit")

TESTS = Path(__file__).parent

#: What computes nothing with tensors of its own, and so runs on TensorFlow alone: rooms of mtlkit
#: (their tests, and the examples in their docstrings), files and tests. What is not named here
#: runs on every backend, as does a test in here that is marked with `every_backend`.
ONE_BACKEND = (
    "cli",
    "datasets",
    "diagnostics",
    "references",
    "reports",
    "search",
    "space",
    "balancing/test_comparison.py",
    "hierarchy/test_circle.py",
    "hierarchy/test_discovery.py",
    "hierarchy/test_frames.py",
    "hierarchy/test_tree.py",
    "metrics/test_retrieval.py",
    "metrics/test_skill.py",
    "metrics/test_text_table.py",
    "model/test_adopted_model_in_use.py",
    "model/test_copying.py",
    "model/test_from_keras.py",
    "model/test_inputs.py::test_search",
    "model/test_saved_before.py::test_goes_on_training",
    "test_examples.py",
    "test_statistics.py",
)


#: Pages whose examples need packages that are in mtlkit[export].
NEEDED_BY_PAGES = {
    "docs/guide/export/onnx.md": ("tf2onnx", "onnx", "onnxruntime"),
    "docs/guide/export/litert.md": ("ai_edge_litert",),
}


#: Warnings that the examples of a page bring about on purpose.
EXPECTED_ON_PAGES = {
    "docs/guide/hierarchies.md": "ignore:The confusion matrix has a mean accuracy",
    "docs/guide/preflight.md": r"ignore:.*received `from_logits=True`",
}


def pytest_addoption(parser):
    parser.addoption(
        "--all-tests",
        action="store_true",
        help="on JAX and PyTorch, too, run the tests that do not depend on the backend",
    )


def pytest_configure(config):
    places = [place.partition("::")[0] for place in ONE_BACKEND]
    if missing := [place for place in places if not (TESTS / place).exists()]:
        raise pytest.UsageError(f"Expected ONE_BACKEND to name what is there. Received: {missing}")
    config.addinivalue_line("markers", "every_backend: runs on JAX and PyTorch, wherever it stands")


def pytest_collection_finish():
    """What was imported stays: the garbage collector need not look through it."""
    gc.collect()
    gc.freeze()


def pytest_report_header(config):
    left_out = "" if runs_everything(config) else ", without what runs on TensorFlow alone"
    return f"backend: {keras.backend.backend()}{left_out}"


def pytest_collection_modifyitems(config, items):
    for item in items:
        place = item.path.relative_to(TESTS.parent).as_posix()
        missing = [one for one in NEEDED_BY_PAGES.get(place, ()) if find_spec(one) is None]
        if missing:
            item.add_marker(pytest.mark.skip(reason=f"{missing} not installed"))
        if expected := EXPECTED_ON_PAGES.get(place):
            item.add_marker(pytest.mark.filterwarnings(expected))
    if runs_everything(config):
        return
    config.hook.pytest_deselected(items=[item for item in items if not on_every_backend(item)])
    items[:] = [item for item in items if on_every_backend(item)]


def runs_everything(config) -> bool:
    return keras.backend.backend() == "tensorflow" or config.getoption("--all-tests")


def on_every_backend(item) -> bool:
    """Whether a test computes, or is marked; what stands in the documentation does not."""
    if item.get_closest_marker("every_backend"):
        return True
    if not item.path.is_relative_to(TESTS):
        return False
    place = f"{item.path.relative_to(TESTS).as_posix()}::{item.nodeid.partition('::')[2]}"
    if item.path.name == "test_docstrings.py" and hasattr(item, "callspec"):
        place = item.callspec.id.removeprefix("mtlkit.").replace(".", "/")
    return not any(re.match(rf"{re.escape(one)}(/|::|\[|$)", place) for one in ONE_BACKEND)


@pytest.fixture(autouse=True)
def reproducible():
    """Same seed, default dtype policy and data format for every test."""
    keras.utils.set_random_seed(0)
    yield
    keras.config.set_dtype_policy("float32")
    keras.config.set_image_data_format("channels_last")


if keras.backend.backend() == "tensorflow":
    # An optimizer's step registers a gradient of its own, and TensorFlow keeps it, and with it
    # the graph of the whole step, to the end of the process: 20 MB for each model.
    from tensorflow.python.framework.ops import gradient_registry

    @pytest.fixture(scope="module", autouse=True)
    def graphs_are_let_go():
        """What the tests of a module traced is freed after them."""
        yield
        registered = getattr(gradient_registry, "_registry", {})
        for name in [name for name in registered if name.startswith("CustomGradient-")]:
            del registered[name]
        gc.collect()


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
