"""Groups found in confusions and embeddings."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import adjusted_rand_score

from mtlkit.hierarchy import Hierarchy

METHODS = ["linkage", "spectral"]


def confusions(groups, samples=100, right=0.6, within=0.3, seed=0):
    """Counts of a classifier that mostly confuses classes of the same group."""
    rng = np.random.default_rng(seed)
    groups = np.asarray(groups)
    same = (groups[:, None] == groups) & ~np.eye(len(groups), dtype=bool)
    other = groups[:, None] != groups
    shares = right * np.eye(len(groups))
    shares += within * same / np.maximum(same.sum(axis=1, keepdims=True), 1)
    shares += (1 - right - within) * other / other.sum(axis=1, keepdims=True)
    shares /= shares.sum(axis=1, keepdims=True)
    return np.array([rng.multinomial(samples, row) for row in shares])


def same_group(tree, level=1):
    return tree.level(level)[:, None] == tree.level(level)


@pytest.mark.parametrize("method", METHODS)
@given(seed=st.integers(0, 1000))
def test_blocks_are_recovered_up_to_permutation(method, seed):
    groups = np.random.default_rng(seed).permutation(np.repeat(np.arange(4), 3))
    tree = Hierarchy.from_confusion(confusions(groups), 4, method=method, bootstrap=0)
    np.testing.assert_array_equal(same_group(tree), groups[:, None] == groups)


@given(seed=st.integers(0, 1000))
def test_relabelling_relabels_the_groups(seed):
    rng = np.random.default_rng(seed)
    counts = rng.integers(0, 1000, (8, 8)) + 3000 * np.eye(8, dtype=int)
    order = rng.permutation(8)
    plain = Hierarchy.from_confusion(counts, 3, bootstrap=0)
    moved = Hierarchy.from_confusion(counts[np.ix_(order, order)], 3, bootstrap=0)
    np.testing.assert_array_equal(same_group(plain)[np.ix_(order, order)], same_group(moved))


def test_several_levels():
    coarse = np.repeat([0, 1], 6)
    fine = np.repeat([0, 1, 2, 3], 3)
    counts = confusions(fine, 1000) + confusions(coarse, 1000)
    tree = Hierarchy.from_confusion(counts, (2, 4))
    assert tree.depth == 3
    np.testing.assert_array_equal(same_group(tree, 1), coarse[:, None] == coarse)
    np.testing.assert_array_equal(same_group(tree, 2), fine[:, None] == fine)
    assert tree.names[-1] == "group 1.1"


class TestOddClasses:
    @pytest.mark.parametrize("method", METHODS)
    @pytest.mark.filterwarnings("error")
    def test_never_confused(self, method):
        """Isolated classes do not divide by zero; alone, they have no group."""
        counts = np.zeros((6, 6), int)
        counts[:5, :5] = confusions([0, 0, 1, 1, 1])
        counts[5, 5] = 100
        tree = Hierarchy.from_confusion(counts, 3, method=method)
        assert tree.parents[5] == -1 and tree.depth == 2

    @pytest.mark.parametrize("method", METHODS)
    @pytest.mark.filterwarnings("error")
    def test_without_samples(self, method):
        counts = confusions([0, 0, 1, 1])
        counts[0] = 0
        tree = Hierarchy.from_confusion(counts, 2, method=method)
        assert tree.num_leaves == 4

    def test_rates_do_but_are_not_resampled(self):
        counts = confusions([0, 0, 1, 1])
        by_rates = Hierarchy.from_confusion(counts / counts.sum(), 2)
        assert by_rates.stability is None
        assert by_rates.parents == Hierarchy.from_confusion(counts, 2).parents


class TestChance:
    noise = np.random.default_rng(0).multinomial(100, np.full(10, 0.1), size=10)

    def test_refused_with_a_warning(self):
        with (
            pytest.warns(UserWarning, match=r"mean accuracy of .*%.*chance is 10\.0%.*noise"),
            pytest.raises(ValueError, match=r"twice chance \(or force=True\)"),
        ):
            Hierarchy.from_confusion(self.noise, 3)

    def test_forced(self):
        with pytest.warns(UserWarning, match="noise"):
            tree = Hierarchy.from_confusion(self.noise, 3, force=True)
        assert tree.num_leaves == 10

    def test_rare_classes_count_as_much(self):
        """A model that always says the commonest class is at chance, however right it is."""
        counts = np.zeros((5, 5), int)
        counts[:, 0] = [1000, 5, 5, 5, 5]
        with pytest.warns(UserWarning), pytest.raises(ValueError, match="chance"):
            Hierarchy.from_confusion(counts, 2)

    def test_no_warning_above(self):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            Hierarchy.from_confusion(confusions([0, 0, 1, 1]), 2)


class TestStability:
    @pytest.mark.parametrize("method", METHODS)
    def test_high_for_blocks_low_for_noise(self, method):
        blocks = Hierarchy.from_confusion(
            confusions(np.repeat(np.arange(3), 4)), 3, method=method, bootstrap=20
        )
        assert blocks.stability > 0.95
        even = np.full((12, 12), 0.6 / 11)
        np.fill_diagonal(even, 0.4)
        rng = np.random.default_rng(0)
        noise = np.array([rng.multinomial(60, row / row.sum()) for row in even])
        noise = Hierarchy.from_confusion(noise, 3, method=method, bootstrap=20)
        assert noise.stability < 0.4

    def test_in_text_and_config(self):
        tree = Hierarchy.from_confusion(confusions([0, 0, 1, 1]), 2, bootstrap=5)
        assert f"stability {tree.stability:.2f}" in str(tree)
        assert Hierarchy.from_config(tree.get_config()).stability == tree.stability
        assert Hierarchy.from_confusion(confusions([0, 0, 1, 1]), 2, bootstrap=0).stability is None

    def test_seed(self):
        counts = confusions(np.repeat(np.arange(3), 3), 30, right=0.5, within=0.2)
        first, again, other = (
            Hierarchy.from_confusion(counts, 3, seed=seed).stability for seed in (0, 0, 1)
        )
        assert first == again != other


@pytest.mark.parametrize(
    ("matrix", "kwargs", "message"),
    [
        (np.eye(2), {}, r"three classes.*\(2, 2\)"),
        (np.ones((3, 4)), {}, r"square.*\(3, 4\)"),
        (np.diag([1.0, 2, np.nan, 3]), {}, "finite"),
        (-np.eye(4), {}, "from -1"),
        (np.zeros((4, 4)), {}, "from 0.0 to 0.0"),
        (np.eye(4), {"num_groups": 1}, r"2\.\.\.3.*num_groups=1"),
        (np.eye(4), {"num_groups": 4}, "num_groups=4"),
        (np.eye(4), {"num_groups": (3, 2)}, "rising"),
        (np.eye(4), {"method": "kmeans"}, "'kmeans'"),
        (np.eye(4), {"method": "spectral", "num_groups": (2, 3)}, "one number of groups"),
    ],
)
def test_errors(matrix, kwargs, message):
    with pytest.raises(ValueError, match=message):
        Hierarchy.from_confusion(matrix, **{"num_groups": 2, **kwargs})


class TestEmbeddings:
    def test_directions_make_groups(self):
        rng = np.random.default_rng(0)
        groups = rng.permutation(np.repeat(np.arange(3), 3))
        means = np.eye(3)[groups] + rng.normal(0, 0.1, (9, 3))
        lengths = rng.uniform(0.1, 10, (9, 1))  # which do not matter
        tree = Hierarchy.from_embeddings(lengths * means, 3, class_names=list("abcdefghi"))
        assert adjusted_rand_score(tree.level(1), groups) == 1
        assert tree.names[:2] == ("a", "b") and tree.stability is None

    def test_errors(self):
        with pytest.raises(ValueError, match="zero for class 1"):
            Hierarchy.from_embeddings([[1, 0], [0, 0], [0, 1]], 2)
        with pytest.raises(ValueError, match=r"shape \(3,\)"):
            Hierarchy.from_embeddings([1, 2, 3], 2)
