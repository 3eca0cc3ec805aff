"""Tasks that see what another task predicts."""

import keras
import numpy as np
import pytest
from keras import ops
from small_models import TASKS, set_weights, small_backbone, small_tasks

import mtlkit as mtl
from mtlkit.layers.conditioning import ExpertMixtureConditioning, FiLM
from mtlkit.model._conditioning import in_order

KINDS = ("film", "concat", "gate", "experts", "bilinear", "distillation")


def build(spatial="flatten", orientation=None, **changes):
    """A model whose orientation is conditioned on identity, unless said otherwise."""
    orientation = {"condition_on": "identity", **(orientation or {})}
    tasks = small_tasks(spatial, orientation=orientation, **changes)
    model = mtl.MultiTaskModel(small_backbone(), tasks)
    model.backbone.adapt(np.random.default_rng(1).random((48, 8, 8, 1)))
    set_weights(model)
    model.compile("adam")
    return model


def weights(layer):
    return [ops.convert_to_numpy(weight) for weight in layer.weights]


def predictions(model, images):
    """Outputs without `predict`, which compiles."""
    outputs = model(images, training=False)
    return {name: ops.convert_to_numpy(values) for name, values in outputs.items()}


def change(layer, seed=3):
    rng = np.random.default_rng(seed)
    for variable in layer.trainable_variables:
        variable.assign(rng.normal(0.0, 1.0, variable.shape))


@pytest.mark.parametrize(
    ("spatial", "kind"),
    [
        *(("flatten", kind) for kind in KINDS),
        *(("polar", kind) for kind in ("film", "experts")),
        *(("orbit", kind) for kind in ("concat", "gate")),
    ],
)
def test_prediction_is_seen(spatial, kind, images):
    """Orientation depends on the weights of identity's head."""
    model = build(spatial, {"conditioning": kind})
    change(model.tasks["orientation"].conditioning)
    before = predictions(model, images)
    change(model.tasks["identity"].head)
    after = predictions(model, images)
    assert np.abs(after["orientation"] - before["orientation"]).max() > 1e-3
    np.testing.assert_array_equal(after["intensity"], before["intensity"])


def test_film_starts_as_if_nobody_looked(images):
    """The identity, bit for bit, so that conditioning cannot hurt at the start."""
    seen, alone = build(), build(orientation={"condition_on": None})
    for one, two in zip(alone.weights, _without_conditioning(seen), strict=True):
        two.assign(ops.convert_to_numpy(one))
    film = seen.tasks["orientation"].conditioning
    for weight in film.trainable_variables:
        weight.assign(np.zeros(weight.shape))
    expected, found = predictions(alone, images), predictions(seen, images)
    for task in TASKS:
        np.testing.assert_array_equal(found[task], expected[task])


def _without_conditioning(model):
    own = {id(weight) for weight in model.tasks["orientation"].conditioning.weights}
    return [weight for weight in model.weights if id(weight) not in own]


