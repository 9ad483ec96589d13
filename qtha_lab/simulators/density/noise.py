"""Noise options of engine `density`: probabilities of gate and read-out errors."""

import dataclasses
import functools

from qtha_lab.core import call_syntax as calls
from qtha_lab.core.errors import Refusal
from qtha_lab.core.settings import check_settings, setting, settings_of, unknown
from qtha_lab.core.settings_help import with_arguments


@with_arguments
@dataclasses.dataclass(frozen=True)
class Noise:
    """Error probabilities of engine `density`, with the same names as in `device:NAME`.

    Example:
        >>> noise_of("density:noise(depolarizing_2q=0.1)").depolarizing_2q
        0.1
    """

    depolarizing_1q: float = setting(
        0.0, "Chance that a one-qubit gate leaves its qubit fully mixed.", ge=0.0, le=1.0
    )
    depolarizing_2q: float = setting(
        0.0, "Chance that a two-qubit gate leaves its qubits fully mixed.", ge=0.0, le=1.0
    )
    readout_0to1: float = setting(0.0, "Chance that a 0 is read as 1.", ge=0.0, le=1.0)
    readout_1to0: float = setting(0.0, "Chance that a 1 is read as 0.", ge=0.0, le=1.0)

    def __post_init__(self):
        check_settings(self)


@functools.lru_cache(maxsize=64)
def noise_of(engine: str) -> Noise:
    """Parse the noise from an engine's name.

    Raises:
        Refusal: If the name is neither `density:none` nor `density:noise(…)`, or an option is
            unknown or out of range.

    Example:
        >>> noise_of("density:noise(depolarizing_2q=2)")
        Traceback (most recent call last):
        qtha_lab.core.errors.Refusal: depolarizing_2q must be at most 1.0, got 2.
    """
    name, options = calls.parse_call(engine.partition(":")[2] or " ", "noise")
    known = list(settings_of(Noise))
    if name not in ("none", "noise") or (name == "none" and options):
        raise Refusal(
            f"Engine 'density' must have the form density:none or density:noise({known[0]}=…), "
            f"got {engine!r}."
        )
    for option in options:
        if option not in known:
            raise unknown("option of density:noise", option, known)
    return Noise(**options)
