"""Circuit architecture search: search space, supernet with shared angles, and controls."""

from qtha_lab.studies.architecture_search.search import Found, Plan, search
from qtha_lab.studies.architecture_search.space import Space, space_of
from qtha_lab.studies.architecture_search.supernet import Supernet

__all__ = ["Found", "Plan", "Space", "Supernet", "search", "space_of"]
