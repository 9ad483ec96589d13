"""Two linear maps with SiLU between: the classical control of the heads with a circuit.

    z = W silu(A f + a) + b

Parameters: h (d + 1) + C (h + 1).
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from qtha_lab.adapters.heads.registry import Head, head, zero_
from qtha_lab.core.settings import setting


class Cosine(nn.Module):
    """Elementwise cosine.

    A circuit of one qubit without entangler computes the same function of an angle.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Compute cos(x)."""
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
    between: str = setting("silu", "Activation between the two maps.", choices=tuple(BETWEEN))

    def module(self, in_features: int, n_classes: int) -> nn.Module:
        """Build linear map, SiLU or cosine, linear map."""
        last = zero_(nn.Linear(self.hidden, n_classes))
        return nn.Sequential(nn.Linear(in_features, self.hidden), BETWEEN[self.between](), last)

    def n_parameters(self, in_features: int, n_classes: int) -> int:
        """Count h (d + 1) + C (h + 1) parameters."""
        return self.hidden * (in_features + 1) + n_classes * (self.hidden + 1)
