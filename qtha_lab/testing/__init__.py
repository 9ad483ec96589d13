"""Checks of the contracts of methods, ansätze, engines, gates, tasks and figures.

`qtha-lab check-plugin FILE` runs them on a plugin. The tests of this project run them on all
members of the package.
"""

from qtha_lab.testing.checking import FactResult, check_plugin

__all__ = ["FactResult", "check_plugin"]
