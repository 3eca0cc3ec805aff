"""Photographs, tables, sequences and tokens: fit, partial labels, heads, search, saving."""

import keras
import numpy as np
import pytest
from keras import layers, ops

import mtlkit as mtl

RNG = np.random.default_rng(0)
SAMPLES = 12
LABELS = {
    "kind": np.where(np.arange(SAMPLES) % 4 == 3, -1, np.arange(SAMPLES) % 3),
    "size": np.where(np.arange(SAMPLES) % 3 == 2, np.nan, RNG.random(SAMPLES)).astype("float32"),
    "place": np.arange(SAMPLES) % 3,
}
TREE = {"a": ["x", "y"], "b": ["z", "w"]}


def photographs():
    image = keras.Input((224, 224, 3))
    x = layers.Conv2D(2, 7, strides=16, padding="same", activation="relu", name="early")(image)
    x = layers.Conv2D(3, 3, strides=2, padding="same", activation="relu", name="late")(x)
    model = mtl.backbones.KerasBackbone(keras.Model(image, x), preprocess="tf")
    return model, RNG.integers(0, 256, (SAMPLES, 224, 224, 3)).astype("uint8")


def table():
    columns = RNG.normal([5, 1e6], [1, 1e5], size=(SAMPLES, 2))
    return mtl.backbones.DenseBackbone(2, (4,)), columns


def sequences():
    """With a mask: steps of zeros are none."""
    steps = keras.Input((6, 3))
    network = keras.Model(steps, layers.GRU(4, return_sequences=True)(layers.Masking()(steps)))
    x = RNG.normal(size=(SAMPLES, 6, 3)).astype("float32")
    x[:4, 3:] = 0
    return network, x


def convolved():
    steps = keras.Input((6, 3))
    x = layers.Conv1D(4, 3, activation="relu", name="early")(steps)
    model = keras.Model(steps, layers.Conv1D(4, 3, name="late")(x))
    return mtl.backbones.KerasBackbone(model), RNG.normal(size=(SAMPLES, 6, 3))


def transformer():
    tokens = keras.Input((6,), dtype="int32", name="tokens")
    x = layers.Embedding(20, 4, mask_zero=True, name="embedded")(tokens)
    attended = layers.MultiHeadAttention(2, 2, name="attention")(x, x)
    model = keras.Model(tokens, layers.LayerNormalization(name="late")(x + attended))
    x = RNG.integers(1, 20, size=(SAMPLES, 6))
    x[::2, 4:] = 0
    return model, x


INPUTS = (photographs, table, sequences, convolved, transformer)


def tasks(pooling="average"):
    heads = mtl.heads
    return [
        mtl.Task("kind", heads.ClassificationHead(3, pooling=pooling, hidden_units=3)),
        mtl.Task("size", heads.RegressionHead(hidden_units=0), gradient="stop"),
        mtl.Task("place", heads.HierarchicalHead(TREE, pooling="average", hidden_units=3)),
    ]


@pytest.fixture(scope="module", params=INPUTS, ids=lambda make: make.__name__)
def fitted(request):
    keras.utils.set_random_seed(0)
    backbone, x = request.param()
    model = mtl.MultiTaskModel(backbone, tasks())
    model.compile("adam")
    history = model.fit(x, LABELS, batch_size=6, verbose=0, validation_data=(x, LABELS))
    return model, x, history.history


def test_trains_with_partial_labels(fitted):
    model, x, history = fitted
    assert all(np.isfinite(values).all() for values in history.values())
    assert {"kind_loss", "val_size_loss", "place_accuracy"} <= set(history)
    predicted = model.predict_tasks(x, verbose=0)
    assert predicted["kind"]["label"].shape == (SAMPLES,)


def test_is_saved_and_goes_on(fitted, tmp_path):
    model, x, _ = fitted
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    expected = model.predict(x, verbose=0)
    for name, found in loaded.predict(x, verbose=0).items():
        np.testing.assert_allclose(found, expected[name], rtol=1e-5, atol=1e-6)


def test_parts(fitted):
    model, x, _ = fitted
    expected = model.predict(x, verbose=0)["kind"]
    alone = model.task_model("kind").predict(x, verbose=0)
    np.testing.assert_allclose(alone, expected, rtol=1e-5, atol=1e-6)
    other = model.with_head("kind", mtl.heads.ContrastiveHead(3, 4, hidden_units=3))
    assert other.predict(x, verbose=0)["kind"].shape == (SAMPLES, 7)


def test_bad_inputs_are_found(fitted):
    model, x, _ = fitted
    with pytest.raises(ValueError, match="Expected .*shape"):
        model.fit(x[:, :1], LABELS, verbose=0)
    if x.dtype.kind == "f":
        wrong = x.copy()
        wrong[3] = np.nan
        with pytest.raises(ValueError, match="finite"):
            model.fit(wrong, LABELS, verbose=0)


