"""The checks of the contract of heads, one method each."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from mtlkit.testing import _support as support
from mtlkit.testing._support import check, create, require


class HeadChecks:
    """What `LayerTestCase` checks of every head, beside what it checks of layers.

    Attributes:
        tolerance: How far apart two computations of the same float32 outputs may be,
            relative and absolute.
        seed: Seed of every check.
    """

    tolerance: float = 1e-5
    seed: int = 0

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
            any(name in decoded for name in ("label", "labels", "value")),
            f'expected "label", "labels" or "value" among its keys {list(decoded)}',
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
            self._check_probability(decoded["probability"], of_labels="labels" in decoded)
        again = head.decode(outputs)
        require(again.keys() == decoded.keys(), "tensors are decoded to other keys than arrays")
        for name, array in decoded.items():
            same = array.dtype.kind != "f" and np.array_equal(again[name], array)
            require(
                same or np.allclose(again[name], array, atol=1e-6),
                f"{name!r} is another for tensors than for arrays",
            )

    def _check_probability(self, probability: np.ndarray, of_labels: bool) -> None:
        """Probabilities of classes add up to 1; those of independent labels need not."""
        require(probability.dtype.kind == "f", f"'probability' is {probability.dtype}")
        inside = probability.min() >= -1e-6 and probability.max() <= 1 + 1e-5
        require(inside, "'probability' leaves [0, 1]")
        if probability.ndim > 1 and not of_labels:  # else it is that of the label alone
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

        # Made here, or TensorFlow traces the step twice: once to make them.
        model.optimizer.build(model.trainable_variables)
        model.compute_metrics(features, labels, model(features, training=False))
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


def _restored(part: Any) -> Any:
    """A loss or a metric as a compiled model gets it back from its file."""
    return keras.saving.deserialize_keras_object(
        json.loads(json.dumps(keras.saving.serialize_keras_object(part)))
    )
