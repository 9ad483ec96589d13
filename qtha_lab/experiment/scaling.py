"""One scale for all methods of a comparison: alpha = 2 r wherever a method's options leave it open.

PEFT keeps LoRA's alpha at its default whatever r is, so s = alpha / r would be 8 at r = 2 and 0.6 at r = 27 beside
QTHA's 2, and a comparison of ranks would be one of scales.
"""

from __future__ import annotations

from typing import Literal

from qtha_lab.experiment.method_choice import MethodChoice
from qtha_lab.experiment.method_options import ALPHAS

Rule = Literal["2r", "as_given"]


def scaled(choice: MethodChoice, rule: Rule) -> MethodChoice:
    """A method as a comparison trains it.

    Args:
        choice: The method; an alpha among its options stays.
        rule: "2r", or "as_given": its own default.

    Example:
        >>> scaled(MethodChoice.parse("lora(r=2)"), "2r").label
        'lora(r=2,lora_alpha=4)'
        >>> scaled(MethodChoice.parse("qtha(r=2)"), "2r").label  # whose default is 2 r already
        'qtha(r=2)'
    """
    r = choice.options.get("r")
    if rule == "as_given" or not isinstance(r, int) or isinstance(r, bool):
        return choice  # at the default r every default alpha is 2 r
    from qtha_lab.adapters import get_method

    settings = get_method(choice.name).settings()
    for name in ALPHAS:
        declared = settings.get(name)
        if declared is None or declared.default is None or name in choice.options:
            continue
        if 2 * r != declared.default:
            return choice.replace(options=choice.options | {name: 2 * r})
    return choice
