"""Circuits from PennyLane and as OpenQASM: what goes out comes back, and acts alike."""

import math

import numpy as np
import pennylane as qml
import pytest
import torch
from hypothesis import given, settings
from support.random_circuits import (
    assert_same_up_to_phase,
    circuits,
    matrix_of,
    matrix_of_operations,
    numbers_for,
)
from support.refusals import refused

from qtha_lab.circuits import (
    Angle,
    Circuit,
    Gate,
    ansatze,
    observables_from_pennylane,
    to_pennylane,
    to_qasm,
)
from qtha_lab.simulators import expval

EMPTY = np.empty(0)


# from PennyLane


@settings(max_examples=40, deadline=None, derandomize=True, database=None)
@given(circuits())
def test_any_circuit_comes_back_from_pennylane(circuit):
    def function(inputs, params):
        to_pennylane(circuit, inputs, params)

    result = Circuit.from_pennylane(
        function,
        np.zeros(circuit.n_inputs),
        np.zeros(circuit.n_params),
        wires=range(circuit.n_qubits),
    )
    assert len(result.gates) == len(circuit.gates)
    for ours, theirs in zip(circuit.gates, result.gates, strict=True):
        assert (ours.name, ours.wires, ours.matrix) == (theirs.name, theirs.wires, theirs.matrix)
        for one, other in zip(ours.angles, theirs.angles, strict=True):
            assert (one.source, one.index, one.scale) == (other.source, other.index, other.scale)
            assert one.offset == pytest.approx(other.offset, abs=1e-12)


@pytest.mark.parametrize("name", ansatze.names())
@pytest.mark.parametrize("embedding", ["angle", "amplitude"])
def test_every_ansatz_comes_back_from_a_tape_that_says_which_numbers_are_inputs(name, embedding):
    circuit = ansatze.build(name, 3, 2, reupload=False, embedding=embedding)
    inputs, params = np.linspace(0.1, 0.7, circuit.n_inputs), np.linspace(1, 2, circuit.n_params)
    tape = qml.tape.QuantumScript(to_pennylane(circuit, inputs, params))
    angles = [angle for gate in circuit.gates for angle in gate.angles]
    data = {p: a.index for p, a in enumerate(angles) if a.source == "input"}
    result = Circuit.from_pennylane(tape, inputs=data if embedding == "angle" else [0])
    in_order = [a.index for a in angles if a.source == "param"]
    renamed = {index: number for number, index in enumerate(in_order)}  # as they are first used
    assert result.start == circuit.start
    assert [(g.name, g.wires) for g in result.gates] == [(g.name, g.wires) for g in circuit.gates]
    for ours, theirs in zip(angles, [a for g in result.gates for a in g.angles], strict=True):
        index = renamed[ours.index] if ours.source == "param" else ours.index
        assert (theirs.source, theirs.index, theirs.scale) == (ours.source, index, 1.0)


def test_a_qnode_of_templates_keeps_its_inputs_parameters_and_readouts():
    wires = ["left", "middle", "right"]

    @qml.qnode(qml.device("default.qubit", wires=wires))
    def node(weights, inputs, layers=1):
        for _ in range(layers):
            qml.AngleEmbedding(math.pi * inputs, wires, rotation="Y")
            qml.StronglyEntanglingLayers(weights, wires)
        qml.MultiRZ(0.5 * weights[0, 0, 1], wires)
        qml.U3(weights[0, 0, 0], 0.2, 0.3, wires="left")
        return qml.expval(qml.Z("left")), qml.expval(qml.X("right") @ qml.Y("left"))

    generator = torch.Generator().manual_seed(3)
    weights, inputs = (torch.rand(*s, generator=generator).double() for s in ((1, 3, 3), (3,)))
    circuit = Circuit.from_pennylane(node, weights, inputs, layers=2)
    assert (circuit.n_qubits, circuit.n_inputs, circuit.n_params) == (3, 3, 9)
    assert circuit.gates[0] == Gate("RY", 0, Angle.input(0, scale=math.pi))
    observables = observables_from_pennylane(node, weights, inputs)
    assert observables == ("Z0", "Y0 X2")
    torch.testing.assert_close(
        expval(circuit, observables, inputs, weights.flatten(), engine="torch"),
        torch.stack(node(weights, inputs, layers=2)),
    )


