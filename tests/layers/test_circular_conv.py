"""Circular convolution, against its sum in NumPy and its symmetry."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtlkit.layers import CircularConv2D
from mtlkit.testing import LayerTestCase

# Each shape is compiled anew by JAX.
EXAMPLES = 6 if keras.backend.backend() == "jax" else 25


def maps(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def convolve(layer, x):
    return keras.ops.convert_to_numpy(layer(x))


def built(x, *args, seed=1, **kwargs):
    """A layer with random weights (the bias, too)."""
    layer = CircularConv2D(*args, **kwargs)
    layer.build(x.shape)
    layer.set_weights([maps(*weight.shape, seed=seed) for weight in layer.weights])
    return layer


def reference(x, kernel, bias, strides, radial_padding):
    """The definition, term by term: angles modulo their number, radii outside are zero."""
    batch, radii, angles, _ = x.shape
    (rows, columns), (step, turn) = kernel.shape[:2], strides
    inner, before = ((rows - 1) // 2 if radial_padding == "same" else 0), (columns - 1) // 2
    count = radii if radial_padding == "same" else radii - rows + 1
    out = np.tile(bias.astype("float64"), (batch, len(range(0, count, step)), angles // turn, 1))
    for i in range(out.shape[1]):
        for j in range(out.shape[2]):
            for row in range(rows):
                for column in range(columns):
                    radius = i * step + row - inner
                    if 0 <= radius < radii:
                        angle = (j * turn + column - before) % angles
                        out[:, i, j] += x[:, radius, angle] @ kernel[row, column]
    return out


class TestCircularConv2D(LayerTestCase):
    @pytest.mark.parametrize(
        ("init_kwargs", "expected"),
        [
            ({"filters": 3, "kernel_size": (3, 5)}, (2, 4, 8, 3)),
            (
                {
                    "filters": 2,
                    "kernel_size": (2, 8),
                    "strides": (1, 2),
                    "radial_padding": "valid",
                    "activation": "gelu",
                    "use_bias": False,
                },
                (2, 3, 4, 2),
            ),
        ],
    )
    def test_layer(self, init_kwargs, expected):
        self.run_layer_test(
            CircularConv2D, init_kwargs, maps(2, 4, 8, 3), expected_output_shape=expected
        )


@st.composite
def cases(draw):
    """Kernels from one angle to the full circle, even and odd, and strides that fit."""
    turn = draw(st.integers(1, 3))
    angles = turn * draw(st.integers(1, 5))
    kernel = (draw(st.integers(1, 4)), draw(st.integers(1, angles)))
    x = maps(2, draw(st.integers(kernel[0], 6)), angles, 2, seed=draw(st.integers(0, 99)))
    strides = (draw(st.integers(1, 2)), turn)
    return x, kernel, strides, draw(st.sampled_from(["same", "valid"]))


@settings(max_examples=EXAMPLES)
@given(cases())
def test_agrees_with_the_definition(case):
    x, kernel_size, strides, padding = case
    layer = built(x, 3, kernel_size, strides, padding)
    expected = reference(x, *map(np.asarray, layer.get_weights()), strides, padding)
    np.testing.assert_allclose(convolve(layer, x), expected, rtol=1e-4, atol=1e-4)
    assert layer.compute_output_shape((None, *x.shape[1:])) == (None, *expected.shape[1:])


@settings(max_examples=EXAMPLES)
@given(cases(), st.integers(-20, 20))
def test_rolled_maps_give_rolled_maps(case, steps):
    x, kernel_size, strides, padding = case
    layer = built(x, 2, kernel_size, strides, padding)
    rolled = np.roll(x, steps * strides[1], axis=2)
    np.testing.assert_allclose(
        convolve(layer, rolled), np.roll(convolve(layer, x), steps, axis=2), rtol=1e-4, atol=1e-4
    )


def test_activation_comes_last():
    x = maps(2, 3, 6, 2)
    plain, activated = built(x, 4, (3, 3)), built(x, 4, (3, 3), activation="relu")
    found = convolve(activated, x)
    np.testing.assert_allclose(found, np.maximum(convolve(plain, x), 0), atol=1e-5)
    assert (found == 0).any() and (found > 0).any()


def test_without_bias():
    layer = built(maps(1, 3, 6, 2), 4, (3, 3), use_bias=False)
    assert [tuple(weight.shape) for weight in layer.weights] == [(3, 3, 2, 4)]


def test_is_no_image_whatever_the_data_format():
    before = keras.config.image_data_format()
    x = maps(2, 3, 6, 2)
    expected = convolve(built(x, 4, (3, 3)), x)
    try:
        keras.config.set_image_data_format("channels_first")
        np.testing.assert_allclose(convolve(built(x, 4, (3, 3)), x), expected, atol=1e-6)
    finally:
        keras.config.set_image_data_format(before)


@pytest.mark.parametrize(
    ("init_kwargs", "message"),
    [
        ({"radial_padding": "circular"}, "Expected radial_padding .*='circular'"),
        ({"filters": 0}, "filters"),
        ({"kernel_size": (3, 0)}, "kernel_size"),
        ({"kernel_size": (3, 3, 3)}, "kernel_size"),
        ({"strides": (0, 1)}, "strides"),
    ],
)
def test_bad_arguments(init_kwargs, message):
    with pytest.raises(ValueError, match=message):
        CircularConv2D(**({"filters": 2, "kernel_size": (3, 3)} | init_kwargs))


@pytest.mark.parametrize(
    ("shape", "strides"),
    [((None, 4, None, 1), (1, 1)), ((None, 4, 9, 1), (1, 2)), ((None, 4, 4, 1), (1, 1))],
)
def test_bad_angles(shape, strides):
    layer = CircularConv2D(2, (3, 5), strides)
    with pytest.raises(ValueError, match=r"Expected a map whose angles.*Received: input_shape="):
        layer(keras.Input(shape[1:]))


def test_input_must_be_a_map():
    with pytest.raises(ValueError, match="expected ndim=4, found ndim=3"):
        CircularConv2D(2, (3, 5))(maps(4, 8, 1))
