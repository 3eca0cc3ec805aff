"""Retrieval scores against loops, hand-worked cases, and PyTorch Metric Learning 2.9.0."""

import tracemalloc

import numpy as np
import pytest

from mtlkit.metrics.retrieval import (
    map_at_r,
    nearest_neighbour_distance,
    r_precision,
    recall_at_k,
    retrieval_scores,
)


def random_case(seed=0, samples=40, dim=4, classes=5):
    rng = np.random.default_rng(seed)
    embeddings = rng.normal(size=(samples, dim)).astype("float32")
    return embeddings, rng.integers(-1, classes, size=samples)


def loop(embeddings, labels, references=None, num_bins=8, ks=(1, 3)):
    """Query by query, in float64."""
    z = embeddings.astype("float64")
    found, found_labels = (z, labels) if references is None else references
    found = np.asarray(found, "float64")
    scores = {f"recall_at_{k}": [] for k in ks} | {"r_precision": [], "map_at_r": []}
    distances = []
    for i in range(len(labels)):
        others = [
            j
            for j in range(len(found_labels))
            if found_labels[j] >= 0 and not (references is None and i == j)
        ]
        if labels[i] < 0:
            continue
        cosine = {
            j: z[i] @ found[j] / np.linalg.norm(z[i]) / np.linalg.norm(found[j]) for j in others
        }
        ranked = sorted(others, key=cosine.get, reverse=True)
        gap = abs(labels[i] - found_labels[ranked[0]])
        distances.append(min(gap, num_bins - gap))
        hits = [found_labels[j] == labels[i] for j in ranked]
        r = sum(hits)
        if r == 0:
            continue
        for k in ks:
            scores[f"recall_at_{k}"].append(any(hits[:k]))
        scores["r_precision"].append(sum(hits[:r]) / r)
        scores["map_at_r"].append(
            sum(sum(hits[: n + 1]) / (n + 1) for n in range(r) if hits[n]) / r
        )
    means = {name: np.mean(values) for name, values in scores.items()}
    return {
        **means,
        "nearest_neighbour_bins": np.mean(distances),
        "queries": len(scores["map_at_r"]),
    }


@pytest.mark.parametrize("chunk_size", [1, 7, 256])
@pytest.mark.parametrize("seed", range(3))
def test_loop(seed, chunk_size):
    embeddings, labels = random_case(seed)
    labels[3] = 7  # alone in its class
    expected = loop(embeddings, labels)
    found = retrieval_scores(embeddings, labels, ks=(1, 3), num_bins=8, chunk_size=chunk_size)
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=1e-6)
    assert found["nearest_neighbour_degrees"] == pytest.approx(
        45 * expected["nearest_neighbour_bins"], rel=1e-6
    )


def test_references_of_their_own():
    embeddings, labels = random_case(5)
    found, found_labels = random_case(6, samples=25)
    labels[2] = 9  # of no reference
    expected = loop(embeddings, labels, (found, found_labels), num_bins=10)
    scores = retrieval_scores(
        embeddings, labels, ks=(1, 3), num_bins=10, references=(found, found_labels), chunk_size=9
    )
    assert {name: scores[name] for name in expected} == pytest.approx(expected, abs=1e-6)


def test_single_functions_agree():
    embeddings, labels = random_case(1)
    scores = retrieval_scores(embeddings, labels, ks=(1, 5), num_bins=5)
    assert recall_at_k(embeddings, labels) == scores["recall_at_1"]
    assert recall_at_k(embeddings, labels[:, None], k=5) == scores["recall_at_5"]
    assert r_precision(embeddings, labels) == scores["r_precision"]
    assert map_at_r(embeddings, labels) == scores["map_at_r"]
    distance = nearest_neighbour_distance(embeddings, labels, 5)
    assert distance == scores["nearest_neighbour_bins"]
    assert "nearest_neighbour_bins" not in retrieval_scores(embeddings, labels)


class TestPyTorchMetricLearning:
    embeddings = np.random.default_rng(3).normal(size=(40, 3)).astype("float32")
    labels = np.repeat(np.arange(5), 8)
    labels[-1] = 9

    def test_among_each_other(self):
        scores = retrieval_scores(self.embeddings, self.labels)
        assert scores["recall_at_1"] == pytest.approx(0.20512820512820512)
        assert scores["r_precision"] == pytest.approx(0.1874236874236874)
        assert scores["map_at_r"] == pytest.approx(0.0896374789231932)
        assert scores["queries"] == 39

    def test_of_references(self):
        references = self.embeddings[20:], (self.labels[20:] * 3) % 5
        scores = retrieval_scores(self.embeddings[:20], self.labels[:20], references=references)
        assert scores["recall_at_1"] == pytest.approx(0.16666666666666666)
        assert scores["r_precision"] == pytest.approx(0.20833333333333334)
        assert scores["map_at_r"] == pytest.approx(0.1300967261904762)


