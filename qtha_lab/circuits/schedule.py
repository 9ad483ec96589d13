"""Start times of gates, in the written order or with commuting gates reordered.

A ring of CRZ gates is diagonal, so on an even number of qubits it takes two steps, not n.
"""

from collections.abc import Callable, Iterable, Sequence

from qtha_lab.circuits.gates import Gate


def start_times(
    gates: Sequence[Gate], commuting: bool, seconds: Callable[[Gate], int]
) -> list[int]:
    """Return the first step of each gate, as early as earlier gates allow.

    Returns:
        The first step of every gate, from 0, in the order of `gates`. The gates sorted by it, ties
        in the written order, are an equal circuit.

    Example:
        >>> ring = [Gate("CRZ", (i, (i + 1) % 4), 0.1) for i in range(4)]
        >>> start_times(ring, commuting=False, seconds=lambda gate: 1)
        [0, 1, 2, 3]
        >>> start_times(ring, commuting=True, seconds=lambda gate: 1)
        [0, 1, 0, 1]
    """
    before: dict[int, list[tuple[Gate, int]]] = {}  # on each wire: gates and their end times
    busy: dict[int, set[int]] = {}
    starts = []
    for gate in gates:
        start = 0
        for wire in gate.wires:
            for other, end in before.get(wire, ()):
                if end > start and not (commuting and commute(gate, other)):
                    start = end
        lasts = seconds(gate)
        if lasts:
            while any(start in busy.get(wire, ()) for wire in gate.wires):
                start += 1
        for wire in gate.wires:
            steps = before.setdefault(wire, [])
            if not commuting:
                steps.clear()  # the last gate ends last
            steps.append((gate, start + lasts))
            if lasts:
                busy.setdefault(wire, set()).add(start)
        starts.append(start)
    return starts


def commute(gate: Gate, other: Gate) -> bool:
    """Return True if two gates are known to commute.

    The rule is sufficient, not necessary.

    Example:
        >>> commute(Gate("CRZ", (0, 1), 0.1), Gate("CRZ", (1, 2), 0.2))
        True
        >>> commute(Gate("CNOT", (0, 1)), Gate("CNOT", (1, 2)))
        False
    """
    first, second = ({wire: _pauli(g, wire) for wire in g.wires} for g in (gate, other))
    return all(first[wire] == second[wire] != "" for wire in first.keys() & second.keys())


def _pauli(gate: Gate, wire: int) -> str:
    """Return the Pauli that commutes with a gate on a wire, else ""."""
    paulis = gate.kind.commutes_with
    return paulis[gate.wires.index(wire)] if paulis else ""


def depth(gates: Iterable[Gate], commuting: bool = False, least_wires: int = 1) -> int:
    """Count the steps of gates when gates on different wires run in parallel.

    Args:
        gates: The gates in the order written.
        commuting: Reorder commuting gates where that is shorter.
        least_wires: Gates on fewer wires take no time; 2 counts two-qubit gates only.

    Returns:
        A number of steps, 0 for no gates.

    Example:
        >>> ring = [Gate("CRZ", (i, (i + 1) % 4), 0.1) for i in range(4)]
        >>> depth(ring), depth(ring, commuting=True)
        (4, 2)
        >>> depth([Gate("RY", 0, 0.1), *ring], least_wires=2)
        4
    """
    gates = list(gates)

    def seconds(gate: Gate) -> int:
        return int(len(gate.wires) >= least_wires)

    def steps(moved: bool) -> int:
        starts = start_times(gates, moved, seconds)
        return max((s + seconds(g) for s, g in zip(starts, gates, strict=True)), default=0)

    return min(steps(False), steps(True)) if commuting else steps(False)
