"""Import of circuits from PennyLane: quantum function, QNode, tape or operations.

Every angle is traced, through PennyLane's own decompositions, to the one number it reads.
`observables_from_pennylane` reads the measurements; a circuit has none.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from qtha_lab.circuits.angle import Angle
from qtha_lab.circuits.gates import UNITARY, Gate
from qtha_lab.circuits.tracing.pennylane_tracing import (
    STATES,
    Native,
    plain,
    point_of,
    script_of,
    trace,
    wire_labels,
)
from qtha_lab.core.errors import Refusal

_FIXED = (
    "The gates must not depend on the values of inputs or params, got a function that branches on them. "
    "Write one circuit per branch."
)


def gates_from_pennylane(
    source: Any,
    args: tuple,
    kwargs: dict[str, Any],
    inputs: str | Sequence[int] | Mapping[int, int] | None = None,
    wires: Iterable | None = None,
) -> tuple[int, list[Gate], str]:
    """Return the qubits, gates and initial state for `Circuit.from_pennylane`.

    Args:
        source: A QNode, quantum function, tape or list of operations.
        args: Positional arguments of a function; only their shapes matter.
        kwargs: Keyword arguments of a function.
        inputs: Arguments that are data, as in `Circuit.from_pennylane`.
        wires: Labels of wire 0, 1, ….

    Returns:
        The number of qubits, the gates, and the initial state: "zero" or "amplitudes".

    Raises:
        Refusal: If an operation cannot be expressed, or an angle is not scale · number + offset of
            one input or parameter.
    """
    script = script_of(source, args, kwargs, inputs)
    numbers = range(script.n_points)
    tapes = [script.at(point_of(len(script.leaves), number)) for number in numbers]
    if len({tuple((op.name, op.wires) for op in tape.operations) for tape in tapes}) > 1:
        raise Refusal(_FIXED)
    labels = wire_labels(source, tapes[0], wires)
    first, *others = (trace(script, number, labels) for number in numbers)
    if any([op.key for op in first] != [op.key for op in other] for other in others):
        raise Refusal(_FIXED)
    gates = [_gate(*same, leaves=script.leaves) for same in zip(first, *others, strict=True)]
    start = "zero"
    if gates and gates[0] is None:
        start = "amplitudes"
        _check_state(first[0], len(labels))
    if None in gates[1:]:
        raise Refusal("amplitudes must be prepared first, before any gate")
    return len(labels), [gate for gate in gates if gate is not None], start


def observables_from_pennylane(
    source, *args, wires: Iterable | None = None, **kwargs
) -> tuple[str, ...]:
    """Return the measured expectations as Pauli strings for `simulators.expval`.

    The source is a tape or a QNode.

    Raises:
        Refusal: If the source measures anything but expectations of single Pauli strings.

    Example:
        >>> import pennylane as qml
        >>> tape = qml.tape.QuantumScript([], [qml.expval(qml.Z(0)), qml.expval(qml.X(0) @ qml.Y(2))])
        >>> observables_from_pennylane(tape, wires=range(3))
        ('Z0', 'X0 Y2')
    """
    script = script_of(source, args, kwargs, None)
    tape = script.at(point_of(len(script.leaves), 0))
    labels = wire_labels(source, tape, wires)
    return tuple(_pauli_string(measured, labels) for measured in tape.measurements)


def _pauli_string(measured, labels: list) -> str:
    sentence = getattr(measured.obs, "pauli_rep", None)
    is_expectation = type(measured).__name__ == "ExpectationMP"
    if not is_expectation or sentence is None or list(sentence.values()) != [1.0]:
        raise Refusal(f"only expectations of single Pauli strings can be read, not {measured}")
    (word,) = sentence
    letters = sorted((labels.index(label), letter) for label, letter in word.items())
    return " ".join(f"{letter}{wire}" for wire, letter in letters) or "I"


def _gate(first: Native, *others: Native, leaves: list[tuple[str, int]]) -> Gate | None:
    """Return the gate that fits all points; None for a state given by the inputs."""
    if first.name in STATES:
        for native in (first, *others):
            _check_amplitudes(native, leaves)
        return None
    if first.name == UNITARY:
        matrices = [plain(native.numbers[0]) for native in (first, *others)]
        if any(abs(matrices[0] - matrix).max() > 1e-9 for matrix in matrices[1:]):
            raise Refusal(
                f"a matrix must not depend on inputs or params, and one on {first.wires} does"
            )
        return Gate.unitary(matrices[0], first.wires)
    return Gate(
        first.name,
        first.wires,
        [_angle(first, others, i, leaves) for i in range(len(first.numbers))],
    )


def _angle(
    first: Native, others: Sequence[Native], position: int, leaves: list[tuple[str, int]]
) -> Angle:
    gradient, value = first.gradients[position], float(plain(first.numbers[position]))
    read = [] if gradient is None else gradient.nonzero().flatten().tolist()
    if gradient is not None and len(read) == 1:
        (leaf,) = read
        source, index = leaves[leaf]
        scale = _tidy(float(gradient[leaf]))
        angle = Angle(source, index, scale, _tidy(value - scale * float(first.point[leaf])))
        fitted = [angle.scale * float(other.point[leaf]) + angle.offset for other in others]
    else:
        angle, fitted = Angle.const(value), [value] * len(others)
    found = [float(plain(other.numbers[position])) for other in others]
    fits = all(
        abs(one - other) <= 1e-9 * max(1.0, abs(one))
        for one, other in zip(fitted, found, strict=True)
    )
    if len(read) > 1 or not fits:
        raise Refusal(
            f"an angle must be scale · number + offset of one input or parameter; "
            f"that of {first.name} on wires {list(first.wires)} is not"
        )
    return angle


def _check_amplitudes(native: Native, leaves: list[tuple[str, int]]) -> None:
    """Refuse a state that is not the normalised inputs."""
    state = plain(native.numbers[0])
    inputs = [
        (i, x)
        for (source, i), x in zip(leaves, native.point.tolist(), strict=True)
        if source == "input"
    ]
    expected = [x for _, x in sorted(dict(inputs).items())]
    norm = sum(x * x for x in expected) ** 0.5
    if len(state) != len(expected) or abs(state * norm - expected).max() > 1e-9 * max(1.0, norm):
        raise Refusal("a state must be a constant or the inputs, normalised, and nothing else")


def _check_state(native: Native, n_qubits: int) -> None:
    if native.wires != tuple(range(n_qubits)):
        raise Refusal(
            f"amplitudes must be prepared on all wires in order, 0 to {n_qubits - 1}, "
            f"not on {native.wires}"
        )


def _tidy(number: float) -> float:
    """Round a number such as 0.30000000000000004 to 0.3."""
    rounded = round(number, 12)
    return rounded if abs(rounded - number) < 1e-14 else number
