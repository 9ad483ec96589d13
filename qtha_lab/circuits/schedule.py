"""When each gate runs: as written, or with commuting gates free to change places.

A ring of CRZ gates is diagonal, so on an even number of qubits it takes two steps, not n.
"""

from collections.abc import Callable, Iterable, Sequence

from qtha_lab.circuits.gates import Gate


def start_times(
    gates: Sequence[Gate], commuting: bool, seconds: Callable[[Gate], int]
) -> list[int]:
    """When each gate begins, as early as it can; a gate lasts `seconds(gate)` steps, 0 or 1.

    Sorted by start, ties as written, the gates are the same circuit.
    """
    before: dict[int, list[tuple[Gate, int]]] = {}  # on each wire: gates and when they end
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
            known = before.setdefault(wire, [])
            if not commuting:
                known.clear()  # the last one ends last
            known.append((gate, start + lasts))
            if lasts:
                busy.setdefault(wire, set()).add(start)
        starts.append(start)
    return starts


def commute(gate: Gate, other: Gate) -> bool:
    """Whether two gates are known to commute; a sufficient rule, not a necessary one.

    Example:
        >>> commute(Gate("CRZ", (0, 1), 0.1), Gate("CRZ", (1, 2), 0.2))
        True
        >>> commute(Gate("CNOT", (0, 1)), Gate("CNOT", (1, 2)))
        False
    """
    first, second = ({wire: _pauli(g, wire) for wire in g.wires} for g in (gate, other))
    return all(first[wire] == second[wire] != "" for wire in first.keys() & second.keys())


def _pauli(gate: Gate, wire: int) -> str:
    """The Pauli that a gate commutes with on one of its wires; empty if it has none."""
    paulis = gate.kind.commutes_with
    return paulis[gate.wires.index(wire)] if paulis else ""


def depth(gates: Iterable[Gate], commuting: bool = False, least_wires: int = 1) -> int:
    """Steps of the gates on at least so many wires; the others take no time."""
    gates = list(gates)

    def seconds(gate: Gate) -> int:
        return int(len(gate.wires) >= least_wires)

    def steps(moved: bool) -> int:
        starts = start_times(gates, moved, seconds)
        return max((s + seconds(g) for s, g in zip(starts, gates, strict=True)), default=0)

    return min(steps(False), steps(True)) if commuting else steps(False)
