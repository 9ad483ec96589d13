"""State of an adapter in a training phase: its parts, and its trained tensors.

A part that a phase leaves out is added later without a discontinuity. A tensor that multiplies the
part is zero from the beginning. So the adapter of every checkpoint computes the function of its
full config.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import nn

from qtha_lab.adapters.change import Change
from qtha_lab.adapters.peft import AdapterLayer
from qtha_lab.adapters.tensor_groups import trained_groups
from qtha_lab.core.errors import Refusal
from qtha_lab.core.settings import unknown

ADAPTER = "default"


class PhaseSettings(Protocol):
    """Interface of a training phase (see `qtha_lab.experiment.objectives`)."""

    @property
    def name(self) -> str:
        """Name of the phase."""
        ...

    @property
    def train(self) -> Sequence[str] | None:
        """Groups of tensors that the phase trains; None trains all."""
        ...

    @property
    def options(self) -> Mapping[str, Any]:
        """Settings of the method that differ in the phase."""
        ...


@dataclasses.dataclass(frozen=True)
class Part:
    """State of an adapter in one phase.

    Attributes:
        changes: `Change` of each layer.
        trained: `id` of every trained parameter.
    """

    changes: dict[AdapterLayer, Change]
    trained: set[int]

    @classmethod
    def of(cls, model: nn.Module, stage: PhaseSettings) -> Part:
        """Determine the state of a model's adapter in a phase."""
        groups = trained_groups(model)
        changes = {layer: _staged(layer, stage) for layer in _layers(model)}
        if stage.options and not changes:
            raise Refusal(
                f"Phase {stage.name} must set no options for PEFT's own layers, got "
                f"{', '.join(stage.options)}. Choose the trained tensors only."
            )
        every = set().union(*groups.values())
        trained = every - _left_out(changes)
        if stage.options and trained == every:
            raise Refusal(
                f"Phase {stage.name} must leave out a part, got {_text(stage)}, which leaves out "
                "none."
            )
        if stage.train is not None:
            for name in stage.train:
                if name not in groups:
                    raise unknown(f"group of tensors in phase {stage.name}", name, groups)
            trained &= set().union(*(groups[name] for name in stage.train))
        if not trained:
            raise Refusal(f"Phase {stage.name} has no tensor to train.")
        return cls(changes, trained)


def check_phases(model: nn.Module, stages: Sequence[PhaseSettings]) -> None:
    """Refuse phases in which a model's adapter cannot be trained."""
    for _ in _joining(model, stages):
        pass
    for stage in stages:
        Part.of(model, stage)


@torch.no_grad()
def close(model: nn.Module, stages: Sequence[PhaseSettings]) -> None:
    """Set to zero the tensors that multiply the parts of later phases."""
    for layer, names in _joining(model, stages):
        tensors = layer.adapter_tensors(ADAPTER)
        for name in names:
            tensors[name].zero_()


@contextlib.contextmanager
def as_it_was(model: nn.Module) -> Iterator[None]:
    """Restore the full adapter and its trained parameters after the block.

    Inside, phases may be entered.
    """
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
    """Set the adapter of a model to the state of a phase, in place."""
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


def _staged(layer: AdapterLayer, stage: PhaseSettings) -> Change:
    """Return the change at a layer with the phase's settings, on existing tensors."""
    whole = layer.changes[ADAPTER]
    if not stage.options:
        return whole
    config = dataclasses.replace(whole.config, **stage.options)
    change, present = config.change(whole.layer), whole.all_tensors()
    for name, spec in change.all_tensors().items():
        if name not in present or present[name].shape != spec.shape:
            raise Refusal(
                f"Phase {stage.name} must only leave parts out, got {_text(stage)}, which changes "
                f"tensor {name}."
            )
    return change


def _left_out(changes: Mapping[AdapterLayer, Change]) -> set[int]:
    """Return the ids of tensors that no layer trains."""
    present, used = set(), set()
    for layer, change in changes.items():
        specs = change.all_tensors()
        for name, tensor in layer.adapter_tensors(ADAPTER).items():
            present.add(id(tensor))
            if name in specs and specs[name].trainable:
                used.add(id(tensor))
    return present - used


def _joining(
    model: nn.Module, stages: Sequence[PhaseSettings]
) -> Iterator[tuple[AdapterLayer, tuple[str, ...]]]:
    """Yield layers with the names of tensors that must be zero until a later phase."""
    for layer in _layers(model):
        changes = [_staged(layer, stage) for stage in stages]
        for before, after in itertools.pairwise(changes):
            if lost := before.all_tensors().keys() - after.all_tensors().keys():
                raise Refusal(
                    "A later phase must have all parts of the earlier ones, got one without "
                    f"{', '.join(sorted(lost))}."
                )
            yield layer, after.joins(before)


def _text(stage: PhaseSettings) -> str:
    return ", ".join(f"{name}={str(value).lower()}" for name, value in stage.options.items())
