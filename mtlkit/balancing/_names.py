"""Balancers by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from mtlkit.balancing import aggregation, scalarization
from mtlkit.balancing.aggregation.aggregator import Aggregator
from mtlkit.balancing.scalarization.loss_weighting import LossWeighting

#: The field's names of the methods, and how each is made with its defaults.
BALANCERS: dict[str, Callable[[], Aggregator | LossWeighting]] = {
    "equal": scalarization.EqualWeighting,
    "log": scalarization.LogWeighting,
    "gls": scalarization.GeometricMeanWeighting,
    "uw": scalarization.UncertaintyWeighting,
    "uw_so": scalarization.SoftOptimalUncertaintyWeighting,
    "imtl_l": scalarization.ImpartialLossWeighting,
    "dwa": scalarization.DynamicWeightAverage,
    "rlw": scalarization.RandomWeighting,
    "stch": scalarization.SmoothTchebycheff,
    "famo": scalarization.FAMO,
    "ldc_mtl": scalarization.LossDiscrepancyControl,
    "mean": aggregation.Mean,
    "sum": aggregation.Sum,
    "pcgrad": aggregation.PCGrad,
    "gradvac": aggregation.GradVac,
    "mgda": aggregation.MGDA,
    "cagrad": aggregation.CAGrad,
    "imtl_g": aggregation.IMTLG,
    "nash_mtl": aggregation.NashMTL,
    "fairgrad": aggregation.FairGrad,
    "aligned_mtl": aggregation.AlignedMTL,
    "upgrad": aggregation.UPGrad,
    "dual_proj": aggregation.DualProj,
    "config": aggregation.ConFIG,
    "graddrop": aggregation.GradDrop,
    "gradnorm": aggregation.GradNorm,
    "db_mtl": aggregation.DBMTL,
}


def get(balancer: Any) -> Aggregator | LossWeighting:
    """Returns the balancer of a name, or the balancer that is given.

    Args:
        balancer: A name out of the table in the guide, such as `"upgrad"` or `"uw"`, or an object.

    Returns:
        A `mtlkit.balancing.Aggregator` or a `mtlkit.balancing.LossWeighting`.

    Raises:
        ValueError: If there is no such balancer.

    Example:
        ```python
        from mtlkit.balancing import UPGrad, get

        assert isinstance(get("upgrad"), UPGrad)
        ```
    """
    if isinstance(balancer, Aggregator | LossWeighting):
        return balancer
    key = balancer.lower().replace("-", "_") if isinstance(balancer, str) else balancer
    if not isinstance(key, str) or key not in BALANCERS:
        raise ValueError(
            "Expected a balancer: a mtlkit.balancing.Aggregator or LossWeighting, such as "
            f"mtlkit.balancing.UPGrad(), or a name out of {list(BALANCERS)}. "
            f"Received: balancer={balancer!r}"
        )
    return BALANCERS[key]()


def split(balancer: Any) -> tuple[LossWeighting | None, Aggregator | None]:
    """The loss weighting and the aggregator of a balancer, which may be a pair of both.

    Args:
        balancer: `None`, what `get` takes, or a sequence of a loss weighting and an aggregator.
    """
    several = isinstance(balancer, Sequence) and not isinstance(balancer, str)
    given = list(balancer) if several else [] if balancer is None else [balancer]
    parts = [get(one) for one in given]
    weightings = [part for part in parts if isinstance(part, LossWeighting)]
    aggregators = [part for part in parts if isinstance(part, Aggregator)]
    if len(weightings) > 1 or len(aggregators) > 1:
        raise ValueError(
            "Expected at most one loss weighting and one aggregator, such as "
            f'balancer=("uw", "upgrad"). Received: balancer={balancer!r}'
        )
    return (*weightings, None)[0], (*aggregators, None)[0]
