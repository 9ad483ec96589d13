"""Ansatze by name: one file each in this folder, found by itself.

`build("qtha", n_qubits=4, n_layers=2)` gives a `Circuit`; adding an ansatz is adding its file.
"""

from qtha_lab.circuits.ansatze.registry import (
    ANSATZE,
    AnsatzInfo,
    ansatz,
    build,
    build_without_inputs,
    get,
    names,
)

__all__ = [
    "ANSATZE",
    "AnsatzInfo",
    "ansatz",
    "build",
    "build_without_inputs",
    "get",
    "names",
]
