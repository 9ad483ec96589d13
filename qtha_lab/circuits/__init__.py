"""Circuits as data: gates, circuits, their drawing and their export.

Costs on hardware and other formats are imported at first use.
"""

from typing import TYPE_CHECKING

from qtha_lab.circuits.angle import Angle
from qtha_lab.circuits.circuit import Circuit
from qtha_lab.circuits.composite_gates import general_two_qubit, preparation
from qtha_lab.circuits.gate_kinds import GATES, GateKind, gate_kind
from qtha_lab.circuits.gates import Gate
from qtha_lab.circuits.readout import Readout, z_pairs
from qtha_lab.core.lazy_names import lazy_names

if TYPE_CHECKING:  # read by `lazy_names`
    from qtha_lab.circuits.exports import to_pennylane as to_pennylane
    from qtha_lab.circuits.exports import to_qasm as to_qasm
    from qtha_lab.circuits.hardware import HardwareCost as HardwareCost
    from qtha_lab.circuits.hardware import compile_for as compile_for
    from qtha_lab.circuits.hardware import hardware_cost as hardware_cost
    from qtha_lab.circuits.imports.pennylane import (
        observables_from_pennylane as observables_from_pennylane,
    )

__all__ = [
    "GATES",
    "Angle",
    "Circuit",
    "Gate",
    "GateKind",
    "HardwareCost",
    "Readout",
    "compile_for",
    "gate_kind",
    "general_two_qubit",
    "hardware_cost",
    "observables_from_pennylane",
    "preparation",
    "to_pennylane",
    "to_qasm",
    "z_pairs",
]

__getattr__, __dir__, _ = lazy_names(__name__, *__all__)
