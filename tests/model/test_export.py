"""Exported models give, in their runtimes, what Keras gives."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import keras
import numpy as np
import pytest
from adopted_models import problem_data, problem_model, table_model
from exported_models import SUFFIXES, expected, run
from small_models import small_backbone, small_model, small_tasks

import mtlkit as mtl
from mtlkit.model._export import FORMATS

BACKEND = keras.backend.backend()
HEADS = mtl.heads
TREE = {"x": ["p", "q"], "y": ["r", "s"]}
#: The formats that are exact on this backend, for batches of any size.
EXACT = [
    name
    for name, row in FORMATS.items()
    if BACKEND in row.packages and (name, BACKEND) != ("litert", "torch")
]


def needs(format: str) -> None:
    """Skips the test if what writes the format is not installed."""
    if not FORMATS[format].in_keras:
        pytest.skip(f"Keras {keras.__version__} does not write {format}")
    missing = [one for one in FORMATS[format].packages[BACKEND] if find_spec(one) is None]
    if missing:
        pytest.skip(f"{missing} not installed")


def exported_to(folder) -> dict[str, str]:
    """Where to export, and a format that this backend writes."""
    needs(EXACT[0])
    return {"filepath": str(folder / f"model{SUFFIXES[EXACT[0]]}"), "format": EXACT[0]}


def check(model, path, format: str, x, decode: bool = False, tolerance: float = 1e-5) -> None:
    """Exports a model, and compares names, order and numbers for batches of two sizes."""
    needs(format)
    path = f"{path}{SUFFIXES[format]}"
    model.export(path, format, decode=decode, verbose=False)
    for batch in (x, x[:1]):
        wanted, found = expected(model, batch, decode), run(path, format, batch)
        assert set(found) == set(wanted)
        if format != "tf_saved_model":  # whose signature has names, and no order
            assert list(found) == list(wanted)
        for name, one in wanted.items():
            np.testing.assert_allclose(found[name], one, tolerance, tolerance, err_msg=name)
            assert found[name].dtype == ("int32" if one.dtype.kind == "i" else one.dtype), name


@pytest.fixture(scope="module")
def all_heads():
    """A model with each head; neither tasks nor outputs are in the order of the alphabet."""
    keras.utils.set_random_seed(0)
    circle = {"filters": (4,), "hidden_units": 4}
    heads = {
        "pose": HEADS.OrientationHead(8, **circle),
        "kind": HEADS.ClassificationHead(4),
        "line": HEADS.OrientationHead(6, spatial="pool", circular=False),
        "turn": HEADS.OrientationHead(8, spatial="pool", target="multibin"),
        "age": HEADS.RegressionHead(),
        "box": HEADS.RegressionHead(4),
        "tags": HEADS.MultiLabelHead(3),
        "grade": HEADS.OrdinalHead(4),
        "group": HEADS.HierarchicalHead(TREE),
        "cost": HEADS.HierarchicalHead(TREE, decision="least_cost"),
        "face": HEADS.ContrastiveHead(4, 8),
        "mask": HEADS.DenseHead(num_classes=3, channels=4),
        "depth": HEADS.DenseHead(units=1, channels=4),
    }
    wiring = {
        "kind": {"gradient": 0.5},
        "age": {"gradient": "stop"},
        "grade": {"condition_on": "kind"},
    }
    tasks = [mtl.Task(name, head, **wiring.get(name, {})) for name, head in heads.items()]
    model = mtl.MultiTaskModel(small_backbone(), tasks)
    model.backbone.adapt(np.random.default_rng(1).random((48, 8, 8, 1)))
    heads["age"].adapt(np.array([20.0, 30.0, 70.0]))
    return model


@pytest.mark.parametrize("format", EXACT)
def test_each_head(all_heads, format, images, tmp_path):
    check(all_heads, tmp_path / "model", format, images[:3], decode=True)


@pytest.mark.parametrize("decode", [False, True])
@pytest.mark.parametrize("format", EXACT)
def test_an_adopted_model(format, decode, tmp_path):
    kinds = {"orientation": {"kind": "classification"}, "intensity": {"kind": "regression"}}
    model = mtl.MultiTaskModel.from_keras(problem_model(compiled=False), kinds)
    check(model, tmp_path / "model", format, problem_data(3)[0], decode)


@pytest.mark.parametrize("format", EXACT)
def test_what_a_layer_has_computed_before(format, tmp_path):
    model = mtl.MultiTaskModel.from_keras(table_model())  # begins with a keras Normalization
    columns = np.random.default_rng(0).random((3, 9)).astype("float32")
    check(model, tmp_path / "model", format, columns)


@pytest.mark.parametrize("space", ["features", "parameters"])
def test_a_balanced_model(space, images, labels, tmp_path):
    tasks = small_tasks("pool")
    model = mtl.MultiTaskModel(small_backbone(), tasks, "upgrad", balancer_space=space)
    model.compile("adam")
    model.fit(images, labels, verbose=0)
    check(model, tmp_path / "model", EXACT[0], images[:3])


@pytest.mark.parametrize("format", [one for one in EXACT if FORMATS[one].float32])
def test_half_precision_is_exported_in_float32(format, images, tmp_path):
    keras.config.set_dtype_policy("mixed_bfloat16")
    model = small_model("pool")
    keras.config.set_dtype_policy("float32")
    before = model.predict(images[:3], verbose=0)
    check(model, tmp_path / "model", format, images[:3], tolerance=0.05)
    assert model.backbone.get_layer("conv1").compute_dtype == "bfloat16"
    after = model.predict(images[:3], verbose=0)
    np.testing.assert_array_equal(after["identity"], before["identity"])


def test_maps_of_any_size(images, tmp_path):
    image = keras.Input((None, None, 1))
    x = keras.layers.Conv2D(4, 3, strides=2, padding="same")(image)
    backbone = mtl.backbones.KerasBackbone(keras.Model(image, x))
    task = mtl.Task("mask", HEADS.DenseHead(num_classes=3, channels=4))
    model = mtl.MultiTaskModel(backbone, [task])
    path, format = tmp_path / f"model{SUFFIXES[EXACT[-1]]}", EXACT[-1]
    needs(format)
    # The converters of other backends want to know the size.
    spec = keras.InputSpec(shape=(None, 8, 8, 1), dtype="float32", name="image")
    sizes = None if BACKEND == "tensorflow" else [spec]
    model.export(path, format, verbose=False, input_signature=sizes)
    for x in (images[:3], images[:2] if sizes else images[:2, :6]):
        found = run(path, format, x)["mask"]
        np.testing.assert_allclose(found, model.predict(x, verbose=0)["mask"], 1e-5, 1e-5)


def test_other_formats_are_handed_on(tmp_path):
    with pytest.raises(ValueError, match="Unrecognized format=pickle"):
        small_model("pool").export(tmp_path / "model", "pickle")


def test_a_file_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    def broken_off(inputs, outputs, path, options):
        Path(path).write_text("half")
        raise RuntimeError("out of memory")

    row = dataclasses.replace(FORMATS["onnx"], packages={}, write=broken_off)
    monkeypatch.setitem(FORMATS, "onnx", row)
    path = tmp_path / "model.onnx"
    path.write_text("of yesterday")
    with pytest.raises(RuntimeError, match="out of memory"):
        small_model("pool").export(path, "onnx")
    assert [one.read_text() for one in tmp_path.iterdir()] == ["of yesterday"]


class NumpyHead(HEADS.RegressionHead):
    """A head that is decoded in NumPy alone."""

    def decode(self, outputs):
        return {"value": np.asarray(outputs)[:, 0]}

    decode_tensors = HEADS.Head.decode_tensors


class LabelsAlone(HEADS.ClassificationHead):
    """Decodes less than the head that it is made of."""

    def decode(self, outputs):
        return {"label": super().decode(outputs)["label"]}


class TestErrors:
    def test_a_head_that_decodes_otherwise_than_its_parent(self, tmp_path):
        backbone = mtl.backbones.DenseBackbone(3, units=(4,))
        model = mtl.MultiTaskModel(backbone, mtl.Task("a", LabelsAlone(2)))
        with pytest.raises(ValueError, match="'a'.*LabelsAlone inherits"):
            model.export(**exported_to(tmp_path), decode=True)

    def test_a_head_that_decodes_in_numpy(self, tmp_path):
        model = mtl.MultiTaskModel(small_backbone(), [mtl.Task("size", NumpyHead())])
        with pytest.raises(ValueError, match="Task 'size': .*decode_tensors") as raised:
            model.export(**exported_to(tmp_path), decode=True)
        assert "model.tasks['size'].head.decode(outputs)" in str(raised.value)

    def test_names_that_meet(self, tmp_path):
        heads = {"a": HEADS.HierarchicalHead(TREE), "a_level": HEADS.RegressionHead()}
        heads["a_level"].decode_tensors = lambda outputs: {"1": outputs}
        tasks = [mtl.Task(name, head) for name, head in heads.items()]
        model = mtl.MultiTaskModel(small_backbone(), tasks)
        with pytest.raises(ValueError, match="different names.*a_level_1"):
            model.export(**exported_to(tmp_path), decode=True)

    @pytest.mark.parametrize(("format", "suffix"), [("onnx", ".onnx"), ("litert", ".tflite")])
    def test_path(self, format, suffix, tmp_path):
        with pytest.raises(ValueError, match=f"Expected a path that ends with '{suffix}'"):
            small_model("pool").export(tmp_path / "model.bin", format)
        with pytest.raises(ValueError, match=f"path of a folder .* format='{format}'"):
            small_model("pool").export(tmp_path / f"model{suffix}")

    def test_a_missing_package(self, monkeypatch, tmp_path):
        monkeypatch.setattr(keras.backend, "backend", lambda: "tensorflow")
        monkeypatch.setattr("mtlkit.model._export.find_spec", lambda name: None)
        with pytest.raises(ImportError, match="Run: pip install ai-edge-litert"):
            small_model("pool").export(tmp_path / "model.tflite", "litert")

    def test_a_keras_that_is_too_old(self, monkeypatch, tmp_path):
        monkeypatch.setattr(keras.backend, "backend", lambda: "tensorflow")
        monkeypatch.setattr(keras, "__version__", "3.12.1")
        with pytest.raises(ImportError, match=r"Keras 3\.13 or later .* Received: Keras 3\.12\.1"):
            small_model("pool").export(tmp_path / "model.tflite", "litert")

    @pytest.mark.skipif(BACKEND == "tensorflow", reason="TensorFlow writes every format")
    def test_the_cure_for_another_backend(self, images, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        model = small_model("pool")
        format = {"jax": "onnx", "torch": "tf_saved_model"}[BACKEND]
        if format == "onnx":
            pytest.importorskip("tf2onnx")
        path = f"exported{SUFFIXES[format]}"
        with pytest.raises(ValueError, match="Expected the backend to be one of") as raised:
            model.export(path, format, decode=True)
        model.save("model.keras")
        line = str(raised.value).splitlines()[-1].replace("python", sys.executable, 1)
        subprocess.run(line, shell=True, check=True)
        for name, one in expected(model, images[:3], decode=True).items():
            np.testing.assert_allclose(run(path, format, images[:3])[name], one, 1e-5, 1e-5)
