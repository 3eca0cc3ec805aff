"""What grows with tasks, classes, the size of images and samples, and how; and data beyond memory.

    python tests/benchmarks/scale.py
    python tests/benchmarks/scale.py --parts stream --limit 1000

Every model stands beside the same layers wired by hand in plain Keras. Both live in processes of
their own, which take turns, on one thread: times are processor seconds, so that other work on the
machine matters less. A ratio is the median of those of the pairs, with their quartiles. Memory is
the most that a process held beyond what it held after a first small model; the sizes follow one
another in it, the smallest first. `growth` is the slope of a line through the logarithms, by least
squares: 1 means that twice as much takes twice as long.

- *tasks*, *classes*, *side*: a batch of 32 images, three tasks of 10 classes and 32x32 pixels but
  for what grows. A first step is what `compile` and the first step of `fit` take.
- *samples*: rows of 256 columns, held in memory and standardised; epochs with batches of 256.
- *stream*: images in a file four times as large as the memory that a process may take, by
  `RLIMIT_DATA`. Beside them stands a file as large as that memory: what is held must not grow.

It reads `/proc`, so it needs Linux. Results go to `results/scale.json`, by backend. It takes
about 5 minutes on an idle core, and 600 MB in the folder of temporary files.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import gc
import json
import multiprocessing
import os
import platform
import resource
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before a backend is imported
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import keras
import numpy as np

import mtlkit as mtl

RESULTS = Path(__file__).parent / "results" / "scale.json"
FILTERS, UNITS, HIDDEN, SEED = (16, 32), 64, 128, 0
MODELS, BUILDS = ("mtlkit", "by hand"), 2
#: Sides of a pixel's image in the file that is streamed, and how many images a batch has.
STREAMED, STREAM_BATCH = (128, 128, 3), 32
MEGABYTE = 1_000_000


class Size(NamedTuple):
    """How large a model and its data are."""

    tasks: int = 3
    classes: int = 10
    side: int = 32
    samples: int = 128
    batch: int = 32
    columns: int = 0
    pairs: int = 4

    @property
    def steps(self) -> int:
        return -(-self.samples // self.batch)


AXES: dict[str, dict[int, Size]] = {
    "tasks": {n: Size(tasks=n) for n in (1, 3, 10, 30, 100)},
    "classes": {n: Size(classes=n) for n in (10, 100, 1_000, 10_000)},
    "side": {n: Size(side=n, samples=128 if n < 256 else 64) for n in (32, 64, 128, 256)},
    "samples": {
        n: Size(samples=n, batch=256, columns=256, pairs=4 if n < 100_000 else 2)
        for n in (1_000, 10_000, 100_000)
    },
}


# === The models ===


def made(size: Size) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Images, or rows of columns, and labels."""
    rng = np.random.default_rng(SEED)
    shape = (size.columns,) if size.columns else (size.side, size.side, 1)
    x = rng.random((size.samples, *shape), dtype="float32")
    names = [f"task{number}" for number in range(size.tasks)]
    return x, {name: rng.integers(size.classes, size=size.samples) for name in names}


def multi_task_model(size: Size, x: np.ndarray) -> keras.Model:
    """The model under test, compiled."""
    if size.columns:
        backbone = mtl.backbones.DenseBackbone(size.columns, (UNITS,))
    else:
        backbone = mtl.backbones.ConvBackbone(x.shape[1:], FILTERS, normalize=False)
    tasks = [
        mtl.Task(
            f"task{number}",
            mtl.heads.ClassificationHead(size.classes, hidden_units=HIDDEN, layer_norm=False),
        )
        for number in range(size.tasks)
    ]
    model = mtl.MultiTaskModel(backbone, tasks)
    model.compile("adam")
    return model


