"""Registry of ansatze, one file each in this package, discovered automatically.

`build("qtha", n_qubits=4, n_layers=2)` returns a `Circuit`. To add an ansatz, add its file.
"""

from qtha_lab.circuits.ansatze.registry import ANSATZE as ANSATZE
from qtha_lab.circuits.ansatze.registry import AnsatzInfo as AnsatzInfo
from qtha_lab.circuits.ansatze.registry import ansatz as ansatz
from qtha_lab.circuits.ansatze.registry import build as build
from qtha_lab.circuits.ansatze.registry import build_without_inputs as build_without_inputs
from qtha_lab.circuits.ansatze.registry import get as get
from qtha_lab.circuits.ansatze.registry import names as names
