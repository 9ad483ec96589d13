"""What a start of angles is, and the family of them by name.

Holds no start: each lies in a file of its own beside this one. A start changes no loss at step 0,
since the adapters' change is zero there whatever the angles: it shows in the curve alone.
"""

import dataclasses
import math
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from jaxtyping import Float
from torch import Tensor

from qtha_lab.circuits import Circuit
from qtha_lab.core.errors import Refusal
from qtha_lab.core.registry import Registry
from qtha_lab.core.settings import setting

UNIFORM = "uniform"


@dataclasses.dataclass(frozen=True)
class Place:
    """Where angles stand.

    Args:
        circuit: Whose angles they are.
        layer: Name of the adapted layer in the model.
        tensor: Name that the method gave to the tensor that holds them.
        first: How many angles of other circuits stand before them in that tensor.
    """

    circuit: Circuit
    layer: str = ""
    tensor: str = "params"
    first: int = 0


class Start(ABC):
    """Angles of a circuit before the first step.

    Attributes:
        is_resolved: Whether it reads files: it is then resolved once, by the worker, and the angles
            are saved with the adapter, so that loading one needs no file. Others are drawn with the
            rest.
        argument: What stands in the brackets of its name; empty if it takes nothing.
    """

    is_resolved: ClassVar[bool] = False

    def __init__(self, argument: str = ""):
        self.argument = argument

    def check_circuit(self, circuit: Circuit) -> None:  # noqa: B027  most take any
        """Refuse a kind of circuit that it has no angles for; reads no file.

        Args:
            circuit: Of the method, maybe of another size than those of the layers.

        Raises:
            Refusal: With one sentence.
        """

    def check(self, place: Place) -> None:
        """Refuse before any work starts what `angles` would refuse; by making them, where that is quick.

        Args:
            place: Where they are to stand.

        Raises:
            Refusal: If a file is missing or does not fit; with one sentence.
        """
        self.angles(place, None)

    @abstractmethod
    def angles(
        self, place: Place, uniform: Float[Tensor, "n_params"] | None
    ) -> Float[Tensor, "n_params"]:
        """The angles, in radians.

        Args:
            place: Where they are to stand; some starts read its circuit, some the layer's name.
            uniform: Angles drawn uniformly in ±π with the seed of the run; None where only the fit
                is asked for, by `check`.
        """

    def beside(self, layer: str) -> Mapping[str, Tensor]:
        """Other tensors of the layer that mean nothing without these angles, by name; none for most."""
        return {}


@dataclasses.dataclass(frozen=True)
class StartInfo:
    """A start as declared: how its name is written, and a sentence on it."""

    name: str
    form: str
    summary: str
    source: str
    make: Callable[[str], Start]

    @property
    def takes(self) -> str:
        """What stands in its brackets, such as "FILE"; empty for nothing."""
        return self.form.partition("(")[2].rstrip(")")


STARTS: Registry[StartInfo] = Registry(
    "start",
    "qtha_lab.adapters.initialisation.angles",
    group="qtha_lab.adapters.initialisation.angles",
)
_FORM = re.compile(r"\s*(\w+)\s*(?:\((.*)\))?\s*", re.DOTALL)


def start(form: str, *, summary: str, source: str) -> Callable[[type[Start]], type[Start]]:
    """Register the class below as a start of angles.

    Args:
        form: How it is asked for: "small", or "run(RUN)" where something stands in brackets.
        summary: The start in one sentence.
        source: Where it is taken from.

    Raises:
        Refusal: If another file has registered the name.
    """

    def register(make: type[Start]) -> type[Start]:
        name = form.partition("(")[0]
        STARTS.add(name, StartInfo(name, form, summary, source, make), make.__module__)
        return make

    return register


def names() -> list[str]:
    """How all starts are asked for, in alphabetical order.

    Example:
        >>> names()[-2:]
        ['small', 'uniform']
    """
    return [info.form for info in STARTS.values()]


def initialisation_of(text: str) -> Start:
    """The start that a text asks for; reads no file.

    Raises:
        Refusal: If there is none of the name, or its brackets hold nothing or too much.

    Example:
        >>> start_of("smal")
        Traceback (most recent call last):
        qtha_lab.core.errors.Refusal: unknown start 'smal': did you mean 'small'? Known: ...
        >>> start_of("run")
        Traceback (most recent call last):
        qtha_lab.core.errors.Refusal: start 'run' must read run(RUN), not 'run'
    """
    match = _FORM.fullmatch(text)
    if not match:
        raise Refusal(f"angles must be one of {', '.join(names())}, not {text!r}")
    info = STARTS.get_or_refuse(match[1])
    argument = (match[2] or "").strip().strip("'\"")
    if bool(info.takes) != bool(argument):
        raise Refusal(f"start {info.name!r} must read {info.form}, not {text!r}")
    return info.make(argument)


def angles_setting() -> Any:
    """The setting `angles`, for the config of every method with a circuit."""
    return setting(
        UNIFORM,
        "Where the angles start: uniform in ±π, small, those of a run, or as a file or a matrix product "
        "state says: uniform, small, run(RUN), flip(FILE), mps(RUN).",
    )


def check_initialisation(text: str, circuits: Sequence[Circuit], instead: str = "") -> None:
    """Refuse what can be refused of a method's `angles` without reading a file.

    Args:
        text: The setting.
        circuits: Of the method, of any size; none where something else is in their place.
        instead: What that is, such as "stand_in='silu'".

    Raises:
        Refusal: If there is no such start, no circuit, or the circuit is of a kind that it cannot
            start.
    """
    begin = initialisation_of(text)
    if text != UNIFORM and not circuits:
        raise Refusal(f"angles={text!r} starts a circuit, and {instead} has none: leave angles out")
    for circuit in circuits:
        begin.check_circuit(circuit)


def draw(params: Tensor, text: str, circuits: Sequence[Circuit]) -> None:
    """Fill a tensor of angles in place, with as many random numbers whatever the start.

    So two starts of one seed differ in the angles and in nothing else. What reads files is left
    uniform, for `angle_start.start_angles` to resolve.

    Args:
        params: The angles of all circuits, one after another.
        text: The setting `angles`.
        circuits: Whose they are.
    """
    params.uniform_(-math.pi, math.pi)
    begin = initialisation_of(text)
    if text == UNIFORM or begin.is_resolved:
        return
    first = 0
    for circuit in circuits:
        part = params[first : first + circuit.n_params]
        part.copy_(begin.angles(Place(circuit, first=first), part))
        first += circuit.n_params
