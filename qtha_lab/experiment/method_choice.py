"""Method with its chosen settings, groups of methods, and their scale.

A group is `all`, or a method with its controls as `qtha(r=4)+controls`. PEFT's default
for LoRA's alpha does not depend on r: the scale alpha / r would be 8 at r = 2 and 0.6 at r = 27,
beside QTHA's 2. A comparison of ranks would then be a comparison of scales.
"""

from __future__ import annotations

import logging
import re
from typing import Annotated, Any, Literal

from pydantic import Field, PlainValidator, field_validator

from qtha_lab.core import call_syntax
from qtha_lab.core.errors import Refusal
from qtha_lab.experiment import method_list
from qtha_lab.experiment.method_list import ALPHAS
from qtha_lab.experiment.validated_model import Declared, option

log = logging.getLogger(__name__)

Option = Annotated[Any, PlainValidator(option)]
PLACED = (
    "learning_rate",
    "target_modules",
    "title",
)  # stated beside the options; the title is last in a label


class MethodChoice(Declared):
    """Fine-tuning method with its chosen settings.

    Example:
        >>> MethodChoice.parse("qtha(r=4,waist=16,learning_rate=0.02)").options
        {'r': 4, 'waist': 16}
        >>> MethodChoice(name="qtha", options={"waist": 16, "r": 4}).label
        'qtha(r=4,waist=16)'
    """

    name: str = "qtha"
    """Fine-tuning method."""
    learning_rate: float | None = Field(default=None, gt=0)
    """Peak learning rate; empty takes the method's own default."""
    target_modules: list[str] | None = Field(default=None, min_length=1)
    """Names of the layers to adapt, or all-linear; empty takes the model's usual ones."""
    title: str = Field(default="", max_length=60)
    """Title in curves, tables and legends; empty uses the method with its options."""
    options: dict[str, Option] = Field(default_factory=dict)
    """Settings of the method that differ from its defaults."""

    @field_validator("options")
    @classmethod
    def _beside_the_options(cls, options: dict[str, Option]) -> dict[str, Option]:
        for name in cls.model_fields.keys() & options.keys():
            raise Refusal(f"{name} must stand beside the options, got it among them.")
        return options

    @field_validator("title")
    @classmethod
    def _fits_a_label(cls, title: str) -> str:
        if re.search(r"""['"\n\r]""", title):
            raise Refusal(
                f"The title must hold no quotation mark and no line break, got {title!r:.60}."
            )
        return title.strip()

    @property
    def label(self) -> str:
        """Method name with all chosen settings in declared order; `parse` reads it."""
        return call_syntax.call(
            self.name, method_list.written_out(self.name, self.options) | self._placed()
        )

    @property
    def as_chosen(self) -> str:
        """Label with the options in their original order and form; loads no method."""
        return call_syntax.call(self.name, self.options | self._placed())

    @property
    def meaning(self) -> str:
        """Label without title and default values.

        Equal for two choices that train the same.
        """
        differing = method_list.without_defaults(self.name, self.options)
        placed = {name: value for name, value in self._placed().items() if name != "title"}
        return call_syntax.call(self.name, differing | placed)

    @property
    def peak_learning_rate(self) -> float:
        """Chosen learning rate, or the method's default."""
        from qtha_lab.adapters import get_method

        return self.learning_rate or get_method(self.name).learning_rate_of(self.options)

    @classmethod
    def parse(cls, text: str) -> MethodChoice:
        """Parse `name` or `name(option=value,…)`.

        The options may include `learning_rate`, `target_modules` and `title`.

        Example:
            >>> MethodChoice.parse("qtha_gradient(middle=none)").options  # one of its choices
            {'middle': 'none'}
        """
        name, options = call_syntax.parse_call(text, "method")
        options = _with_choices_named_none(name, options)
        placement = {key: options.pop(key) for key in PLACED if key in options}
        return cls(name=name, options=options, **placement)

    @classmethod
    def of(cls, value: MethodChoice | dict | str) -> MethodChoice:
        """Convert text or fields to a choice; return a choice unchanged."""
        if isinstance(value, str):
            return cls.parse(value)
        return cls(**value) if isinstance(value, dict) else value

    @field_validator("target_modules", mode="before")
    @classmethod
    def _as_a_list(cls, value: Any) -> Any:
        return [value] if value == "all-linear" else value

    @field_validator("target_modules")
    @classmethod
    def _as_a_set(cls, value: list[str] | None) -> list[str] | None:
        return None if value is None else sorted(set(value))

    def __hash__(self) -> int:
        return hash((self.name, *sorted(self.options)))

    def _placed(self) -> dict[str, Any]:
        placement = {name: getattr(self, name) for name in PLACED}
        return {key: value for key, value in placement.items() if value not in (None, "")}


def _with_choices_named_none(method: str, options: dict[str, Any]) -> dict[str, Any]:
    """Interpret a bare `none` as the choice of that name where a setting has one.

    Applies only to settings that cannot be omitted.
    """
    if None not in options.values():
        return options
    from qtha_lab.adapters import get_method

    try:
        settings = get_method(method).settings()
    except Refusal as reason:
        log.debug("its check reports: %s", reason)
        return options
    named = {n for n, s in settings.items() if "none" in s.choices and not s.optional}
    return {n: "none" if v is None and n in named else v for n, v in options.items()}


Scaling = Literal["2r", "as_given"]


def scaled(choice: MethodChoice, rule: Scaling) -> MethodChoice:
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


SUFFIX = "+controls"


def is_family(text: str) -> bool:
    """Return True if a text stands for more than one method.

    Example:
        >>> is_family("all"), is_family("qtha(r=4)+controls"), is_family("qtha")
        (True, True, False)
    """
    return text.strip() == "all" or text.strip().endswith(SUFFIX)


def write_out(texts: list[str | MethodChoice], model: str) -> list[MethodChoice]:
    """Expand texts to their methods in order, without repetition."""
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
