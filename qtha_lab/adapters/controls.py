"""Classical controls of a method: the same adapter without the part that is said to matter.

A claim about a quantum adapter means something only beside them. Names and options only; nothing runs.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any


@dataclasses.dataclass(frozen=True)
class Control:
    """A method to compare with: what is changed, and what a difference to it would show."""

    title: str
    method: str
    options: Mapping[str, Any]
    shows: str


def _without_circuit(title: str, shows: str, **changed: Any) -> Control:
    return Control(title, "qtha", changed, shows)


def _of_generators(method: str, generated: str) -> tuple[Control, ...]:
    """Of methods that generate numbers from a circuit's probabilities."""
    return (
        Control(
            "classical hypernetwork",
            method,
            {"generator": "classical"},
            f"what the circuit adds to generated {generated}",
        ),
        Control(
            "frozen angles", method, {"train_generator": False}, "what training the circuit adds"
        ),
    )


CONTROLS: dict[str, tuple[Control, ...]] = {
    "qtha": (
        _without_circuit(
            "no circuit", "what the circuit adds to the linear branch", use_circuit=False
        ),
        _without_circuit(
            "tensor networks alone",
            "what the bottleneck adds to the two operators",
            use_circuit=False,
            use_linear=False,
        ),
        _without_circuit("no entanglement", "what the entangling gates add", ansatz="product"),
        _without_circuit("frozen angles", "what training the circuit adds", train_circuit=False),
        _without_circuit("two SiLU layers (BD)", "circuit or any non-linearity", stand_in="silu"),
        _without_circuit(
            "three SiLU layers (BE)",
            "circuit or any non-linearity",
            stand_in="silu",
            stand_in_layers=3,
        ),
        _without_circuit(
            "four SiLU layers (BF)",
            "circuit or any non-linearity",
            stand_in="silu",
            stand_in_layers=4,
        ),
        _without_circuit("cosines", "circuit or its cosines without qubits", stand_in="cosine"),
        _without_circuit("Hilbert phase", "circuit or a classical phase", stand_in="hilbert"),
    ),
    "qpa": _of_generators("qpa", "factors"),
    "quantum_train": _of_generators("quantum_train", "weights"),
}

# Settings that only the circuit reads: a control without one does not carry them along.
CIRCUIT_ONLY = ("ansatz", "readout", "engine", "reupload", "train_circuit")


def controls_of(method: str, options: Mapping[str, Any]) -> list[Control]:
    """The controls of a method with these options; none for a method that has none listed.

    Example:
        >>> [control.options for control in controls_of("qtha", {"r": 4})][:2]
        [{'r': 4, 'use_circuit': False}, {'r': 4, 'use_circuit': False, 'use_linear': False}]
    """
    found = []
    for control in CONTROLS.get(method, ()):
        kept = dict(options)
        if control.options.get("use_circuit") is False or "stand_in" in control.options:
            kept = {name: value for name, value in kept.items() if name not in CIRCUIT_ONLY}
        laid_over = {**kept, **control.options}
        if laid_over != dict(options):
            found.append(dataclasses.replace(control, options=laid_over))
    return found
