"""What it will cost: parameters, operations, circuits, bytes and seconds, before anything runs.

`cost_table` needs no model at all; `preview` loads no weights and measures on this machine.
"""

from qtha_lab.experiment.cost.shapes import SHAPES, get_shape, shape_of
from qtha_lab.experiment.cost.step import Workload, cost_of, cost_table

__all__ = ["SHAPES", "Workload", "cost_of", "cost_table", "get_shape", "shape_of"]
