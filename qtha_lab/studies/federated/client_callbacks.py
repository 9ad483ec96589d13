"""Trainer callback of a client: load the shared adapter, stop at the round's end.

With `proximal` μ above 0 every gradient gets μ (θ − θ_shared), after gradient clipping.

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


class ClientRound(TrainerCallback):
    """Trainer callback for the steps of one client in one round.

    Args:
        loaded: Model under training, with its rows.
        shared: Folder of the shared adapter at the beginning of the round.
        begin: First step of the round. A session resumed within the round keeps its own weights.
        end: Step at which the round ends; the client saves a checkpoint there.
        proximal: μ of FedProx; 0 is FedAvg.
    """

    def __init__(self, loaded: Loaded, shared: Path, begin: int, end: int, proximal: float) -> None:
        self.loaded, self.shared = loaded, shared
        self.begin, self.end, self.proximal = begin, end, proximal
        self.anchors: list[Tensor] = []

    def on_train_begin(self, args, state, control, **kwargs):
        """Load the shared adapter, unless the round was already in progress."""
        begun = self._trained_values() if state.global_step != self.begin else None
        load_weights(self.loaded.model, self.shared)
        if self.proximal:
            self.anchors = self._trained_values()
        if begun is not None:
            with torch.no_grad():
                for parameter, value in zip(self._trained(), begun, strict=True):
                    parameter.copy_(value)

    def on_pre_optimizer_step(self, args, state, control, **kwargs):
        """Add the proximal term of FedProx to every gradient."""
        for parameter, anchor in zip(self._trained(), self.anchors, strict=False):
            if parameter.grad is not None:
                parameter.grad.add_(parameter.detach() - anchor, alpha=self.proximal)

    def on_step_end(self, args, state, control, **kwargs):
        """Save a checkpoint and stop training at the end of the round."""
        if state.global_step >= self.end:
            control.should_save = control.should_training_stop = True

    def _trained(self) -> list[torch.nn.Parameter]:
        return [p for p in self.loaded.model.parameters() if p.requires_grad]

    def _trained_values(self) -> list[Tensor]:
        return [parameter.detach().clone() for parameter in self._trained()]
