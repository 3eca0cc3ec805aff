"""The joint space of heads and settings of a task, and its points as models."""

import json

import keras
import keras_tuner
import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from keras import ops
from random_spaces import points_of
from small_models import small_backbone, small_tasks

import mtlkit as mtl
from mtlkit.heads import ClassificationHead, HierarchicalHead, OrientationHead
from mtlkit.search import Candidate, HeadSpace
from mtlkit.search._interpreter import declare, decode, encode
from mtlkit.search._portfolio import PORTFOLIO
from mtlkit.space import Choice, Fixed, Float, When, check_point, sample

SETTINGS = ("feature", "gradient", "weight", "condition_on", "conditioning", "learning_rate")
#: JAX compiles each operation of each new shape.
EXAMPLES = 2 if keras.backend.backend() == "jax" else 5
#: Settings that leave the head alone to be searched.
PLAIN = {
    "feature": "auto",
    "gradient": "flow",
    "weight": 1.0,
    "condition_on": None,
    "learning_rate": 1e-3,
}
FAMILIES = [
    ("orientation", "classification"),
    ("orientation", "orientation"),
    ("orientation", "contrastive"),
    ("orientation", "hierarchical"),
    ("intensity", "regression"),
]


def adapted_backbone(**kwargs):
    backbone = small_backbone(**kwargs)
    backbone.adapt(np.random.default_rng(1).random((48, 8, 8, 1)))
    return backbone


def space_of(target="orientation", candidates=None, settings=None, tasks=None, **kwargs):
    tasks = small_tasks() if tasks is None else tasks
    return HeadSpace(adapted_backbone(), tasks, target, candidates, settings, **kwargs)


def test_heads_on_columns_need_no_maps():
    columns = keras.Sequential([keras.Input((6,)), keras.layers.Dense(4)])
    tasks = [mtl.Task("kind", ClassificationHead(3)), mtl.Task("size", mtl.heads.RegressionHead())]
    for target, families in {
        "kind": {"classification", "contrastive"},
        "size": {"regression"},
    }.items():
        space = HeadSpace(columns, tasks, target)
        points = space.initial_points()
        assert {point["family"] for point in points} == families
        assert all(space.build(point) for point in points)
        heads = [space.head_arguments(point) for point in points]
        assert target == "size" or all(own["hidden_units"] == 512 for own in heads)


def points_drawn(space, count):
    rng = np.random.default_rng(0)
    return [sample(space.space, rng) for _ in range(count)]


def weights(model):
    return [ops.convert_to_numpy(weight) for weight in model.weights]


def same_weights(first, second):
    pairs = zip(weights(first), weights(second), strict=True)
    return all(np.array_equal(one, other) for one, other in pairs)


def refused(point):
    """Whether a head says that the mean of a single channel cannot be normalised."""
    arguments = {name.partition(".")[2]: value for name, value in point.items()}
    return (
        point["feature"] == "input"
        and arguments.get("layer_norm", False)
        and arguments["pooling"] in ("average", "max")
        and not arguments.get("bottleneck")
    )


