"""Interface and registry of weight quantisation schemes.

A scheme is a dataclass of settings with the functions of `Rounding`, decorated with `@bits(...)`,
in a file of its own in this folder. Torch is imported only when a scheme is used.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast

from qtha_lab.core import call_syntax
from qtha_lab.core.registry import Registry
from qtha_lab.core.settings import Setting, check_settings, settings_of, unknown

if TYPE_CHECKING:
    from torch import Tensor, nn

    from qtha_lab.models.quantisation.calibration import Batch


class Rounding(ABC):
    """Quantisation scheme with its settings; subclasses are dataclasses.

    Weights are fake-quantised: they lie on a grid of few bits and keep the model's own precision,
    so no memory is saved.
    """

    name: ClassVar[str]
    calibrates: ClassVar[bool] = False  # whether `learn` needs calibration rows

    def check(self, model: nn.Module) -> None:  # noqa: B027  most schemes accept every layer
        """Refuse a model with a layer that the scheme cannot quantise."""

    def learn(self, model: nn.Module, batches: Sequence[Batch]) -> dict[str, Tensor]:
        """Calibrate on rows and return the tensors that `apply` reads; the result is cached."""
        return {}

    @property
    def rounds_changes(self) -> bool:
        """True if the change of an adapter is added to the weight before rounding."""
        return False

    @abstractmethod
    def apply(self, model: nn.Module, learnt: Mapping[str, Tensor]) -> None:
        """Round a model in place; deterministic for given model and tensors."""

    @property
    def text(self) -> str:
        """Call of the scheme with every setting."""
        fields = dataclasses.fields(cast("Any", self))
        settings = {field.name: getattr(self, field.name) for field in fields}
        return call_syntax.call(self.name, settings)


@dataclasses.dataclass(frozen=True)
class SchemeInfo:
    """Declaration of a quantisation scheme (see `bits`)."""

    name: str
    summary: str
    source: str
    make: type[Rounding]
    example: str

    @property
    def settings(self) -> dict[str, Setting]:
        """Settings that the scheme accepts."""
        return settings_of(self.make)


BITS: Registry[SchemeInfo] = Registry(
    "quantization", "qtha_lab.models.quantisation.schemes", group="qtha_lab.bits"
)
SchemeClass = TypeVar("SchemeClass", bound=type[Rounding])


def bits(
    name: str, *, summary: str, source: str, example: str = ""
) -> Callable[[SchemeClass], SchemeClass]:
    """Register a `Rounding` dataclass as a quantisation scheme.

    Args:
        name: Name in the setting `quantization`.
        summary: Description in one sentence.
        source: Paper or code of the scheme.
        example: Example call for forms; defaults to the name.
    """

    def register(make: SchemeClass) -> SchemeClass:
        make.name = name
        BITS.add(name, SchemeInfo(name, summary, source, make, example or name), make.__module__)
        return make

    return register


def rounding_named(text: str) -> Rounding:
    """Return the quantisation scheme that a call describes.

    Example:
        >>> rounding_named("round(w=3)").text
        'round(w=3,g=64,clip=whole)'
        >>> rounding_named("rotated(w=9)")
        Traceback (most recent call last):
        qtha_lab.core.errors.Refusal: quantization rotated: w must be one of 2, 3, 4, ...
    """
    name, options = call_syntax.parse_call(text, "quantization")
    info = BITS.get_or_refuse(name)
    for option, value in options.items():
        if option not in info.settings:
            raise unknown(f"setting of quantization {name}:", option, info.settings)
        dataclasses.replace(info.settings[option], name=f"quantization {name}: {option}").check(
            value
        )
    rounding: Any = info.make(**options)
    check_settings(rounding)
    return rounding
