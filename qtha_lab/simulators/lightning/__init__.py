"""Engines `lightning`, `lightning.kokkos`, `lightning.gpu`: a batch as a register of Lightning."""

from qtha_lab.simulators import registry


@registry.engine(
    "lightning",
    strength="a whole batch in one run of Lightning",
    auto=3,
    place=3,
    variants=("lightning.qubit", "lightning.kokkos", "lightning.gpu"),
)
def load() -> registry.Engine:
    """Return the engine; `check` tests whether Lightning is installed."""
    from qtha_lab.simulators.lightning import engine

    return engine
