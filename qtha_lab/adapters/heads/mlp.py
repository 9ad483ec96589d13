"""Two linear maps with SiLU between: the classical control of the heads with a circuit.

    z = W silu(A f + a) + b

Parameters: h (d + 1) + C (h + 1).
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from qtha_lab.adapters.heads.registry import Head, head
from qtha_lab.adapters.heads.zero import zero_
from qtha_lab.core.settings import setting


class Cosine(nn.Module):
    """cos, of every number: what a circuit of one qubit and no entangler computes of an angle."""

    def forward(self, x: Tensor) -> Tensor:
        """cos(x)."""
        return x.cos()


BETWEEN: dict[str, type[nn.Module]] = {"silu": nn.SiLU, "cos": Cosine}


@head(
    "mlp",
    summary="Two linear maps with SiLU or a cosine between.",
    equation="z = W σ(A f + a) + b, σ = silu or cos",
    source="the usual hidden layer",
    example="mlp(hidden=32)",
)
@dataclass(frozen=True)
class Mlp(Head):
    """Settings of the head with a hidden layer."""

    hidden: int = setting(32, "Numbers between the two maps.", ge=1, le=65536, common=True)
    between: str = setting("silu", "What acts on them.", choices=tuple(BETWEEN))

    def module(self, in_features: int, n_classes: int) -> nn.Module:
        """Linear, SiLU or cosine, linear."""
        last = zero_(nn.Linear(self.hidden, n_classes))
        return nn.Sequential(nn.Linear(in_features, self.hidden), BETWEEN[self.between](), last)

    def n_parameters(self, in_features: int, n_classes: int) -> int:
        """h (d + 1) + C (h + 1)."""
        return self.hidden * (in_features + 1) + n_classes * (self.hidden + 1)
