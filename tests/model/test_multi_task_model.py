"""MultiTaskModel: wiring, training, logs, saving."""

from __future__ import annotations

import json
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import ops
from small_models import TASKS, set_weights, small_backbone, small_model, small_tasks

import mtlkit as mtl
from mtlkit.testing import gradients

#: Keras on PyTorch takes no other value than 1.
STEPS_PER_EXECUTION = 1 if keras.backend.backend() == "torch" else 3

LOGS = [
    "loss",
    "identity_loss",
    "identity_accuracy",
    "orientation_loss",
    "orientation_accuracy",
    "orientation_accuracy_within_1",
    "orientation_mae_degrees",
    "intensity_loss",
    "intensity_mae",
]


def numpy_losses(outputs, labels):
    """The three losses, sample by sample, in NumPy."""

    def cross_entropy(logits, y):
        logits = np.asarray(logits, "float64")
        log_sum = np.log(np.exp(logits).sum(axis=1))
        return log_sum - logits[np.arange(len(y)), y]

    return {
        "identity": cross_entropy(outputs["identity"], labels["identity"]),
        "orientation": cross_entropy(outputs["orientation"], labels["orientation"]),
        "intensity": (outputs["intensity"][:, 0].astype("float64") - labels["intensity"]) ** 2,
    }


def half_missing(labels):
    """Labels of which a different part is missing in each task, and which part is there."""
    rng = np.random.default_rng(3)
    there = {name: rng.random(len(y)) < 0.5 for name, y in labels.items()}
    partial = {
        name: np.where(there[name], y, np.nan if y.dtype.kind == "f" else -1).astype(y.dtype)
        for name, y in labels.items()
    }
    return partial, there


def task_gradients(model, x, y):
    """Gradients of the model's loss at all trainable weights."""
    return gradients(
        lambda: model.compute_loss(x, y, model(x, training=True)), model.trainable_variables
    )


@pytest.fixture(scope="module")
def trained(images, labels):
    """A model trained on partial labels, with validation, and its history."""
    keras.utils.set_random_seed(0)
    partial, _ = half_missing(labels)
    partial["orientation"][:16] = -1  # the first batch has no orientation at all
    model = mtl.MultiTaskModel(small_backbone(), small_tasks(intensity={"gradient": "stop"}))
    model.compile("adam")
    history = model.fit(
        images,
        partial,
        batch_size=16,
        epochs=3,
        shuffle=False,
        verbose=0,
        validation_data=(images, {"identity": labels["identity"]}),
    )
    return model, history.history


