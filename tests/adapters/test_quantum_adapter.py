"""quantum-adapter's amplitude method: its count, its state and its first step."""

import pytest
import torch

from qtha_lab.adapters.change import Layer
from qtha_lab.adapters.quantum_adapter import (
    QuantumAdapter,
    QuantumAdapterConfig,
    amplitudes,
    ry_ring,
)
from qtha_lab.simulators import state


@pytest.mark.parametrize("n_qubits", [1, 2, 3, 5])
def test_the_amplitudes_are_those_of_the_circuit(n_qubits):
    circuit = ry_ring(n_qubits, 3)
    params = torch.rand(circuit.n_params, dtype=torch.float64)
    ours, theirs = amplitudes(params, n_qubits), state(circuit, params.new_empty(0), params)
    assert torch.vdot(theirs, ours.to(theirs)).abs().item() == pytest.approx(1)


def test_the_count_on_gpt2_is_that_of_the_packages_page():
    # 12 layers of c_attn, 768 to 2304, and a head of 2 · 768
    assert 12 * QuantumAdapterConfig(r=4).n_parameters(768, 2304) + 2 * 768 == 3_228


@pytest.mark.parametrize("generator", ["circuit", "classical"])
def test_a_scale_of_zero_changes_nothing_and_gets_the_first_gradient(generator):
    torch.manual_seed(0)
    change = QuantumAdapter(QuantumAdapterConfig(r=2, generator=generator), Layer(6, 5))
    tensors = {name: torch.empty(spec.shape) for name, spec in change.tensors().items()}
    change.initialise(tensors)
    tensors = {name: tensor.requires_grad_(name != "P") for name, tensor in tensors.items()}
    out = change.delta(tensors, torch.randn(3, 6))
    assert not out.any()
    out.sum().backward()
    assert tensors["scale"].grad.any()
    assert not tensors["params"].grad.any()
