"""Inputs, outputs and shared inputs of a model's transformer blocks, for block-wise rounding."""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from qtha_lab.core.errors import Refusal
from qtha_lab.models.quantisation.calibration import Batch

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class BlockInputs:
    """Arguments of a block for one batch, with the hidden states held separately."""

    hidden: Tensor
    others: tuple
    named: dict[str, Any]

    def through(self, block: Callable) -> Tensor:
        """Compute the hidden states after a block."""
        result = block(self.hidden, *self.others, **self.named)
        return result[0] if isinstance(result, tuple) else result

    def with_hidden(self, hidden: Tensor) -> "BlockInputs":
        """Return a copy with other hidden states."""
        return replace(self, hidden=hidden)


class _Reached(Exception):  # noqa: N818  ends a forward pass whose rest is not needed
    """Signal that the forward pass has reached the first block."""


def blocks_of(model: nn.Module) -> tuple[str, nn.ModuleList]:
    """Return the list of a model's transformer blocks, and its name."""
    for name, module in model.named_modules():
        if isinstance(module, nn.ModuleList) and len(module):
            return name, module
    raise Refusal(
        "quantization must not be learned for a model without a list of blocks, got a "
        f"{type(model).__name__}. Choose round or outliers."
    )


@torch.no_grad()
def first_calls(model: nn.Module, batches: Sequence[Batch]) -> list[BlockInputs]:
    """Record the arguments of the first block for each batch."""
    calls: list[BlockInputs] = []

    def catch(module: nn.Module, arguments: tuple, named: dict[str, Any]) -> None:
        hidden, *others = arguments or (named.pop("hidden_states"),)
        calls.append(BlockInputs(hidden, tuple(others), named))
        raise _Reached

    hook = blocks_of(model)[1][0].register_forward_pre_hook(catch, with_kwargs=True)
    try:
        for batch in batches:
            try:
                model(**batch, **_without_cache(model))
            except _Reached:
                log.debug("the first block was reached")
    finally:
        hook.remove()
    return calls


def _without_cache(model: nn.Module) -> dict[str, bool]:
    return {"use_cache": False} if hasattr(getattr(model, "config", None), "use_cache") else {}


@torch.no_grad()
def readers(block: nn.Module, call: BlockInputs) -> Iterator[tuple[list[str], Tensor]]:
    """Yield the groups of linear layers that read the same tensor, with that tensor."""
    from qtha_lab.models.quantisation.layers import rounded_layers

    read: dict[int, tuple[list[str], Tensor]] = {}
    hooks = []
    for name, layer in rounded_layers(block).items():

        def note(module: nn.Module, arguments: tuple, name: str = name) -> None:
            x = arguments[0]
            read.setdefault(id(x), ([], x))[0].append(name)  # holding x keeps its id unique

        hooks.append(layer.register_forward_pre_hook(note))
    try:
        call.through(block)
    finally:
        for hook in hooks:
            hook.remove()
    yield from read.values()