def by_hand(size: Size, x: np.ndarray) -> keras.Model:
    """The same in plain Keras, compiled."""
    layers = keras.layers
    inputs = feature = keras.Input(x.shape[1:])
    if size.columns:
        normalization = layers.Normalization()
        normalization.adapt(x)
        feature = layers.Dense(UNITS, activation="relu")(normalization(inputs))
    else:
        first, second = FILTERS
        feature = layers.Conv2D(first, 3, padding="same", activation="relu")(inputs)
        feature = layers.MaxPooling2D()(feature)
        feature = layers.Conv2D(second, 3, padding="same", activation="relu")(feature)
    outputs = {}
    for name in (f"task{number}" for number in range(size.tasks)):
        vector = feature if size.columns else layers.GlobalAveragePooling2D()(feature)
        hidden = layers.Dense(HIDDEN, activation="relu")(vector)
        outputs[name] = layers.Dense(size.classes, name=name)(hidden)
    model = keras.Model(inputs, outputs)
    losses = {n: keras.losses.SparseCategoricalCrossentropy(from_logits=True) for n in outputs}
    model.compile("adam", loss=losses, metrics={name: ["accuracy"] for name in outputs})
    return model


MAKERS: dict[str, Callable[[Size, np.ndarray], keras.Model]] = {
    "mtlkit": multi_task_model,
    "by hand": by_hand,
}


# === One model in a process of its own ===


class Subject:
    """A model that is built, trained and saved as it is told."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        warm = Size(tasks=1, side=16, samples=64)
        MAKERS[kind](warm, made(warm)[0]).fit(*made(warm), verbose=0)
        self.start = held("VmRSS")

    def take(self, size: Size) -> None:
        """Goes on to another size."""
        self.size, self.data, self.model = size, None, None
        keras.utils.clear_session()
        gc.collect()
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
        self.data = made(size)

    def first(self) -> float:
        """The seconds of building, compiling and the first step, or the first epoch."""
        keras.utils.clear_session()
        keras.utils.set_random_seed(SEED)
        x, y = self.data
        if not self.size.columns:
            x, y = x[: self.size.batch], {k: v[: self.size.batch] for k, v in y.items()}
        begin = time.process_time()
        self.model = MAKERS[self.kind](self.size, x)
        self.model.fit(x, y, batch_size=self.size.batch, verbose=0)
        return time.process_time() - begin

    def step(self) -> float:
        """The seconds of a step."""
        begin = time.process_time()
        self.model.fit(*self.data, batch_size=self.size.batch, verbose=0)
        return (time.process_time() - begin) / self.size.steps

    def peak(self) -> float:
        """The most megabytes that the process held beyond its start."""
        return held("VmHWM") - self.start

    def saved(self) -> dict[str, float]:
        """The seconds of saving and loading the model, and the size of its file."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "model.keras")
            times = [time.process_time()]
            self.model.save(path)
            times.append(time.process_time())
            keras.saving.load_model(path)
            times.append(time.process_time())
            save, load = np.diff(times)
            return {
                "save_s": float(save),
                "load_s": float(load),
                "file_mb": path.stat().st_size / MEGABYTE,
            }


def held(what: str) -> float:
    """Megabytes of this process: `VmRSS`, `VmHWM` (its peak), `RssAnon`, `VmData`."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (line,) = [line for line in lines if line.startswith(f"{what}:")]
    return int(line.split()[1]) * 1024 / MEGABYTE


def serve(pipe: Any, kind: str) -> None:
    """Does what the pipe says, until it says no more."""
    subject = Subject(kind)
    while call := pipe.recv():
        name, *arguments = call
        pipe.send(getattr(subject, name)(*arguments))


@contextlib.contextmanager
def subjects() -> Iterator[Callable[..., Any]]:
    """Both models in processes; gives a function that tells one of them what to do."""
    context = multiprocessing.get_context("spawn")
    pipes, processes = {}, []
    for kind in MODELS:
        pipes[kind], theirs = context.Pipe()
        processes.append(context.Process(target=serve, args=(theirs, kind)))
        processes[-1].start()
        theirs.close()  # else one that dies would be waited for

    def ask(kind: str, *call: Any) -> Any:
        pipes[kind].send(call)
        return pipes[kind].recv()

    try:
        yield ask
    finally:
        for pipe, process in zip(pipes.values(), processes, strict=True):
            with contextlib.suppress(BrokenPipeError):
                pipe.send(())
            process.join()


# === What is measured of them ===


def measured(ask: Callable[..., Any], size: Size) -> dict[str, Any]:
    """What both models take."""
    for kind in MODELS:
        ask(kind, "take", size)
    times = {"first": alternating(ask, "first", BUILDS)}
    for kind in MODELS:
        ask(kind, "step")  # the first call of another length is slower
    times["step"] = alternating(ask, "step", size.pairs)
    found: dict[str, Any] = {"pairs": size.pairs}
    for kind in MODELS:
        own = {f"{name}_s": float(np.median(taken[kind])) for name, taken in times.items()}
        found[kind] = {**own, "peak_mb": ask(kind, "peak"), **ask(kind, "saved")}
    return {**found, **{f"{name}_ratio": quartiles(taken) for name, taken in times.items()}}


def alternating(ask: Callable[..., Any], what: str, pairs: int) -> dict[str, list[float]]:
    """The times of both models, which take turns in who goes first."""
    times: dict[str, list[float]] = {kind: [] for kind in MODELS}
    for pair in range(pairs):
        for kind in MODELS[:: 1 if pair % 2 else -1]:
            times[kind].append(ask(kind, what))
    return times


def quartiles(times: dict[str, list[float]]) -> list[float]:
    """The quartiles of mtlkit's times by those of the model by hand, with the median."""
    ratios = np.array(times["mtlkit"]) / np.array(times["by hand"])
    return [float(np.quantile(ratios, q)) for q in (0.25, 0.5, 0.75)]


