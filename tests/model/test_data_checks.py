"""Bad input: a ValueError before training, naming the task, the expected and the received."""

from __future__ import annotations

import tracemalloc

import keras
import numpy as np
import pytest
from small_models import set_weights, small_backbone, small_model, small_tasks

import mtlkit as mtl
from mtlkit.model._data_checks import check_inputs


@pytest.fixture(scope="module")
def model():
    model = small_model()
    model.compile("sgd")
    return model


def changed(labels, **changes):
    return {**labels, **changes}


BAD_LABELS = {
    "shape": (
        lambda y: changed(y, identity=np.zeros((48, 4), int)),
        "Task 'identity': expected integer labels in 0...3.*shape .samples, 1. or .samples,."
        r".*Received: shape \(48, 4\)",
    ),
    "count": (
        lambda y: changed(y, identity=y["identity"][:40]),
        r"Task 'identity': expected one label for each of the 48 samples.*\(40,\)",
    ),
    "too large": (
        lambda y: changed(y, orientation=np.r_[y["orientation"][:-1], 8]),
        r"Task 'orientation': expected integer labels in 0...7.*Received: 8 at sample 47",
    ),
    "negative": (
        lambda y: changed(y, orientation=np.r_[-2, y["orientation"][1:]]),
        r"Task 'orientation': expected integer labels in 0...7.*Received: -2 at sample 0",
    ),
    "unknown task": (
        lambda y: changed(y, colour=y["identity"]),
        r"Expected labels for the tasks of the model, \['identity', 'orientation', 'intensity'\]"
        r".*Received: labels for \['colour'\], too\. Leave them out",
    ),
    "float classes": (
        lambda y: changed(y, identity=y["identity"] + 0.5),
        "Task 'identity': expected integer labels.*Received: dtype=float64",
    ),
    "infinite value": (
        lambda y: changed(y, intensity=np.r_[np.inf, y["intensity"][1:]]),
        r"Task 'intensity': expected 1 finite number.*Received: \[inf\] at sample 0",
    ),
    "no labels at all": (
        lambda y: {"identity": np.full(48, -1), "intensity": np.full(48, np.nan)},
        "Expected a label for at least one task.*Received: none",
    ),
    "no keys": (lambda y: {}, "Expected a label for at least one task"),
    "not a dict": (
        lambda y: y["identity"],
        "Expected the labels of the training data as a dict by task.*Received: ndarray",
    ),
    "none": (lambda y: None, "Expected the labels of the training data as a dict.*NoneType"),
}


@pytest.mark.parametrize("case", BAD_LABELS)
def test_bad_labels(model, images, labels, case):
    change, message = BAD_LABELS[case]
    before = [w.copy() for w in model.get_weights()]
    with pytest.raises(ValueError, match=f"(?s){message}"):
        model.fit(images, change(labels), verbose=0)
    for one, two in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("case", ["too large", "unknown task", "count", "float classes"])
def test_bad_labels_elsewhere(model, images, labels, case):
    """In validation data, in evaluate, in a data set."""
    change, message = BAD_LABELS[case]
    message = f"(?s){message}"
    with pytest.raises(ValueError, match=message.replace("training", "validation")):
        model.fit(images, labels, validation_data=(images, change(labels)), verbose=0)
    with pytest.raises(ValueError, match=message.replace("training", "evaluation")):
        model.evaluate(images, change(labels), verbose=0)
    batches = [(images, change(labels))]
    with pytest.raises(ValueError, match=message):
        model.fit((batch for batch in batches), steps_per_epoch=1, verbose=0)


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda x: x[:0], "at least one sample. Received: none"),
        (lambda x: x[:, :4], r"images of shape \(samples, 8, 8, 1\).*shape \(48, 4, 8, 1\)"),
        (lambda x: x[..., 0], r"images of shape \(samples, 8, 8, 1\).*shape \(48, 8, 8\)"),
        (lambda x: np.where(x == x[30, 2, 2], np.nan, x), "nan in the image of sample 30"),
        (lambda x: np.where(x == x[7, 2, 2], -np.inf, x), "-inf in the image of sample 7"),
        (lambda x: x.astype("U8"), "images of numbers"),
        (lambda x: None, "Received: x=None"),
        (lambda x: [x, x], r"Expected 1 input\(s\).*Received: 2"),
    ],
    ids=["empty", "size", "rank", "nan", "inf", "text", "none", "two"],
)
def test_bad_images(model, images, labels, change, message):
    x = change(images)
    y = {
        name: values[: 0 if x is not None and not len(x) else 48] for name, values in labels.items()
    }
    with pytest.raises(ValueError, match=message):
        model.fit(x, y, verbose=0)


