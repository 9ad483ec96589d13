"""Angles that multiply an input by trained parameters, read, run and written."""

import numpy as np
import pennylane as qml
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.refusals import refused

from qtha_lab.analysis import circuits as analysis
from qtha_lab.circuits import Angle, Circuit, Gate
from qtha_lab.circuits.gate_table import gate_rows
from qtha_lab.circuits.json_text import circuit_of, circuit_text
from qtha_lab.simulators import expval, expval_z


def encoded(x, p):
    """Encode two inputs with trained frequencies; p[1] is in no other angle."""
    qml.RY(x[0] * p[0] + p[2], 0)
    qml.CNOT([0, 1])
    qml.RX(0.5 * x[1] * p[1], 1)
    qml.RZ(x[0] * x[1], 0)
    qml.Hadamard(0)


CIRCUIT = Circuit.from_pennylane(encoded, np.zeros(2), np.zeros(3), inputs="x")


@qml.qnode(qml.device("default.qubit", wires=2), interface="torch")
def reference(x, p):
    encoded(x.T, p)
    return qml.expval(qml.Z(0)), qml.expval(qml.Z(1))


def numbers(dtype=torch.float64):
    generator = torch.Generator().manual_seed(1)
    of = {"generator": generator, "dtype": dtype, "requires_grad": True}
    return torch.randn(5, 2, **of), torch.randn(3, **of)


@pytest.mark.parametrize("engine", ["cpu", "torch", "lightning", "device:default.qubit"])
def test_values_and_gradients_are_those_of_pennylane(engine):
    x, p = numbers()
    expected = torch.stack(reference(x, p), -1)
    values = expval_z(CIRCUIT, x, p, engine=engine)
    assert torch.allclose(values, expected, atol=1e-10)
    for ours, theirs in zip(
        torch.autograd.grad(values.sin().sum(), (x, p)),
        torch.autograd.grad(expected.sin().sum(), (x, p)),
        strict=True,
    ):
        assert torch.allclose(ours, theirs, atol=1e-10)


def test_observables_are_measured_in_the_right_order():
    x, p = numbers()
    both = expval(CIRCUIT, ("Z0", "X1", "Z1"), x, p)
    assert torch.allclose(both[:, [0, 2]], expval_z(CIRCUIT, x, p), atol=1e-12)


def test_a_circuit_is_written_and_read_again():
    assert CIRCUIT.n_params == 3
    assert Circuit.from_qasm(CIRCUIT.to_qasm()) == CIRCUIT
    assert circuit_of(circuit_text(CIRCUIT)) == CIRCUIT
    x, p = numbers()
    bound = Circuit.from_qasm(CIRCUIT.to_qasm(inputs=x[0].tolist()))
    assert torch.allclose(
        expval_z(bound, torch.zeros(1, 0, dtype=p.dtype), p), expval_z(CIRCUIT, x[:1], p)
    )
    qiskit = CIRCUIT.to_qiskit()
    assert {parameter.name for parameter in qiskit.parameters} == {
        *("x[0]", "x[1]"), *("p[0]", "p[1]", "p[2]")
    }  # fmt: skip


def test_rows_of_gates_have_the_value_of_the_product():
    rows = gate_rows(CIRCUIT, inputs=[2.0, 3.0], params=[5.0, 7.0, 0.0])
    values = {a["source"]: a["value"] for row in rows for a in row["angles"]}
    assert values == {"p2": 0.0, "x0·p0": 10.0, "0.5·x1·p1": 10.5, "x0·x1": 6.0}
    values = {a["source"]: a["value"] for r in gate_rows(CIRCUIT, [2.0, 3.0]) for a in r["angles"]}
    assert values == {"p2": None, "x0·p0": None, "0.5·x1·p1": None, "x0·x1": 6.0}


@settings(max_examples=30, deadline=None)
@given(st.floats(-3, 3), st.floats(-3, 3), st.floats(-2, 2))
def test_a_product_is_the_angle_itself(x, p, scale):
    product = Circuit(1, [Gate("RY", 0, Angle.product([0], scale, 0.3, weights=[0]))])
    values = expval_z(
        product, torch.tensor([[x]], dtype=torch.float64), torch.tensor([p], dtype=torch.float64)
    )
    assert values.item() == pytest.approx(np.cos(scale * x * p + 0.3), abs=1e-12)


@pytest.mark.filterwarnings("ignore:__array_wrap__")
def test_what_no_circuit_has_is_refused():
    with refused("An angle", "p0·p1"):
        Circuit.from_pennylane(lambda p: qml.RY(p[0] * p[1], 0), np.zeros(2))
    with refused("A product in an angle", "param"):
        Angle("param", 0, weights=(1,))
    with refused("Each angle", "a product"):
        analysis.fourier.allowed_frequencies(CIRCUIT, along=[0])
    for function in (np.arctan, lambda x: np.clip(x, -1, 1)):
        with refused("The angles", "NumPy"):
            Circuit.from_pennylane(lambda x, f=function: qml.RY(f(x[0]), 0), np.zeros(1))


PROGRAM = 'OPENQASM 3.0; include "stdgates.inc"; qubit[2] q; {} cx q[0], q[1];'


def test_a_reset_of_an_untouched_qubit_is_the_identity():
    untouched = Circuit.from_qasm(PROGRAM.format("reset q; h q[0];"))
    assert untouched == Circuit.from_qasm(PROGRAM.format("h q[0];"))
    with refused("Line 1: A reset", "wire 0"):
        Circuit.from_qasm(PROGRAM.format("h q[0]; reset q[0];"))


def test_a_reset_in_qiskit_is_read_likewise():
    from qiskit import QuantumCircuit

    circuit = QuantumCircuit(1)
    circuit.reset(0)
    circuit.h(0)
    assert [gate.name for gate in Circuit.from_qiskit(circuit).gates] == ["Hadamard"]
    circuit.reset(0)
    with refused("A reset", "wire 0"):
        Circuit.from_qiskit(circuit)