class TestTraining:
    def test_logs_have_stable_names(self, trained):
        _, history = trained
        assert set(history) == {*LOGS, *(f"val_{name}" for name in LOGS)}

    def test_partial_labels_give_finite_losses(self, trained):
        _, history = trained
        assert all(np.isfinite(history[name]).all() for name in LOGS)

    def test_a_task_without_labels_has_no_score(self, trained):
        _, history = trained
        assert np.isnan(history["val_orientation_accuracy"]).all()
        assert np.isnan(history["val_orientation_loss"]).all()
        assert np.isfinite(history["val_identity_loss"]).all()
        np.testing.assert_allclose(history["val_loss"], history["val_identity_loss"], rtol=1e-5)

    def test_first_fit_adapts_the_normalisation(self, trained, images):
        model, _ = trained
        np.testing.assert_allclose(
            model.backbone.normalization.mean, [images.mean(dtype="float64")], rtol=1e-5
        )
        np.testing.assert_allclose(
            model.backbone.normalization.variance, [images.var(dtype="float64")], rtol=1e-4
        )

    def test_second_fit_does_not_adapt_again(self, trained, images, labels):
        model, _ = trained
        before = ops.convert_to_numpy(model.backbone.normalization.mean)
        model.fit(images * 3, labels, batch_size=16, verbose=0)
        np.testing.assert_array_equal(before, model.backbone.normalization.mean)

    def test_evaluate_matches_numpy(self, trained, images, labels):
        model, _ = trained
        partial, there = half_missing(labels)
        # 48 samples in batches of 20: the last batch is smaller.
        scores = model.evaluate(images, partial, batch_size=20, verbose=0, return_dict=True)
        outputs = model.predict(images, verbose=0)
        losses = numpy_losses(outputs, labels)
        losses["intensity"] /= labels["intensity"][~np.isnan(partial["intensity"])].var()
        for name in TASKS:
            expected = losses[name][there[name]].mean()
            assert scores[f"{name}_loss"] == pytest.approx(expected, rel=1e-4), name
        right = outputs["identity"].argmax(axis=1) == labels["identity"]
        assert scores["identity_accuracy"] == pytest.approx(right[there["identity"]].mean())
        error = np.abs(outputs["intensity"][:, 0] - labels["intensity"])[there["intensity"]]
        assert scores["intensity_mae"] == pytest.approx(error.mean(), rel=1e-4)

    def test_one_task_keeps_its_prefix(self, images, labels):
        head = mtl.heads.RegressionHead(hidden_units=0)
        model = mtl.MultiTaskModel(small_backbone(), [mtl.Task("intensity", head)])
        model.compile("sgd")
        y = {"intensity": labels["intensity"]}
        history = model.fit(images, y, verbose=0, validation_split=0.25).history
        names = ["loss", "intensity_loss", "intensity_mae"]
        assert set(history) == {*names, *(f"val_{name}" for name in names)}

    def test_normalisation_does_not_see_the_validation_split(self, images, labels):
        head = mtl.heads.RegressionHead(hidden_units=0)
        model = mtl.MultiTaskModel(small_backbone(), [mtl.Task("intensity", head)])
        model.compile("sgd")
        x = images.copy()
        x[36:] += 100
        y = {"intensity": labels["intensity"]}
        model.fit(x, y, validation_split=0.25, verbose=0)
        np.testing.assert_allclose(model.backbone.normalization.mean, [x[:36].mean()], rtol=1e-5)

    def test_same_seed_gives_same_losses(self, images, labels):
        def losses():
            keras.utils.set_random_seed(7)
            model = small_model()
            model.compile("adam")
            return model.fit(images, labels, batch_size=16, epochs=2, verbose=0).history["loss"]

        assert losses() == losses()

    def test_losses_are_the_same_on_all_backends(self, images, labels):
        # Recorded once on TensorFlow; each backend must reproduce them, dropout and all.
        file = Path(__file__).parents[1] / "data" / "losses_20_steps.json"
        model = small_model("polar", orientation={"weight": 0.5})
        head = mtl.heads.OrientationHead(8, "polar", filters=(4,), hidden_units=5)
        model = model.with_head("orientation", head)
        set_weights(model)
        model.compile(keras.optimizers.Adam(0.01))
        partial, _ = half_missing(labels)
        losses = []
        for step in range(20):
            batch = slice(step % 3 * 16, step % 3 * 16 + 16)
            y = {name: values[batch] for name, values in partial.items()}
            model.reset_metrics()
            logs = model.train_on_batch(images[batch], y, return_dict=True)
            losses.append([float(logs[f"{name}_loss"]) for name in TASKS])
        np.testing.assert_allclose(losses, json.loads(file.read_text()), atol=1e-4)

    @pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="of TensorFlow's graphs")
    def test_a_step_is_traced_once(self, images, labels, monkeypatch):
        model, traces = small_model(), []
        compute_loss = model.compute_loss
        monkeypatch.setattr(
            model, "compute_loss", lambda *a, **k: traces.append(1) or compute_loss(*a, **k)
        )
        model.compile("adam")
        model.fit(images, labels, batch_size=16, verbose=0)
        assert len(traces) == 1