@pytest.mark.parametrize(
    "weight, message",
    [
        ({"colour": np.ones(48)}, r"Received: sample weights for \['colour'\]"),
        ({"identity": np.ones(40)}, r"Task 'identity': expected one sample weight.*\(40,\)"),
        ({"identity": np.r_[-1, np.ones(47)]}, "Task 'identity': expected finite.*-1.0"),
        ({"identity": np.ones(48), "intensity": np.ones(48)}, r"with labels.*\['intensity'\]"),
        ({"identity": np.r_[np.nan, np.ones(47)]}, "Task 'identity': expected finite.*nan"),
    ],
)
def test_bad_sample_weights(model, images, labels, weight, message):
    labels = {name: labels[name] for name in ("identity", "orientation")}
    with pytest.raises(ValueError, match=message):
        model.fit(images, labels, sample_weight=weight, verbose=0)


def test_labels_in_lists_are_taken(model, images, labels):
    y = {name: values.tolist() for name, values in labels.items()}
    history = model.fit(images, y, batch_size=24, verbose=0)
    assert np.isfinite(history.history["loss"]).all()


def test_empty_stream(model):
    with pytest.raises(ValueError, match="at least one batch"):
        model.fit((batch for batch in []), steps_per_epoch=1, verbose=0)


def test_first_batch_of_a_stream_may_be_without_labels(model, images, labels):
    def batches():
        yield images, {"identity": np.full(48, -1)}
        yield images, {"identity": labels["identity"]}

    history = model.fit(batches(), steps_per_epoch=2, verbose=0).history
    assert np.isfinite(history["identity_loss"]).all()


@pytest.mark.parametrize("kind", ["generator", "PyDataset"])
def test_batches_of_different_keys(images, labels, kind):
    """Batches may lack tasks: as if their labels were marked as missing."""
    identity = {"identity": labels["identity"]}

    def run(*label_batches):
        class Batches(keras.utils.PyDataset):
            num_batches = len(label_batches)

            def __getitem__(self, index):
                return images, label_batches[index]

        model = mtl.MultiTaskModel(small_backbone(), small_tasks())
        set_weights(model)
        model.compile("sgd")
        data = Batches() if kind == "PyDataset" else (batch for batch in Batches())
        validation = Batches()
        options = {"steps_per_epoch": len(label_batches), "validation_steps": len(label_batches)}
        history = model.fit(
            data, validation_data=validation, shuffle=False, verbose=0, **options
        ).history
        return {name: values[0] for name, values in history.items()}

    missing = {
        name: np.full_like(y, np.nan if y.dtype.kind == "f" else -1) for name, y in labels.items()
    }
    expected = run({**missing, **identity}, labels, {**missing, **identity})
    got = run(identity, labels, identity)
    assert got.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(got[name], value, rtol=1e-5, err_msg=name)


def test_a_later_batch_is_checked_while_adapting(images, labels):
    model = mtl.MultiTaskModel(small_backbone(), small_tasks())
    model.compile("sgd")
    bad = changed(labels, orientation=np.full(48, 9))

    class Batches(keras.utils.PyDataset):
        def __len__(self):
            return 3

        def __getitem__(self, index):
            return images, bad if index == 2 else labels

    with pytest.raises(ValueError, match=r"(?s)Task 'orientation'.*Received: 9"):
        model.fit(Batches(), verbose=0)


