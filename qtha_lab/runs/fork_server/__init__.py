"""Workers that start warm: a server process that has the libraries loaded forks one for every run.

A run needs some six seconds to import what it trains with, and the same libraries serve the next run. Where
forking is not safe (no `fork`, a GPU that torch is built for) or not wanted (`QTHA_LAB_WARM_SECONDS=0`), runs start as before.
"""

from qtha_lab.runs.fork_server.client import (
    WarmStart,
    available,
    prepare,
    start,
    why_not_forked,
)

__all__ = ["WarmStart", "available", "prepare", "start", "why_not_forked"]