class TestLoss:
    def test_total_is_the_weighted_sum(self, images, labels):
        model = small_model(identity={"weight": 0.5}, orientation={"weight": 3.0})
        outputs = model(images)
        losses = numpy_losses({k: ops.convert_to_numpy(v) for k, v in outputs.items()}, labels)
        total = ops.convert_to_numpy(model.compute_loss(images, labels, outputs))
        expected = (
            0.5 * losses["identity"].mean()
            + 3 * losses["orientation"].mean()
            + losses["intensity"].mean()
        )
        assert total == pytest.approx(expected, rel=1e-5)

    def test_gradient_with_missing_labels_is_that_of_the_labelled_subset(self, images, labels):
        model = small_model()
        partial, there = half_missing(labels)
        for name in TASKS:
            subset = {name: labels[name][there[name]]}
            expected = task_gradients(model, images[there[name]], subset)
            received = task_gradients(model, images, {name: partial[name]})
            for one, two in zip(received, expected, strict=True):
                np.testing.assert_allclose(one, two, rtol=5e-6, atol=1e-6)

    def test_a_batch_without_labels_of_a_task_adds_nothing(self, images, labels):
        model = small_model()
        absent = {name: labels[name] for name in ("identity", "intensity")}
        empty = {**absent, "orientation": np.full(48, -1)}
        nan = {**absent, "intensity": np.full(48, np.nan, "float32")}
        assert float(model.compute_loss(images, empty, model(images))) == pytest.approx(
            float(model.compute_loss(images, absent, model(images)))
        )
        assert np.isfinite(float(model.compute_loss(images, nan, model(images))))
        for one, two in zip(
            task_gradients(model, images, empty),
            task_gradients(model, images, absent),
            strict=True,
        ):
            np.testing.assert_allclose(one, two, atol=1e-7)

    def test_sample_weights_for_some_tasks_only(self, images, labels):
        model = small_model()
        outputs = model(images)
        weight = np.random.default_rng(5).random(48).astype("float32")
        losses = numpy_losses({k: ops.convert_to_numpy(v) for k, v in outputs.items()}, labels)
        total = model.compute_loss(images, labels, outputs, sample_weight={"identity": weight})
        expected = (
            (losses["identity"] * weight).mean()
            + losses["orientation"].mean()
            + losses["intensity"].mean()
        )
        assert float(total) == pytest.approx(expected, rel=1e-5)
        total = model.compute_loss(images, labels, outputs, sample_weight=weight)
        expected = sum((loss * weight).mean() for loss in losses.values())
        assert float(total) == pytest.approx(expected, rel=1e-5)

    def test_fit_and_evaluate_take_sample_weights_for_some_tasks(self, images, labels):
        model = small_model()
        model.compile(keras.optimizers.SGD(0.0))
        weight = {"identity": np.random.default_rng(5).random(48).astype("float32")}
        y = {name: labels[name] for name in ("identity", "orientation")}
        expected = float(model.compute_loss(images, y, model(images), weight))
        options = {"sample_weight": weight, "batch_size": 48, "verbose": 0}
        fitted = model.fit(images, y, validation_data=(images, y, weight), **options).history
        assert fitted["loss"] == pytest.approx([expected], rel=1e-5)
        assert fitted["val_loss"] == pytest.approx([expected], rel=1e-5)
        evaluated = model.evaluate(images, y, return_dict=True, **options)
        assert evaluated["loss"] == pytest.approx(expected, rel=1e-5)

    @pytest.mark.parametrize("gradient, factor", [("stop", 0.0), (0.25, 0.25), (-1.0, -1.0)])
    def test_gradient_policy_scales_what_reaches_the_backbone(
        self, images, labels, gradient, factor
    ):
        plain = small_model()
        gated = small_model(intensity={"gradient": gradient})
        set_weights(plain)
        set_weights(gated)
        y = {"intensity": labels["intensity"]}
        backbone = len(plain.backbone.trainable_variables)
        one = task_gradients(gated, images, y)
        two = task_gradients(plain, images, y)
        assert any(np.abs(g).max() > 1e-4 for g in two[:backbone])
        for index, (received, flowing) in enumerate(zip(one, two, strict=True)):
            scale = factor if index < backbone else 1.0
            np.testing.assert_allclose(received, scale * flowing, atol=1e-6)

    def test_regularisation_losses_are_added(self, images, labels):
        dense = keras.layers.Dense(3, kernel_regularizer="l2")
        backbone = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), dense])
        head = mtl.heads.RegressionHead(hidden_units=0)
        model = mtl.MultiTaskModel(backbone, [mtl.Task("intensity", head)])
        y = {"intensity": labels["intensity"]}
        outputs = model(images)
        error = ops.convert_to_numpy(outputs["intensity"])[:, 0] - labels["intensity"]
        penalty = 0.01 * np.sum(ops.convert_to_numpy(dense.kernel) ** 2)
        total = float(model.compute_loss(images, y, outputs))
        assert total == pytest.approx(np.mean(error**2) + penalty, rel=1e-4)

    def test_a_tasks_own_loss_and_metrics(self, images, labels):
        changes = {"loss": "mean_absolute_error", "metrics": ["mean_squared_error"]}
        model = small_model(
            intensity=changes, identity={"metrics": ["accuracy"]}, orientation={"metrics": []}
        )
        model.compile("sgd")
        scores = model.evaluate(images, labels, verbose=0, return_dict=True)
        outputs = model.predict(images, verbose=0)
        error = np.abs(outputs["intensity"][:, 0] - labels["intensity"])
        assert scores["intensity_loss"] == pytest.approx(error.mean(), rel=1e-4)
        assert scores["intensity_mean_squared_error"] == pytest.approx((error**2).mean(), rel=1e-4)
        right = outputs["identity"].argmax(axis=1) == labels["identity"]
        assert scores["identity_accuracy"] == pytest.approx(right.mean())
        assert "orientation_accuracy" not in scores

    def test_weights_change_without_compiling(self, images, labels):
        model = small_model()
        model.compile(keras.optimizers.SGD(0.0))
        before = model.train_on_batch(images, labels, return_dict=True)
        model.task_weights["identity"].assign(0.0)
        model.task_weights["orientation"].assign(2.0)
        model.reset_metrics()
        after = model.train_on_batch(images, labels, return_dict=True)
        assert before["loss"] == pytest.approx(
            sum(float(before[f"{name}_loss"]) for name in TASKS), rel=1e-5
        )
        assert after["loss"] == pytest.approx(
            2 * float(after["orientation_loss"]) + float(after["intensity_loss"]), rel=1e-5
        )


