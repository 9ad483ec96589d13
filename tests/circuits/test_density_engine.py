"""Engine `density`.

PennyLane's density matrices are the oracle, and what is known of noise in closed form.
"""

import math

import pytest
import torch
from hypothesis import given, settings
from support.refusals import refused

from qtha_lab.circuits import Angle, Circuit, Gate, ansatze
from qtha_lab.simulators import check_engine, expval, expval_z, probs
from tests.support.random_circuits import circuits

NOISE = "depolarizing_1q=0.03,depolarizing_2q=0.15,readout_0to1=0.05,readout_1to0=0.1"


def numbers(circuit, batch=3):
    generator = torch.Generator().manual_seed(0)
    shapes = (batch, circuit.n_inputs), (circuit.n_params,)
    return [6 * torch.rand(s, generator=generator, dtype=torch.float64) - 3 for s in shapes]


@pytest.mark.parametrize("noise", ["", NOISE])
@pytest.mark.parametrize("name", ["qtha", "strongly_entangling", "su4", "tree"])
def test_values_are_those_of_pennylanes_density_matrices(name, noise):
    circuit = ansatze.build(name, 3, 1)
    inputs, params = numbers(circuit)
    ours = f"density:noise({noise})" if noise else "density:none"
    theirs = f"device:default.mixed({noise})" if noise else "device:default.mixed"
    observables = ("Z0 Z2", "X1", "Y0 X2")
    for read in (
        lambda engine: expval_z(circuit, inputs, params, engine),
        lambda engine: probs(circuit, inputs, params, engine),
        lambda engine: expval(circuit, observables, inputs, params, engine),
    ):
        assert torch.allclose(read(ours), read(theirs), atol=1e-10)


@settings(max_examples=30, deadline=None)
@given(circuits())
def test_without_noise_it_agrees_with_torch_on_random_circuits(circuit):
    inputs, params = numbers(circuit)
    expected = expval_z(circuit, inputs, params, "torch")
    assert torch.allclose(expval_z(circuit, inputs, params, "density:none"), expected, atol=1e-10)


def test_gradients_with_noise_are_those_of_finite_differences():
    circuit = ansatze.build("qtha", 2, 1)
    inputs, params = (tensor.requires_grad_() for tensor in numbers(circuit, 2))
    engine = f"density:noise({NOISE})"
    assert torch.autograd.gradcheck(
        lambda x, p: expval_z(circuit, x, p, engine), (inputs, params), atol=1e-7
    )


def test_a_depolarized_rotation_is_a_shorter_cosine():
    """ρ → (1 - p) ρ + p I/2 leaves (1 - p) of ⟨Z⟩, after each of two gates."""
    circuit = Circuit(1, [Gate("RY", 0, Angle.param(0)), Gate("RY", 0, Angle.param(1))])
    params = torch.tensor([0.4, 0.3], dtype=torch.float64)
    value = expval_z(
        circuit, torch.empty(1, 0).double(), params, "density:noise(depolarizing_1q=0.2)"
    )
    assert value.item() == pytest.approx(0.8**2 * math.cos(0.7))


def test_a_readout_error_moves_z_by_the_difference_of_its_probabilities():
    engine = "density:noise(readout_0to1=0.1,readout_1to0=0.3)"
    empty = torch.empty(1, 0).double(), torch.empty(0).double()
    assert expval_z(Circuit(1, []), *empty, engine).item() == pytest.approx(1 - 2 * 0.1)
    assert expval_z(Circuit(1, [Gate("X", 0)]), *empty, engine).item() == pytest.approx(
        -1 + 2 * 0.3
    )


def test_full_mixing_of_a_pair_leaves_the_rest():
    circuit = Circuit(3, [Gate("X", 2), Gate("CNOT", (0, 1))])
    empty = torch.empty(1, 0).double(), torch.empty(0).double()
    values = expval_z(circuit, *empty, "density:noise(depolarizing_2q=1)")
    assert values.tolist() == [[0, 0, -1]]


@pytest.mark.parametrize(
    ("engine", "n_qubits", "setting", "value"),
    [
        ("density:none", 6, "n_qubits", "6 (4,096 numbers per sample)"),
        ("density:noise(depolarizing_3q=1)", 2, "option", "'depolarizing_3q'"),
        ("density:noise(depolarizing_1q=2)", 2, "depolarizing_1q", "2"),
        ("density:loud", 2, "Engine 'density'", "'density:loud'"),
    ],
)
def test_what_it_cannot_do_is_one_sentence(engine, n_qubits, setting, value):
    with refused(setting, value):
        check_engine(engine, ansatze.build("qtha", n_qubits, 1))


def test_it_has_no_state_and_no_amplitudes_to_start_from():
    circuit = ansatze.build("qtha", 2, 1, reupload=False, embedding="amplitude")
    with refused("A circuit for engine 'density'", "amplitudes"):
        check_engine("density:none", circuit)
