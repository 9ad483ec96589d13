"""Application of angle initialisations that read files, on a model with its adapter.

The initialisations are in `qtha_lab.adapters.initialisation.angles`. Loading a saved adapter reads
none of their files, since the angles are among the adapter's tensors.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from qtha_lab.adapters.adapted_model import adapted_skeleton, changes_on
from qtha_lab.adapters.change import Change
from qtha_lab.adapters.initialisation import angles
from qtha_lab.core.errors import Refusal


def pending_initialisation(config: Any) -> str:
    """Return the text of an initialisation that reads files.

    Empty for other initialisations, and for methods without a circuit.

    Example:
        >>> from qtha_lab.adapters import QthaConfig
        >>> pending_initialisation(QthaConfig(r=2, angles="small"))
        ''
    """
    text = getattr(config, "angles", angles.UNIFORM)
    return text if angles.initialisation_of(text).is_resolved else ""


def check_angles(model: nn.Module, config: Any) -> None:
    """Refuse an initialisation whose files are missing or do not fit the layers."""
    if text := pending_initialisation(config):
        begin = angles.initialisation_of(text)
        for change in changes_on(adapted_skeleton(model, config)):
            for place in places_of(change):
                begin.check(place)
            _check_beside(change, begin.beside(change.layer.name))


def initial_angles(model: nn.Module, adapter: str = "default") -> None:
    """Set the initial angles of an adapter that come from files.

    Other angles stay unchanged. A worker calls this function before the first step. Python code
    that adapts a model must call it itself, since PEFT fills tensors equally for new and for loaded
    adapters.

    Raises:
        Refusal: If a file is missing or does not fit.
    """
    from qtha_lab.adapters.peft.layer import AdapterLayer

    layers = [m for m in model.modules() if isinstance(m, AdapterLayer) and adapter in m.changes]
    known_initialisations: dict[
        str, angles.AngleInitialisation
    ] = {}  # one object per setting, so that a file is read once
    for layer in layers:
        change = layer.changes[adapter]
        if text := pending_initialisation(change.config):
            begin = known_initialisations.setdefault(text, angles.initialisation_of(text))
            _start_layer(change, layer.adapter_tensors(adapter), begin)


def places_of(change: Change) -> Iterator[angles.AnglePosition]:
    """Yield the positions of the angles of one layer."""
    for name, circuits in change.angle_circuits().items():
        first = 0
        for circuit in circuits:
            yield angles.AnglePosition(circuit, change.layer.name, name, first)
            first += circuit.n_params


@torch.no_grad()
def _start_layer(
    change: Change, tensors: dict[str, Tensor], begin: angles.AngleInitialisation
) -> None:
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
                f"{name!r} at {change.layer.name} must have shape {shapes.get(name, 'none')}, got "
                f"{tuple(tensor.shape)} from the run of `angles`. Use the settings of that run."
            )