class TestKerasFeatures:
    def test_plain_keras_trains_the_same(self, images, labels):
        """The same layers in a functional model, with plain compile, end at the same weights."""
        model = small_model()
        set_weights(model)
        backbone = small_backbone()
        backbone.set_weights(model.backbone.get_weights())
        heads = {task.name: task.head for task in small_tasks()}
        inputs = keras.Input((8, 8, 1))
        features = backbone(inputs)["stage2"]
        outputs = {}
        for name, head in heads.items():
            head.name = name
            outputs[name] = head(features)
            head.set_weights(model.tasks[name].head.get_weights())
        heads["intensity"].adapt(labels["intensity"])
        plain = keras.Model(inputs, outputs)
        plain.compile(
            keras.optimizers.Adam(0.01),
            loss={name: head.default_loss() for name, head in heads.items()},
            metrics={name: head.default_metrics() for name, head in heads.items()},
        )
        model.compile(keras.optimizers.Adam(0.01))
        options = {"batch_size": 16, "epochs": 3, "shuffle": False, "verbose": 0}
        history = model.fit(images, labels, **options).history
        expected = plain.fit(images, labels, **options).history
        for name in LOGS:
            np.testing.assert_allclose(history[name], expected[name], rtol=1e-5)
        for name, head in heads.items():
            pairs = zip(head.get_weights(), model.tasks[name].head.get_weights(), strict=True)
            for one, two in pairs:
                np.testing.assert_allclose(one, two, atol=1e-6)

    def test_tf_data_pydataset_and_generator(self, images, labels):
        import tensorflow as tf

        class Batches(keras.utils.PyDataset):
            def __len__(self):
                return 3

            def __getitem__(self, index):
                part = slice(16 * index, 16 * index + 16)
                return images[part], {name: y[part] for name, y in labels.items()}

        batches = Batches()

        def run(data, **options):
            model = mtl.MultiTaskModel(small_backbone(), small_tasks())
            set_weights(model)
            model.compile("sgd")
            history = model.fit(data, verbose=0, shuffle=False, **options).history
            return history["loss"], float(ops.convert_to_numpy(model.backbone.normalization.count))

        arrays = mtl.MultiTaskModel(small_backbone(), small_tasks())
        set_weights(arrays)
        arrays.compile("sgd")
        options = {"batch_size": 16, "shuffle": False, "verbose": 0}
        expected = arrays.fit(images, labels, **options).history["loss"]
        dataset = tf.data.Dataset.from_tensor_slices((images, labels)).batch(16)
        for data, steps in (
            (dataset, {}),
            (dataset.repeat(), {"steps_per_epoch": 3}),
            (batches, {}),
            ((batches[i] for i in range(3)), {"steps_per_epoch": 3}),
        ):
            losses, seen = run(data, **steps)
            np.testing.assert_allclose(losses, expected, rtol=1e-5)
            assert seen == images.size  # and no batch of the generator was lost

    @pytest.mark.parametrize(
        "compile_options, optimizer_options",
        [
            ({"steps_per_execution": STEPS_PER_EXECUTION}, {}),
            ({}, {"gradient_accumulation_steps": 2}),
            ({}, {"clipnorm": 1e-6}),
        ],
        ids=["steps_per_execution", "gradient_accumulation", "clipping"],
    )
    def test_training_options(self, images, labels, compile_options, optimizer_options):
        model = small_model()
        set_weights(model)
        before = [ops.convert_to_numpy(v).copy() for v in model.trainable_variables]
        optimizer = keras.optimizers.SGD(1.0, **optimizer_options)
        model.compile(optimizer, **compile_options)
        history = model.fit(images, labels, batch_size=12, epochs=2, shuffle=False, verbose=0)
        assert np.isfinite(history.history["loss"]).all()
        moved = max(
            np.abs(ops.convert_to_numpy(v) - b).max()
            for v, b in zip(model.trainable_variables, before, strict=True)
        )
        if "clipnorm" in optimizer_options:
            assert 0 < moved < 1e-5
        else:
            assert moved > 1e-4

    def test_accumulated_gradients_are_those_of_the_joined_batch(self, images, labels):
        """Two accumulated halves with all labels are one step on the whole."""

        def weights_after(batch_size, **options):
            model = small_model()
            set_weights(model)
            model.compile(keras.optimizers.SGD(0.1, **options))
            model.fit(images, labels, batch_size=batch_size, shuffle=False, verbose=0)
            return model.get_weights()

        whole, halves = weights_after(48), weights_after(24, gradient_accumulation_steps=2)
        for one, two in zip(whole, halves, strict=True):
            np.testing.assert_allclose(one, two, atol=1e-6)

    def test_mixed_bfloat16(self, images, labels, tmp_path):
        keras.config.set_dtype_policy("mixed_bfloat16")
        model = small_model("polar")
        model.compile("adam")
        history = model.fit(images, labels, epochs=2, batch_size=16, verbose=0).history
        assert np.isfinite(history["loss"]).all()
        outputs = model.predict(images, verbose=0)
        assert all(output.dtype == np.float32 for output in outputs.values())
        assert {v.dtype for v in model.trainable_variables} == {"float32"}
        model.save(tmp_path / "model.keras")
        keras.config.set_dtype_policy("float32")
        loaded = keras.models.load_model(tmp_path / "model.keras")
        for name, output in loaded.predict(images, verbose=0).items():
            np.testing.assert_allclose(output, outputs[name], atol=1e-6)

    def test_frozen_backbone(self, images, labels):
        model = small_model()
        model.compile("sgd")
        model.freeze_backbone()
        with pytest.raises(ValueError, match="compile"):
            model.fit(images, labels, verbose=0)
        model.compile("sgd")
        backbone = [w.copy() for w in model.backbone.get_weights()]
        head = [w.copy() for w in model.tasks["identity"].head.get_weights()]
        model.fit(images, labels, verbose=0)
        for one, two in zip(backbone, model.backbone.get_weights(), strict=True):
            np.testing.assert_array_equal(one, two)
        changed = zip(head, model.tasks["identity"].head.get_weights(), strict=True)
        assert any(np.any(one != two) for one, two in changed)
        model.unfreeze_backbone()
        model.compile("sgd")
        model.fit(images, labels, verbose=0)
        pairs = zip(backbone, model.backbone.get_weights(), strict=True)
        assert any(np.any(one != two) for one, two in pairs)

    def test_compile_takes_no_losses(self):
        model = small_model()
        for argument in ("loss", "metrics", "loss_weights", "weighted_metrics"):
            with pytest.raises(ValueError, match=rf"without {argument}: give it to the task"):
                model.compile("adam", **{argument: ["mse"]})


