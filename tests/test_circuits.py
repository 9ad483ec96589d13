"""Circuits as data: what is refused, what is counted, how it is drawn, what PennyLane is told."""

import copy
import pickle

import numpy as np
import pennylane as qml
import pytest
import torch

from qtha_lab.ansatze import build
from qtha_lab.circuits import GATES, Angle, Circuit, Gate, to_pennylane

X0, P0 = Angle.input(0), Angle.param(0)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Gate("crz", (0, 1), 1.0), "unknown gate 'crz': did you mean 'CRZ'?"),
        (lambda: Gate("H", 0), "unknown gate 'H': did you mean 'Hadamard'?"),
        (lambda: Gate("RY", (0, 1), 1.0), r"RY acts on 1 wire, not \(0, 1\)"),
        (lambda: Gate("CNOT", 0), r"CNOT acts on 2 wires, not \(0,\)"),
        (lambda: Gate("CNOT", (1, 1)), r"CNOT needs different wires, not \(1, 1\)"),
        (lambda: Gate("RY", -1, 1.0), r"wires are numbered 0, 1, 2, …, not \(-1,\)"),
        (lambda: Gate("RY", 0), "RY takes 1 angle, not 0"),
        (lambda: Gate("CNOT", (0, 1), 0.1), "CNOT takes no angles, not 1"),
        (lambda: Gate("Rot", 0, (0.1, 0.2)), "Rot takes 3 angles, not 2"),
        (lambda: Angle("data", 0), "comes from input, param or const, not 'data'"),
        (lambda: Angle.input(-1), "must be 0, 1, 2, …, not -1"),
        (lambda: Angle.const(float("nan")), "an angle must be finite"),
        (lambda: Circuit(0, []), "at least 1 qubit, not 0"),
        (lambda: Circuit(2, ["RY"]), "gate 0 must be a Gate, not 'RY'"),
        (
            lambda: Circuit(2, [Gate("PauliX", 1), Gate("RY", 2, X0)]),
            r"gate 1, RY\(x0\) on 2, acts on wire 2, but the circuit has wires 0 to 1",
        ),
    ],
)
def test_wrong_circuits_are_refused_with_a_sentence(make, sentence):
    with pytest.raises(ValueError, match=sentence):
        make()


def test_counts_and_depths_of_a_ring():
    ring = [Gate("CRZ", (i, (i + 1) % 4), Angle.param(i)) for i in range(4)]
    circuit = Circuit(4, [*(Gate("RY", i, Angle.input(i)) for i in range(4)), *ring])
    assert circuit.counts() == {"RY": 4, "CRZ": 4}
    assert (circuit.n_inputs, circuit.n_params) == (4, 4)
    # one step of RY; each CRZ shares a wire with the one before, so they are four steps
    assert circuit.depth() == 1 + 4
    assert circuit.two_qubit_depth() == 4


def test_gates_on_different_wires_are_one_step():
    circuit = Circuit(4, [Gate("CZ", (0, 1)), Gate("CZ", (2, 3)), Gate("RX", 0, 0.1)])
    assert circuit.depth() == 2
    assert circuit.two_qubit_depth() == 1


def test_unread_indices_below_the_highest_count():
    circuit = Circuit(1, [Gate("RY", 0, Angle.input(2)), Gate("RZ", 0, Angle.param(5))])
    assert (circuit.n_inputs, circuit.n_params) == (3, 6)


def test_equal_circuits_are_equal_and_survive_copy_and_pickle():
    one, two = (Circuit(2, [Gate("RY", 0, X0), Gate("CNOT", (0, 1))]) for _ in range(2))
    assert one == two
    assert hash(one) == hash(two)
    for copied in (copy.deepcopy(one), pickle.loads(pickle.dumps(one))):
        assert copied == one
        assert copied is not one
    assert one != Circuit(3, one.gates)


def test_drawing_shows_where_every_angle_comes_from():
    circuit = Circuit(
        3,
        [
            Gate("RY", 0, Angle.input(0)),
            Gate("CRZ", (0, 2), Angle.param(3)),
            Gate("Rot", 1, (Angle.param(0, scale=2.0), Angle.const(np.pi / 2), P0.times(-1.0))),
        ],
    )
    assert circuit.draw().splitlines() == [
        "0: ──RY(x0)─╭●────────────────────────┤",
        "1: ─────────│───────Rot(2·p0,π/2,-p0)─┤",
        "2: ─────────╰RZ(p3)───────────────────┤",
    ]


def test_wide_drawings_wrap_and_long_ones_are_cut():
    circuit = build("qtha", n_qubits=8, n_layers=8)
    lines = circuit.draw(width=80, max_rows=2).splitlines()
    assert max(map(len, lines)) <= 80
    assert len(lines) == 2 * (8 + 1) + 1  # two blocks of 8 wires, a blank line each, the count
    assert lines[-1].startswith("··· ")
    assert lines[-1].endswith(f"more gates of 320, depth {circuit.depth()}")


def test_drawing_copes_with_no_gates_and_with_narrow_pages():
    assert Circuit(2, []).draw() == "0: ───┤\n1: ───┤"
    assert "RY(x0)" in Circuit(1, [Gate("RY", 0, X0)] * 3).draw(width=5)


@pytest.mark.parametrize("name", GATES)
def test_parts_of_a_gate_multiply_to_pennylanes_matrix(name):
    kind = GATES[name]
    wires = tuple(range(kind.n_wires))[::-1]
    gate = Gate(name, wires, (0.7, -1.9, 2.6)[: kind.n_angles])
    product = np.eye(2**kind.n_wires)
    for part, on, angle in gate.parts():
        product = _matrix_of_part(part, on, angle, kind.n_wires) @ product
    (expected,) = to_pennylane(Circuit(kind.n_wires, [gate]), np.empty(0), np.empty(0))
    matrix = qml.matrix(expected, wire_order=range(kind.n_wires))
    overlap = np.trace(matrix.conj().T @ product) / len(matrix)
    assert abs(overlap) == pytest.approx(1.0, abs=1e-12)  # equal up to a phase


def _matrix_of_part(part, wires, angle, n_wires):
    if part in ("X", "CNOT"):
        operator = qml.PauliX(wires) if part == "X" else qml.CNOT(wires)
    elif part == "Y":
        operator = qml.RY(angle.offset, wires)
    else:
        operator = qml.MultiRZ(angle.offset, wires)
    return qml.matrix(operator, wire_order=range(n_wires))


def test_pennylane_reads_inputs_and_parameters():
    circuit = Circuit(2, [Gate("RY", 0, Angle.input(1, 2.0, 0.5)), Gate("CRZ", (0, 1), P0)])
    turn, ring = to_pennylane(circuit, torch.tensor([9.0, 0.25]), torch.tensor([0.75]))
    assert (turn.name, ring.name, list(ring.wires)) == ("RY", "CRZ", [0, 1])
    assert float(turn.parameters[0]) == pytest.approx(2.0 * 0.25 + 0.5)
    assert float(ring.parameters[0]) == pytest.approx(0.75)
