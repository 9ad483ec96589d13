"""Protocol of a circuit for modules that `Circuit` itself imports."""

import functools
from typing import Protocol

from qtha_lab.circuits.gates import Gate


class CircuitLike(Protocol):
    """Data of a `Circuit`."""

    @property
    def n_qubits(self) -> int:
        """Number of qubits."""
        ...

    @property
    def gates(self) -> tuple[Gate, ...]:
        """Gates in order of application."""
        ...

    @property
    def start(self) -> str:
        """Initial state: "zero" or "amplitudes"."""
        ...

    @functools.cached_property
    def n_inputs(self) -> int:
        """Number of data features."""
        ...

    @functools.cached_property
    def n_params(self) -> int:
        """Number of trainable angles."""
        ...
