"""MultiTaskModel(balancer=...): balancing inside `fit`, at the features and at the parameters."""

import keras
import numpy as np
import pytest
from keras import ops

import mtlkit as mtl
from mtlkit import balancing
from mtlkit.balancing import FanOut
from mtlkit.balancing.weighted_gate import WeightedGate
from mtlkit.testing import LayerTestCase, gradients, input_gradients

RNG = np.random.default_rng(0)
X = RNG.normal(size=(48, 6)).astype("float32")
Y = {
    "kind": (X[:, 0] > 0).astype("int64") + (X[:, 1] > 0),
    "size": (X[:, 2] + 0.1 * RNG.normal(size=48)).astype("float32"),
    "side": np.where(np.arange(48) % 3 == 0, -1, X[:, 3] > 0).astype("int64"),
}
#: Methods whose state has to be saved, and some without.
STATEFUL = [
    "uw",
    "imtl_l",
    "dwa",
    "rlw",
    "famo",
    "ldc_mtl",
    "gradvac",
    "gradnorm",
    "pcgrad",
    "graddrop",
]
SPACES = ["features", "parameters"]


def build(balancer=None, space="features", optimizer=None, backbone=None, **options):
    """Three tasks on a network with two layers, whose weights are those of the seed."""
    keras.utils.set_random_seed(0)
    if backbone is None:
        layers = [keras.layers.Dense(8, "relu", name="one"), keras.layers.Dense(6, name="two")]
        backbone = keras.Sequential([keras.Input((6,)), *layers])
    heads = mtl.heads
    plain = {"hidden_units": 0, "layer_norm": False}
    model = mtl.MultiTaskModel(
        backbone,
        [
            mtl.Task("kind", heads.ClassificationHead(3, **plain), weight=2.0),
            mtl.Task("size", heads.RegressionHead(hidden_units=0), **options),
            mtl.Task("side", heads.ClassificationHead(2, **plain), gradient=0.5),
        ],
        balancer,
        balancer_space=space,
    )
    model.compile(optimizer or keras.optimizers.SGD(0.05))
    return model


def fitted(model, epochs=2, **options):
    options = {"batch_size": 16, "shuffle": False, "verbose": 0, **options}
    model.fit(X, Y, epochs=epochs, **options)
    return numbers(model)


def numbers(model):
    return [ops.convert_to_numpy(w) for w in model.trainable_variables]


def of_backbone(model):
    return [ops.convert_to_numpy(w) for w in model.backbone.trainable_variables]


class TestPlain:
    """With a mean or a sum training is plain training."""

    @pytest.mark.parametrize("space", SPACES)
    @pytest.mark.parametrize("balancer", ["mean", "sum", "equal"])
    @pytest.mark.parametrize("optimizer", [lambda: keras.optimizers.SGD(0.05), lambda: "adam"])
    def test_the_same_weights(self, balancer, space, optimizer):
        if balancer == "equal" and space == "parameters":
            return
        plain = fitted(build(optimizer=optimizer()))
        found = fitted(build(balancer, space, optimizer()))
        one, other = (np.concatenate([w.ravel() for w in ws]) for ws in (plain, found))
        np.testing.assert_allclose(other, one, rtol=1e-6, atol=1e-6 * np.abs(one).max())

    def test_heads_get_their_own_gradients(self):
        """A step of any aggregator leaves the heads where a plain step does."""
        one, other = build(), build("mgda")
        for model in (one, other):
            model.train_on_batch(X, Y)
        heads = len(of_backbone(one))
        for plain, balanced in zip(numbers(one)[heads:], numbers(other)[heads:], strict=True):
            np.testing.assert_allclose(balanced, plain, rtol=1e-5, atol=1e-7)

    def test_validation_losses_are_the_plain_sum(self):
        plain, balanced = build(), build(("uw", "upgrad"))
        one, other = (m.evaluate(X, Y, return_dict=True, verbose=0) for m in (plain, balanced))
        assert one == pytest.approx(other, rel=1e-6)


def rows_at(model, variables_of):
    """The gradient of each weighted task loss at some variables, as a matrix, by `gradients`."""
    rows = []
    for name in model.tasks:

        def value(name=name):
            outputs = model(X, training=False)
            found = model.losses_of_tasks(
                {n: ops.convert_to_tensor(v) for n, v in Y.items()}, outputs
            )
            return found[name][0]

        rows.append(np.concatenate([g.ravel() for g in gradients(value, variables_of(model))]))
    return np.stack(rows).astype("float64")


