"""What a gate's trained angle is told by: numbers that are read off the circuit and mean the same at every size."""

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
    """One row for each trained angle of a circuit, in the order of its parameters.

    Attributes:
        kinds: Index of the gate's kind and of the angle's place in it, among those that are known.
        layers: How often this kind acted on these wires before.
        numbers: layer / layers, both wires / n, the place in the gate / 2, and a
            number of the instance, such as the weight of an edge; all of the order of 1.
    """

    kinds: Int[Tensor, "n_params"]
    layers: Int[Tensor, "n_params"]
    numbers: Float[Tensor, "n_params numbers"]


def kinds_of(circuit: Circuit) -> list[str]:
    """What of a circuit's gates is trained: the kind, and the place of the angle where it has several.

    Example:
        >>> from qtha_lab.circuits.ansatze import build
        >>> kinds_of(build("qtha", 3, 2)), kinds_of(build("strongly_entangling", 2, 1))
        (['CRZ', 'RY'], ['Rot.0', 'Rot.1', 'Rot.2'])
    """
    return sorted({kind for kind, *_ in _rows(circuit).values()})


def describe(
    circuit: Circuit, kinds: list[str], instance: Mapping[int, float] | None = None
) -> Descriptors:
    """The descriptors of a circuit's angles.

    Args:
        circuit: Whose angles they are.
        kinds: Those that are known, in the order of their indices.
        instance: A number of the problem for each parameter that has one; 0 for the rest.

    Raises:
        Refusal: If the circuit trains an angle of another kind.
    """
    rows, instance = _rows(circuit), instance or {}
    if strange := sorted({row[0] for row in rows.values()} - set(kinds)):
        raise Refusal(
            f"it was learnt on angles of {', '.join(kinds)}, and this circuit trains {', '.join(strange)}"
        )
    in_order = [rows[index] for index in range(circuit.n_params)]
    numbers = [[*row[2], float(instance.get(i, 0.0))] for i, row in enumerate(in_order)]
    return Descriptors(
        torch.tensor([kinds.index(row[0]) for row in in_order], dtype=torch.long),
        torch.tensor([row[1] for row in in_order], dtype=torch.long),
        torch.tensor(numbers, dtype=torch.float64).reshape(-1, N_NUMBERS),
    )


def _rows(circuit: Circuit) -> dict[int, tuple[str, int, tuple[float, ...]]]:
    """Kind, layer and numbers of each parameter, by the first gate that reads it."""
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
