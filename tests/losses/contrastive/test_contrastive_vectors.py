"""Reference numbers of PyTorch Metric Learning 2.9.0 (float64), limits, and errors."""

import numpy as np
import pytest
from keras import ops

from mtlkit.losses.contrastive import (
    ArcFace,
    ContrastiveCrossEntropy,
    CosFace,
    EmbeddingLoss,
    MultiSimilarity,
    NormFace,
    NTXent,
    ProxyAnchor,
    ProxyLoss,
    RankNContrast,
    SoftTriple,
    SupervisedContrastive,
    TripletSemiHard,
)
from mtlkit.testing import input_gradients


def on_circle(degrees):
    angles = np.deg2rad(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


E = on_circle([0, 10, 20, 50, 60, 80])
Y = np.array([0, 0, 0, 1, 1, 2])
TO_PROXIES = E @ on_circle([5, 55, 85]).T

# A larger random batch, from which PyTorch Metric Learning made the numbers below.
RNG = np.random.default_rng(7)
X = RNG.normal(size=(12, 8))
X_LABELS = np.arange(12) % 4
PROXIES, CENTRES = RNG.normal(size=(4, 8)), RNG.normal(size=(12, 8))


def cosines(a, b):
    return (a @ b.T) / np.linalg.norm(a, axis=1)[:, None] / np.linalg.norm(b, axis=1)


def value(loss, y, outputs):
    return float(ops.convert_to_numpy(loss(y, np.asarray(outputs, "float32"))))


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        (SupervisedContrastive(0.07), 0.6314057807),
        (SupervisedContrastive(0.1), 0.7200604451),
        (SupervisedContrastive(0.5), 1.2572937285),
        (NTXent(0.07), 0.1870870569),
        (NTXent(0.1), 0.2981431006),
        (NTXent(0.5), 0.9958537970),
        (MultiSimilarity(), 0.5372077088),
        (TripletSemiHard(0.2), 0.0283366976),
        (TripletSemiHard(0.5), 0.1845727831),
    ],
)
def test_six_embeddings(loss, expected):
    assert value(loss, Y, E) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        (ArcFace(28.6, 64), 2.6399708215),
        (CosFace(0.35, 64), 10.2164990643),
        (ProxyAnchor(), 30.1219741003),
        (SoftTriple(1), 0.0790153796),
        (ArcFace(0, 30), 0.0246583170),
        (CosFace(0, 30), 0.0246583170),
        (NormFace(1 / 30), 0.0246583170),
        (SoftTriple(1, scale=30, margin=0), 0.0246583170),
    ],
)
def test_six_embeddings_and_three_proxies(loss, expected):
    assert value(loss, Y, TO_PROXIES) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        (SupervisedContrastive(0.1), 6.256914689615008),
        (NTXent(0.07), 8.238391870317335),
        (MultiSimilarity(), 1.0874378478105473),
        (TripletSemiHard(0.2), 0.09863559393012938),
    ],
)
def test_random_embeddings(loss, expected):
    assert value(loss, X_LABELS, X) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        (NormFace(0.05), 4.503768776788664),
        (CosFace(0.35, 64), 28.089953086785485),
        (ArcFace(28.6, 64), 34.1166813836151),
        (ProxyAnchor(), 27.238350568417246),
    ],
)
def test_random_proxies(loss, expected):
    assert value(loss, X_LABELS, cosines(X, PROXIES)) == pytest.approx(expected, rel=1e-5)


def test_random_centres():
    found = value(SoftTriple(3), X_LABELS, cosines(X, CENTRES))
    assert found == pytest.approx(7.4288944804549075, rel=1e-5)


