"""Predicted cost of a run: parameters, operations, circuits, bytes and seconds.

`cost_table` needs no model; `preview` loads no weights and measures on this machine.
"""

from qtha_lab.experiment.cost.shapes import SHAPES, get_shape, shape_of
from qtha_lab.experiment.cost.step import Workload, cost_of, cost_table

__all__ = ["SHAPES", "Workload", "cost_of", "cost_table", "get_shape", "shape_of"]