class TestPoints:
    @pytest.mark.parametrize(("target", "family"), FAMILIES)
    @settings(max_examples=EXAMPLES, phases=[Phase.generate])
    @given(data=st.data())
    def test_every_point_fits_a_batch_and_makes_one_model(self, target, family, data):
        space = space_of(target, [family])
        point = data.draw(points_of(space.space))
        check_point(space.space, point)
        if refused(point):
            with pytest.raises(ValueError, match=f"Task '{target}': .*layer_norm"):
                space.build(point)
            return
        model, again = space.build(point), space.build(point)
        assert same_weights(model, again)
        heads = [one.tasks[target].head.get_config() for one in (model, again)]
        assert heads[0] == heads[1]
        assert keras.tree.map_structure(
            np.shape, model.predict_on_batch(np.zeros((2, 8, 8, 1)))
        ) == {name: (2, *output.shape[1:]) for name, output in model.output.items()}
        model.compile(keras.optimizers.Adam(0.01), run_eagerly=True)
        rng = np.random.default_rng(0)
        y = {
            "identity": rng.integers(4, size=8),
            "orientation": rng.integers(8, size=8),
            "intensity": rng.random(8).astype("float32"),
        }
        logs = model.train_on_batch(rng.random((8, 8, 8, 1)).astype("float32"), y, return_dict=True)
        assert np.isfinite(logs["loss"]) and f"{target}_loss" in logs
        assert not same_weights(model, again)

    @pytest.mark.parametrize("target", ["orientation", "identity", "intensity"])
    def test_kept_as_json_and_restored(self, target):
        space = space_of(target)
        for point in points_drawn(space, 25):
            config = json.loads(json.dumps(space.config(point)))
            assert config["family"] == point["family"]
            assert config["learning_rate"] == point["learning_rate"]
            assert space.parsed(config["point"]) == point
            task = keras.saving.deserialize_keras_object(config["task"])
            assert type(task.head) is space.candidates[point["family"]].head
            found, expected = (
                {name: value for name, value in one.items() if name != "name"}
                for one in (task.head.get_config(), space.task(point).head.get_config())
            )
            assert found == expected
            assert (task.weight, task.gradient) == (point["weight"], point["gradient"])

    @pytest.mark.parametrize("target", ["orientation", "identity", "intensity"])
    def test_a_tuner_draws_them(self, target):
        space = space_of(target).space
        hp = keras_tuner.HyperParameters()
        declare(hp, space, target)
        oracle = keras_tuner.oracles.RandomSearchOracle(
            keras_tuner.Objective("score", "max"),
            max_trials=9,
            seed=1,
            hyperparameters=hp,
            allow_new_entries=False,
        )
        for _ in range(50):
            point = decode(oracle.populate_space("0")["values"], space, target)
            check_point(space, point)
            assert decode(encode(point, space, target), space, target) == point

    def test_other_points_and_runs_have_other_weights(self):
        space = space_of(candidates=["classification"], settings=PLAIN)
        first, second = space.initial_points()[:2]
        assert first != second
        models = [
            space.build(first),
            space.build(first, run=1),
            space_of(candidates=["classification"], settings=PLAIN, seed=1).build(first),
        ]
        seeds = {space.seed_of(first), space.seed_of(first, 1), space.seed_of(second)}
        assert len(seeds) == 3
        assert not same_weights(models[0], models[1]) and not same_weights(models[0], models[2])

    def test_the_order_of_arguments_does_not_matter(self):
        space = space_of()
        for point in points_drawn(space, 5):
            assert space.seed_of(dict(reversed(point.items()))) == space.seed_of(point)

    def test_what_was_drawn_before_does_not_matter(self):
        space = space_of(candidates=["orientation"], settings=PLAIN)
        point = space.initial_points()[0]
        first = space.build(point)
        keras.utils.set_random_seed(123)
        keras.layers.Dense(3)(np.ones((1, 2)))
        assert same_weights(space.build(point), first)

    def test_learning_rate_and_policy(self):
        keras.config.set_dtype_policy("mixed_bfloat16")
        space = space_of(candidates=["classification"], settings=PLAIN)
        keras.config.set_dtype_policy("float32")
        model = space.build(space.initial_points()[0])
        assert model.tasks["orientation"].head.dtype_policy.name == "mixed_bfloat16"
        assert float(model.optimizer.learning_rate) == pytest.approx(1e-3)


