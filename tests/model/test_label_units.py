"""Labels in any unit: the first fit takes mean and scale, and saves them."""

from __future__ import annotations

import dataclasses

import keras
import numpy as np
import pytest
from keras import ops
from small_models import set_weights, small_backbone, small_tasks

import mtlkit as mtl

OPTIONS = {"batch_size": 16, "shuffle": False, "verbose": 0}


def a_model(standardize=True, units=1, seed=0, **changes):
    """A model of a class and of values, all its weights set by the seed."""
    head = mtl.heads.RegressionHead(units, hidden_units=5, standardize=standardize)
    tasks = [small_tasks()[0], mtl.Task("value", head, **changes)]
    model = mtl.MultiTaskModel(small_backbone(), tasks)
    set_weights(model, seed)
    return model


def statistics(model):
    layer = model.tasks["value"].head.standardization
    return [ops.convert_to_numpy(v) for v in layer.statistics()]


@pytest.fixture(scope="module")
def in_thousands():
    """Values of 3,000 to 10,000; a third is missing."""
    values = np.random.default_rng(4).uniform(3000, 10000, size=48)
    return np.where(np.arange(48) % 3 == 0, np.nan, values)


@pytest.fixture(scope="module")
def trained(images, labels, in_thousands):
    keras.utils.set_random_seed(0)
    y = {"identity": labels["identity"], "value": in_thousands}
    model = a_model()
    model.compile(keras.optimizers.Adam(0.01))
    history = model.fit(images, y, epochs=2, validation_split=0.25, **OPTIONS).history
    return model, y, history


def test_statistics_are_those_of_the_training_samples(trained):
    model, y, _ = trained
    used = y["value"][:36][~np.isnan(y["value"][:36])]
    mean, scale = statistics(model)
    np.testing.assert_allclose(mean, [used.mean()], rtol=1e-6)
    np.testing.assert_allclose(scale, [used.std()], rtol=1e-6)


def test_loss_is_standardised_and_the_rest_in_the_users_unit(trained, images):
    model, y, history = trained
    assert history["value_loss"][0] < 10 and history["value_mae"][0] > 100
    output = model.predict(images, verbose=0)["value"][:, 0]
    decoded = model.predict_tasks(images, verbose=0)["value"]["value"]
    np.testing.assert_array_equal(decoded, output)
    scores = model.evaluate(images, y, batch_size=20, verbose=0, return_dict=True)
    there = ~np.isnan(y["value"])
    error = (output.astype("float64") - y["value"])[there]
    assert scores["value_mae"] == pytest.approx(np.abs(error).mean(), rel=1e-4)
    _, scale = statistics(model)
    assert scores["value_loss"] == pytest.approx(np.mean((error / scale) ** 2), rel=1e-4)


def test_the_unit_of_labels_does_not_change_the_training(images, labels, in_thousands):
    """Labels in metres or in millimetres: the same losses, and outputs in that unit."""

    def run(factor, offset):
        model = a_model()
        model.compile(keras.optimizers.Adam(0.01))
        y = {"identity": labels["identity"], "value": factor * in_thousands + offset}
        losses = model.fit(images, y, epochs=2, **OPTIONS).history
        return losses, (model.predict(images, verbose=0)["value"] - offset) / factor

    expected, outputs = run(1.0, 0.0)
    for factor, offset in ((1e-9, 0.0), (1000.0, 0.0), (1.0, 2e5)):
        got, own = run(factor, offset)
        np.testing.assert_allclose(got["value_loss"], expected["value_loss"], rtol=2e-3)
        np.testing.assert_allclose(got["identity_loss"], expected["identity_loss"], rtol=2e-3)
        np.testing.assert_allclose(own, outputs, rtol=2e-3)


