"""Expectation values of circuits, a batch at a time, differentiable in data and parameters.

`expval_z(circuit, inputs, params, engine="auto")` runs a circuit, `QuantumLayer` is the same as a layer
of a network, `estimate` says what it will cost, `speeds` times every engine; engines are one file each.
"""

from qtha_lab.simulators.cost import Estimate, estimate
from qtha_lab.simulators.engines import check_engine, engine_names
from qtha_lab.simulators.explain import Explanation, explain
from qtha_lab.simulators.expval import expval, expval_z, probs, state
from qtha_lab.simulators.layer import QuantumLayer
from qtha_lab.simulators.speed import speeds

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
