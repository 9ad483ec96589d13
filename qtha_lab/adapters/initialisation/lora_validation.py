"""Checks of a LoRA initialisation before a weight is loaded.

Checks rows, layers, their sizes and number formats.
"""

from __future__ import annotations

from collections import Counter

from peft import PeftConfig
from peft.tuners.tuners_utils import check_target_module_exists
from torch import nn

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

    Raises:
        Refusal: With the rule and the value.
    """
    start, name = lora_initialisation(config), getattr(config, "init_lora_weights", True)
    if name is True or (start == LORA_INITIALISATIONS[True] and name != "orthogonal"):
        return
    text, r = f"init_lora_weights={name}", getattr(config, "r", 1)
    if start.reads_rows and start_rows < 1:
        raise Refusal(
            f"{text} reads training rows: start_rows must be at least 1, not {start_rows}"
        )
    if name == "orthogonal" and r % 2:
        raise Refusal(f"{text} pairs the rows of A and B: r must be even, not {r}")
    if name != "eva" and quantization != "none":
        raise Refusal(f"{text} needs the weights as they were made: quantization must be none, not {quantization}")  # fmt: skip
    if start.moves_weight and precision != "float32":
        raise Refusal(
            f"{text} takes a part out of the base's weights, which {precision} would round away: "
            "precision must be float32"
        )
    uses = Counter(id(p) for module in model.modules() for p in module._parameters.values())
    for place, module in model.named_modules():
        if place and check_target_module_exists(config, place):
            _check_layer(place, module, text, start.at_most * r)
            if start.moves_weight and uses[id(module.weight)] > 1:
                raise Refusal(
                    f"{text} takes a part out of the weight of {place}, which another module of the model uses too: "
                    "leave it out of target_modules"
                )


def _check_layer(place: str, module: nn.Module, text: str, least: int) -> None:
    kinds = (nn.Linear,) if text.endswith("olora") else LINEAR
    if not isinstance(module, kinds):
        names = " or ".join(kind.__name__ for kind in kinds)
        raise Refusal(
            f"{text} starts layers of {names}, and {place} is a {type(module).__name__}: "
            "choose other target_modules"
        )
    smaller = min(layer_sizes(module, place))
    if smaller < least:
        factor = "" if "lora_ga" not in text else "2 "
        raise Refusal(
            f"{text} needs {factor}r of at most {smaller}, the smaller size of {place}, not {least}"
        )
