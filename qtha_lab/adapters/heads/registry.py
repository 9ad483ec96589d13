"""What a head is, and the family of them by name.

A head is a dataclass of settings with the functions of `Head`, decorated with `@head(...)`: one
file beside this one. Puts none on a model: `layer` does.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from qtha_lab.core import call_syntax as calls
from qtha_lab.core.registry import Registry
from qtha_lab.core.settings import Setting, check_settings, settings_of, unknown

if TYPE_CHECKING:
    from torch import nn

    from qtha_lab.circuits import Circuit


class Head(ABC):
    """One head with its settings; subclasses are frozen dataclasses.

    Attributes:
        name: What `head` calls it.
        reads_tokens: Whether it reads the states of all tokens, else the one vector that stands for
            a row.
    """

    name: ClassVar[str]
    reads_tokens: ClassVar[bool] = False

    @abstractmethod
    def module(self, in_features: int, n_classes: int) -> nn.Module:
        """The network from features to logits, which are equal for all classes at the start.

        It maps (rows, in_features), or with `reads_tokens` (rows, tokens, in_features) and a mask
        of the tokens that are none of padding, (rows, tokens), to (rows, n_classes).

        Args:
            in_features: Numbers of a feature vector.
            n_classes: Logits.
        """

    @abstractmethod
    def n_parameters(self, in_features: int, n_classes: int) -> int:
        """Trained numbers, by the formula of the head's docstring.

        Args:
            in_features: Numbers of a feature vector.
            n_classes: Logits.
        """

    def circuits(self) -> Sequence[Circuit]:
        """The circuits that it runs; none for most."""
        return ()

    def check(self) -> None:  # noqa: B027  most take all that is within the limits
        """Refuse settings that contradict each other.

        Raises:
            Refusal: With the rule and the value.
        """

    @property
    def text(self) -> str:
        """The call with every setting, as `head_named` reads it."""
        settings = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}  # pyright: ignore[reportArgumentType]
        return calls.call(self.name, settings)


@dataclasses.dataclass(frozen=True)
class HeadInfo:
    """A head as declared (see `head`)."""

    name: str
    summary: str
    equation: str
    source: str
    make: type[Head]
    example: str

    @property
    def settings(self) -> dict[str, Setting]:
        """What it can be told."""
        return settings_of(self.make)


HEADS: Registry[HeadInfo] = Registry(
    "head", "qtha_lab.adapters.heads", group="qtha_lab.adapters.heads"
)
Made = TypeVar("Made", bound=type[Head])


def head(
    name: str, *, summary: str, equation: str, source: str, example: str = ""
) -> Callable[[Made], Made]:
    """Register a frozen dataclass of settings with the functions of `Head`.

    Args:
        name: What the setting `head` calls it.
        summary: What it does, in a sentence.
        equation: Logits of the features, in one line.
        source: Where it is taken from.
        example: A call that forms offer; else the name.

    Raises:
        Refusal: If another file has registered the name.
    """

    def register(make: Made) -> Made:
        make.name = name
        info = HeadInfo(name, summary, equation, source, make, example or name)
        HEADS.add(name, info, make.__module__)
        return make

    return register


def head_named(text: str) -> Head:
    """The head that a call describes.

    Args:
        text: `name` or `name(setting=value,…)`.

    Raises:
        Refusal: If there is no such head or setting, or a value is outside its limits.

    Example:
        >>> head_named("mlp").text
        'mlp(hidden=32,between=silu)'
        >>> head_named("circuit(n=0)")
        Traceback (most recent call last):
        qtha_lab.core.errors.Refusal: head circuit: n must be at least 1, not 0
    """
    name, options = calls.parse_call(text, "head")
    info = HEADS.get_or_refuse(name)
    for option, value in options.items():
        if option not in info.settings:
            raise unknown(f"setting of head {name}:", option, info.settings)
        dataclasses.replace(info.settings[option], name=f"head {name}: {option}").check(value)
    head_: Any = info.make(**options)
    check_settings(head_)
    head_.check()
    return head_