@pytest.mark.parametrize(
    "operation",
    [qml.adjoint(qml.S(0)), qml.adjoint(qml.T(1)), qml.SX(0), qml.ISWAP([1, 0]), qml.ECR([0, 1]),
     qml.Toffoli([0, 2, 1]), qml.CSWAP([2, 0, 1]), qml.PauliRot(0.3, "XYZ", [0, 1, 2]),
     qml.U2(0.1, 0.2, 0), qml.U3(0.1, 0.2, 0.3, 1), qml.MultiRZ(0.4, [0, 1, 2]), qml.QFT([0, 1, 2]),
     qml.prod(qml.H(0), qml.S(1)), qml.pow(qml.T(0), 3), qml.ctrl(qml.RX(0.7, 0), 1),
     qml.adjoint(qml.IsingXY(0.3, [0, 1])), qml.SingleExcitation(0.2, [0, 1]), qml.PSWAP(0.1, [0, 1]),
     qml.QubitUnitary(qml.matrix(qml.QFT([0, 1, 2])), [0, 1, 2]), qml.ctrl(qml.H(0), [1, 2]),
     qml.DiagonalQubitUnitary(np.exp([0.1j, 0.2j]), 0)],
    ids=str,
)  # fmt: skip
def test_foreign_operations_are_taken_apart(operation):
    circuit = Circuit.from_pennylane([operation], wires=range(3))
    params = np.array([p for p in operation.parameters if np.ndim(p) == 0], dtype=float)
    result = matrix_of_operations(to_pennylane(circuit, EMPTY, params), 3)
    assert_same_up_to_phase(result, matrix_of_operations([operation], 3))


def test_wires_are_numbered_in_order():
    operations = [qml.CNOT([7, 3]), qml.H("a")]
    assert Circuit.from_pennylane(operations[:1]).gates[0].wires == (1, 0)  # 3 comes before 7
    result = Circuit.from_pennylane(operations)  # as they are used
    assert [gate.wires for gate in result.gates] == [(0, 1), (2,)]
    result = Circuit.from_pennylane(operations, wires=["a", 3, 7, "idle"])
    assert [gate.wires for gate in result.gates] == [(2, 1), (0,)]
    assert result.n_qubits == 4


def test_trainable_numbers_become_parameters_and_others_constants():
    tape = qml.tape.QuantumScript([qml.RX(0.1, 0), qml.RY(0.2, 0), qml.RZ(0.3, 0)])
    tape.trainable_params = [2]
    angles = [g.angles[0] for g in Circuit.from_pennylane(tape, inputs={1: 4}).gates]
    assert angles == [Angle.const(0.1), Angle.input(4), Angle.param(0)]


def _cubed(inputs):
    qml.RX(inputs[0] ** 3, 0)


def _product(inputs, weights):
    qml.RX(inputs[0] + weights[0] * weights[0], 0)


def _choosing(inputs):
    if inputs[0] > 0.3:
        qml.RX(inputs[0], 0)


def _late_state(inputs):
    qml.H(0)
    qml.AmplitudeEmbedding(inputs, [0], normalize=True)


def _measured(inputs):
    qml.measure(0)
    qml.RX(inputs[0], 0)


def _matrix_of_input(inputs):
    qml.QubitUnitary(qml.math.diag(qml.math.exp(1j * inputs)), 0)


def _one_rotation(inputs):
    qml.RX(inputs[0], 0)


ONE, TWO = np.array([0.1]), np.array([0.1, 0.2])


@pytest.mark.parametrize(
    ("source", "args", "options", "setting", "value"),
    [
        (_cubed, [ONE], {}, "An angle", "that of RX on wires [0]"),
        (_product, [ONE, ONE], {}, "An angle", "p0·p0"),
        (_choosing, [ONE], {}, "The gates", "a function that branches on them"),
        (_late_state, [TWO], {}, "Amplitudes", "a gate before them"),
        (_measured, [ONE], {}, "Each operation", "MidMeasureMP on wires [0]"),
        (_matrix_of_input, [TWO], {}, "A matrix", "one that does on wires [0]"),
        (_one_rotation, [[1, 2]], {}, "The data in 'inputs'", "[1, 2]"),
        (_one_rotation, [ONE], {"inputs": "data"}, "inputs", "'data'"),
        ([qml.RX([0.1, 0.2], 0)], [], {}, "A gate", "2 in RX"),
        ([qml.RX(0.1, 0)], [], {"inputs": [3]}, "inputs", "3"),
        ([qml.RX(0.1, 0)], [], {"wires": [1]}, "wires", "[1] without 0"),
        ([qml.RX(0.1, 0)], [], {"inputs": "inputs"}, "The inputs of a tape", "'inputs'"),
        (
            [qml.DepolarizingChannel(0.1, 0)],
            [],
            {},
            "Each operation",
            "DepolarizingChannel on wires [0]",
        ),
        (["RX"], [], {}, "A list", "RX"),
        (3, [], {}, "The source", "3"),
    ],
)
def test_what_is_no_circuit_is_refused_with_a_sentence(source, args, options, setting, value):
    with refused(setting, value):
        Circuit.from_pennylane(source, *args, **options)


CONDITIONS = {
    "above 0.5": lambda x, w: x[0] > 0.5,
    "below 0": lambda x, w: x[0] < 0,
    "above 3": lambda x, w: x[1] > 3,
    "near 0": lambda x, w: abs(x[0]) < 0.1,
    "far from 0": lambda x, w: abs(w[0]) > 50,
    "of a parameter": lambda x, w: w[0] > -0.5,
    "of two numbers": lambda x, w: x[0] > x[1],
    "above a million": lambda x, w: x[0] > 10**6,
    "in a narrow interval": lambda x, w: 0.123456 < x[0] < 0.123457,
    "of a float": lambda x, w: float(w[0]) > 10**6,
    "of an item": lambda x, w: w[0].item() > 10**6,
    "of a detached number": lambda x, w: w[0].detach().numpy() > 10**6,
    "of the larger number": lambda x, w: bool(max(x[0], 10**6) - 10**6),
}


