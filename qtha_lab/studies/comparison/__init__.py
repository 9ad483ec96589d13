"""Comparisons of methods over seeds: runs, results table, claims and report."""

from qtha_lab.studies.comparison.changes import check_edit
from qtha_lab.studies.comparison.launch import launch_comparison as launch
from qtha_lab.studies.comparison.launched import ScheduledRuns
from qtha_lab.studies.comparison.launched import attach_comparison as attach
from qtha_lab.studies.comparison.pivot_table import PivotTable
from qtha_lab.studies.comparison.report import Report, report
from qtha_lab.studies.comparison.run_comparison import run_comparison as run
from qtha_lab.studies.comparison.run_comparison import summarise_runs as summarise
from qtha_lab.studies.comparison.run_set import RunSet
from qtha_lab.studies.comparison.table import aggregate, numbers, rows, tables

__all__ = [
    "PivotTable",
    "Report",
    "RunSet",
    "ScheduledRuns",
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
