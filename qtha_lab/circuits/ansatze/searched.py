"""Circuit written as text: a rotation per qubit and any CNOTs, layer by layer.

The text comes from an architecture search or from the user.
"""

import re

from qtha_lab.circuits import Angle, Circuit, Gate
from qtha_lab.circuits.ansatze.encoding import encoded
from qtha_lab.circuits.ansatze.registry import ansatz
from qtha_lab.core.errors import Refusal

_LAYER = re.compile(r"([XYZ]+)((?:-\d\d)*)")


@ansatz(
    "searched",
    summary="RY encoding, then layers of RX, RY or RZ on every qubit and of CNOTs, as a code says.",
    source="the space of quantum architecture search, arXiv:2010.10217; without a code, "
    "its baseline: RY and "
    "a chain of CNOTs",
    n_params=lambda n_qubits, n_layers, code="": n_qubits * n_layers,
)
def searched(n_qubits: int, n_layers: int, reupload: bool = True, code: str = "") -> Circuit:
    """Build layers of rotations, then CNOTs, from a text code.

    Args:
        n_qubits: Number of qubits, at most 10, since wires are digits.
        n_layers: Number of layers of the code; a code of one layer is repeated.
        reupload: Encode the inputs in every layer, not only in the first.
        code: Layers joined by "/": a letter X, Y or Z per qubit, then "-ct" per CNOT from wire c to
            wire t. Empty is RY and a chain.

    Raises:
        Refusal: If the code is invalid or does not fit the numbers of qubits and layers.

    Example:
        >>> print(searched(2, 1, code="XY-01"))
        0: ──RY(x0)─RX(p0)─╭●─┤
        1: ──RY(x1)─RY(p1)─╰X─┤
    """
    layers = layers_of(code or default_code(n_qubits), n_qubits)
    layers = layers * n_layers if len(layers) == 1 else layers
    if len(layers) != n_layers:
        raise Refusal(f"n_layers must be {len(layers)} for code {code!r}, got {n_layers}.")
    angles = map(Angle.param, range(n_qubits * n_layers))
    gates: list[Gate] = []
    for number, (letters, pairs) in enumerate(layers):
        gates += encoded(n_qubits, number, reupload)
        gates += [Gate(f"R{letter}", i, next(angles)) for i, letter in enumerate(letters)]
        gates += [Gate("CNOT", pair) for pair in pairs]
    return Circuit(n_qubits, gates)


def default_code(n_qubits: int) -> str:
    """Return the code of RY on every qubit and a chain of CNOTs.

    Example:
        >>> default_code(3)
        'YYY-01-12'
    """
    links = min(n_qubits, 10) - 1
    return "Y" * n_qubits + "".join(f"-{i}{i + 1}" for i in range(links))


def layers_of(code: str, n_qubits: int) -> list[tuple[str, list[tuple[int, int]]]]:
    """Parse the letters and the CNOT pairs of every layer of a code.

    Raises:
        Refusal: If the code is invalid.
    """
    layers = []
    for text in code.split("/"):
        match = _LAYER.fullmatch(text)
        if not match:
            raise Refusal(f"A layer of a code must have a form such as 'XYZ-01-12', got {text!r}.")
        pairs = [(int(pair[0]), int(pair[1])) for pair in match[2].split("-")[1:]]
        if len(match[1]) != n_qubits or any(max(pair) >= n_qubits for pair in pairs):
            raise Refusal(f"A layer of a code must have {n_qubits} qubits, got {text!r}.")
        layers.append((match[1], pairs))
    return layers