class TestRankNContrast:
    labels = np.array([0, 1, 2, 16, 30, 31])

    def test_linear(self):
        assert value(RankNContrast(), self.labels, E) == pytest.approx(0.8847825216, rel=1e-5)
        turned = (self.labels + 5) % 32
        assert value(RankNContrast(), turned, E) == pytest.approx(1.013, abs=1e-3)

    def test_circular(self):
        loss = RankNContrast(num_bins=32)
        assert value(loss, self.labels, E) == pytest.approx(1.0136524280, rel=1e-5)
        turned = (self.labels + 5) % 32
        assert value(loss, turned, E) == pytest.approx(1.0136524280, rel=1e-5)

    @pytest.mark.parametrize("n", [2, 6])
    def test_collapse_with_equal_labels(self, n):
        found = value(RankNContrast(num_bins=32), np.full(n, 7), np.ones((n, 2)))
        assert found == pytest.approx(np.log(n - 1), abs=1e-6)

    def test_numbers_as_labels(self):
        """Floating-point labels, NaN where missing."""
        y = np.array([0.5, 0.1, np.nan, 0.9, 0.3, 0.7])
        keep = ~np.isnan(y)
        ranks = np.argsort(np.argsort(y[keep]))
        loss = RankNContrast()
        assert value(loss, y, E) == pytest.approx(value(loss, y[keep], E[keep]), rel=1e-6)
        assert value(loss, y[keep], E[keep]) == pytest.approx(
            value(loss, ranks / 5 + 0.1, E[keep]), rel=1e-5
        )

    def test_circle_in_order_is_better_than_in_disorder(self):
        bins = np.arange(6)
        embeddings = on_circle(bins * 60)
        disorder = np.array([0, 3, 1, 4, 2, 5])
        loss = RankNContrast(temperature=0.2, num_bins=6)
        assert value(loss, bins, embeddings) < 0.8 * value(loss, disorder, embeddings)


class TestLimits:
    def test_one_positive_each_makes_supcon_nt_xent(self):
        y = np.arange(12) % 6
        for t in (0.07, 0.5):
            expected = value(NTXent(t), y, X)
            assert value(SupervisedContrastive(t), y, X) == pytest.approx(expected, rel=1e-5)

    def test_collapse(self):
        """Two classes of four at one point."""
        y, z = np.repeat([0, 1], 4), np.ones((8, 3))
        assert value(SupervisedContrastive(), y, z) == pytest.approx(np.log(7), rel=1e-5)
        assert value(NTXent(), y, z) == pytest.approx(np.log(5), rel=1e-5)

    @pytest.mark.parametrize("t", [0.1, 0.5, 2.0])
    def test_antipodal_classes(self, t):
        y = np.repeat([0, 1], 4)
        z = np.where(y[:, None] == 0, 1.0, -1.0) * np.ones((8, 3))
        expected = np.log(3 + 4 * np.exp(-2 / t))
        assert value(SupervisedContrastive(t), y, z) == pytest.approx(expected, rel=1e-5)

    def test_soft_pairs_become_hard_ones(self):
        hard = value(SupervisedContrastive(), X_LABELS, X)
        for soft in (
            SupervisedContrastive(pair_weights=np.eye(4)),
            SupervisedContrastive(pair_weights=7 * np.eye(4)),
            SupervisedContrastive(pair_weights="gaussian", width=0.1),
            SupervisedContrastive(pair_weights="gaussian", width=0.01, num_bins=4),
        ):
            assert value(soft, X_LABELS, X) == pytest.approx(hard, rel=1e-6)

    def test_soft_pairs_become_all_pairs(self):
        wide = SupervisedContrastive(pair_weights="gaussian", width=1e4, num_bins=4)
        everyone = SupervisedContrastive(pair_weights=np.ones((4, 4)))
        expected = value(everyone, X_LABELS, X)
        assert value(wide, X_LABELS, X) == pytest.approx(expected, rel=1e-5)

    def test_narrow_gaussian_without_company(self):
        """No weight is left to divide by: NaN in plain code."""
        loss = SupervisedContrastive(pair_weights="gaussian", width=0.01, num_bins=32)
        assert value(loss, np.arange(6), E) == 0
        assert not input_gradients(lambda z: loss(np.arange(6), z), E).any()

    def test_anchors_without_positive_are_left_out(self):
        """The mean is over the others, which still have them as negatives."""
        loss = SupervisedContrastive()
        weights = np.where(Y == 2, 100.0, 1.0)  # of the one alone: nothing to multiply
        found = float(ops.convert_to_numpy(loss(Y, E, sample_weight=weights)))
        assert np.isfinite(found) and found == pytest.approx(value(loss, Y, E), rel=1e-6)
        gradient = input_gradients(lambda z: loss(Y, z), E)
        assert np.isfinite(gradient).all() and gradient[5].any(), "it is a negative"

    def test_anchors_without_loss_count(self):
        """Unlike in reducers that average non-zero losses only."""
        z = on_circle([0, 0, 90, 180, 180, 270])
        y = np.array([0, 0, 1, 2, 2, 0])
        losses = [
            -np.log(np.exp(z[i] @ z[p] / 0.1) / (np.exp(z[i] @ z[p] / 0.1) + negative))
            for i in range(6)
            for negative in [sum(np.exp(z[i] @ z[k] / 0.1) for k in range(6) if y[k] != y[i])]
            for p in range(6)
            if p != i and y[p] == y[i]
        ]
        assert min(losses) < 2e-4 < 0.6 < max(losses)
        assert value(NTXent(0.1), y, z) == pytest.approx(np.mean(losses), rel=1e-5)

    def test_multi_similarity_pushes_anchors_without_positive(self):
        loss = MultiSimilarity()
        gradient = input_gradients(lambda z: loss(np.arange(6), z), E)
        assert value(loss, np.arange(6), E) > 0 and gradient.any()

    @pytest.mark.parametrize("t", [0.01, 0.003])
    @pytest.mark.parametrize("loss", [SupervisedContrastive, NTXent, NormFace])
    def test_low_temperatures_are_exact(self, loss, t):
        """`log(1 + e^{-x})` and `x + ...` of large x, in float32."""
        loss = loss(t)
        outputs = TO_PROXIES if isinstance(loss, ProxyLoss) else E
        for y in (Y, Y[::-1].copy()):
            found = value(loss, y, outputs)
            with np.errstate(over="raise"):
                expected = _low_temperature(loss, y, outputs, t)
            assert found == pytest.approx(expected, rel=1e-4, abs=1e-6)
            gradient = input_gradients(lambda z, y=y: loss(y, z), outputs)
            assert np.isfinite(gradient).all()


