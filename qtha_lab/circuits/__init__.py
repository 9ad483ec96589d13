"""Circuits as data: gates, circuits, their drawing and their export."""

from qtha_lab.circuits.angle import Angle
from qtha_lab.circuits.blocks import general_two_qubit
from qtha_lab.circuits.circuit import Circuit
from qtha_lab.circuits.exports.pennylane import to_pennylane
from qtha_lab.circuits.exports.qasm import to_qasm
from qtha_lab.circuits.gate_kinds import GATES, GateKind, gate_kind
from qtha_lab.circuits.gates import Gate
from qtha_lab.circuits.hardware import HardwareCost, compile_for, hardware_cost
from qtha_lab.circuits.imports.pennylane import observables_from_pennylane
from qtha_lab.circuits.preparation import preparation
from qtha_lab.circuits.readout import Readout, z_pairs

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
