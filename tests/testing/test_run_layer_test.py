"""The checks of layers: sound layers pass, and each check catches the fault that it is for."""

import re
import unittest

import keras
import numpy as np
import pytest
from keras import ops

from mtlkit.testing import LayerTestCase, input_gradients

BACKEND = keras.backend.backend()
X = np.random.default_rng(0).normal(size=(4, 6))
register = keras.saving.register_keras_serializable(package="tests")


def fails(message, cls, init_kwargs=None, inputs=X, check=None, **options):
    """Asserts that a check (all of them, if None) fails with that message."""
    case = LayerTestCase()
    call = case.run_layer_test if check is None else getattr(case, f"check_{check}")
    with pytest.raises(AssertionError, match=f"{cls.__name__} fails the check of {message}"):
        call(cls, init_kwargs or {}, inputs, **options)


# === Sound layers ===


@register
class Linear(keras.layers.Layer):
    """The sound layer that the faulty ones below derive from."""

    def __init__(self, units=3, **kwargs):
        super().__init__(**kwargs)
        self.units = units

    def build(self, input_shape):
        self.kernel = self.add_weight(
            name="kernel", shape=(input_shape[-1], self.units), initializer="glorot_uniform"
        )
        self.bias = self.add_weight(name="bias", shape=(self.units,), initializer="zeros")

    def call(self, inputs):
        return ops.matmul(inputs, self.kernel) + self.bias

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.units)

    def get_config(self):
        return {**super().get_config(), "units": self.units}


@register
class Nested(keras.layers.Layer):
    """Takes a dict, gives a dict; one sub-layer ends in float32, as the last one of a head."""

    def __init__(self, units, rate=0.5, **kwargs):
        super().__init__(**kwargs)
        self.units, self.rate = units, rate
        self.hidden = keras.layers.Dense(units, dtype=self.dtype_policy)
        self.dropout = keras.layers.Dropout(rate, dtype=self.dtype_policy)
        self.last = keras.layers.Dense(units, dtype="float32")

    def build(self, input_shape):
        self.hidden.build(input_shape["b"])
        self.last.build((None, self.units))

    def call(self, inputs, training=None):
        hidden = self.dropout(self.hidden(inputs["b"]), training=training)
        return {
            "hidden": (hidden, ops.cast(ops.stop_gradient(inputs["a"]), self.compute_dtype)),
            "last": self.last(hidden),
        }

    def get_config(self):
        return {**super().get_config(), "units": self.units, "rate": self.rate}


@register
class Wrapping(keras.layers.Layer):
    """A layer around a layer, optionally behind a stopped gradient."""

    def __init__(self, layer, stop=False, **kwargs):
        super().__init__(**kwargs)
        self.layer, self.stop = layer, stop

    def build(self, input_shape):
        if not self.layer.built:
            self.layer.build(input_shape)

    def call(self, inputs):
        return self.layer(ops.stop_gradient(inputs) if self.stop else inputs)

    def compute_output_spec(self, inputs):  # the inner layer has a policy of its own
        return self.layer.compute_output_spec(inputs)

    def get_config(self):
        layer = keras.saving.serialize_keras_object(self.layer)
        return {**super().get_config(), "layer": layer, "stop": self.stop}

    @classmethod
    def from_config(cls, config):
        layer = keras.saving.deserialize_keras_object(config.pop("layer"))
        return cls(layer, **config)


