"""Batched expectation values of circuits, differentiable in inputs and parameters.

`expval_z(circuit, inputs, params, engine="auto")` runs a circuit; `QuantumLayer` wraps the call as
an `nn.Module`. `estimate` predicts the cost and `speeds` times every engine.
"""

from typing import TYPE_CHECKING

from qtha_lab.core.lazy_names import lazy_names
from qtha_lab.simulators.engine_selection import check_engine, engine_names
from qtha_lab.simulators.expval import expval, expval_z, probs, state
from qtha_lab.simulators.layer import QuantumLayer

if TYPE_CHECKING:  # read by `lazy_names`
    from qtha_lab.simulators.engine_costs import Estimate as Estimate
    from qtha_lab.simulators.engine_costs import Explanation as Explanation
    from qtha_lab.simulators.engine_costs import estimate as estimate
    from qtha_lab.simulators.engine_costs import explain as explain
    from qtha_lab.simulators.engine_costs import speeds as speeds

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

__getattr__, __dir__, _ = lazy_names(__name__, *__all__)
