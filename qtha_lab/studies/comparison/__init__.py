"""Comparisons of methods over seeds: runs, results table, claims and report."""

from qtha_lab.studies.comparison.comparison_study import ComparisonStudy, check_edit
from qtha_lab.studies.comparison.comparison_study import run_comparison as run
from qtha_lab.studies.comparison.findings import findings
from qtha_lab.studies.comparison.pivot_table import PivotTable
from qtha_lab.studies.comparison.report import Report, report
from qtha_lab.studies.comparison.results_of_runs import summarise_runs as summarise
from qtha_lab.studies.comparison.table import aggregate, numbers, rows, tables

attach = ComparisonStudy.find

__all__ = [
    "ComparisonStudy",
    "PivotTable",
    "Report",
    "aggregate",
    "attach",
    "check_edit",
    "findings",
    "numbers",
    "report",
    "rows",
    "run",
    "summarise",
    "tables",
]
