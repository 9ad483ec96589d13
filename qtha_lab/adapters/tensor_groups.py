"""Groups of an adapter's tensors, for separate learning rates and training phases.

The groups are A, B, cores, angles and others.
"""

from __future__ import annotations

import re

from torch import nn

from qtha_lab.adapters.peft import OUR_METHODS

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
