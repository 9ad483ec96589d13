"""An explorer of a read-out over two angles, and of its gradient's variance by qubits.

Values come from `analysis.circuits`, the picture from `figures.angle_landscape`.
"""

import functools
from types import SimpleNamespace
from typing import Any, ClassVar

from qtha_lab.analysis import gradient_variance_of
from qtha_lab.analysis.circuits.landscape import READ_OUTS, landscape_of, observable_of
from qtha_lab.circuits import Circuit, ansatze
from qtha_lab.figures.angle_landscape import angle_landscape

from .explorer import Explorer
from .explorer_model import Choice, Drawing, ExplorerModel

ANSATZE = ("qtha", "product", "basic_entangler", "strongly_entangling")
QUBITS, LAYERS = tuple(range(2, 9)), (1, 2, 3, 4)
SAMPLES = 300
START = {"ansatz": "product", "n_qubits": 4, "n_layers": 1, "read_out": "one wire"}


class LandscapeModel(ExplorerModel):
    """⟨O⟩ over two angles of a circuit.

    Args:
        options: Initial values of its state, such as read_out="all wires".

    Example:
        >>> land = LandscapeModel(n_qubits=6, read_out="all wires")
        >>> land.variance < LandscapeModel(n_qubits=2, read_out="all wires").variance / 8
        True
    """

    STATE = ("ansatz", "n_qubits", "n_layers", "read_out")
    PRESETS: ClassVar = {
        "Is one wire enough to be steep?": START | {"n_qubits": 8},
        "Does reading all wires flatten it?": START | {"n_qubits": 8, "read_out": "all wires"},
        "Does depth flatten it?": START | {"ansatz": "qtha", "n_qubits": 8, "n_layers": 4},
    }
    ansatz, read_out = Choice(ANSATZE), Choice(READ_OUTS, "read-out")
    n_qubits, n_layers = (
        Choice(QUBITS, "qubits", slider=True),
        Choice(LAYERS, "layers", slider=True),
    )

    def __init__(self, **options: Any):
        super().__init__(START | options)

    @property
    def variance(self) -> float:
        """Variance of the gradient at random angles."""
        return variance_of(ansatze.build(self.ansatz, self.n_qubits, self.n_layers), self.read_out)

    def compute(self, state: SimpleNamespace) -> Drawing:
        circuit = ansatze.build(state.ansatz, state.n_qubits, state.n_layers)
        observable = observable_of(state.read_out, state.n_qubits)
        found = landscape_of(circuit, observable)
        here, two = (
            variance_of(ansatze.build(state.ansatz, n, state.n_layers), state.read_out)
            for n in (state.n_qubits, 2)
        )
        row = {
            "variance of the gradient": f"{here:.2e}",
            "with 2 qubits": f"{two:.2e}",
            "left": f"{here / two:.1%}",
            "2⁻ⁿ law": f"{2.0 ** (2 - state.n_qubits):.1%}",
        }
        code = (
            f"landscape_of(ansatze.build({state.ansatz!r}, {state.n_qubits}, {state.n_layers}), "
            f"{observable!r})"
        )
        figure = angle_landscape(found.angles.tolist(), found.values.tolist(), observable)
        return Drawing({"landscape": figure}, [row], code)


class Landscape(Explorer, LandscapeModel):
    """Panel of an expectation value over two angles of a circuit."""

    ROWS = (("ansatz", "n_qubits", "n_layers", "read_out"),)


@functools.lru_cache(maxsize=256)
def variance_of(circuit: Circuit, read_out: str) -> float:
    """Return the variance of the gradient at random angles.

    Args:
        circuit: Circuit of a family.
        read_out: One of `READ_OUTS`.
    """
    observable = observable_of(read_out, circuit.n_qubits)
    return gradient_variance_of(circuit, observable, SAMPLES).mean