@pytest.mark.filterwarnings("ignore:Gradients do not exist")  # of the other task, alone
@pytest.mark.parametrize("make", [table, transformer], ids=lambda make: make.__name__)
@pytest.mark.parametrize("frozen", [False, True])
def test_search(make, frozen, tmp_path):
    backbone, x = make()
    head = mtl.heads.ClassificationHead
    pooling = mtl.space.Choice(["average", "max"])
    given = {"num_classes": 3, "pooling": pooling, "hidden_units": 2, "dropout": 0.0}
    settings = {"feature": None, "gradient": "flow", "condition_on": None, "weight": 1.0}
    labels = {name: LABELS[name] for name in ("kind", "size")}
    result = mtl.search.search_heads(
        backbone,
        tasks()[:2],
        "kind",
        ((x, labels), (x, labels)),
        candidates=[mtl.search.Candidate("classes", head, {**given, "layer_norm": False})],
        settings=settings,
        tuner="random",
        max_trials=2,
        epochs=1,
        freeze_backbone=frozen,
        directory=tmp_path,
        seed=0,
        verbose=0,
    )
    assert len(result.leaderboard) >= 1
    assert result.best_model().predict(x, verbose=0)["kind"].shape == (SAMPLES, 3)


class TestTokens:
    def test_padding_does_not_count(self):
        """Not behind attention either, which removes masks from what it reads."""
        tokens = keras.Input((None,), dtype="int32")
        x = layers.Embedding(20, 4, mask_zero=True)(tokens)
        x = layers.GRU(4, return_sequences=True)(x)
        x = layers.Add()([x, layers.MultiHeadAttention(2, 2)(x, x)])
        network = keras.Model(tokens, x)
        short = RNG.integers(1, 20, size=(3, 4))
        long = np.pad(short, ((0, 0), (0, 5)))
        for backbone in (network, mtl.backbones.KerasBackbone(network)):
            for task in tasks():
                model = mtl.MultiTaskModel(backbone, [task])
                expected = model.predict(short, verbose=0)[task.name]
                found = model.predict(long, verbose=0)[task.name]
                np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)

    def test_integers_stay_what_they_are(self):
        """Of single precision, 2^24 + 1 would be 2^24."""
        tokens = keras.Input((1,), dtype="int32")
        network = keras.Model(tokens, layers.Embedding(2, 3)(tokens % 2))
        backbone = mtl.backbones.KerasBackbone(network)
        outputs = backbone(np.array([[2**24], [2**24 + 1]]))
        found = ops.convert_to_numpy(outputs["input"])
        assert found.dtype.kind == "i" and found[1] - found[0] == 1


class TestSizes:
    """Heads on maps of 224x224, of odd sizes and of no square."""

    DESIGNS = tuple(mtl.heads.orientation.SPATIAL_DESIGNS)

    @pytest.mark.parametrize("shape", [(224, 224, 3), (9, 13, 2)], ids=str)
    @pytest.mark.parametrize("spatial", DESIGNS)
    def test_orientation(self, spatial, shape):
        if spatial == "orbit":
            return
        head = mtl.heads.OrientationHead(8, spatial=spatial)
        assert head(RNG.normal(size=(2, *shape)).astype("float32")).shape == (2, 8)

    @pytest.mark.parametrize("size", [(30, 30), (33, 33)], ids=str)
    def test_orbit(self, size):
        image = keras.Input((*size, 3))
        network = keras.Model(image, layers.Conv2D(2, 3, strides=4)(image))
        head = mtl.heads.OrientationHead(8, spatial="orbit")
        model = mtl.MultiTaskModel(network, [mtl.Task("pose", head)])
        assert model(np.zeros((2, *size, 3), "float32"))["pose"].shape == (2, 8)

    @pytest.mark.parametrize("spatial", DESIGNS)
    def test_any_size_or_the_cure(self, spatial):
        image = keras.Input((None, None, 3))
        network = keras.Model(image, layers.Conv2D(2, 3, strides=4)(image))
        task = mtl.Task("pose", mtl.heads.OrientationHead(8, spatial=spatial))
        if spatial == "pool":
            model = mtl.MultiTaskModel(network, [task])
            assert model(np.zeros((2, 40, 31, 3), "float32"))["pose"].shape == (2, 8)
            return
        cure = "squares of one size" if spatial == "orbit" else r"Input\(\(224, 224, 3\)\)"
        with pytest.raises(ValueError, match=f"(?s)Received.*{cure}"):
            mtl.MultiTaskModel(network, [task])

    def test_other_heads(self):
        early = RNG.normal(size=(2, 14, 9, 3)).astype("float32")
        late = RNG.normal(size=(2, 7, 5, 4)).astype("float32")
        head = mtl.heads.HierarchicalHead(TREE, loss="coarse_to_fine")
        assert head([early, late]).shape == (2, 6)
        for pooling in ("flatten", "average", "attention"):
            head = mtl.heads.ContrastiveHead(3, 8, pooling=pooling, bottleneck=2)
            assert head(late).shape == (2, 11)
