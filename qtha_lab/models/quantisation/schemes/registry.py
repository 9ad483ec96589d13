"""What a way to few bits is, and the family of them by name.

A way is a dataclass of settings with the functions of `Rounding`, decorated with `@bits(...)`: one file
beside this one. Loads no torch before a way is used.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from qtha_lab.core import call_syntax as calls
from qtha_lab.core.registry import Registry
from qtha_lab.core.settings import Setting, check_settings, settings_of, unknown

if TYPE_CHECKING:
    from torch import Tensor, nn

    from qtha_lab.models.quantisation.calibration import Batch


class Rounding(ABC):
    """One way to few bits with its settings; subclasses are dataclasses.

    Weights are fake-quantised: they lie on a grid of few bits and are kept in the model's own precision, so no
    memory is saved.
    """

    name: ClassVar[str]
    calibrates: ClassVar[bool] = False  # whether `learn` reads rows

    def check(self, model: nn.Module) -> None:  # noqa: B027  most take every layer
        """Refuse a model with a layer that cannot take these bits.

        Args:
            model: May be on the meta device.

        Raises:
            Refusal: With the layer.
        """

    def learn(self, model: nn.Module, batches: Sequence[Batch]) -> dict[str, Tensor]:
        """What calibration rows say, as tensors that `apply` reads; kept on the disk for the next time.

        Args:
            model: Whole; left as it was.
            batches: Rows to look at.
        """
        return {}

    @abstractmethod
    def apply(self, model: nn.Module, learnt: Mapping[str, Tensor]) -> None:
        """Round a model in place; the same numbers for the same model and tensors.

        Args:
            model: Whole.
            learnt: As `learn` gave it.
        """

    @property
    def text(self) -> str:
        """The call with every setting."""
        settings = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}  # pyright: ignore[reportArgumentType]
        return calls.call(self.name, settings)


@dataclasses.dataclass(frozen=True)
class SchemeInfo:
    """A way as declared (see `bits`)."""

    name: str
    summary: str
    source: str
    make: type[Rounding]
    example: str

    @property
    def settings(self) -> dict[str, Setting]:
        """What it can be told."""
        return settings_of(self.make)


BITS: Registry[SchemeInfo] = Registry(
    "quantization", "qtha_lab.models.quantisation.schemes", group="qtha_lab.bits"
)
Way = TypeVar("Way", bound=type[Rounding])


def bits(name: str, *, summary: str, source: str, example: str = "") -> Callable[[Way], Way]:
    """Register a dataclass of settings with the functions of `Rounding` as a way to few bits.

    Args:
        name: What `quantization` calls it.
        summary: What it does, in a sentence.
        source: Where it is taken from.
        example: A call that forms offer; else the name.

    Raises:
        Refusal: If another file has registered the name.
    """

    def register(make: Way) -> Way:
        make.name = name
        BITS.add(name, SchemeInfo(name, summary, source, make, example or name), make.__module__)
        return make

    return register


def rounding_named(text: str) -> Rounding:
    """The way that a call describes.

    Args:
        text: `name` or `name(setting=value,…)`.

    Raises:
        Refusal: If there is no such way or setting, or a value is outside its limits.

    Example:
        >>> rounding_named("round(w=3)").text
        'round(w=3,g=64,clip=whole)'
        >>> rounding_named("rotated(w=9)")
        Traceback (most recent call last):
        qtha_lab.core.errors.Refusal: quantization rotated: w must be one of 2, 3, 4, 5, 6, 7, 8, 16, not 9
    """
    name, options = calls.parse_call(text, "quantization")
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