class TestSoundLayers(LayerTestCase):
    def test_plain(self):
        self.run_layer_test(Linear, {"units": 3}, np.ones((4, 8)), expected_output_shape=(4, 3))

    @pytest.mark.parametrize(
        ("cls", "init_kwargs"),
        [
            (keras.layers.Dense, {"units": 3, "activation": "relu"}),
            (keras.layers.BatchNormalization, {}),
            (keras.layers.Dropout, {"rate": 0.5}),
            (keras.layers.Flatten, {}),
        ],
    )
    def test_of_keras(self, cls, init_kwargs):
        self.run_layer_test(cls, init_kwargs, X)

    def test_nested_inputs_and_outputs(self):
        self.run_layer_test(
            Nested,
            {"units": 3},
            {"a": X, "b": X[:, :5]},
            expected_output_shape={"hidden": [(4, 3), (4, 6)], "last": (4, 3)},
            input_gradient={"a": "none", "b": "flows"},
        )

    def test_integers_and_lists(self):
        ids = np.array([[0, 1], [2, 1], [3, 3]])
        self.run_layer_test(keras.layers.Embedding, {"input_dim": 4, "output_dim": 2}, ids)
        self.run_layer_test(keras.layers.Concatenate, {}, [X, X[:, :1]])

    def test_gates_and_wrapped_layers(self):
        dense = keras.layers.Dense(2)
        dense.build((None, 7))  # another width: it must be copied, not shared
        self.run_layer_test(Wrapping, {"layer": dense, "stop": True}, X, input_gradient="none")
        self.run_layer_test(Wrapping, {"layer": dense}, X, input_gradient="unchecked")

    def test_no_gradient_at_all(self):
        self.run_layer_test(
            Stopped, {}, X, without_gradient=["kernel", "bias"], input_gradient="none"
        )

    def test_frozen(self):
        self.run_layer_test(Linear, {"trainable": False}, X)

    def test_one_sample(self):
        self.run_layer_test(Linear, {}, X[:1])

    def test_custom_objects(self):
        self.run_layer_test(Unregistered, {}, X, custom_objects={"Unregistered": Unregistered})


class TestUnittest(LayerTestCase, unittest.TestCase):
    def test_plain(self):
        self.run_layer_test(Linear, {"units": 3}, X)


def test_a_check_is_the_same_alone_and_after_others():
    seen = []

    class Case(LayerTestCase):
        seed = 3

    @register
    class Recording(Linear):
        def build(self, input_shape):
            super().build(input_shape)
            seen.append(np.asarray(self.kernel))

    Case().check_inference(Recording, {}, X)
    Case().check_inference(Recording, {}, X)
    np.testing.assert_array_equal(seen[0], seen[1])


def test_global_policy_is_restored():
    before = keras.config.dtype_policy()
    LayerTestCase().check_mixed_precision(Linear, {}, X)
    fails("its mixed precision", Wrong, {"fault": "half"}, check="mixed_precision")
    assert keras.config.dtype_policy() is before


def test_bad_arguments():
    case = LayerTestCase()
    with pytest.raises(ValueError, match=r"Expected input_gradient .*'flow'"):
        case.run_layer_test(Linear, {}, X, input_gradient="flow")
    with pytest.raises(ValueError, match="Expected input_gradient"):
        case.run_layer_test(Linear, {}, [X, X], input_gradient=["flows"])
    for inputs in ([X, X[:2]], np.ones(()), X[:0]):
        with pytest.raises(ValueError, match="Expected arrays with a common first axis"):
            case.run_layer_test(Linear, {}, inputs)


# === Configuration ===


class Unregistered(Linear):
    pass


@register
class LacksKey(Linear):
    def __init__(self, units=3, scale=1.0, **kwargs):
        super().__init__(units, **kwargs)
        self.scale = scale


@register
class NotJson(Linear):
    def get_config(self):
        return {**super().get_config(), "units": np.int64(self.units)}


@register
class Drifting(Linear):
    def __init__(self, units=3, **kwargs):
        super().__init__(units + 1, **kwargs)


@register
class ChangedByBuild(Linear):
    def build(self, input_shape):
        super().build(input_shape)
        self.units = [self.units]


@keras.saving.register_keras_serializable(package="tests", name="SameName")
class FirstOfTheName(Linear):
    pass


@keras.saving.register_keras_serializable(package="tests", name="SameName")
class SecondOfTheName(Linear):
    pass


def test_config():
    config = "its configuration"
    fails(rf"{config}: get_config\(\) lacks .*\['scale'\]", LacksKey)
    fails(rf"{config}: get_config\(\) is not JSON: .*int64", NotJson)
    fails(rf"{config}: from_config\(get_config\(\)\) gives .*'units': 5", Drifting)
    fails(f"{config}: building and calling the layer gives", ChangedByBuild)
    fails(f"{config}. It raised TypeError: Could not locate class 'Unregistered'", Unregistered)
    fails(f"{config}: serialization gives a .*SecondOfTheName", FirstOfTheName)


def test_config_includes_the_arguments_of_base_classes():
    @register
    class Derived(LacksKey):
        def __init__(self, other=1, **kwargs):
            super().__init__(**kwargs)
            self.other = other

    fails(r".*\['other', 'scale'\]", Derived, check="config")


