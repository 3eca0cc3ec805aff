"""A test case for layers and heads, to be mixed into pytest or unittest classes."""

from __future__ import annotations

import functools
import json
import tempfile
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from mtlkit.testing import _support as support
from mtlkit.testing._support import check, create, require, silence
from mtlkit.testing.gradients import gradients, input_gradients


class LayerTestCase:
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

    tolerance: float = 1e-5
    seed: int = 0

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
        _expected_flows(input_gradient, support.as_data(inputs))
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

    # === Layers ===

    @check("its configuration")
    def check_config(self, cls: type, init_kwargs: dict[str, Any], inputs: Any) -> None:
        """The configuration is complete, JSON, stable, and rebuilds the layer."""
        layer: Any = create(cls, init_kwargs)
        config = layer.get_config()
        # Layers of Keras itself leave some arguments out while they have their default.
        own = cls.__module__.partition(".")[0] != "keras"
        arguments = support.constructor_arguments(cls) if own else list(init_kwargs)
        missing = [name for name in arguments if name not in config]
        require(not missing, f"get_config() lacks the constructor's arguments {missing}")
        try:
            text = json.dumps(config)
        except TypeError as error:
            raise AssertionError(
                f"get_config() is not JSON: {error}. Received: {config}"
            ) from error

        def same(other: Any, how: str) -> None:
            found, expected = support.unbuilt(other.get_config()), support.unbuilt(config)
            require(
                json.dumps(found, sort_keys=True) == json.dumps(expected, sort_keys=True),
                f"{how} gives the configuration {found} in the place of {expected}",
            )

        same(cls.from_config(json.loads(text)), "from_config(get_config())")  # type: ignore[attr-defined]
        with silence():
            layer(inputs)
        same(layer, "building and calling the layer")
        saved = json.loads(json.dumps(keras.saving.serialize_keras_object(layer)))
        restored = keras.saving.deserialize_keras_object(saved)
        require(
            type(restored) is cls, f"serialization gives a {type(restored)} in the place of {cls}"
        )
        same(restored, "serialization")

    @check("its weights")
    def check_weights(self, cls: type, init_kwargs: dict[str, Any], inputs: Any) -> None:
        """`build` creates all the weights; neither a call nor a second `build` adds any."""
        layer: Any = create(cls, init_kwargs)
        shape = keras.tree.map_structure(lambda a: (None, *a.shape[1:]), inputs)

        def paths() -> list[str]:
            return [weight.path for weight in layer.variables]

        with silence():  # Keras warns of a missing build(): the failure below says more
            layer.build(shape)
            built = paths()
            layer(inputs)
            called = paths()
            require(
                called == built,
                f"it has the weights {built} after build(), and {called} after the first call. "
                "Create all weights in build(), and build the sub-layers there",
            )
            try:
                layer.build(shape)
            except ValueError as error:
                # Keras locks the state of layers that are built; a layer may rely on that.
                if "already built" not in str(error):
                    raise
        require(
            paths() == built, f"it has the weights {built}, and {paths()} after a second build()"
        )

    @check("its batch sizes")
    def check_batch_sizes(self, cls: type, init_kwargs: dict[str, Any], inputs: Any) -> None:
        """A layer built with one batch size works with another, and with an unknown one."""
        layer: Any = create(cls, init_kwargs)
        expected = support.to_numpy(layer(inputs, training=False))
        more = support.one_more_row(inputs)
        size = len(keras.tree.flatten(inputs)[0])

        def compare(outputs: Any, how: str) -> None:
            first = keras.tree.map_structure(
                lambda a, b: a[tuple(slice(length) for length in b.shape)], outputs, expected
            )
            gap = support.difference(first, expected, self.tolerance, self.tolerance)
            require(gap is None, f"{how}, the first rows are not those of a batch of {size}: {gap}")

        how = f"built with a batch of {size} and called with one of {size + 1}"
        try:
            outputs = support.to_numpy(layer(more, training=False))
        except Exception as error:
            raise AssertionError(f"{how}, it raised {type(error).__name__}: {error}") from error
        compare(outputs, how)
        model = support.functional(layer, inputs)
        compare(model.predict_on_batch(inputs), "predicting in a model")
        # On meeting a second size, TensorFlow traces a graph in which the size is unknown.
        compare(model.predict_on_batch(more), f"predicting a batch of {size + 1} in a model")

    @check("its symbolic call")
    def check_symbolic_call(
        self,
        cls: type,
        init_kwargs: dict[str, Any],
        inputs: Any,
        *,
        expected_output_shape: Any = None,
    ) -> None:
        """Symbolic outputs, and `compute_output_shape`, agree with the real outputs."""
        layer: Any = create(cls, init_kwargs)
        eager = layer(inputs, training=False)
        if expected_output_shape is not None:
            expected_shape = support.as_tuples(expected_output_shape)
            require(
                support.shapes(eager) == expected_shape,
                f"the output has the shape {support.shapes(eager)}, expected {expected_shape}",
            )
        other = layer(support.one_more_row(inputs), training=False)
        unknown_batch = support.as_tuples(
            keras.tree.map_structure(
                lambda a, b: tuple(
                    m if m == n else None for m, n in zip(a.shape, b.shape, strict=True)
                ),
                eager,
                other,
            )
        )
        size = len(keras.tree.flatten(inputs)[0])
        for batch, expected in ((size, support.shapes(eager)), (None, unknown_batch)):
            described = f"for a batch size of {batch}"
            symbolic_inputs = keras.tree.map_structure(
                lambda a, batch=batch: keras.KerasTensor((batch, *a.shape[1:]), a.dtype.name),
                inputs,
            )
            fresh: Any = create(cls, init_kwargs)
            symbolic = fresh(symbolic_inputs, training=False)
            found = support.shapes(symbolic)
            require(
                found == expected,
                f"{described} the symbolic output has the shape {found}, the real one {expected}",
            )
            require(
                support.dtypes(symbolic) == support.dtypes(eager),
                f"the symbolic output is {support.dtypes(symbolic)}, "
                f"the real one {support.dtypes(eager)}",
            )
            require(
                len(fresh.variables) == len(layer.variables),
                f"a symbolic call makes {len(fresh.variables)} weights, "
                f"an eager one {len(layer.variables)}",
            )
            try:
                computed = fresh.compute_output_shape(
                    keras.tree.map_structure(lambda t: tuple(t.shape), symbolic_inputs)
                )
            except NotImplementedError:  # Keras then runs the layer symbolically, as above
                continue
            require(
                support.as_tuples(computed) == expected,
                f"{described} compute_output_shape() gives {support.as_tuples(computed)}, "
                f"the output has the shape {expected}",
            )

    @check("its inference")
    def check_inference(self, cls: type, init_kwargs: dict[str, Any], inputs: Any) -> None:
        """With `training=False` the layer is deterministic."""
        layer: Any = create(cls, init_kwargs)
        first, second = (support.to_numpy(layer(inputs, training=False)) for _ in range(2))
        gap = support.difference(first, second, 1e-6, 1e-6)
        require(gap is None, f"two calls with training=False differ: {gap}")

    @check("its saving")
    def check_saving(self, cls: type, init_kwargs: dict[str, Any], inputs: Any) -> None:
        """A `.keras` file restores the same weights and the same outputs."""
        layer: Any = create(cls, init_kwargs)
        model = support.functional(layer, inputs)
        # Else a layer that forgets its weights could pass: both times they are initial ones.
        support.move(model.weights, np.random.default_rng(self.seed))
        expected = support.to_numpy(model(inputs, training=False))
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.keras"
            model.save(path)
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                loaded = keras.saving.load_model(path)
        complaints = [str(w.message) for w in caught if "cannot be built" in str(w.message)]
        require(not complaints, f"it cannot be built when it is loaded: {complaints}")
        before, after = model.weights, loaded.weights
        require(
            [tuple(v.shape) for v in before] == [tuple(v.shape) for v in after],
            f"the loaded weights are {[v.path for v in after]}, "
            f"expected {[v.path for v in before]}",
        )
        for one, two in zip(before, after, strict=True):
            gap = support.difference(support.to_numpy(two), support.to_numpy(one), 0, 0)
            require(gap is None, f"the weight {one.path} differs after loading: {gap}")
        outputs = support.to_numpy(loaded(inputs, training=False))
        gap = support.difference(outputs, expected, 1e-6, 1e-6)
        require(gap is None, f"the outputs differ after loading, so some state is not saved: {gap}")

    @check("its gradients")
    def check_gradients(
        self,
        cls: type,
        init_kwargs: dict[str, Any],
        inputs: Any,
        *,
        without_gradient: Sequence[str] = (),
        input_gradient: Any = "flows",
    ) -> None:
        """Gradients reach the weights and the inputs that they should reach, and no other."""
        layer: Any = create(cls, init_kwargs)
        rng = np.random.default_rng(self.seed)
        floats = support.floating(layer(inputs))  # builds it, too
        weights = layer.trainable_weights
        stopped = _named(weights, without_gradient)
        reached = {weight.path: False for weight in weights}
        wanted = _expected_flows(input_gradient, inputs)
        flows = [False] * len(wanted)
        # A gradient may vanish by chance at the initial weights (those of zero, say), at
        # these inputs (all equal, say) or in training (dropout), so there are several draws.
        for draw, training in enumerate((True, True, False)):
            if draw > 0:
                support.move(weights, rng)
                inputs = support.perturbed(inputs, rng)
            cotangents = [rng.normal(size=tuple(leaf.shape)) for leaf in floats]
            value = _pairing(layer, cotangents, training)
            found = gradients(functools.partial(value, inputs), weights)
            for weight, gradient in zip(weights, found, strict=True):
                require(
                    np.all(np.isfinite(gradient)), f"the gradient of {weight.path} is not finite"
                )
                reached[weight.path] |= bool(np.any(gradient))
            leaves = keras.tree.flatten(input_gradients(value, inputs))
            require(all(np.all(np.isfinite(g)) for g in leaves), "that of the input is not finite")
            flows = [flow or bool(np.any(g)) for flow, g in zip(flows, leaves, strict=True)]
        missed = [path for path in reached if not reached[path] and path not in stopped]
        require(
            not missed,
            f"none reaches the trainable weights {missed}. If that is meant, name them in "
            "without_gradient",
        )
        leaked = [path for path in stopped if reached[path]]
        require(not leaked, f"one reaches {leaked}, named in without_gradient")
        for index, (flow, want) in enumerate(zip(flows, wanted, strict=True)):
            which = "the input" if len(wanted) == 1 else f"leaf {index} of the inputs"
            require(
                flow or want != "flows", f"none reaches {which}, expected input_gradient={want!r}"
            )
            require(
                not flow or want != "none", f"one reaches {which}, expected input_gradient={want!r}"
            )

    @check("its mixed precision")
    def check_mixed_precision(
        self, cls: type, init_kwargs: dict[str, Any], inputs: Any, *, tolerance: float = 0.1
    ) -> None:
        """Under `mixed_bfloat16` weights are float32, and outputs are close to float32 ones."""
        mixed = "mixed_bfloat16"
        plain: Any = create(cls, init_kwargs, dtype="float32")
        expected = plain(inputs, training=False)
        layer: Any = create(cls, init_kwargs, dtype=mixed)
        outputs = layer(inputs, training=False)
        halves = [w.path for w in support.float_weights(layer.variables) if w.dtype != "float32"]
        require(not halves, f"the weights {halves} are not float32")
        self._check_policies(cls, init_kwargs, inputs, layer)

        symbolic = create(cls, init_kwargs, dtype=mixed)(
            keras.tree.map_structure(lambda a: keras.KerasTensor(a.shape, a.dtype.name), inputs),
            training=False,
        )
        require(
            support.dtypes(symbolic) == support.dtypes(outputs),
            f"the symbolic output is {support.dtypes(symbolic)}, "
            f"the real one {support.dtypes(outputs)}",
        )
        for ours, theirs in zip(layer.variables, plain.variables, strict=True):
            ours.assign(theirs.value)
        outputs = layer(inputs, training=False)
        for one, two in zip(support.floating(outputs), support.floating(expected), strict=True):
            ours, theirs = support.to_numpy(one), support.to_numpy(two)
            require(np.all(np.isfinite(ours)), "an output is not finite")
            gap = support.difference(ours, theirs, 0, tolerance * max(np.abs(theirs).max(), 1e-6))
            require(gap is None, f"an output is far from its float32 value: {gap}")

    def _check_policies(
        self, cls: type, init_kwargs: dict[str, Any], inputs: Any, layer: Any
    ) -> None:
        """Sub-layers take their policy from the layer, not from the global one.

        Those that fix their own (the float32 end of a head) have it in either case.
        """
        previous = keras.config.dtype_policy()
        own = {name: value for name, value in init_kwargs.items() if name != "dtype"}
        try:
            keras.config.set_dtype_policy(layer.dtype_policy)
            other: Any = create(cls, own)
            other(inputs)
        finally:
            keras.config.set_dtype_policy(previous)
        # Keras has no public way to list the sub-layers of a layer that is not a model.
        pairs = zip(layer._flatten_layers(), other._flatten_layers(), strict=True)
        for ours, theirs in pairs:
            require(
                ours.dtype_policy.name == theirs.dtype_policy.name,
                f"with dtype={layer.dtype_policy.name!r} its sub-layer {ours.name} has the policy "
                f"{ours.dtype_policy.name!r}, that of Keras's configuration. "
                "Make sub-layers with dtype=self.dtype_policy",
            )

    @check("its training step")
    def check_training_step(
        self,
        cls: type,
        init_kwargs: dict[str, Any],
        inputs: Any,
        *,
        without_gradient: Sequence[str] = (),
    ) -> None:
        """A model of the layer takes a compiled (on JAX, stateless) step of gradient descent."""
        layer: Any = create(cls, init_kwargs)
        model = support.functional(layer, inputs)
        outputs = support.floating(model.outputs)
        if not outputs:
            return  # nothing to descend on
        if len(_named(layer.trainable_weights, without_gradient)) == len(layer.trainable_weights):
            layer.trainable = False  # optimizers refuse to work without any gradient
        model = keras.Model(model.inputs, outputs)
        rows = len(keras.tree.flatten(inputs)[0])
        model.compile(keras.optimizers.SGD(1e-3), [_mean] * len(outputs))
        with silence():  # of weights without a gradient, and of no weights at all
            loss = model.train_on_batch(
                keras.tree.flatten(inputs),
                [np.zeros((rows, 1), "float32") for _ in outputs],
                return_dict=True,
            )["loss"]
        require(np.isfinite(loss), f"the loss is {loss}")
        broken = [
            v.path
            for v in support.float_weights(layer.variables)
            if not np.all(np.isfinite(support.to_numpy(v)))
        ]
        require(not broken, f"after it, the weights {broken} are not finite")

    # === Heads ===

    @check("its float32 outputs")
    def check_float32_outputs(self, cls: type, init_kwargs: dict[str, Any], features: Any) -> None:
        """A head ends in float32 even where it computes in bfloat16: losses need it."""
        head: Any = create(cls, init_kwargs, dtype="mixed_bfloat16")
        halves = [o for o in support.floating(head(features)) if support.dtype_of(o) != "float32"]
        require(
            not halves,
            f"under mixed_bfloat16 an output is {[support.dtype_of(o) for o in halves]}. "
            "Make the last layer with dtype='float32'",
        )

    @check("its loss")
    def check_loss(
        self, cls: type, init_kwargs: dict[str, Any], features: Any, labels: Any
    ) -> None:
        """`default_loss()` is a Keras loss, finite on these labels, which models can save."""
        head: Any = create(cls, init_kwargs)
        loss = head.default_loss()
        require(
            isinstance(loss, keras.losses.Loss), f"default_loss() is a {type(loss)}, not a Loss"
        )
        outputs = head(features, training=False)
        value = support.to_numpy(loss(labels, outputs))
        require(value.shape == (), f"the loss has the shape {value.shape}, expected a scalar")
        require(np.isfinite(value), f"the loss is {value}")
        restored = support.to_numpy(_restored(loss)(labels, outputs))
        gap = support.difference(restored, value, self.tolerance, self.tolerance)
        require(gap is None, f"the loss is another after serialization: {gap}")

    @check("its metrics")
    def check_metrics(
        self, cls: type, init_kwargs: dict[str, Any], features: Any, labels: Any
    ) -> None:
        """Metrics are fresh, differ in name, can be saved, and are finite; one is primary."""
        head: Any = create(cls, init_kwargs)
        outputs = head(features, training=False)
        metrics, again = head.default_metrics(), head.default_metrics()
        for metric in metrics:
            require(isinstance(metric, keras.metrics.Metric), f"{metric!r} is not a keras Metric")
            require(
                all(metric is not other for other in again),
                f"default_metrics() gives the same {metric.name!r} twice, expected fresh objects",
            )
            restored = _restored(metric)
            for one in (metric, restored):
                one.update_state(labels, outputs)
            result, after = (support.to_numpy(m.result()) for m in (metric, restored))
            for value in keras.tree.flatten(result):
                require(np.all(np.isfinite(value)), f"{metric.name!r} is {value}")
            gap = support.difference(after, result, self.tolerance, self.tolerance)
            require(gap is None, f"{metric.name!r} is another after serialization: {gap}")
        names = [metric.name for metric in metrics]
        require(len(set(names)) == len(names), f"metrics share a name: {names}")
        primary = head.primary_metric
        require(
            isinstance(primary, tuple) and len(primary) == 2 and primary[1] in ("max", "min"),
            f'primary_metric is {primary!r}, expected (name, "max" or "min")',
        )
        require(
            primary[0] in names, f"the primary metric {primary[0]!r} is none of the metrics {names}"
        )

    @check("its decoding")
    def check_decode(self, cls: type, init_kwargs: dict[str, Any], features: Any) -> None:
        """`decode` gives NumPy arrays, one entry a row, of tensors and of arrays alike."""
        head: Any = create(cls, init_kwargs)
        outputs = head(features, training=False)
        decoded = head.decode(support.to_numpy(outputs))
        require(isinstance(decoded, dict), f"it is a {type(decoded)}, expected a dict")
        require(
            "label" in decoded or "value" in decoded,
            f'expected "label" or "value" among its keys {list(decoded)}',
        )
        rows = len(keras.tree.flatten(features)[0])
        for name, array in decoded.items():
            require(
                isinstance(array, np.ndarray), f"{name!r} is a {type(array)}, expected an array"
            )
            require(
                array.shape[:1] == (rows,),
                f"{name!r} has the shape {array.shape}, expected {rows} rows",
            )
            require(
                array.dtype.kind != "f" or np.all(np.isfinite(array)), f"{name!r} is not finite"
            )
        if "label" in decoded:
            kind = decoded["label"].dtype
            require(kind.kind in "iuUO", f"'label' is {kind}, expected integers or names")
        if "probability" in decoded:
            self._check_probability(decoded["probability"])
        again = head.decode(outputs)
        require(again.keys() == decoded.keys(), "tensors are decoded to other keys than arrays")
        for name, array in decoded.items():
            same = array.dtype.kind != "f" and np.array_equal(again[name], array)
            require(
                same or np.allclose(again[name], array, atol=1e-6),
                f"{name!r} is another for tensors than for arrays",
            )

    def _check_probability(self, probability: np.ndarray) -> None:
        require(probability.dtype.kind == "f", f"'probability' is {probability.dtype}")
        inside = probability.min() >= -1e-6 and probability.max() <= 1 + 1e-5
        require(inside, "'probability' leaves [0, 1]")
        if probability.ndim > 1:  # else it is that of the label alone
            sums = probability.sum(axis=-1)
            require(
                np.allclose(sums, 1, atol=1e-4),
                f"'probability' sums to {sums.min():.4g} up to {sums.max():.4g}, expected 1",
            )

    @check("its search space")
    def check_search_space(self, cls: type) -> None:
        """The keys of `search_space()` are arguments of the constructor."""
        space = cls.search_space()  # type: ignore[attr-defined]
        require(isinstance(space, dict), f"it is a {type(space)}, expected a dict")
        known = support.constructor_arguments(cls)
        unknown = [name for name in space if name not in known]
        require(not unknown, f"{unknown} are no arguments of the constructor, which are {known}")

    @check("its validation of labels")
    def check_validate_labels(
        self,
        cls: type,
        init_kwargs: dict[str, Any],
        labels: Any,
        *,
        bad_labels: Sequence[Any] = (),
    ) -> None:
        """Valid labels pass; bad ones raise a ValueError that names the task."""
        head: Any = create(cls, init_kwargs)
        for task in (None, "some_task"):
            name = head.name if task is None else task
            try:
                head.validate_labels(labels, task=task)
            except ValueError as error:
                raise AssertionError(f"it rejects valid labels (task={task!r}): {error}") from error
            for index, bad in enumerate(bad_labels):
                try:
                    head.validate_labels(bad, task=task)
                except ValueError as error:
                    require(
                        name in str(error),
                        f"the error for bad_labels[{index}] does not name the task {name!r}: "
                        f"{error}",
                    )
                else:
                    raise AssertionError(f"it accepts bad_labels[{index}] (task={task!r})")

    @check("its learning")
    def check_learning(
        self,
        cls: type,
        init_kwargs: dict[str, Any],
        features: Any,
        labels: Any,
        *,
        steps: int = 30,
        rate: float = 0.01,
    ) -> None:
        """The loss falls within a few full-batch steps of Adam, with metrics alongside."""
        head: Any = create(cls, init_kwargs)
        model = support.functional(head, features)
        model.compile(
            keras.optimizers.Adam(rate), head.default_loss(), metrics=head.default_metrics()
        )
        seeds = [(v, support.to_numpy(v)) for v in model.variables if not support.is_floating(v)]

        def repeat_draws() -> None:
            # Dropout is noisier than a few steps are effective: all get the same draws.
            if keras.backend.backend() == "torch":  # its dropout draws from the global seed
                keras.utils.set_random_seed(self.seed)
            for variable, seed in seeds:
                variable.assign(seed)

        def current_loss() -> float:
            repeat_draws()
            # As in training, since the moving statistics of batches settle slowly.
            with keras.StatelessScope():
                loss = head.default_loss()(labels, model(features, training=True))
            return float(support.to_numpy(loss))

        before = current_loss()
        for _ in range(steps):
            repeat_draws()
            model.train_on_batch(features, labels)
        after = current_loss()
        require(
            after < before - 1e-4 * abs(before),  # false for NaN, too
            f"in {steps} steps of Adam the loss went from {before:.6g} to {after:.6g}, "
            "expected it to fall",
        )