class TestParameters:
    """The step at the parameters is the one that the aggregator gives for their Jacobian."""

    @pytest.mark.parametrize("name", ["upgrad", "mgda", "nash_mtl", "imtl_g", "config"])
    def test_one_step(self, name):
        jacobian = rows_at(build(), lambda model: model.backbone.trainable_variables)
        aggregator = balancing.get(name)
        scale = 3 if aggregator.averages else 1
        expected = scale * aggregator(jacobian)
        model = build(name, "parameters", keras.optimizers.SGD(1.0))
        before = np.concatenate([w.ravel() for w in of_backbone(model)])
        model.train_on_batch(X, Y)
        step = before - np.concatenate([w.ravel() for w in of_backbone(model)])
        np.testing.assert_allclose(step, expected, rtol=1e-3, atol=2e-5 * np.abs(expected).max())

    def test_weights_of_one_task_alone_are_left_out(self):
        inputs = keras.Input((6,))
        shared = keras.layers.Dense(5, "tanh", name="shared")(inputs)
        outputs = {n: keras.layers.Dense(4, name=f"of_{n}")(shared) for n in Y}
        model = build("upgrad", "parameters", backbone=keras.Model(inputs, outputs))
        tasks = model.tasks_of_weights()
        assert tasks["shared/kernel"] == ("kind", "size", "side")
        assert tasks["of_size/kernel"] == ("size",)
        shared = model._balancing.parameters.variables
        assert [w.path for w in shared] == ["shared/kernel", "shared/bias"]
        fitted(model)

    def test_with_a_frozen_backbone_heads_train_as_ever(self):
        plain, model = build(), build("upgrad", "parameters")
        for one in (plain, model):
            one.freeze_backbone()
            one.compile(keras.optimizers.SGD(0.05))
        for one, other in zip(fitted(plain), fitted(model), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)

    def test_training_adds_nothing_to_the_graph(self):
        model = build("upgrad", "parameters")
        fitted(model, 1)
        nodes = [len(layer._inbound_nodes) for layer in model._flatten_layers()]
        fitted(model, 2)
        assert [len(layer._inbound_nodes) for layer in model._flatten_layers()] == nodes

    def test_a_gradient_through_another_head_is_refused(self):
        backbone = keras.Sequential([keras.Input((6,)), keras.layers.Dense(4)])
        head = mtl.heads.RegressionHead
        tasks = [
            mtl.Task("a", head()),
            mtl.Task("b", head(), condition_on="a", condition_gradient="flow"),
        ]
        with pytest.raises(ValueError, match="Task 'b': expected condition_gradient=\"stop\""):
            mtl.MultiTaskModel(backbone, tasks, "upgrad", balancer_space="parameters")

    def test_what_needs_coordinates_is_refused(self):
        with pytest.raises(ValueError, match=r"GramianAggregator\. Received: GradDrop"):
            build("graddrop", "parameters")

    @pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="others have no such step")
    def test_a_step_that_runs_eagerly_is_refused(self):
        model = build("upgrad", "parameters")
        with pytest.raises(ValueError, match="run_eagerly=True"):
            model.compile("sgd", run_eagerly=True)


