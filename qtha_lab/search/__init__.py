"""Search for a circuit: a space of them, one net of shared angles, and what it is compared with."""

from qtha_lab.search.running import Found, Plan, search
from qtha_lab.search.space import Space, space_of
from qtha_lab.search.supernet import Supernet

__all__ = ["Found", "Plan", "Space", "Supernet", "search", "space_of"]
