"""Method with its chosen options, learning rate and layers.

`method_groups` expands groups of methods; `experiment` describes the training.
"""

from __future__ import annotations

import logging
import re
from typing import Annotated, Any

from pydantic import Field, PlainValidator, field_validator

from qtha_lab.core import call_syntax as calls
from qtha_lab.core.errors import Refusal
from qtha_lab.experiment import method_options as canonical
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

    name: str = Field(default="qtha", description="Fine-tuning method.")
    learning_rate: float | None = Field(
        default=None, gt=0, description="Peak learning rate; empty takes the method's own default."
    )
    target_modules: list[str] | None = Field(
        default=None,
        min_length=1,
        description="Names of the layers to adapt, or all-linear; empty takes the model's "
        "usual ones.",
    )
    title: str = Field(
        default="",
        max_length=60,
        description="Title in curves, tables and legends; empty uses the method with its options.",
    )
    options: dict[str, Option] = Field(
        default_factory=dict, description="Settings of the method that differ from its defaults."
    )

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
        return calls.call(
            self.name, canonical.written_out(self.name, self.options) | self._placed()
        )

    @property
    def as_chosen(self) -> str:
        """Label with the options in their original order and form; loads no method."""
        return calls.call(self.name, self.options | self._placed())

    @property
    def meaning(self) -> str:
        """Label without title and default values.

        Equal for two choices that train the same.
        """
        differing = canonical.without_defaults(self.name, self.options)
        placed = {name: value for name, value in self._placed().items() if name != "title"}
        return calls.call(self.name, differing | placed)

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
        name, options = calls.parse_call(text, "method")
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
