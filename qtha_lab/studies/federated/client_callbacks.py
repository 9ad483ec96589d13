"""A client's turn in the Trainer's words: begin with the shared adapter, end with the round.

With `proximal` μ above 0 every gradient gets μ (θ − θ_shared), after it was clipped.

Source:
    FedProx, arXiv:1812.06127.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor
from transformers import TrainerCallback

from qtha_lab.training.early_stopping import load_weights
from qtha_lab.training.setup import Loaded


class Turn(TrainerCallback):
    """Steps of one client between two averages.

    Args:
        loaded: What is trained.
        shared: Folder of the adapter that the round begins with.
        begin: Step at which the round begins; a session that goes on in its middle keeps what it has.
        end: Step at which it ends, saved.
        proximal: μ of FedProx; 0 is FedAvg.
    """

    def __init__(self, loaded: Loaded, shared: Path, begin: int, end: int, proximal: float) -> None:
        self.loaded, self.shared = loaded, shared
        self.begin, self.end, self.proximal = begin, end, proximal
        self.anchors: list[Tensor] = []

    def on_train_begin(self, args, state, control, **kwargs):
        """Take the shared adapter, unless the round has begun before."""
        begun = self._trained_values() if state.global_step != self.begin else None
        load_weights(self.loaded.model, self.shared)
        if self.proximal:
            self.anchors = self._trained_values()
        if begun is not None:
            with torch.no_grad():
                for parameter, value in zip(self._trained(), begun, strict=True):
                    parameter.copy_(value)

    def on_pre_optimizer_step(self, args, state, control, **kwargs):
        """Pull towards what the round began with."""
        for parameter, anchor in zip(self._trained(), self.anchors, strict=False):
            if parameter.grad is not None:
                parameter.grad.add_(parameter.detach() - anchor, alpha=self.proximal)

    def on_step_end(self, args, state, control, **kwargs):
        """Save and end with the round."""
        if state.global_step >= self.end:
            control.should_save = control.should_training_stop = True

    def _trained(self) -> list[torch.nn.Parameter]:
        return [p for p in self.loaded.model.parameters() if p.requires_grad]

    def _trained_values(self) -> list[Tensor]:
        return [parameter.detach().clone() for parameter in self._trained()]
