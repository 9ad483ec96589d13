"""An estimate counts circuits and shots exactly, and is within a factor of two in memory.

Its seconds are estimates, and no test compares them with real ones.
"""

import sys

import numpy as np
import pennylane as qml
import pytest
import torch
from support.refusals import refused

from benchmarks.machine import forget_peak_memory, memory_bytes, peak_memory_bytes
from qtha_lab.circuits import Angle, Circuit, Gate, ansatze, to_pennylane
from qtha_lab.simulators import engine_costs, estimate, expval_z
from qtha_lab.simulators.device import options

SHOTS = "device:default.qubit(shots=100)"


# counting


@pytest.mark.parametrize("engine", ["auto", "cpu", "torch", "device:default.qubit"])
def test_an_exact_engine_runs_one_circuit_a_sample(engine):
    result = estimate(ansatze.build("qtha", 2, 1), 7, engine)
    assert (result.circuits, result.shots, result.note) == (7, None, "")
    assert result.engine == ("cpu" if engine == "auto" else engine)


@pytest.mark.parametrize("name", ["qtha", "strongly_entangling", "basic_entangler"])
def test_circuits_with_shots_are_those_of_pennylanes_parameter_shift(name):
    circuit = ansatze.build(name, 3, 2)
    x, p = np.ones(circuit.n_inputs), np.ones(circuit.n_params)
    read = [qml.expval(qml.PauliZ(wire)) for wire in range(3)]
    tape = qml.tape.QuantumScript(to_pennylane(circuit, x, p), read)
    shifted, _ = qml.gradients.param_shift(tape)
    result = estimate(circuit, 5, SHOTS)
    assert result.circuits == 5 * (1 + len(shifted))
    assert result.shots == 100 * result.circuits


def test_two_shifts_a_turn_and_four_a_controlled_turn():
    # QTHA, n = 3, L = 2: 18 RY (6 of data) and 12 CRZ, so 1 + 2·18 + 4·12 = 85 circuits per sample.
    assert estimate(ansatze.build("qtha", 3, 2), 1, SHOTS).circuits == 85


def test_no_samples_cost_nothing():
    assert estimate(ansatze.build("qtha", 2, 1), 0, "cpu") == engine_costs.Estimate(
        "cpu", 0, 0.0, 0
    )
    assert estimate(ansatze.build("qtha", 2, 1), 0, SHOTS).shots == 0


def test_a_machine_elsewhere_is_counted_but_not_timed(monkeypatch):
    # no plugin of others is installed here, so one of PennyLane's own stands for it
    monkeypatch.setattr(options, "is_local", lambda device: False)
    monkeypatch.setattr(engine_costs, "_curve", None)  # nothing is run
    result = estimate(ansatze.build("qtha", 3, 2), 2, SHOTS)
    assert (result.circuits, result.shots, result.seconds) == (170, 17_000, None)
    assert result.note.startswith("'default.qubit' is not a simulator of PennyLane's own")


# refusals


def test_what_cannot_run_has_no_estimate():
    circuit = ansatze.build("qtha", 2, 1)
    with refused("batch", "-1"):
        estimate(circuit, -1)
    with refused("engine", "'cpuu'"):
        estimate(circuit, 4, "cpuu")
    with refused("n_qubits", "30"):
        estimate(Circuit(30, [Gate("RY", 29, Angle.input(0))]), 4, "cpu")


# calibration


def test_a_curve_goes_through_what_was_measured_and_stays_near_it_beyond():
    curve = engine_costs._Curve(ansatze.build("qtha", 2, 1), "cpu", "cpu", 1)
    curve.points = {1: (1.0, 8.0), 4: (1.0, 32.0), 16: (4.0, 128.0)}
    curve.spent = engine_costs.CALIBRATION_SECONDS
    assert [curve.seconds(n) for n in (1, 4, 16)] == [1.0, 1.0, 4.0]
    assert curve.seconds(10) == 2.5  # half way from 1 to 4 seconds
    assert curve.seconds(28) == 7.0  # a quarter of a second a sample, as between 4 and 16
    assert curve.kept(100) == 800.0
    # disturbed: from 4 to 16 samples 9 s each, but 1.5 times the mean of 100/16 is believed at most
    curve.points[16] = (109.0, 128.0)
    assert curve.seconds(32) == 109 + 16 * 9.0
    curve.points[4] = (0.0, 32.0)
    curve.points[16] = (48.0, 128.0)
    assert curve.seconds(32) == 48 + 16 * 4.0
    curve.points[8] = (0.0, 32.0)  # 6 s per sample from 8 to 16
    assert curve.seconds(32) == 48 + 16 * 1.5 * 48 / 16


def test_calibration_stops_after_its_second():
    curve = engine_costs._Curve(ansatze.build("qtha", 10, 4), "torch", "cpu", 1)
    curve.seconds(10**6)
    assert max(curve.points) < 10**6
    last = max(curve.points)
    assert curve.spent - 4 * curve.points[last][0] < engine_costs.CALIBRATION_SECONDS


def test_estimates_leave_the_random_state_alone():
    torch.manual_seed(3)
    before = torch.get_rng_state()
    estimate(ansatze.build("basic_entangler", 2, 1), 9, "cpu")
    assert torch.equal(torch.get_rng_state(), before)


def test_a_batch_that_was_disturbed_takes_no_longer_than_a_larger_one():
    curve = engine_costs._Curve(ansatze.build("qtha", 2, 1), "cpu", "cpu", 1)
    curve.points = {1: (30.0, 8.0), 4: (2.0, 32.0), 16: (8.0, 128.0)}
    curve.spent = engine_costs.CALIBRATION_SECONDS
    assert [curve.seconds(n) for n in (1, 4, 16)] == [2.0, 2.0, 8.0]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the high-water mark is reset by Linux alone")
@pytest.mark.parametrize(
    ("engine", "n_qubits", "batch"),
    [("cpu", 4, 2_000_000), ("torch", 8, 4_000), ("lightning", 8, 30_000)],
)
def test_bytes_are_within_a_factor_of_two(engine, n_qubits, batch):
    circuit = ansatze.build("qtha", n_qubits, 2)
    predicted = estimate(circuit, batch, engine).bytes
    inputs = torch.rand(batch, circuit.n_inputs).requires_grad_()
    params = torch.rand(circuit.n_params).requires_grad_()
    forget_peak_memory()
    before = memory_bytes()
    values = expval_z(circuit, inputs, params, engine=engine)
    torch.autograd.grad(values.sum(), (inputs, params))
    assert 0.5 < predicted / (peak_memory_bytes() - before) < 2