class TestSaving:
    def test_round_trip_keeps_everything(self, trained, images, tmp_path):
        model, _ = trained
        model.task_weights["identity"].assign(0.25)
        model.save(tmp_path / "model.keras")
        loaded = keras.models.load_model(tmp_path / "model.keras")
        model.task_weights["identity"].assign(1.0)
        assert type(loaded) is mtl.MultiTaskModel
        outputs = model.predict(images, verbose=0)
        for name, output in loaded.predict(images, verbose=0).items():
            np.testing.assert_array_equal(output, outputs[name])
        assert float(loaded.task_weights["identity"]) == 0.25
        assert loaded.tasks["intensity"].gradient == "stop"
        assert loaded.backbone.adapted
        assert len(loaded.weights) == len(model.weights)
        assert len(loaded.optimizer.variables) == len(model.optimizer.variables)
        pairs = zip(loaded.optimizer.variables, model.optimizer.variables, strict=True)
        for one, two in pairs:
            np.testing.assert_array_equal(
                ops.convert_to_numpy(one.value), ops.convert_to_numpy(two.value)
            )

    def test_resumed_training_equals_uninterrupted(self, images, labels, tmp_path):
        options = {"batch_size": 16, "shuffle": False, "verbose": 0}

        def fresh():
            keras.utils.set_random_seed(3)
            model = small_model(identity={"gradient": 0.5})
            head = mtl.heads.OrientationHead(8, spatial="flatten", dropout=0.5)
            model = model.with_head("orientation", head)
            set_weights(model)
            model.compile(keras.optimizers.Adam(0.01), steps_per_execution=STEPS_PER_EXECUTION)
            return model

        whole = fresh()
        whole.fit(images, labels, epochs=4, **options)
        first = fresh()
        first.fit(images, labels, epochs=2, **options)
        first.save(tmp_path / "model.keras")
        resumed = keras.models.load_model(tmp_path / "model.keras")
        assert resumed.steps_per_execution == STEPS_PER_EXECUTION
        assert isinstance(resumed.optimizer, keras.optimizers.Adam)
        resumed.fit(images, labels, initial_epoch=2, epochs=4, **options)
        for one, two in zip(whole.get_weights(), resumed.get_weights(), strict=True):
            np.testing.assert_allclose(one, two, atol=1e-7)

    def test_what_is_frozen_stays_frozen(self, images, labels, tmp_path):
        model = small_model()
        model.freeze_backbone()
        model.tasks["identity"].head.trainable = False
        model.compile("sgd")
        model.fit(images, labels, verbose=0)
        model.save(tmp_path / "model.keras")
        loaded = keras.models.load_model(tmp_path / "model.keras")
        assert len(loaded.trainable_weights) == len(model.trainable_weights) > 0
        frozen = [*loaded.backbone.get_weights(), *loaded.tasks["identity"].head.get_weights()]
        loaded.fit(images, labels, verbose=0)
        after = [*loaded.backbone.get_weights(), *loaded.tasks["identity"].head.get_weights()]
        for one, two in zip(frozen, after, strict=True):
            np.testing.assert_array_equal(one, two)
        loaded.unfreeze_backbone()
        assert len(loaded.backbone.trainable_weights) == 4

    def test_weights_file_and_config(self, trained, images, tmp_path):
        model, _ = trained
        model.save_weights(tmp_path / "model.weights.h5")
        clone = mtl.MultiTaskModel.from_config(model.get_config())
        clone.load_weights(tmp_path / "model.weights.h5")
        outputs = model.predict(images, verbose=0)
        for name, output in clone.predict(images, verbose=0).items():
            np.testing.assert_array_equal(output, outputs[name])

    def test_saved_model_names_outputs_by_task(self, trained, images, tmp_path):
        model, _ = trained
        if keras.backend.backend() == "torch":
            pytest.skip("Keras exports a SavedModel from PyTorch only with torch_xla, GPU-side")
        import tensorflow as tf

        model.export(tmp_path / "served", verbose=False)
        served = tf.saved_model.load(str(tmp_path / "served"))
        outputs = served.signatures["serving_default"](tf.constant(images))
        assert set(outputs) == set(TASKS)
        expected = model.predict(images, verbose=0)
        for name in TASKS:
            np.testing.assert_allclose(outputs[name], expected[name], atol=1e-5)

    def test_summary_and_plot(self, trained):
        model, _ = trained
        lines: list[str] = []
        model.summary(print_fn=lines.append)
        text = "\n".join(lines)
        dot = keras.utils.model_to_dot(model).to_string()
        for name in TASKS:
            assert name in text and name in dot


