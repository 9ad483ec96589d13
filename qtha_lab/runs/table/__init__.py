"""All runs of a folder as one table: settings and results in columns; filtered, sorted, seeds as one."""

from qtha_lab.runs.table.table import query, runs_table

__all__ = ["query", "runs_table"]