def _low_temperature(loss, y, outputs, t):
    from scipy.special import logsumexp

    if isinstance(loss, NormFace):
        logits = outputs / t
        return np.mean([logsumexp(row - row[k]) for row, k in zip(logits, y, strict=True)])
    s = outputs @ outputs.T / t
    n = len(y)
    terms = []
    for i in range(n):
        positives = [p for p in range(n) if p != i and y[p] == y[i]]
        if isinstance(loss, NTXent):
            negatives = [s[i, k] for k in range(n) if y[k] != y[i]]
            terms += [logsumexp([s[i, p], *negatives]) - s[i, p] for p in positives]
        elif positives:
            everyone = logsumexp([s[i, a] for a in range(n) if a != i])
            terms.append(everyone - np.mean([s[i, p] for p in positives]))
    return np.mean(terms)


class TestArcFace:
    def margin_of(self, cosine, margin):
        """The logit that the true class gets."""
        logits = ArcFace(np.rad2deg(margin), scale=1.0).logits(
            ops.convert_to_tensor([[1.0, 0.0]]), ops.convert_to_tensor([[cosine, 0.3]])
        )
        found = ops.convert_to_numpy(logits)[0]
        assert found[1] == pytest.approx(0.3)
        return found[0]

    @pytest.mark.parametrize("margin", [0.1, 0.5, 1.5])
    def test_never_rises_with_the_angle(self, margin):
        theta = np.linspace(0, np.pi, 101)
        found = np.array([self.margin_of(np.cos(angle), margin) for angle in theta[::5]])
        assert np.all(np.diff(found) < 1e-6)

    def test_jump_at_the_guard(self):
        below, beyond = (
            self.margin_of(np.cos(np.pi - 0.5 + epsilon), 0.5) for epsilon in (-1e-3, 1e-3)
        )
        assert below - beyond == pytest.approx(0.1173, abs=1e-3)

    def test_guard_is_finite_and_falling_at_the_ends(self):
        for cosine in (1.0, -1.0, 1.0000001, -1.0000001):
            gradient = input_gradients(
                lambda s: ArcFace()(np.array([0]), s), np.array([[cosine, 0.0]], "float32")
            )
            assert np.isfinite(gradient).all()


