"""A circuit at given angles.

Gate-by-gate trace, gradients at gates, and what shots and noise do.
"""

import math

import numpy as np
import pytest
import torch
from support.refusals import refused

from qtha_lab.analysis.circuits.circuit_trace import trace_circuit
from qtha_lab.analysis.circuits.entanglement import cut_entropies
from qtha_lab.analysis.circuits.gate_gradients import gate_gradients
from qtha_lab.analysis.circuits.noise import gate_noise
from qtha_lab.analysis.circuits.random_angles import draw_angles
from qtha_lab.circuits import GATES, Angle, Circuit, Gate, ansatze, to_pennylane
from qtha_lab.figures.circuit_diagram import circuit_diagram
from qtha_lab.simulators import expval, expval_z, state

X, P = Angle.input, Angle.param
BELL = Circuit(2, [Gate("H", 0), Gate("CNOT", (0, 1))])


def sample(circuit, seed=0):
    angles = draw_angles(circuit, 1, "uniform", seed)
    return angles.inputs[0], angles.params[0]


# gate by gate


def test_a_bell_pair_comes_into_being_at_the_cnot():
    trace = trace_circuit(BELL, [], [])
    np.testing.assert_allclose(trace.z, [[1, 1], [0, 1], [0, 0]], atol=1e-12)
    np.testing.assert_allclose(trace.cut_entropy_bits.ravel(), [0, 0, 1], atol=1e-9)
    np.testing.assert_allclose(trace.meyer_wallach, [0, 0, 1], atol=1e-12)