def ranked(hits):
    """A query at 0 degrees, and references farther and farther, of its class or not."""
    angles = np.linspace(0.01, 1.5, len(hits))
    references = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    labels = np.where(hits, 0, 1)
    return np.array([[1.0, 0.0]]), np.array([0]), (references, labels)


def test_average_precision_by_hand():
    """R = 50 of 100 references; ten found first, or last among the R nearest."""
    for rows, expected in ((slice(0, 10), 0.2), (slice(40, 50), None)):
        hits = np.zeros(100, bool)
        hits[rows] = True
        hits[60:] = True
        query, label, references = ranked(hits)
        if expected is None:
            expected = sum((n + 1) / (41 + n) for n in range(10)) / 50
        assert map_at_r(query, label, references=references) == pytest.approx(expected)
        assert r_precision(query, label, references=references) == pytest.approx(0.2)


def test_recall_by_hand():
    query, label, references = ranked([False, False, True, False])
    found = [recall_at_k(query, label, k, references=references) for k in (1, 2, 3, 4, 99)]
    assert found == [0, 0, 1, 1, 1]


def test_perfect_and_inverted():
    labels = np.repeat(np.arange(4), 5)
    embeddings = np.eye(4)[labels] + 0.01 * np.random.default_rng(0).normal(size=(20, 4))
    scores = retrieval_scores(embeddings, labels, num_bins=4)
    assert scores["recall_at_1"] == scores["r_precision"] == scores["map_at_r"] == 1
    assert scores["nearest_neighbour_bins"] == 0
    assert scores["chance"] == pytest.approx(4 / 19)


def test_collapsed_embeddings_score_at_chance():
    """Also where samples are sorted by class, and the first found would be a neighbour."""
    labels = np.repeat(np.arange(10), 50)
    scores = retrieval_scores(np.ones((500, 3)), labels, num_bins=10)
    for name in ("recall_at_1", "r_precision"):
        assert scores[name] == pytest.approx(scores["chance"], abs=0.05)
    assert scores["nearest_neighbour_bins"] == pytest.approx(2.5, abs=0.6)
    zeros = retrieval_scores(np.zeros((500, 3)), labels)
    assert zeros["r_precision"] == pytest.approx(scores["chance"], abs=0.05)


def test_random_embeddings_score_at_chance():
    rng = np.random.default_rng(0)
    labels = rng.integers(6, size=600)
    scores = retrieval_scores(rng.normal(size=(600, 16)), labels)
    for name in ("recall_at_1", "r_precision"):
        assert scores[name] == pytest.approx(scores["chance"], abs=0.05)


def test_scale_and_order_do_not_matter():
    embeddings, labels = random_case(2)
    expected = retrieval_scores(embeddings, labels)
    rng = np.random.default_rng(0)
    order = rng.permutation(40)
    scaled = embeddings * rng.uniform(0.1, 9, size=(40, 1))
    assert retrieval_scores(scaled[order], labels[order]) == pytest.approx(expected, abs=1e-9)


def test_memory_is_not_quadratic():
    embeddings, labels = random_case(0, samples=3000)
    tracemalloc.start()
    retrieval_scores(embeddings, labels, chunk_size=50)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3000 * 3000 * 4 / 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"embeddings": np.zeros(4)}, r"\(samples, dim\) of the queries.*\(4,\)"),
        ({"embeddings": np.full((4, 2), np.nan)}, "finite embeddings of the queries"),
        ({"labels": np.zeros(4)}, "integer label for each of the 4.*float64"),
        ({"labels": np.zeros(3, int)}, r"each of the 4.*\(3,\)"),
        ({"labels": np.full(4, -1)}, "at least one labelled sample of the queries.*4"),
        ({"labels": np.arange(4)}, "at least one query with something to find"),
        ({"ks": (1, 0)}, r"ks\[1\] >= 1. Received: ks\[1\]=0"),
        ({"chunk_size": 0}, "chunk_size >= 1"),
        ({"num_bins": 1}, "num_bins >= 2. Received: num_bins=1"),
        ({"references": (np.ones((2, 3)), np.zeros(2, int))}, "queries of 2, references of 3"),
        ({"references": (np.ones((2, 2)), np.full(2, -1))}, "labelled sample of the references"),
        ({"references": (np.ones((2, 2)), np.full(2, 9))}, "something to find"),
    ],
)
def test_errors(change, message):
    given = {"embeddings": np.eye(4)[:, :2], "labels": np.array([0, 0, 1, 1]), **change}
    with pytest.raises(ValueError, match=message):
        retrieval_scores(given.pop("embeddings"), given.pop("labels"), **given)


def test_a_single_sample():
    with pytest.raises(ValueError, match="something to find.*1 queries, 0 references"):
        nearest_neighbour_distance(np.ones((1, 2)), np.array([0]), 8)
