"""Aggregators against those of TorchJD, and what tells who is right where they differ."""

import json
from pathlib import Path

import numpy as np
import pytest
import reference_aggregators as reference
from aggregators_under_test import DTYPES

from mtlkit import balancing

CASES = json.loads((Path(__file__).parents[1] / "data" / "aggregators.json").read_text())["cases"]
MAKE = {
    "UPGrad": balancing.UPGrad,
    "DualProj": balancing.DualProj,
    "MGDA": balancing.MGDA,
    "MGDA_default": balancing.MGDA,
    "CAGrad_0.5": lambda: balancing.CAGrad(0.5),
    "CAGrad_0.4": lambda: balancing.CAGrad(0.4),
    "IMTLG": balancing.IMTLG,
    "AlignedMTL_min": balancing.AlignedMTL,
    "AlignedMTL_rmse": lambda: balancing.AlignedMTL("rmse"),
    "ConFIG": balancing.ConFIG,
    "NashMTL_nonorm": lambda: balancing.NashMTL(max_norm=0),
    "NashMTL": balancing.NashMTL,
    "FairGrad_1": balancing.FairGrad,
    "FairGrad_2": lambda: balancing.FairGrad(2.0),
    "Mean": balancing.Mean,
    "PCGrad": balancing.PCGrad,
    "GradVac": balancing.GradVac,
}


def nearer_to(exact):
    """Ours is what an independent solver finds; TorchJD adds 1e-4 to a scaled Gramian."""

    def check(gradients, own, other):
        found, scale = exact(gradients), abs(gradients).max()
        assert abs(own - found).max() <= 2e-6 * scale
        assert abs(other - found).max() > 1e-4

    return check


def shorter(gradients, own, other):
    """MGDA is the shortest vector; the other one stopped early."""
    assert own @ own < other @ other - 1e-9
    assert abs(own - reference.mgda(gradients)).max() <= 1e-6


def residual(gradients, vector):
    """How far Nash's equations are from true, for a vector of any length."""
    weights = np.linalg.lstsq(gradients.T, vector, rcond=None)[0]
    products = weights * (gradients @ vector)
    return abs(products / products.mean() - 1).max()


def bargained(gradients, own, other):
    """Only ours solves Nash's equations."""
    assert residual(gradients, own) < 1e-4 and residual(gradients, other) > 1


def no_conflict(gradients, own, other):
    """Ours makes no task worse, up to rounding."""
    rounding = 1e-4 if own.dtype == "float64" else 1e-2
    assert (gradients @ own).min() > -rounding and (gradients @ other).min() < -1e-4


def of_copies(gradients, own, other):
    """Weights of copies are not unique: both have equal projections, and sum to 1."""
    rows = gradients / np.linalg.norm(gradients, axis=1, keepdims=True)
    for vector in (own, other):
        np.testing.assert_allclose(rows @ vector / (rows @ vector)[0], 1, atol=1e-4)
        weights = np.vstack([gradients.T, np.ones(3)])
        left = np.linalg.lstsq(weights, np.append(vector, 1), rcond=None)[1]
        assert (left < 1e-8).all()


def not_too_long(gradients, own, other):
    """Ours is no longer than the longest gradient, and does not conflict."""
    longest = np.linalg.norm(gradients, axis=1).max()
    assert np.linalg.norm(own) <= longest < np.linalg.norm(other)
    assert (gradients @ own).min() >= 0 > (gradients @ other).min()


projected, all_projected = nearer_to(reference.dual_proj), nearer_to(reference.upgrad)
#: By case and method, what shows that ours is right where TorchJD has something else.
DEVIATIONS = {
    ("base_2x3", "UPGrad"): all_projected,
    ("base_2x3", "DualProj"): projected,
    ("conflict_3x4", "UPGrad"): all_projected,
    ("conflict_3x4", "DualProj"): projected,
    ("conflict_3x4", "MGDA_default"): shorter,
    ("scale_3x4", "UPGrad"): all_projected,
    ("scale_3x4", "DualProj"): projected,
    ("scale_3x4", "MGDA_default"): shorter,
    ("scale_3x4", "NashMTL_nonorm"): bargained,
    ("scale_3x4", "NashMTL"): bargained,
    ("rankdef_3x3", "UPGrad"): all_projected,
    ("rankdef_3x3", "DualProj"): projected,
    ("rankdef_3x3", "MGDA_default"): shorter,
    ("rankdef_3x3", "IMTLG"): of_copies,
    ("opposed_2x2", "UPGrad"): no_conflict,
    ("opposed_2x2", "DualProj"): no_conflict,
    ("opposed_2x2", "IMTLG"): not_too_long,
    ("opposed_2x2", "NashMTL_nonorm"): no_conflict,
    ("opposed_2x2", "NashMTL"): no_conflict,
    ("opposed_2x2", "FairGrad_1"): no_conflict,
    ("opposed_2x2", "FairGrad_2"): no_conflict,
    ("rand_5x8", "UPGrad"): all_projected,
    ("rand_5x8", "MGDA_default"): shorter,
}
#: TorchJD counts a task with a gradient of zeros; the same happens to be right for these.
ALIKE_WITH_ZEROS = ("IMTLG", "ConFIG", "FairGrad_1", "FairGrad_2")


@pytest.mark.parametrize(
    ("case", "method"), [(case, method) for case in CASES for method in CASES[case]["combined"]]
)
def test_same_result(case, method):
    dtype = DTYPES[-1]
    gradients = np.array(CASES[case]["gradients"], dtype)
    other = np.array(CASES[case]["combined"][method])
    own = MAKE[method]()(gradients)
    assert own.dtype == dtype
    tolerance = 1e-4 * max(1, abs(other).max())
    check = DEVIATIONS.get((case, method))
    if case == "zero_row_3x3" and method not in ALIKE_WITH_ZEROS:
        np.testing.assert_allclose(own, MAKE[method]()(gradients[1:]), atol=1e-5)
        assert abs(own - other).max() > tolerance
    elif check:
        check(gradients.astype("float64"), own, other)
        assert abs(own - other).max() > tolerance
    else:
        np.testing.assert_allclose(own, other, atol=tolerance)


def test_smallest_cosine_of_badly_scaled_gradients():
    """What the deviations at `scale_3x4` are about: TorchJD conflicts with a task."""
    case = CASES["scale_3x4"]
    gradients = np.array(case["gradients"])
    rows = gradients / np.linalg.norm(gradients, axis=1, keepdims=True)
    for method in ("UPGrad", "DualProj"):
        other = np.array(case["combined"][method])
        own = MAKE[method]()(gradients)
        assert (rows @ other).min() / np.linalg.norm(other) < -0.7
        assert (rows @ own).min() / np.linalg.norm(own) > -1e-6