class TestProxyLosses:
    def test_one_sample_is_enough(self):
        for loss in (NormFace(), CosFace(), ArcFace(), ProxyAnchor(), SoftTriple(1)):
            y, outputs = np.array([1]), TO_PROXIES[:1]
            gradient = input_gradients(lambda s, loss=loss, y=y: loss(y, s), outputs)
            assert gradient[0, 1] < 0, "the true class should be closer"

    def test_margins_make_it_harder(self):
        values = [value(CosFace(margin), Y, TO_PROXIES) for margin in (0, 0.2, 0.4)]
        assert values == sorted(values) and values[0] < values[2]
        values = [value(ArcFace(margin), Y, TO_PROXIES) for margin in (0, 10, 30)]
        assert values == sorted(values) and values[0] < values[2]

    def test_weight_two_is_the_sample_twice_for_proxy_anchor(self):
        loss = ProxyAnchor()
        weight = np.array([1, 2, 1, 0, 1, 1])
        found = float(ops.convert_to_numpy(loss(Y, TO_PROXIES, sample_weight=weight)))
        rows = np.repeat(np.arange(6), weight)
        assert found == pytest.approx(value(loss, Y[rows], TO_PROXIES[rows]), rel=1e-5)

    def test_proxies_that_cannot_be_shared(self):
        with pytest.raises(ValueError, match=r"3 proxies of each class.*\(6, 4\)"):
            SoftTriple(3)(Y, np.zeros((6, 4), "float32"))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SupervisedContrastive(0), "temperature > 0. Received: temperature=0"),
        (lambda: SupervisedContrastive(float("nan")), "temperature > 0. Received: .*nan"),
        (lambda: SupervisedContrastive(width=-1), "width > 0. Received: width=-1"),
        (lambda: SupervisedContrastive(num_bins=1), "num_bins >= 2.*num_bins=1"),
        (lambda: SupervisedContrastive(pair_weights="soft"), '"hard", "gaussian".*soft'),
        (lambda: SupervisedContrastive(pair_weights=np.ones((2, 3))), r"\(2, 3\)"),
        (lambda: SupervisedContrastive(pair_weights=-np.eye(2)), "square matrix.*-1.0"),
        (lambda: SupervisedContrastive(pair_weights=[["a"]]), "square matrix"),
        (lambda: NTXent(-0.1), "temperature > 0"),
        (lambda: TripletSemiHard(0), "margin > 0. Received: margin=0"),
        (lambda: MultiSimilarity(beta=0), "beta > 0"),
        (lambda: RankNContrast(0), "temperature > 0"),
        (lambda: RankNContrast(num_bins=0), "num_bins >= 2"),
        (lambda: NormFace(0), "temperature > 0"),
        (lambda: CosFace(-0.1), r"margin in \[0, 2\).*-0.1"),
        (lambda: CosFace(scale=0), "scale > 0"),
        (lambda: ArcFace(91), r"margin in \[0, 90\] degrees.*91"),
        (lambda: ArcFace(scale=-1), "scale > 0"),
        (lambda: ProxyAnchor(alpha=0), "alpha > 0"),
        (lambda: SoftTriple(0), "proxies_per_class > 0"),
        (lambda: SoftTriple(gamma=0), "gamma > 0"),
        (lambda: SoftTriple(margin=2), r"margin in \[0, 2\)"),
        (lambda: ContrastiveCrossEntropy(3, "supcon", 3, 5), "BatchLoss.*'supcon'"),
        (lambda: ContrastiveCrossEntropy(3, NTXent(), 5, 5), "start=5, stop=5"),
        (lambda: ContrastiveCrossEntropy(3, NTXent(), 3, 5, -1), "loss_weight=-1"),
    ],
)
def test_errors(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_frames():
    """What the head decides by: whether a loss reads embeddings or cosines."""
    for loss in (SupervisedContrastive(), NTXent(), TripletSemiHard(), RankNContrast()):
        assert isinstance(loss, EmbeddingLoss) and not isinstance(loss, ProxyLoss)
    assert [p.proxies_per_class for p in (CosFace(), ProxyAnchor(), SoftTriple(2))] == [1, 1, 2]
