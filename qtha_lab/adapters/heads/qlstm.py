"""LSTM head whose four gate maps are small circuits, over token states.

    v = A [h; x] + a        gate_g = act_g(C_g ⟨Y⟩_g(v) + c_g),   g = i, f, o (act σ) and g (tanh)

Circuit g applies RX with trained angles, a ring of CNOTs, RZ(v), RX with trained angles, and the
ring again to n qubits. Every qubit is measured in ⟨Y⟩. With C = 0 the gates are constants: an LSTM
of biases alone. The control `sin` replaces ⟨Y⟩_i by s_i sin(v_i + t_i), with as many parameters.

Parameters: n (d + h + 1) + 4 (2n + h n + h) + C (h + 1).

Source:
    HQRNN, arXiv:2504.20823; circuit after a third party's description; A, C and the widths are our
    reconstruction [R].
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from qtha_lab.adapters.heads.lstm import Recurrent
from qtha_lab.adapters.heads.registry import Head, freeze_, head
from qtha_lab.circuits import Angle, Circuit, Gate
from qtha_lab.core.settings import setting
from qtha_lab.simulators import expval

GATES = 4


def gate_circuit(n: int) -> Circuit:
    """Build the circuit of a gate map.

    The inputs are 2n angles, then n features, so that four gates and all rows form one batch.

    Example:
        >>> gate_circuit(4).n_inputs, gate_circuit(4).n_params
        (12, 0)
    """
    ring = [Gate("CNOT", (i, (i + 1) % n)) for i in range(n if n > 2 else n - 1)]
    gates = [Gate("RX", i, Angle.input(i)) for i in range(n)] + ring
    gates += [Gate("RZ", i, Angle.input(2 * n + i)) for i in range(n)]
    gates += [Gate("RX", i, Angle.input(n + i)) for i in range(n)] + ring
    return Circuit(n, gates)


class GateCircuits(nn.Module):
    """Gate maps by ⟨Y⟩ of four circuits: (rows, n) to (4, rows, n)."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.circuit = gate_circuit(n)
        self.strings = tuple(f"Y{i}" for i in range(n))
        self.params = nn.Parameter(torch.empty(GATES, 2 * n).uniform_(-math.pi, math.pi))

    def forward(self, features: Tensor) -> Tensor:
        """Simulate all four circuits in one call."""
        rows = len(features)
        angles = self.params[:, None].expand(-1, rows, -1)
        inputs = torch.cat([angles, features.expand(GATES, -1, -1)], -1)
        return expval(self.circuit, self.strings, inputs, inputs.new_empty(0))


class GateSines(nn.Module):
    """Control of the circuits: s sin(v + t), with as many parameters."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(GATES, 1, n))
        self.shift = nn.Parameter(torch.empty(GATES, 1, n).uniform_(-math.pi, math.pi))

    def forward(self, features: Tensor) -> Tensor:
        """Map (rows, n) to (4, rows, n)."""
        return self.scale * torch.sin(features + self.shift)


MAPS: dict[str, type[nn.Module]] = {"circuit": GateCircuits, "sin": GateSines}


class GatedNetwork(nn.Module):
    """LSTM recurrence, (rows, tokens, d) to (rows, tokens, hidden)."""

    def __init__(self, in_features: int, hidden: int, n: int, maps: str = "circuit") -> None:
        super().__init__()
        self.hidden = hidden
        self.inward = nn.Linear(hidden + in_features, n)
        self.maps = MAPS[maps](n)
        bound = 1 / math.sqrt(n)
        self.outward = nn.Parameter(torch.empty(GATES, n, hidden).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.zeros(GATES, 1, hidden))

    def forward(self, states: Tensor) -> Tensor:
        """Compute the hidden state at every token."""
        hidden = states.new_zeros(len(states), self.hidden)
        cell, outputs = hidden, []
        for x in states.unbind(1):
            read = self.maps(self.inward(torch.cat([hidden, x], -1)))
            enters, stays, leaves, new = (read @ self.outward + self.bias).unbind(0)
            cell = stays.sigmoid() * cell + enters.sigmoid() * new.tanh()
            hidden = leaves.sigmoid() * cell.tanh()
            outputs.append(hidden)
        return torch.stack(outputs, 1)


@head(
    "qlstm",
    summary="An LSTM over the token states whose gate maps are circuits.",
    equation="gate_g = act(C_g ⟨Y⟩_g(A [h; x] + a) + c_g), z = W h_T + b",
    source="arXiv:2504.20823 (our reconstruction)",
    example="qlstm(n=4,hidden=16)",
)
@dataclass(frozen=True)
class QlstmHead(Head):
    """Settings of the recurrent head with circuits."""

    reads_tokens: ClassVar[bool] = True

    n: int = setting(4, "Qubits of each of the four circuits.", ge=1, le=10, common=True)
    hidden: int = setting(16, "Numbers of the recurrent state.", ge=1, le=4096, common=True)
    maps: str = setting(
        "circuit", "Gate maps: circuits, or sines of as many numbers.", choices=tuple(MAPS)
    )
    train_circuit: bool = setting(True, "Train the gate maps. Off keeps their initial values.")

    def circuits(self) -> Sequence[Circuit]:
        """Return the circuit of a gate map; empty for sines."""
        return [gate_circuit(self.n)] if self.maps == "circuit" else []

    def module(self, in_features: int, n_classes: int) -> nn.Module:
        """Build the recurrence and a linear map."""
        network = GatedNetwork(in_features, self.hidden, self.n, self.maps)
        if not self.train_circuit:
            freeze_(network.maps)
        return Recurrent(network, self.hidden, n_classes)

    def n_parameters(self, in_features: int, n_classes: int) -> int:
        """Count the trained parameters.

        The formula is n (d + h + 1) + 4 (2n + h n + h) + C (h + 1).
        """
        n, h = self.n, self.hidden
        maps = GATES * 2 * n if self.train_circuit else 0
        return n * (in_features + h + 1) + maps + GATES * h * (n + 1) + n_classes * (h + 1)
