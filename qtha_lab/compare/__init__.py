"""Several methods with several seeds: run them, lay them out in a table, say what it shows."""

from qtha_lab.compare.comparing import run, summarise
from qtha_lab.compare.launching import RunSet, launch
from qtha_lab.compare.table import aggregate, numbers, rows, tables

__all__ = ["RunSet", "aggregate", "launch", "numbers", "rows", "run", "summarise", "tables"]
