"""Budget of a circuit on a chip: counts by hand, and the estimate of the signal against noise."""

import pytest
from support.refusals import refused

from qtha_lab.analysis import gate_noise
from qtha_lab.circuits import Circuit, Gate, ansatze
from qtha_lab.experiment.cost.chip import chip_budget, light_cones


def test_runs_are_one_value_and_the_shifts_of_every_angle():
    # 4 qubits, 1 layer: 8 trained and 4 input RY with two runs each, 8 CRZ with four
    assert chip_budget(4, 1, samples=10).runs == 10 * (1 + 2 * 12 + 4 * 8)


def test_a_gate_outside_the_light_cone_takes_no_signal():
    circuit = Circuit(3, [Gate("CZ", (0, 1)), Gate("CZ", (1, 2))])
    assert light_cones(circuit, "line") == (1, 2, 2)


def test_without_errors_all_of_the_signal_is_left_and_shots_scatter_alone():
    budget = chip_budget(3, 2, cz_error=0.0, shots=400)
    assert budget.signal == 1
    assert budget.scatter == pytest.approx(0.05)


def test_the_estimate_is_a_lower_bound_of_the_simulated_signal():
    circuit = ansatze.build("qtha", 3, 1)
    noise = gate_noise(circuit, "basis=u3_cz,depolarizing_2q=0.05", n_samples=8)
    assert chip_budget(3, 1, topology="all-to-all", cz_error=0.05).signal < noise.gradients.mean()


def test_a_line_needs_swaps_and_leaves_less_than_a_ring():
    line, ring = (chip_budget(4, 2, topology=name, cz_error=0.02) for name in ("line", "ring"))
    assert (line.hardware.swaps, ring.hardware.swaps) == (4, 0)
    assert line.signal < ring.signal
    assert line.hardware.depth > ring.hardware.depth


def test_hours_grow_with_the_shots_and_an_error_of_one_is_refused():
    few, many = (chip_budget(2, 1, shots=shots).hours for shots in (1000, 100_000))
    assert few is not None
    assert many is not None
    assert many > 10 * few
    with refused("cz_error", "1"):
        chip_budget(2, 1, cz_error=1.0)
