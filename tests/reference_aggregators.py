"""The aggregators as the papers define them, in NumPy and SciPy, in float64, slowly."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize, nnls


def in_dual_cone(gradients, vector):
    """The vector nearest to another one that conflicts with no row.

    It is what is added to the other one, `rows.T @ x` with `x >= 0`, as short as it can be.
    """
    rows = gradients / np.linalg.norm(gradients, axis=1, keepdims=True)
    size = np.linalg.norm(vector)
    added, _ = nnls(rows.T, -vector / size)
    return vector + size * (rows.T @ added)


def upgrad(gradients):
    return np.mean([in_dual_cone(gradients, row) for row in gradients], axis=0)


def dual_proj(gradients):
    return in_dual_cone(gradients, gradients.mean(axis=0))


def mgda(gradients):
    """By non-negative least squares, after Lawson and Hanson."""
    shortest = np.linalg.norm(gradients, axis=1).min()
    system = np.vstack([gradients.T / shortest, np.ones(len(gradients))])
    weights, _ = nnls(system, np.eye(len(system))[-1])
    return gradients.T @ (weights / weights.sum())


def cagrad_bound(gradients, c):
    """What no vector within reach gets for its worst task: the least value of the dual problem."""
    mean = gradients.mean(axis=0)
    tasks = len(gradients)

    def value(weights):
        of_weights = gradients.T @ weights
        return of_weights @ mean + c * np.linalg.norm(mean) * np.linalg.norm(of_weights)

    starts = [np.full(tasks, 1 / tasks), *np.eye(tasks)]
    return min(
        minimize(
            value,
            start,
            method="SLSQP",
            bounds=[(0, 1)] * tasks,
            constraints={"type": "eq", "fun": lambda weights: weights.sum() - 1},
            options={"ftol": 1e-14, "maxiter": 500},
        ).fun
        for start in starts
    )


def imtl_g(gradients):
    """Equal projections, weights that sum to 1: one system of equations (independent rows)."""
    tasks = len(gradients)
    rows = gradients / np.linalg.norm(gradients, axis=1, keepdims=True)
    equations = (rows[:1] - rows[1:]) @ gradients.T
    system = np.vstack([equations, np.ones(tasks)])
    return gradients.T @ np.linalg.solve(system, np.eye(tasks)[-1])


def config(gradients):
    rows = gradients / np.linalg.norm(gradients, axis=1, keepdims=True)
    direction = np.linalg.pinv(rows) @ np.ones(len(rows))
    size = np.linalg.norm(direction)
    direction = direction / size if size > 1e-9 else np.zeros_like(direction)
    return (gradients @ direction).sum() * direction


def aligned_mtl(gradients, scale):
    """By the singular values of the gradients themselves."""
    left, singular, right = np.linalg.svd(gradients, full_matrices=False)
    kept = singular > 1e-12 * singular[0]
    size = {
        "min": singular[kept].min(),
        "rmse": np.sqrt((singular[kept] ** 2).mean()),
        "median": np.sort(singular[kept])[(kept.sum() - 1) // 2],
    }[scale]
    return size * (left[:, kept] @ right[kept]).mean(axis=0)


def pcgrad(gradients, noise):
    changed = gradients.copy()
    for index, order in enumerate(np.argsort(noise, axis=1)):
        for other in order:
            row, own = gradients[other], changed[index]
            if other != index and own @ row < 0:
                changed[index] = own - own @ row / (row @ row) * row
    return changed.sum(axis=0)


def gradvac(gradients, noise, averages, beta):
    changed, averages = gradients.copy(), averages.copy()
    for index, order in enumerate(np.argsort(noise, axis=1)):
        own = changed[index]
        for other in order:
            if other == index:
                continue
            row, target = gradients[other], averages[index, other]
            cosine = own @ row / np.linalg.norm(own) / np.linalg.norm(row)
            averages[index, other] = (1 - beta) * target + beta * cosine
            if cosine < target:
                part = target * np.sqrt(1 - cosine**2) - cosine * np.sqrt(1 - target**2)
                length = np.linalg.norm(own) / np.linalg.norm(row)
                own += row * length * part / np.sqrt(1 - target**2)
    return changed.sum(axis=0), averages


def graddrop(gradients, noise, leak=0.0):
    found = np.zeros(gradients.shape[1])
    for place, column in enumerate(gradients.T):
        positive = (1 + column.sum() / np.abs(column).sum()) / 2 > noise[place]
        kept = column > 0 if positive else column < 0
        found[place] = (np.where(kept, 1, leak) * column).sum()
    return found


def gradnorm_loss(weights, gradients, rates, alpha):
    """What GradNorm's weights minimise, with the targets held fixed at given weights."""
    lengths = np.linalg.norm(gradients, axis=1)
    target = (weights * lengths).mean() * rates**alpha
    return lambda weights: np.abs(weights * lengths - target).sum()