def test_gradient_is_that_of_standardised_labels(images, labels, in_thousands):
    """The first step equals that of a head that does not standardise, on standardised labels."""
    used = in_thousands[~np.isnan(in_thousands)]
    both = {True: in_thousands, False: (in_thousands - used.mean()) / used.std()}
    after = []
    for standardize, values in both.items():
        model = a_model(standardize)
        model.compile(keras.optimizers.SGD(0.1))
        model.fit(images, {"identity": labels["identity"], "value": values}, **OPTIONS)
        after.append([ops.convert_to_numpy(v) for v in model.trainable_variables])
    for one, two in zip(*after, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("loss", ["mae", keras.losses.Huber()], ids=["mae", "huber"])
def test_a_loss_of_the_users_own(images, labels, in_thousands, loss):
    model = a_model(loss=loss)
    model.compile("sgd")
    y = {"value": in_thousands}
    model.fit(images, y, **OPTIONS)
    there = ~np.isnan(in_thousands)
    _, scale = statistics(model)
    error = model.predict(images, verbose=0)["value"][there, 0] - in_thousands[there]
    size = np.abs(error / scale)
    expected = size if loss == "mae" else np.where(size <= 1, size**2 / 2, size - 0.5)
    scores = model.evaluate(images, y, verbose=0, return_dict=True)
    assert scores["value_loss"] == pytest.approx(expected.mean(), rel=1e-3)


def test_stream_and_sample_weights(images, in_thousands):
    """Of a stream the batches peeked at count; samples of weight zero do not."""
    y = np.stack([in_thousands, 1e-6 * in_thousands], axis=1)
    weight = np.where(np.arange(48) < 8, 0.0, 2.0)

    class Batches(keras.utils.PyDataset):
        num_batches = 3

        def __getitem__(self, index):
            rows = slice(16 * index, 16 * index + 16)
            return images[rows], {"value": y[rows]}, {"value": weight[rows]}

    def generator():
        yield from (Batches()[index] for index in range(3))

    for data in (Batches(), generator()):
        model = a_model(units=2)
        model.compile("sgd")
        seen = model.fit(data, steps_per_epoch=3, verbose=0).history
        assert np.isfinite(seen["loss"]).all()
        used = y[8:][~np.isnan(in_thousands[8:])]
        mean, scale = statistics(model)
        np.testing.assert_allclose(mean, used.mean(axis=0), rtol=1e-6)
        np.testing.assert_allclose(scale, used.std(axis=0), rtol=1e-6)


def test_taken_once(trained, images, in_thousands, tmp_path):
    """Not again by a second fit, after loading, or beside another head; by a new head, yes."""
    trained_model, _, _ = trained
    trained_model.save(tmp_path / "model.keras")
    model = keras.models.load_model(tmp_path / "model.keras")
    for one, two in zip(statistics(model), statistics(trained_model), strict=True):
        np.testing.assert_array_equal(one, two)
    np.testing.assert_array_equal(
        model.predict(images, verbose=0)["value"], trained_model.predict(images, verbose=0)["value"]
    )
    before = statistics(model)
    doubled = {"value": 2 * in_thousands, "identity": np.zeros(48, int)}
    model.fit(images, doubled, **OPTIONS)
    other = model.with_head("identity", mtl.heads.ClassificationHead(4))
    other.compile("sgd")
    other.fit(images, doubled, **OPTIONS)
    for one, two in zip(before, statistics(other), strict=True):
        np.testing.assert_array_equal(one, two)
    new = model.with_head("value", mtl.heads.RegressionHead())
    new.compile("sgd")
    new.fit(images, doubled, **OPTIONS)
    np.testing.assert_allclose(statistics(new)[0], [2 * np.nanmean(in_thousands)], rtol=1e-6)


def test_adapts_when_labels_come(images, labels, in_thousands):
    model = a_model()
    model.compile("sgd")
    model.fit(images, {"identity": labels["identity"]}, **OPTIONS)
    assert not model.tasks["value"].head.adapted
    model.fit(images, {"value": in_thousands}, **OPTIONS)
    assert model.tasks["value"].head.adapted


def test_a_stream_whose_first_batches_lack_the_label(images, labels):
    def batches():
        while True:
            yield images, {"identity": labels["identity"], "value": np.full(48, np.nan)}

    model = a_model()
    model.compile("sgd")
    with pytest.warns(UserWarning, match=r"Task 'value': no label.*\['value'\].head.adapt"):
        model.fit(batches(), steps_per_epoch=1, verbose=0)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_half_precision_does_not_overflow(images, in_thousands, policy):
    keras.config.set_dtype_policy(policy)
    head = mtl.heads.RegressionHead(hidden_units=5)
    model = mtl.MultiTaskModel(small_backbone(), [mtl.Task("value", head)])
    model.compile(keras.optimizers.Adam(0.01))
    y = {"value": 20 * in_thousands}  # up to 200,000; float16 ends at 65,504
    history = model.fit(images, y, epochs=2, **OPTIONS).history
    assert np.isfinite(history["loss"]).all() and history["loss"][0] < 10
    output = model.predict(images, verbose=0)["value"]
    assert output.dtype == np.float32 and np.isfinite(output).all()
    assert abs(output.mean() - np.nanmean(y["value"])) < np.nanstd(y["value"])


def test_a_conditioned_task_sees_standardised_values(images, labels, in_thousands):
    head = mtl.heads.ClassificationHead(4, hidden_units=5)
    value = mtl.Task("value", mtl.heads.RegressionHead(hidden_units=5))
    tasks = [value, mtl.Task("identity", head, condition_on="value", conditioning="concat")]
    model = mtl.MultiTaskModel(small_backbone(), tasks)
    model.compile("sgd")
    y = {"value": in_thousands, "identity": labels["identity"]}
    history = model.fit(images, y, **OPTIONS).history
    assert history["identity_loss"][0] < 10  # thousands in its hidden layer would be hundreds
    # Predictions that the data hold come in the user's unit, and are seen the same.
    task = dataclasses.replace(model.tasks["identity"], condition_from="data")
    twin = mtl.MultiTaskModel(model.backbone, [model.tasks["value"], task])
    outputs = model.predict(images, verbose=0)
    given = {"image_input": images, "value_prediction": outputs["value"]}
    np.testing.assert_allclose(
        twin.predict(given, verbose=0)["identity"], outputs["identity"], atol=1e-4
    )
