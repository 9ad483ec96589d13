"""Training of clips and scales for scheme `learned`, one block after the other.

The loss is the squared error of the block's output. The model stays unchanged; the result is a
dictionary of tensors.
"""

import copy
from collections.abc import Callable, Sequence
from typing import Any, Protocol, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call

from qtha_lab.models.quantisation import layers
from qtha_lab.models.quantisation.calibration import (
    Batch,
    BlockInputs,
    blocks_of,
    first_calls,
    readers,
)
from qtha_lab.models.quantisation.grid import WHOLE, best_clip, ends, on_grid, split_groups

PAPER_START = 4.0  # the authors' γ and β: 98.2 % of the range
LEAST_SCALE = 1e-5


class Settings(Protocol):
    """Settings of scheme `learned`."""

    @property
    def w(self) -> int: ...
    @property
    def a(self) -> int: ...
    @property
    def g(self) -> int | None: ...
    @property
    def steps(self) -> int: ...
    @property
    def start(self) -> str: ...
    @property
    def rate(self) -> float: ...


def clipped(
    matrix: Float[Tensor, "out_features in_features"],
    clips: tuple[Float[Tensor, "out_features groups 1"], Float[Tensor, "out_features groups 1"]],
    scale: Float[Tensor, "in_features"] | None,
    bits: int,
    group: int | None,
) -> Float[Tensor, "out_features in_features"]:
    """Compute Q(W diag t) diag(1/t) on grids from σ(β) min to σ(γ) max.

    Differentiable in every argument but the bits.

    Args:
        matrix: W.
        clips: β and γ.
        scale: t; None is 1.
        bits: Bits of each weight.
        group: Number of weights of a row that share a grid; None takes the whole row.

    Example:
        >>> matrix, far = torch.tensor([[-1.0, 0.2, 0.9, 2.0]]), torch.full((1, 1, 1), 99.0)
        >>> clipped(matrix, (far, far), None, bits=2, group=None)  # σ(99) = 1: plain rounding
        tensor([[-1.,  0.,  1.,  2.]])
    """
    scaled = matrix if scale is None else matrix * scale
    groups = split_groups(scaled, group)
    low, high = ends(groups)
    rounded = on_grid(groups, clips[0].sigmoid() * low, clips[1].sigmoid() * high, bits).flatten(1)
    return rounded if scale is None else rounded / scale


def train_clips(
    settings: Settings,
    model: nn.Module,
    batches: Sequence[Batch],
    tell: Callable[[float], None] = lambda error: None,
) -> dict[str, Tensor]:
    """Train β, γ and t of every layer in a block: `NAME.low`, `NAME.high`, `NAME.scale`.

    Args:
        settings: Settings of `learned`.
        model: Unquantised model.
        batches: Calibration rows.
        tell: Callback after each block, with its last squared error.
    """
    learnt: dict[str, Tensor] = {}
    place, blocks = blocks_of(model)
    whole = first_calls(model, batches)
    rounded = whole
    for number, block in enumerate(blocks):
        targets = _through(block, whole)
        tensors = _Trained(settings, block, whole[0])
        tell(tensors.train(rounded, [call.hidden for call in targets]))
        learnt |= {f"{place}.{number}.{name}": t for name, t in tensors.learnt().items()}
        rounded = _through(tensors.rounded_block(), rounded)
        whole = targets
    return learnt


@torch.no_grad()
def _through(block: nn.Module, calls: list[BlockInputs]) -> list[BlockInputs]:
    return [call.with_hidden(call.through(block)) for call in calls]


