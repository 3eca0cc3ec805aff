"""Kinds of labels, and the model that one would begin with."""

import numpy as np
import pytest

import mtlkit as mtl
from mtlkit.datasets import MultiTaskData, default_model, load_npz


def data(shape=(3,), **y):
    x = np.zeros((12, *shape))
    y = {task: np.resize(labels, (12, *np.shape(labels)[1:])) for task, labels in y.items()}
    return MultiTaskData(x, y, x, y, x, y)


def test_kinds_are_inferred_from_types():
    tags = np.array([[0, 1], [1, 1]])
    found = data(a=[0, 1], b=[0.5, 1.5], c=tags, d=[[0], [1]])
    kinds = {task: found.kind(task).name for task in found.tasks}
    assert kinds == {"a": "classes", "b": "values", "c": "labels", "d": "classes"}


@pytest.mark.parametrize(
    ("labels", "kind", "expected", "names"),
    [
        ([2, 0, -1], "classes", [2, 0, -1], None),
        ([2.5, 1.0, np.nan], "classes", [1, 0, -1], ["1", "2.5"]),
        ([[0, 1], [1, 0]], "classes", [1, 0], None),
        ([2, 0, -1], "values", [2, 0, np.nan], None),
        ([2, 0, -1], "orientation:4", [2, 0, -1], None),
        ([350, 0, -1], "orientation:4", [350, 0, np.nan], None),
        ([2.5, np.nan], "orientation:4", [2.5, np.nan], None),
        ([10.0, 30.0, 20.0], "ordinal", [0, 2, 1], ["10", "20", "30"]),
        ([[0, 1], [1, 1]], "labels", [[0, 1], [1, 1]], None),
    ],
)
def test_labels_take_the_form_of_their_kind(labels, kind, expected, names):
    found = data(a=labels).with_kinds({"a": kind})
    np.testing.assert_array_equal(found.y_test["a"][: len(expected)], expected)
    assert str(found.kind("a")) == kind and found.class_names.get("a") == names


@pytest.mark.parametrize(
    ("labels", "kind", "words"),
    [
        ([0, 1], "class", "out of classes, values"),
        ([0, 1], "classes:x", "orientation:36. Received: 'classes:x'"),
        ([0, 5], "classes:5", "classes below 5, for classes:5. Received: 5"),
        ([0.5, 5], "orientation", "number of bins for labels in degrees"),
        ([[0.5, 1.0]], "classes", "one label a sample"),
        ([0, 2], "labels", "a row of 0 or 1"),
    ],
)
def test_errors_name_the_task(labels, kind, words):
    with pytest.raises(ValueError, match=f"Task 'a'.*{words}"):
        data(a=labels).with_kinds({"a": kind})


def test_summary_has_chance_for_degrees():
    text = data(a=[10.0, 300.0]).with_kinds({"a": "orientation:8"}).summary()
    assert "orientation:8" in text and "chance 12.5 %" in text and "MAE" not in text


def test_kinds_of_unknown_tasks_are_errors():
    with pytest.raises(ValueError, match=r"tasks \['a'\]. Received: \['b'\]"):
        data(a=[0, 1]).with_kinds({"b": "values"})
    with pytest.raises(ValueError, match=r"class_names of the tasks.*b"):
        MultiTaskData(*3 * [np.zeros((2, 1)), {"a": np.arange(2)}], class_names={"b": ["x"]})


def test_kinds_and_names_are_saved(tmp_path):
    given = data(a=[3.0, 5.0], b=[0, 1], y=[0, 2]).with_kinds({"a": "ordinal", "b": "values"})
    given.save_npz(tmp_path / "kept.npz")
    found = load_npz(tmp_path / "kept.npz")
    assert found.kinds == given.kinds and found.class_names == {"a": ["3", "5"]}
    assert found.summary() == given.summary().replace("data\n", "kept\n", 1)
    assert load_npz(tmp_path / "kept.npz", tasks=["y"]).tasks == ("y",)


def test_default_heads():
    found = data(
        (8, 8, 1),
        a=[0, 4],
        b=[[0.5, 1.5]],
        c=[1, 0],
        d=[0.5, 300.0],
        e=[0, 1, 2],
        f=np.array([[0, 1, 1]]),
    ).with_kinds({"c": "orientation:6", "d": "orientation:9", "e": "ordinal"})
    model = default_model(found)
    heads = {task: one.head for task, one in model.tasks.items()}
    assert isinstance(heads["a"], mtl.heads.ClassificationHead) and heads["a"].num_classes == 5
    assert isinstance(heads["b"], mtl.heads.RegressionHead) and heads["b"].units == 2
    assert heads["c"].num_bins == 6 and heads["c"].labels == "bins"
    assert heads["d"].num_bins == 9 and heads["d"].labels == "degrees"
    assert isinstance(heads["e"], mtl.heads.OrdinalHead)
    assert isinstance(heads["f"], mtl.heads.MultiLabelHead) and heads["f"].num_labels == 3


def test_default_backbones():
    def stages(side):
        return len(default_model(data((side, side, 3), a=[0, 1])).backbone.output) - 1

    assert [stages(side) for side in (3, 8, 32, 64, 300)] == [2, 3, 3, 4, 5]
    columns = default_model(data(a=[0, 1], c=[0, 1]).with_kinds({"c": "orientation:4"}))
    assert isinstance(columns.backbone, mtl.backbones.DenseBackbone)
    with pytest.raises(ValueError, match="images .* or tokens"):
        default_model(data((3, 4, 5, 2), a=[0, 1]))
    with pytest.raises(ValueError, match="Task 'a', classes: .*num_classes"):
        default_model(data(a=[0, 0]))


@pytest.mark.parametrize("kind", ["sequences", "tokens"])
def test_default_backbones_of_sequences(kind):
    rng = np.random.default_rng(0)
    x = rng.normal(50, 10, (12, 20, 3)) if kind == "sequences" else rng.integers(40, size=(12, 20))
    labels = {"a": np.arange(12) % 2, "b": np.arange(12.0)}
    model = default_model(MultiTaskData(x, labels, x, labels, x, labels))
    outputs = model.predict(x, verbose=0)
    assert outputs["a"].shape == (12, 2) and outputs["b"].shape == (12, 1)
    assert model.backbone.output.shape == (None, 5, 128)  # 20 steps, halved twice
    if kind == "sequences":
        normalized = np.asarray(model.backbone.layers[0](x.astype("float32")))
        assert np.allclose(normalized.mean((0, 1)), 0, atol=1e-4)


def test_whole_numbers_below_minus_one_are_values_if_named_so(tmp_path):
    path = tmp_path / "weather.npz"
    np.savez(path, x=np.random.default_rng(0).random((40, 3)), temp=np.arange(-10, 30))
    with pytest.raises(ValueError, match="values are floats"):
        load_npz(path)
    read = load_npz(path, kinds={"temp": "values"})
    values = np.sort(np.concatenate([y["temp"] for _, _, y in read.splits()]))
    assert values.dtype == "float64" and values.tolist() == list(range(-10, 30))
