"""All runs of a folder as one pandas frame of settings and results, with filters."""

from qtha_lab.runs.table.frame import frame, query, runs_table

__all__ = ["frame", "query", "runs_table"]
