"""What an adapter is at a stage of its training: which parts it has, and which of their tensors are trained.

A part that a stage leaves out is joined later without a jump: a tensor that multiplies it is zero
from the start on, so that the adapter of every checkpoint computes what its whole description says.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import nn

from qtha_lab.adapters.method import Change
from qtha_lab.adapters.peft import AdapterLayer
from qtha_lab.adapters.tensor_groups import trained_groups
from qtha_lab.core.errors import Refusal
from qtha_lab.core.settings import unknown

ADAPTER = "default"


class Stage(Protocol):
    """What is asked of a stage (see `qtha_lab.experiment.phases.Stage`)."""

    @property
    def name(self) -> str:
        """What it is called."""
        ...

    @property
    def train(self) -> Sequence[str] | None:
        """Groups of tensors that it trains; None is all."""
        ...

    @property
    def options(self) -> Mapping[str, Any]:
        """Settings of the method that differ meanwhile."""
        ...


@dataclasses.dataclass(frozen=True)
class Part:
    """An adapter at one stage.

    Attributes:
        changes: What each layer computes.
        trained: `id` of every parameter that is trained.
    """

    changes: dict[AdapterLayer, Change]
    trained: set[int]

    @classmethod
    def of(cls, model: nn.Module, stage: Stage) -> Part:
        """The adapter of a model at a stage.

        Raises:
            Refusal: If the stage trains nothing, names what there is not, or cannot have its
                settings.
        """
        groups = trained_groups(model)
        changes = {layer: _staged(layer, stage) for layer in _layers(model)}
        if stage.options and not changes:
            raise Refusal(
                f"stage {stage.name} cannot set {', '.join(stage.options)}: the layers are peft's own, and a stage "
                "chooses only what of them it trains"
            )
        every = set().union(*groups.values())
        trained = every - _left_out(changes)
        if stage.options and trained == every:
            raise Refusal(
                f"stage {stage.name} can only leave parts out, and {_text(stage)} leaves out none"
            )
        if stage.train is not None:
            for name in stage.train:
                if name not in groups:
                    raise unknown(f"group of tensors in stage {stage.name}", name, groups)
            trained &= set().union(*(groups[name] for name in stage.train))
        if not trained:
            raise Refusal(f"stage {stage.name} trains nothing")
        return cls(changes, trained)


def check(model: nn.Module, stages: Sequence[Stage]) -> None:
    """Refuse stages that the adapter of a model cannot be trained in.

    Args:
        model: With the adapter on it; may be on the meta device.
        stages: In their order.

    Raises:
        Refusal: As `Part.of`, and if a part that joins cannot do so without a jump.
    """
    for _ in _joining(model, stages):
        pass
    for stage in stages:
        Part.of(model, stage)


@torch.no_grad()
def close(model: nn.Module, stages: Sequence[Stage]) -> None:
    """Set to zero what keeps the parts of later stages from being felt before they are trained.

    Args:
        model: With the adapter on it, as it starts.
        stages: In their order.
    """
    for layer, names in _joining(model, stages):
        tensors = layer.adapter_tensors(ADAPTER)
        for name in names:
            tensors[name].zero_()


@contextlib.contextmanager
def as_it_was(model: nn.Module) -> Iterator[None]:
    """While open, stages may be entered; afterwards everything is whole and trained again."""
    changes = {layer: layer.changes[ADAPTER] for layer in _layers(model)}
    trained = [p for p in model.parameters() if p.requires_grad]
    try:
        yield
    finally:
        for layer, change in changes.items():
            layer.changes[ADAPTER] = change
        for parameter in trained:
            parameter.requires_grad_(True)


def enter(model: nn.Module, part: Part) -> None:
    """Make the adapter of a model that of a stage, in place.

    Args:
        model: On which `part` was made.
        part: Of the stage.
    """
    for layer, change in part.changes.items():
        layer.changes[ADAPTER] = change
    trainable = set().union(*trained_groups(model).values()) | part.trained
    for parameter in model.parameters():
        if id(parameter) in trainable:
            parameter.requires_grad_(id(parameter) in part.trained)


def _layers(model: nn.Module) -> list[AdapterLayer]:
    return [
        module
        for module in model.modules()
        if isinstance(module, AdapterLayer) and ADAPTER in module.changes
    ]


def _staged(layer: AdapterLayer, stage: Stage) -> Change:
    """The change at a layer as a stage sets it; of tensors that are there."""
    whole = layer.changes[ADAPTER]
    if not stage.options:
        return whole
    config = dataclasses.replace(whole.config, **stage.options)
    change, present = config.change(whole.layer), whole.all_tensors()
    for name, spec in change.all_tensors().items():
        if name not in present or present[name].shape != spec.shape:
            raise Refusal(
                f"stage {stage.name} cannot set {_text(stage)}: it can only leave parts out, and tensor {name} "
                "would be another"
            )
    return change


def _left_out(changes: Mapping[AdapterLayer, Change]) -> set[int]:
    """Tensors that no layer trains."""
    present, used = set(), set()
    for layer, change in changes.items():
        specs = change.all_tensors()
        for name, tensor in layer.adapter_tensors(ADAPTER).items():
            present.add(id(tensor))
            if name in specs and specs[name].trainable:
                used.add(id(tensor))
    return present - used


def _joining(
    model: nn.Module, stages: Sequence[Stage]
) -> Iterator[tuple[AdapterLayer, tuple[str, ...]]]:
    """Layers, and names of their tensors that must be zero until a later stage trains them."""
    for layer in _layers(model):
        changes = [_staged(layer, stage) for stage in stages]
        for before, after in itertools.pairwise(changes):
            if lost := before.all_tensors().keys() - after.all_tensors().keys():
                raise Refusal(
                    f"a later stage must have all parts of those before, and one loses {', '.join(sorted(lost))}"
                )
            yield layer, after.joins(before)


def _text(stage: Stage) -> str:
    return ", ".join(f"{name}={str(value).lower()}" for name, value in stage.options.items())
