"""Batched expectation values of circuits, differentiable in inputs and parameters.

`expval_z(circuit, inputs, params, engine="auto")` runs a circuit; `QuantumLayer` wraps the call as
an `nn.Module`. `estimate` predicts the cost and `speeds` times every engine.
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
