"""Circuit architecture search: search space, supernet with shared angles, and controls."""

from qtha_lab.studies.architecture_search.search import (
    SearchBudget,
    SearchResult,
    best_of_starts,
    search,
)
from qtha_lab.studies.architecture_search.supernet import Space, Supernet, space_of

__all__ = [
    "SearchBudget",
    "SearchResult",
    "Space",
    "Supernet",
    "best_of_starts",
    "search",
    "space_of",
]