# === Data larger than memory ===


def write_images(path: Path, samples: int) -> None:
    """A file of random images."""
    block = np.random.default_rng(SEED).integers(256, size=(64, *STREAMED), dtype="uint8")
    with path.open("wb") as file:
        for begin in range(0, samples, len(block)):
            file.write(np.roll(block, begin)[: samples - begin].tobytes())


def labels_of(samples: int) -> dict[str, np.ndarray]:
    """Labels of two tasks, which are held in memory."""
    rng = np.random.default_rng(SEED)
    return {"kind": rng.integers(10, size=samples), "size": rng.random(samples, dtype="float32")}


def by_tf_data(path: Path, samples: int) -> Any:
    """Batches that TensorFlow reads from the file; their number is known."""
    import tensorflow as tf

    def decoded(image: Any, labels: Any) -> Any:
        return tf.reshape(tf.io.decode_raw(image, tf.uint8), (-1, *STREAMED)), labels

    images = tf.data.FixedLengthRecordDataset(str(path), int(np.prod(STREAMED))).take(samples)
    labels = tf.data.Dataset.from_tensor_slices(labels_of(samples))
    pairs = tf.data.Dataset.zip(images, labels)
    batches = pairs.batch(STREAM_BATCH).map(decoded).prefetch(2)
    return batches.apply(tf.data.experimental.assert_cardinality(-(-samples // STREAM_BATCH)))


def by_task_batches(path: Path, samples: int) -> Any:
    """Batches of `TaskBatches`, in a random order."""
    images = np.memmap(path, "uint8", "r", shape=(samples, *STREAMED))
    return mtl.datasets.TaskBatches({"all": (images, labels_of(samples))}, STREAM_BATCH)


def by_array(path: Path, samples: int) -> tuple[Any, Any]:
    """The file as an array, which Keras takes whole."""
    return np.memmap(path, "uint8", "r", shape=(samples, *STREAMED)), labels_of(samples)


def streamed_model() -> keras.Model:
    """Two tasks on large images, which the backbone standardises and makes smaller."""
    image = keras.Input(STREAMED)
    feature = keras.layers.AveragePooling2D(8)(image)
    feature = keras.layers.Conv2D(8, 3, padding="same", activation="relu")(feature)
    backbone = mtl.backbones.KerasBackbone(
        keras.Model(image, feature), preprocess=mtl.layers.InputNormalization()
    )
    heads = {"kind": mtl.heads.ClassificationHead(10), "size": mtl.heads.RegressionHead()}
    model = mtl.MultiTaskModel(backbone, [mtl.Task(name, head) for name, head in heads.items()])
    model.compile("adam")
    return model


#: Ways to give data to `fit`.
WAYS: dict[str, Callable[[Path, int], Any]] = {
    "`tf.data`": by_tf_data,
    "`TaskBatches`": by_task_batches,
    "one array": by_array,
}


def stream(pipe: Any, way: str, path: Path, sizes: tuple[int, ...], limit: float) -> None:
    """Trains for an epoch on so many samples, under a limit; sends what that took."""
    data = WAYS[way]
    fit(streamed_model(), data(path, STREAM_BATCH))  # TensorFlow's own first
    start = held("RssAnon")
    allowed = int((held("VmData") + limit) * MEGABYTE)
    resource.setrlimit(resource.RLIMIT_DATA, (allowed, allowed))
    for samples in sizes:
        begun, done, most = time.process_time(), threading.Event(), [0.0]

        def watch(done: Any = done, most: list[float] = most) -> None:
            while not done.wait(0.02):
                most[0] = max(most[0], held("RssAnon") - start)

        threading.Thread(target=watch, daemon=True).start()
        try:
            fit(streamed_model(), data(path, samples))
        except (MemoryError, *out_of_memory()) as error:
            pipe.send({"error": type(error).__name__})
        else:
            pipe.send({"own_mb": most[0], "seconds": time.process_time() - begun})
        done.set()
        gc.collect()


def fit(model: keras.Model, data: Any) -> None:
    """Trains for an epoch on batches, or on arrays."""
    parts = data if isinstance(data, tuple) else (data,)
    model.fit(*parts, batch_size=STREAM_BATCH if len(parts) > 1 else None, verbose=0)


def out_of_memory() -> tuple[type[Exception], ...]:
    """What TensorFlow raises when it gets no memory."""
    import tensorflow as tf

    return tf.errors.ResourceExhaustedError, tf.errors.InternalError


def streams(ways: list[str], limit: int) -> dict[str, Any]:
    """What each way holds of data as large as the limit, and four times as large."""
    context = multiprocessing.get_context("spawn")
    sizes = {n: n * limit * MEGABYTE // int(np.prod(STREAMED)) for n in (1, 4)}
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "images.bin")
        write_images(path, max(sizes.values()))
        for way in ways:
            pipe, theirs = context.Pipe()
            arguments = theirs, way, path, tuple(sizes.values()), limit
            process = context.Process(target=stream, args=arguments)
            process.start()
            theirs.close()
            found[way] = {}
            for times in sizes:
                try:
                    found[way][str(times)] = pipe.recv()
                except EOFError:  # the process has ended
                    found[way][str(times)] = {"error": "ended"}
                print(f"stream  {way}, {times} x {limit} MB: {found[way][str(times)]}", flush=True)
            process.join()
    return {"limit_mb": limit, "image": STREAMED, "batch": STREAM_BATCH, "ways": found}


# === Results ===


def main() -> None:
    """Measures the parts that are asked for, and keeps the rest as it was."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parts = [*AXES, "stream"]
    parser.add_argument("--parts", nargs="+", default=parts, choices=parts)
    parser.add_argument("--ways", nargs="+", default=list(WAYS), choices=list(WAYS))
    parser.add_argument("--limit", type=int, default=150, help="megabytes a stream may take")
    parser.add_argument("--output", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    backend = keras.backend.backend()
    kept = json.loads(arguments.output.read_text()) if arguments.output.is_file() else {}
    mine = kept.setdefault(backend, {})

    def keep(part: str, found: dict[str, Any]) -> None:
        mine[part] = {**circumstances(), **found}
        arguments.output.write_text(json.dumps(kept, indent=1) + "\n")

    axes = [part for part in arguments.parts if part != "stream"]
    with subjects() if axes else contextlib.nullcontext() as ask:
        for axis in axes:
            rows: dict[str, Any] = {}
            for number, size in AXES[axis].items():
                rows[str(number)] = measured(ask, size)
                print(f"{axis:8} {number:7}  {json.dumps(rows[str(number)])}", flush=True)
                keep(axis, {"sizes": rows})
    if "stream" in arguments.parts:
        keep("stream", streams(arguments.ways, arguments.limit))


def circumstances() -> dict[str, Any]:
    """When and on what a part was measured."""
    backend = keras.backend.backend()
    return {
        "date": str(datetime.date.today()),
        "keras": keras.__version__,
        "backend": f"{backend} {__import__(backend).__version__}",
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "load": os.getloadavg()[1],
        "mtlkit": mtl.__version__,
        "seed": SEED,
    }


if __name__ == "__main__":
    main()
