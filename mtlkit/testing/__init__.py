"""A test kit for layers and heads: the library's own tests use it, and so can yours."""

from mtlkit._gradients import gradients, input_gradients
from mtlkit.testing.layer_test_case import LayerTestCase

__all__ = ["LayerTestCase", "gradients", "input_gradients"]
