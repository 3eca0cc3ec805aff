"""Candidates: families of heads, all of whose points can be had."""

import json

import keras
import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from random_spaces import points_of

import mtlkit as mtl
from mtlkit.heads import (
    ClassificationHead,
    ContrastiveHead,
    HierarchicalHead,
    OrdinalHead,
    OrientationHead,
    RegressionHead,
)
from mtlkit.losses.contrastive import SupervisedContrastive
from mtlkit.search import Candidate
from mtlkit.search._candidates import candidates_for
from mtlkit.space import Choice, Fixed, Float, When, check_point
from mtlkit.space.points import value_of

GROUPS = {"animal": ["cat", "dog"], "plant": ["oak", "fir", "ivy"]}
HEADS = {
    "classes": lambda: ClassificationHead(3),
    "bins": lambda: OrientationHead(8),
    "odd_bins": lambda: OrientationHead(9, spatial="pool"),
    "half_circle": lambda: OrientationHead(6, period=180.0),
    "degrees": lambda: OrientationHead(8, labels="degrees"),
    "line": lambda: OrientationHead(5, spatial="flatten", circular=False),
    "tree": lambda: HierarchicalHead(GROUPS),
    "grades": lambda: OrdinalHead(4),
    "embedding": lambda: ContrastiveHead(4),
    "value": RegressionHead,
    "values": lambda: RegressionHead(3),
}
FAMILIES = [
    (kind, name)
    for kind, head in HEADS.items()
    for name in (c.name for c in candidates_for(head()))
]
#: Those of which the spaces differ.
SPACES = [
    *((kind, "orientation") for kind in ("bins", "odd_bins", "half_circle", "degrees", "line")),
    *((kind, "hierarchical") for kind in ("bins", "tree")),
    ("classes", "classification"),
    ("classes", "contrastive"),
    ("values", "regression"),
]
OF_CLASSES = ["classification", "orientation", "contrastive"]


@keras.saving.register_keras_serializable(package="test_candidates")
class CountHead(ClassificationHead):
    """A user's head, whose number of classes has a name that is not known."""

    def __init__(self, largest, pooling="max", **kwargs):
        kwargs.pop("num_classes", None)
        super().__init__(largest + 1, pooling, **kwargs)
        self.largest = largest
        del self.num_classes

    @classmethod
    def search_space(cls):
        return {"pooling": Choice(["average", "max"])}

    def get_config(self):
        return {**keras.layers.Layer.get_config(self), "largest": self.largest}


def built(candidate, point):
    """The head of a point, built on a small map with seeded weights."""
    keras.utils.set_random_seed(0)
    head = candidate.build(point)
    head.build((None, 4, 8, 8, 3) if head.reads_orbit else (None, 8, 8, 3))
    return head


def design(head):
    """The config of a head but for its name, which is another for every layer."""
    return {name: value for name, value in head.get_config().items() if name != "name"}


