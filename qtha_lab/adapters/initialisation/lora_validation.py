"""Checks of a LoRA initialisation before a weight is loaded.

Checks rows, layers, their sizes and number formats.
"""

from __future__ import annotations

from collections import Counter

from peft import PeftConfig
from peft.tuners.tuners_utils import check_target_module_exists
from torch import nn

from qtha_lab.adapters.adapted_model import with_named_targets
from qtha_lab.adapters.initialisation.lora import LORA_INITIALISATIONS, lora_initialisation
from qtha_lab.adapters.peft.base_layer import LINEAR, layer_sizes
from qtha_lab.core.errors import Refusal


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
