"""The monitor of interference: what it measures, what it claims, and that it changes nothing."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from small_models import set_weights, small_backbone, small_tasks

import mtlkit as mtl
from mtlkit.balancing import InterferenceMonitor
from mtlkit.callbacks import _scalars
from mtlkit.callbacks._interference import Interference, over_time, row_of
from mtlkit.model._task_gradients import TaskGradients

BOTH = ("features", "parameters")


# === Models that can be differentiated by hand ===


def linear_model(signs, weights=None, gradients=None, columns=5, features=4, **tasks):
    """Columns, a linear map, and a fixed readout for each task: `signs` times one direction."""
    backbone = keras.Sequential(
        [keras.Input((columns,)), keras.layers.Dense(features, use_bias=False, name="map")]
    )
    heads = {
        name: mtl.heads.RegressionHead(hidden_units=0, standardize=False, layer_norm=False)
        for name in signs
    }
    model = mtl.MultiTaskModel(
        backbone,
        [
            mtl.Task(
                name,
                head,
                weight=(weights or {}).get(name, 1.0),
                gradient=(gradients or {}).get(name, "flow"),
                loss="mean_squared_error",
            )
            for name, head in heads.items()
        ],
        **tasks,
    )
    for name, readout in signs.items():
        kernel, bias = heads[name].weights
        kernel.assign(np.reshape(readout, (features, 1)))
        bias.assign([0.0])
        heads[name].trainable = False
    return model


def columns_of(n=64, seed=0, columns=5):
    return np.random.default_rng(seed).normal(size=(n, columns)).astype("float32")


def fitted(model, x, y, monitor, epochs=1, rate=0.0, **kwargs):
    model.compile(keras.optimizers.SGD(rate))
    model.fit(x, y, epochs=epochs, batch_size=16, verbose=0, callbacks=[monitor], **kwargs)
    return monitor


def row(monitor, space, place, step=0):
    return next(r for r in monitor.history if (r.space, r.place, r.step) == (space, place, step))


def pair(monitor, first, second, space="features"):
    places = ("backbone",) if space == "parameters" else None
    return next(
        r
        for r in monitor.table()
        if (r["first"], r["second"], r["space"]) == (first, second, space)
        and (places is None or r["place"] in places)
    )


def test_against_derivatives_by_hand():
    """A linear map W and linear readouts v: all gradients are known in closed form."""
    rng = np.random.default_rng(3)
    readouts = {"a": rng.normal(size=4), "b": rng.normal(size=4), "c": rng.normal(size=4)}
    weights, gates = {"a": 2.0, "b": 1.0, "c": 0.5}, {"c": 0.25}
    x = columns_of()
    y = {name: rng.normal(size=64).astype("float32") for name in readouts}
    y["b"][5:20] = np.nan
    model = linear_model(readouts, weights, gates)
    monitor = InterferenceMonitor(x, y, space=BOTH, verbose=0)
    fitted(model, x, y, monitor)

    kernel = keras.ops.convert_to_numpy(model.backbone.trainable_variables[0]).astype("float64")
    at_map, at_kernel = [], []
    for name, readout in readouts.items():
        error = (x @ kernel) @ readout - np.nan_to_num(y[name])
        error = np.where(np.isnan(y[name]), 0, error) / np.sum(~np.isnan(y[name]))
        factor = 2 * weights[name] * gates.get(name, 1.0)
        gradient = factor * error[:, None] * readout[None]  # of each sample at the map
        at_map.append(gradient.ravel())
        at_kernel.append((x.T @ gradient).ravel())
    for space, place, rows in (
        ("features", "last", at_map),
        ("parameters", "backbone", at_kernel),
        ("parameters", "map", at_kernel),
    ):
        found, rows = row(monitor, space, place), np.array(rows)
        norms = np.linalg.norm(rows, axis=1)
        np.testing.assert_allclose(found.norms, norms, rtol=1e-4)
        np.testing.assert_allclose(found.cosines, rows @ rows.T / np.outer(norms, norms), atol=1e-4)
        np.testing.assert_allclose(found.ratios, norms[:, None] / norms[None], rtol=1e-4)
        np.testing.assert_allclose(found.shares, norms / norms.sum(), rtol=1e-4)


def test_against_finite_differences():
    """The first layer of a convolutional backbone, by central differences of each task's loss."""
    x = np.random.default_rng(0).random((16, 8, 8, 1)).astype("float32")
    y = {"intensity": x.mean((1, 2, 3)), "identity": np.arange(16) % 4}
    tasks = [one for one in small_tasks(intensity={"weight": 3.0}) if one.name in y]
    model = mtl.MultiTaskModel(small_backbone(normalize=False), tasks)
    set_weights(model)
    model.tasks["intensity"].head.adapt(y["intensity"])
    gradients = TaskGradients(model, features=False, parameters=True)
    found = gradients.measure([(x, y, None)]).layers["conv1"][0, :, 0]

    def losses():
        outputs = model(x)
        values = [task.head.training_loss()(y[name], outputs[name]) for name, task in loss_order]
        return np.array([float(keras.ops.convert_to_numpy(value)) for value in values]) * [
            3.0 if name == "intensity" else 1.0 for name, _ in loss_order
        ]

    loss_order = list(model.tasks.items())
    width, numbers = 1e-3, []
    for variable in model.backbone.trainable_variables[:2]:
        start = np.array(keras.ops.convert_to_numpy(variable))
        for place in np.ndindex(start.shape):
            ends = []
            for sign in (1, -1):
                moved = start.copy()
                moved[place] += sign * width
                variable.assign(moved)
                ends.append(losses())
            numbers.append((ends[0] - ends[1]) / (2 * width))
        variable.assign(start)
    expected = np.array(numbers).T @ np.array(numbers)
    np.testing.assert_allclose(found, expected, rtol=0.02, atol=0.005 * expected.max())


