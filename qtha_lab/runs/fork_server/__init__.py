"""A fork server: a process with all libraries loaded, which forks a worker per run.

A run needs some six seconds to import its libraries, and the next run needs the same ones. Runs
start as separate processes if forking is not safe (no `fork`, a GPU that torch is built for) or is
turned off (`QTHA_LAB_WARM_SECONDS=0`).
"""

from qtha_lab.runs.fork_server.client import ForkedStart as ForkedStart
from qtha_lab.runs.fork_server.client import available as available
from qtha_lab.runs.fork_server.client import fork_worker as fork_worker
from qtha_lab.runs.fork_server.client import prepare as prepare
from qtha_lab.runs.fork_server.client import process_start_reason as process_start_reason
from qtha_lab.runs.fork_server.client import server_pid as server_pid
