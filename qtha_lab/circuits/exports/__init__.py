"""Circuits for other packages: PennyLane, Qiskit and OpenQASM."""
