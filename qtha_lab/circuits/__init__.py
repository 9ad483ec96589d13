"""Circuits as data: gates, circuits, their drawing and their export."""

from qtha_lab.circuits.circuit import Circuit, to_pennylane
from qtha_lab.circuits.gates import GATES, Angle, Gate, GateKind

__all__ = ["GATES", "Angle", "Circuit", "Gate", "GateKind", "to_pennylane"]
