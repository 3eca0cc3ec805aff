"""Keras models as their users write them, for tests of adopting them: built anew by each call."""

from __future__ import annotations

import keras
import numpy as np
from keras import layers, ops


def problem_model(stop=ops.stop_gradient, compiled: bool = True) -> keras.Model:
    """Three convolutions for three tasks, one of which must not disturb them."""
    image = keras.Input((16, 16, 1), name="image")
    x = layers.Conv2D(4, 3, activation="relu", name="conv1")(image)
    x = layers.MaxPooling2D()(x)
    x = layers.Conv2D(6, 3, activation="relu", name="conv2")(x)
    x = layers.Conv2D(8, 3, activation="relu", name="conv3")(x)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    identity = layers.Dense(12, activation="relu")(x)
    identity = layers.Dropout(0.25)(identity)
    orientation = layers.Dense(12, activation="relu")(x)
    outputs = {
        "identity": layers.Dense(10, activation="softmax", name="identity")(identity),
        "orientation": layers.Dense(32, name="orientation")(orientation),
        "intensity": layers.Dense(1, activation="sigmoid", name="intensity")(stop(x)),
    }
    model = keras.Model(image, outputs)
    if compiled:
        model.compile(
            keras.optimizers.Adam(3e-3),
            loss={
                "identity": "sparse_categorical_crossentropy",
                "orientation": keras.losses.SparseCategoricalCrossentropy(from_logits=True),
                "intensity": "mse",
            },
            loss_weights={"identity": 1.0, "orientation": 2.0, "intensity": 0.5},
            metrics={"identity": ["accuracy"], "orientation": "accuracy", "intensity": "mae"},
        )
    return model


