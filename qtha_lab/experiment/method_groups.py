"""Groups of methods by one word: `all`, or a method with its controls as `qtha(r=4)+controls`.

Expands a group to a list of methods; a description stores the expanded list.
"""

from __future__ import annotations

from qtha_lab.experiment.method_choice import MethodChoice

SUFFIX = "+controls"


def is_family(text: str) -> bool:
    """Return True if a text stands for more than one method.

    Example:
        >>> is_family("all"), is_family("qtha(r=4)+controls"), is_family("qtha")
        (True, True, False)
    """
    return text.strip() == "all" or text.strip().endswith(SUFFIX)


def write_out(texts: list[str | MethodChoice], model: str) -> list[MethodChoice]:
    """Expand texts to their methods in order, without repetition.

    Args:
        texts: Methods, `all`, or a method with `+controls`.
        model: Base model on which a LoRA of equal size is determined.
    """
    from qtha_lab.adapters import get_method, method_names

    choices: list[MethodChoice] = []
    for text in texts:
        if not isinstance(text, str) or not is_family(text):
            choices.append(MethodChoice.parse(text) if isinstance(text, str) else text)
        elif text.strip() == "all":
            for name in method_names():
                choices += with_controls(
                    MethodChoice(name=name), model, lora=get_method(name).compare_with_lora
                )
        else:
            choices += with_controls(MethodChoice.parse(text.strip().removesuffix(SUFFIX)), model)
    return list({choice.meaning: choice for choice in reversed(choices)}.values())[::-1]


def with_controls(choice: MethodChoice, model: str, lora: bool = True) -> list[MethodChoice]:
    """Return a method, its controls, and LoRA at equal r and at equal parameters.

    Both LoRA methods have the method's scale.

    Args:
        choice: Method; its controls share its learning rate and layers.
        model: Base model on which parameters are counted.
        lora: Add the two LoRA methods.
    """
    from qtha_lab.adapters.registry import controls_of

    controls = [
        choice.replace(name=control.method, options=dict(control.options), title="")
        for control in controls_of(choice.name, choice.options)
    ]
    return [choice, *controls, *(_loras(choice, model) if lora else [])]


def _loras(choice: MethodChoice, model: str) -> list[MethodChoice]:
    from qtha_lab import adapters, models
    from qtha_lab.adapters import get_method

    targets = choice.target_modules or models.default_target_modules(model)
    empty = models.empty_model(model, head="causal-lm")
    config = get_method(choice.name).make_config("CAUSAL_LM", targets, **choice.options)
    if getattr(config, "is_open", False):
        config = config.sized_for(adapters.layout_of(empty, config).sizes)
    unit = get_method("lora").make_config("CAUSAL_LM", targets, r=1)
    counts = [adapters.count_trainable(empty, lora) for lora in (config, unit)]
    equal = max(1, round(counts[0] / counts[1]))
    ranks = dict.fromkeys([getattr(config, "r", None) or equal, equal])
    scale = adapters.scale_of(config) or 2
    return [
        MethodChoice(name="lora", options=_at_scale(r, scale), target_modules=choice.target_modules)
        for r in ranks
    ]


def _at_scale(r: int, scale: float) -> dict[str, int | float]:
    """Return LoRA options at r with a given ratio alpha / r."""
    from qtha_lab.adapters import get_method

    alpha = r * scale
    alpha = int(alpha) if float(alpha).is_integer() else alpha
    usual = get_method("lora").settings()["lora_alpha"].default
    return {"r": r} if alpha == usual else {"r": r, "lora_alpha": alpha}
