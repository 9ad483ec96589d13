"""Circuits as data: gates, circuits, their drawing and their export."""

from qtha_lab.circuits.circuit import Circuit, to_pennylane
from qtha_lab.circuits.gates import GATES, Angle, Gate, GateKind
from qtha_lab.circuits.readout import Readout, z_pairs

__all__ = ["GATES", "Angle", "Circuit", "Gate", "GateKind", "Readout", "to_pennylane", "z_pairs"]