class TestConstruction:
    def test_duplicate_names(self):
        tasks = [mtl.Task("a", mtl.heads.RegressionHead()) for _ in range(2)]
        with pytest.raises(ValueError, match=r"different names. Received: \['a'\]"):
            mtl.MultiTaskModel(small_backbone(), tasks)

    def test_names_that_collide_in_the_logs(self):
        def metric():
            return [keras.metrics.MeanAbsoluteError(name="b_loss")]

        tasks = [
            mtl.Task("a", mtl.heads.RegressionHead(), metrics=metric()),
            mtl.Task("a_b", mtl.heads.RegressionHead()),
        ]
        with pytest.raises(ValueError, match=r"different names.*\['a_b_loss'\]"):
            mtl.MultiTaskModel(small_backbone(), tasks)

    def test_unknown_feature(self):
        tasks = [mtl.Task("a", mtl.heads.RegressionHead(), feature="stage9")]
        with pytest.raises(
            ValueError,
            match=r"Task 'a': .*\['input', 'stage1', 'stage2'\].*Received: feature='stage9'",
        ):
            mtl.MultiTaskModel(small_backbone(), tasks)

    def test_head_that_does_not_fit_the_feature(self):
        backbone = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(name="flat")])
        task = mtl.Task("turn", mtl.heads.OrientationHead(8), feature="flat")
        with pytest.raises(ValueError, match=r"(?s)Task 'turn'.*\(None, 64\)"):
            mtl.MultiTaskModel(backbone, [task])

    def test_shared_head(self):
        head = mtl.heads.RegressionHead()
        with pytest.raises(ValueError, match="Task 'b': expected a head of its own.*task 'a'"):
            mtl.MultiTaskModel(small_backbone(), [mtl.Task("a", head), mtl.Task("b", head)])

    def test_a_single_task_without_a_list(self):
        model = mtl.MultiTaskModel(small_backbone(), mtl.Task("a", mtl.heads.RegressionHead()))
        assert list(model.tasks) == ["a"]
        with pytest.raises(ValueError, match="Task 'a': expected to keep its name"):
            model.with_head("a", mtl.heads.RegressionHead(), name="b")

    @pytest.mark.parametrize("name", ["image_input", "conv", "b_gradient"])
    def test_names_of_other_layers(self, name):
        tasks = [
            mtl.Task(name, mtl.heads.RegressionHead()),
            mtl.Task("b", mtl.heads.RegressionHead(), gradient="stop"),
        ]
        with pytest.raises(ValueError, match=f"Task '{name}': expected a name that no layer"):
            mtl.MultiTaskModel(small_backbone(name="conv"), tasks)
        mtl.MultiTaskModel(small_backbone(), [mtl.Task("image", mtl.heads.RegressionHead())])

    def test_image_shape(self):
        with pytest.raises(ValueError, match=r"input_shape=\(height, width, channels\)"):
            mtl.backbones.ConvBackbone((32, 32))
        with pytest.raises(ValueError, match="can be halved"):
            mtl.backbones.ConvBackbone((2, 2, 1), filters=(4, 4, 4))

    def test_no_tasks_balancer_backbone(self):
        with pytest.raises(ValueError, match="at least one mtlkit.Task"):
            mtl.MultiTaskModel(small_backbone(), [])
        with pytest.raises(ValueError, match="Expected a balancer.*Received: balancer='adam'"):
            mtl.MultiTaskModel(small_backbone(), small_tasks(), balancer="adam")
        with pytest.raises(ValueError, match="backbone to be a keras.Model or layer"):
            mtl.MultiTaskModel("resnet", small_tasks())
        with pytest.raises(ValueError, match="input_shape"):
            mtl.MultiTaskModel(keras.layers.Conv2D(3, 3), small_tasks())


def test_large_images_are_not_copied_whole():
    images = np.zeros((64, 512, 512, 1), "uint8")
    tracemalloc.start()
    try:
        assert check_inputs(images, keras.Input((512, 512, 1)), "training data") == 64
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < images.nbytes / 2


def test_masked_labels_are_refused():
    """Backends would read what is under the mask."""
    x, labels = (
        np.zeros((4, 2), "float32"),
        np.ma.masked_array([0, 1, 2, 0], [False, True, False, True]),
    )
    model = mtl.MultiTaskModel(
        mtl.backbones.DenseBackbone(2), [mtl.Task("a", mtl.heads.ClassificationHead(3))]
    )
    model.compile("adam")
    with pytest.raises(ValueError, match=r"masked array. Give y\['a'\]\.filled\(-1\)"):
        model.fit(x, {"a": labels}, verbose=0)
    model.fit(x, {"a": labels.filled(-1)}, verbose=0)