def test_cross_cosines_are_averages_over_halves():
    """The closed form against all ways to halve the groups; errors against the jackknife."""
    from itertools import combinations

    rng = np.random.default_rng(0)
    groups, tasks, size = 6, 3, 20
    gradients = rng.normal(size=(groups, tasks, size)) + rng.normal(size=(tasks, size))
    samples = np.full((groups, tasks), 8.0)

    def halves(gradients):
        chosen = [list(c) for c in combinations(range(len(gradients)), len(gradients) // 2)]
        dots, squares = [], []
        for half in chosen:
            rest = [g for g in range(len(gradients)) if g not in half]
            one, other = gradients[half].mean(0), gradients[rest].mean(0)
            dots.append((one @ other.T + other @ one.T) / 2)
            squares.append((np.diag(one @ one.T) + np.diag(other @ other.T)) / 2)
        lengths = np.sqrt(np.mean(squares, axis=0))
        return np.mean(dots, axis=0) / np.outer(lengths, lengths)

    products = np.einsum("gax,hbx->gahb", gradients, gradients)
    found = row_of(0, "parameters", "backbone", "abc", products, samples, np.ones(tasks))
    np.testing.assert_allclose(found.cross_cosines, halves(gradients), atol=1e-10)
    np.testing.assert_allclose(found.self_cosines, np.diag(halves(gradients)), atol=1e-10)
    roots = np.sqrt(found.self_cosines)
    np.testing.assert_allclose(found.corrected, found.cross_cosines / np.outer(roots, roots))
    whole = gradients.mean(0)
    norms = np.linalg.norm(whole, axis=1)
    np.testing.assert_allclose(found.cosines, whole @ whole.T / np.outer(norms, norms))


def test_noise_has_no_corrected_cosine():
    rng = np.random.default_rng(0)
    gradients = rng.normal(size=(8, 2, 500))
    products = np.einsum("gax,hbx->gahb", gradients, gradients)
    found = row_of(0, "parameters", "backbone", "ab", products, np.ones((8, 2)), np.ones(2))
    assert np.isnan(found.corrected).all() and np.abs(found.self_cosines).max() < 0.2


def test_intervals_cover_the_truth():
    """Cosines of two directions seen through noise: 95 % intervals hold the sign of the truth."""
    rng = np.random.default_rng(0)
    wrong = 0
    for _ in range(200):
        noise = rng.normal(size=(8, 2, 30))
        noise[:, 1] += 0.7 * noise[:, 0]  # noise in common, which is no agreement
        truth = np.zeros((2, 30))
        truth[0, 0] = truth[1, 1] = 1.0  # orthogonal
        gradients = truth + noise
        products = np.einsum("gax,hbx->gahb", gradients, gradients)
        found = row_of(0, "parameters", "backbone", "ab", products, np.ones((8, 2)), np.ones(2))
        cross, error = found.cross_cosines[0, 1], found.errors[0, 1]
        low, high = over_time(np.array([cross]), np.array([error]), 8, 1).interval
        wrong += high < 0 or low > 0
    assert wrong <= 16  # 5 % of 200, and three standard errors


def test_errors_do_not_average_out_over_measurements():
    values, errors = np.full(100, -0.1), np.full(100, 0.1)
    low, high = over_time(values, errors, 8, 1).interval
    assert high > 0 and high - low == pytest.approx(2 * 2.365 * 0.1, rel=1e-2)
    assert np.isnan(over_time(np.array([np.nan]), np.array([0.1]), 8, 1).mean)


# === What is claimed ===


@pytest.mark.parametrize("space", BOTH)
def test_planted_conflict_is_named(space):
    """The same readout of the same feature, opposed targets."""
    x = columns_of()
    target = 20 + x[:, 0]
    y = {"up": target, "down": -target}
    readout = [1.0, 0.0, 0.0, 0.0]
    monitor = InterferenceMonitor(x, y, every=2, space=space, verbose=0)
    fitted(linear_model({"up": readout, "down": readout}), x, y, monitor, epochs=2, rate=1e-3)
    found = pair(monitor, "up", "down", space)
    assert found["cosine"] < -0.9 and found["verdict"] == "conflict" and found["high"] < 0
    assert "Conflict beyond noise: 'up' and 'down', cosine -" in monitor.report()


@pytest.mark.parametrize("space", BOTH)
def test_planted_agreement_is_named(space):
    x = columns_of()
    y = {"one": x[:, 0] * 3, "other": x[:, 0] * 5}
    readout = [1.0, 0.0, 0.0, 0.0]
    monitor = InterferenceMonitor(x, y, every=2, space=space, verbose=0)
    fitted(linear_model({"one": readout, "other": readout}), x, y, monitor, epochs=2, rate=1e-3)
    found = pair(monitor, "one", "other", space)
    assert found["cosine"] > 0.9 and found["verdict"] == "agreement"
    report = monitor.report()
    assert "No pair conflicts beyond noise" in report and "Agreement beyond noise: 'one'" in report
    if space == "parameters":
        assert found["corrected"] > 0.95


def test_unrelated_tasks_are_not_said_to_conflict():
    """Random labels of two kinds, 20 seeds: at most one false alarm."""
    backbone = mtl.backbones.DenseBackbone(5, units=(16,), normalize=False)
    heads = mtl.heads.ClassificationHead(3, hidden_units=8), mtl.heads.RegressionHead()
    names = ("kind", "value")
    tasks = [mtl.Task(name, head) for name, head in zip(names, heads, strict=True)]
    model = mtl.MultiTaskModel(backbone, tasks)
    model.compile(keras.optimizers.SGD(0.05), jit_compile=False)
    wrong, monitor = {"features": 0, "parameters": 0}, None
    for seed in range(20):
        rng = np.random.default_rng(seed)
        x = columns_of(96, seed)
        y = {"kind": rng.integers(3, size=96), "value": rng.normal(size=96).astype("float32")}
        monitor = monitor or InterferenceMonitor(x, y, every=6, space=BOTH, verbose=0)
        monitor.history, monitor._given = [], (x, y, None)  # compiled once
        set_weights(model, seed)
        model.fit(x, y, epochs=2, batch_size=16, verbose=0, callbacks=[monitor])
        for space in wrong:
            wrong[space] += pair(monitor, "kind", "value", space)["verdict"] == "conflict"
    assert max(wrong.values()) <= 1, wrong


def test_no_claim_of_tasks_that_share_few_labels():
    """Opposed targets again, but hardly a sample has both labels."""
    x = columns_of(128)
    target = 20 + x[:, 0]
    one, other = target.copy(), -target
    one[80:], other[:60] = np.nan, np.nan  # 20 of 128 in common
    readout = [1.0, 0.0, 0.0, 0.0]
    y = {"one": one, "other": other}
    monitor = InterferenceMonitor(x, y, space=BOTH, batch_size=32, verbose=0)
    fitted(linear_model({"one": readout, "other": readout}), x, y, monitor)
    for space in BOTH:
        found = pair(monitor, "one", "other", space)
        assert found["verdict"] == "no claim"
        assert found["overlap"] == pytest.approx(20 / 128)
    assert "No claim: 'one' and 'other' share 16% of their labelled samples" in monitor.report()
    assert "2604.07848" in monitor.report()


def test_classes_may_be_missing_and_tasks_without_labels():
    x = np.random.default_rng(0).random((48, 8, 8, 1)).astype("float32")
    y = {
        "identity": np.where(np.arange(48) % 2, np.arange(48) % 4, -1),
        "orientation": np.arange(48) % 8,
    }
    model = mtl.MultiTaskModel(small_backbone(), small_tasks())
    monitor = InterferenceMonitor(x, y, space=BOTH, verbose=0)
    model.compile("adam")
    model.fit(x, y, epochs=1, batch_size=16, verbose=0, callbacks=[monitor])
    assert {(r["first"], r["second"]) for r in monitor.table()} == {("identity", "orientation")}
    assert pair(monitor, "identity", "orientation")["overlap"] == 0.5
    assert np.isnan(row(monitor, "features", "last", 0).cosines[2, 2])


def test_dominance_is_said():
    x = columns_of()
    y = {"loud": x[:, 0] * 3, "quiet": x[:, 1] * 3}
    readouts = {"loud": [1.0, 0, 0, 0], "quiet": [0, 1.0, 0, 0]}
    monitor = InterferenceMonitor(x, y, verbose=0)
    fitted(linear_model(readouts, weights={"loud": 50.0}), x, y, monitor)
    assert "Dominant: 'loud' has 9" in monitor.report()


@pytest.mark.filterwarnings("ignore:Task 'other'. its weighted loss")  # a large one is the point
def test_weights_of_a_loss_weighting_count():
    x = columns_of()
    y = {"one": x[:, 0], "other": 100 * x[:, 0]}
    readout = [1.0, 0.0, 0.0, 0.0]
    found = {}
    for balancer in (None, "log", "upgrad"):
        monitor = InterferenceMonitor(x, y, verbose=0)
        keras.utils.set_random_seed(0)
        model = linear_model({"one": readout, "other": readout}, balancer=balancer)
        fitted(model, x, y, monitor)
        found[balancer] = row(monitor, "features", "last")
    losses = found[None].norms / found["log"].norms  # the derivative of a logarithm
    kernel = keras.ops.convert_to_numpy(model.backbone.trainable_variables[0])
    expected = [np.mean(((x @ kernel)[:, 0] - y[name]) ** 2) for name in y]
    np.testing.assert_allclose(losses, expected, rtol=1e-3)
    np.testing.assert_allclose(found["upgrad"].cosines, found[None].cosines, atol=1e-5)
    np.testing.assert_allclose(found["upgrad"].norms, found[None].norms, rtol=1e-5)


# === Training is as without it ===


def test_training_is_unchanged_bit_for_bit():
    """With batch normalisation, dropout, a balancer with state, and shuffled batches."""
    x = np.random.default_rng(0).random((64, 8, 8, 1)).astype("float32")
    y = {"identity": np.arange(64) % 4, "intensity": x.mean((1, 2, 3))}
    found = []
    for watched in (False, True):
        keras.utils.set_random_seed(0)
        heads = {
            "identity": mtl.heads.ClassificationHead(4, hidden_units=5, dropout=0.3),
            "intensity": mtl.heads.RegressionHead(hidden_units=5, dropout=0.3),
        }
        inner = mtl.backbones.ConvBackbone((8, 8, 1), filters=(4, 6), batch_norm=True)
        image = keras.Input((8, 8, 1))
        map_ = keras.layers.Dropout(0.2, name="dropped")(inner(image)["stage2"])
        model = mtl.MultiTaskModel(
            keras.Model(image, map_),
            [mtl.Task(name, head, gradient=0.5) for name, head in heads.items()],
            ("uw", "graddrop"),
        )
        model.compile("adam")
        monitor = InterferenceMonitor(x, y, every=2, space=BOTH, verbose=0)
        callbacks = [monitor] if watched else []
        kept = model.fit(
            x, y, epochs=2, batch_size=16, validation_split=0.25, verbose=0, callbacks=callbacks
        )
        state = [np.array(keras.ops.convert_to_numpy(v)) for v in model.variables]
        state += [np.array(keras.ops.convert_to_numpy(v)) for v in model.optimizer.variables]
        found.append((kept.history, state, np.random.random()))
    assert monitor.history[-1].step == 6
    (logs, state, drawn), (watched_logs, watched_state, watched_drawn) = found
    assert logs == watched_logs and drawn == watched_drawn
    for one, other in zip(state, watched_state, strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_model_can_still_be_saved_and_copied(tmp_path):
    x = columns_of()
    y = {"one": x[:, 0], "other": x[:, 1]}
    model = linear_model({"one": [1.0, 0, 0, 0], "other": [0, 1.0, 0, 0]}, balancer="pcgrad")
    fitted(model, x, y, InterferenceMonitor(x, y, verbose=0))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(*(m.predict(x, verbose=0)["one"] for m in (model, loaded)))
    assert model.task_model("one").predict(x, verbose=0).shape == (64, 1)


# === Any model ===


def test_adopted_model_of_several_inputs():
    left, right = keras.Input((3,), name="left"), keras.Input((2,), name="right")
    both = keras.layers.Concatenate()([left, right])
    shared = keras.layers.Dense(6, activation="relu", name="shared")(both)
    outputs = {
        "kind": keras.layers.Dense(3, activation="softmax", name="kind")(shared),
        "value": keras.layers.Dense(1, name="value")(shared),
    }
    plain = keras.Model({"left": left, "right": right}, outputs)
    plain.compile("adam", loss={"kind": "sparse_categorical_crossentropy", "value": "mse"})
    model = mtl.MultiTaskModel.from_keras(plain)
    columns = columns_of()
    x = {"left": columns[:, :3], "right": columns[:, 3:]}
    y = {"kind": np.arange(64) % 3, "value": columns[:, 0]}
    weights = {"kind": np.linspace(0, 1, 64).astype("float32")}
    monitor = InterferenceMonitor(x, y, space=BOTH, sample_weight=weights, verbose=0)
    model.fit(x, y, batch_size=16, verbose=0, callbacks=[monitor])
    assert {r["place"] for r in monitor.table()} >= {"backbone", "shared"}
    assert np.isfinite(row(monitor, "parameters", "backbone", 4).cosines).all()


def test_head_that_reads_the_image_and_several_maps():
    x = np.random.default_rng(0).random((48, 8, 8, 1)).astype("float32")
    y = {"pixels": (x[..., 0] > 0.5).astype("int32"), "intensity": x.mean((1, 2, 3))}
    heads = mtl.heads.DenseHead(num_classes=2), mtl.heads.RegressionHead(hidden_units=5)
    tasks = [mtl.Task(name, head) for name, head in zip(y, heads, strict=True)]
    model = mtl.MultiTaskModel(small_backbone(), tasks, "upgrad")
    monitor = InterferenceMonitor(x, y, space=BOTH, verbose=0)
    model.compile("adam")
    model.fit(x, y, batch_size=16, verbose=0, callbacks=[monitor])
    assert {r["place"] for r in monitor.table()} == {"stage2", "backbone", "conv1", "conv2"}
    assert np.isfinite(pair(monitor, "pixels", "intensity", "parameters")["cosine"])


def test_frozen_backbone_and_stopped_gradients(capsys):
    x = columns_of()
    y = {"one": x[:, 0], "other": x[:, 1]}
    readouts = {"one": [1.0, 0, 0, 0], "other": [0, 1.0, 0, 0]}
    frozen = linear_model(readouts)
    frozen.freeze_backbone()
    for head in frozen.tasks.values():
        head.head.trainable = True
    monitor = fitted(frozen, x, y, InterferenceMonitor(x, y, verbose=1))
    assert "nothing to measure, since no weight of the backbone is trained" in monitor.report()
    assert "nothing to measure" in capsys.readouterr().out
    assert monitor.history == [] and monitor.table() == []
    with pytest.raises(ValueError, match="has measured"):
        monitor.plot()
    stopped = linear_model(readouts, gradients={"one": "stop"})
    monitor = fitted(stopped, x, y, InterferenceMonitor(x, y, verbose=0))
    assert "fewer than two tasks train the backbone: ['other']" in monitor.report()


# === History, figures, logs ===


def readable_fit(monitor, model=None, **kwargs):
    x = columns_of()
    y = {"one": x[:, 0], "other": x[:, 1]}
    readouts = {"one": [1.0, 0.5, 0, 0], "other": [0.5, 1.0, 0, 0]}
    model = model or linear_model(readouts)
    if not model.compiled:
        model.compile(keras.optimizers.SGD(1e-3))
    return model, model.fit(x, y, epochs=2, batch_size=16, verbose=0, callbacks=[monitor], **kwargs)


def held():
    x = columns_of(seed=1)
    return x, {"one": x[:, 0], "other": x[:, 1]}


def test_history_continues():
    monitor = InterferenceMonitor(*held(), every=3, verbose=0)
    model, _ = readable_fit(monitor)
    assert [r.step for r in monitor.history] == [0, 3, 6, 8]
    readable_fit(monitor, model)
    assert [r.step for r in monitor.history] == [0, 3, 6, 8, 9, 12, 15, 16]
    model.compile("adam")  # counts its steps anew
    readable_fit(monitor, model)
    assert [r.step for r in monitor.history][-3:] == [18, 21, 24]


def test_history_goes_on_from_its_folder(tmp_path):
    first = InterferenceMonitor(*held(), every=3, log_dir=tmp_path, verbose=0)
    model, _ = readable_fit(first)
    second = InterferenceMonitor(*held(), every=3, log_dir=tmp_path, verbose=0)
    readable_fit(second, model)
    assert [r.step for r in second.history] == [0, 3, 6, 8, 9, 12, 15, 16]
    kept, own = second.history[1], first.history[1]
    assert isinstance(kept, Interference) and kept.tasks == own.tasks
    np.testing.assert_array_equal(kept.cosines, own.cosines)
    np.testing.assert_array_equal(kept.self_cosines, own.self_cosines)  # of NaN
    events = list(tmp_path.glob("events.*"))
    assert events and b"interference/features/last/cosine/one-other" in events[0].read_bytes()


def test_figure_is_saved(tmp_path):
    monitor = InterferenceMonitor(*held(), every=3, space=BOTH, verbose=0)
    readable_fit(monitor)
    figure = monitor.plot(tmp_path / "interference.png")
    assert (tmp_path / "interference.png").read_bytes().startswith(b"\x89PNG")
    titles = [ax.get_title(loc="left") for ax in figure.axes]
    assert "cosines at the map last" in titles and "cosines at the backbone" in titles


def test_report_is_printed_and_logs_are_left_alone(capsys):
    readable_fit(InterferenceMonitor(*held(), every=3))
    assert capsys.readouterr().out == ""  # as `fit`, which is silent
    _, kept = readable_fit(InterferenceMonitor(*held(), every=3, verbose=1))
    assert (
        "Gradients of 2 tasks at the feature map 'last' (3 measurements" in capsys.readouterr().out
    )
    assert not [log for log in kept.history if log.startswith("interference")]
    monitor = InterferenceMonitor(*held(), every=4, verbose=0, keras_logs=True)
    _, kept = readable_fit(monitor)
    np.testing.assert_allclose(
        kept.history["interference_one_other"],
        [r.cosines[1, 0] for r in monitor.history if r.step],
    )


def test_samples_that_are_used():
    x, y = columns_of(400), {"one": columns_of(400)[:, 0], "other": columns_of(400)[:, 1]}
    model = linear_model({"one": [1.0, 0, 0, 0], "other": [0, 1.0, 0, 0]})
    model.compile("sgd")
    sizes = {}
    for space in ("features", "parameters"):
        for size in (None, 32, 80):
            monitor = InterferenceMonitor(x, y, space=space, batch_size=size, verbose=0)
            monitor.set_model(model)
            monitor.on_train_begin()
            sizes[space, size] = monitor._size, len(monitor._batches)
    assert sizes == {
        ("features", None): (256, 8),
        ("features", 32): (256, 8),
        ("features", 80): (320, 4),
        ("parameters", None): (64, 8),
        ("parameters", 32): (128, 4),
        ("parameters", 80): (320, 4),
    }


@pytest.mark.skipif(keras.backend.backend() == "torch", reason="Keras has it not on PyTorch")
def test_several_steps_in_one_execution():
    x, y = held()
    model = linear_model({"one": [1.0, 0.5, 0, 0], "other": [0.5, 1.0, 0, 0]})
    model.compile(keras.optimizers.SGD(1e-3), steps_per_execution=2)
    monitor = InterferenceMonitor(x, y, every=3, verbose=0)
    model.fit(x, y, epochs=2, batch_size=16, verbose=0, callbacks=[monitor])
    assert [r.step for r in monitor.history] == [0, 4, 6, 8]


# === Errors ===


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"every": 0}, "every"),
        ({"batch_size": 1}, "batch_size"),
        ({"space": "weights"}, 'Expected space="features", "parameters"'),
        ({"space": ()}, "Received: space="),
        ({"y": np.zeros(64)}, "labels y by task"),
        ({"x": iter([])}, "next\\(iter\\(stream\\)\\)"),
    ],
)
def test_wrong_arguments(changes, message):
    x, y = held()
    with pytest.raises(ValueError, match=message):
        InterferenceMonitor(**{"x": x, "y": y, **changes})


def test_wrong_data_and_models():
    x, y = held()
    with pytest.raises(ValueError, match="at least 16 held samples.*Received: 10"):
        readable_fit(InterferenceMonitor(x[:10], {k: v[:10] for k, v in y.items()}))
    with pytest.raises(ValueError, match="at least 128 held samples.*batch_size=32"):
        readable_fit(InterferenceMonitor(x, y, batch_size=32))
    with pytest.raises(ValueError, match="held data of the InterferenceMonitor"):
        readable_fit(InterferenceMonitor(x, {**y, "one": y["one"][:5]}))
    plain = keras.Sequential([keras.Input((5,)), keras.layers.Dense(1)])
    plain.compile("sgd", loss="mse")
    with pytest.raises(ValueError, match="from_keras"):
        plain.fit(x, y["one"], verbose=0, callbacks=[InterferenceMonitor(x, y)])


def test_log_dir_needs_a_library(monkeypatch, tmp_path):
    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr(_scalars, "import_module", missing)
    monkeypatch.setitem(__import__("sys").modules, "tensorflow", None)
    with pytest.raises(ValueError, match="pip install tensorboard"):
        InterferenceMonitor(*held(), log_dir=tmp_path)
