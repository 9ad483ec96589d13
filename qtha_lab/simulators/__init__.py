"""Expectation values of circuits, a batch at a time, differentiable in data and parameters.

`expval_z(circuit, inputs, params, engine="auto")` runs a circuit, `QuantumLayer` is the same as a layer
of a network, `estimate` says what it will cost, `speeds` times every engine; engines are one file each.
"""

from qtha_lab.simulators.cost import Estimate, estimate
from qtha_lab.simulators.engine_choice import Explanation, explain
from qtha_lab.simulators.engine_selection import check_engine, engine_names
from qtha_lab.simulators.engine_speed import speeds
from qtha_lab.simulators.expval import expval, expval_z, probs, state
from qtha_lab.simulators.layer import QuantumLayer

__all__ = [
    "Estimate",
    "Explanation",
    "QuantumLayer",
    "check_engine",
    "engine_names",
    "estimate",
    "explain",
    "expval",
    "expval_z",
    "probs",
    "speeds",
    "state",
]