def _expected_flows(input_gradient: Any, inputs: Any) -> list[str]:
    """What is expected of the gradient of each leaf of the inputs."""
    leaves = keras.tree.flatten(inputs)
    wanted = keras.tree.flatten(input_gradient)
    wanted = wanted * len(leaves) if isinstance(input_gradient, str) else wanted
    known = ("flows", "none", "unchecked")
    if len(wanted) != len(leaves) or any(want not in known for want in wanted):
        raise ValueError(
            f"Expected input_gradient to be one of {known}, or a structure of them like the "
            f"inputs. Received: input_gradient={input_gradient!r}"
        )
    return [
        want if array.dtype.kind == "f" else "unchecked"
        for want, array in zip(wanted, leaves, strict=True)
    ]


def _named(weights: list[Any], names: Sequence[str]) -> list[str]:
    """The paths of the weights that are named by their name or the end of their path."""
    found = []
    for name in names:
        paths = [w.path for w in weights if w.path == name or w.path.endswith(f"/{name}")]
        require(paths, f"no trainable weight is named {name!r}: {[w.path for w in weights]}")
        found += paths
    return found


def _restored(part: Any) -> Any:
    """A loss or a metric as a compiled model gets it back from its file."""
    return keras.saving.deserialize_keras_object(
        json.loads(json.dumps(keras.saving.serialize_keras_object(part)))
    )


def _pairing(layer: Any, cotangents: list[np.ndarray], training: bool) -> Callable[[Any], Any]:
    """The scalar product of a layer's outputs with cotangents, as a function of its inputs."""

    def value(x: Any) -> Any:
        total = ops.zeros(())
        outputs = support.floating(layer(x, training=training))
        for output, cotangent in zip(outputs, cotangents, strict=True):
            weights = ops.convert_to_tensor(cotangent.astype("float32"))
            total += ops.sum(ops.cast(output, "float32") * weights)
        return total

    return value


def _mean(y_true: Any, y_pred: Any) -> Any:
    return ops.mean(ops.cast(y_pred, "float32"))
