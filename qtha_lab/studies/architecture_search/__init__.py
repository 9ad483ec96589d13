"""Circuit architecture search: search space, supernet with shared angles, and controls."""

from qtha_lab.studies.architecture_search.search import (
    SearchBudget,
    SearchResult,
    best_of_starts,
    search,
)
from qtha_lab.studies.architecture_search.space import Space, space_of
from qtha_lab.studies.architecture_search.supernet import Supernet

__all__ = [
    "SearchBudget",
    "SearchResult",
    "Space",
    "Supernet",
    "best_of_starts",
    "search",
    "space_of",
]