class TestInitialPoints:
    @pytest.mark.parametrize("target", ["orientation", "identity", "intensity"])
    def test_families_with_defaults_and_then_designs(self, target):
        space = space_of(target)
        found = space.initial_points()
        for point in found:
            check_point(space.space, point)
            assert not refused(point)
        keys = {json.dumps(point, default=repr, sort_keys=True) for point in found}
        assert len(keys) == len(found)
        names = list(space.candidates)
        rows = len(PORTFOLIO.get(type(space.given_task.head), ()))
        tried = [(p["family"], space.head_arguments(p)) for p in found[:rows]]
        points = {name: one.default_point() for name, one in space.candidates.items()}
        own = {
            n: {k: points[n][k] for k in space.candidates[n].searched() if k in points[n]}
            for n in names
        }
        new = [name for name in names if (name, own[name]) not in tried]
        assert [point["family"] for point in found[rows : rows + len(new)]] == new
        designs = {
            "classification": ("pooling", 4),
            "orientation": ("spatial", 9),
            "contrastive": ("loss", 5),
            "hierarchical": ("loss", 6),
            "regression": ("pooling", 4),
        }
        for name in names:
            argument, count = designs[name]
            own = {p[f"{name}.{argument}"] for p in found if p["family"] == name}
            assert len(own) == count
        task = next(task for task in small_tasks() if task.name == target)
        for point in found:
            assert (point["gradient"], point["weight"]) == (task.gradient, task.weight)
            assert point["feature"] == "auto"
        assert {point["condition_on"] for point in found[rows:]} == {None}

    def test_they_begin_with_what_the_task_has(self):
        tasks = small_tasks(orientation={"weight": 2, "gradient": "stop", "feature": "stage1"})
        for point in space_of(tasks=tasks).initial_points():
            found = [point[name] for name in ("weight", "gradient", "feature")]
            assert found == [2, "stop", "stage1"]

    def test_nothing_to_search(self):
        space = space_of(candidates=[OrientationHead(8, name="own")], settings=PLAIN)
        assert space.initial_points() == [{"family": "own", **PLAIN}]
        assert isinstance(space.task(space.initial_points()[0]).head, OrientationHead)


class TestSpace:
    def test_arguments_belong_to_their_family(self):
        space = space_of().space
        assert space["family"] == Choice(
            ["classification", "orientation", "contrastive", "hierarchical"]
        )
        assert space["contrastive.loss"].parent == "family"
        assert space["orientation.filters"] == When(
            "orientation.spatial",
            ["polar", "polar_and_flatten"],
            OrientationHead.search_space()["filters"].space,
        )
        assert "classification.num_classes" not in space
        for point in points_drawn(space_of(), 30):
            assert {name.partition(".")[0] for name in point} <= {
                point["family"],
                "family",
                *SETTINGS,
            }

    def test_head_arguments(self):
        space = space_of(candidates=["classification", "contrastive"])
        for point in points_drawn(space, 10):
            arguments = space.head_arguments(point)
            assert arguments and all(
                point[f"{point['family']}.{k}"] == v for k, v in arguments.items()
            )
            assert set(arguments) == set(space.candidates[point["family"]].searched())

    def test_default_settings(self):
        space = space_of().space
        assert space["feature"] == Choice(["auto", "input", "stage1"])
        assert space["gradient"] == Choice(["flow", "stop"])
        assert space["condition_on"] == Choice([None, "identity", "intensity"])
        assert space["conditioning"] == When(
            "condition_on", ["identity", "intensity"], Choice(["film", "gate", "experts"])
        )
        assert 1.0 in space["weight"] and space["weight"].log
        assert space["learning_rate"].log

    def test_settings_fix_or_give_ranges(self):
        changes = {
            "feature": "stage1",
            "gradient": Choice([0.1, "flow"]),
            "weight": 3.0,
            "condition_on": Choice([None, "identity"]),
            "conditioning": "concat",
            "learning_rate": Float(1e-3, 2e-3),
        }
        space = space_of(settings=changes)
        assert space.space["feature"] == Fixed("stage1")
        assert space.space["gradient"] == Choice([0.1, "flow"])
        assert space.space["learning_rate"] == Float(1e-3, 2e-3)
        for point in points_drawn(space, 10):
            task = space.task(point)
            assert (task.feature, task.weight) == ("stage1", 3.0)
            assert task.condition_on in (None, "identity") and task.gradient in (0.1, "flow")
            assert ("conditioning" in point) == (task.condition_on is not None)

    def test_what_the_task_says_is_fixed(self):
        tasks = small_tasks(
            orientation={
                "gradient": 0.5,
                "weight": 0.0,
                "feature": "stage1",
                "condition_on": "identity",
            }
        )
        space = space_of(tasks=tasks).space
        expected = {
            "feature": "stage1",
            "gradient": 0.5,
            "weight": 0.0,
            "condition_on": "identity",
            "conditioning": "film",
        }
        assert {name: space[name].value for name in expected} == expected

    def test_a_task_alone_is_conditioned_on_nothing(self):
        space = space_of(tasks=small_tasks()[1:2])
        assert space.space["condition_on"] == Fixed(None)
        assert all("conditioning" not in point for point in points_drawn(space, 5))

    def test_no_task_is_conditioned_on_itself_through_others(self):
        tasks = small_tasks(
            identity={"condition_on": "orientation"}, intensity={"condition_on": "identity"}
        )
        space = space_of(tasks=tasks).space
        assert space["condition_on"] == Fixed(None)
        tasks = small_tasks(intensity={"condition_on": "orientation"})
        assert space_of(tasks=tasks).space["condition_on"] == Choice([None, "identity"])

    def test_backbones_with_many_layers_are_not_tapped(self):
        inputs = x = keras.Input((8, 8, 1))
        for _ in range(9):
            x = keras.layers.Conv2D(2, 3, padding="same")(x)
        deep = keras.Model(inputs, x)
        assert HeadSpace(deep, small_tasks(), "orientation").space["feature"] == Fixed("auto")
        inputs = keras.Input((8, 8, 1))
        hidden = keras.layers.Conv2D(2, 3, name="first")(inputs)
        flat = keras.Model(inputs, keras.layers.Conv2D(3, 3, name="last")(hidden))
        space = HeadSpace(flat, small_tasks(), "orientation", settings={"gradient": "flow"})
        assert space.space["feature"] == Choice(["auto", "input", "first"])

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"target": "age"}, r"target to be one of \['identity', .* Received: 'age'"),
            ({"settings": {"dropout": 0.1}}, r"settings out of .* Received: \['dropout'\]"),
            ({"candidates": ["regression"]}, "Received: 'regression'"),
            ({"settings": {"condition_on": Float(0, 1)}}, "separate values"),
        ],
        ids=["target", "setting", "candidate", "range"],
    )
    def test_errors(self, changes, message):
        with pytest.raises(ValueError, match=message):
            space_of(**changes)


