"""Circuits from other packages: PennyLane, Qiskit and OpenQASM."""
