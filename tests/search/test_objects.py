"""Objects in a search: Keras's losses and layers as values, heads as candidates."""

import json

import keras
import pytest
import small_searches as small

import mtlkit as mtl
from mtlkit.heads import ClassificationHead, ContrastiveHead
from mtlkit.losses.contrastive import NormFace, SupervisedContrastive
from mtlkit.search import Candidate
from mtlkit.search._candidates import candidates_for
from mtlkit.space import Choice


@keras.saving.register_keras_serializable(package="test_objects")
class LayerHead(ClassificationHead):
    """A head with a layer of the user's before it."""

    def __init__(self, num_classes, before, **kwargs):
        super().__init__(num_classes, **kwargs)
        self.before = before

    def build(self, input_shape):
        self.before.build(input_shape)
        super().build(self.before.compute_output_shape(input_shape))

    def call(self, inputs):
        return super().call(self.before(inputs))

    @classmethod
    def search_space(cls):
        return {}

    def get_config(self):
        before = keras.saving.serialize_keras_object(self.before)
        return {**super().get_config(), "before": before}

    @classmethod
    def from_config(cls, config):
        before = keras.saving.deserialize_keras_object(config["before"])
        return cls(**{**config, "before": before})


def losses():
    """A candidate with fresh objects."""
    values = [SupervisedContrastive(temperature=0.1), SupervisedContrastive(0.3), NormFace()]
    return Candidate(
        "contrastive",
        ContrastiveHead,
        {
            "num_classes": small.NUM_BINS,
            "loss": Choice(values),
            "embedding_dim": Choice([4, 8]),
            "classifier": "linear",
            "loss_weight": 0.1,
            "pooling": "average",
            "bottleneck": 0,
            "hidden_units": 0,
            "dropout": 0.0,
            "layer_norm": False,
        },
    )


def layers():
    values = [keras.layers.Conv2D(2, 1), keras.layers.Conv2D(3, 1), keras.layers.ReLU()]
    arguments = {"num_classes": small.NUM_BINS, "before": Choice(values)}
    return Candidate("layers", LayerHead, arguments)


@pytest.mark.parametrize("tuner", ["random", "grid"])
@pytest.mark.parametrize("make", [losses, layers])
def test_a_search_of_objects_goes_on(make, tuner, tmp_path, monkeypatch):
    """With objects that are made anew, as in another process."""
    small.without_training(monkeypatch)
    options = {"tuner": tuner, "settings": {**small.SETTINGS, "learning_rate": 1e-3}}
    whole = small.search(tmp_path / "whole", candidates=[make()], max_trials=3, **options)
    small.search(tmp_path / "parts", candidates=[make()], max_trials=1, **options)
    parts = small.search(tmp_path / "parts", candidates=[make()], max_trials=3, **options)
    assert small.outcome(parts) == small.outcome(whole) and len(parts.trials) == 3
    assert len({json.dumps(record.point) for record in parts.trials}) == 3
    assert json.dumps(parts.best_config) == json.dumps(whole.best_config)


def test_layers_begin_anew_in_every_trial():
    [candidate] = candidates_for(ClassificationHead(small.NUM_BINS), [layers()])
    given = candidate.space["before"].values[0]
    first, second = (candidate.build({"before": given}) for _ in range(2))
    assert first.before is not given and first.before is not second.before
    assert first.before.name == second.before.name == "before"


def test_a_space_of_lambdas_is_refused_before_the_search():
    with pytest.raises(ValueError, match="same in every process"):
        Candidate("layers", LayerHead, {"num_classes": 8, "before": Choice([lambda x: x])})


