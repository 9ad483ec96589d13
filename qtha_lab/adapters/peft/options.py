"""Options of PEFT's LoRA at our methods: accepted names and refused options."""

import functools
from collections.abc import Mapping
from typing import Any

from qtha_lab.core.errors import Refusal

NAMES = {"lora_alpha": "alpha", "lora_dropout": "dropout"}
"""Our names of LoRA's settings."""

REMEDIES = {
    "target_parameters": "Use PEFT's LoraConfig for experts that are parameters.",
    "trainable_token_indices": "Use modules_to_save with the embedding, or PEFT's LoraConfig.",
    "layer_replication": "Replicate the layers of the model first, or use PEFT's LoraConfig.",
    "ensure_weight_tying": "Name one of the tied modules only, or use PEFT's LoraConfig.",
    "megatron_config": "Use PEFT's LoraConfig.",
    "use_dora": "Use the method dora.",
    "lora_bias": "Use PEFT's LoraConfig.",
}


def with_our_names(options: Mapping[str, Any], known: Mapping[str, Any] | set[str]) -> dict:
    """Return options under our names, and refuse those of LoRA without a counterpart.

    Raises:
        Refusal: With the remedy.

    Example:
        >>> with_our_names({"r": 4, "lora_alpha": 8}, {"r", "alpha"})
        {'r': 4, 'alpha': 8}
        >>> with_our_names({"target_parameters": ["gate_up_proj"]}, {"r"})
        Traceback (most recent call last):
        qtha_lab.core.errors.Refusal: target_parameters must be empty for this method, got ...
    """
    named: dict[str, Any] = {}
    for name, value in options.items():
        if name in REMEDIES and name not in known:
            if value:
                raise Refusal(
                    f"{name} must be empty for this method, got {value!r:.80}. {REMEDIES[name]}"
                )
            continue
        ours = NAMES.get(name, name)
        if name in known or ours not in known:
            ours = name
        if ours in named or (ours != name and ours in options):
            raise Refusal(f"{ours} must be set once, got {name} beside it.")
        named[ours] = value
    return named


def accept_lora_names(config_class: type) -> None:
    """Make a config class accept the names of `NAMES`, and refuse the options of `REMEDIES`."""
    initialise = config_class.__init__
    if hasattr(initialise, "__wrapped__"):
        return

    @functools.wraps(initialise)
    def renamed(self, *values: Any, **options: Any) -> None:
        known = set(config_class.__dataclass_fields__)
        initialise(self, *values, **with_our_names(options, known))

    config_class.__init__ = renamed
