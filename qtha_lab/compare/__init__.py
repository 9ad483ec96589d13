"""Several methods with several seeds: run them, lay them out in a table, say what it shows, report it on a page."""

from qtha_lab.compare.comparing import run, summarise
from qtha_lab.compare.crossing import Crossing
from qtha_lab.compare.driven import DrivenRuns, attach
from qtha_lab.compare.edited import check_edit
from qtha_lab.compare.launching import launch
from qtha_lab.compare.reporting import Report, report
from qtha_lab.compare.run_set import RunSet
from qtha_lab.compare.table import aggregate, numbers, rows, tables

__all__ = [
    "Crossing",
    "DrivenRuns",
    "Report",
    "RunSet",
    "aggregate",
    "attach",
    "check_edit",
    "launch",
    "numbers",
    "report",
    "rows",
    "run",
    "summarise",
    "tables",
]
