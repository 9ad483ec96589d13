"""Predicted cost of a run: parameters, circuits, bytes and seconds.

`cost_of` needs no model; `preview` loads no weights and measures on this machine.
"""

from qtha_lab.experiment.cost.shapes import SHAPES, get_shape, shape_of
from qtha_lab.experiment.cost.step import Cost, Workload, cost_of

__all__ = ["SHAPES", "Cost", "Workload", "cost_of", "get_shape", "shape_of"]
