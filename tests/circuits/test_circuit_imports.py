"""Circuits from and to OpenQASM 2 and 3, Qiskit and PennyLane act as before, to 1e-12."""

import math

import numpy as np
import pennylane as qml
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from support.random_circuits import circuits, matrix_of_operations, numbers_for
from support.refusals import refused

from qtha_lab.circuits import Angle, Circuit, Gate, ansatze
from qtha_lab.circuits.json_text import circuit_of, circuit_text
from qtha_lab.core.errors import Refusal
from qtha_lab.simulators import engine_names, expval_z, state

MANY = settings(
    max_examples=200, deadline=None, derandomize=True, database=None,
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
FEW = settings(MANY, max_examples=12)
EXTRA = "Qiskit is in the [test] extra"
HEAD_2 = 'OPENQASM 2.0; include "qelib1.inc"; qreg q[3]; creg c[3]; '
HEAD_3 = 'OPENQASM 3.0; include "stdgates.inc"; qubit[3] q; '


def assert_equal_matrices(one, other):
    """Unitary matrices, or states, equal up to a global phase, to 1e-12."""
    overlap = np.vdot(one, other) / np.vdot(one, one).real
    assert abs(abs(overlap) - 1) < 1e-12
    np.testing.assert_allclose(other, one * (overlap / abs(overlap)), atol=1e-12)


def matrix_at(circuit, inputs, params=()):
    """Matrix of a circuit for one sample."""
    operations = circuit.to_pennylane(np.array(inputs), np.array(params))
    return matrix_of_operations(operations, circuit.n_qubits)


def by_qasm_2(circuit):
    return Circuit.from_qasm(circuit.to_qasm(*numbers_for(circuit), version=2))


def by_qasm_3(circuit):
    return Circuit.from_qasm(circuit.to_qasm())


def by_qiskit(circuit):
    pytest.importorskip("qiskit", reason=EXTRA)
    return Circuit.from_qiskit(circuit.to_qiskit())


def by_pennylane(circuit):
    def function(inputs, params):
        circuit.to_pennylane(inputs, params)

    numbers = np.zeros(circuit.n_inputs), np.zeros(circuit.n_params)
    return Circuit.from_pennylane(function, *numbers, wires=range(circuit.n_qubits))


ROUTES = [by_qasm_2, by_qasm_3, by_qiskit, by_pennylane]


def check_route(route, circuit):
    result = route(circuit)
    assert result.n_qubits == circuit.n_qubits
    numbers = numbers_for(circuit)
    assert_equal_matrices(matrix_at(result, *numbers), matrix_at(circuit, *numbers))


@pytest.mark.parametrize("route", ROUTES)
@FEW
@given(circuits(products=True))
def test_random_circuits_come_back_equal(route, circuit):
    check_route(route, circuit)


@pytest.mark.slow
@pytest.mark.parametrize("route", ROUTES)
@MANY
@given(circuits(products=True))
def test_two_hundred_random_circuits_come_back_equal(route, circuit):
    check_route(route, circuit)


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("name", ansatze.names())
def test_every_ansatz_comes_back_equal(route, name):
    for reupload in (True, False):
        check_route(route, ansatze.build(name, 3, 2, reupload=reupload))


@pytest.mark.parametrize("name", ansatze.names())
def test_every_ansatz_with_its_amplitudes_comes_back_equal(name):
    circuit = ansatze.build(name, 3, 2, reupload=False, embedding="amplitude")
    numbers = numbers_for(circuit)
    expected = matrix_at(circuit, *numbers)[:, :1]
    results = [Circuit.from_qasm(circuit.to_qasm(*numbers, version=v)) for v in (2, 3)]
    pytest.importorskip("qiskit", reason=EXTRA)
    results.append(Circuit.from_qiskit(circuit.to_qiskit(*numbers)))
    for result in results:
        assert_equal_matrices(expected, matrix_at(result, [])[:, :1])


# products and sums of inputs


def test_iqp_embedding_multiplies_inputs():
    wires = range(3)
    circuit = Circuit.from_pennylane(
        lambda inputs: qml.IQPEmbedding(inputs, wires, n_repeats=2), np.zeros(3)
    )
    x = np.array([0.3, -1.2, 2.1])
    expected = qml.matrix(qml.IQPEmbedding(x, wires, n_repeats=2), wire_order=wires)
    assert_equal_matrices(matrix_at(circuit, x), expected)


@pytest.mark.parametrize("paulis", [["Z", "ZZ"], ["Z", "YY", "ZZZ"]])
def test_qiskits_feature_maps_have_sums_of_products(paulis):
    library = pytest.importorskip("qiskit.circuit.library", reason=EXTRA)
    quantum_info = pytest.importorskip("qiskit.quantum_info", reason=EXTRA)
    source = library.pauli_feature_map(3, reps=1, paulis=paulis)
    circuit = Circuit.from_qiskit(source)
    assert (circuit.n_inputs, circuit.n_params) == (3, 0)
    x = np.array([0.3, -1.2, 2.1])
    little_endian = quantum_info.Operator(source.assign_parameters(x)).reverse_qargs().data
    assert_equal_matrices(matrix_at(circuit, x), little_endian)


@pytest.mark.parametrize("engine", [name for name in engine_names() if ":" not in name])
def test_every_engine_multiplies_inputs(engine):
    gates = [
        Gate("Hadamard", 0), Gate("RZ", 0, Angle.product([0, 1], 2.0, 0.1)), Gate("CNOT", (0, 1)),
        Gate("RX", 0, Angle.product([1, 1])), Gate("RY", 1, Angle.input(0)),
    ]  # fmt: skip
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(4, 2, dtype=torch.float64, generator=generator)
    params = torch.empty(0, dtype=torch.float64)

    def values_and_gradients(name):
        x = inputs.clone().requires_grad_()
        values = expval_z(Circuit(2, gates), x, params, engine=name)
        return torch.cat([values, *torch.autograd.grad(values.square().sum(), x)])

    try:
        result = values_and_gradients(engine)
    except Refusal as reason:
        pytest.skip(str(reason))
    a, b = inputs.T
    by_hand = [Gate("Hadamard", 0), Gate("RZ", 0, Angle.input(0)), Gate("CNOT", (0, 1)),
               Gate("RX", 0, Angle.input(1)), Gate("RY", 1, Angle.input(2))]  # fmt: skip
    angles = torch.stack([2 * a * b + 0.1, b * b, a], -1)
    torch.testing.assert_close(result[:4], expval_z(Circuit(2, by_hand), angles, params, "torch"))
    torch.testing.assert_close(result, values_and_gradients("torch"))


def test_products_are_kept_as_text():
    circuit = Circuit(1, [Gate("RZ", 0, Angle.product([2, 0], 0.5))])
    assert circuit_of(circuit_text(circuit)) == circuit
    assert circuit.n_inputs == 3
    assert circuit.draw() == "0: ──RZ(0.5·x0·x2)─┤"


# OpenQASM


@pytest.mark.parametrize(
    ("text", "operations"),
    [
        (HEAD_2 + "u3(0.1,0.2,0.3) q[0]; u2(0.4,0.5) q[1];", [qml.U3(0.1, 0.2, 0.3, 0), qml.U2(0.4, 0.5, 1)]),
        (HEAD_2 + "cu1(pi/3) q[0],q[2]; ccx q[0],q[1],q[2];", [qml.ControlledPhaseShift(math.pi / 3, [0, 2]), qml.Toffoli([0, 1, 2])]),
        (HEAD_2 + "ch q[0],q[1]; cy q[1],q[2]; cswap q[2],q[0],q[1];", [qml.CH([0, 1]), qml.CY([1, 2]), qml.CSWAP([2, 0, 1])]),
        (HEAD_2 + "cu3(0.1,0.2,0.3) q[0],q[1]; rzz(0.4) q[1],q[2];", [qml.PhaseShift(0.25, 0), qml.ctrl(qml.U3(0.1, 0.2, 0.3, 1), 0), qml.PhaseShift(-0.25, 0), qml.IsingZZ(0.4, [1, 2])]),
        (HEAD_2 + "gate g(a) u,v { rx(a/2) u; cx u,v; } g(0.8) q[2],q[0];", [qml.RX(0.4, 2), qml.CNOT([2, 0])]),
        (HEAD_2 + "h q; barrier q; measure q -> c;", [qml.H(0), qml.H(1), qml.H(2)]),
        (HEAD_3 + "for uint i in [0:2] { rx(i*0.5) q[i]; }", [qml.RX(0.5, 1), qml.RX(1.0, 2)]),
        (HEAD_3 + "const float a = 2*pi^2; rz(a) q[1]; inv @ sx q[0];", [qml.RZ(2 * math.pi**2, 1), qml.adjoint(qml.SX(0))]),
        (HEAD_3 + "ctrl @ rx(0.3) q[0], q[1]; pow(3) @ t q[2];", [qml.CRX(0.3, [0, 1]), qml.PhaseShift(0.75 * math.pi, 2)]),
        (HEAD_3 + "gate g(t) a { U(t, 0, pi) a; } g(0.7) q[1]; bit b = measure q[1];", [qml.U3(0.7, 0, math.pi, 1)]),
        (HEAD_3 + "inv @ U(0.1, 0.2, 0.3) q[0]; iswap q[0], q[1];", [qml.adjoint(qml.U3(0.1, 0.2, 0.3, 0)), qml.ISWAP([0, 1])]),
    ],
)  # fmt: skip
def test_programs_act_as_pennylanes_operations(text, operations):
    circuit = Circuit.from_qasm(text)
    expected = qml.matrix(qml.tape.QuantumScript(operations), wire_order=range(3))
    assert_equal_matrices(matrix_at(circuit, ()), expected)


@pytest.mark.parametrize(
    ("text", "gates"),
    [
        ("double a = 2; rz(a) q[0];;", ["RZ(2) on 0"]),
        ("for i in [2:-1:1] { rz(+i) q[i]; };", ["RZ(2) on 2", "RZ(1) on 1"]),
        ("for int i in {0, 2} x q[i];", ["PauliX on 0", "PauliX on 2"]),
        ("pragma of a vendor; x q[0:1]; #pragma another", ["PauliX on 0", "PauliX on 1"]),
        ("/* {{{ */ x q[-1]; // ((", ["PauliX on 2"]),
        ("rz(-2^2) q[0]; rz(2^3^2) q[0]; rz(8-2-3) q[0];", ["RZ(-4) on 0", "RZ(512) on 0", "RZ(3) on 0"]),
        ("gphase(0.3); pow(-2) @ s q[0];", ["PhaseShift(-π/2) on 0"] * 2),
    ],
)  # fmt: skip
def test_spellings_beside_the_grammar_of_openqasm_3_are_read(text, gates):
    assert [str(gate) for gate in Circuit.from_qasm(HEAD_3 + text).gates] == gates


def test_names_of_program_inputs_may_be_chosen():
    text = "OPENQASM 3; input float b; input angle[32] a; qubit q; ry(2*a - b) q;"
    circuit = Circuit.from_qasm(text, inputs=["a"])
    assert [str(gate) for gate in circuit.gates] == ["RY(2·x0) on 0", "RY(-p0) on 0"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("circuit.qasm", r"must begin with OPENQASM 2\.0 or OPENQASM 3\.0, .*Pass the text of a file"),
        (HEAD_2 + "\nif (c == 1) x q[0];", "Line 2: .*must not depend on measured values or data.*one circuit per branch"),
        (HEAD_3 + "while (true) { x q[0]; }", "must not depend on measured values or data"),
        (HEAD_2 + "measure q[0] -> c[0]; x q[0];", "No gate must follow a measurement, got x on wire 0"),
        (HEAD_2 + "h q[0]; reset q[0];", "A reset must come before all gates of its qubit"),
        (HEAD_2 + "foo q[0];", "A gate must be defined before its use, got foo"),
        (HEAD_2 + "x r[0];", "A qubit must be declared before its use"),
        (HEAD_2 + "x q[3];", r"q must have the qubit, got q\[3\] of 3"),
        (HEAD_2 + "rx(y) q[0];", "A name must be declared before its use, got y"),
        (HEAD_2 + "rx(__import__) q[0];", "A name must be declared"),
        (HEAD_2 + "rx(sin) q[0];", "A name must be declared"),
        (HEAD_2 + "rx(9^9^9^9) q[0];", "An angle must be"),
        (HEAD_2 + "rx((1).real) q[0];", "must fit the grammar of OpenQASM, got "),
        (HEAD_2 + "opaque g a;", "must fit the grammar of OpenQASM, got a in column 68"),
        (HEAD_2 + "x q[0]; x 'q;", "must fit the grammar of OpenQASM, got token"),
        (HEAD_3 + "ctrl @ gphase(1) q[0];", "must consist of gates, got the statement ctrl @ gphase"),
        (HEAD_3 + "rx(" + "sin(1)*" * 2_500 + "1) q[0];", "Line 1: The number of operations of a statement must be at most 300"),
        (HEAD_3 + "x q[" + "9" * 5_000 + "];", "at most 4,300 digits"),
        (HEAD_2 + "u3(1) q[0];", "u3 must have 3 angles and 1 qubits, got 1 and 1"),
        (HEAD_2 + "rx(1) q[0]", "must end with ;"),
        (HEAD_2 + 'include "other.inc";', "include must be qelib1.inc or stdgates.inc, got"),
        (HEAD_3 + "ctrl @ u(1,2,3) q[0], q[1];", "A controlled gate must be one of"),
        (HEAD_3 + "input float a; rx(sin(a)) q[0];", "must be a sum of products of inputs"),
        (HEAD_2 + "gate a x { b x; } gate b x { a x; } a q[0];", "must nest at most 30 deep"),
        ("OPENQASM 2.0; qreg q[100000];", "must have 1 to 1000 qubits, got 100000"),
        (HEAD_3 + "for int i in [0:999999] { x q[0]; }", "at most 100,000 steps"),
    ],
)  # fmt: skip
def test_a_program_that_is_no_circuit_is_refused_in_a_sentence(text, sentence):
    with pytest.raises(Refusal, match=sentence) as record:
        Circuit.from_qasm(text)
    assert not str(record.value).endswith("..")


