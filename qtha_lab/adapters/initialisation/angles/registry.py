"""Interface and registry of angle initialisations.

Each initialisation is in a file of its own in this folder. An initialisation does not change the
loss at step 0, since the adapter's change is zero there for all angles. It affects only the later
loss curve.
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
    """Position of angles in a model.

    Args:
        circuit: Circuit of the angles.
        layer: Name of the adapted layer in the model.
        tensor: Method's name of the tensor that holds the angles.
        first: Number of preceding angles in that tensor.
    """

    circuit: Circuit
    layer: str = ""
    tensor: str = "params"
    first: int = 0


class Start(ABC):
    """Initialisation of a circuit's angles.

    Attributes:
        is_resolved: Whether the initialisation reads files. Such angles are resolved once, by the
            worker, and saved with the adapter, so that loading needs no file. Other angles are
            drawn with the remaining tensors.
        argument: Text in the parentheses of the name; empty without an argument.
    """

    is_resolved: ClassVar[bool] = False

    def __init__(self, argument: str = ""):
        self.argument = argument

    def check_circuit(self, circuit: Circuit) -> None:  # noqa: B027  most accept any circuit
        """Refuse a circuit kind that the initialisation does not support; reads no file.

        Args:
            circuit: Circuit of the method, possibly of another size than in the layers.

        Raises:
            Refusal: With the supported kind.
        """

    def check(self, place: Place) -> None:
        """Refuse in advance what `angles` would refuse.

        The default computes the angles.

        Args:
            place: Position of the angles.

        Raises:
            Refusal: If a file is missing or does not fit.
        """
        self.angles(place, None)

    @abstractmethod
    def angles(
        self, place: Place, uniform: Float[Tensor, "n_params"] | None
    ) -> Float[Tensor, "n_params"]:
        """Compute the angles, in radians.

        Args:
            place: Position of the angles; initialisations may use its circuit or layer name.
            uniform: Angles drawn uniformly in ±π with the seed of the run; None if `check` tests
                the fit only.
        """

    def beside(self, layer: str) -> Mapping[str, Tensor]:
        """Return other tensors of the layer on which the angles depend, by name.

        Empty for most initialisations.
        """
        return {}


@dataclasses.dataclass(frozen=True)
class StartInfo:
    """Declaration of an initialisation: name, form, summary and source."""

    name: str
    form: str
    summary: str
    source: str
    make: Callable[[str], Start]

    @property
    def takes(self) -> str:
        """Placeholder of the argument, such as "FILE"; empty without an argument."""
        return self.form.partition("(")[2].rstrip(")")


STARTS: Registry[StartInfo] = Registry(
    "start",
    "qtha_lab.adapters.initialisation.angles",
    group="qtha_lab.adapters.initialisation.angles",
)
_FORM = re.compile(r"\s*(\w+)\s*(?:\((.*)\))?\s*", re.DOTALL)


def start(form: str, *, summary: str, source: str) -> Callable[[type[Start]], type[Start]]:
    """Register a `Start` class as an initialisation of angles.

    Args:
        form: Text of the setting: "small", or "run(RUN)" with an argument.
        summary: Description in one sentence.
        source: Paper or code of the initialisation.

    Raises:
        Refusal: If another file has registered the name.
    """

    def register(make: type[Start]) -> type[Start]:
        name = form.partition("(")[0]
        STARTS.add(name, StartInfo(name, form, summary, source, make), make.__module__)
        return make

    return register


def names() -> list[str]:
    """List the forms of all initialisations, in alphabetical order.

    Example:
        >>> names()[-2:]
        ['small', 'uniform']
    """
    return [info.form for info in STARTS.values()]


def initialisation_of(text: str) -> Start:
    """Parse the setting `angles`; reads no file.

    Raises:
        Refusal: If the name is unknown, or the argument is missing or superfluous.

    Example:
        >>> initialisation_of("smal")
        Traceback (most recent call last):
        qtha_lab.core.errors.Refusal: unknown start 'smal': did you mean 'small'? Known: ...
        >>> initialisation_of("run")
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
    """Return the setting `angles`, for the config of every method with a circuit."""
    return setting(
        UNIFORM,
        "Where the angles start: uniform in ±π, small, those of a run, or as a file or a matrix product "
        "state says: uniform, small, run(RUN), flip(FILE), mps(RUN).",
    )


def check_initialisation(text: str, circuits: Sequence[Circuit], instead: str = "") -> None:
    """Refuse a setting `angles` that does not suit the method; reads no file.

    Args:
        text: Value of the setting.
        circuits: Circuits of the method, of any size; empty if a control replaces them.
        instead: Setting that replaces the circuit, such as "stand_in='silu'".

    Raises:
        Refusal: If the initialisation is unknown, there is no circuit, or its kind is unsupported.
    """
    begin = initialisation_of(text)
    if text != UNIFORM and not circuits:
        raise Refusal(f"angles={text!r} starts a circuit, and {instead} has none: leave angles out")
    for circuit in circuits:
        begin.check_circuit(circuit)


def draw(params: Tensor, text: str, circuits: Sequence[Circuit]) -> None:
    """Fill a tensor of angles in place, with equal random draws for every setting.

    So two initialisations with one seed differ only in the angles. Angles that are read from files
    stay uniform until `resolve_angles.initial_angles` resolves them.

    Args:
        params: Angles of all circuits, one after another.
        text: Value of the setting `angles`.
        circuits: Circuits of the angles.
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
