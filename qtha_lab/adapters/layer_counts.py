"""Layout of a config on a model: layers, parameters and circuits, counted together.

Allocates no weights: the adapters are added to a copy of the model on the meta device. `attach` has
single counts.
"""

from __future__ import annotations

import dataclasses
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
from qtha_lab.adapters.tensor_groups import adapter_groups
from qtha_lab.circuits import Circuit


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