@pytest.mark.slow
def test_definitions_that_multiply_are_stopped():
    doubled = "gate g0 a { x a; } " + " ".join(
        f"gate g{n} a {{ g{n - 1} a; g{n - 1} a; }}" for n in range(1, 25)
    )
    with pytest.raises(Refusal, match="at most 500,000 steps"):
        Circuit.from_qasm(HEAD_2 + doubled + " g24 q[0];")


def test_openqasm_2_needs_all_numbers():
    rotation = Circuit(1, [Gate("RY", 0, Angle.param(0))])
    with refused("Inputs and params", "no value of p0"):
        rotation.to_qasm(version=2)
    with refused("version", "4"):
        rotation.to_qasm(version=4)


# Qiskit


def test_qiskits_gates_and_wires_keep_their_places():
    qiskit = pytest.importorskip("qiskit", reason=EXTRA)
    quantum_info = pytest.importorskip("qiskit.quantum_info", reason=EXTRA)
    source = qiskit.QuantumCircuit(3)
    source.u(0.1, 0.2, 0.3, 0)
    source.ccx(0, 2, 1)
    source.rzx(0.4, 1, 0)
    source.append(qiskit.circuit.library.QFTGate(2), [2, 0])
    source.ecr(0, 1)
    source.measure_all()
    circuit = Circuit.from_qiskit(source)
    unmeasured = source.remove_final_measurements(inplace=False)
    expected = quantum_info.Operator(unmeasured).reverse_qargs().data
    assert_equal_matrices(matrix_at(circuit, ()), expected)