class TestTasks:
    def test_predict_tasks_decodes(self, trained, images):
        model, _ = trained
        decoded = model.predict_tasks(images, verbose=0)
        outputs = model.predict(images, verbose=0)
        np.testing.assert_array_equal(
            decoded["identity"]["label"], outputs["identity"].argmax(axis=1)
        )
        np.testing.assert_array_equal(decoded["intensity"]["value"], outputs["intensity"][:, 0])
        assert decoded["orientation"]["degrees"].shape == (48,)

    def test_objective(self, trained):
        model, _ = trained
        objective = model.objective("orientation")
        assert (objective.name, objective.direction) == ("val_orientation_accuracy", "max")
        assert model.objective("intensity").direction == "min"
        loss = model.objective("identity", "loss")
        assert (loss.name, loss.direction) == ("val_identity_loss", "min")
        assert model.objective("orientation", "mae_degrees", "min").direction == "min"
        assert model.objective("orientation", "mae_degrees").direction == "min"  # by its name
        with pytest.raises(ValueError, match="nonsense"):
            model.objective("orientation", "nonsense")

    def test_objective_of_metrics_of_the_users_own(self):
        def share(y_true, y_pred):
            return ops.mean(y_pred, axis=-1)

        def objective(*metrics, **asked):
            head = mtl.heads.ClassificationHead(2)
            task = mtl.Task("a", head, metrics=list(metrics))
            model = mtl.MultiTaskModel(mtl.backbones.DenseBackbone(3, units=(4,)), task)
            found = model.objective("a", **asked)
            return found.name.removeprefix("val_a_"), found.direction

        area = keras.metrics.AUC(curve="PR", name="area")
        assert objective(area, "recall") == ("area", "max")
        assert objective("recall", "accuracy") == ("accuracy", "max")  # the head's primary one
        assert objective(share, keras.metrics.FalseNegatives(name="missed")) == ("loss", "min")
        assert objective(share, metric="share", direction="max") == ("share", "max")
        with pytest.raises(ValueError, match="'a': expected direction"):
            objective(share, metric="share")

    def test_task_model_shares_weights(self, trained, images, tmp_path):
        model, _ = trained
        alone = model.task_model("orientation")
        expected = model.predict(images, verbose=0)["orientation"]
        np.testing.assert_allclose(alone.predict(images, verbose=0), expected, atol=1e-6)
        alone.save(tmp_path / "alone.keras")
        loaded = keras.models.load_model(tmp_path / "alone.keras")
        np.testing.assert_allclose(loaded.predict(images, verbose=0), expected, atol=1e-6)
        ids = {id(v) for v in model.weights}
        assert all(id(v) in ids for v in alone.weights)
        with pytest.raises(ValueError, match="nonsense"):
            model.task_model("nonsense")

    def test_with_head_shares_the_rest(self, images, labels):
        model = small_model(identity={"weight": 2.0, "gradient": 0.5})
        model.task_weights["identity"].assign(0.75)
        head = mtl.heads.OrientationHead(8, filters=(4,), hidden_units=4)
        swapped = model.with_head("orientation", head)
        assert swapped.backbone is model.backbone
        assert swapped.tasks["identity"].head is model.tasks["identity"].head
        assert swapped.tasks["orientation"].head is head
        assert float(swapped.task_weights["identity"]) == 0.75
        assert swapped.tasks["identity"].gradient == 0.5
        old, new = model.predict(images, verbose=0), swapped.predict(images, verbose=0)
        np.testing.assert_allclose(old["identity"], new["identity"], atol=1e-6)
        swapped.compile("sgd")
        swapped.fit(images, labels, verbose=0)
        model.compile("sgd")
        assert np.isfinite(model.evaluate(images, labels, verbose=0, return_dict=True)["loss"])
        other = model.with_head("orientation", mtl.heads.OrientationHead(8), feature="stage1")
        assert other.tasks["orientation"].feature == "stage1"

    def test_default_feature_is_the_heads_choice_else_the_last(self):
        model = small_model("polar")
        polar = model.tasks["orientation"].head.design
        assert polar.resample.compute_output_shape((None, 8, 8, 1))[-1] == 1
        assert model.tasks["orientation"].head.default_feature == "input"
        flat = small_model("flatten").tasks["orientation"].head.design.steps[0]
        assert flat.kernel.shape[0] == 4 * 4 * 6  # flattened stage2
        explicit = mtl.MultiTaskModel(
            small_backbone(), small_tasks("polar", orientation={"feature": "stage2"})
        )
        gathered = explicit.tasks["orientation"].head.design.convs[0].conv.kernel
        assert gathered.shape[2] == 6

    def test_a_tapped_backbone_runs_once(self):
        inputs = keras.Input((8, 8, 1))
        x = keras.layers.BatchNormalization(momentum=0.5, name="norm")(inputs)
        backbone = keras.Model(inputs, keras.layers.Flatten()(x))
        tasks = [
            mtl.Task("a", mtl.heads.RegressionHead(), feature="norm"),
            mtl.Task("b", mtl.heads.RegressionHead()),
        ]
        model = mtl.MultiTaskModel(backbone, tasks)
        model.compile(keras.optimizers.SGD(0.0))
        x = np.ones((4, 8, 8, 1), "float32")
        model.train_on_batch(x, {"a": np.ones(4), "b": np.ones(4)})
        np.testing.assert_allclose(backbone.get_layer("norm").moving_mean, [0.5])

    def test_gates_keep_their_scale_when_a_head_is_swapped(self):
        model = small_model(identity={"gradient": 0.5}, intensity={"gradient": 0.5})
        model.get_layer("identity_gradient").scale.assign(0.125)
        swapped = model.with_head("intensity", mtl.heads.RegressionHead(), gradient=0.25)
        assert float(swapped.get_layer("identity_gradient").scale) == 0.125
        assert float(swapped.get_layer("intensity_gradient").scale) == 0.25

    @pytest.mark.parametrize("kind", ["functional", "sequential", "layer", "subclass", "dict"])
    def test_any_backbone(self, kind, images, labels, tmp_path):
        inputs = keras.Input((8, 8, 1))
        hidden = keras.layers.Conv2D(3, 3, activation="relu", name="hidden")
        pool = keras.layers.GlobalAveragePooling2D(name="pool")
        options = {}
        if kind == "functional":
            backbone = keras.Model(inputs, pool(hidden(inputs)))
        elif kind == "sequential":
            backbone = keras.Sequential([inputs, hidden, pool])
        elif kind == "dict":
            x = hidden(inputs)
            backbone = keras.Model(inputs, {"hidden": x, "pool": pool(x)})
        elif kind == "layer":
            backbone, options = hidden, {"input_shape": (8, 8, 1)}
        else:
            backbone, options = SubclassBackbone(), {"input_shape": (8, 8, 1)}
        tapped = "hidden" if kind in ("functional", "sequential", "dict") else None
        model = mtl.MultiTaskModel(
            backbone,
            [
                mtl.Task("identity", mtl.heads.ClassificationHead(4), feature=tapped),
                mtl.Task("intensity", mtl.heads.RegressionHead()),
            ],
            **options,
        )
        model.compile("sgd")
        y = {name: labels[name] for name in ("identity", "intensity")}
        assert np.isfinite(model.fit(images, y, verbose=0).history["loss"]).all()
        model.save(tmp_path / "model.keras")
        loaded = keras.models.load_model(tmp_path / "model.keras")
        outputs = model.predict(images, verbose=0)
        for name, output in loaded.predict(images, verbose=0).items():
            np.testing.assert_allclose(output, outputs[name], atol=1e-6)


@keras.saving.register_keras_serializable(package="mtlkit_tests")
class SubclassBackbone(keras.Model):
    """A model that is not a graph."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.conv = keras.layers.Conv2D(3, 3, activation="relu")

    def call(self, inputs):
        return self.conv(inputs)
