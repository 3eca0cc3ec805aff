"""Gradient aggregators: the gradients of several tasks become one."""

from mtlkit.balancing.aggregation.aggregator import Aggregator, GramianAggregator
from mtlkit.balancing.aggregation.aligned_mtl import AlignedMTL
from mtlkit.balancing.aggregation.cagrad import CAGrad
from mtlkit.balancing.aggregation.conflict_free import ConFIG
from mtlkit.balancing.aggregation.db_mtl import DBMTL
from mtlkit.balancing.aggregation.dual_proj import DualProj
from mtlkit.balancing.aggregation.fairgrad import FairGrad
from mtlkit.balancing.aggregation.graddrop import GradDrop
from mtlkit.balancing.aggregation.gradnorm import GradNorm
from mtlkit.balancing.aggregation.gradvac import GradVac
from mtlkit.balancing.aggregation.imtl_g import IMTLG
from mtlkit.balancing.aggregation.mean import Mean
from mtlkit.balancing.aggregation.mgda import MGDA
from mtlkit.balancing.aggregation.nash_mtl import NashMTL
from mtlkit.balancing.aggregation.pcgrad import PCGrad
from mtlkit.balancing.aggregation.sum import Sum
from mtlkit.balancing.aggregation.upgrad import UPGrad

__all__ = [
    "DBMTL",
    "IMTLG",
    "MGDA",
    "Aggregator",
    "AlignedMTL",
    "CAGrad",
    "ConFIG",
    "DualProj",
    "FairGrad",
    "GradDrop",
    "GradNorm",
    "GradVac",
    "GramianAggregator",
    "Mean",
    "NashMTL",
    "PCGrad",
    "Sum",
    "UPGrad",
]
