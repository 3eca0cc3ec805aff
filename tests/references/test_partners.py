import numpy as np
import pytest
from diagnostics.made_images import reference
from scipy.special import expit

from mtlkit.references._partners import (
    Ladder,
    common_distances,
    fit_floor,
    is_clear,
    ladder_of,
    pairings,
    partners_by_class,
    ranks,
)


def labels_at(margin, rate, slope, seed):
    """Whether the label is the partner, by the model that is to be fitted."""
    chance = rate + (1 - 2 * rate) * expit(-slope * margin)
    return np.random.default_rng(seed).random(len(margin)) < chance


def scores_of(predicted, second, num_classes, seed=0):
    """Scores whose best class is `predicted` and whose next one is `second`."""
    rng = np.random.default_rng(seed)
    scores = 0.1 * rng.random((len(predicted), num_classes))
    rows = np.arange(len(predicted))
    scores[rows, second] = 0.2 + 0.1 * rng.random(len(predicted))
    scores[rows, predicted] = 0.4 + 0.6 * rng.random(len(predicted))
    return scores


class TestFloor:
    @pytest.mark.parametrize("seed", range(3))
    @pytest.mark.parametrize("rate", [0.0, 0.1, 0.2])
    def test_planted_rates_are_recovered(self, rate, seed):
        margin = np.random.default_rng(seed + 10).random(3000)
        floor = fit_floor(margin, labels_at(margin, rate, 12.0, seed))
        assert abs(floor.rate - rate) < 0.035
        assert floor.low - 0.01 <= rate <= floor.high + 0.01
        assert floor.high - floor.low < 0.08
        assert floor.slope > 1

    def test_the_unit_of_margins_does_not_matter(self):
        margin = np.random.default_rng(0).random(1000)
        partner = labels_at(margin, 0.15, 10.0, 1)
        first, second = fit_floor(margin, partner), fit_floor(100 * margin, partner)
        assert first.rate == second.rate and first.low == second.low

    @pytest.mark.parametrize("seed", range(3))
    def test_twins_look_like_any_rate(self, seed):
        margin = np.random.default_rng(seed + 10).random(1000)
        floor = fit_floor(margin, labels_at(margin, 0.0, 0.0, seed))
        assert floor.low < 0.15 and floor.high >= 0.45

    def test_fewer_samples_tell_less(self):
        margin = np.random.default_rng(0).random(4000)
        partner = labels_at(margin, 0.1, 12.0, 1)
        many, few = fit_floor(margin, partner), fit_floor(margin[:100], partner[:100])
        assert few.high - few.low > 1.5 * (many.high - many.low)

    def test_no_wrong_label_bounds_the_rate(self):
        floor = fit_floor(np.ones(300), np.zeros(300, bool))
        assert (floor.rate, floor.low, floor.high) == (0, 0, 0.01)  # the rule of three
        assert fit_floor(np.ones(0), np.zeros(0, bool)).high == 1
        assert fit_floor(np.ones(5), np.ones(5, bool)).high > 0.5


def test_the_ladder_goes_from_clear_to_unclear():
    margin = np.arange(100)[::-1] / 100  # sample 0 is the clearest
    partner = np.arange(100) >= 75
    steps = Ladder(margin, ~partner, partner).steps()
    assert steps["share"] == [0.1, 0.25, 0.5, 0.75, 1.0]
    assert steps["partner"] == [0, 0, 0, 0, 1] and steps["self"] == [1, 1, 1, 1, 0]


def test_the_ladder_holds_samples_that_are_surely_of_two_classes():
    y = np.zeros(100, int)
    scores = np.tile([0.5, 0.3, 0.2], (100, 1))
    scores[50:] = [0.4, 0.2, 0.4 - 1e-3]  # the third class gets more than the partner
    ladder = ladder_of(scores, y, np.ones(100, int))
    assert len(ladder.margin) == 50 and ladder.own.all() and not ladder.partner.any()
    np.testing.assert_allclose(ladder.margin, 0.2)


class TestDistances:
    predicted = np.random.default_rng(3).integers(8, size=800)

    def of(self, step, rate=0.2):
        wrong = np.random.default_rng(4).random(800) < rate
        y = np.where(wrong, (self.predicted + step) % 8, self.predicted)
        return common_distances(scores_of(self.predicted, (self.predicted + 4) % 8, 8), y)

    def test_one_distance(self):
        assert self.of(4) == [4] and self.of(1) == [1]

    def test_both_neighbours(self):
        assert sorted(self.of(np.random.default_rng(5).choice([1, 7], 800))) == [1, 7]

    def test_none(self):
        assert self.of(0) == []
        assert self.of(np.random.default_rng(5).integers(1, 8, 800), 0.4) == []


@pytest.mark.parametrize("num_classes", [4, 10])
def test_partners_without_a_common_distance(num_classes):
    """Classes are exchanged in pairs that no distance describes."""
    rng = np.random.default_rng(6)
    predicted = rng.integers(num_classes, size=2000)
    order = rng.permutation(num_classes)
    partner_of = np.empty(num_classes, int)
    partner_of[order] = order.reshape(-1, 2)[:, ::-1].ravel()
    y = np.where(rng.random(2000) < 0.3, partner_of[predicted], predicted)
    found = partners_by_class(scores_of(predicted, partner_of[predicted], num_classes), y)
    np.testing.assert_array_equal(found, partner_of[predicted])


def test_ranks_by_hand():
    scores = np.array([[0.1, 0.7, 0.2], [0.5, 0.3, 0.2]])
    assert ranks(scores, np.array([0, 0])).tolist() == [2, 0]
    assert ranks(scores, np.array([1, 2])).tolist() == [0, 2]


def test_clear_samples_are_the_quarter_with_the_widest_margins():
    margin = np.arange(100) / 100
    scores = np.stack([1 + margin, np.ones(100), np.zeros(100)], axis=1)
    assert np.flatnonzero(is_clear(scores)).tolist() == list(range(75, 100))


def test_pairings():
    opposite = reference("opposite", 0.2)
    assert [one.distance for one in pairings(opposite.scores, opposite.y)] == [4]
    next_one = reference("next", 0.2)  # both neighbours are looked at
    assert {one.distance for one in pairings(next_one.scores, next_one.y)} == {1, 7}
    few = reference("any", 0.1, 3)
    assert [one.distance for one in pairings(few.scores, few.y)] == [None]


def test_ranks_among_equal_scores_are_drawn_by_lot():
    """Of neighbours most classes have none: a label among these has any of their ranks."""
    scores = np.zeros((4000, 10))
    scores[:, 3], scores[:, 5] = 0.75, 0.25
    assert not ranks(scores, np.full(4000, 3)).any()
    assert (ranks(scores, np.full(4000, 5)) == 1).all()
    found = ranks(scores, np.full(4000, 8))
    assert found.min() == 2 and found.max() == 9
    assert np.bincount(found, minlength=10)[2:] / 4000 == pytest.approx(1 / 8, abs=0.02)
