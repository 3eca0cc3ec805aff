"""A test case for layers and heads, to be mixed into pytest or unittest classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from mtlkit.testing import _support as support
from mtlkit.testing._head_checks import HeadChecks
from mtlkit.testing._layer_checks import LayerChecks, expected_flows


class LayerTestCase(LayerChecks, HeadChecks):
    """Checks that a layer, or a head, keeps the promises that Keras users rely on.

    Derive a test class from it, and call `run_layer_test` or `run_head_test`. Each of their
    checks is a method of its own, `check_...`, which may be called alone. What fails raises
    an `AssertionError` that names the class and the check. All checks run on TensorFlow, JAX
    and PyTorch; each one seeds Python, NumPy and the backend with `seed`.

    Attributes:
        tolerance: How far apart two computations of the same float32 outputs may be,
            relative and absolute.
        seed: Seed of every check.

    Example:
        ```python
        import numpy as np
        from mtlkit.layers import PolarResample
        from mtlkit.testing import LayerTestCase

        class TestPolarResample(LayerTestCase):
            def test_basics(self):
                images = np.random.default_rng(0).random((2, 8, 8, 1))
                kwargs = {"num_angles": 16, "data_format": "channels_last"}
                self.run_layer_test(
                    PolarResample, kwargs, images, expected_output_shape=(2, 4, 16, 1)
                )

        TestPolarResample().test_basics()
        ```
    """

    def run_layer_test(
        self,
        cls: type,
        init_kwargs: dict[str, Any],
        inputs: Any,
        *,
        expected_output_shape: Any = None,
        without_gradient: Sequence[str] = (),
        input_gradient: Any = "flows",
        mixed_precision_tolerance: float = 0.1,
        custom_objects: dict[str, Any] | None = None,
    ) -> None:
        """Runs every check of a layer.

        They are: configuration, batch sizes, weights, symbolic call, inference, saving,
        gradients, mixed precision, and a training step.

        Args:
            cls: The class of the layer.
            init_kwargs: Arguments of its constructor. Layers among them are copied for each
                instance.
            inputs: The first argument of `call`: an array with a batch axis, or a nested
                structure of them. Integers are not differentiated.
            expected_output_shape: The shape of the output for these inputs, with its batch;
                for nested outputs, the structure of their shapes.
            without_gradient: Names of trainable weights, or ends of their paths such as
                `"gate/kernel"`, whose gradient must be exactly zero. All others must
                receive one.
            input_gradient: `"flows"`, `"none"` (must be exactly zero) or `"unchecked"`; for
                nested inputs also a structure of these.
            mixed_precision_tolerance: How far `mixed_bfloat16` outputs may be from float32
                ones, relative to the largest output.
            custom_objects: Classes and functions that saved models need, if not registered.

        Raises:
            AssertionError: If a check fails.
            ValueError: If an argument is not as described.
        """
        expected_flows(input_gradient, support.as_data(inputs))
        with keras.saving.custom_object_scope(custom_objects or {}):
            self.check_config(cls, init_kwargs, inputs)
            self.check_batch_sizes(cls, init_kwargs, inputs)
            self.check_weights(cls, init_kwargs, inputs)
            self.check_symbolic_call(
                cls, init_kwargs, inputs, expected_output_shape=expected_output_shape
            )
            self.check_inference(cls, init_kwargs, inputs)
            self.check_saving(cls, init_kwargs, inputs)
            self.check_gradients(
                cls,
                init_kwargs,
                inputs,
                without_gradient=without_gradient,
                input_gradient=input_gradient,
            )
            self.check_mixed_precision(
                cls, init_kwargs, inputs, tolerance=mixed_precision_tolerance
            )
            self.check_training_step(cls, init_kwargs, inputs, without_gradient=without_gradient)

    def run_head_test(
        self,
        cls: type,
        init_kwargs: dict[str, Any],
        features: Any,
        labels: Any,
        *,
        bad_labels: Sequence[Any] = (),
        learning_steps: int = 30,
        learning_rate: float = 0.01,
        **layer_options: Any,
    ) -> None:
        """Runs every check of a layer on a head, and those of the contract of heads.

        The latter are: float32 outputs under `mixed_bfloat16`, loss, metrics, decoding,
        search space, validation of labels, and whether the head can learn these labels at
        all.

        Args:
            cls: The class of the head.
            init_kwargs: Arguments of its constructor.
            features: The first argument of `call`: an array, or a nested structure of them.
            labels: Valid labels, one for each row of the features.
            bad_labels: Arrays of labels, each of which `validate_labels` must reject.
            learning_steps: Number of full-batch steps of Adam after which the loss must have
                fallen.
            learning_rate: The rate of these steps.
            **layer_options: Other options of `run_layer_test`.

        Raises:
            AssertionError: If a check fails.
            ValueError: If an argument is not as described.
        """
        self.run_layer_test(cls, init_kwargs, features, **layer_options)
        with keras.saving.custom_object_scope(layer_options.get("custom_objects") or {}):
            self.check_float32_outputs(cls, init_kwargs, features)
            self.check_loss(cls, init_kwargs, features, labels)
            self.check_metrics(cls, init_kwargs, features, labels)
            self.check_decode(cls, init_kwargs, features)
            self.check_search_space(cls)
            self.check_validate_labels(cls, init_kwargs, labels, bad_labels=bad_labels)
            self.check_learning(
                cls, init_kwargs, features, labels, steps=learning_steps, rate=learning_rate
            )
