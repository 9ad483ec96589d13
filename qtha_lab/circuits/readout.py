"""Readout at the end of a circuit: strings of Z, probabilities or the state.

A change of basis by gates turns strings with X and Y into strings of Z.
"""

import dataclasses
import functools
import re
from typing import Literal

from qtha_lab.circuits.angle import PI
from qtha_lab.circuits.circuit import Circuit
from qtha_lab.circuits.gates import Gate
from qtha_lab.core.errors import Refusal

Pauli = tuple[tuple[int, str], ...]  # (wire, letter), in order of wires


@dataclasses.dataclass(frozen=True)
class Readout:
    """Values that an engine returns per sample.

    "strings": ⟨Z⊗…⊗Z⟩ of each tuple of wires, in order (no wires: the identity, 1);
    "probs": the probability of every basis state, wire 0 the most significant bit;
    "state": the amplitudes, up to a global phase.

    Example:
        >>> Readout.z(3).strings, Readout.probs().size(3)
        (((0,), (1,), (2,)), 8)
    """

    kind: Literal["strings", "probs", "state"]
    strings: tuple[tuple[int, ...], ...] = ()

    @classmethod
    def z(cls, n_qubits: int) -> "Readout":
        """Return the readout ⟨Z_i⟩ of every qubit."""
        return cls("strings", tuple((wire,) for wire in range(n_qubits)))

    @classmethod
    def probs(cls) -> "Readout":
        """Return the readout of the probability of every basis state."""
        return cls("probs")

    @classmethod
    def state(cls) -> "Readout":
        """Return the readout of all amplitudes."""
        return cls("state")

    def size(self, n_qubits: int) -> int:
        """Count the values per sample."""
        return len(self.strings) if self.kind == "strings" else 2**n_qubits


def parse_pauli(text: str, n_qubits: int) -> Pauli:
    """Parse a Pauli string such as "Z0", "X0 Y2" or "I".

    Raises:
        Refusal: If the text is no Pauli string, or acts on a wire the circuit does not have.

    Example:
        >>> parse_pauli("Z2 X0", 3)
        ((0, 'X'), (2, 'Z'))
    """
    letters: dict[int, str] = {}
    for word in () if text.strip() == "I" else text.split():
        match = re.fullmatch(r"([XYZ])(\d+)", word)
        if not match:
            raise Refusal(
                "An observable must be I or letters X, Y, Z with wires, as in 'X0 Z2', "
                f"got {text!r}."
            )
        letter, wire = match[1], int(match[2])
        if wire >= n_qubits:
            raise Refusal(
                f"Wires of an observable must be 0 to {n_qubits - 1}, got {wire} in {text!r}."
            )
        if wire in letters:
            raise Refusal(f"An observable must name each wire once, got {wire} twice in {text!r}.")
        letters[wire] = letter
    if not letters and text.strip() != "I":
        raise Refusal("An observable must not be empty, got ''. Write 'I' for the identity.")
    return tuple(sorted(letters.items()))


@functools.lru_cache(maxsize=256)
def z_pairs(n_qubits: int) -> tuple[str, ...]:
    """Return all Z_i, then all Z_i Z_j with i < j: n(n + 1)/2 observables.

    Example:
        >>> z_pairs(2)
        ('Z0', 'Z1', 'Z0 Z1')
    """
    singles = tuple(f"Z{i}" for i in range(n_qubits))
    return singles + tuple(f"Z{i} Z{j}" for i in range(n_qubits) for j in range(i + 1, n_qubits))


@functools.lru_cache(maxsize=256)
def settings_of(
    circuit: Circuit, observables: tuple[str, ...]
) -> tuple[tuple[Circuit, Readout, tuple[int, ...]], ...]:
    """Group Pauli strings into circuits that measure them.

    Strings with the same letter on every shared wire are measured in one circuit.

    Returns:
        Per group, a circuit with a final basis change, its readout, and the observable indices.
    """
    groups: list[tuple[dict[int, str], list[int]]] = []
    parsed = [parse_pauli(text, circuit.n_qubits) for text in observables]
    for number, pauli in enumerate(parsed):
        for basis, members in groups:
            if all(basis.get(wire, letter) == letter for wire, letter in pauli):
                basis.update(pauli)
                members.append(number)
                break
        else:
            groups.append((dict(pauli), [number]))
    return tuple(
        (
            circuit.then(_to_z(basis)),
            Readout("strings", tuple(tuple(wire for wire, _ in parsed[m]) for m in members)),
            tuple(members),
        )
        for basis, members in groups
    )


def _to_z(basis: dict[int, str]) -> list[Gate]:
    """Return the basis change: RY(-π/2) maps X to Z, RX(π/2) maps Y to Z."""
    rotations = {"X": ("RY", -PI / 2), "Y": ("RX", PI / 2)}
    return [
        Gate(rotations[letter][0], wire, rotations[letter][1])
        for wire, letter in sorted(basis.items())
        if letter != "Z"
    ]
