"""Angles that start where a file says: resolved once, on a model that has its adapter on it.

What each start gives is `qtha_lab.adapters.initialisation.angles`; loading a saved adapter reads
none of its files, since the angles lie among the adapter's tensors.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from qtha_lab.adapters.attach import adapted_skeleton, changes_on
from qtha_lab.adapters.initialisation import angles as starts
from qtha_lab.adapters.method import Change
from qtha_lab.core.errors import Refusal


def pending_initialisation(config: Any) -> str:
    """The text of a start that reads files; empty for the rest, and for methods without a circuit.

    Example:
        >>> from qtha_lab.adapters import QthaConfig
        >>> start_to_resolve(QthaConfig(r=2, angles="small"))
        ''
    """
    text = getattr(config, "angles", starts.UNIFORM)
    return text if starts.initialisation_of(text).is_resolved else ""


def check_angles(model: nn.Module, config: Any) -> None:
    """Refuse a start whose files are missing or do not fit the layers that would be adapted.

    Args:
        model: The base model; may be on the meta device.
        config: Of any method.

    Raises:
        Refusal: With one sentence.
    """
    if text := pending_initialisation(config):
        begin = starts.initialisation_of(text)
        for change in changes_on(adapted_skeleton(model, config)):
            for place in places_of(change):
                begin.check(place)
            _check_beside(change, begin.beside(change.layer.name))


def initial_angles(model: nn.Module, adapter: str = "default") -> None:
    """Let the angles of an adapter start where its setting `angles` says; others stay as they are.

    A worker calls this before the first step. Needed by hand where a model is adapted in Python,
    since PEFT fills tensors alike for a new adapter and for one that is being loaded.

    Args:
        model: With adapters on it.
        adapter: Its name.

    Raises:
        Refusal: If a file is missing or does not fit.
    """
    from qtha_lab.adapters.peft.layer import AdapterLayer

    layers = [m for m in model.modules() if isinstance(m, AdapterLayer) and adapter in m.changes]
    known_initialisations: dict[
        str, starts.Start
    ] = {}  # a start reads its file once for all layers
    for layer in layers:
        change = layer.changes[adapter]
        if text := pending_initialisation(change.config):
            begin = known_initialisations.setdefault(text, starts.initialisation_of(text))
            _start_layer(change, layer.adapter_tensors(adapter), begin)


def places_of(change: Change) -> Iterator[starts.Place]:
    """Where one layer has angles."""
    for name, circuits in change.angle_circuits().items():
        first = 0
        for circuit in circuits:
            yield starts.Place(circuit, change.layer.name, name, first)
            first += circuit.n_params


@torch.no_grad()
def _start_layer(change: Change, tensors: dict[str, Tensor], begin: starts.Start) -> None:
    for place in places_of(change):
        part = tensors[place.tensor][place.first : place.first + place.circuit.n_params]
        part.copy_(begin.angles(place, part))
    beside = begin.beside(change.layer.name)
    _check_beside(change, beside)
    for name, tensor in beside.items():
        tensors[name].copy_(tensor)
    if not beside:
        change.follow_angles(tensors)


def _check_beside(change: Change, beside: Any) -> None:
    shapes = {name: spec.shape for name, spec in change.all_tensors().items()}
    for name, tensor in beside.items():
        if shapes.get(name) != tuple(tensor.shape):
            raise Refusal(
                f"the start of the angles brings {name!r} of size {tuple(tensor.shape)} to "
                f"{change.layer.name}, which takes {shapes.get(name, 'none')}: "
                "use the settings of the run that it comes from"
            )
