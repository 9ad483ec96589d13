"""A kind of gate is one entry: what an entry says is true, and a new one is known everywhere."""

import dataclasses

import numpy as np
import pennylane as qml
import pytest
import torch
from scipy.linalg import expm
from support.random_circuits import matrix_of
from support.refusals import refused

from qtha_lab.circuits import (
    GATES,
    Angle,
    Circuit,
    Gate,
    GateKind,
    compile_for,
    gate_kind,
    to_pennylane,
    to_qasm,
)
from qtha_lab.circuits.ansatze.registry import _without_entanglers
from qtha_lab.circuits.drawing import commute
from qtha_lab.circuits.elementary_gates import Part, rotation_y, rotation_z
from qtha_lab.circuits.gate_table import gate_rows
from qtha_lab.experiment.cost.step import count_circuit
from qtha_lab.figures.circuit_diagram import circuit_diagram
from qtha_lab.simulators import expval
from qtha_lab.testing import checking

PAULIS = {
    "X": np.array([[0, 1], [1, 0]]),
    "Y": np.array([[0, -1j], [1j, 0]]),
    "Z": np.diag([1, -1]),
}
DATUM = Angle.input(0)


def _rotation_about_zx(wires: tuple[int, ...], angles: tuple[Angle, ...]) -> list[Part]:
    """ZZ between two Hadamards on the second wire."""
    hadamard = [rotation_z(wires[1], np.pi), rotation_y(wires[1], np.pi / 2)]
    return [*hadamard, rotation_z(wires, angles[0]), *hadamard]


@pytest.fixture
def zx():
    """A kind that neither PennyLane nor OpenQASM has: exp(-i a/2 Z⊗X)."""
    kind = GateKind(
        "TurnZX",
        ("Z", "X↻"),
        _rotation_about_zx,
        n_angles=1,
        commutes_with="ZX",
        local="RX",
        in_pennylane=False,
        hints=("rzx",),
    )
    yield gate_kind(kind)
    GATES.forget(__name__)


@pytest.fixture
def circuit(zx):
    """Turned off the axes before and after, so that every sign of the gate shows."""
    before = [Gate("RY", 0, 0.4), Gate("RX", 1, 0.9)]
    return Circuit(2, [*before, Gate("TurnZX", (0, 1), DATUM), Gate("RY", 0, 1.1)])


def _expected(x: float) -> np.ndarray:
    def rotation(pauli, angle):
        return expm(-0.5j * angle * pauli)

    first = np.kron(rotation(PAULIS["Y"], 0.4), rotation(PAULIS["X"], 0.9))
    both = rotation(np.kron(PAULIS["Z"], PAULIS["X"]), x)
    state = np.kron(rotation(PAULIS["Y"], 1.1), np.eye(2)) @ both @ first @ np.eye(4)[0]
    signs = np.array([[1, 1, -1, -1], [1, -1, 1, -1]])
    return signs @ abs(state) ** 2


@pytest.mark.parametrize(
    "engine",
    ["torch", "cpu", "lightning", "device:default.qubit", "device:default.qubit(basis=u3_cz)"],
)
def test_a_new_kind_runs_on_every_engine_with_its_gradient(circuit, engine):
    x = torch.tensor([[0.7], [-2.1]], dtype=torch.float64, requires_grad=True)
    none = torch.empty(0, dtype=torch.float64)
    values = expval(circuit, ["Z0", "Z1"], x, none, engine)
    np.testing.assert_allclose(values.detach(), [_expected(0.7), _expected(-2.1)], atol=1e-9)
    (gradient,) = torch.autograd.grad(values[0, 0], x)
    step = 1e-5
    expected = (_expected(0.7 + step) - _expected(0.7 - step))[0] / (2 * step)
    assert gradient[0].item() == pytest.approx(expected, abs=1e-6)


def test_a_new_kind_is_drawn_as_its_entry_says(circuit):
    assert "╭Z(x0)" in circuit.draw()
    assert "╰X↻(x0)" in circuit.draw()
    figure = circuit_diagram(2, gate_rows(circuit))
    texts = [text for trace in figure.plotly.data for text in np.atleast_1d(trace.text)]
    assert "X↻" in texts
    assert "1 TurnZX" in figure.alt