def test_a_branch_of_qiskit_is_refused():
    qiskit = pytest.importorskip("qiskit", reason=EXTRA)
    source = qiskit.QuantumCircuit(1, 1)
    source.measure(0, 0)
    with source.if_test((0, True)):
        source.x(0)
    with refused("The gates", "Qiskit's 'if_else'"):
        Circuit.from_qiskit(source)
    with refused("The source", "int"):
        Circuit.from_qiskit(3)


def test_parameters_of_qiskit_may_be_named_as_inputs():
    qiskit = pytest.importorskip("qiskit", reason=EXTRA)
    a, b = qiskit.circuit.Parameter("a"), qiskit.circuit.Parameter("b")
    source = qiskit.QuantumCircuit(1)
    source.ry(2 * a - b, 0)
    circuit = Circuit.from_qiskit(source, inputs=["a"])
    assert [str(gate) for gate in circuit.gates] == ["RY(2·x0) on 0", "RY(-p0) on 0"]
    with refused("inputs", "z"):
        Circuit.from_qiskit(source, inputs=["z"])


def test_states_agree_with_qiskits():
    quantum_info = pytest.importorskip("qiskit.quantum_info", reason=EXTRA)
    circuit = Circuit(2, [Gate("RY", 0, 0.4), Gate("CNOT", (0, 1)), Gate("S", 1)])
    theirs = quantum_info.Statevector(circuit.to_qiskit()).reverse_qargs().data
    ours = state(circuit, torch.empty(0).double(), torch.empty(0).double()).numpy()
    assert abs(np.vdot(ours, theirs)) == pytest.approx(1, abs=1e-12)
