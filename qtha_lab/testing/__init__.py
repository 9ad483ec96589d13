"""Checks of the contracts of methods, ansätze, engines, gates, tasks and figures.

`qtha-lab check-plugin FILE` runs them on a plugin. The tests of this project run them on all
members of the package.
"""

from qtha_lab.testing.checking import FactResult, check_member, check_plugin, members_of

__all__ = ["FactResult", "check_member", "check_plugin", "members_of"]
