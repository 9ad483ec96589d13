"""Adapted layers that get no gradient, because the model reads their weight without a call."""

from __future__ import annotations

from collections.abc import Callable

from peft.tuners.tuners_utils import BaseTunerLayer
from torch import nn
from transformers import TrainerCallback

MOST = 4  # names in the note


def idle_layers(model: nn.Module) -> list[str]:
    """Return the adapted layers none of whose trained tensors has a gradient."""
    idle = []
    for name, module in model.named_modules():
        if isinstance(module, BaseTunerLayer) and isinstance(module, nn.Module):
            trained = [p for p in module.parameters() if p.requires_grad]
            if trained and all(p.grad is None for p in trained):
                idle.append(name.removeprefix("base_model.model."))
    return idle


class NameIdleLayers(TrainerCallback):
    """Callback that notes idle layers at the first step of a run.

    Args:
        note: Receives the sentence.
    """

    def __init__(self, note: Callable[[str], None]) -> None:
        self.note = note

    def on_pre_optimizer_step(self, args, state, control, model=None, **kwargs):
        """Note the layers without a gradient, before the first update."""
        if state.global_step == 0 and model is not None and (idle := idle_layers(model)):
            more = f" and {len(idle) - MOST} more" if len(idle) > MOST else ""
            names = ", ".join(idle[:MOST])
            self.note(f"adapted layers without a gradient in the first step: {names}{more}")