@pytest.mark.parametrize("name", ansatze.names())
def test_every_step_is_the_circuit_so_far(name):
    circuit = ansatze.build(name, max(3, ansatze.get(name).min_qubits), 2)
    inputs, params = sample(circuit)
    trace = trace_circuit(circuit, inputs, params)
    assert len(trace.states) == len(circuit.gates) + 1
    for step in (1, len(circuit.gates) // 2, len(circuit.gates)):
        so_far = Circuit(circuit.n_qubits, circuit.gates[:step])
        x, p = inputs[: so_far.n_inputs], params[: so_far.n_params]
        expected = state(so_far, x, p).numpy()
        assert abs(np.vdot(expected, trace.states[step])) == pytest.approx(1, abs=1e-9)
        np.testing.assert_allclose(
            trace.z[step], expval_z(so_far, x, p, "torch").numpy(), atol=1e-9
        )
        entropies = cut_entropies(torch.from_numpy(expected)).numpy()
        np.testing.assert_allclose(trace.cut_entropy_bits[step], entropies, atol=1e-7)
    np.testing.assert_allclose(trace.probs.sum(1), 1, atol=1e-12)


@pytest.mark.parametrize("name", sorted(GATES))
def test_every_gate_is_stepped_as_pennylane_has_it(name):
    import pennylane as qml

    kind = GATES[name]
    wires = (2, 0)[: kind.n_wires]
    rotation = Gate(name, wires, [0.3 + 0.4 * k for k in range(kind.n_angles)])
    before = [Gate("RY", i, 0.5 + i) for i in range(3)]
    trace = trace_circuit(Circuit(3, [*before, rotation]), [], [])
    (operation,) = to_pennylane(Circuit(3, [rotation]), [], [])
    expected = qml.matrix(operation, wire_order=range(3)) @ trace.states[3]
    assert abs(np.vdot(expected, trace.states[4])) == pytest.approx(1, abs=1e-9)


def test_a_trace_may_start_in_amplitudes():
    circuit = ansatze.build("qtha", 2, 1, reupload=False, embedding="amplitude")
    inputs, params = sample(circuit)
    trace = trace_circuit(circuit, inputs, params, "Z1")
    np.testing.assert_allclose(trace.states[0], inputs.numpy())
    assert trace.gradients.value == pytest.approx(float(trace.z[-1, 1]))
    assert not trace.gradients.inputs.any()


def test_the_rows_of_a_trace_make_the_diagram():
    circuit = ansatze.build("qtha", 3, 1)
    trace = trace_circuit(circuit, *sample(circuit))
    rows = trace.rows()
    gradients = [angle["gradient"] for row in rows for angle in row["angles"]]
    assert gradients == [slope for gate in trace.gradients.gates for slope in gate]
    figure = circuit_diagram(3, rows)
    assert figure.alt.startswith("Circuit of 3 qubits with 15 gates")
    assert [row[-1] for row in figure.table.rows] == gradients


# gradients at gates


@pytest.mark.parametrize("name", ansatze.names())
def test_gradients_at_gates_add_up_to_those_of_parameters(name):
    circuit = ansatze.build(name, max(3, ansatze.get(name).min_qubits), 2)
    inputs, params = (t.clone().requires_grad_() for t in sample(circuit, seed=3))
    result = gate_gradients(circuit, inputs, params, "Z0 Z1")
    value = expval(circuit, ["Z0 Z1"], inputs, params, "torch").sum()
    value.backward()
    np.testing.assert_allclose(result.params, params.grad.numpy(), atol=1e-10)
    np.testing.assert_allclose(result.inputs, inputs.grad.numpy(), atol=1e-10)
    assert result.value == pytest.approx(float(value.detach()))


def test_a_shared_parameter_has_a_gradient_at_each_gate():
    # RY(θ) on both, ⟨Z₀Z₁⟩ = cos², each gate gives -sin cos, the parameter twice that
    circuit = Circuit(2, [Gate("RY", i, P(0)) for i in (0, 1)])
    result = gate_gradients(circuit, [], [0.4], "Z0 Z1")
    one = -math.sin(0.4) * math.cos(0.4)
    assert result.gates == (pytest.approx((one,)), pytest.approx((one,)))
    assert result.params.tolist() == pytest.approx([2 * one])


def test_a_circuit_without_angles_has_no_gradients():
    result = gate_gradients(BELL, [], [], "Z0 Z1")
    assert (result.gates, result.params.size) == (((), ()), 0)
    assert result.value == pytest.approx(1)


# noise


def test_depolarizing_and_misreading_by_hand():
    rotation = Circuit(1, [Gate("RY", 0, P(0))])
    # one gate of chance p leaves (1 - p)⟨Z⟩; then 0 read as 1 with a, 1 as 0 with b: z(1 - a - b) +
    # b - a
    noise = "depolarizing_1q=0.2,readout_0to1=0.05,readout_1to0=0.1"
    result = gate_noise(rotation, noise, 6)
    np.testing.assert_allclose(result.gradients, 0.8 * 0.85, atol=1e-9)
    np.testing.assert_allclose(result.offsets, 0.05, atol=1e-9)
    np.testing.assert_allclose(result.scatter, 0, atol=1e-9)
    np.testing.assert_allclose(result.noisy, result.exact * 0.8 * 0.85 + 0.05, atol=1e-9)


def test_the_preset_shrinks_more_with_more_layers():
    slopes = [
        gate_noise(ansatze.build("qtha", 2, n_layers), n_samples=8, seed=1).gradients.mean()
        for n_layers in (1, 2)
    ]
    assert 1 > slopes[0] > slopes[1] > 0
    exact = gate_noise(ansatze.build("qtha", 2, 1), "depolarizing_1q=0.0", 3)
    np.testing.assert_allclose(exact.noisy, exact.exact, atol=1e-9)


@pytest.mark.parametrize(
    ("what", "setting", "value"),
    [
        (lambda: trace_circuit(BELL, [0.1], []), "inputs", "(1,)"),
        (
            lambda: trace_circuit(Circuit(13, []), [], []),
            "A trace",
            "13",
        ),
        (lambda: gate_gradients(BELL, [], [], "Z7"), "Wires of an observable", "7 in 'Z7'"),
        (lambda: gate_noise(BELL, "depolarising_1q=0.1"), "option", "'depolarising_1q'"),
        (
            lambda: gate_noise(ansatze.build("qtha", 2, 1, False, "amplitude")),
            "A circuit with noise",
            "one that starts in amplitudes",
        ),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(what, setting, value):
    with refused(setting, value):
        what()
