"""Reproductions: a paper's small task at the size of two cores, its controls, and a generated verdict.

One file a paper; a file that registers itself with `@reproduction` is found by itself. A verdict may be "not shown".
"""

from qtha_lab.reproductions.machinery.driving import reproduce
from qtha_lab.reproductions.machinery.log import Log
from qtha_lab.reproductions.machinery.registry import REPRODUCTIONS, Claim, reproduction
from qtha_lab.reproductions.machinery.verdicts import Verdict, verdicts

__all__ = [
    "REPRODUCTIONS",
    "Claim",
    "Log",
    "Verdict",
    "reproduce",
    "reproduction",
    "verdicts",
]
