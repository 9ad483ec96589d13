"""Head by the fidelity of a feature state with a trained state per class.

    u = σ(A f + a)      |φ⟩ = ⊗_i RZ(π u_{2i+1}) RY(π u_{2i}) |0⟩
    F_c = |⟨ω_c|φ⟩|²    z_c = log(F_c + ε) / τ

Each qubit encodes two features. Layers of RY RZ, RYY RZZ and CRY CRZ with angles of class c prepare
|ω_c⟩. Without entanglers |ω_c⟩ is a product state, and F_c a product of factors that need no
quantum computer. With `bond_dim` A is a matrix product operator, without a. A SWAP test measures
its ancilla in 0 with probability P₀ = (1 + F)/2.

All classes have the same initial angles, so the logits are equal and the initial loss is that of
the other heads. No layer is zero, but equal class states give no gradient below the head until the
classes differ, after one step.

Parameters: 2n (d + 1), or the core entries, + C · angles of |ω⟩.

Source:
    co-TenQu, arXiv:2402.15333, with the encoding and the layers of QuClassi, arXiv:2103.11307; σ, ε
    and τ are ours [R].
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from qtha_lab.adapters.heads.registry import Head, head
from qtha_lab.circuits import Angle, Circuit, Gate
from qtha_lab.core.settings import setting
from qtha_lab.simulators import state
from qtha_lab.tensor_networks import mpo
from qtha_lab.tensor_networks.factors import factorise

EPSILON = 1e-3
TAU = 0.5
SITES = 4  # cores of the matrix product operator


def feature_circuit(n: int) -> Circuit:
    """Build RY and RZ on every qubit, with one input each.

    Example:
        >>> feature_circuit(3).n_inputs
        6
    """
    pairs = [("RY", 0), ("RZ", 1)]
    return Circuit(
        n, [Gate(name, i, Angle.input(2 * i + k)) for i in range(n) for name, k in pairs]
    )


def class_circuit(n: int, n_layers: int, entangle: bool = True) -> Circuit:
    """Build the circuit of a class state.

    Its angles are inputs, so that all classes form one batch.

    Example:
        >>> class_circuit(3, 1).n_inputs, class_circuit(3, 2, entangle=False).n_inputs
        (14, 12)
    """
    return Circuit(n, list(_class_gates(n, n_layers, entangle)))


def _class_gates(n: int, n_layers: int, entangle: bool) -> Iterator[Gate]:
    number = iter(range(14 * n * n_layers))
    neighbours = [(i, i + 1) for i in range(n - 1)] if entangle else []
    for _ in range(n_layers):
        for i in range(n):
            yield Gate("RY", i, Angle.input(next(number)))
            yield Gate("RZ", i, Angle.input(next(number)))
        for names in (("IsingYY", "IsingZZ"), ("CRY", "CRZ")):
            for pair in neighbours:
                for name in names:
                    yield Gate(name, pair, Angle.input(next(number)))


def fidelity(
    first: Float[Tensor, "*first amplitudes"], second: Float[Tensor, "*second amplitudes"]
) -> Float[Tensor, "*first *second"]:
    """Compute |⟨second|first⟩|² of every pair of states.

    Example:
        >>> zero, one = torch.eye(2, dtype=torch.complex64)
        >>> fidelity(zero, zero).item(), fidelity(zero, one).item()
        (1.0, 0.0)
    """
    overlap = torch.tensordot(first, second.conj(), dims=cast("Any", ([-1], [-1])))
    return overlap.real.square() + overlap.imag.square()


class TensorMap(nn.Module):
    """Linear layer whose weight is a matrix product operator."""

    def __init__(self, in_features: int, out_features: int, bond_dim: int) -> None:
        super().__init__()
        self.shape = mpo_shape(in_features, out_features, bond_dim)
        self.cores = nn.ParameterList(torch.empty(size) for size in self.shape.core_shapes)
        with torch.no_grad():
            mpo.kaiming_(list(self.cores))

    def forward(self, x: Tensor) -> Tensor:
        """Map (rows, in_features) to (rows, out_features)."""
        return mpo.apply(list(self.cores), self.shape, x)


def mpo_shape(in_features: int, out_features: int, bond_dim: int) -> mpo.MpoShape:
    """Return the shape of the matrix product operator, over four sites.

    Example:
        >>> mpo_shape(64, 10, 2).n_parameters  # (4, 4, 2, 2) to (5, 2, 1, 1)
        84
    """
    ins = factorise(in_features, SITES)
    outs = factorise(out_features, SITES, size_name="out_features")
    return mpo.MpoShape.uniform(ins, outs, bond_dim=bond_dim)


class FidelityModule(nn.Module):
    """Network of a map to 2n angles, the class states, and the logits."""

    def __init__(self, of: FidelityHead, in_features: int, n_classes: int) -> None:
        super().__init__()
        self.tau = of.tau
        self.encoding, self.preparing = of.circuits()
        self.inward: nn.Module = nn.Linear(in_features, 2 * of.n)
        if of.bond_dim is not None:
            self.inward = TensorMap(in_features, 2 * of.n, of.bond_dim)
        same = torch.empty(1, self.preparing.n_inputs).uniform_(-math.pi, math.pi)
        self.classes = nn.Parameter(same.repeat(n_classes, 1))

    def fidelities(self, features: Tensor) -> Tensor:
        """Compute F_c, (rows, in_features) to (rows, n_classes)."""
        angles = math.pi * torch.sigmoid(self.inward(features))
        none = angles.new_empty(0)
        return fidelity(
            state(self.encoding, angles, none), state(self.preparing, self.classes, none)
        )

    def forward(self, features: Tensor) -> Tensor:
        """Compute logits, (rows, in_features) to (rows, n_classes)."""
        return torch.log(self.fidelities(features) + EPSILON) / self.tau


@head(
    "fidelity",
    summary="Fidelity of a feature state with a trained state of each class.",
    equation="z_c = log(|⟨ω_c|φ(π σ(A f + a))⟩|² + ε) / τ",
    source="arXiv:2402.15333 and arXiv:2103.11307 (our reconstruction)",
    example="fidelity(n=4)",
)
@dataclass(frozen=True)
class FidelityHead(Head):
    """Settings of the fidelity head."""

    n: int = setting(4, "Qubits, each with two features.", ge=1, le=12, common=True)
    n_layers: int = setting(1, "Layers of the class states.", ge=1, le=64, common=True)
    entangle: bool = setting(
        True, "Entangling gates in the class states; off makes them products.", common=True
    )
    bond_dim: int | None = setting(
        None, "Bond dimension of A as a matrix product operator; null keeps it whole.", ge=1
    )
    tau: float = setting(TAU, "Temperature: logits are divided by it.", gt=0)

    def circuits(self) -> Sequence[Circuit]:
        """Return the circuits of the features and of a class."""
        return [feature_circuit(self.n), class_circuit(self.n, self.n_layers, self.entangle)]

    def module(self, in_features: int, n_classes: int) -> nn.Module:
        """Build the network of the head."""
        return FidelityModule(self, in_features, n_classes)

    def n_parameters(self, in_features: int, n_classes: int) -> int:
        """Count 2n (d + 1) parameters, or those of the cores, + C angles."""
        inward = 2 * self.n * (in_features + 1)
        if self.bond_dim is not None:
            inward = mpo_shape(in_features, 2 * self.n, self.bond_dim).n_parameters
        return inward + n_classes * self.circuits()[1].n_inputs
