"""Application of angle initialisations that read files, on a model with its adapter.

The initialisations are in `qtha_lab.adapters.initialisation.angles`. Loading a saved adapter reads
none of their files, since the angles are among the adapter's tensors.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import torch
from peft import PeftConfig
from peft.tuners.tuners_utils import check_target_module_exists
from torch import Tensor, nn

from qtha_lab.adapters.adapted_model import adapted_skeleton, changes_on, with_named_targets
from qtha_lab.adapters.change import Change
from qtha_lab.adapters.initialisation import angles
from qtha_lab.adapters.initialisation.lora import LORA_INITIALISATIONS, lora_initialisation
from qtha_lab.adapters.peft.config import LINEAR, layer_sizes
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


def check_initialisation(
    model: nn.Module,
    config: PeftConfig,
    *,
    start_rows: int,
    quantization: str = "none",
    precision: str = "float32",
) -> None:
    """Refuse an initialisation that is impossible or has no effect on a model.

    Args:
        model: Base model; may be on the meta device.
        config: Config of any method; only LoRA's initialisations are checked.
        start_rows: Number of training rows that the initialisation may read.
        quantization: Quantisation of the base weights, "none" if unquantised.
        precision: Number format of unquantised base weights.
    """
    start, name = lora_initialisation(config), getattr(config, "init_lora_weights", True)
    if name is True or (start == LORA_INITIALISATIONS[True] and name != "orthogonal"):
        return
    text, r = f"init_lora_weights={name}", getattr(config, "r", 1)
    if start.reads_rows and start_rows < 1:
        raise Refusal(
            f"start_rows must be at least 1 for {text}, which reads training rows, got "
            f"{start_rows}."
        )
    if name == "orthogonal" and r % 2:
        raise Refusal(f"r must be even for {text}, which pairs the rows of A and B, got {r}.")
    if name != "eva" and quantization != "none":
        raise Refusal(
            f"quantization must be none for {text}, which needs unrounded weights, got "
            f"{quantization}."
        )
    if start.moves_weight and precision != "float32":
        raise Refusal(
            f"precision must be float32 for {text}, which subtracts a product from the base "
            f"weights, got {precision}."
        )
    config = with_named_targets(model, config)
    uses = Counter(id(p) for module in model.modules() for p in module._parameters.values())
    for place, module in model.named_modules():
        if place and check_target_module_exists(config, place):
            _check_layer(place, module, text, start.at_most * r)
            if start.moves_weight and uses[id(module.weight)] > 1:
                raise Refusal(
                    f"target_modules must not name {place} for {text}, because another module "
                    "uses the same weight."
                )


def _check_layer(place: str, module: nn.Module, text: str, least: int) -> None:
    kinds = (nn.Linear,) if text.endswith("olora") else LINEAR
    if not isinstance(module, kinds):
        names = " or ".join(kind.__name__ for kind in kinds)
        raise Refusal(
            f"target_modules must name layers of {names} for {text}, got {place}, a "
            f"{type(module).__name__}."
        )
    smaller = min(layer_sizes(module, place))
    if smaller < least:
        factor = "" if "lora_ga" not in text else "2 "
        raise Refusal(
            f"{factor}r must be at most {smaller} for {text}, the smaller size of {place}, got "
            f"{least}."
        )
