"""Models in which a head reads the orbit of the backbone."""

import keras
import numpy as np
import pytest
from keras import ops
from small_models import set_weights, small_backbone, small_tasks

import mtlkit as mtl


def build(spatial="orbit", backbone=None, **changes):
    tasks = small_tasks(spatial, **changes)
    model = mtl.MultiTaskModel(backbone or small_backbone(), tasks)
    set_weights(model)
    return model


@pytest.fixture(scope="module")
def orbit(images):
    model = build()
    model.backbone.adapt(images)
    return model


def predictions(model, x):
    """Outputs without `predict`, which compiles."""
    outputs = model(x, training=False)
    return {name: ops.convert_to_numpy(values) for name, values in outputs.items()}


def test_turning_the_image_permutes_the_logits(orbit, images):
    expected = predictions(orbit, images)["orientation"]
    assert np.ptp(expected, axis=1).min() > 1e-3  # else the test says nothing
    for quarters in (1, 2, 3):
        turned = predictions(orbit, np.rot90(images, quarters, axes=(1, 2)))["orientation"]
        np.testing.assert_allclose(turned, np.roll(expected, 2 * quarters, axis=1), atol=1e-5)


def test_other_tasks_see_the_image_as_it_is(orbit, images):
    plain = build("flatten", orbit.backbone)
    for name in ("identity", "intensity"):
        pairs = zip(plain.tasks[name].head.weights, orbit.tasks[name].head.weights, strict=True)
        for one, two in pairs:
            one.assign(ops.convert_to_numpy(two))
    expected, found = predictions(plain, images), predictions(orbit, images)
    for name in ("identity", "intensity"):
        np.testing.assert_allclose(found[name], expected[name], atol=1e-5)


def test_backbone_runs_once(orbit):
    layers = [layer for layer in orbit.layers if orbit.backbone in layer._flatten_layers()]
    assert [type(layer).__name__ for layer in layers] == ["RotationOrbit"]


@pytest.mark.parametrize("feature", ["stage1", "input"])
def test_any_map(feature, images):
    model = build(orientation={"feature": feature}, intensity={"feature": "stage1"})
    expected = predictions(model, images)
    found = predictions(model, np.rot90(images, axes=(1, 2)))
    np.testing.assert_allclose(
        found["orientation"], np.roll(expected["orientation"], 2, axis=1), atol=1e-5
    )


def test_training_saving_and_freezing(images, labels, tmp_path):
    model = build()
    model.compile("adam")
    model.fit(images, labels, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    expected, found = predictions(model, images), predictions(loaded, images)
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, atol=1e-6)
    model.freeze_backbone()
    own = {id(weight) for weight in model.backbone.weights}
    assert not any(id(weight) in own for weight in model.trainable_weights)


def test_backbones_of_ones_own(images, labels):
    image = keras.Input((8, 8, 1), name="picture")
    x = keras.layers.Conv2D(4, 3, strides=2, padding="same", name="first")(image)
    backbone = keras.Model(image, keras.layers.ReLU()(x))
    for feature in (None, "first", "input"):
        model = build(backbone=backbone, orientation={"feature": feature})
        expected = predictions(model, images)["orientation"]
        turned = predictions(model, np.rot90(images, axes=(1, 2)))["orientation"]
        np.testing.assert_allclose(turned, np.roll(expected, 2, axis=1), atol=1e-5)


def test_swapping_the_head_leaves_the_orbit(orbit, images):
    model = orbit.with_head("orientation", mtl.heads.OrientationHead(8, spatial="flatten"))
    assert not any(type(layer).__name__ == "RotationOrbit" for layer in model.layers)
    assert model.backbone is orbit.backbone
    assert predictions(model, images)["orientation"].shape == (48, 8)


@pytest.mark.parametrize(("spatial", "shape"), [("orbit", (4, 4, 4, 6)), ("flatten", (4, 4, 6))])
def test_maps_of_four_rows_and_four_turns_are_told_apart(spatial, shape):
    backbone = mtl.backbones.ConvBackbone((8, 8, 1), filters=(4, 6))
    model = build(spatial, backbone, orientation={"feature": "stage2"})
    assert model.tasks["orientation"].head.input.shape[1:] == shape
    assert model.output["orientation"].shape == (None, 8)


def test_vectors_of_four_turns():
    layers = [keras.layers.Flatten(), keras.layers.Dense(3)]
    backbone = keras.Sequential([keras.Input((8, 8, 1)), *layers])
    model = build("orbit", backbone)
    assert model.tasks["orientation"].head.input.shape[1:] == (4, 3)


def test_errors():
    with pytest.raises(ValueError, match=r"(?s)square images.*Received"):
        mtl.MultiTaskModel(
            mtl.backbones.ConvBackbone((8, 12, 1), filters=(4, 6)), small_tasks("orbit")
        )
    with pytest.raises(ValueError, match="one image as its input"):
        mtl.MultiTaskModel(
            keras.Sequential([keras.Input((7,)), keras.layers.Dense(3)]), small_tasks("orbit")
        )
