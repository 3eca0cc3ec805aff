"""Gradient gates: the identity forward, bit for bit, and a scaled gradient backward."""

import keras
import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras import ops

from mtlkit.layers import GradientReversal, GradientScale, GradientStop
from mtlkit.testing import LayerTestCase, input_gradients

# Gates, and what they multiply the gradient by.
GATES = [
    pytest.param(GradientStop, {}, 0.0, id="stop"),
    pytest.param(GradientScale, {"scale": 0.5}, 0.5, id="scale"),
    pytest.param(GradientReversal, {"scale": 0.25}, -0.25, id="reversal"),
]
DTYPES = ["float16", "bfloat16", "float32"]

# Products of subnormal numbers are flushed to zero by some backends.
numbers = st.floats(-1000, 1000, width=32, allow_subnormal=False)
TINY = 1e-37


def numpy_dtype(dtype):
    return ml_dtypes.bfloat16 if dtype == "bfloat16" else np.dtype(dtype)


def awkward_values(dtype):
    """Values that sums and products of floating-point numbers change, without NaN."""
    info = ml_dtypes.finfo(numpy_dtype(dtype))
    rng = np.random.default_rng(0)
    special = [0.0, -0.0, np.inf, -np.inf, info.max, info.min, info.tiny, -info.tiny, 1 / 3]
    if dtype != "bfloat16":  # these are subnormal as float32, too, and casts may flush them
        special += [info.smallest_subnormal, -info.smallest_subnormal]
    ordinary = rng.normal(size=200) * 10.0 ** rng.uniform(-4, 4, size=200)
    return np.concatenate([special, ordinary]).astype(numpy_dtype(dtype))[:, None]


def bits(array):
    """The bytes of an array or tensor; of half precision, those of its exact float32 value."""
    tensor = ops.convert_to_tensor(array)
    if keras.backend.standardize_dtype(tensor.dtype) == "bfloat16":
        tensor = ops.cast(tensor, "float32")
    return ops.convert_to_numpy(tensor).tobytes()


def chain(*layers, width=3, dtype=None):
    """A model of the layers one after the other."""
    inputs = keras.Input((width,), dtype=dtype)
    x = inputs
    for layer in layers:
        x = layer(x)
    return keras.Model(inputs, x)


def linear(units, name=None):
    return keras.layers.Dense(units, use_bias=False, name=name)


RATE = 0.1


class LinearPair:
    """A linear network with a gate in its middle, `(x A) B`, and its step of SGD in NumPy."""

    def __init__(self, gate, rate=RATE):
        self.gate = gate
        self.model = chain(linear(4, "feeder"), gate, linear(2, "reader"))
        self.model.compile(keras.optimizers.SGD(rate), loss="mean_squared_error")
        rng = np.random.default_rng(0)
        self.x = rng.normal(size=(5, 3)).astype("float32")
        self.y = rng.normal(size=(5, 2)).astype("float32")

    def kernels(self):
        return [
            ops.convert_to_numpy(self.model.get_layer(name).kernel).astype("float64")
            for name in ("feeder", "reader")
        ]

    def expected(self, factor):
        a, b = self.kernels()
        residual = 2 * (self.x @ a @ b - self.y) / self.y.size
        return [
            a - RATE * factor * self.x.T @ residual @ b.T,
            b - RATE * (self.x @ a).T @ residual,
        ]

    def check_step(self, factor):
        expected = self.expected(factor)
        self.model.train_on_batch(self.x, self.y)
        for found, wanted in zip(self.kernels(), expected, strict=True):
            np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)


class TestContract(LayerTestCase):
    x = np.random.default_rng(0).normal(size=(3, 4)).astype("float32")

    @pytest.mark.parametrize(("cls", "kwargs", "factor"), GATES)
    def test_alone(self, cls, kwargs, factor):
        self.run_layer_test(
            cls,
            kwargs,
            self.x,
            expected_output_shape=(3, 4),
            input_gradient="flows" if factor else "none",
        )

    @pytest.mark.parametrize(("cls", "kwargs", "factor"), GATES)
    def test_around_a_layer(self, cls, kwargs, factor):
        self.run_layer_test(
            cls,
            {"layer": keras.layers.Dense(2), **kwargs},
            self.x,
            expected_output_shape=(3, 2),
            input_gradient="flows" if factor else "none",
        )

    def test_on_a_structure(self):
        self.run_layer_test(
            GradientScale,
            {"scale": 0.5},
            {"a": self.x, "b": self.x[:, :1]},
            expected_output_shape={"a": (3, 4), "b": (3, 1)},
        )


