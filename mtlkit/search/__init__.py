"""Search: the right head for a task, found by KerasTuner."""

from mtlkit.search.candidates import Candidate
from mtlkit.search.head_space import HeadSpace
from mtlkit.search.hypermodel import HeadHyperModel
from mtlkit.search.result import SearchResult
from mtlkit.search.search_heads import search_heads

__all__ = ["Candidate", "HeadHyperModel", "HeadSpace", "SearchResult", "search_heads"]
