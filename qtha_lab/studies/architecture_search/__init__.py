"""Search for a circuit: a space of them, one net of shared angles, and what it is compared with."""

from qtha_lab.studies.architecture_search.search import Found, Plan, search
from qtha_lab.studies.architecture_search.space import Space, space_of
from qtha_lab.studies.architecture_search.supernet import Supernet

__all__ = ["Found", "Plan", "Space", "Supernet", "search", "space_of"]
