"""Import of circuits from PennyLane: quantum function, QNode, tape or operations.

Every angle is traced, through PennyLane's own decompositions, to the one number it reads.
`observables_from_pennylane` reads the measurements; a circuit has none.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from qtha_lab.circuits.gates import UNITARY, Gate
from qtha_lab.circuits.imports.pennylane_tracing import (
    BRANCHES,
    STATES,
    Native,
    as_numpy,
    point_of,
    script_of,
    trace,
    wire_labels,
)
from qtha_lab.circuits.polynomial import Polynomial, gates_of
from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import shortened


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
        Refusal: If an operation cannot be expressed, an angle is no sum of parameters and products
            of inputs, or the gates depend on data.
    """
    script = script_of(source, args, kwargs, inputs)
    numbers = range(script.n_points)
    tapes = [script.at(point_of(len(script.leaves), number)) for number in numbers]
    if len({tuple((op.name, op.wires) for op in tape.operations) for tape in tapes}) > 1:
        raise Refusal(BRANCHES)
    labels = wire_labels(source, tapes[0], wires)
    first, *others = (trace(script, number, labels) for number in numbers)
    if any([op.key for op in first] != [op.key for op in other] for other in others):
        raise Refusal(BRANCHES)
    groups = [_gates(*same, leaves=script.leaves) for same in zip(first, *others, strict=True)]
    start = "zero"
    if groups and groups[0] is None:
        start = "amplitudes"
        _check_state(first[0], len(labels))
    if None in groups[1:]:
        raise Refusal("Amplitudes must be prepared first, got a gate before them.")
    return len(labels), [gate for group in groups for gate in group or ()], start


def observables_from_pennylane(
    source, *args, wires: Iterable | None = None, **kwargs
) -> tuple[str, ...]:
    """Return the measured expectations as Pauli strings for `simulators.expval`.

    The source is a tape or a QNode.

    Raises:
        Refusal: If the source measures anything but expectations of single Pauli strings.

    Example:
        >>> import pennylane as qml
        >>> measured = [qml.expval(qml.Z(0)), qml.expval(qml.X(0) @ qml.Y(2))]
        >>> tape = qml.tape.QuantumScript([], measured)
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
        raise Refusal(
            f"Measurements must be expectations of single Pauli strings, got {shortened(measured)}."
        )
    (word,) = sentence
    letters = sorted((labels.index(label), letter) for label, letter in word.items())
    return " ".join(f"{letter}{wire}" for wire, letter in letters) or "I"


def _gates(first: Native, *others: Native, leaves: list[tuple[str, int]]) -> list[Gate] | None:
    """Return the gates that fit all points; None for a state given by the inputs."""
    if first.name in STATES:
        for native in (first, *others):
            _check_amplitudes(native, leaves)
        return None
    if first.name == UNITARY:
        matrices = [as_numpy(native.numbers[0]) for native in (first, *others)]
        if any(abs(matrices[0] - matrix).max() > 1e-9 for matrix in matrices[1:]):
            raise Refusal(
                "A matrix must not depend on inputs or params, "
                f"got one that does on wires {list(first.wires)}."
            )
        return [Gate.unitary(matrices[0], first.wires)]
    angles = [_polynomial(first, others, i, leaves) for i in range(len(first.numbers))]
    return gates_of(first.name, first.wires, angles)


def _polynomial(
    first: Native, others: Sequence[Native], position: int, leaves: list[tuple[str, int]]
) -> Polynomial:
    """Return the angle at a position as a polynomial that fits all points."""
    terms = first.terms[position]
    for native in (first, *others):
        exact = float(as_numpy(native.numbers[position]))
        point = native.point.tolist()
        fitted = sum(c * math.prod(point[leaf] for leaf in key) for key, c in terms.items())
        if abs(fitted - exact) > 1e-9 * max(1.0, abs(exact)):
            raise Refusal(
                "An angle must be a sum of parameters and of products of an input and another "
                f"number, each with a factor, got that of {first.name} on wires "
                f"{list(first.wires)}."
            )
    named: dict[tuple[tuple[str, int], ...], float] = {}
    for key, scale in terms.items():
        variables = tuple(sorted(leaves[leaf] for leaf in key))
        named[variables] = named.get(variables, 0.0) + scale
    return Polynomial(named)


def _check_amplitudes(native: Native, leaves: list[tuple[str, int]]) -> None:
    """Refuse a state that is not the normalised inputs."""
    state = as_numpy(native.numbers[0])
    inputs = [
        (i, x)
        for (source, i), x in zip(leaves, native.point.tolist(), strict=True)
        if source == "input"
    ]
    expected = [x for _, x in sorted(dict(inputs).items())]
    norm = sum(x * x for x in expected) ** 0.5
    if len(state) != len(expected) or abs(state * norm - expected).max() > 1e-9 * max(1.0, norm):
        raise Refusal("An initial state must be a constant or the normalised inputs, got another.")


def _check_state(native: Native, n_qubits: int) -> None:
    if native.wires != tuple(range(n_qubits)):
        raise Refusal(
            f"Amplitudes must be prepared on wires 0 to {n_qubits - 1} in order, "
            f"got {list(native.wires)}."
        )
