"""Scaling of a comparison's methods: alpha = 2 r if a method's options omit alpha.

PEFT's default for LoRA's alpha does not depend on r. The scale s = alpha / r would be 8 at r = 2
and 0.6 at r = 27, beside QTHA's 2. A comparison of ranks would then be a comparison of scales.
"""

from __future__ import annotations

from typing import Literal

from qtha_lab.experiment.method_choice import MethodChoice
from qtha_lab.experiment.method_options import ALPHAS

Rule = Literal["2r", "as_given"]


def scaled(choice: MethodChoice, rule: Rule) -> MethodChoice:
    """Return a method with the scale of a comparison.

    Args:
        choice: Method; an alpha among its options is not changed.
        rule: "2r", or "as_given" for the method's default.

    Example:
        >>> scaled(MethodChoice.parse("lora(r=2)"), "2r").label
        'lora(r=2,lora_alpha=4)'
        >>> scaled(MethodChoice.parse("qtha(r=2)"), "2r").label  # whose default is 2 r already
        'qtha(r=2)'
    """
    r = choice.options.get("r")
    if rule == "as_given" or not isinstance(r, int) or isinstance(r, bool):
        return choice  # at the default r, every default alpha is 2 r
    from qtha_lab.adapters import get_method

    settings = get_method(choice.name).settings()
    for name in ALPHAS:
        declared = settings.get(name)
        if declared is None or declared.default is None or name in choice.options:
            continue
        if 2 * r != declared.default:
            return choice.replace(options=choice.options | {name: 2 * r})
    return choice
