"""Comparisons of methods over seeds: runs, results table, claims and report."""

from qtha_lab.studies.comparison.comparison_study import ComparisonStudy, run_comparison
from qtha_lab.studies.comparison.findings import findings
from qtha_lab.studies.comparison.report import Report, report
from qtha_lab.studies.comparison.results_of_runs import summarise_runs
from qtha_lab.studies.comparison.table import rows, tables

__all__ = [
    "ComparisonStudy",
    "Report",
    "findings",
    "report",
    "rows",
    "run_comparison",
    "summarise_runs",
    "tables",
]