def test_config_without_the_arguments_that_the_class_gives_to_its_base():
    class Sized(keras.layers.Layer):
        def __init__(self, size, **kwargs):
            super().__init__(**kwargs)
            self.size = size

        def call(self, inputs):
            return inputs * self.size

        def get_config(self):
            return super().get_config()  # not Keras's own, which notes arguments by itself

    @register
    class Doubled(Sized):
        def __init__(self, half=1, **kwargs):
            super().__init__(2 * half, **kwargs)
            self.half = half

        def get_config(self):
            return {**super().get_config(), "half": self.half}

    @register
    class Passed(Sized):
        pass

    LayerTestCase().check_config(Doubled, {"half": 2}, X)
    fails(r".*lacks the constructor's arguments \['size'\]", Passed, {"size": 2}, check="config")


# === Batch sizes ===


@register
class StaticBatch(Linear):
    def build(self, input_shape):
        super().build(input_shape)
        self.rows = input_shape[0]

    def call(self, inputs):
        return ops.reshape(super().call(inputs), (self.rows, self.units))


@register
class RowsDepend(Linear):
    def call(self, inputs):
        return super().call(inputs - ops.mean(inputs, axis=0))


@register
class CountsRowsInPython(Linear):
    def call(self, inputs):
        rows = inputs.shape[0]
        return super().call(ops.reshape(inputs, (rows, inputs.shape[1])) + sum(range(rows)) * 0)


def test_batch_sizes():
    fails("its batch sizes: built with a batch of 4 and called with one of 5, it r", StaticBatch)
    fails("its batch sizes: .* one of 5, the first rows are not those of a batch", RowsDepend)
    if BACKEND == "tensorflow":  # the other backends know the size when they trace
        fails("its batch sizes. It raised ", CountsRowsInPython)


# === Weights ===


@register
class BuiltByCall(keras.layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.dense = keras.layers.Dense(3, dtype=self.dtype_policy)

    def call(self, inputs):
        return self.dense(inputs)


@register
class BuiltTwice(Linear):
    def build(self, input_shape):
        self._tracker.unlock()
        super().build(input_shape)


@register
class BuildFailsOnce(Linear):
    def build(self, input_shape):
        if self.built:
            raise ValueError("Once was enough")
        super().build(input_shape)


@pytest.mark.filterwarnings("ignore:`build.*` was called on layer")  # Keras says it, too
def test_weights():
    fails(r"its weights: it has the weights \[\] after build\(\), and \['built_by", BuiltByCall)
    fails("its weights: .*and .* after a second build", BuiltTwice)
    fails("its weights. It raised ValueError: Once was enough", BuildFailsOnce)


# === Symbolic calls ===


@register
class WrongShape(Linear):
    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.units + 1)


@register
class FixedBatch(Linear):
    def compute_output_shape(self, input_shape):
        return (4, self.units)


@register
class ShapesDisagree(WrongShape):
    def compute_output_spec(self, inputs):
        return keras.KerasTensor((*inputs.shape[:-1], self.units), self.compute_dtype)


@register
class WrongType(Linear):
    def call(self, inputs):
        return ops.cast(super().call(inputs), "int32")


@register
class OtherWeights(Linear):
    def build(self, input_shape):
        super().build(input_shape)
        if input_shape[0] is None:
            self.extra = self.add_weight(name="extra", shape=())


def test_symbolic_call():
    symbolic = "its symbolic call: "
    fails(rf"{symbolic}for a batch size of 4 the symbolic .*\(4, 4\), the real one", WrongShape)
    fails(rf"{symbolic}for a batch size of None .* \(4, 3\), .* \(None, 3\)", FixedBatch)
    fails(rf"{symbolic}.* compute_output_shape\(\) gives \(4, 4\)", ShapesDisagree)
    fails(f"{symbolic}the symbolic output is float32, the real one int32", WrongType)
    fails(f"{symbolic}a symbolic call makes 3 weights", OtherWeights, check="symbolic_call")
    fails(
        rf"{symbolic}the output has the shape \(4, 3\), expected \(4, 2\)",
        Linear,
        expected_output_shape=(4, 2),
    )


def test_sizes_that_follow_the_batch():
    @register
    class Similarity(keras.layers.Layer):
        def call(self, inputs):
            return ops.matmul(inputs, ops.transpose(inputs))

        def compute_output_shape(self, input_shape):
            return (input_shape[0], input_shape[0])

    LayerTestCase().run_layer_test(Similarity, {}, X)