class TestForward:
    @pytest.mark.parametrize("dtype", DTYPES)
    @pytest.mark.parametrize(("cls", "kwargs", "factor"), GATES)
    def test_eager_identity_bit_for_bit(self, cls, kwargs, factor, dtype):
        values = awkward_values(dtype)
        tensor = ops.convert_to_tensor(values)
        assert keras.backend.standardize_dtype(tensor.dtype) == dtype
        output = cls(**kwargs, dtype=dtype)(tensor)
        assert keras.backend.standardize_dtype(output.dtype) == dtype
        assert bits(output) == bits(values)

    @pytest.mark.parametrize("dtype", DTYPES)
    @pytest.mark.parametrize(("cls", "kwargs", "factor"), GATES)
    def test_identity_in_a_model_bit_for_bit(self, cls, kwargs, factor, dtype):
        values = awkward_values(dtype)
        model = chain(cls(**kwargs, dtype=dtype), width=1, dtype=dtype)
        assert bits(model.predict(values, verbose=0)) == bits(values)

    @pytest.mark.skipif(keras.backend.backend() == "torch", reason="torch.compile: minutes")
    @pytest.mark.parametrize(("cls", "kwargs", "factor"), GATES)
    def test_identity_under_jit_compile(self, cls, kwargs, factor):
        values = awkward_values("float32")
        model = chain(cls(**kwargs), width=1)
        model.compile("sgd", "mse", jit_compile=True)
        assert bits(model.predict(values, verbose=0)) == bits(values)

    @pytest.mark.parametrize(("cls", "kwargs", "factor"), GATES)
    def test_nan_passes(self, cls, kwargs, factor):
        output = ops.convert_to_numpy(cls(**kwargs)(np.array([1.0, np.nan, np.inf], "float32")))
        np.testing.assert_array_equal(output, [1.0, np.nan, np.inf])

    def test_extreme_scales_do_not_touch_values(self):
        values = awkward_values("float32")
        for scale in (0.0, 1e-30, 0.1, 1e30, -1000.0):
            assert bits(GradientScale(scale=scale)(values)) == bits(values)

    def test_integers_pass_the_stop(self):
        output = GradientStop()(np.array([[2**24 + 1]], "int32"))
        assert int(output[0, 0]) == 2**24 + 1


class TestGradient:
    x = np.array([[0.5, -2.0, 3.0]], "float32")

    def gradient(self, gates, cotangent):
        """The gradient at the input of gates in a row, for this one at their output."""

        def value(x):
            for gate in gates:
                x = gate(x)
            return ops.sum(ops.multiply(x, cotangent))

        return input_gradients(value, self.x)

    @given(scale=numbers, cotangent=st.lists(numbers, min_size=3, max_size=3))
    def test_scale_multiplies(self, scale, cotangent):
        cotangent = np.array([cotangent], "float32")
        expected = scale * cotangent.astype("float64")
        found = self.gradient([GradientScale(scale=scale)], cotangent)
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=TINY)
        found = self.gradient([GradientReversal(scale=scale)], cotangent)
        np.testing.assert_allclose(found, -expected, rtol=1e-6, atol=TINY)

    @given(scales=st.lists(st.floats(-10, 10, width=32), min_size=2, max_size=4))
    def test_gates_in_a_row_multiply(self, scales):
        gates = [GradientScale(scale=scale) for scale in scales]
        found = self.gradient(gates, np.ones((1, 3), "float32"))
        np.testing.assert_allclose(found, np.full((1, 3), np.prod(scales)), rtol=1e-6, atol=TINY)

    def test_two_reversals_are_the_identity(self):
        cotangent = np.array([[1 / 3, -7.0, 1e-20]], "float32")
        found = self.gradient([GradientReversal(), GradientReversal()], cotangent)
        assert found.tobytes() == cotangent.tobytes()

    @pytest.mark.parametrize("gate", [GradientStop(), GradientScale(scale=0)], ids=["stop", "0"])
    def test_zero(self, gate):
        found = self.gradient([gate], np.array([[1e30, -1.0, 1e-30]], "float32"))
        np.testing.assert_array_equal(found, np.zeros((1, 3)))

    def test_other_paths_keep_their_gradient(self):
        """`x * gate(x)` at scale s has the gradient `gate(x) + s x`."""
        gate = GradientScale(scale=0.25)
        found = input_gradients(lambda x: ops.sum(x * gate(x)), self.x)
        np.testing.assert_allclose(found, 1.25 * self.x, rtol=1e-6)

    def test_structures(self):
        gate = GradientReversal(scale=2.0)
        x = {"a": self.x, "b": [2 * self.x, 3 * self.x]}

        def value(x):
            y = gate(x)
            return ops.sum(y["a"] ** 2) + ops.sum(y["b"][0] ** 3) + ops.sum(y["b"][1])

        found = input_gradients(value, x)
        np.testing.assert_allclose(found["a"], -2 * 2 * self.x, rtol=1e-6)
        np.testing.assert_allclose(found["b"][0], -2 * 3 * (2 * self.x) ** 2, rtol=1e-6)
        np.testing.assert_allclose(found["b"][1], np.full_like(self.x, -2.0), rtol=1e-6)

    @pytest.mark.parametrize("dtype", ["mixed_bfloat16", "mixed_float16"])
    def test_mixed_precision(self, dtype):
        gate = GradientScale(scale=0.3, dtype=dtype)
        cotangent = np.array([[0.1, -20.0, 3.0]], "float32")
        half = dtype.removeprefix("mixed_")

        def value(x):
            return ops.sum(ops.multiply(ops.cast(gate(ops.cast(x, half)), "float32"), cotangent))

        found = input_gradients(value, self.x)
        assert keras.backend.standardize_dtype(gate(ops.cast(self.x, half)).dtype) == half
        assert gate.scale.dtype == "float32"
        np.testing.assert_allclose(found, 0.3 * cotangent, rtol=1e-2)

    @pytest.mark.skipif(keras.backend.backend() == "jax", reason="JAX computes in float32")
    @pytest.mark.parametrize(("cls", "kwargs", "factor"), GATES)
    def test_finite_differences(self, cls, kwargs, factor):

        def value(x):  # of arrays and tensors
            return x[0, 0] * x[0, 1] * x[1, 0] - x[0, 1] ** 3 / (2 + x[1, 1] ** 2)

        x = np.random.default_rng(0).normal(size=(2, 2))
        step = 1e-6
        differences = np.zeros_like(x)
        for index in np.ndindex(x.shape):
            above, below = x.copy(), x.copy()
            above[index] += step
            below[index] -= step
            differences[index] = (value(above) - value(below)) / (2 * step)
        keras.config.set_floatx("float64")
        try:
            gate = cls(**kwargs, dtype="float64")
            found = input_gradients(lambda x: value(gate(x)), x)
        finally:
            keras.config.set_floatx("float32")
        assert found.dtype == "float64"
        np.testing.assert_allclose(found, factor * differences, rtol=1e-7, atol=1e-8)


