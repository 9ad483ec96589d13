"""Shots in training: equal budgets, counted circuits, and noise of the preset."""

from qtha_lab.circuits import Readout
from qtha_lab.simulators.density.engine import noise_of
from qtha_lab.simulators.device.engine import circuits
from tools import shots_in_training

SAMPLED = (shots_in_training.MANY, shots_in_training.SOME, shots_in_training.FEW)


def test_sampled_arms_have_equal_shots():
    assert len({arm.steps * (arm.shots or 0) for arm in SAMPLED}) == 1
    assert len({arm.steps for arm in SAMPLED}) == 3


def test_a_row_runs_the_circuits_that_the_device_counts_without_those_of_inputs():
    forward, backward = circuits(
        shots_in_training.CIRCUIT, Readout.z(shots_in_training.R), shots_in_training.MANY.engine
    )
    of_inputs = 2 * shots_in_training.R  # one RY per input, two shifts each
    assert forward + backward - of_inputs == shots_in_training.CIRCUITS


def test_the_noise_is_that_of_the_preset():
    noise = noise_of(shots_in_training.WITH_NOISE.engine)
    assert (noise.depolarizing_1q, noise.depolarizing_2q) == (0.01, 0.1)
    assert (noise.readout_0to1, noise.readout_1to0) == (0.05, 0.1)


def test_arms_of_a_seed_start_at_the_same_student_and_are_tested_on_the_same_rows():
    none, other = (
        shots_in_training.train(shots_in_training.Arm(0, count), 0.1, seed=3) for count in (None, 4)
    )
    assert (none.losses(shots_in_training.EXACT) == other.losses(shots_in_training.EXACT)).all()
    assert none.losses(shots_in_training.EXACT).mean() > 0.1


def test_exact_training_ends_nearer_to_the_planted_circuit():
    start, end = (
        shots_in_training.train(shots_in_training.Arm(steps), 0.3, seed=3) for steps in (0, 64)
    )
    assert (
        end.losses(shots_in_training.EXACT).mean()
        < 0.5 * start.losses(shots_in_training.EXACT).mean()
    )
