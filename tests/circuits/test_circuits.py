"""Circuits as data: what is refused, what is counted, how it is drawn, what PennyLane is told."""

import copy
import pickle
import subprocess
import sys

import numpy as np
import pennylane as qml
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import expm
from scipy.stats import unitary_group
from support.random_circuits import assert_same_up_to_phase, matrix_of

from qtha_lab.circuits import GATES, Angle, Circuit, Gate, general_two_qubit, to_pennylane
from qtha_lab.circuits.ansatze import build
from qtha_lab.circuits.unitary import kak

X0, P0 = Angle.input(0), Angle.param(0)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Gate("crz", (0, 1), 1.0), "Unknown gate 'crz': did you mean 'CRZ'?"),
        (lambda: Gate("p", 0, 1.0), "Unknown gate 'p': did you mean 'PhaseShift'?"),
        (lambda: Gate("rzz", (0, 1), 1.0), "did you mean 'IsingZZ'?"),
        (lambda: Gate("cphase", (0, 1), 1.0), "did you mean 'CPhase'?"),
        (
            lambda: Gate("Toffoli", (0, 1, 2)),
            r"A gate must act on one or two wires, got 'Toffoli'\.",
        ),
        (
            lambda: Gate("QubitUnitary", 0),
            r"QubitUnitary and no other gate must have a matrix, got 'QubitUnitary' with none\.",
        ),
        (
            lambda: Gate("RY", 0, 1.0, np.eye(2)),
            r"QubitUnitary and no other gate must have a matrix, got 'RY' with one\.",
        ),
        (lambda: Gate.unitary([[1, 0], [0, 2]], 0), "got 3 as the largest entry of U†U - 1"),
        (lambda: Gate.unitary(np.eye(8), (0, 1, 2)), r"must be 2×2 or 4×4, got shape \(8, 8\)"),
        (lambda: Gate.unitary(np.eye(4), 0), r"QubitUnitary must have 2 wires, got \(0,\)"),
        (lambda: Gate.unitary([[np.nan, 0], [0, 1]], 0), "must be finite"),
        (
            lambda: general_two_qubit((0, 1), [0.1] * 14),
            r"A general two-qubit block must have 15 angles, got 14\.",
        ),
        (lambda: Gate("RY", (0, 1), 1.0), r"RY must have 1 wire, got \(0, 1\)"),
        (lambda: Gate("CNOT", 0), r"CNOT must have 2 wires, got \(0,\)"),
        (lambda: Gate("CNOT", (1, 1)), r"The wires of CNOT must differ, got \(1, 1\)"),
        (lambda: Gate("RY", -1, 1.0), r"Wires must be 0, 1, 2, …, got \(-1,\)"),
        (lambda: Gate("RY", 0), "RY must have 1 angle, got 0"),
        (lambda: Gate("CNOT", (0, 1), 0.1), "CNOT must have no angles, got 1"),
        (lambda: Gate("Rot", 0, (0.1, 0.2)), "Rot must have 3 angles, got 2"),
        (lambda: Angle("data", 0), 'must be "input", "param" or "const", got'),
        (lambda: Angle.input(10**9), "index of an angle must be from 0 to 99,999, got 1000000000."),
        (lambda: Angle.param(-1), "The index of an angle must be from 0 to 99,999, got -1."),
        (lambda: Angle.const(float("nan")), "An angle must be finite"),
        (
            lambda: Gate("RY", 0, "x0"),
            r"must be a number or an Angle, got 'x0'\. Write Angle.input\(0\)",
        ),
        (lambda: Gate("RY", 0, None), "a number or an Angle, got None"),
        (lambda: Gate("RY", "a", 0.1), r"Wires must be 0, 1, 2, …, got \('a',\)"),
        (lambda: Circuit(1, Gate("RY", 0, 0.1)), "must be a list of Gate, got Gate"),
        (lambda: Circuit(0, []), "n_qubits must be at least 1, got 0"),
        (lambda: Circuit("x" * 10**5, []), "n_qubits must be at least 1, got 'x{78}…"),
        (lambda: Circuit(2**64, []), "n_qubits must be at most 10,000, got 18446744073709551616."),
        (lambda: Circuit(2, ["RY"]), "Gate 0 must be a Gate, got 'RY'"),
        (
            lambda: Circuit(2, [Gate("PauliX", 1), Gate("RY", 2, X0)]),
            r"must be 0 to 1, got 2 in gate 1, RY\(x0\) on 2",
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


def test_an_angle_with_an_offset_of_any_size_is_drawn():
    assert str(Angle.input(0, offset=1e308)) == "x0+1e+308"
    assert str(Angle.input(0, scale=-1e308, offset=np.pi / 3)) == "-1e+308·x0+π/3"


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


def test_drawing_shows_unitaries_and_a_start_in_amplitudes():
    gates = [Gate.unitary(np.eye(4), (2, 0)), Gate.unitary(np.eye(2), 1)]
    assert Circuit(3, gates, start="amplitudes").draw().splitlines() == [
        "0: ──╭|x⟩─╭U₂───┤",
        "1: ──├|x⟩─│───U─┤",
        "2: ──╰|x⟩─╰U₁───┤",
    ]
    assert Circuit(1, [], start="amplitudes").draw() == "0: ──|x⟩─┤"


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
    expected = matrix_of(Circuit(kind.n_wires, [gate]))
    assert_same_up_to_phase(_product_of_parts(gate), expected)


def _product_of_parts(gate):
    product = np.eye(2 ** len(gate.wires))
    for part, on, angle in gate.parts():
        product = _matrix_of_part(part, on, angle, len(gate.wires)) @ product
    return product


def _matrix_of_part(part, wires, angle, n_wires):
    if part in ("X", "CNOT"):
        operator = qml.PauliX(wires) if part == "X" else qml.CNOT(wires)
    elif part == "Y":
        operator = qml.RY(angle.offset, wires)
    else:
        operator = qml.MultiRZ(angle.offset, wires)
    return qml.matrix(operator, wire_order=range(n_wires))


# unitaries given as a matrix


def _cnots(gate):
    """A string of two Zs is a turn between two CNOTs."""
    return sum(2 if len(w) == 2 and k == "Z" else k == "CNOT" for k, w, _ in gate.parts())


@pytest.mark.parametrize(
    ("operator", "n_cnots"),
    [(qml.SWAP([0, 1]), 3), (qml.ISWAP([0, 1]), 2), (qml.CRZ(1.2, [0, 1]), 2),
     (qml.IsingXX(0.3, [0, 1]), 2), (qml.CNOT([0, 1]), 2), (qml.H(0) @ qml.S(1), 0)],
)  # fmt: skip
def test_known_gates_need_their_known_number_of_cnots(operator, n_cnots):
    matrix = qml.matrix(operator, wire_order=[0, 1])
    gate = Gate.unitary(matrix, (0, 1))
    assert _cnots(gate) == n_cnots
    assert_same_up_to_phase(_product_of_parts(gate), matrix)


def test_the_interaction_of_known_gates():
    # the corners of the Weyl chamber, in units of π/4: CNOT, iSWAP, SWAP
    for operator, corner in [(qml.CNOT, (0, 0, 1)), (qml.ISWAP, (0, 1, 1)), (qml.SWAP, (1, 1, 1))]:
        _, strengths, _ = kak(qml.matrix(operator([0, 1])))
        np.testing.assert_allclose(sorted(strengths), np.array(corner) * np.pi / 4, atol=1e-12)


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([2, 4]), st.sampled_from([0, 1e-9, 1e-4, 1]))
def test_any_unitary_is_the_product_of_its_parts(seed, size, distance):
    # near a product of local gates eigenvalues almost meet, where decompositions get inaccurate
    generator = np.random.default_rng(seed)
    local = unitary_group.rvs(2, random_state=generator)
    while len(local) < size:
        local = np.kron(local, unitary_group.rvs(2, random_state=generator))
    noise = generator.normal(size=(size, size)) + 1j * generator.normal(size=(size, size))
    matrix = expm(1j * distance * (noise + noise.conj().T)) @ local
    gate = Gate.unitary(matrix, range(size // 2))
    assert_same_up_to_phase(_product_of_parts(gate), matrix)
    assert _cnots(gate) <= 3


def test_unitaries_compare_by_value_and_survive_copy_and_pickle():
    one, two = (Gate.unitary(qml.matrix(qml.SWAP([0, 1])), (1, 0)) for _ in range(2))
    assert one == two
    assert hash(one) == hash(two)
    assert pickle.loads(pickle.dumps(one)) == copy.deepcopy(one) == one
    assert one != Gate.unitary(np.eye(4), (1, 0))
    assert Gate.unitary(torch.eye(2), 0) == Gate.unitary(np.eye(2), 0)


def test_a_float32_unitary_is_taken_for_the_nearest_exact_one():
    matrix = unitary_group.rvs(4, random_state=0)
    (remaining,) = {Gate.unitary(matrix.astype(np.complex64), (0, 1)).matrix}
    exact = np.array(remaining)
    np.testing.assert_allclose(exact.conj().T @ exact, np.eye(4), atol=1e-14)
    np.testing.assert_allclose(exact, matrix, atol=1e-6)


def test_short_names_are_the_same_gates():
    assert Gate("H", 0) == Gate("Hadamard", 0)
    assert [Gate(name, 0).name[-1] for name in "XYZ"] == ["X", "Y", "Z"]
    assert Gate("CX", np.array([0, 1])) == Gate("CNOT", (0, 1))
    assert Gate("CPhase", (0, 1), P0) == Gate("ControlledPhaseShift", (0, 1), P0)


def test_the_general_block_can_move_in_all_15_directions():
    def block(angles):
        return matrix_of(Circuit(2, general_two_qubit((0, 1), angles)))

    at = np.linspace(-1.3, 2.1, 15)
    here, step = block(at).conj().T, 1e-6
    gradients = [here @ (block(at + d) - block(at - d)) / (2 * step) for d in step * np.eye(15)]
    flat = np.array([np.concatenate([s.real.ravel(), s.imag.ravel()]) for s in gradients])
    assert np.linalg.matrix_rank(flat, tol=1e-4) == 15  # the dimension of SU(4)


def test_importing_circuits_loads_neither_pennylane_nor_torch():
    code = (
        "import sys; from qtha_lab.circuits import Circuit, Gate;"
        "Circuit(2, [Gate.unitary([[0, 1], [1, 0]], 1)]).gates[0].parts();"
        "print([m for m in ('pennylane', 'torch') if m in sys.modules])"
    )
    process = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert process.stdout.strip() == "[]"


# to PennyLane


def test_pennylane_reads_inputs_and_parameters():
    circuit = Circuit(2, [Gate("RY", 0, Angle.input(1, 2.0, 0.5)), Gate("CRZ", (0, 1), P0)])
    rotation, ring = to_pennylane(circuit, torch.tensor([9.0, 0.25]), torch.tensor([0.75]))
    assert (rotation.name, ring.name, list(ring.wires)) == ("RY", "CRZ", [0, 1])
    assert float(rotation.parameters[0]) == pytest.approx(2.0 * 0.25 + 0.5)
    assert float(ring.parameters[0]) == pytest.approx(0.75)
