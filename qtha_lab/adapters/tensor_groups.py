"""Groups of an adapter's tensors, and counts of a config on a model.

The groups are A, B, cores, angles and others. They have separate learning rates and training
phases. Counts allocate no weights: the adapters are added to a copy of the model on the meta
device.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from types import MappingProxyType

from peft import PeftConfig
from torch import nn

from qtha_lab.adapters.adapted_model import (
    adapted_skeleton,
    check_targets,
    circuits_on,
    targets_of,
    trainable_on,
    tuner_layer_sizes,
)
from qtha_lab.adapters.peft import OUR_METHODS
from qtha_lab.circuits import Circuit

HEAD = "modules_to_save"  # part of PEFT's names for modules trained whole


def group_of(parameter: str) -> str | None:
    """Return the group of an adapter's parameter by its name; None for other parameters.

    Example:
        >>> group_of("base_model.model.layers.0.q_proj.lora_B.default.weight")
        'B'
        >>> group_of("base_model.model.layers.0.q_proj.qtha_mpo_in_0.default")
        'cores'
        >>> group_of("base_model.model.layers.0.q_proj.qtha_params.default")
        'angles'
    """
    match = re.search(r"\.([A-Za-z0-9_]+)\.default(?:\.weight)?$", parameter)
    if match is None or HEAD in parameter:
        return None
    name = match[1]
    prefixes = (f"{known}_" for known in sorted((*OUR_METHODS, "lora"), key=len, reverse=True))
    name = name.removeprefix(next((p for p in prefixes if name.startswith(p)), ""))
    name = name.removeprefix("shared_")
    if re.fullmatch(r"mpo_\w+|A_\d+_\d+|A_\d", name):
        return "cores"
    if re.fullmatch(r"[AB]_\d+", name):  # shared by all layers of a size
        return name[0]
    return "angles" if name == "params" else name


def adapter_groups(model: nn.Module) -> dict[str, set[int]]:
    """Return the `id` of every trained adapter parameter, by group."""
    groups: dict[str, set[int]] = {}
    for name, parameter in model.named_parameters():
        group = group_of(name) if parameter.requires_grad else None
        if group is not None:
            groups.setdefault(group, set()).add(id(parameter))
    return groups


def trained_groups(model: nn.Module) -> dict[str, set[int]]:
    """Return the `id` of every trained parameter, by group.

    A new classification head is the group `head`.
    """
    groups: dict[str, set[int]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            group = "head" if HEAD in name else group_of(name) or name
            groups.setdefault(group, set()).add(id(parameter))
    return groups


@dataclasses.dataclass(frozen=True)
class Layout:
    """Adapted layers, parameters and circuits of one config on one model.

    Attributes:
        sizes: (in_features, out_features) of every adapted layer, in the model's order.
        trainable: Parameters of all adapters, without a classification head.
        circuits: Number of layers that run each circuit; empty for PEFT's methods.
        groups: Groups of trained tensors, which can have separate learning rates.
    """

    sizes: tuple[tuple[int, int], ...]
    trainable: int
    circuits: Mapping[Circuit, int]
    groups: tuple[str, ...]


def layout_of(model: nn.Module, peft_config: PeftConfig) -> Layout:
    """Add adapters to a copy of the model without weights, and count.

    Example:
        >>> from peft import LoraConfig
        >>> from qtha_lab.models import empty_model
        >>> layout = layout_of(empty_model("tiny"), LoraConfig(r=2, target_modules=["q_proj"]))
        >>> len(layout.sizes), layout.trainable == sum(2 * sum(size) for size in layout.sizes)
        (6, True)
    """
    check_targets(model, targets_of(peft_config))
    adapted = adapted_skeleton(model, peft_config)
    circuits = MappingProxyType(dict(circuits_on(adapted)))
    return Layout(
        tuple(tuner_layer_sizes(adapted)),
        trainable_on(adapted),
        circuits,
        tuple(sorted(adapter_groups(adapted))),
    )
