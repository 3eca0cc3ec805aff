import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import accuracy_score, mean_absolute_error

from mtlkit.metrics.skill import Skill, accuracy_skill, mae_skill, skill, skill_table


def wilson(correct, samples, z=1.959963984540054):
    """The closed form of Wilson (1927)."""
    share = correct / samples
    center = (share + z**2 / (2 * samples)) / (1 + z**2 / samples)
    half = np.sqrt(share * (1 - share) / samples + z**2 / (4 * samples**2))
    half *= z / (1 + z**2 / samples)
    return center - half, center + half


def predictions(y, accuracy, num_classes):
    """Predicts a given share right, the others one class too high."""
    right = np.arange(len(y)) < round(accuracy * len(y))
    return np.where(right, y, (y + 1) % num_classes)


EVEN = np.arange(1000) % 10

classes = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=60)
values = st.lists(
    st.tuples(st.floats(-100, 100), st.floats(-100, 100)), min_size=2, max_size=40
).map(lambda pairs: np.array(pairs).T)


# Accuracy


@pytest.mark.parametrize(("correct", "samples"), [(0, 7), (3, 7), (7, 7), (124, 4000), (1, 1)])
def test_accuracy_has_a_wilson_interval(correct, samples):
    y_pred = np.r_[np.zeros(correct, int), np.ones(samples - correct, int)]
    result = accuracy_skill(np.zeros(samples, int), y_pred, num_classes=2)
    assert result.score == correct / samples and result.samples == samples
    np.testing.assert_allclose((result.low, result.high), wilson(correct, samples), atol=1e-9)


def test_confidence_widens_the_interval():
    wide = accuracy_skill(EVEN, predictions(EVEN, 0.5, 10), confidence=0.99)
    expected = wilson(500, 1000, z=stats.norm.ppf(0.995))
    np.testing.assert_allclose((wide.low, wide.high), expected, atol=1e-9)


@settings(max_examples=50, deadline=None)
@given(pairs=classes, seed=st.integers(0, 100))
def test_accuracy_invariants(pairs, seed):
    y_true, y_pred = np.array(pairs).T
    result = accuracy_skill(y_true, y_pred, num_classes=6)
    assert result.score == pytest.approx(accuracy_score(y_true, y_pred))
    assert 0 <= result.low <= result.score <= result.high <= 1
    assert 1 / 6 <= result.baseline <= 1

    rng = np.random.default_rng(seed)
    order, names = rng.permutation(len(y_true)), rng.permutation(6)
    assert accuracy_skill(y_true[order], y_pred[order], 6) == result
    assert accuracy_skill(names[y_true], names[y_pred], 6) == result
    y_true, y_pred = np.r_[y_true, -1, -1], np.r_[y_pred, 0, 99]
    assert accuracy_skill(y_true, y_pred, 6) == result  # unlabelled samples do not count


def test_chance_is_the_baseline_of_even_classes():
    result = accuracy_skill(EVEN, EVEN)
    assert (result.baseline, result.baseline_name) == (0.1, "chance")


def test_chance_is_the_baseline_of_uniform_draws():
    """The most frequent of 32 classes has 3.4 % by luck; that is no class imbalance."""
    y = np.random.default_rng(0).integers(32, size=4000)
    assert np.bincount(y).max() / 4000 > 1.05 / 32
    result = accuracy_skill(y, np.roll(y, 1), num_classes=32)
    assert (result.baseline, result.baseline_name) == (1 / 32, "chance")
    assert result.verdict == "at chance"


def test_the_most_frequent_class_is_the_baseline_of_uneven_classes():
    y = np.r_[np.zeros(70, int), np.ones(30, int)]
    result = accuracy_skill(y, np.zeros(100, int))
    assert (result.baseline, result.baseline_name) == (0.7, "most frequent class")
    assert result.verdict == "no better than a constant"


def test_num_classes_sets_chance():
    assert accuracy_skill([0, 1, 2, 3], [0, 1, 1, 0], num_classes=50).baseline == 1 / 50
    assert accuracy_skill([0, 0], [0, 4]).baseline == 1 / 5  # counted from the predictions too


@pytest.mark.parametrize(
    ("accuracy", "verdict"),
    [
        (0.0, "worse than chance"),
        (0.1, "at chance"),
        (0.11, "at chance"),
        (0.13, "above chance, far from solved"),
        (0.54, "above chance, far from solved"),
        (0.55, "learned"),
        (0.90, "learned"),
        (0.91, "solved"),
        (1.0, "solved"),
    ],
)
def test_accuracy_verdicts(accuracy, verdict):
    result = accuracy_skill(EVEN, predictions(EVEN, accuracy, 10), num_classes=10)
    assert result.verdict == verdict
    assert result.gap_closed == pytest.approx((accuracy - 0.1) / 0.9)