class TestDetached:
    @pytest.mark.parametrize("kind", ["film", "distillation"])
    def test_the_other_task_trains_as_if_nobody_looked(self, kind, images, labels):
        """20 steps, bit for bit: identity's head, intensity's, and the backbone."""
        stop = {"gradient": "stop", "conditioning": kind}
        seen = build(orientation=stop)
        alone = build(orientation={**stop, "condition_on": None})
        others = (TASKS[0], TASKS[2])
        for name in others:
            for one, two in zip(
                alone.tasks[name].head.weights, seen.tasks[name].head.weights, strict=True
            ):
                two.assign(ops.convert_to_numpy(one))
        for one, two in zip(alone.backbone.weights, seen.backbone.weights, strict=True):
            two.assign(ops.convert_to_numpy(one))
        options = {"batch_size": 12, "epochs": 5, "shuffle": False, "verbose": 0}  # 20 steps
        for model in (seen, alone):
            before = weights(model.tasks["orientation"].head)
            model.fit(images, labels, **options)
            after = weights(model.tasks["orientation"].head)
            assert any(np.any(one != two) for one, two in zip(before, after, strict=True))
        pairs = [(seen.backbone, alone.backbone)]
        pairs += [(seen.tasks[name].head, alone.tasks[name].head) for name in others]
        for one, two in pairs:
            for left, right in zip(weights(one), weights(two), strict=True):
                np.testing.assert_array_equal(left, right)

    def test_gradient_at_the_prediction(self, images, labels):
        """One step of plain descent: identity's head moves by the scaled gradient."""

        def moved(gradient):
            orientation = {"condition_gradient": gradient, "conditioning": "experts"}
            model = build(orientation=orientation, identity={"weight": 0.0})
            change(model.tasks["orientation"].conditioning)
            head = model.tasks["identity"].head
            before = weights(head)
            model.compile(keras.optimizers.SGD(1.0))
            model.train_on_batch(images, labels)
            return [new - old for new, old in zip(weights(head), before, strict=True)]

        whole = moved("flow")
        assert max(np.abs(step).max() for step in whole) > 1e-4
        for gradient, scale in (("stop", 0.0), (-0.5, -0.5)):
            for one, two in zip(whole, moved(gradient), strict=True):
                np.testing.assert_allclose(two, scale * one, atol=1e-6)

    def test_labels_are_never_seen(self, images, labels):
        model = build(orientation={"conditioning": "experts"})
        change(model.tasks["orientation"].conditioning)
        expected = model.evaluate(images, labels, return_dict=True, verbose=0)
        shuffled = {**labels, "identity": np.roll(labels["identity"], 5)}
        found = model.evaluate(images, shuffled, return_dict=True, verbose=0)
        for name, value in expected.items():
            if name.startswith("orientation"):
                assert found[name] == value
        assert found["identity_loss"] != expected["identity_loss"]


class TestPredictionsFromTheData:
    def test_given_prediction_is_what_is_seen(self, images, labels):
        """With the model's own prediction as data: the same outputs. With another: others."""
        given = build(orientation={"condition_from": "data", "conditioning": "concat"})
        own = build(orientation={"conditioning": "concat"})
        for one, two in zip(own.weights, given.weights, strict=True):
            two.assign(ops.convert_to_numpy(one))
        expected = predictions(own, images)
        logits = expected["identity"]
        probability = own.tasks["identity"].head.decode(logits)["probability"]
        x = {"image_input": images, "identity_prediction": probability}
        np.testing.assert_allclose(
            predictions(given, x)["orientation"], expected["orientation"], atol=1e-5
        )
        x["identity_prediction"] = np.roll(probability, 1, axis=1)
        assert np.abs(predictions(given, x)["orientation"] - expected["orientation"]).max() > 1e-3
        assert np.isfinite(given.fit(x, labels, verbose=0).history["loss"]).all()

    def test_normalisation_adapts_to_the_images(self, images, labels):
        tasks = small_tasks(orientation={"condition_on": "identity", "condition_from": "data"})
        model = mtl.MultiTaskModel(small_backbone(), tasks)
        model.compile("sgd")
        x = {"image_input": images, "identity_prediction": np.full((48, 4), 0.25, "float32")}
        model.fit(x, labels, verbose=0)
        mean = ops.convert_to_numpy(model.backbone.normalization.mean)
        np.testing.assert_allclose(np.ravel(mean), images.mean(), rtol=1e-5)

    def test_missing_prediction(self, images, labels):
        model = build(orientation={"condition_from": "data"})
        with pytest.raises(ValueError, match=r"Expected 2 input\(s\).*Received: 1"):
            model.fit(images, labels, verbose=0)


