"""All runs of a folder as one table: settings and results in columns, filtered, sorted, grouped, marked, binned."""

from qtha_lab.catalog.frame import runs_table

__all__ = ["runs_table"]
