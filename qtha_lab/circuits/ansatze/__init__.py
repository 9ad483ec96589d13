"""Registry of ansatze, one file each in this package, discovered automatically.

`build("qtha", n_qubits=4, n_layers=2)` and `qtha(4, 2)` return a `Circuit`. To add an ansatz, add
its file, and its function here.
"""

from qtha_lab.circuits.ansatze.basic_entangler import basic_entangler as basic_entangler
from qtha_lab.circuits.ansatze.block_diagonal import block_diagonal as block_diagonal
from qtha_lab.circuits.ansatze.brickwork import brickwork as brickwork
from qtha_lab.circuits.ansatze.hardware_efficient import hardware_efficient as hardware_efficient
from qtha_lab.circuits.ansatze.product import product as product
from qtha_lab.circuits.ansatze.qtha import qtha as qtha
from qtha_lab.circuits.ansatze.registry import ANSATZE as ANSATZE
from qtha_lab.circuits.ansatze.registry import AnsatzInfo as AnsatzInfo
from qtha_lab.circuits.ansatze.registry import ansatz as ansatz
from qtha_lab.circuits.ansatze.registry import build as build
from qtha_lab.circuits.ansatze.registry import build_without_inputs as build_without_inputs
from qtha_lab.circuits.ansatze.registry import get as get
from qtha_lab.circuits.ansatze.registry import names as names
from qtha_lab.circuits.ansatze.searched import searched as searched
from qtha_lab.circuits.ansatze.simplified_two_design import (
    simplified_two_design as simplified_two_design,
)
from qtha_lab.circuits.ansatze.strongly_entangling import strongly_entangling as strongly_entangling
from qtha_lab.circuits.ansatze.su4 import su4 as su4
from qtha_lab.circuits.ansatze.tree import tree as tree
