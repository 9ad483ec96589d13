"""All runs of a folder as one table of settings and results, with filters."""

from qtha_lab.runs.table.table import query, runs_table

__all__ = ["query", "runs_table"]
