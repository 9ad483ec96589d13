"""Expectation values of circuits, a batch at a time, differentiable in data and parameters.

`expval_z(circuit, inputs, params, engine="auto")` is the one entry; engines are one file each.
"""

from qtha_lab.simulators.engines import check_engine, engine_names
from qtha_lab.simulators.expval import expval_z

__all__ = ["check_engine", "engine_names", "expval_z"]