def test_a_few_lucky_answers_are_no_skill():
    assert accuracy_skill([0, 1, 1], [0, 1, 0]).verdict == "at chance"


def test_one_class_alone_leaves_nothing_to_gain():
    result = accuracy_skill(np.zeros(50, int), np.zeros(50, int), num_classes=3)
    assert result.baseline == 1 and result.gap_closed == 0
    assert result.verdict == "no better than a constant"


# Absolute error


@settings(max_examples=50, deadline=None)
@given(pair=values, seed=st.integers(0, 100))
def test_mae_invariants(pair, seed):
    y_true, y_pred = pair
    result = mae_skill(y_true, y_pred)
    assert result.score == pytest.approx(mean_absolute_error(y_true, y_pred))
    assert 0 <= result.low <= result.score <= result.high
    # No constant is better than the baseline.
    for constant in (*y_true, y_true.mean()):
        assert result.baseline <= np.abs(y_true - constant).mean() + 1e-9

    order = np.random.default_rng(seed).permutation(len(y_true))
    for same in (
        mae_skill(y_true[order], y_pred[order]),
        mae_skill(np.r_[y_true, np.nan], np.r_[y_pred, np.nan]),
        mae_skill(y_true[:, None], y_pred[:, None]),
    ):
        assert same.samples == result.samples and same.verdict == result.verdict
        np.testing.assert_allclose(
            (same.score, same.low, same.high, same.baseline),
            (result.score, result.low, result.high, result.baseline),
            atol=1e-9,
        )
    doubled = mae_skill(2 * y_true, 2 * y_pred)
    assert doubled.score == pytest.approx(2 * result.score)
    assert doubled.verdict == result.verdict


def test_mae_has_a_t_interval():
    rng = np.random.default_rng(0)
    y_true, y_pred = rng.random(25), rng.random(25)
    result = mae_skill(y_true, y_pred, confidence=0.9)
    expected = stats.ttest_1samp(np.abs(y_true - y_pred), 0).confidence_interval(0.9)
    np.testing.assert_allclose((result.low, result.high), expected)


def test_one_sample_has_no_known_interval():
    result = mae_skill([1.0], [1.0])
    assert (result.low, result.high) == (0, np.inf)
    assert result.verdict == "no better than a constant"


def test_a_given_constant_is_the_baseline():
    y = np.array([0.0, 1.0, 2.0, 9.0])
    best, given_one = mae_skill(y, y), mae_skill(y, y, constant=3.0)
    assert (best.baseline, best.baseline_name) == (2.5, "best constant")
    assert (given_one.baseline, given_one.baseline_name) == (3.0, "constant 3")


def test_a_sample_of_several_numbers_is_one_sample():
    y_true = np.array([[0.0, 1.0], [2.0, np.nan], [4.0, 5.0]])
    result = mae_skill(y_true, np.array([[1.0, 1.0], [np.nan, 0.0], [4.0, 8.0]]))
    assert result.samples == 2 and result.score == 1.0
    assert result.baseline == 2.0  # the medians are 2 and 3


@pytest.mark.parametrize(
    ("share_of_baseline", "verdict"),
    [
        (2.0, "worse than a constant"),
        (1.0, "no better than a constant"),
        (0.9, "better than a constant, far from solved"),
        (0.51, "better than a constant, far from solved"),
        (0.5, "learned"),
        (0.11, "learned"),
        (0.1, "solved"),
        (0.0, "solved"),
    ],
)
def test_mae_verdicts(share_of_baseline, verdict):
    y = np.tile([0.0, 1.0], 500)  # the best constant is 0.5 off
    sign = np.repeat([-1, 1], 500)
    result = mae_skill(y, y + sign * 0.5 * share_of_baseline)
    assert result.baseline == 0.5 and result.verdict == verdict
    assert result.gap_closed == pytest.approx(1 - share_of_baseline)


def test_constant_labels_leave_nothing_to_gain():
    assert mae_skill(np.ones(9), np.ones(9)).verdict == "no better than a constant"


def test_the_known_trap_of_uniform_targets():
    """A MAE of 0.24 on a uniform [0, 1] target looks small and is no skill at all."""
    y = np.linspace(0, 1, 500)
    result = mae_skill(y, np.roll(np.full(500, 0.5), 1) + 0.02)
    assert result.baseline == pytest.approx(0.25, abs=0.001)
    assert result.verdict == "no better than a constant"


# Choosing, printing, errors


