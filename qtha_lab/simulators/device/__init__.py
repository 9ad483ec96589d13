"""Engine `device:NAME(option=value, …)`: any PennyLane device by name, with shots and noise."""

from qtha_lab.simulators import registry


@registry.engine(
    "device",
    strength="a device of PennyLane, for checks, shots, noise and hardware",
    place=4,
    examples=("device:default.qubit", "device:lightning.qubit"),
)
def load() -> registry.Engine:
    """Return the engine; a device is created at its first use."""
    from qtha_lab.simulators.device import engine

    return engine
