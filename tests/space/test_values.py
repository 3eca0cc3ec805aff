"""Texts of values: the same in every process, whatever was made before."""

import functools

import keras
import pytest

import mtlkit as mtl
from mtlkit.losses.contrastive import SupervisedContrastive
from mtlkit.space import Choice, Fixed, Float, When
from mtlkit.space._values import has_stable_text, is_counted_name, text_of, without_addresses
from mtlkit.space.parts import same

OBJECTS = {
    "loss": lambda: keras.losses.MeanSquaredError(),
    "other_loss": lambda: keras.losses.MeanAbsoluteError(),
    "layer": lambda: keras.layers.Dense(3),
    "wider_layer": lambda: keras.layers.Dense(4),
    "named_layer": lambda: keras.layers.Dense(3, name="mine"),
    "within_a_layer": lambda: keras.layers.TimeDistributed(keras.layers.Dense(3)),
    "contrastive": lambda: SupervisedContrastive(temperature=0.2),
    "cooler": lambda: SupervisedContrastive(temperature=0.1),
    "head": lambda: mtl.heads.ClassificationHead(3),
    "tree": lambda: mtl.Hierarchy.circular(8, 2),
    "other_tree": lambda: mtl.Hierarchy.circular(8, 4),
    "list": lambda: [keras.losses.MeanSquaredError(), {"a": keras.layers.ReLU()}],
    "function": lambda: keras.activations.relu,
    "other_function": lambda: keras.activations.gelu,
    "class": lambda: keras.layers.Dense,
    "part": lambda: Choice([SupervisedContrastive(temperature=0.2)]),
}
NONE_OF = {
    "lambda": lambda x: x,
    "object": object(),
    "partial": functools.partial(keras.activations.relu, max_value=1.0),
    "within_a_tuple": (1, object()),
}


class Unkept(keras.layers.Layer):
    """A layer whose arguments nobody can know."""

    def __init__(self, thing):
        super().__init__()
        self.thing = thing


@pytest.mark.parametrize("name", OBJECTS)
def test_two_of_the_same_have_the_same_text(name):
    first, second = OBJECTS[name](), OBJECTS[name]()
    assert text_of(first) == text_of(second) and same(first, second)
    assert has_stable_text(first)


def test_different_ones_have_different_texts():
    assert len({text_of(make()) for make in OBJECTS.values()}) == len(OBJECTS)


def test_a_layer_may_have_been_built():
    layer = keras.layers.Dense(3)
    layer.build((None, 2))
    assert same(layer, keras.layers.Dense(3))


def test_it_reads_like_a_call():
    assert text_of(SupervisedContrastive(temperature=0.2)).startswith("SupervisedContrastive(")
    assert "temperature=0.2" in text_of(SupervisedContrastive(temperature=0.2))
    assert "name='mine'" in text_of(keras.layers.Dense(3, name="mine"))


@pytest.mark.parametrize(
    "value",
    [None, True, 1, 1.0, "a", "<f at 0x12>", (16,), (1, [2.0, "b"]), {"a": (1,)}, (), []],
    ids=repr,
)
def test_plain_values_as_python_writes_them(value):
    assert text_of(value) == repr(value)


@pytest.mark.parametrize(
    "part", [Choice([1, "a"]), Float(0, 1), When("a", (1,), Fixed(2))], ids=repr
)
def test_parts_of_a_space_as_python_writes_them(part):
    assert text_of(part) == repr(part)


class TestRefused:
    @pytest.mark.parametrize("value", NONE_OF.values(), ids=NONE_OF)
    def test_what_cannot_be_told_apart_elsewhere(self, value):
        with pytest.raises(ValueError, match=r"same in every process.* Received: "):
            Choice([1, value])
        assert " at 0x" not in without_addresses(text_of(value))

    def test_layers_without_a_config(self):
        with pytest.raises(ValueError, match="objects with a get_config"):
            Choice([Unkept(object()), Unkept(object())])

    def test_equal_objects(self):
        with pytest.raises(ValueError, match="Expected different values"):
            Choice([keras.layers.Dense(3), keras.layers.Dense(3)])

    def test_what_is_fixed_may_be_anything(self):
        value = object()
        assert value in Fixed(value) and object() not in Fixed(value)


@pytest.mark.parametrize(
    ("name", "class_name", "expected"),
    [
        ("dense", "Dense", True),
        ("dense_12", "Dense", True),
        ("orientation_head_3", "OrientationHead", True),
        ("conv2d", "Conv2D", True),
        ("nan_head_1", "NaNHead", True),
        ("mine", "Dense", False),
        ("dense_a", "Dense", False),
        ("orientation", "OrientationHead", False),
    ],
)
def test_names_that_keras_counted(name, class_name, expected):
    assert is_counted_name(name, class_name) is expected


def test_keras_counts_so():
    for kind in (keras.layers.Conv2D, keras.layers.PReLU, mtl.heads.OrientationHead):
        if kind is keras.layers.Conv2D:
            layer = kind(1, 1)
        else:
            layer = kind() if kind is keras.layers.PReLU else kind(8)
        assert is_counted_name(layer.name, kind.__name__)
