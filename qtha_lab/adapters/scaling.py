"""Scaling factor s of a method's change, for any config."""

import math

from peft import PeftConfig


def scale_of(config: PeftConfig) -> float | None:
    """Return the factor alpha / r, or alpha / √r; None without such a factor.

    Example:
        >>> from peft import LoraConfig
        >>> scale_of(LoraConfig(r=2)), scale_of(LoraConfig(r=4, lora_alpha=8, use_rslora=True))
        (4.0, 4.0)
    """
    scale = getattr(config, "scale", None)
    if isinstance(scale, int | float):
        return float(scale)
    r = getattr(config, "r", None)
    alpha = getattr(config, "lora_alpha", getattr(config, "alpha", None))
    if not isinstance(r, int) or not isinstance(alpha, int | float):
        return None
    return alpha / (math.sqrt(r) if getattr(config, "use_rslora", False) else r)
