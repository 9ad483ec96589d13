"""Registry of ansatze, one file each in this package, discovered automatically.

`build("qtha", n_qubits=4, n_layers=2)` returns a `Circuit`. To add an ansatz, add its file.
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