class TestFeatures:
    @pytest.mark.parametrize("name", ["upgrad", "nash_mtl", "graddrop"])
    def test_the_backbone_gets_the_combined_gradient(self, name):
        """The gradient at a feature, of a plain model, aggregated and led on by hand."""
        plain = build()
        backbone = plain.backbone
        feature = ops.convert_to_numpy(backbone(X))
        labels = {n: ops.convert_to_tensor(v) for n, v in Y.items()}

        def loss(z, name):
            gate = 0.5 if name == "side" else 1.0
            outputs = plain.tasks[name].head(ops.convert_to_tensor(z))
            value = plain._losses_by_task[name](labels[name], outputs)
            return gate * plain.tasks[name].weight * value

        rows = np.stack(
            [input_gradients(lambda z, n=n: loss(z, n), feature).ravel() for n in plain.tasks]
        )
        aggregator = balancing.get(name)
        model = build(aggregator, optimizer=keras.optimizers.SGD(1.0))
        layer = model._balancing.fan_outs[0][0]
        shape = aggregator.noise_shape(3, rows.shape[1])
        noise = None if shape is None else layer._draws.look(shape)
        found, _ = aggregator.combine(ops.convert_to_tensor(rows), {}, noise=noise)
        scale = 3 if aggregator.averages else 1
        cotangent = ops.convert_to_tensor(
            scale * ops.convert_to_numpy(found).reshape(feature.shape)
        )
        expected = gradients(lambda: ops.sum(backbone(X) * cotangent), backbone.trainable_variables)
        before = of_backbone(model)
        model.train_on_batch(X, Y)
        for old, new, gradient in zip(before, of_backbone(model), expected, strict=True):
            np.testing.assert_allclose(old - new, gradient, rtol=1e-3, atol=1e-5)

    def test_a_layer_for_each_map_that_several_read(self):
        backbone = mtl.backbones.ConvBackbone((8, 8, 1), filters=(4, 4))
        head = mtl.heads.ClassificationHead
        tasks = [
            mtl.Task("a", head(2), feature="stage1"),
            mtl.Task("b", head(2), feature="stage1"),
            mtl.Task("c", head(2)),
            mtl.Task("d", head(2), gradient="stop"),
            mtl.Task("e", head(2), gradient=-1.0),
        ]
        model = mtl.MultiTaskModel(backbone, tasks, "upgrad")
        found = {layer.name: names for layer, names in model._balancing.fan_outs}
        assert found == {"stage1_fan_out": ["a", "b"], "last_fan_out": ["c", "e"]}

    def test_a_task_without_labels_in_the_batch_takes_no_part(self):
        model, alone = build("upgrad"), build("upgrad")
        labels = {**Y, "side": np.full(48, -1)}
        without = {name: Y[name] for name in ("kind", "size")}
        model.train_on_batch(X, labels)
        alone.train_on_batch(X, without)
        for one, other in zip(of_backbone(model), of_backbone(alone), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-7)

    def test_in_mixed_precision(self):
        policy = keras.config.dtype_policy()
        keras.config.set_dtype_policy("mixed_bfloat16")
        try:
            model = build("upgrad")
            assert all(np.isfinite(w).all() for w in fitted(model))
        finally:
            keras.config.set_dtype_policy(policy)

    def test_adopted(self):
        inputs = keras.Input((6,))
        shared = keras.layers.Dense(8, "relu", name="shared")(inputs)
        outputs = {
            "kind": keras.layers.Dense(3, "softmax")(shared),
            "size": keras.layers.Dense(1)(shared),
        }
        plain = keras.Model(inputs, outputs)
        losses = {"kind": "sparse_categorical_crossentropy", "size": "mse"}
        plain.compile(keras.optimizers.SGD(0.05), losses)
        model = mtl.MultiTaskModel.from_keras(plain, balancer="upgrad")
        labels = {name: Y[name] for name in outputs}
        model.fit(X, labels, verbose=0)
        assert [names for _, names in model._balancing.fan_outs] == [["kind", "size"]]


