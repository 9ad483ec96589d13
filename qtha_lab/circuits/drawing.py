"""Text drawing of a circuit in the style of `qml.draw`, with angle sources.

Draws which input or parameter an angle reads, not its value. A ring of CRZ gates is diagonal, so on
an even number of qubits it takes two steps, not n.
"""

from collections.abc import Callable, Iterable, Sequence

from qtha_lab.circuits.gate_kinds import CONTROL
from qtha_lab.circuits.gates import CircuitLike, Gate


def draw_text(circuit: CircuitLike, width: int, max_rows: int) -> str:
    """Draw a circuit as text, every angle with its source.

    Returns:
        One line per wire, wire 0 on top; continuations are separated by an empty line.

    Example:
        >>> from qtha_lab.circuits import Angle, Circuit, Gate
        >>> rotations = [Gate("RY", wire, Angle.input(wire)) for wire in (0, 1)]
        >>> print(draw_text(Circuit(2, [*rotations, Gate("CNOT", (0, 1))]), width=80, max_rows=1))
        0: ──RY(x0)─╭●─┤
        1: ──RY(x1)─╰X─┤
    """
    columns = _columns(circuit)
    texts = [_column_text(column, circuit.n_qubits) for column in columns]
    if circuit.start == "amplitudes":
        columns.insert(0, [])
        texts.insert(0, _amplitudes(circuit.n_qubits))
    labels = [
        f"{wire}: ".rjust(len(str(circuit.n_qubits - 1)) + 2) for wire in range(circuit.n_qubits)
    ]
    rows = _wrap(texts, width - len(labels[0]) - len("···"))
    blocks, n_drawn = [], 0
    for number, row in enumerate(rows[:max_rows]):
        start = "──" if number == 0 else "··"
        end = "─┤" if number == len(rows) - 1 else "─···"
        lines = ["─".join(texts[i][wire] for i in row) for wire in range(circuit.n_qubits)]
        blocks.append(
            "\n".join(
                f"{label}{start}{line}{end}" for label, line in zip(labels, lines, strict=True)
            )
        )
        n_drawn += sum(len(columns[i]) for i in row)
    if n_drawn < len(circuit.gates):
        blocks.append(
            f"··· {len(circuit.gates) - n_drawn} more gates of {len(circuit.gates)}, "
            f"depth {depth(circuit.gates)}"
        )
    return "\n\n".join(blocks)


def _columns(circuit: CircuitLike) -> list[list[Gate]]:
    """Arrange gates in columns, each gate as far left as its wires are free."""
    free_from = [0] * circuit.n_qubits
    columns: list[list[Gate]] = []
    for gate in circuit.gates:
        covered = range(min(gate.wires), max(gate.wires) + 1)
        at = max(free_from[wire] for wire in covered)
        if at == len(columns):
            columns.append([])
        columns[at].append(gate)
        for wire in covered:
            free_from[wire] = at + 1
    return columns


def _column_text(column: list[Gate], n_qubits: int) -> list[str]:
    cells = [""] * n_qubits
    linked = any(len(gate.wires) > 1 for gate in column)
    for gate in column:
        for wire, text in _cells(gate).items():
            cells[wire] = text if len(gate.wires) > 1 or not linked else f"─{text}"
    widest = max(map(len, cells))
    return [cell.ljust(widest, "─") for cell in cells]


def _amplitudes(n_qubits: int) -> list[str]:
    """Return the column of the input amplitudes x as the initial state."""
    if n_qubits == 1:
        return ["|x⟩"]
    return ["╭|x⟩", *["├|x⟩"] * (n_qubits - 2), "╰|x⟩"]


def _cells(gate: Gate) -> dict[int, str]:
    angles = f"({','.join(map(str, gate.angles))})" if gate.angles else ""
    labels = [label if label == CONTROL else f"{label}{angles}" for label in gate.kind.labels]
    texts = dict(zip(gate.wires, labels, strict=True))
    if len(gate.wires) == 1:
        return texts
    top, bottom = min(gate.wires), max(gate.wires)
    between = dict.fromkeys(range(top + 1, bottom), "│")
    return {top: f"╭{texts[top]}", **between, bottom: f"╰{texts[bottom]}"}


def _wrap(texts: list[list[str]], width: int) -> list[list[int]]:
    """Cut column numbers into rows that fit the width, with at least one column each."""
    rows: list[list[int]] = [[]]
    width_so_far = 2
    for number, cells in enumerate(texts):
        cell_width = len(cells[0]) + 1
        if rows[-1] and width_so_far + cell_width > width:
            rows.append([])
            width_so_far = 2
        rows[-1].append(number)
        width_so_far += cell_width
    return rows


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
