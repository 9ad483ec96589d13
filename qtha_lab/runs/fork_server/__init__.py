"""A fork server: a process with all libraries loaded, which forks a worker per run.

A run needs some six seconds to import its libraries, and the next run needs the same ones. Runs
start as separate processes if forking is not safe (no `fork`, a GPU that torch is built for) or is
turned off (`QTHA_LAB_WARM_SECONDS=0`).
"""

from qtha_lab.runs.fork_server.client import (
    ForkedStart,
    available,
    fork_worker,
    prepare,
    process_start_reason,
    server_pid,
)

__all__ = [
    "ForkedStart",
    "available",
    "fork_worker",
    "prepare",
    "process_start_reason",
    "server_pid",
]
