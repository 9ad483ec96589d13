"""Size-independent descriptors of trained gate angles, read off the circuit."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from qtha_lab.circuits import Circuit
from qtha_lab.core.errors import Refusal

N_NUMBERS = 5


@dataclass(frozen=True)
class Descriptors:
    """Descriptors of a circuit's angles, one row per parameter.

    Attributes:
        kinds: Index of the gate kind and angle position among the known kinds.
        layers: Number of earlier gates of this kind on these wires.
        numbers: layer / layers, both wires / n, position in the gate / 2, and a number of the
            problem, such as the weight of an edge; all of order 1.
    """

    kinds: Int[Tensor, "n_params"]
    layers: Int[Tensor, "n_params"]
    numbers: Float[Tensor, "n_params numbers"]


def kinds_of(circuit: Circuit) -> list[str]:
    """List the kinds of trained angles in a circuit.

    A kind is a gate name, with the position of the angle if the gate has several.

    Example:
        >>> from qtha_lab.circuits.ansatze import build
        >>> kinds_of(build("qtha", 3, 2)), kinds_of(build("strongly_entangling", 2, 1))
        (['CRZ', 'RY'], ['Rot.0', 'Rot.1', 'Rot.2'])
    """
    return sorted({kind for kind, *_ in _rows(circuit).values()})


def angle_descriptors(
    circuit: Circuit, kinds: list[str], instance: Mapping[int, float] | None = None
) -> Descriptors:
    """Compute the descriptors of a circuit's angles."""
    rows, instance = _rows(circuit), instance or {}
    if strange := sorted({row[0] for row in rows.values()} - set(kinds)):
        raise Refusal(
            f"The circuit must train angles of {', '.join(kinds)}, as in pretraining, got "
            f"{', '.join(strange)}. Choose a circuit of the same gates."
        )
    in_order = [rows[index] for index in range(circuit.n_params)]
    numbers = [[*row[2], float(instance.get(i, 0.0))] for i, row in enumerate(in_order)]
    return Descriptors(
        torch.tensor([kinds.index(row[0]) for row in in_order], dtype=torch.long),
        torch.tensor([row[1] for row in in_order], dtype=torch.long),
        torch.tensor(numbers, dtype=torch.float64).reshape(-1, N_NUMBERS),
    )


def _rows(circuit: Circuit) -> dict[int, tuple[str, int, tuple[float, ...]]]:
    """Return kind, layer and numbers of each parameter, from its first gate."""
    n = circuit.n_qubits
    totals = Counter((gate.name, gate.wires) for gate in circuit.gates if _trained(gate))
    before: Counter = Counter()
    rows: dict[int, tuple[str, int, tuple[float, ...]]] = {}
    for gate in circuit.gates:
        if not _trained(gate):
            continue
        place = gate.name, gate.wires
        layer, total = before[place], totals[place]
        before[place] += 1
        wires = (gate.wires[0] / n, gate.wires[-1] / n)
        for k, angle in enumerate(gate.angles):
            if angle.source == "param" and angle.index not in rows:
                kind = gate.name if len(gate.angles) == 1 else f"{gate.name}.{k}"
                numbers = (layer / total, *wires, k / 2)
                rows[angle.index] = kind, layer, numbers
    return rows


def _trained(gate) -> bool:
    return any(angle.source == "param" for angle in gate.angles)