def problem_data(count: int = 70) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Images and complete labels for `problem_model`."""
    rng = np.random.default_rng(0)
    return rng.random((count, 16, 16, 1)).astype("float32"), {
        "identity": rng.integers(10, size=count),
        "orientation": rng.integers(32, size=count),
        "intensity": rng.random(count).astype("float32"),
    }


def table_model() -> keras.Model:
    """Columns of a table, standardised, for 14 labels in a list of outputs."""
    x = columns = keras.Input((9,), name="columns")
    x = _normalized(x)
    x = layers.Dense(16, activation="relu", kernel_regularizer="l2", name="shared")(x)
    x = layers.BatchNormalization()(x)
    heads = [layers.Dense(1, activation="sigmoid", name=f"label{n}")(x) for n in range(14)]
    model = keras.Model(columns, heads)
    model.compile("sgd", loss=["binary_crossentropy"] * 14, loss_weights=[1.0] * 13 + [0.5])
    return model


def tokens_model() -> keras.Model:
    """Token ids with padding: a class of the text, and one of each token."""
    tokens = keras.Input((7,), dtype="int32", name="tokens")
    x = layers.Embedding(11, 6, mask_zero=True)(tokens)
    x = layers.GRU(5, return_sequences=True, name="read")(x)
    topic = layers.Dense(3, name="topic")(layers.GRU(4)(x))
    tag = layers.TimeDistributed(layers.Dense(4, activation="softmax"), name="tag")(x)
    model = keras.Model(tokens, [topic, tag])
    model.compile(
        "adam",
        loss=[keras.losses.SparseCategoricalCrossentropy(from_logits=True), _tag_loss()],
        metrics={"topic": "acc"},
    )
    return model


def sequence_model() -> keras.Model:
    """Signals: what they are, how long they last, and one that is one-hot."""
    signal = keras.Input((12, 2))
    x = layers.Conv1D(6, 3, activation="relu", name="filters")(signal)
    x = layers.Bidirectional(layers.GRU(4), name="both_ways")(x)
    x = layers.LayerNormalization()(x)
    outputs = {
        "event": layers.Softmax(name="probabilities")(layers.Dense(4)(x)),
        "duration": layers.Dense(2)(x),
        "mark": ops.sigmoid(layers.Dense(1)(x)),
    }
    model = keras.Model(signal, outputs)
    model.compile(
        keras.optimizers.RMSprop(1e-3),
        loss={"event": "categorical_crossentropy", "duration": "mae", "mark": "bce"},
        metrics={"event": ["accuracy", keras.metrics.AUC(name="auc")]},
    )
    return model


def nested_model() -> keras.Model:
    """A nested encoder of two outputs, in inference mode, and a nested head."""
    inner = keras.Input((6,))
    hidden = layers.Dense(8, activation="relu", name="inner_hidden")(inner)
    hidden = layers.BatchNormalization(name="inner_norm")(hidden)
    encoder = keras.Model(inner, [hidden, layers.Dense(4, name="inner_code")(hidden)], name="enc")
    x = keras.Input((6,), name="x")
    hidden, code = encoder(layers.Dense(6)(x), training=False)
    head = keras.Sequential([layers.Dense(5, activation="relu"), layers.Dense(3)], name="kind")
    model = keras.Model(x, {"kind": head(code), "size": layers.Dense(1, name="size")(hidden)})
    model.compile(
        "adam",
        loss={
            "kind": keras.losses.CategoricalCrossentropy(from_logits=True),
            "size": keras.losses.Huber(),
        },
    )
    return model


def siamese_model() -> keras.Model:
    """An encoder that is called twice, and a layer that two heads share."""
    left, right = keras.Input((5,), name="left"), keras.Input((5,), name="right")
    encoder = keras.Sequential([layers.Dense(6, activation="tanh"), layers.Dense(4)], name="enc")
    shared = layers.Dense(4, activation="relu", name="two_heads")
    a, b = encoder(left), encoder(right)
    same = layers.Dense(1, activation="sigmoid", name="same")(ops.abs(a - b))
    outputs = [same, layers.Dense(3, name="of_left")(shared(a)), layers.Dense(3)(shared(b))]
    model = keras.Model(
        [left, right], dict(zip(["same", "of_left", "of_right"], outputs, strict=True))
    )
    ce = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    losses = {"same": "binary_crossentropy", "of_left": ce, "of_right": ce}
    model.compile("adam", loss=losses, loss_weights={"same": 2.0, "of_left": 1.0, "of_right": 1.0})
    return model


def wide_and_deep_model() -> keras.Model:
    """Columns and an image, by name; a head that reads a column of its own."""
    image, wide = keras.Input((8, 8, 1), name="image"), keras.Input((3,), name="wide")
    x = layers.Conv2D(4, 3, activation="relu", name="conv")(image)
    x = layers.Flatten()(x)
    deep = layers.Dense(6, activation="relu")(layers.Concatenate()([x, _normalized(wide)]))
    click = layers.Dense(1, name="click")(layers.Concatenate()([deep, wide]))
    price = layers.Dense(1, name="price")(layers.Dropout(0.3)(deep))
    model = keras.Model({"image": image, "wide": wide}, {"click": click, "price": price})
    bce = keras.losses.BinaryCrossentropy(from_logits=True)
    model.compile("adam", loss={"click": bce, "price": "mse"}, loss_weights=[1.0, 0.1])
    return model


def dense_model() -> keras.Model:
    """A small U-Net: a class of each pixel, a class of the image, and the image again."""
    image = keras.Input((8, 8, 1))
    high = layers.Conv2D(4, 3, padding="same", activation="relu", name="high")(image)
    low = layers.Conv2D(6, 3, padding="same", activation="relu", name="low")(
        layers.MaxPooling2D()(high)
    )
    up = layers.Concatenate()([layers.UpSampling2D()(low), high])
    outputs = {
        "mask": layers.Conv2D(3, 1, activation="softmax", name="mask")(up),
        "kind": layers.Dense(4, name="kind")(layers.GlobalAveragePooling2D()(low)),
        "again": layers.Conv2DTranspose(1, 2, strides=2, name="again")(low),
    }
    model = keras.Model(image, outputs)
    sparse = keras.losses.SparseCategoricalCrossentropy
    losses = {"mask": sparse(), "kind": sparse(from_logits=True), "again": "mse"}
    model.compile("adam", loss=losses, metrics={"mask": ["accuracy"]})
    return model


def transformer_model() -> keras.Model:
    """Attention over tokens; one head also sees what another one says."""
    tokens = keras.Input((6,), dtype="int32")
    x = layers.Embedding(9, 8, name="embed")(tokens)
    seen = layers.MultiHeadAttention(2, 4, dropout=0.1)(x, x)
    x = layers.LayerNormalization()(x + seen)
    x = layers.LayerNormalization(name="block")(x + layers.Dense(8, activation="gelu")(x))
    first = x[:, 0]
    coarse = layers.Dense(3, activation="softmax", name="coarse")(first)
    told = layers.Concatenate()([first, ops.stop_gradient(coarse)])
    fine = layers.Dense(5, activation="softmax", name="fine")(told)
    model = keras.Model(tokens, [coarse, fine])
    model.compile("adam", loss="sparse_categorical_crossentropy", metrics=[["acc"], ["acc"]])
    return model


def residual_model() -> keras.Model:
    """Residual blocks, with heads at several depths, and a penalty on activations."""
    image = keras.Input((8, 8, 3))
    x = first = layers.Conv2D(6, 3, padding="same", name="stem")(image)
    for number in range(2):
        y = layers.Conv2D(6, 3, padding="same", activity_regularizer="l2")(x)
        y = layers.ReLU()(layers.BatchNormalization()(y))
        x = layers.Add(name=f"block{number}")([x, y])
    pooled = layers.GlobalAveragePooling2D()
    outputs = {
        "texture": layers.Dense(3, name="texture")(layers.GlobalMaxPooling2D()(first)),
        "object": layers.Dense(4, name="object")(pooled(x)),
        "both": layers.Dense(1)(layers.Concatenate()([layers.Flatten()(first), pooled(x)])),
    }
    model = keras.Model(image, outputs)
    ce = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss={"texture": ce, "object": ce, "both": "mse"})
    return model


def sequential_model() -> keras.Model:
    """One output, layer by layer."""
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(4, 3, activation="relu", name="conv"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(6, activation="relu"),
            layers.Dropout(0.5),
            layers.Dense(4, activation="softmax", name="digit"),
        ]
    )
    model.compile("adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def _normalized(x):
    layer = layers.Normalization()
    layer.adapt(np.random.default_rng(4).normal(2.0, 3.0, (50, x.shape[-1])).astype("float32"))
    return layer(x)


def _tag_loss():
    return keras.losses.SparseCategoricalCrossentropy()


#: Builders by name, each with the labels of its tasks: classes, "one-hot n", "binary" or values.
MODELS = {
    "problem": (problem_model, {"identity": 10, "orientation": 32, "intensity": ()}),
    "table": (table_model, {f"label{n}": 2 for n in range(14)}),
    "tokens": (tokens_model, {"topic": 3, "tag": (4, (7,))}),
    "sequence": (sequence_model, {"event": "4", "duration": (2,), "mark": 2}),
    "nested": (nested_model, {"kind": "3", "size": ()}),
    "siamese": (siamese_model, {"same": 2, "of_left": 3, "of_right": 3}),
    "wide_and_deep": (wide_and_deep_model, {"click": 2, "price": ()}),
    "dense": (dense_model, {"mask": (3, (8, 8)), "kind": 4, "again": (8, 8, 1)}),
    "transformer": (transformer_model, {"coarse": 3, "fine": 5}),
    "residual": (residual_model, {"texture": 3, "object": 4, "both": ()}),
    "sequential": (sequential_model, {"digit": 4}),
}


#: Models that TensorFlow is to compile, as it does by itself.
COMPILED = ("problem", "siamese")


def build(name: str, seed: int = 3) -> keras.Model:
    """A model with the weights, and seeds of dropout, that follow from a seed."""
    keras.utils.set_random_seed(seed)
    model = MODELS[name][0]()
    # TensorFlow traces for longer than such models train.
    model.run_eagerly = keras.backend.backend() == "tensorflow" and name not in COMPILED
    return model


def data(name: str, model: keras.Model, count: int = 40):
    """Inputs, and labels of every output, by task."""
    rng = np.random.default_rng(0)

    def of_input(tensor):
        if tensor.dtype == "int32":
            return rng.integers(0, 6, (count, *tensor.shape[1:])).astype("int32")
        return rng.random((count, *tensor.shape[1:])).astype("float32")

    inputs = model.input if not isinstance(model, keras.Sequential) else model.inputs[0]
    x = keras.tree.map_structure(of_input, inputs)
    return x, {task: _labels(rng, kind, count) for task, kind in MODELS[name][1].items()}


def _labels(rng, kind, count):
    if isinstance(kind, int):
        return rng.integers(kind, size=count)
    if isinstance(kind, str):
        return np.eye(int(kind), dtype="float32")[rng.integers(int(kind), size=count)]
    if len(kind) == 2 and isinstance(kind[1], tuple):
        return rng.integers(kind[0], size=(count, *kind[1]))
    return rng.random((count, *kind)).astype("float32")


def as_outputs(model: keras.Model, y: dict):
    """Labels in the structure that the plain model takes."""
    outputs = model.outputs if isinstance(model, keras.Sequential) else model.output
    if isinstance(outputs, dict):
        return y
    return list(y.values()) if len(y) > 1 else next(iter(y.values()))


def by_name(model: keras.Model, outputs, names) -> dict:
    """Outputs of the plain model by task."""
    if isinstance(outputs, dict):
        return outputs
    return dict(zip(names, outputs if isinstance(outputs, list) else [outputs], strict=True))
