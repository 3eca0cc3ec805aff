"""What is done with an adopted model: other heads, gates, search, diagnosis, photographs."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from adopted_models import build, data, problem_data, problem_model
from keras import layers

import mtlkit as mtl


@pytest.fixture(scope="module")
def adopted():
    keras.utils.set_random_seed(0)
    return mtl.MultiTaskModel.from_keras(problem_model())


@pytest.mark.every_backend
def test_another_head_on_an_inner_map(adopted, tmp_path):
    x, y = problem_data()
    head = mtl.heads.OrientationHead(32, spatial="flatten", hidden_units=8)
    model = adopted.with_head("orientation", head, feature="conv3", gradient=0.5)
    assert model.tasks["orientation"].weight == 2.0
    model.compile("adam")
    model.fit(x, y, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    expected = model.predict(x, verbose=0)
    for task, values in loaded.predict(x, verbose=0).items():
        np.testing.assert_allclose(values, expected[task], atol=1e-6)
    # The other heads are the same objects.
    np.testing.assert_allclose(
        adopted.predict(x, verbose=0)["identity"], expected["identity"], atol=1e-6
    )


def test_a_stopped_task_leaves_the_backbone_alone():
    x, y = problem_data()
    model = mtl.MultiTaskModel.from_keras(problem_model(), {"identity": {"gradient": "stop"}})
    before = [w.copy() for w in model.backbone.get_weights()]
    heads = [w.copy() for w in model.tasks["identity"].head.get_weights()]
    model.fit(x, {"identity": y["identity"]}, verbose=0)
    for old, new in zip(before, model.backbone.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    new = model.tasks["identity"].head.get_weights()
    assert any(np.abs(a - b).max() > 0 for a, b in zip(heads, new, strict=True))


@pytest.mark.every_backend
def test_the_users_stop_gradient_is_kept():
    x, y = problem_data()
    model = mtl.MultiTaskModel.from_keras(problem_model())
    before = [w.copy() for w in model.backbone.get_weights()]
    model.fit(x, {"intensity": y["intensity"]}, verbose=0)
    for old, new in zip(before, model.backbone.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_frozen_backbone_weights_and_a_task_alone(adopted):
    x, y = problem_data()
    model = mtl.MultiTaskModel.from_keras(problem_model())
    model.task_weights["orientation"].assign(0.0)
    model.freeze_backbone()
    model.compile("adam")
    before = [w.copy() for w in model.backbone.get_weights()]
    orientation = [w.copy() for w in model.tasks["orientation"].head.get_weights()]
    model.fit(x, y, verbose=0)
    for old, new in zip(before, model.backbone.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    for old, new in zip(orientation, model.tasks["orientation"].head.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    alone = model.task_model("identity")
    np.testing.assert_allclose(
        alone.predict(x, verbose=0), model.predict(x, verbose=0)["identity"], atol=1e-6
    )


@pytest.mark.every_backend
def test_gates_on_masks():
    """Tokens with padding: the heads read a mask beside the map, which no gate may scale."""
    plain = build("tokens")
    x, y = data("tokens", plain)
    model = mtl.MultiTaskModel.from_keras(plain, {"topic": {"gradient": 0.5}})
    np.testing.assert_allclose(
        model.predict(x, verbose=0)["topic"], plain.predict(x, verbose=0)[0], atol=1e-6
    )
    model.fit(x, y, verbose=0)


def test_objectives(adopted):
    found = adopted.objective("identity")
    assert (found.name, found.direction) == ("val_identity_accuracy", "max")
    found = adopted.objective("intensity")
    assert (found.name, found.direction) == ("val_intensity_mae", "min")


def test_conditioned_on_an_adopted_task(adopted):
    x, y = problem_data()
    head = mtl.heads.ClassificationHead(32, hidden_units=4)
    model = adopted.with_head("orientation", head, condition_on="identity")
    model.compile("adam")
    model.fit(x, y, verbose=0)


def test_search(adopted, tmp_path):
    x, y = problem_data()
    result = mtl.search.search_heads(
        adopted.backbone,
        list(adopted.tasks.values()),
        "orientation",
        ((x, y), (x, y)),
        candidates=["classification"],
        tuner="random",
        max_trials=2,
        epochs=1,
        directory=tmp_path,
        seed=1,
    )
    assert len(result.leaderboard) >= 1
    assert set(result.best_model().predict(x, verbose=0)) == set(y)


def test_search_fits_the_labels(adopted):
    from mtlkit.search._candidates import candidates_for

    names = [one.name for one in candidates_for(adopted.tasks["intensity"].head)]
    assert names == ["regression"]
    with pytest.raises(ValueError, match="Expected candidates"):
        candidates_for(mtl.MultiTaskModel.from_keras(build("siamese")).tasks["same"].head)


def test_diagnosis(adopted):
    x, y = problem_data(60)
    found = mtl.diagnostics.diagnose(adopted, x, y, "orientation", budget=2, verbose=0)
    assert found.verdict.limit in ("data", "model", "mixed", "healthy", "undetermined")


@pytest.mark.every_backend
def test_missing_values_of_a_vector_without_axis():
    """Outputs of shape (batch,): a mean over the last axis would mix samples."""
    x = keras.Input((2,))
    y = layers.Reshape(())(layers.Dense(1, use_bias=False, kernel_initializer="ones")(x))
    plain = keras.Model(x, {"sum": y, "other": layers.Dense(1)(x)})
    plain.compile("sgd", loss={"sum": lambda a, b: keras.ops.square(a - b), "other": "mse"})
    model = mtl.MultiTaskModel.from_keras(plain, {"sum": {"kind": "regression"}})
    inputs = np.array([[1.0, 2.0], [3.0, 4.0]])
    scores = model.evaluate(inputs, {"sum": np.array([1.0, np.nan])}, verbose=0, return_dict=True)
    np.testing.assert_allclose(scores["sum_loss"], 4.0, rtol=1e-6)


@pytest.mark.every_backend
def test_lambda_layers():
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        stop = layers.Lambda(lambda v: tf.stop_gradient(v), name="stop")
    else:
        stop = layers.Lambda(lambda v: keras.ops.stop_gradient(v), name="stop")
    keras.utils.set_random_seed(0)
    plain = problem_model(stop)
    model = mtl.MultiTaskModel.from_keras(plain)
    x, y = problem_data()
    before = [w.copy() for w in model.backbone.get_weights()]
    model.fit(x, {"intensity": y["intensity"]}, verbose=0)
    for old, new in zip(before, model.backbone.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def photo_model() -> keras.Model:
    """MobileNetV3 as a layer, as its users write it."""
    keras.utils.set_random_seed(0)
    image = keras.Input((96, 96, 3), name="photo")
    base = keras.applications.MobileNetV3Small(
        input_shape=(96, 96, 3), include_top=False, weights=None
    )
    x = layers.GlobalAveragePooling2D(name="pooled")(base(image))
    outputs = [
        layers.Dense(5, activation="softmax", name="species")(x),
        layers.Dense(1, activation="sigmoid", name="indoors")(layers.Dropout(0.2)(x)),
        layers.Dense(1, name="age")(x),
    ]
    model = keras.Model(image, outputs)
    losses = {"species": keras.losses.CategoricalCrossentropy(), "indoors": "bce", "age": "mae"}
    model.compile(keras.optimizers.SGD(1e-3), loss=losses, metrics={"species": ["accuracy"]})
    return model


def test_photographs(tmp_path):
    plain, twin = photo_model(), photo_model()
    model = mtl.MultiTaskModel.from_keras(twin)
    rng = np.random.default_rng(0)
    x = (255 * rng.random((8, 96, 96, 3))).astype("float32")
    y = {
        "species": np.eye(5, dtype="float32")[rng.integers(5, size=8)],
        "indoors": rng.integers(2, size=8),
        "age": rng.random(8).astype("float32"),
    }
    for name, values in zip(y, plain.predict(x, verbose=0), strict=True):
        np.testing.assert_allclose(model.predict(x, verbose=0)[name], values, atol=1e-6)
    assert model.tasks["species"].feature == "pooled"
    base = model.backbone.layers[1].name
    y["species"][::2], y["age"][1] = np.nan, np.nan
    history = model.fit(x, y, verbose=0).history
    assert all(np.isfinite(values).all() for values in history.values())
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    found = loaded.predict(x, verbose=0)
    for name, values in model.predict(x, verbose=0).items():
        np.testing.assert_allclose(found[name], values, atol=1e-6)
    fine = model.with_head("species", mtl.heads.ClassificationHead(5), feature=base)
    assert fine.output["species"].shape == (None, 5)