@pytest.mark.parametrize(("kind", "family"), SPACES)
@settings(max_examples=6, phases=[Phase.generate])
@given(data=st.data())
def test_every_point_builds_one_head_that_can_be_kept(kind, family, data):
    [candidate] = candidates_for(HEADS[kind](), [family])
    point = data.draw(points_of(candidate.space))
    check_point(candidate.space, point)
    head, again = (built(candidate, point) for _ in range(2))
    assert all(
        head.get_config()[name] == value for name, value in point.items() if name != "hierarchy"
    )
    assert design(head) == design(again)
    assert head.count_params() > 0
    for one, other in zip(head.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    written = json.loads(json.dumps(keras.saving.serialize_keras_object(head)))
    restored = keras.saving.deserialize_keras_object(written)
    assert type(restored) is candidate.head
    assert restored.get_config() == head.get_config()
    assert [w.shape for w in restored.weights] == [w.shape for w in head.weights]
    outputs = head.compute_output_shape((None, 4, 8, 8, 3) if head.reads_orbit else (None, 8, 8, 3))
    assert len(head.decode(np.zeros((2, *outputs[1:]), "float32"))) > 0


class TestCandidate:
    def test_arguments_fix_or_give_ranges(self):
        arguments = {"num_bins": 32, "spatial": "polar", "dropout": Float(0.2, 0.3), "jitter": 0.1}
        space = Candidate("polar", OrientationHead, arguments).space
        assert space["num_bins"] == Fixed(32) and space["spatial"] == Fixed("polar")
        assert space["dropout"] == Float(0.2, 0.3) and space["jitter"] == Fixed(0.1)
        # of the condition on spatial="polar" nothing is left
        assert space["filters"] == OrientationHead.search_space()["filters"].space
        assert isinstance(space["width"], When)

    def test_what_can_never_be_is_left_out(self):
        space = Candidate("a", OrientationHead, {"spatial": "pool", "target": "onehot"}).space
        assert "filters" not in space and "width" not in space

    def test_searched(self):
        candidate = Candidate("a", ClassificationHead, {"num_classes": 3, "pooling": "max"})
        assert list(candidate.searched()) == ["hidden_units", "dropout", "layer_norm"]

    def test_what_is_fixed_may_be_left_out_of_a_point(self):
        candidate = Candidate("a", ClassificationHead, {"num_classes": 3, "pooling": "max"})
        head = candidate.build({"hidden_units": 64, "dropout": 0.25, "layer_norm": False})
        expected = ClassificationHead(3, "max", 64, 0.25, False)
        assert design(head) == design(expected)

    def test_arguments_of_every_layer(self):
        candidate = Candidate("a", RegressionHead, {"dtype": "mixed_bfloat16"})
        assert candidate.build(candidate.default_point()).dtype_policy.name == "mixed_bfloat16"

    @pytest.mark.parametrize(("kind", "family"), FAMILIES)
    def test_default_points(self, kind, family):
        """In the space, and the constructor's defaults where those are in range."""
        [candidate] = candidates_for(HEADS[kind](), [family])
        point = candidate.default_point()
        check_point(candidate.space, point)
        required = {
            name: point[name]
            for name in ("num_classes", "num_bins", "hierarchy", "circular", "labels", "spatial")
            if name in point
        }
        defaults = candidate.head(**required).get_config()
        for name, value in point.items():
            if name in ("hierarchy", "distances", "period", "units"):
                continue
            part = candidate.space[name]
            searched = part.space if isinstance(part, When) else part
            assert value == defaults[name] or defaults[name] not in searched

    def test_default_point_with_wishes(self):
        candidate = Candidate("a", OrientationHead, {"num_bins": 8})
        point = candidate.default_point({"target": "smooth", "width": 0.5, "hidden_units": 7})
        assert point["target"] == "smooth" and point["width"] == 0.5
        assert point["hidden_units"] == 128  # 7 is out of range

    @pytest.mark.parametrize(
        "head", [OrientationHead(8), keras.layers.Dense, "polar", None], ids=repr
    )
    def test_head_must_be_a_class_of_heads(self, head):
        with pytest.raises(ValueError, match="Candidate 'a': expected head to be a subclass"):
            Candidate("a", head)

    @pytest.mark.parametrize("name", ["num_clases", "units", "kwargs"])
    def test_unknown_arguments(self, name):
        message = rf"'a': expected arguments of ClassificationHead.* Received: \['{name}'\]"
        with pytest.raises(ValueError, match=message):
            Candidate("a", ClassificationHead, {name: 3})

    def test_bad_values(self):
        candidate = Candidate("a", ClassificationHead, {"num_classes": 3, "pooling": "mean"})
        with pytest.raises(ValueError, match="Received: 'mean'"):
            candidate.build(candidate.default_point())


class TestFamilies:
    @pytest.mark.parametrize(
        ("kind", "expected"),
        [
            ("classes", OF_CLASSES),
            ("bins", [*OF_CLASSES, "hierarchical"]),
            ("tree", [*OF_CLASSES, "hierarchical"]),
            ("degrees", ["orientation"]),
            ("line", ["orientation"]),
            ("embedding", OF_CLASSES),
            ("value", ["regression"]),
        ],
    )
    def test_those_that_fit(self, kind, expected):
        assert [candidate.name for candidate in candidates_for(HEADS[kind]())] == expected

    @pytest.mark.parametrize(("kind", "family"), FAMILIES)
    def test_they_do_the_same_task(self, kind, family):
        """They take the labels that the task's head takes, and decode as many classes."""
        head = HEADS[kind]()
        [candidate] = candidates_for(head, [family])
        other = candidate.build(candidate.default_point())
        labels = {
            "degrees": np.array([0.0, 359.5, np.nan]),
            "value": np.array([0.5, np.nan]),
            "values": np.array([[0.5, 1.0, -2.0]]),
        }.get(kind, np.array([0, 2, -1]))
        for one in (head, other):
            one.validate_labels(labels)
        if kind not in ("value", "values"):
            first, second = (one.decode(one(example(one))) for one in (head, other))
            assert first["probability"].shape == second["probability"].shape

    def test_circles_stay(self):
        [orientation] = candidates_for(OrientationHead(6, period=180.0), ["orientation"])
        assert orientation.space["period"] == Fixed(180.0)
        kept = {"circular": Fixed(False), "labels": Fixed("bins"), "num_bins": Fixed(5)}
        [line] = candidates_for(HEADS["line"]())
        assert kept.items() <= line.space.items()

    @pytest.mark.parametrize(
        ("kind", "left_out"),
        [
            ("bins", []),
            ("half_circle", []),
            ("odd_bins", ["orbit"]),
            ("classes", ["orbit"]),
            (
                "line",
                ["polar", "polar_and_flatten", "orbit", "von_mises", "sincos", "phase_shift"],
            ),
        ],
    )
    def test_designs_and_targets_that_cannot_be_are_left_out(self, kind, left_out):
        [candidate] = candidates_for(HEADS[kind](), ["orientation"])
        declared = OrientationHead.search_space()
        for name in ("spatial", "target"):
            expected = [value for value in declared[name].values if value not in left_out]
            assert candidate.space[name] == Choice(expected)

    @pytest.mark.parametrize("kind", ["bins", "line", "value", "tree"])
    def test_data_formats_stay(self, kind):
        head = HEADS[kind]()
        keras.config.set_image_data_format("channels_first")
        for candidate in candidates_for(head):
            assert candidate.space["data_format"] == Fixed("channels_last")

    @pytest.mark.parametrize(("bins", "arcs"), [(32, 4), (8, 2), (12, 3), (9, 3), (4, 2)])
    def test_arcs_of_bins(self, bins, arcs):
        [candidate] = candidates_for(OrientationHead(bins), ["hierarchical"])
        hierarchy = candidate.space["hierarchy"].value
        assert hierarchy == mtl.Hierarchy.circular(bins, arcs)
        assert candidate.space["distances"] == Fixed("circular")

    @pytest.mark.parametrize("bins", [2, 3, 7])
    def test_bins_without_arcs(self, bins):
        names = [candidate.name for candidate in candidates_for(OrientationHead(bins))]
        assert names == OF_CLASSES

    def test_hierarchies_stay(self):
        head = HierarchicalHead(mtl.Hierarchy.circular(8, 4), distances="circular")
        [candidate] = candidates_for(head, ["hierarchical"])
        assert candidate.space["hierarchy"] == Fixed(head.hierarchy)
        assert candidate.space["distances"] == Fixed("circular")


class TestGiven:
    def test_names_and_candidates(self):
        own = Candidate("own", ClassificationHead, {"num_classes": 8})
        found = candidates_for(HEADS["bins"](), ["contrastive", own])
        assert [candidate.name for candidate in found] == ["contrastive", "own"]
        assert found[1] is own

    @pytest.mark.parametrize("kind", ["bins", "degrees", "line"])
    def test_classes_are_families_by_another_name(self, kind):
        head = HEADS[kind]()
        [found] = candidates_for(head, [OrientationHead])
        [family] = candidates_for(head, ["orientation"])
        assert found.name == "OrientationHead" and found.space == family.space

    def test_hierarchical_heads_of_bins(self):
        [found] = candidates_for(HEADS["bins"](), [HierarchicalHead])
        assert found.space["hierarchy"] == Fixed(mtl.Hierarchy.circular(8, 2))

    def test_classes_get_the_number_of_classes(self):
        [found] = candidates_for(HEADS["line"](), [ContrastiveHead])
        assert found.space["num_classes"] == Fixed(5)

    @pytest.mark.parametrize(
        "head",
        [
            OrientationHead(
                8, "polar", "smooth", width=0.7, filters=(8,), dropout=0.1, name="best"
            ),
            OrientationHead(8, "flatten", "sincos", bottleneck=4, name="best"),
            HierarchicalHead(GROUPS, "coarse_to_fine", level_weights=(0.3, 0.7), name="best"),
            HierarchicalHead(mtl.Hierarchy.circular(8, 4), "frame", gamma=1.5, name="best"),
            ContrastiveHead(8, loss=SupervisedContrastive(temperature=0.3), name="best"),
            RegressionHead(2, "max", name="best"),
        ],
        ids=["polar", "sincos", "levels", "frame", "loss", "regression"],
    )
    def test_heads_as_they_are(self, head):
        [found] = candidates_for(HEADS["bins"](), [head])
        assert found.name == "best" and found.searched() == {}
        for one in (found.build(found.default_point()), found.build({})):
            assert one is not head and design(one) == design(head)

    def test_a_class_that_needs_more(self):
        message = r"Candidate\(name, HierarchicalHead, \{\.\.\.\}\) with values for \['hierarchy'\]"
        with pytest.raises(ValueError, match=message):
            candidates_for(HEADS["classes"](), [HierarchicalHead])

    def test_heads_of_users(self):
        head = CountHead(4, name="own")
        with pytest.raises(ValueError, match="Expected candidates, since the families"):
            candidates_for(head)
        [found] = candidates_for(head, [Candidate("counts", CountHead, {"largest": 4})])
        assert found.searched() == {"pooling": Choice(["average", "max"])}
        assert found.build({"pooling": "average"}).largest == 4
        [found] = candidates_for(head, [CountHead])
        assert found.build(found.default_point()).largest == 4
        with pytest.raises(ValueError, match=r"with values for \['largest'\]"):
            candidates_for(HEADS["tree"](), [CountHead])

    @pytest.mark.parametrize("one", ["regression", "polar", keras.layers.Dense, 3], ids=repr)
    def test_neither(self, one):
        message = r"'hierarchical'\]\. Received: " + ("" if callable(one) else repr(one))
        with pytest.raises(ValueError, match=message):
            candidates_for(HEADS["bins"](), [one])

    def test_repeated(self):
        with pytest.raises(ValueError, match=r"different names\. Received: \['contrastive'\]"):
            candidates_for(HEADS["bins"](), ["contrastive", "orientation", "contrastive"])


@pytest.mark.parametrize("size", [{"num_classes": 3}, {"units": 2, "standardize": False}])
def test_of_pixels(size):
    head = mtl.heads.DenseHead(**size, data_format="channels_last")
    (family,) = candidates_for(head)
    built = family.build(family.default_point({}))
    assert family.name == "dense"
    assert all(getattr(built, argument) == value for argument, value in size.items())


def example(head):
    shape = (2, 4, 8, 8, 3) if head.reads_orbit else (2, 8, 8, 3)
    return np.random.default_rng(0).random(shape).astype("float32")


class TestVectors:
    """Where there are no maps to read, such as of columns."""

    @pytest.mark.parametrize(
        ("kind", "expected"),
        [
            ("classes", ["classification", "contrastive"]),
            ("bins", ["classification", "orientation", "contrastive", "hierarchical"]),
            ("line", ["orientation"]),
            ("tree", ["classification", "contrastive", "hierarchical"]),
            ("grades", ["ordinal"]),
            ("values", ["regression"]),
        ],
    )
    def test_families(self, kind, expected):
        found = candidates_for(HEADS[kind](), vectors=True)
        assert [one.name for one in found] == expected

    @pytest.mark.parametrize("kind", HEADS)
    def test_every_design_takes_them(self, kind):
        vector = np.ones((2, 5), "float32")
        for one in candidates_for(HEADS[kind](), vectors=True):
            assert "pooling" not in one.searched()  # all ways to pool are the same
            designs = value_of(one.space["spatial"]).grid(9) if "spatial" in one.space else [None]
            for spatial in designs:
                head = one.build(one.default_point({"spatial": spatial}))
                assert head(vector).shape[0] == 2


@keras.saving.register_keras_serializable(package="tests")
class BoundedHead(ClassificationHead):
    """A head of the user's own, with arguments that no search knows."""

    def __init__(self, num_classes, bound=1.0, **kwargs):
        self.unnamed = kwargs.pop("unnamed", 0)
        super().__init__(num_classes, **kwargs)
        self.bound = bound

    def get_config(self):
        return {**super().get_config(), "bound": self.bound, "unnamed": self.unnamed}


@keras.saving.register_keras_serializable(package="tests")
class DeepHead(ClassificationHead):
    """A head with an object, an array, and an argument that is searched and has no default."""

    def __init__(self, num_classes, depth, regularizer, scale, **kwargs):
        super().__init__(num_classes, **kwargs)
        self.depth, self.scale = depth, np.asarray(scale)
        self.regularizer = keras.regularizers.get(regularizer)

    @classmethod
    def search_space(cls):
        return {"depth": Choice([1, 2])}

    def get_config(self):
        regularizer = keras.saving.serialize_keras_object(self.regularizer)
        own = {"depth": self.depth, "regularizer": regularizer, "scale": self.scale}
        return {**super().get_config(), **own}


def test_the_class_of_a_head_with_objects_keeps_them():
    head = DeepHead(3, 1, keras.regularizers.L2(0.25), np.arange(3.0))
    [candidate] = candidates_for(head, [DeepHead])
    built = candidate.build({"depth": 2})
    assert (built.depth, built.regularizer.l2) == (2, 0.25)
    np.testing.assert_array_equal(built.scale, np.arange(3.0))


def test_the_class_of_the_tasks_own_head_keeps_its_arguments():
    [candidate] = candidates_for(BoundedHead(3, bound=0.5), [BoundedHead])
    head = candidate.build(candidate.default_point())
    assert (head.num_classes, head.bound) == (3, 0.5)
    assert "hidden_units" in candidate.searched()
    with pytest.raises(ValueError, match=r"Candidate\(name, BoundedHead.*for \['unnamed'\]"):
        candidates_for(BoundedHead(3, unnamed=1), [BoundedHead])