class TestParsed:
    def test_like_values_of_other_types(self):
        head = Candidate(
            "a", ClassificationHead, {"num_classes": 8, "layer_norm": Choice([1, True])}
        )
        space = space_of(candidates=[head], settings=PLAIN)
        points = [{**space.initial_points()[0], "a.layer_norm": value} for value in (1, True)]
        for point in points:
            written = json.loads(json.dumps(space.config(point)["point"]))
            assert repr(space.parsed(written)) == repr(point)

    def test_tuples(self):
        space = space_of(candidates=["orientation"], settings=PLAIN)
        point = next(p for p in points_drawn(space, 50) if "orientation.filters" in p)
        written = json.loads(json.dumps(space.config(point)["point"]))
        assert isinstance(written["orientation.filters"], list)
        assert space.parsed(written) == point

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("family", "regression"),
            ("learning_rate", 7.0),
            ("classification.dropout", "0.1"),
            ("condition_on", "nobody"),
            ("gradient", None),
        ],
    )
    def test_errors(self, name, value):
        space = space_of(candidates=["classification", "contrastive"])
        classes = next(p for p in space.initial_points() if p["family"] == "classification")
        written = {**space.config(classes)["point"], name: value}
        with pytest.raises(
            ValueError, match=f"Expected {name} to be in .* Received: {name}={value!r}"
        ):
            space.parsed(written)

    @pytest.mark.parametrize("name", ["family", "condition_on", "learning_rate"])
    def test_missing(self, name):
        space = space_of(candidates=["classification", "contrastive"])
        written = space.config(space.initial_points()[0])["point"]
        del written[name]
        with pytest.raises(ValueError, match=f"Expected {name} to be in"):
            space.parsed(written)