@pytest.mark.filterwarnings("ignore:Gradients do not exist")  # behind a GradientStop
class TestTraining:
    @pytest.mark.parametrize(("cls", "kwargs", "factor"), GATES)
    def test_step_is_that_of_the_formula(self, cls, kwargs, factor):
        LinearPair(cls(**kwargs)).check_step(factor)

    @pytest.mark.parametrize(("cls", "sign"), [(GradientScale, 1), (GradientReversal, -1)])
    def test_assigned_scale_acts_at_once(self, cls, sign):
        pair = LinearPair(cls(scale=1.0))
        for scale in (1.0, 0.25, 0.0, -2.0, 1.0):
            pair.gate.scale.assign(scale)
            pair.check_step(sign * scale)

    def test_callback_assigns_the_scale_within_fit(self):
        class Ramp(keras.callbacks.Callback):
            def on_epoch_begin(self, epoch, logs=None):
                self.model.get_layer("gate").scale.assign(scales[epoch])

        scales = [1.0, 0.0, -3.0]
        pair, steps = (LinearPair(GradientScale(scale=7.0, name="gate")) for _ in range(2))
        steps.model.set_weights(pair.model.get_weights())
        pair.model.fit(pair.x, pair.y, epochs=3, verbose=0, callbacks=[Ramp()])
        for scale in scales:
            steps.gate.scale.assign(scale)
            steps.check_step(scale)
        for found, wanted in zip(pair.kernels(), steps.kernels(), strict=True):
            np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)

    @pytest.mark.parametrize("cls", [GradientScale, GradientReversal])
    def test_current_scale_is_saved(self, cls, tmp_path):
        pair = LinearPair(cls(scale=1.0, name="gate"))
        pair.gate.scale.assign(0.125)
        pair.model.save(tmp_path / "model.keras")
        pair.model = keras.saving.load_model(tmp_path / "model.keras")
        loaded = pair.model.get_layer("gate")
        assert float(ops.convert_to_numpy(loaded.scale)) == 0.125
        assert loaded.get_config()["scale"] == 1.0
        pair.check_step(0.125 if cls is GradientScale else -0.125)

    def test_scale_is_never_trained(self):
        gate = GradientScale(keras.layers.Dense(1), scale=0.5)
        gate.build((None, 3))
        assert [w.name for w in gate.trainable_weights] == ["kernel", "bias"]
        assert gate.scale in gate.non_trainable_weights

    @pytest.mark.skipif(keras.backend.backend() == "torch", reason="torch.compile: minutes")
    def test_step_under_jit_compile(self):
        pair = LinearPair(GradientScale(scale=0.5))
        pair.model.compile(keras.optimizers.SGD(RATE), "mean_squared_error", jit_compile=True)
        pair.check_step(0.5)
        pair.gate.scale.assign(-1.5)
        pair.check_step(-1.5)


