"""What a search tries first, and for how long."""

import keras_tuner
import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

import mtlkit as mtl
from mtlkit.search import HeadSpace, TrialRecord
from mtlkit.search._baselines import Baseline, nearest_label
from mtlkit.search._oracles import make_oracle
from mtlkit.search._portfolio import PORTFOLIO
from mtlkit.search._ranking import too_short_to_rank

ROWS = PORTFOLIO[mtl.heads.OrientationHead]
CHANCE = Baseline(0.1, "chance", samples=500, shares=True)


def space(*others, candidates=None, condition_on=None):
    backbone = mtl.backbones.ConvBackbone((8, 8, 1), filters=(3, 4), normalize=False)
    pose = mtl.Task(
        "pose", mtl.heads.OrientationHead(8, spatial="flatten"), condition_on=condition_on
    )
    return HeadSpace(backbone, [*others, pose], "pose", candidates)


OTHERS = (
    mtl.Task("size", mtl.heads.RegressionHead()),
    mtl.Task("kind", mtl.heads.ClassificationHead(3)),
    mtl.Task("object", mtl.heads.ClassificationHead(5)),
)


def of_rows(space):
    """What the first points have of the arguments in the rows, and how they are conditioned."""
    found = []
    for row, point in zip(ROWS, space.initial_points(), strict=False):
        own = space.head_arguments(point)
        assert {name: own[name] for name in row.arguments} == dict(row.arguments)
        assert isinstance(space.task(point).head, row.head)
        found.append((point["condition_on"], point.get("conditioning")))
    return found


def test_the_rows_come_first_and_see_the_task_with_the_most_classes():
    expected = [("object", row.conditioning) if row.conditioning else (None, None) for row in ROWS]
    assert of_rows(space(*OTHERS)) == expected


def test_without_another_task_of_classes_none_is_seen():
    assert of_rows(space()) == [(None, None)] * len(ROWS)
    assert of_rows(space(OTHERS[0])) == [(None, None)] * len(ROWS)


def test_every_family_comes_after_them():
    points = space(*OTHERS).initial_points()
    families = [point["family"] for point in points]
    assert set(families) == {"classification", "orientation", "contrastive", "hierarchical"}
    assert len({repr(sorted(point.items(), key=str)) for point in points}) == len(points)


def test_rows_that_a_candidate_has_no_room_for_are_left_out():
    polar = mtl.search.Candidate(
        "polar", mtl.heads.OrientationHead, {"num_bins": 8, "spatial": "polar", "emd_weight": 0.0}
    )
    first, *_ = space(candidates=[polar]).initial_points()
    assert (first["polar.target"], first["polar.dropout"]) == ("onehot", 0.3)


def hyperband(epochs=9):
    values = keras_tuner.HyperParameters()
    values.Float("v", 0, 1)
    return make_oracle("hyperband", values, max_trials=None, epochs=epochs, seed=0)


def run(oracle, count):
    """The epochs of the trials that an oracle proposes."""
    found = []
    for number in range(count):
        trial = oracle.create_trial("tuner")
        found.append(trial.hyperparameters.values["tuner/epochs"])
        oracle.update_trial(trial.trial_id, {"score": number})
        trial.status = "COMPLETED"
        oracle.end_trial(trial)
    return found


@pytest.mark.parametrize(("epochs", "first"), [(9, 3), (27, 9), (4, 2), (2, 2), (1, 1)])
def test_trials_begin_with_a_third_of_the_epochs(epochs, first, tmp_path):
    oracle = hyperband(epochs)
    oracle._set_project_dir(tmp_path, "search")
    assert run(oracle, 3) == [first] * 3


@pytest.mark.parametrize("tells", [True, False])
def test_epochs_that_tell_nothing_are_raised(tells, tmp_path):
    oracle, asked = hyperband(), []
    oracle.tells_apart = lambda epochs: asked.append(epochs) or tells
    oracle._set_project_dir(tmp_path, "search")
    begun = run(oracle, 14)
    assert begun[:10] == [3] * 5 + [9] * 5  # two of which were trained on, and three new ones
    assert set(asked) == {3} and begun[10:] == ([3] * 4 if tells else [9] * 4)


def record(trial, score, epochs=3, point=None):
    point = {"family": "a", "number": trial} if point is None else point
    return TrialRecord(str(trial), "finished", "a", point, score=score, budget=epochs)


def test_most_at_chance_are_too_short():
    short = [record(n, score) for n, score in enumerate((0.09, 0.1, 0.11, 0.3))]
    assert too_short_to_rank(short, 3, "max", CHANCE) == "3 of 4 are no better than chance"
    assert not too_short_to_rank(short, 9, "max", CHANCE)
    assert not too_short_to_rank(short[1:], 3, "max", CHANCE)  # too few to say
    assert not too_short_to_rank(short, 3, "max", None)


@pytest.mark.parametrize("turned", [True, False])
def test_an_order_that_does_not_hold_is_too_short(turned):
    short = [record(n, 0.3 + n / 100) for n in range(8)]
    long = [record(10 + n, 0.5 + (-n if turned else n) / 100, 9, short[n].point) for n in range(8)]
    why = too_short_to_rank([*short, *long], 3, "max", CHANCE)
    assert why == ("rank correlation with longer ones -1.00, of 8 trials" if turned else "")


@pytest.mark.parametrize("shape", [(6, 5, 2), (7,)])
def test_the_nearest_label_is_that_of_scikit_learn(shape):
    rng = np.random.default_rng(0)
    known, asked = rng.normal(size=(700, *shape)), rng.normal(size=(600, *shape))
    labels = rng.integers(4, size=700)
    expected = KNeighborsClassifier(1).fit(known.reshape(700, -1), labels)
    found = nearest_label(known, asked, np.eye(4)[labels]).argmax(axis=1)
    np.testing.assert_array_equal(found, expected.predict(asked.reshape(600, -1)))
