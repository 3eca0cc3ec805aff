"""Search: the right head for a task, found by KerasTuner."""

from mtlkit.search._baselines import Baseline
from mtlkit.search._candidates import Candidate
from mtlkit.search._head_space import HeadSpace
from mtlkit.search._importance import Importance
from mtlkit.search._records import TrialRecord
from mtlkit.search._repetitions import Repetitions
from mtlkit.search.hypermodel import HeadHyperModel
from mtlkit.search.ray_executor import RayExecutor
from mtlkit.search.result import SearchResult
from mtlkit.search.search_heads import search_heads

__all__ = [
    "Baseline",
    "Candidate",
    "HeadHyperModel",
    "HeadSpace",
    "Importance",
    "RayExecutor",
    "Repetitions",
    "SearchResult",
    "TrialRecord",
    "search_heads",
]
