"""Errors that new users meet say what to do."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from small_models import small_model

import mtlkit as mtl
from mtlkit._arrays import as_array
from mtlkit.heads._labels import check_classes
from mtlkit.model._shape_cures import shape_cure


@pytest.fixture(scope="module")
def model():
    model = small_model()
    model.compile("sgd")
    return model


@pytest.mark.parametrize(
    ("shape", "wanted", "cure"),
    [
        ((9, 28, 28), (28, 28, 1), "Add the channel: x[..., None]"),
        ((9, 28, 28), (1, 28, 28), "Add the channel: x[:, None]"),
        ((9, 28, 28), (28, 28, 3), "Add the channel: np.repeat(x[..., None], 3, axis=-1)"),
        ((9, 28, 28), (32, 32, 1), "x[..., None], and build"),
        ((9, 28, 28), (32, 32, 1), "mtl.backbones.ConvBackbone(input_shape=(28, 28, 1))"),
        ((9, 28, 28, 1), (32, 32, 1), "mtl.backbones.ConvBackbone(input_shape=(28, 28, 1))"),
        ((9, 1, 32, 32), (32, 32, 1), "np.moveaxis(x, 1, -1)"),
        ((9, 32, 32, 3), (3, 32, 32), "np.moveaxis(x, -1, 1)"),
        ((32, 32, 1), (32, 32, 1), "Add the axis of samples: x[None]"),
        ((9, 4), (5,), ""),
        ((9, 12, 4), (10, 4), ""),
    ],
)
def test_cure_of_a_shape(shape, wanted, cure):
    found = shape_cure(shape, wanted)
    assert cure in found and bool(cure) == bool(found)


def test_fit_evaluate_and_predict_say_it(model, images, labels):
    flat = images[..., 0]
    for call in (
        lambda: model.fit(flat, labels, verbose=0),
        lambda: model.evaluate(flat, labels, verbose=0),
        lambda: model.predict(flat, verbose=0),
    ):
        with pytest.raises(ValueError, match=r"Expected images.*Add the channel: x\[..., None\]"):
            call()


@pytest.mark.parametrize(
    ("y", "cure"),
    [
        (np.array([0.0, 1.0, 2.0]), 'Give y.astype("int64")'),
        (np.array([0.0, np.nan, 2.0]), 'Give np.where(np.isnan(y), -1, y).astype("int64")'),
        (np.array([0.5, 1.2]), "RegressionHead"),
        (np.array(["cat", "dog"]), "np.unique(y, return_inverse=True)"),
        (np.array(["cat", None], object), "y, class_names = pd.factorize(y, sort=True)"),
        (np.array([1, None], object), "with -1 where a label is missing"),
        (np.array([True, False]), 'Give y.astype("int64")'),
        (np.eye(3)[[0, 2]], "one-hot labels of shape (2, 3). Give the classes: y.argmax(axis=-1)"),
        (np.eye(3, dtype=int), "y.argmax(axis=-1)"),
    ],
)
def test_cure_of_class_labels(y, cure):
    with pytest.raises(ValueError, match="Task 'kind': expected integer labels") as raised:
        check_classes(y, 3, "kind")
    assert cure in str(raised.value)


def test_what_is_given_for_one_hot_and_strings_works():
    check_classes(np.eye(3).argmax(axis=-1), 3, "kind")
    check_classes(np.unique(["b", "a", "b"], return_inverse=True)[1], 2, "kind")
    gaps = np.array([np.nan, "b", "a", None], object)
    with pytest.raises(ValueError, match=r"labels=\['b', 'a'\]"):
        check_classes(gaps, 2, "kind")
    codes, names = pytest.importorskip("pandas").factorize(gaps, sort=True)
    assert codes.tolist() == [-1, 1, 0, -1] and names.tolist() == ["a", "b"]
    check_classes(codes, 2, "kind")


def test_values_that_are_no_numbers():
    with pytest.raises(ValueError, match=r'y.astype\("float32"\)'):
        mtl.heads.RegressionHead().validate_labels(np.array(["1.5", "2"]), "size")


class TestPandas:
    pd = pytest.importorskip("pandas")

    def test_integers_with_gaps(self):
        column = self.pd.Series([0, None, 2], dtype="Int64")
        np.testing.assert_array_equal(as_array(column), [0, -1, 2])
        assert as_array(column).dtype == "int64"
        negative = as_array(self.pd.Series([0, None, -1], dtype="Int64"))
        np.testing.assert_array_equal(negative, [0, np.nan, -1])
        floating = as_array(self.pd.Series([0.5, None], dtype="Float64"))
        np.testing.assert_array_equal(floating, [0.5, np.nan])
        flags = as_array(self.pd.Series([True, None, False], dtype="boolean"))
        np.testing.assert_array_equal(flags, [1, -1, 0])

    def test_tables(self, images, labels):
        """A table of inputs and columns of labels are taken; a table of labels is not."""
        head = mtl.heads.ClassificationHead(4, hidden_units=0)
        inputs = keras.Input((3,))
        backbone = keras.Model(inputs, keras.layers.Dense(2)(inputs))
        model = mtl.MultiTaskModel(backbone, mtl.Task("identity", head))
        model.compile("sgd")
        table = self.pd.DataFrame(images[:, 0, :3, 0], columns=["a", "b", "c"])
        kinds = self.pd.Series(labels["identity"], dtype="Int64")
        kinds[::4] = None
        history = model.fit(table, {"identity": kinds}, validation_split=0.25, verbose=0).history
        assert np.isfinite(history["val_identity_loss"]).all()
        assert model.predict(table, verbose=0)["identity"].shape == (48, 4)
        with pytest.raises(ValueError, match=r"DataFrame. Give its columns: \{name: table\[name\]"):
            model.fit(table, self.pd.DataFrame({"identity": kinds}), verbose=0)
        words = table.assign(a="word")
        with pytest.raises(ValueError, match=r"inputs of numbers.*Received: dtype=(object|<U)"):
            model.fit(words, {"identity": labels["identity"]}, verbose=0)
        with pytest.raises(ValueError, match=r"Give \{'identity': y\}"):
            model.fit(table, labels["identity"], verbose=0)


def test_inputs_that_are_no_images_are_not_called_so(labels):
    tokens = np.random.default_rng(0).integers(20, size=(48, 7))
    inputs = keras.Input((7,), dtype="int32")
    x = keras.layers.GlobalAveragePooling1D()(keras.layers.Embedding(20, 4)(inputs))
    head = mtl.heads.ClassificationHead(4, hidden_units=0)
    model = mtl.MultiTaskModel(keras.Model(inputs, x), mtl.Task("identity", head))
    model.compile("sgd")
    y = {"identity": labels["identity"]}
    assert np.isfinite(model.fit(tokens, y, verbose=0).history["loss"]).all()
    with pytest.raises(ValueError, match=r"Expected inputs of shape \(samples, 7\)"):
        model.fit(tokens[:, :5], y, verbose=0)
    missing = np.where(tokens == tokens[3, 0], np.nan, tokens)
    with pytest.raises(ValueError, match=r"Received: nan in sample \d+\. Leave.*nan_to_num"):
        model.fit(missing, y, verbose=0)


def test_predicting_what_is_not_finite(model, images):
    x = images.copy()
    x[5, 2, 2] = np.nan
    for predict in (model.predict, model.predict_tasks):
        with pytest.raises(ValueError, match="nan in the image of sample 5"):
            predict(x, verbose=0)


def test_class_weight(model, images, labels):
    with pytest.raises(ValueError, match=r"without class_weight.*'identity', head, class_weight="):
        model.fit(images, labels, class_weight={0: 1.0, 1: 2.0}, verbose=0)


@pytest.mark.parametrize("count", ["3", 3.0, None, True, 1])
def test_counts_that_are_none(count):
    with pytest.raises(ValueError, match=f"num_classes >= 2. Received: num_classes={count!r}"):
        mtl.heads.ClassificationHead(count)
    with pytest.raises(ValueError, match="Received: num_bins="):
        mtl.heads.OrientationHead(count)
    if count != 1:
        with pytest.raises(ValueError, match="Received: units="):
            mtl.heads.RegressionHead(count)


def test_filters_that_are_no_list():
    with pytest.raises(ValueError, match=r"filters=8. For one stage, filters=\(8,\)"):
        mtl.backbones.ConvBackbone(filters=8)


@pytest.mark.parametrize("name", ["loss", "val", "compile_metrics"])
def test_names_of_keras(name):
    with pytest.raises(ValueError, match=f"which Keras uses.*'task_{name}'"):
        mtl.Task(name, mtl.heads.RegressionHead())
    mtl.Task(f"task_{name}", mtl.heads.RegressionHead())


def test_a_file_that_could_not_be_loaded(tmp_path):
    model = mtl.MultiTaskModel(
        mtl.backbones.DenseBackbone(2), [mtl.Task("a", mtl.heads.RegressionHead())]
    )
    with pytest.raises(ValueError, match=r"HDF5 does not keep.*m\.keras"):
        model.save(tmp_path / "m.h5")
    assert not list(tmp_path.iterdir())


def test_a_space_without_an_aggregator():
    with pytest.raises(ValueError, match=r"an aggregator alone.*balancer=None"):
        mtl.MultiTaskModel(
            mtl.backbones.DenseBackbone(2),
            [mtl.Task("a", mtl.heads.RegressionHead())],
            balancer_space="parameters",
        )


def test_absurd_weights():
    with pytest.raises(ValueError, match=r"Task 'a': expected a weight .* 1e\+06; only its ratio"):
        mtl.Task("a", mtl.heads.RegressionHead(), weight=1e12)