@pytest.mark.parametrize("condition", CONDITIONS.values(), ids=CONDITIONS)
@pytest.mark.parametrize("value", [-0.4, 0.6])
def test_a_branch_on_data_is_refused(condition, value):
    def gates(inputs, weights):
        if condition(inputs, weights):
            qml.CNOT([0, 1])
        qml.RX(inputs[0], 0)
        qml.RY(weights[0] + inputs[1] * 0, 1)

    def angles(inputs, weights):
        qml.RX(inputs[0] * (2 if condition(inputs, weights) else 1), 0)

    def constants(inputs, weights):
        qml.RX(0.2 if condition(inputs, weights) else 0.1, 0)
        qml.RX(inputs[0], 0)

    numbers = np.array([value, 0.1]), np.array([value])
    for function in (gates, angles, constants):
        with refused("The gates", "a function that branches on them"):
            Circuit.from_pennylane(function, *numbers)


def test_a_choice_by_a_whole_number_or_a_word_is_no_branch_on_data():
    def layers(inputs, depth, name):
        for _ in range(depth):
            getattr(qml, name)(inputs[0] / 3 + 1, 0)

    circuit = Circuit.from_pennylane(layers, ONE, 3, "RX")
    assert [gate.name for gate in circuit.gates] == ["RX"] * 3


def test_a_qnodes_transforms_are_part_of_it():
    node = qml.QNode(_one_rotation, qml.device("default.mixed", wires=1))
    noisy = qml.noise.add_noise(
        node, qml.NoiseModel({qml.noise.op_eq(qml.RX): qml.noise.partial_wires(qml.BitFlip, 0.1)})
    )
    assert Circuit.from_pennylane(node, ONE).counts() == {"RX": 1}
    with refused("Each operation", "BitFlip on wires [0]"):
        Circuit.from_pennylane(noisy, ONE)


@pytest.mark.parametrize(
    "measured", [qml.probs(wires=[0]), qml.expval(2.0 * qml.Z(0)), qml.expval(qml.Hadamard(0))]
)
def test_other_measurements_are_refused(measured):
    with refused("Measurements", rule="expectations of single Pauli strings"):
        observables_from_pennylane(qml.tape.QuantumScript([], [measured]))


# OpenQASM 3, read by PennyLane's reader on top of the reference parser


def _read(text, n_qubits, **values):
    """PennyLane knows the standard gates and does not read the file that has them."""
    program = text.replace('include "stdgates.inc";\n', "")
    tape = qml.tape.make_qscript(qml.from_qasm3(program))(**values)
    return qml.matrix(tape, wire_order=[f"q[{wire}]" for wire in range(n_qubits)])


@settings(max_examples=25, deadline=None, derandomize=True, database=None)
@given(circuits())
def test_any_circuit_acts_the_same_after_qasm(circuit):
    inputs, params = numbers_for(circuit)
    expected = matrix_of(circuit)
    numbers = to_qasm(circuit, inputs, params)
    assert_same_up_to_phase(_read(numbers, circuit.n_qubits), expected)
    values = {f"x{i}": x for i, x in enumerate(inputs)} | {f"p{i}": p for i, p in enumerate(params)}
    assert_same_up_to_phase(_read(to_qasm(circuit), circuit.n_qubits, **values), expected)


def test_what_is_not_given_is_an_input_of_the_program():
    circuit = ansatze.build("qtha", 2, 1)
    lines = to_qasm(circuit, params=[0.25] * 8).splitlines()
    assert lines[:5] == [
        "OPENQASM 3.0;", 'include "stdgates.inc";',
        "input float[64] x0;", "input float[64] x1;", "qubit[2] q;",
    ]  # fmt: skip
    assert lines[5:8] == ["ry(x0) q[0];", "ry(x1) q[1];", "crz(0.25) q[0], q[1];"]
    half_rotated = Circuit(1, [Gate("RZ", 0, Angle.param(3, -0.5, math.pi / 2))])
    assert to_qasm(half_rotated).splitlines()[-1] == "rz(-0.5*p3 + pi/2) q[0];"


def test_amplitudes_are_prepared_where_they_are_given():
    circuit = Circuit(2, [Gate("Hadamard", 1)], start="amplitudes")
    amplitudes = np.array([1.0, -2.0, 0.5, 3.0])
    result = _read(to_qasm(circuit, amplitudes), 2)[:, 0]
    hadamard = np.kron(np.eye(2), np.array([[1, 1], [1, -1]]) / math.sqrt(2))
    expected = hadamard @ amplitudes / np.linalg.norm(amplitudes)
    assert abs(np.vdot(result, expected)) == pytest.approx(1.0, abs=1e-12)
    with refused("starts in amplitudes", rule="without inputs"):
        to_qasm(circuit)
    with refused("inputs", "3"):
        to_qasm(circuit, [1.0, 2.0, 3.0])