class TestState:
    """Saved, loaded and trained on is trained without a break."""

    @pytest.mark.parametrize("balancer", [*STATEFUL, ("famo", "gradvac")], ids=str)
    def test_at_features(self, balancer, tmp_path):
        self.check(build(balancer, optimizer="adam"), tmp_path)

    @pytest.mark.parametrize("balancer", ["gradvac", "gradnorm", "pcgrad"])
    def test_at_parameters(self, balancer, tmp_path):
        self.check(build(balancer, "parameters", "adam"), tmp_path)

    def check(self, model, tmp_path):
        fitted(model, 2)
        model.save(tmp_path / "model.keras")
        again = keras.saving.load_model(tmp_path / "model.keras")
        for one, other in zip(fitted(model, 2), fitted(again, 2), strict=True):
            np.testing.assert_array_equal(one, other)

    def test_states_move(self):
        for name in ("uw", "famo", "dwa", "gradvac", "gradnorm"):
            model = build(name)
            before = [ops.convert_to_numpy(w).copy() for w in model.weights]
            fitted(model, 3)
            after = {w.path: ops.convert_to_numpy(w) for w in model.weights}
            moved = [
                path
                for (path, new), old in zip(after.items(), before, strict=True)
                if not np.array_equal(new, old)
            ]
            parts = ("balancer_", "fan_out/")
            assert any(part in path for path in moved for part in parts), name

    def test_gradnorm_begins_with_the_true_first_losses(self):
        model = build("gradnorm", optimizer=keras.optimizers.SGD(0.0))
        logs = model.train_on_batch(X, Y, return_dict=True)
        model.train_on_batch(X, Y)
        ((layer, names),) = model._balancing.fan_outs
        found = ops.convert_to_numpy(layer.state["first_losses"])
        weighted = [model.tasks[n].weight * float(logs[f"{n}_loss"]) for n in names]
        np.testing.assert_allclose(found, weighted, rtol=1e-5)

    def test_another_head_keeps_the_state_of_loss_weights(self):
        model = build("uw")
        fitted(model)
        other = model.with_head("size", mtl.heads.RegressionHead())
        for one, new in zip(
            model._balancing.losses.learned, other._balancing.losses.learned, strict=True
        ):
            np.testing.assert_array_equal(ops.convert_to_numpy(one), ops.convert_to_numpy(new))

    @pytest.mark.parametrize(
        "argument", [{"gradient_accumulation_steps": 2}, {"use_ema": True}], ids=str
    )
    def test_an_optimizer_that_would_spoil_the_state_is_refused(self, argument):
        with pytest.raises(ValueError, match=f"without {next(iter(argument))} beside GradVac"):
            build("gradvac", optimizer=keras.optimizers.SGD(0.1, **argument))

    def test_learned_weights_do_not_decay(self):
        optimizer = keras.optimizers.SGD(0.0, weight_decay=0.1)
        model = build(balancing.UncertaintyWeighting(1.0), optimizer=optimizer)
        model.optimizer.learning_rate = 1e-12
        fitted(model)
        found = ops.convert_to_numpy(model._balancing.losses.state["log_variances"])
        np.testing.assert_allclose(found, 1.0, rtol=1e-6)

    def test_batches_that_lack_tasks_starve_none(self):
        """Two streams of tasks in turn, whose losses stay the same: weights stay even."""
        model = build("gradnorm", optimizer=keras.optimizers.SGD(0.0))
        for step in range(40):
            names = ("kind", "size") if step % 2 else ("size", "side")
            model.train_on_batch(X, {name: Y[name] for name in names})
        ((layer, names),) = model._balancing.fan_outs
        first = ops.convert_to_numpy(layer.state["first_losses"])
        assert (first > 0).all()
        before = ops.convert_to_numpy(layer.losses_before)
        np.testing.assert_allclose(before, first, rtol=1e-4)

    def test_checkpoints_hold_the_state_after_the_epoch(self, tmp_path):
        model = build("dwa")
        saving = keras.callbacks.ModelCheckpoint(tmp_path / "{epoch}.keras")
        fitted(model, 2, callbacks=[saving])
        kept = keras.saving.load_model(tmp_path / "2.keras")._balancing.losses.state
        for name, value in model._balancing.losses.state.items():
            one, other = (ops.convert_to_numpy(v) for v in (value, kept[name]))
            np.testing.assert_array_equal(one, other)

    @pytest.mark.parametrize("space", SPACES)
    def test_another_head_keeps_the_state_of_gradients(self, space):
        model = build("gradnorm", space)
        fitted(model, 3)
        other = model.with_head("size", mtl.heads.RegressionHead())
        states = [
            one._balancing.fan_outs[0][0].state
            if space == "features"
            else one._balancing.parameters.state
            for one in (model, other)
        ]
        old, new = ({k: ops.convert_to_numpy(v) for k, v in s.items()} for s in states)
        np.testing.assert_array_equal(old["weights"], new["weights"])
        np.testing.assert_array_equal(new["first_losses"], old["first_losses"] * [1, 0, 1])

    def test_preflight_does_not_take_state_for_weights(self):
        found = mtl.diagnostics.preflight(build("gradnorm"), X, Y).problems
        assert "no_gradient" not in [problem.name for problem in found]

    def test_names_are_free_without_a_balancer(self):
        backbone = keras.Sequential([keras.Input((6,)), keras.layers.Dense(4)])
        tasks = [mtl.Task(n, mtl.heads.RegressionHead()) for n in ("a", "a_balance")]
        mtl.MultiTaskModel(backbone, tasks)
        with pytest.raises(ValueError, match="Task 'a_balance': expected a name that no layer"):
            mtl.MultiTaskModel(backbone, tasks, "upgrad")


class TestArguments:
    @pytest.mark.parametrize(
        ("balancer", "space", "message"),
        [
            ("adam", "features", "a name out of"),
            (("uw", "famo"), "features", "at most one loss weighting and one aggregator"),
            ("upgrad", "weights", 'balancer_space to be "features" or "parameters"'),
            (("uw", "upgrad"), "parameters", "an aggregator alone"),
        ],
    )
    def test_errors(self, balancer, space, message):
        with pytest.raises(ValueError, match=message):
            build(balancer, space)

    def test_nothing_to_balance_is_said(self):
        backbone = keras.Sequential([keras.Input((6,)), keras.layers.Dense(4)])
        head = mtl.heads.RegressionHead
        tasks = [mtl.Task("a", head()), mtl.Task("b", head(), gradient="stop")]
        with pytest.warns(UserWarning, match="no feature that two tasks train"):
            mtl.MultiTaskModel(backbone, tasks, "upgrad")


class TestFanOut(LayerTestCase):
    def test_layer(self):
        self.run_layer_test(
            FanOut, {"aggregator": balancing.Mean(), "num_tasks": 2}, RNG.normal(size=(4, 3, 2))
        )

    def test_gate(self):
        self.run_layer_test(WeightedGate, {}, RNG.normal(size=(4, 3)))

    def test_arguments(self):
        with pytest.raises(ValueError, match="aggregator='upgrad'"):
            FanOut("upgrad", 2)
        with pytest.raises(ValueError, match="num_tasks >= 1"):
            FanOut(balancing.UPGrad(), 0)
