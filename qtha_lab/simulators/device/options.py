"""Options of `device:NAME(option=value, …)`: shots, noise, gradients.

Parses and checks the text. Other options are passed to the device, if its class has them.
"""

import dataclasses
import functools
from typing import Any, Literal

from qtha_lab.core import call_syntax
from qtha_lab.core.settings import check_settings, setting, settings_of, unknown
from qtha_lab.core.settings_help import with_arguments
from qtha_lab.simulators.device import plugins

# [R] methods.md 1.8 does not specify it: depolarizing with probability p leaves the qubits fully
# mixed
PRESETS = {
    "wukong": {
        "shots": 1000,
        "basis": "u3_cz",
        "depolarizing_1q": 0.01,
        "depolarizing_2q": 0.1,
        "readout_0to1": 0.05,
        "readout_1to0": 0.1,
    },
}


@with_arguments
@dataclasses.dataclass(frozen=True)
class DeviceOptions:
    """Options of engine `device:NAME`, in addition to those of the device itself.

    Source:
        The preset "wukong": the noise model in the QTHA authors' code, without its 20-qubit grid,
        so two-qubit gates act on any pair and need no SWAPs.
    """

    shots: int | None = setting(None, "Samples a circuit; none: exact.", ge=1)
    seed: int | None = setting(None, "The same call then draws the same samples.", ge=0)
    noise: Literal["wukong"] | None = setting(
        None, "Preset of shots, basis and noise; options given beside it win."
    )
    basis: Literal["u3_cz"] | None = setting(
        None,
        "Rewrite the circuit in U3 and CZ, one U3 between two CZ, before noise is added.",
    )
    depolarizing_1q: float = setting(
        0.0, "Chance that a one-qubit gate leaves its qubit fully mixed.", ge=0.0, le=1.0
    )
    depolarizing_2q: float = setting(
        0.0, "Chance that a two-qubit gate leaves its qubits fully mixed.", ge=0.0, le=1.0
    )
    readout_0to1: float = setting(0.0, "Chance that a 0 is read as 1.", ge=0.0, le=1.0)
    readout_1to0: float = setting(0.0, "Chance that a 1 is read as 0.", ge=0.0, le=1.0)
    gradients: Literal["best", "parameter-shift"] = setting(
        "best", "How to differentiate: as the device does it best, or as a machine must."
    )

    def __post_init__(self):
        check_settings(self)

    @property
    def is_noisy(self) -> bool:
        """True if any noise channel is added."""
        return any(
            (self.depolarizing_1q, self.depolarizing_2q, self.readout_0to1, self.readout_1to0)
        )


@dataclasses.dataclass(frozen=True, eq=False)
class Spec:
    """Parsed engine name: device, options of the engine, and options of the device."""

    device: str
    options: DeviceOptions
    own: tuple[tuple[str, Any], ...]


@functools.lru_cache(maxsize=64)
def parse_engine(engine: str) -> Spec:
    """Parse an engine's name.

    Raises:
        Refusal: If the device is not installed, an option is unknown, or a value is out of range.

    Example:
        >>> parse_engine("device:default.mixed(noise=wukong,shots=50)").options.depolarizing_2q
        0.1
        >>> parse_engine("device:default.qubit(shots=0)")
        Traceback (most recent call last):
        qtha_lab.core.errors.Refusal: shots must be at least 1, got 0.
    """
    device, options = call_syntax.parse_call(engine.partition(":")[2], "device")
    names = list(settings_of(DeviceOptions))
    device_names = plugins.own_options(device)
    for name in options:
        if name not in names and device_names is not None and name not in device_names:
            raise unknown(f"option of device:{device}", name, [*names, *device_names])
    device_options = {name: options.pop(name) for name in list(options) if name not in names}
    preset = options.get("noise")
    if isinstance(preset, str):
        options = {**PRESETS.get(preset, {}), **options}
    return Spec(device, DeviceOptions(**options), tuple(device_options.items()))
