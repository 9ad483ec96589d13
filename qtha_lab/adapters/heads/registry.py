"""Interface and registry of classification heads.

A head is a dataclass of settings with the functions of `Head`, decorated with `@head(...)`, in a
file of its own in this folder. `layer` puts heads on models.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast

import torch
from torch import nn

from qtha_lab.core import call_syntax
from qtha_lab.core.registry import Registry
from qtha_lab.core.settings import Setting, check_settings, settings_of, unknown

if TYPE_CHECKING:
    from torch import nn

    from qtha_lab.circuits import Circuit


class Head(ABC):
    """Classification head with its settings; subclasses are frozen dataclasses.

    Attributes:
        name: Name in the setting `head`.
        reads_tokens: Whether the head reads the states of all tokens, instead of one vector per
            row.
    """

    name: ClassVar[str]
    reads_tokens: ClassVar[bool] = False

    @abstractmethod
    def module(self, in_features: int, n_classes: int) -> nn.Module:
        """Build the network from features to logits, with equal initial logits for all classes.

        The network maps (rows, in_features) to (rows, n_classes). With `reads_tokens` it maps
        (rows, tokens, in_features) and a mask (rows, tokens), 1 at tokens and 0 at padding.
        """

    @abstractmethod
    def n_parameters(self, in_features: int, n_classes: int) -> int:
        """Count the trained parameters by the formula of the head's module docstring."""

    def circuits(self) -> Sequence[Circuit]:
        """Return the circuits that the head runs; empty for classical heads."""
        return ()

    def check(self) -> None:  # noqa: B027  optional for subclasses
        """Refuse settings that contradict each other."""

    @property
    def text(self) -> str:
        """Call of the head with every setting, in the form that `head_named` parses."""
        fields = dataclasses.fields(cast("Any", self))
        settings = {field.name: getattr(self, field.name) for field in fields}
        return call_syntax.call(self.name, settings)


@dataclasses.dataclass(frozen=True)
class HeadInfo:
    """Declaration of a head (see `head`)."""

    name: str
    summary: str
    equation: str
    source: str
    make: type[Head]
    example: str

    @property
    def settings(self) -> dict[str, Setting]:
        """Settings that the head accepts."""
        return settings_of(self.make)


HEADS: Registry[HeadInfo] = Registry(
    "head", "qtha_lab.adapters.heads", group="qtha_lab.adapters.heads"
)
HeadClass = TypeVar("HeadClass", bound=type[Head])


def head(
    name: str, *, summary: str, equation: str, source: str, example: str = ""
) -> Callable[[HeadClass], HeadClass]:
    """Register a `Head` dataclass as a classification head.

    Args:
        name: Name in the setting `head`.
        summary: Description in one sentence.
        equation: Formula of the logits, in one line.
        source: Paper or code of the head.
        example: Example call for forms; defaults to the name.
    """

    def register(make: HeadClass) -> HeadClass:
        make.name = name
        info = HeadInfo(name, summary, equation, source, make, example or name)
        HEADS.add(name, info, make.__module__)
        return make

    return register


def head_named(text: str) -> Head:
    """Return the head that a call describes.

    Raises:
        Refusal: If there is no such head or setting, or a value is outside its limits.

    Example:
        >>> head_named("mlp").text
        'mlp(hidden=32,between=silu)'
        >>> head_named("circuit(n=0)")
        Traceback (most recent call last):
        qtha_lab.core.errors.Refusal: head circuit: n must be at least 1, got 0.
    """
    name, options = call_syntax.parse_call(text, "head")
    info = HEADS.get_or_refuse(name)
    for option, value in options.items():
        if option not in info.settings:
            raise unknown(f"setting of head {name}:", option, info.settings)
        dataclasses.replace(info.settings[option], name=f"head {name}: {option}").check(value)
    head_: Any = info.make(**options)
    check_settings(head_)
    head_.check()
    return head_


@torch.no_grad()
def zero_(layer: nn.Linear) -> nn.Linear:
    """Set a layer to zero in place, and return the layer.

    Example:
        >>> zero_(nn.Linear(2, 3))(torch.ones(1, 2)).tolist()
        [[0.0, 0.0, 0.0]]
    """
    layer.weight.zero_()
    if layer.bias is not None:
        layer.bias.zero_()
    return layer


def freeze_(module: nn.Module) -> None:
    """Convert a module's own parameters to buffers; submodules stay unchanged.

    PEFT trains all parameters of a head, but no buffers.

    Example:
        >>> layer = nn.Linear(2, 2)
        >>> freeze_(layer)
        >>> list(layer.parameters()), list(layer.state_dict())
        ([], ['weight', 'bias'])
    """
    for name, parameter in list(module.named_parameters(recurse=False)):
        delattr(module, name)
        module.register_buffer(name, parameter.detach())