class TestTasks:
    def test_others_are_copied_with_new_heads(self):
        tasks = small_tasks(identity={"weight": 0.5}, intensity={"gradient": "stop"})
        space = space_of(tasks=tasks)
        point = space.initial_points()[0]
        found = {task.name: task for task in space.tasks(point)}
        assert list(found) == ["identity", "orientation", "intensity"]
        for task in tasks:
            assert found[task.name].head is not task.head
        assert found["identity"].weight == 0.5 and found["intensity"].gradient == "stop"
        for name in ("identity", "intensity"):
            own = next(task for task in tasks if task.name == name)
            assert found[name].head.get_config() == own.head.get_config()
        assert not any(task.head.built for task in tasks)

    def test_without_the_target(self):
        space = space_of(tasks=small_tasks(intensity={"condition_on": "orientation"}))
        assert [task.name for task in space.tasks(None)] == ["identity", "intensity"]
        assert list(space.build(None).tasks) == ["identity", "intensity"]
        point = space.initial_points()[0]
        assert space.build(point).tasks["intensity"].condition_on == "orientation"
        assert space_of(tasks=small_tasks()[1:2]).tasks(None) == []

    def test_a_point_conditions_the_task(self):
        space = space_of(candidates=["classification"])
        point = {**space.initial_points()[0], "condition_on": "identity", "conditioning": "gate"}
        task = space.build(point).tasks["orientation"]
        assert task.condition_on == "identity"
        assert isinstance(task.conditioning, mtl.layers.GatedConditioning)

    def test_losses_and_metrics_are_the_heads_own(self):
        changes = {"loss": "sparse_categorical_crossentropy", "metrics": ["accuracy"]}
        space = space_of(tasks=small_tasks(orientation=changes))
        task = space.task(space.initial_points()[0])
        assert task.loss is None and task.metrics is None

    def test_tasks_of_a_model_that_is_there(self):
        """Their heads and conditionings are built, with names and weights of their own."""
        tasks = small_tasks(orientation={"condition_on": "identity", "conditioning": "gate"})
        model = mtl.MultiTaskModel(adapted_backbone(), tasks)
        before = weights(model)
        space = HeadSpace(
            model.backbone, list(model.tasks.values()), "orientation", ["classification"]
        )
        assert space.space["conditioning"] == Fixed("given")
        point = space.initial_points()[0]
        built = space.build(point)
        assert (
            built.tasks["orientation"].conditioning is not model.tasks["orientation"].conditioning
        )
        assert isinstance(built.tasks["orientation"].conditioning, mtl.layers.GatedConditioning)
        assert same_weights(space.build(point), built)
        assert space.parsed(space.config(point)["point"]) == point
        for one, other in zip(before, weights(model), strict=True):
            np.testing.assert_array_equal(one, other)

    def test_several_maps_are_kept(self):
        head = HierarchicalHead(mtl.Hierarchy.circular(8, 4), "coarse_to_fine")
        tasks = [mtl.Task("orientation", head, feature=("stage1", "stage2")), *small_tasks()[:1]]
        fixed = Candidate(
            "levels", HierarchicalHead, {"hierarchy": head.hierarchy, "loss": "coarse_to_fine"}
        )
        space = space_of(tasks=tasks, candidates=[fixed])
        assert space.space["feature"] == Fixed(("stage1", "stage2"))
        assert space.space["condition_on"] == Fixed(None)
        model = space.build(points_drawn(space, 1)[0])
        assert model.tasks["orientation"].feature == ("stage1", "stage2")


class TestBackbone:
    def test_copies_begin_with_its_weights(self):
        backbone = adapted_backbone()
        space = HeadSpace(backbone, small_tasks(), "orientation", ["classification"])
        expected = weights(backbone)
        for weight in backbone.weights:
            weight.assign(np.zeros(weight.shape))
        model = space.build(space.initial_points()[0])
        assert model.backbone is not backbone
        for found in (space.backbone(), model.backbone):
            for one, other in zip(weights(found), expected, strict=True):
                np.testing.assert_array_equal(one, other)

    def test_it_is_adapted_once(self):
        images = np.random.default_rng(3).normal(5.0, 2.0, (64, 8, 8, 1))
        space = HeadSpace(small_backbone(), small_tasks(), "orientation")
        space.adapt(images)
        assert space.backbone().adapted
        known = weights(space.backbone())
        space.adapt(10 * images)
        for one, other in zip(weights(space.backbone()), known, strict=True):
            np.testing.assert_array_equal(one, other)

    def test_layers_need_a_shape(self):
        layer = keras.layers.Conv2D(3, 3, name="conv")
        with pytest.raises(ValueError, match="Expected input_shape"):
            HeadSpace(layer, small_tasks(), "orientation")
        space = HeadSpace(layer, small_tasks(), "orientation", input_shape=(8, 8, 1))
        model = space.build(space.initial_points()[0])
        assert model.input_shape == (None, 8, 8, 1)
