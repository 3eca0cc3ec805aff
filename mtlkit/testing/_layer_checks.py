"""The checks of a layer, one method each."""

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

from mtlkit._gradients import gradients, input_gradients
from mtlkit.testing import _support as support
from mtlkit.testing._support import check, create, require, silence


class LayerChecks:
    """What `LayerTestCase` checks of every layer.

    Attributes:
        tolerance: How far apart two computations of the same float32 outputs may be,
            relative and absolute.
        seed: Seed of every check.
    """

    tolerance: float = 1e-5
    seed: int = 0

    @check("its configuration")
    def check_config(self, cls: type, init_kwargs: dict[str, Any], inputs: Any) -> None:
        """The configuration is complete, JSON, stable, and rebuilds the layer."""
        layer: Any = create(cls, init_kwargs)
        config = layer.get_config()
        # Layers of Keras itself leave some arguments out while they have their default.
        own = cls.__module__.partition(".")[0] != "keras"
        arguments = support.constructor_arguments(cls) if own else list(init_kwargs)
        filled = support.filled_arguments(cls, init_kwargs) if own else []
        missing = [name for name in arguments if name not in config and name not in filled]
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
        wanted = expected_flows(input_gradient, inputs)
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
            model.optimizer.build(model.trainable_variables)  # or TensorFlow traces the step twice
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


def expected_flows(input_gradient: Any, inputs: Any) -> list[str]:
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