# === Inference ===


@register
class AlwaysNoisy(Linear):
    def __init__(self, units=3, **kwargs):
        super().__init__(units, **kwargs)
        self.seeds = keras.random.SeedGenerator(0)

    def call(self, inputs):
        noise = keras.random.normal((self.units,), seed=self.seeds)
        return super().call(inputs) + 1e-3 * ops.cast(noise, inputs.dtype)


def test_inference():
    fails("its inference: two calls with training=False differ", AlwaysNoisy, check="inference")


# === Saving ===


@register
class ForgetsState(Linear):
    def build(self, input_shape):
        super().build(input_shape)
        self.offset = float(np.random.default_rng().normal())

    def call(self, inputs):
        return super().call(inputs) + self.offset


@register
class ForgetsWeights(Linear):
    def save_own_variables(self, store):
        pass

    def load_own_variables(self, store):
        pass


@register
class GrowsWhenLoaded(Linear):
    restored = False

    def build(self, input_shape):
        super().build(input_shape)
        if self.restored:
            self.extra = self.add_weight(name="extra", shape=())

    def load_own_variables(self, store):
        for index, weight in enumerate(self.weights[:2]):
            weight.assign(store[str(index)])

    @classmethod
    def from_config(cls, config):
        layer = cls(**config)
        layer.restored = True
        return layer


@register
class BuildsTwiceWhenLoaded(Wrapping):
    def build(self, input_shape):
        self.layer.build(input_shape)


@register
class UnbuildableModel(keras.Model):
    def __init__(self, layer=None, **kwargs):
        super().__init__(**kwargs)
        self.layer = layer or keras.layers.Dense(3, dtype=self.dtype_policy)

    def build(self, input_shape):
        self.layer.build(input_shape)

    def call(self, inputs):
        return self.layer(inputs)

    def get_config(self):
        layer = keras.saving.serialize_keras_object(self.layer)
        return {**super().get_config(), "layer": layer}

    @classmethod
    def from_config(cls, config):
        return cls(keras.saving.deserialize_keras_object(config.pop("layer")), **config)


def test_saving():
    saving = "its saving"
    fails(f"{saving}: the outputs differ after loading, so some state is not saved", ForgetsState)
    fails(f"{saving}: the weight .*kernel differs after loading", ForgetsWeights)
    fails(f"{saving}: the loaded weights are .*extra", GrowsWhenLoaded, check="saving")
    dense = {"layer": keras.layers.Dense(3)}
    fails(f"{saving}. It raised ValueError", BuildsTwiceWhenLoaded, dense, check="saving")
    fails(f"{saving}: it cannot be built when it is loaded", UnbuildableModel, check="saving")


# === Gradients ===


@register
class Stopped(Linear):
    def call(self, inputs):
        return ops.stop_gradient(super().call(inputs))


@register
class Unused(Linear):
    def build(self, input_shape):
        super().build(input_shape)
        self.unused = self.add_weight(name="unused", shape=(2,))


@register
class Endless(Linear):
    def call(self, inputs):
        return super().call(inputs) + ops.sqrt(self.bias - self.bias)


@register
class EndlessInput(Linear):
    def call(self, inputs):
        return super().call(inputs) + ops.sqrt(ops.sum(inputs - inputs))


@register
class ZeroGate(Linear):
    """At its initial values no gradient reaches the kernel, which is no fault."""

    def call(self, inputs):
        return self.bias * ops.matmul(inputs, self.kernel) + self.bias


def test_gradients():
    none, options = "its gradients: none reaches", {"check": "gradients"}
    fails(rf"{none} the trainable weights \['unused[_\d]*/unused'\]", Unused)
    fails(f"{none} the trainable weights .*kernel.*bias", Stopped, **options)
    fails(f"{none} the input, expected input_gradient='flows'", Wrapping, DENSE_STOP, **options)
    fails(
        "its gradients: one reaches .*bias.*, named in without_gradient",
        Linear,
        without_gradient=["bias"],
    )
    fails("its gradients: one reaches the input", Linear, input_gradient="none")
    fails(
        r"its gradients: one reaches leaf 1 of the inputs",
        keras.layers.Concatenate,
        inputs=[X, X],
        input_gradient=["flows", "none"],
        **options,
    )
    fails("its gradients: the gradient of .*bias is not finite", Endless, **options)
    fails("its gradients: that of the input is not finite", EndlessInput, **options)
    fails(
        "its gradients: no trainable weight is named 'biases'",
        Linear,
        without_gradient=["biases"],
        **options,
    )