class _Trained:
    """Trained tensors of one block.

    The block is a copy; its rounded weights are passed in at each call.
    """

    def __init__(self, settings: Settings, block: nn.Module, call: BlockInputs) -> None:
        self.settings = settings
        self.matrices = {
            name: layers.matrix_of(layer).to(torch.float32)
            for name, layer in layers.rounded_layers(block).items()
        }
        self.scales = self._start_of_scales(block, call) if settings.a < WHOLE else {}
        self.clips = {
            name: tuple(clip.requires_grad_() for clip in self._start_of_clips(name))
            for name in self.matrices
        }
        self.block = copy.deepcopy(block).requires_grad_(False)
        if settings.a < WHOLE:
            rounded = layers.with_rounded_inputs(self.block, settings.a)
            for name, scale in self.scales.items():
                rounded[name].scale = scale.detach().exp()

    def _start_of_scales(self, block: nn.Module, call: BlockInputs) -> dict[str, Tensor]:
        """Initialise log t, one tensor for all layers that read the same input."""
        scales: dict[str, Tensor] = {}
        for names, x in readers(block, call):
            if len(names) > 1:
                largest = x.detach().abs().flatten(0, -2).amax(0).clamp_min(LEAST_SCALE)
                weights = torch.cat([self.matrices[name] for name in names])
                of_weights = weights.abs().amax(0).clamp_min(LEAST_SCALE)
                log_scale = 0.5 * (largest.float().log() - of_weights.log())
                scales |= dict.fromkeys(names, log_scale.requires_grad_())
        return scales

    def _start_of_clips(self, name: str) -> tuple[Tensor, Tensor]:
        groups = split_groups(self._scaled(name).detach(), self.settings.g)
        start = torch.full_like(groups[..., :1], PAPER_START)
        if self.settings.start == "grid" and self.settings.w < WHOLE:
            start = best_clip(groups, self.settings.w).clamp_max(0.99).logit()
        return start, start.clone()

    def _scale(self, name: str) -> Tensor | None:
        return self.scales[name].exp() if name in self.scales else None

    def _scaled(self, name: str) -> Tensor:
        scale = self._scale(name)
        return self.matrices[name] if scale is None else self.matrices[name] * scale

    def _put_in(self) -> dict[str, Tensor]:
        """Return the current weights and scales of the block's layers, by tensor name."""
        tensors: dict[str, Tensor] = {}
        for name, matrix in self.matrices.items():
            clips = cast("tuple[Tensor, Tensor]", self.clips[name])
            scale, settings = self._scale(name), self.settings
            weight = clipped(matrix, clips, scale, settings.w, settings.g)
            tensors[f"{name}.weight"] = weight
            if scale is not None:
                tensors[f"{name}.scale"] = scale
        return tensors

    def train(self, calls: list[BlockInputs], targets: list[Tensor]) -> float:
        """Fit the output of the rounded block to that of the unquantised block.

        Args:
            calls: Inputs of the block, computed by the rounded preceding blocks.
            targets: Outputs of the unquantised block after the unquantised preceding blocks.

        Returns:
            The mean squared error of the last step; nan without a step.
        """
        loss = torch.tensor(torch.nan)
        rate = self.settings.rate
        clips = [clip for pair in self.clips.values() for clip in pair]
        scales = list({id(t): t for t in self.scales.values()}.values())
        groups: list[dict[str, Any]] = [{"params": clips, "lr": rate}]
        groups += [{"params": scales, "lr": rate / 2}] if scales else []
        optimiser = torch.optim.AdamW(groups, weight_decay=0.0)
        for step in range(self.settings.steps if self.settings.w < WHOLE or scales else 0):
            call, target = calls[step % len(calls)], targets[step % len(calls)]
            result = call.through(
                lambda *x, **named: functional_call(self.block, self._put_in(), x, named)
            )
            loss = (result - target).square().mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        return loss.item()

    @torch.no_grad()
    def rounded_block(self) -> nn.Module:
        """Return the block with the trained weights and scales."""
        for name, tensor in self._put_in().items():
            layer = self.block.get_submodule(name.rpartition(".")[0])
            if name.endswith(".weight"):
                layers.set_matrix(layer, tensor)
            else:
                cast(Any, layer).scale = tensor.to(torch.float32)
        return self.block

    @torch.no_grad()
    def learnt(self) -> dict[str, Tensor]:
        """Return β, γ and t by the layer's name in the block."""
        tensors = {f"{name}.low": low.detach().clone() for name, (low, _) in self.clips.items()}
        tensors |= {f"{name}.high": high.detach().clone() for name, (_, high) in self.clips.items()}
        scales = {name: cast(Tensor, self._scale(name)) for name in self.scales}
        return tensors | {f"{name}.scale": scale.clone() for name, scale in scales.items()}
