"""Features of columns, sequences and tokens that need no labels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

#: Principal components that distances are taken between.
_COMPONENTS = 192
#: The share of the mean variance that is added to the variance of each pixel.
_LEAST_VARIANCE = 0.1
#: Trees, and how deep they are: some thirty leaves each.
_TREES, _DEPTH = 50, 5
#: Steps that sequences are averaged to, frequencies that are kept, and the most columns of both.
_STEPS, _FREQUENCIES, _MOST = 32, 8, 1536
#: Columns that counts of tokens and of pairs are hashed to.
_HASHED = 1536


def standardized(x: NDArray) -> NDArray[np.float32]:
    """Brings each column to mean 0 and variance 1.

    Args:
        x: Array of shape `(samples, ...)`; further axes are put in one.
    """
    flat = np.asarray(x, "float32").reshape(len(x), -1)
    flat = flat - flat.mean(axis=0)
    spread = flat.std(axis=0)
    return flat / np.where(spread > 1e-6, spread, 1.0)


def scaled_pixels(images: NDArray) -> NDArray[np.float32]:
    """Centres pixels, and brings those that vary to a like variance.

    A pixel that hardly varies stays small: at its edges, a photograph of an object may show nothing
    but noise, and as large as the rest it would hide what is near.

    Args:
        images: Array of shape `(samples, ...)`; further axes are put in one.
    """
    flat = images.reshape(len(images), -1)
    flat = flat - flat.mean(axis=0)
    variance = flat.var(axis=0)
    return flat / np.sqrt(np.maximum(variance + _LEAST_VARIANCE * variance.mean(), 1e-12))


def as_values(x: NDArray) -> NDArray[np.float32]:
    """Standardises values, and keeps the principal components that vary most.

    Args:
        x: Array of shape `(samples, ...)`.

    Returns:
        Array of shape `(samples, at most 192)`, in which distances are nearly those of the values.
    """
    return main_components(standardized(x))


def main_components(flat: NDArray[np.float32]) -> NDArray[np.float32]:
    """Keeps the 192 principal components that vary most, where there are more columns."""
    if flat.shape[1] <= _COMPONENTS:
        return flat
    flat = flat - flat.mean(axis=0)
    if len(flat) < flat.shape[1]:
        left, values, _ = np.linalg.svd(flat, full_matrices=False)
        return left[:, :_COMPONENTS] * values[:_COMPONENTS]
    _, vectors = np.linalg.eigh((flat.T @ flat).astype("float64"))
    return flat @ vectors[:, ::-1][:, :_COMPONENTS].astype("float32")


def tree_leaves(x: NDArray, seed: int = 0) -> NDArray[np.float32]:
    """Says in which leaf of each of 50 random trees a row ends: what interactions columns have.

    Returns:
        Array of shape `(samples, leaves)` of zeros and ones, and the standardised columns.
    """
    from sklearn.ensemble import RandomTreesEmbedding

    columns = standardized(x)
    trees = RandomTreesEmbedding(_TREES, max_depth=_DEPTH, sparse_output=False, random_state=seed)
    return np.concatenate([trees.fit_transform(columns).astype("float32"), columns], axis=1)


def summaries(x: NDArray) -> NDArray[np.float32]:
    """Describes sequences by their course, how it varies, and its lowest frequencies.

    Each channel gives its values averaged over at most 32 stretches, its mean, deviation, least
    and largest value, the mean size of its steps, and the sizes of 8 frequencies.

    Args:
        x: Sequences of shape `(samples, steps, channels)`.

    Returns:
        Standardised array of shape `(samples, features)`.
    """
    x = np.asarray(x, "float32")
    x = (x - x.mean(axis=(0, 1))) / np.maximum(x.std(axis=(0, 1)), 1e-6)
    stretches = np.array_split(np.arange(x.shape[1]), min(_STEPS, x.shape[1]))
    parts = [np.stack([x[:, rows].mean(axis=1) for rows in stretches], axis=1)]
    steps = np.abs(np.diff(x, axis=1)).mean(axis=1) if x.shape[1] > 1 else x[:, 0] * 0
    parts.append(np.stack([x.mean(1), x.std(1), x.min(1), x.max(1), steps], axis=1))
    sizes = np.abs(np.fft.rfft(x, axis=1))[:, 1 : 1 + _FREQUENCIES]
    parts.append(np.log1p(sizes).astype("float32"))
    flat = np.concatenate([part.reshape(len(x), -1) for part in parts], axis=1)
    if flat.shape[1] > _MOST:  # many channels
        return standardized(as_values(flat))
    return standardized(flat)


def word_counts(x: NDArray) -> NDArray[np.float32]:
    """Counts tokens, and pairs of tokens that follow each other, weighed by how rare they are.

    Args:
        x: Token ids of shape `(samples, steps)`; 0 is padding.

    Returns:
        Array of shape `(samples, columns)`, rows of length 1.
    """
    from scipy.sparse import csr_matrix
    from sklearn.feature_extraction.text import TfidfTransformer

    x = np.asarray(x, "int64")
    pairs = x[:, :-1] * 1_000_003 + x[:, 1:] + 7_919
    is_pair = (x[:, :-1] > 0) & (x[:, 1:] > 0)
    columns = np.concatenate([x * 7_919, pairs], axis=1) % 2_147_483_647 % _HASHED
    there = np.concatenate([x > 0, is_pair], axis=1)
    rows = np.broadcast_to(np.arange(len(x))[:, None], columns.shape)
    counts = csr_matrix(
        (np.ones(int(there.sum())), (rows[there], columns[there])), shape=(len(x), _HASHED)
    )
    weighed = TfidfTransformer(sublinear_tf=True).fit_transform(counts)
    return weighed.toarray().astype("float32")