class TestHeadsAsCandidates:
    def test_names_do_not_depend_on_what_was_made_before(self):
        def names():
            heads = [ContrastiveHead(8), ClassificationHead(8), ClassificationHead(8, "max")]
            named = ClassificationHead(8, name="mine")
            return [c.name for c in candidates_for(ClassificationHead(8), [*heads, named])]

        expected = ["ContrastiveHead", "ClassificationHead", "ClassificationHead_2", "mine"]
        assert names() == names() == expected

    def test_beside_a_class_of_the_same_name(self):
        given = [ClassificationHead, ClassificationHead(8)]
        names = [c.name for c in candidates_for(ClassificationHead(8), given)]
        assert names == ["ClassificationHead", "ClassificationHead_2"]

    def test_a_search_goes_on(self, tmp_path, monkeypatch):
        small.without_training(monkeypatch)

        def search(folder, trials):
            heads = [ClassificationHead(8, "max"), ClassificationHead(8, "average")]
            return small.search(folder, candidates=heads, tuner="random", max_trials=trials)

        whole = search(tmp_path / "whole", 4)
        search(tmp_path / "parts", 2)
        parts = search(tmp_path / "parts", 4)
        assert small.outcome(parts) == small.outcome(whole)
        assert json.dumps(parts.best_config) == json.dumps(whole.best_config)

    def test_other_heads_are_another_search(self, tmp_path, monkeypatch):
        small.without_training(monkeypatch)
        options = {"tuner": "random", "max_trials": 1}
        small.search(tmp_path, candidates=[ClassificationHead(8, "max")], **options)
        with pytest.raises(ValueError, match="holds one with another candidates"):
            small.search(tmp_path, candidates=[ClassificationHead(8, "average")], **options)


class TestFeaturesOfTheSameName:
    SPATIAL = ("pool", "polar", "gradient_histogram")

    def space(self, features=("auto", "input", "stage2")):
        arguments = {"num_bins": small.NUM_BINS, "spatial": Choice(self.SPATIAL)}
        fixed = {"target": "onehot", "emd_weight": 0.0, "hidden_units": 2, "dropout": 0.0}
        bins = Candidate("bins", mtl.heads.OrientationHead, {**arguments, **fixed})
        settings = {**small.GRID_SETTINGS, "feature": Choice(list(features))}
        return mtl.search.HeadSpace(
            small.backbone(), small.tasks(), "orientation", [bins], settings
        )

    def points(self, space):
        first = {p["bins.spatial"]: p for p in space.initial_points()}
        return [
            {**first[spatial], "feature": feature}
            for spatial in self.SPATIAL
            for feature in space.space["feature"].values
        ]

    @staticmethod
    def what_is_built(space, point):
        """The head of a point, and the shape of what it reads."""
        head = space.build(point).tasks["orientation"].head
        return json.dumps(head.get_config()), str(head.input.shape)

    def test_one_of_them_is_tried(self):
        space = self.space()
        repeated = {
            (p["bins.spatial"], p["feature"]) for p in self.points(space) if space.plain(p) != p
        }
        assert repeated == {
            ("polar", "input"),
            ("gradient_histogram", "input"),
            ("pool", "stage2"),  # the last map
        }

    def test_different_points_are_different_models(self):
        space = self.space()
        points = self.points(space)
        built = [self.what_is_built(space, point) for point in points]
        seeds = [space.seed_of(space.plain(point)) for point in points]
        assert all(space.plain(space.plain(point)) == space.plain(point) for point in points)
        assert len(set(built)) == len(set(seeds)) == len(set(zip(built, seeds, strict=True))) == 6

    def test_where_there_is_no_other_name(self):
        space = self.space(features=("input", "stage2"))
        assert all(space.plain(point) == point for point in self.points(space))

    @pytest.mark.parametrize("tuner", ["random", "grid", "bayesian", "hyperband"])
    def test_no_model_is_trained_twice(self, tuner, tmp_path, monkeypatch):
        small.without_training(monkeypatch)
        bins = Candidate(
            "bins",
            mtl.heads.OrientationHead,
            {
                "num_bins": small.NUM_BINS,
                "spatial": Choice(["pool", "polar"]),
                "target": "onehot",
                "emd_weight": 0.0,
                "hidden_units": 2,
                "dropout": 0.0,
                "filters": (2,),
            },
        )
        changed = {"learning_rate": 1e-3, "feature": Choice(["auto", "input", "stage1"])}
        result = small.search(
            tmp_path,
            candidates=[bins],
            settings={**small.SETTINGS, **changed},
            tuner=tuner,
            max_trials=12 if tuner == "hyperband" else 8,
        )
        tried = {(r.point["bins.spatial"], r.point["feature"]) for r in result.trials}
        expected = {("pool", "auto"), ("pool", "input"), ("pool", "stage1")}
        assert tried == expected | {("polar", "auto"), ("polar", "stage1")}
        if tuner in ("random", "grid"):
            assert len(result.trials) == 5
