"""LSTM head over token states, with a linear map of the last state.

    h_t = LSTM(x_t, h_{t−1})        z = W h_T + b

T is the last token before padding. Parameters: 4 h (d + h + 2) + C (h + 1).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from qtha_lab.adapters.heads.registry import Head, head, zero_
from qtha_lab.core.settings import setting


class Recurrent(nn.Module):
    """Recurrent network with a linear map of its state at the last token.

    The network maps (rows, tokens, d) to (rows, tokens, hidden).
    """

    def __init__(self, network: nn.Module, hidden: int, n_classes: int) -> None:
        super().__init__()
        self.network = network
        self.out = zero_(nn.Linear(hidden, n_classes))

    def forward(self, states: Tensor, mask: Tensor | None = None) -> Tensor:
        """Compute the logits of rows."""
        outputs = self.network(states)
        return self.out(last(outputs[0] if isinstance(outputs, tuple) else outputs, mask))


def last(states: Tensor, mask: Tensor | None) -> Tensor:
    """Select the state of the last token before padding, (rows, tokens, d) to (rows, d).

    Args:
        states: States of all tokens.
        mask: (rows, tokens), 1 at tokens, 0 at padding; None has no padding.

    Example:
        >>> last(torch.tensor([[[1.0], [2.0], [3.0]]]), torch.tensor([[1, 1, 0]]))
        tensor([[2.]])
    """
    if mask is None:
        return states[:, -1]
    places = torch.arange(mask.shape[1], device=mask.device)
    return states[torch.arange(len(states), device=mask.device), (places * mask.bool()).argmax(-1)]


@head(
    "lstm",
    summary="An LSTM over the token states, and a linear map of its last state.",
    equation="z = W h_T + b, h = LSTM(x)",
    source="Hochreiter and Schmidhuber 1997",
    example="lstm(hidden=16)",
)
@dataclass(frozen=True)
class LstmHead(Head):
    """Settings of the recurrent head."""

    reads_tokens: ClassVar[bool] = True

    hidden: int = setting(16, "Numbers of the recurrent state.", ge=1, le=4096, common=True)

    def module(self, in_features: int, n_classes: int) -> nn.Module:
        """Build a one-layer LSTM and a linear map."""
        return Recurrent(
            nn.LSTM(in_features, self.hidden, batch_first=True), self.hidden, n_classes
        )

    def n_parameters(self, in_features: int, n_classes: int) -> int:
        """Count 4 h (d + h + 2) + C (h + 1) parameters."""
        recurrent = 4 * self.hidden * (in_features + self.hidden + 2)
        return recurrent + n_classes * (self.hidden + 1)
