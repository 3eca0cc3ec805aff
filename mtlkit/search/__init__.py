"""Search: the right head for a task, found by KerasTuner."""

from mtlkit.search.candidates import Candidate
from mtlkit.search.head_space import HeadSpace
from mtlkit.search.hypermodel import HeadHyperModel
from mtlkit.search.importance import Importance
from mtlkit.search.records import TrialRecord
from mtlkit.search.repetitions import Repetitions
from mtlkit.search.result import SearchResult
from mtlkit.search.search_heads import search_heads

__all__ = [
    "Candidate",
    "HeadHyperModel",
    "HeadSpace",
    "Importance",
    "Repetitions",
    "SearchResult",
    "TrialRecord",
    "search_heads",
]