class TestSaving:
    @pytest.mark.parametrize("kind", [*KINDS, "layer"])
    def test_round_trip(self, kind, images, tmp_path):
        conditioning = FiLM() if kind == "layer" else kind
        model = build(orientation={"conditioning": conditioning})
        change(model.tasks["orientation"].conditioning)
        model.save(tmp_path / "model.keras")
        loaded = keras.saving.load_model(tmp_path / "model.keras")
        expected, found = predictions(model, images), predictions(loaded, images)
        for task in TASKS:
            np.testing.assert_allclose(found[task], expected[task], atol=1e-6)
        assert loaded.tasks["orientation"].condition_on == "identity"

    @pytest.mark.parametrize("kind", ["experts", "distillation"])
    def test_another_head_elsewhere_keeps_what_was_learnt(self, kind, images):
        model = build(orientation={"conditioning": kind})
        change(model.tasks["orientation"].conditioning)
        other = model.with_head("intensity", mtl.heads.RegressionHead())
        expected, found = predictions(model, images), predictions(other, images)
        np.testing.assert_allclose(found["orientation"], expected["orientation"], atol=1e-6)

    def test_another_head_gets_a_conditioning_of_its_own(self, images):
        model = build(orientation={"conditioning": "experts"})
        new = model.with_head("orientation", mtl.heads.OrientationHead(8, filters=(4,)))
        layer = new.tasks["orientation"].conditioning
        assert isinstance(layer, ExpertMixtureConditioning)
        assert layer is not model.tasks["orientation"].conditioning
        assert predictions(new, images)["orientation"].shape == (48, 8)


class TestHeadsOfOnesOwn:
    def test_the_feature_has_seen_the_prediction(self, images):
        head = _Plain()
        tasks = [
            mtl.Task("identity", mtl.heads.ClassificationHead(4, hidden_units=5)),
            mtl.Task("size", head, condition_on="identity", conditioning="gate"),
        ]
        model = mtl.MultiTaskModel(small_backbone(), tasks)
        model.backbone.adapt(images)
        change(model)
        before = predictions(model, images)["size"]
        change(model.tasks["identity"].head, seed=4)
        assert np.abs(predictions(model, images)["size"] - before).max() > 1e-4


class _Plain(mtl.heads.Head):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.flatten = keras.layers.Flatten()
        self.dense = keras.layers.Dense(1, dtype="float32")

    def build(self, input_shape):
        self.dense.build(self.flatten.compute_output_shape(input_shape))

    def call(self, inputs):
        return self.dense(self.flatten(inputs))

    def default_loss(self):
        return mtl.losses.MaskedLoss("mean_squared_error")

    def default_metrics(self):
        return [mtl.metrics.MaskedMetric("mae")]

    @property
    def primary_metric(self):
        return "mae", "min"

    def decode(self, outputs):
        return {"value": np.asarray(outputs)[:, 0]}

    def validate_labels(self, y, task=None):
        pass


class TestErrors:
    def tasks(self, **conditions):
        heads = {name: mtl.heads.ClassificationHead(3) for name in "abc"}
        return [
            mtl.Task(name, head, condition_on=conditions.get(name)) for name, head in heads.items()
        ]

    def test_order(self):
        tasks = self.tasks(a="c", c="b")
        assert [task.name for task in in_order(tasks)] == ["b", "c", "a"]
        assert in_order(self.tasks()) and [t.name for t in in_order(self.tasks())] == list("abc")

    @pytest.mark.parametrize(
        ("conditions", "message"),
        [
            ({"a": "b", "b": "a"}, "in a circle. Received: a -> b -> a"),
            ({"a": "b", "b": "c", "c": "b"}, "Received: b -> c -> b"),
            ({"b": "nobody"}, r"Task 'b'.*\['a', 'b', 'c'\]. Received: condition_on='nobody'"),
        ],
    )
    def test_wrong_conditions(self, conditions, message):
        with pytest.raises(ValueError, match=message):
            mtl.MultiTaskModel(small_backbone(), self.tasks(**conditions))

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"condition_on": "a"}, "another task. Received: condition_on='a'"),
            ({"conditioning": "magic"}, "'film'.*'distillation'.*Received: conditioning='magic'"),
            ({"condition_gradient": "up"}, "Received: condition_gradient='up'"),
            ({"condition_from": "labels"}, "Received: condition_from='labels'"),
        ],
    )
    def test_wrong_arguments(self, changes, message):
        with pytest.raises(ValueError, match=f"Task 'a'.*{message}"):
            mtl.Task("a", mtl.heads.ClassificationHead(3), **changes)

    def test_head_that_was_built_without(self):
        model = build(orientation={"condition_on": None})
        head = model.tasks["orientation"].head
        with pytest.raises(ValueError, match="Task 'orientation'.*Expected a new head"):
            model.with_head("orientation", head, condition_on="identity")
