"""Read-outs of circuits: Pauli strings, probabilities, states; amplitudes as initial states."""

import math

import pennylane as qml
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.random_circuits import circuits
from support.refusals import refused

from qtha_lab.circuits import Angle, Circuit, Gate, to_pennylane, z_pairs
from qtha_lab.circuits.readout import settings_of
from qtha_lab.simulators import expval, expval_z, probs, state

ENGINES = ["torch", "cpu", "auto", "device:default.qubit"]
BELL = Circuit(2, [Gate("Hadamard", 0), Gate("CNOT", (0, 1))])
NONE = torch.empty(0, dtype=torch.float64)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_bell_pair_agrees_in_z_and_in_x_and_differs_in_y(engine):
    # (|00⟩ + |11⟩)/√2: Z⊗Z and X⊗X keep it, Y⊗Y turns its sign, one half alone knows nothing
    values = expval(BELL, ["I", "Z0 Z1", "X0 X1", "Y0 Y1", "Z1", "X0 Y1"], NONE, NONE, engine)
    torch.testing.assert_close(values, torch.tensor([1.0, 1, 1, -1, 0, 0]).double())
    values = probs(BELL, NONE, NONE, engine)
    torch.testing.assert_close(values, torch.tensor([0.5, 0, 0, 0.5]).double())


def test_strings_that_agree_are_read_in_one_run():
    assert len(settings_of(BELL, ("Z0", "Z1", "Z0 Z1"))) == 1
    assert [members for _, _, members in settings_of(BELL, ("X0", "Z0", "X0 Z1", "Z0 Z1"))] == [
        (0, 2),
        (1, 3),
    ]
    assert z_pairs(3) == ("Z0", "Z1", "Z2", "Z0 Z1", "Z0 Z2", "Z1 Z2")


@pytest.mark.slow
@settings(max_examples=40, deadline=None, derandomize=True, database=None)
@given(circuits(), st.data())
def test_every_readout_equals_pennylane_on_any_circuit(circuit, data):
    letters = data.draw(
        st.lists(
            st.text("IXYZ", min_size=circuit.n_qubits, max_size=circuit.n_qubits),
            min_size=1,
            max_size=4,
        )
    )
    generator = torch.Generator().manual_seed(1)
    inputs = torch.randn(2, circuit.n_inputs, dtype=torch.float64, generator=generator)
    params = torch.randn(circuit.n_params, dtype=torch.float64, generator=generator)
    names = [" ".join(f"{p}{i}" for i, p in enumerate(t) if p != "I") or "I" for t in letters]
    wires = range(circuit.n_qubits)

    @qml.qnode(qml.device("default.qubit", wires=circuit.n_qubits))
    def truth(x):
        to_pennylane(circuit, x, params)
        read = [
            qml.expval(qml.pauli.string_to_pauli_word(t, dict(enumerate(wires)))) for t in letters
        ]
        return [*read, qml.probs(wires=wires), qml.state()]

    for sample in inputs:
        *expected, of_probs, of_state = truth(sample)
        for engine in ENGINES:
            values = expval(circuit, names, sample, params, engine)
            torch.testing.assert_close(
                values, torch.tensor([float(e) for e in expected], dtype=torch.float64)
            )
            torch.testing.assert_close(
                probs(circuit, sample, params, engine), torch.as_tensor(of_probs).double()
            )
        overlap = torch.vdot(
            state(circuit, sample, params), torch.as_tensor(of_state).to(torch.complex128)
        )
        assert abs(overlap) == pytest.approx(1.0, abs=1e-9)  # equal up to a global phase


def test_wrong_readouts_and_starts_get_a_sentence():
    for observables, value in [
        (["Z2"], "2 in 'Z2'"),
        (["Q0"], "'Q0'"),
        (["Z0 X0"], "0 twice in 'Z0 X0'"),
        ([""], "''"),
        ([], ""),
    ]:
        with refused(value=value):
            expval(BELL, observables, NONE, NONE)
    with refused("start", "'plus'"):
        Circuit(1, [], start="plus")
    with refused('A circuit that starts in "amplitudes"', "one"):
        Circuit(1, [Gate("RY", 0, Angle.input(0))], start="amplitudes")
    with refused("amplitudes", rule="all be zero, as they are in 1 of 2"):
        expval_z(
            Circuit(1, [], start="amplitudes"), torch.tensor([[1.0, 0], [0, 0]]), torch.empty(0)
        )
    assert math.isclose(
        expval_z(Circuit(1, [], "amplitudes"), torch.tensor([0.6, 0.8]), torch.empty(0)).item(),
        -0.28,
        abs_tol=1e-6,
    )
