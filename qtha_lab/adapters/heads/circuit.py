"""Head with a circuit between two linear maps.

    z = W ⟨Z⟩(angles π tanh(A f + a), params) + b

The inputs are angles of RY rotations. With one qubit and no entangler ⟨Z⟩ is the cosine of the
angle plus a constant.

Parameters: n (d + 1) + angles of the ansatz + C (n + 1).

Source:
    Pre-trained networks before variational circuits, arXiv:2411.08552; the formula is our
    reconstruction [R].
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from qtha_lab.adapters.heads.registry import Head, freeze_, head, zero_
from qtha_lab.circuits import Circuit, ansatze
from qtha_lab.core.settings import setting
from qtha_lab.simulators import QuantumLayer


class CircuitModule(nn.Module):
    """Network of the linear map A f + a, the circuit, and the output map."""

    def __init__(self, circuit: Circuit, in_features: int, n_classes: int) -> None:
        super().__init__()
        self.inward = nn.Linear(in_features, circuit.n_qubits)
        self.quantum = QuantumLayer(circuit)
        self.out = zero_(nn.Linear(circuit.n_qubits, n_classes))

    def forward(self, features: Tensor) -> Tensor:
        """Compute logits, (rows, in_features) to (rows, n_classes)."""
        return self.out(self.quantum(math.pi * torch.tanh(self.inward(features))))


@head(
    "circuit",
    summary="A circuit of n qubits between two linear maps.",
    equation="z = W ⟨Z⟩(π tanh(A f + a), params) + b",
    source="arXiv:2411.08552 (our reconstruction)",
    example="circuit(n=4,n_layers=2)",
)
@dataclass(frozen=True)
class CircuitHead(Head):
    """Settings of the head with a circuit."""

    n: int = setting(4, "Qubits.", ge=1, le=16, common=True)
    n_layers: int = setting(2, "Layers of the circuit.", ge=1, le=1024, common=True)
    ansatz: str = setting(
        "strongly_entangling", "Circuit.", choices=ansatze.ANSATZE, with_options=True, common=True
    )
    reupload: bool = setting(False, "Encode the features in every layer, not only the first.")
    train_circuit: bool = setting(True, "Train the angles. Off keeps their initial values.")

    def circuits(self) -> Sequence[Circuit]:
        """Return the circuit of the head."""
        return [ansatze.build(self.ansatz, self.n, self.n_layers, self.reupload)]

    def check(self) -> None:
        """Refuse a number of qubits that the ansatz does not support."""
        self.circuits()

    def module(self, in_features: int, n_classes: int) -> nn.Module:
        """Build the two linear maps with the circuit in between."""
        (circuit,) = self.circuits()
        module = CircuitModule(circuit, in_features, n_classes)
        if not self.train_circuit:
            freeze_(module.quantum)
        return module

    def n_parameters(self, in_features: int, n_classes: int) -> int:
        """Count n (d + 1) + angles + C (n + 1) parameters."""
        angles = self.circuits()[0].n_params if self.train_circuit else 0
        return self.n * (in_features + 1) + angles + n_classes * (self.n + 1)
