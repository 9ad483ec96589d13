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
class AnglePosition:
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


class AngleInitialisation(ABC):
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
        """Refuse a circuit kind that the initialisation does not support; reads no file."""

    def check(self, place: AnglePosition) -> None:
        """Refuse arguments that `angles` would refuse, before a model is loaded.

        The default computes the angles.
        """
        self.angles(place, None)

    @abstractmethod
    def angles(
        self, place: AnglePosition, uniform: Float[Tensor, "n_params"] | None
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
class AngleInitialisationInfo:
    """Declaration of an initialisation: name, form, summary and source."""

    name: str
    form: str
    summary: str
    source: str
    make: Callable[[str], AngleInitialisation]

    @property
    def takes(self) -> str:
        """Placeholder of the argument, such as "FILE"; empty without an argument."""
        return self.form.partition("(")[2].rstrip(")")


ANGLE_INITIALISATIONS: Registry[AngleInitialisationInfo] = Registry(
    "initialisation",
    "qtha_lab.adapters.initialisation.angles",
    group="qtha_lab.adapters.initialisation.angles",
)
_FORM = re.compile(r"\s*(\w+)\s*(?:\((.*)\))?\s*", re.DOTALL)


def angle_initialisation(
    form: str, *, summary: str, source: str
) -> Callable[[type[AngleInitialisation]], type[AngleInitialisation]]:
    """Register an `AngleInitialisation` class as an initialisation of angles.

    Args:
        form: Text of the setting: "small", or "run(RUN)" with an argument.
        summary: Description in one sentence.
        source: Paper or code of the initialisation.
    """

    def register(make: type[AngleInitialisation]) -> type[AngleInitialisation]:
        name = form.partition("(")[0]
        ANGLE_INITIALISATIONS.add(
            name, AngleInitialisationInfo(name, form, summary, source, make), make.__module__
        )
        return make

    return register


def names() -> list[str]:
    """List the forms of all initialisations, in alphabetical order.

    Example:
        >>> names()[-2:]
        ['small', 'uniform']
    """
    return [info.form for info in ANGLE_INITIALISATIONS.values()]


def initialisation_of(text: str) -> AngleInitialisation:
    """Parse the setting `angles`; reads no file.

    Example:
        >>> initialisation_of("smal")
        Traceback (most recent call last):
        qtha_lab.core.errors.Refusal: Unknown initialisation 'smal': did you mean 'small'? ...
        >>> initialisation_of("run")
        Traceback (most recent call last):
        qtha_lab.core.errors.Refusal: angles must have the form run(RUN), got 'run'.
    """
    match = _FORM.fullmatch(text)
    if not match:
        raise Refusal(f"angles must be one of {', '.join(names())}, got {text!r}.")
    info = ANGLE_INITIALISATIONS.get_or_refuse(match[1])
    argument = (match[2] or "").strip().strip("'\"")
    if bool(info.takes) != bool(argument):
        raise Refusal(f"angles must have the form {info.form}, got {text!r}.")
    return info.make(argument)


def angles_setting() -> Any:
    """Return the setting `angles`, for the config of every method with a circuit."""
    return setting(
        UNIFORM,
        "Initial angles: uniform in ±π, small, of a run (run(RUN)), of a trained model "
        "(flip(FILE)), or of a matrix product state (mps(RUN)).",
    )


def check_angle_setting(text: str, circuits: Sequence[Circuit], instead: str = "") -> None:
    """Refuse a setting `angles` that does not suit the method; reads no file.

    Args:
        text: Value of the setting.
        circuits: Circuits of the method, of any size; empty if a control replaces them.
        instead: Setting that replaces the circuit, such as "stand_in='silu'".
    """
    begin = initialisation_of(text)
    if text != UNIFORM and not circuits:
        raise Refusal(
            f"angles must be {UNIFORM} beside {instead}, which has no circuit, got {text!r}."
        )
    for circuit in circuits:
        begin.check_circuit(circuit)


def draw_angles(params: Tensor, text: str, circuits: Sequence[Circuit]) -> None:
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
        part.copy_(begin.angles(AnglePosition(circuit, first=first), part))
        first += circuit.n_params
