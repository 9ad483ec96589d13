"""Expectation values of circuits, a batch at a time, differentiable in data and parameters.

`expval_z(circuit, inputs, params, engine="auto")` runs a circuit, `estimate` says what it will cost;
engines are one file each.
"""

from qtha_lab.simulators.cost import Estimate, estimate
from qtha_lab.simulators.engines import check_engine, engine_names
from qtha_lab.simulators.explain import Explanation, explain
from qtha_lab.simulators.expval import expval, expval_z, probs, state

__all__ = [
    "Estimate",
    "Explanation",
    "check_engine",
    "engine_names",
    "estimate",
    "explain",
    "expval",
    "expval_z",
    "probs",
    "state",
]