def test_a_new_kind_is_exported_as_its_parts(circuit):
    assert "cx q[0], q[1];\nrz(x0) q[1];\ncx q[0], q[1];" in to_qasm(circuit)
    operations = to_pennylane(circuit, np.array([0.7]), np.empty(0))
    tape = qml.tape.QuantumScript(operations, [qml.expval(qml.PauliZ(w)) for w in (0, 1)])
    (values,) = qml.execute([tape], qml.device("default.qubit"))
    np.testing.assert_allclose(values, _expected(0.7), atol=1e-9)
    assert Circuit.from_pennylane(operations, wires=(0, 1)).n_qubits == 2


def test_a_new_kind_is_counted_compiled_and_left_out_where_nothing_may_entangle(circuit):
    assert circuit.counts()["TurnZX"] == 1
    assert count_circuit(circuit).gradient_circuits == 2
    assert sum(len(step.wires) == 2 for step in compile_for(circuit, "line").steps) == 2
    assert commute(circuit.gates[2], Gate("CNOT", (0, 1)))
    assert [str(g) for g in _without_entanglers(circuit.gates)][2] == "RX(x0) on 1"


def test_a_new_kind_is_suggested_for_what_others_call_it(zx):
    with refused(remedy="'TurnZX'"):
        Gate("RZX", (0, 1), 0.1)


def test_a_name_of_another_gate_is_refused():
    with refused("The name of a gate", "'CNOT', which qtha_lab.circuits.gate_kinds has"):
        gate_kind(GateKind("CNOT", ("●", "X"), _rotation_about_zx))
    with refused("Aliases of 'Mine'", "'CX'"):
        gate_kind(GateKind("Mine", ("●", "X"), _rotation_about_zx, aliases=("CX",)))
    with refused("commutes_with of 'Mine'", "'Z'"):
        GateKind("Mine", ("●", "X"), _rotation_about_zx, commutes_with="Z")
    with refused("A gate", "'Mine' with ('●', '●', 'X')"):
        GateKind("Mine", ("●", "●", "X"), _rotation_about_zx)


def test_a_new_kind_keeps_to_the_contract_and_one_that_says_something_untrue_is_told(zx):
    assert all(verdict.holds for verdict in checking.check_member("gate", zx))
    untrue = dataclasses.replace(zx, commutes_with="XX", frequencies=(0.5,), in_pennylane=True)
    broken = {v.fact: v.seen for v in checking.check_member("gate", untrue) if not v.holds}
    assert broken["it commutes with the Paulis that it names"] == "not with X on wire 0"
    assert "waves of (0.5,) miss it" in broken["its values have no other frequencies than it names"]
    assert len(broken) == 3  # PennyLane has no TurnZX


@pytest.mark.parametrize("name", GATES)
def test_an_entry_commutes_with_the_paulis_it_names_and_with_no_others(name):
    kind = GATES[name]
    gate = Gate(name, range(kind.n_wires), (0.7, -1.9, 2.6)[: kind.n_angles])
    matrix = matrix_of(Circuit(kind.n_wires, [gate]))
    for wire in range(kind.n_wires):
        on_wire = [np.eye(2)] * kind.n_wires
        for letter, pauli in PAULIS.items():
            on_wire[wire] = pauli
            whole = on_wire[0] if kind.n_wires == 1 else np.kron(*on_wire)
            commutes = np.allclose(matrix @ whole, whole @ matrix)
            assert commutes == (kind.commutes_with[wire : wire + 1] == letter), (wire, letter)


@pytest.mark.parametrize("name", [name for name, kind in GATES.items() if kind.n_angles])
def test_the_frequencies_of_an_entry_are_pennylanes(name):
    kind = GATES[name]
    operation = getattr(qml, name)(*[0.3] * kind.n_angles, wires=range(kind.n_wires))
    assert operation.parameter_frequencies == [kind.frequencies] * kind.n_angles