def test_skill_chooses_by_the_labels():
    assert skill(EVEN, EVEN, num_classes=20, task="a") == accuracy_skill(EVEN, EVEN, 20, "a")
    y = np.linspace(0, 1, 9)
    assert skill(y, y, constant=0.2, task="b", confidence=0.5) == mae_skill(y, y, 0.2, "b", 0.5)


def test_text_says_it_all():
    result = accuracy_skill(EVEN, predictions(EVEN, 0.82, 10), task="identity")
    low, high = wilson(820, 1000)
    assert str(result) == result.text
    assert result.text == (
        f"identity: accuracy 82.0 % [{100 * low:.1f}, {100 * high:.1f}] against 10.0 % "
        "(chance) on 1,000 samples: learned (80 % of the gap to perfection closed)"
    )


def test_table_is_aligned():
    rows = [
        Skill("identity", "accuracy", 0.871, 0.86, 0.881, 0.1, "chance", 4000, "learned"),
        Skill("size", "mae", 0.2, 0.19, 0.213, 0.2, "best constant", 40, "no better"),
    ]
    assert skill_table(rows, title="Test scores").splitlines() == [
        "Test scores",
        "task      score [low, high]             baseline             in words",
        "--------  ----------------------------  -------------------  ---------",
        "identity  accuracy 87.1 % [86.0, 88.1]  10.0 % (chance)      learned",
        "size      mae 0.2 [0.19, 0.213]         0.2 (best constant)  no better",
    ]
    assert skill_table(rows).splitlines()[0].startswith("task")


def test_table_without_rows_is_an_error():
    with pytest.raises(ValueError, match="at least one"):
        skill_table([])


@pytest.mark.parametrize("function", [accuracy_skill, mae_skill, skill])
@pytest.mark.parametrize(
    ("y_true", "y_pred", "words"),
    [
        (np.zeros(0, int), np.zeros(0, int), "at least one sample"),
        (np.zeros(4, int), np.zeros(3, int), r"same shape.*\(4,\).*\(3,\)"),
        (np.zeros(4, int), np.zeros((4, 10)), r"same shape.*\(4,\).*\(4, 10\)"),
        (np.int64(1), np.int64(1), "same shape"),
        (np.full(4, -1), np.zeros(4, int), "at least one labelled.*4 samples"),
        (np.full(4, np.nan), np.zeros(4), "at least one labelled.*4 samples"),
    ],
)
def test_errors_name_the_task(function, y_true, y_pred, words):
    with pytest.raises(ValueError, match=f"(?s)(?=.*'colour').*{words}"):
        function(y_true, y_pred, task="colour")


@pytest.mark.parametrize(
    ("y_true", "y_pred", "num_classes", "words"),
    [
        ([0, 5], [0, 1], 3, r"y_true.*0 \.\.\. 2.*\[5\]"),
        ([0, 1], [0, 7], 3, r"y_pred.*0 \.\.\. 2.*\[7\]"),
        ([0, -2], [0, 1], None, r"y_true.*\[-2\]"),
        ([0, 1], [0.1, 0.9], None, "y_pred.*argmax.*float64"),
        ([0.5, 1.0], [0, 1], None, "y_true.*float64"),
        ([0, 1], [0.0, 1.0], None, "y_pred.*float64"),
    ],
)
def test_wrong_classes_are_errors(y_true, y_pred, num_classes, words):
    with pytest.raises(ValueError, match=words):
        accuracy_skill(y_true, y_pred, num_classes)


def test_predictions_that_are_not_finite_are_an_error():
    with pytest.raises(ValueError, match=r"'size'.*2 NaN"):
        mae_skill([0.0, 1.0, 2.0], [np.nan, np.inf, 0.0], task="size")


@pytest.mark.parametrize("confidence", [0, 1, 95])
def test_confidence_is_a_fraction(confidence):
    for function in (accuracy_skill, mae_skill):
        with pytest.raises(ValueError, match=f"confidence={confidence}"):
            function([0, 1], [0, 1], confidence=confidence)


def test_columns_of_tables_have_gaps():
    """As `fit` takes them: integers with gaps, and classes that became floats by their gaps."""
    pd = pytest.importorskip("pandas")
    predicted = np.array([0, 1, 1, 0])
    for column in (
        pd.Series([0, 1, None, 1], dtype="Int64"),
        pd.Series([0, 1, None, 1]),
    ):
        found = accuracy_skill(column, predicted)
        assert found.samples == 3 and found.score == pytest.approx(2 / 3)
    with pytest.raises(ValueError, match="integer classes"):
        accuracy_skill(np.array([0.5, 1.0]), predicted[:2])


def test_a_constant_of_nan_is_refused():
    with pytest.raises(ValueError, match="np.nanmedian"):
        mae_skill(np.array([0.1, 0.2]), np.array([99.0, 99.0]), constant=float("nan"))
