"""DenseBackbone: stages on standardised columns, shared with ConvBackbone where alike."""

import json

import keras
import numpy as np
import pytest
from keras import ops

import mtlkit as mtl
from mtlkit.backbones import DenseBackbone
from mtlkit.testing import gradients

RNG = np.random.default_rng(0)
# A column of millions, one of millionths, one that is constant.
TABLE = RNG.normal([0, 3e6, 2e-6, 5], [1, 1e6, 1e-6, 0], size=(40, 4)).astype("float32")


def array(x):
    return ops.convert_to_numpy(x)


@pytest.fixture(scope="module")
def backbone():
    keras.utils.set_random_seed(0)
    backbone = DenseBackbone(4, units=(6, 3))
    backbone.adapt(TABLE)
    return backbone


def test_names_and_shapes(backbone):
    assert backbone.feature_names == ["input", "stage1", "stage2"]
    outputs = backbone.predict(TABLE, verbose=0)
    assert {name: x.shape for name, x in outputs.items()} == {
        "input": (40, 4),
        "stage1": (40, 6),
        "stage2": (40, 3),
    }
    assert DenseBackbone(7).output["stage2"].shape == (None, 64)


def test_numpy_agrees(backbone):
    found = {name: array(x) for name, x in backbone(TABLE).items()}
    std = TABLE.astype("float64").std(axis=0)
    x = (TABLE - TABLE.astype("float64").mean(axis=0)) / np.where(std > 0, std, 1)
    np.testing.assert_allclose(found["input"], x, atol=1e-4)
    np.testing.assert_array_equal(found["input"][:, 3], 0)
    for number in (1, 2):
        layer = backbone.get_layer(f"dense{number}")
        x = np.maximum(x @ array(layer.kernel) + array(layer.bias), 0)
        np.testing.assert_allclose(found[f"stage{number}"], x, atol=1e-4)


def test_gradients_reach_every_weight(backbone):
    found = gradients(lambda: ops.sum(backbone(TABLE)["stage2"] ** 2), backbone.trainable_weights)
    assert len(found) == 4 and all(np.abs(gradient).sum() > 0 for gradient in found)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite_are_named_by_column(value):
    table = TABLE.copy()
    table[[3, 4, 9], [1, 1, 2]] = value
    with pytest.raises(ValueError, match=r"3 NaN or infinite .*\(40, 4\), in the columns 1, 2\."):
        DenseBackbone(4).adapt(table)


def test_batch_norm_and_dropout():
    backbone = DenseBackbone(4, (50, 50), batch_norm=True, dropout=0.5)
    backbone.adapt(TABLE)
    assert backbone.get_layer("dense1").bias is None
    seeds = [backbone.get_layer(f"dropout{number}").seed for number in (1, 2)]
    assert len(set(seeds)) == 2
    dropped = array(backbone(TABLE, training=True)["stage2"]) == 0
    kept = array(backbone(TABLE, training=False)["stage2"]) == 0
    assert dropped.mean() > kept.mean() + 0.1
    backbone.trainable = False
    frozen = backbone(TABLE, training=True)["stage2"]
    np.testing.assert_array_equal(array(frozen), array(backbone(TABLE)["stage2"]))


def test_saving(tmp_path):
    backbone = DenseBackbone(4, [5], batch_norm=True, dropout=0.1, name="table")
    backbone.adapt(TABLE)
    backbone.save(tmp_path / "table.keras")
    loaded = keras.saving.load_model(tmp_path / "table.keras")
    assert type(loaded) is DenseBackbone and loaded.adapted
    assert json.dumps(loaded.get_config()) == json.dumps(backbone.get_config())
    np.testing.assert_array_equal(
        loaded.predict(TABLE, verbose=0)["stage1"], backbone.predict(TABLE, verbose=0)["stage1"]
    )


def test_without_normalisation():
    backbone = DenseBackbone(4, normalize=False)
    assert backbone.adapted
    np.testing.assert_array_equal(array(backbone(TABLE)["input"]), TABLE)


def test_mixed_precision():
    backbone = DenseBackbone(4, (3,), dtype="mixed_bfloat16")
    backbone.adapt(TABLE)
    assert keras.backend.standardize_dtype(backbone(TABLE)["stage1"].dtype) == "bfloat16"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_features": 0}, "num_features >= 1.*num_features=0"),
        ({"num_features": 3, "units": ()}, r"at least one stage.*units=\(\)"),
        ({"num_features": 3, "units": 8}, r"such as \(64, 64\).*units=8"),
        ({"num_features": 3, "units": (8, 0)}, r"units >= 1.*units=\(8, 0\)"),
        ({"num_features": 3, "dropout": 1.0}, "rate=1.0"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        DenseBackbone(**arguments)


def test_first_fit_adapts():
    model = mtl.MultiTaskModel(
        DenseBackbone(4, (3,)), [mtl.Task("price", mtl.heads.RegressionHead(hidden_units=0))]
    )
    model.compile("adam")
    labels = np.where(np.arange(40) % 3, RNG.random(40), np.nan).astype("float32")
    model.fit(TABLE, {"price": labels}, verbose=0)
    np.testing.assert_allclose(array(model.backbone.normalization.mean), TABLE.mean(0), rtol=1e-4)