DENSE_STOP = {"layer": keras.layers.Dense(3), "stop": True}


def test_gradients_find_what_they_should():
    case = LayerTestCase()
    case.check_gradients(Unused, {}, X, without_gradient=["unused"])
    case.check_gradients(Unused, {"name": "layer"}, X, without_gradient=["layer/unused"])
    case.check_gradients(ZeroGate, {}, np.ones((4, 6)))


# === Mixed precision ===


@register
class OwnPolicy(keras.layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.dense = keras.layers.Dense(3)

    def build(self, input_shape):
        self.dense.build(input_shape)

    def call(self, inputs):
        return self.dense(inputs)


@register
class Wrong(Linear):
    """Is wrong in a way that shows in half precision only."""

    def __init__(self, units=3, fault="", **kwargs):
        super().__init__(units, **kwargs)
        self.fault = fault

    def build(self, input_shape):
        super().build(input_shape)
        if self.fault == "half":
            self.half = self.add_weight(name="half", shape=(), dtype=self.compute_dtype)

    def call(self, inputs):
        x = super().call(inputs)
        if self.fault == "digits":
            x = (x + 1e3) - 1e3
        elif self.fault == "infinite":
            x = x + 1 / ((ops.ones_like(x) + 1e3) - 1e3)
        elif self.fault == "type":
            x = ops.cast(x, "float32")
        return x

    def get_config(self):
        return {**super().get_config(), "fault": self.fault}


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("half", r"the weights .*/half'\] are not float32"),
        ("digits", "an output is far from its float32 value: the largest difference"),
        ("infinite", "an output is not finite"),
        ("type", "the symbolic output is bfloat16, the real one float32"),
    ],
)
def test_mixed_precision(fault, message):
    fails(f"its mixed precision: {message}", Wrong, {"fault": fault}, check="mixed_precision")


def test_mixed_precision_of_sub_layers():
    fails("its mixed precision: .* its sub-layer dense.* has the policy 'float32'", OwnPolicy)
    LayerTestCase().check_mixed_precision(Nested, {"units": 3}, {"a": X, "b": X})


def test_mixed_precision_tolerance():
    options = {"inputs": X, "check": "mixed_precision"}
    fails(".* far from its float32 value", Linear, tolerance=1e-7, **options)


# === Training ===


@register
class NoGraph(Linear):
    def call(self, inputs):
        if float(ops.sum(inputs)) > 0:
            inputs = inputs + 1
        return super().call(inputs)


@register
class FailsInTraining(Linear):
    def call(self, inputs, training=False):
        x = super().call(inputs)
        return x * np.nan if training else x


@register
class Breaks(Endless):
    """Trains with a finite loss on a gradient that is none."""


def test_training_step():
    step, options = "its training step", {"check": "training_step"}
    fails(f"{step}: the loss is nan", FailsInTraining, **options)
    fails(rf"{step}: after it, the weights \[.*bias'\] are not finite", Breaks, **options)
    if BACKEND != "torch":  # which runs Python as it is
        fails(f"{step}. It raised ", NoGraph, **options)


def test_training_step_without_floating_outputs():
    @register
    class Rounded(keras.layers.Layer):
        def call(self, inputs):
            return ops.argmax(inputs, axis=-1)

        def compute_output_spec(self, inputs):
            return keras.KerasTensor(inputs.shape[:-1], ops.argmax(inputs, axis=-1).dtype)

    assert not input_gradients(lambda x: ops.sum(ops.one_hot(ops.argmax(x), 3)), X[0]).any()
    LayerTestCase().run_layer_test(Rounded, {}, X, input_gradient="none")


# === Errors ===


def test_failures_name_what_was_raised():
    @register
    class Raises(Linear):
        def call(self, inputs):
            raise RuntimeError("out of tea")

    with pytest.raises(AssertionError, match=re.escape("out of tea")) as caught:
        LayerTestCase().run_layer_test(Raises, {}, X)
    assert isinstance(caught.value.__cause__, RuntimeError)