@pytest.mark.filterwarnings("ignore:Gradients do not exist")  # behind a GradientStop
class TestAroundALayer:
    @pytest.mark.parametrize(("cls", "kwargs", "factor"), GATES)
    def test_trains_the_layer_but_scales_what_feeds_it(self, cls, kwargs, factor):
        pair = LinearPair(cls(**kwargs))  # only for its data and formula
        feeder, reader = linear(4, "feeder"), linear(2, "reader")
        model = chain(feeder, cls(layer=reader, **kwargs))
        feeder.set_weights(pair.model.get_layer("feeder").get_weights())
        reader.set_weights(pair.model.get_layer("reader").get_weights())
        expected = pair.expected(factor)
        model.compile(keras.optimizers.SGD(RATE), "mean_squared_error")
        model.train_on_batch(pair.x, pair.y)
        for layer, wanted in zip((feeder, reader), expected, strict=True):
            np.testing.assert_allclose(
                ops.convert_to_numpy(layer.kernel), wanted, rtol=1e-5, atol=1e-6
            )

    def test_training_reaches_the_layer(self):
        gate = GradientStop(keras.layers.Dropout(0.5, seed=0))
        x = np.ones((1, 1000), "float32")
        assert 300 < int(ops.sum(ops.cast(gate(x, training=True) == 0, "int32"))) < 700
        assert bits(gate(x, training=False)) == bits(x)

    def test_model_inside(self, tmp_path):
        inner = chain(keras.layers.Dense(4, "relu"), keras.layers.Dense(2))
        model = chain(GradientScale(inner, scale=0.5))
        x = np.random.default_rng(0).normal(size=(3, 3)).astype("float32")
        expected = inner.predict(x, verbose=0)
        np.testing.assert_array_equal(model.predict(x, verbose=0), expected)
        model.save(tmp_path / "model.keras")
        loaded = keras.saving.load_model(tmp_path / "model.keras")
        np.testing.assert_array_equal(loaded.predict(x, verbose=0), expected)

    def test_not_a_layer(self):
        with pytest.raises(ValueError, match=r"Expected layer to be .*Received: layer='dense'"):
            GradientStop("dense")


class TestMasks:
    """Steps after the gate that heed masks give what they give without the gate."""

    tokens = np.array([[1, 2, 0, 0], [3, 0, 0, 0], [1, 2, 3, 1]])

    def outputs(self, *layers):
        x = keras.layers.Embedding(4, 3, mask_zero=True)
        x.build()
        x.embeddings.assign(np.arange(12.0).reshape(4, 3))
        inputs = keras.Input((4,), dtype="int32")
        y = x(inputs)
        for layer in layers:
            y = layer(y)
        return keras.Model(inputs, y).predict(self.tokens, verbose=0)

    # The means over tokens that are not zero, of the embedding's rows.
    means = np.array([[4.5, 5.5, 6.5], [9.0, 10.0, 11.0], [5.25, 6.25, 7.25]])

    @pytest.mark.parametrize("cls", [GradientStop, GradientScale, GradientReversal])
    def test_mask_passes_the_gate(self, cls):
        pool = keras.layers.GlobalAveragePooling1D()
        np.testing.assert_allclose(self.outputs(cls(), pool), self.means, rtol=1e-6)

    @pytest.mark.parametrize("cls", [GradientStop, GradientScale, GradientReversal])
    def test_mask_reaches_the_layer(self, cls):
        pool = keras.layers.GlobalAveragePooling1D()
        np.testing.assert_allclose(self.outputs(cls(pool)), self.means, rtol=1e-6)

    def test_mask_passes_the_layer(self):
        dense = keras.layers.Dense(3, kernel_initializer="identity")
        pool = keras.layers.GlobalAveragePooling1D()
        np.testing.assert_allclose(self.outputs(GradientStop(dense), pool), self.means, rtol=1e-6)


@pytest.mark.parametrize("gate", [GradientStop, GradientScale, GradientReversal])
def test_a_gate_does_not_cast(gate):
    """Also in mixed precision, what passes keeps its dtype and its digits."""
    x = np.random.default_rng(0).normal(size=(3, 4)).astype("float32")
    received = ops.convert_to_numpy(gate(dtype="mixed_bfloat16")(ops.convert_to_tensor(x)))
    assert received.dtype == np.float32 and received.tobytes() == x.tobytes()


@pytest.mark.parametrize("gate", [GradientScale, GradientReversal])
@pytest.mark.parametrize("scale", [np.nan, np.inf])
def test_scale_that_is_not_finite(gate, scale):
    with pytest.raises(ValueError, match=f"finite scale. Received: scale={scale}"):
        gate(scale=scale)
