"""Pauli strings and their sums as plain numbers: products, commutators, conjugation by gates.

Contains no states. A string of any number of qubits is two bit masks.
"""

import math
from collections.abc import Iterable

# Bit masks (x, z) of i^|x&z| X^x Z^z, bit n-1-wire for a wire: Y has both bits.
Pauli = tuple[int, int]
Terms = dict[Pauli, float]  # Hermitian sum

SMALL = 1e-9


def string_of(n_qubits: int, kind: str, wires: Iterable[int]) -> Pauli:
    """Return the string of a gate's part: one Y, or Z on every wire.

    Args:
        n_qubits: Length of the string.
        kind: "Y" or "Z".
        wires: Wires of the letters; wire 0 is the most significant bit.

    Returns:
        The masks (x, z).

    Example:
        >>> string_of(3, "Y", (0,)), string_of(3, "Z", (1, 2))
        ((4, 4), (0, 3))
    """
    mask = sum(1 << (n_qubits - 1 - wire) for wire in wires)
    return (mask, mask) if kind == "Y" else (0, mask)


def commute(a: Pauli, b: Pauli) -> bool:
    """Return True if two strings commute.

    Strings commute if they have different letters on an even number of wires.

    Example:
        >>> commute((1, 0), (0, 1)), commute((3, 0), (0, 3))  # X and Z, XX and ZZ
        (False, True)
    """
    return ((a[0] & b[1]).bit_count() + (a[1] & b[0]).bit_count()) % 2 == 0


def product(a: Pauli, b: Pauli) -> tuple[Pauli, int]:
    """Multiply two anticommuting strings: A B = i s R.

    Returns the string R and the sign s.

    Example:
        >>> product((1, 0), (1, 1))  # X Y = i Z
        ((0, 1), 1)
    """
    x, z = a[0] ^ b[0], a[1] ^ b[1]
    # i^{|x&z|} counts the Y of each; moving Z^za past X^xb gives a sign
    power = (a[0] & a[1]).bit_count() + (b[0] & b[1]).bit_count() - (x & z).bit_count()
    power = (power + 2 * (a[1] & b[0]).bit_count()) % 4
    return (x, z), 1 if power == 1 else -1


def commutator(a: Terms, b: Terms) -> Terms:
    """Return [A, B] / 2i, which is Hermitian.

    Example:
        >>> commutator({(0, 1): 1.0}, {(1, 0): 1.0})  # [Z, X] = 2i Y
        {(1, 1): 1.0}
    """
    terms: Terms = {}
    for p, c in a.items():
        for q, d in b.items():
            if not commute(p, q):
                string, sign = product(p, q)
                terms[string] = terms.get(string, 0.0) + sign * c * d
    return {s: c for s, c in terms.items() if abs(c) > SMALL}


def dressed(terms: Terms, n_qubits: int, kind: str, wires: tuple[int, ...], angle: float) -> Terms:
    """Conjugate a sum by one constant part of a gate: C† H C.

    Args:
        terms: Sum H, a coefficient per string.
        n_qubits: Length of the strings.
        kind: Kind of the part C: "X", "CNOT", "Y" or "Z" (see `GateKind`).
        wires: Wires of the part; for a CNOT, control and target.
        angle: Angle of a rotation exp(-i·angle·P/2) in radians; unused by "X" and "CNOT".

    Returns:
        A new sum; coefficients of at most 10⁻⁹ after a rotation are dropped.

    Example:
        >>> dressed({(0, 1): 1.0}, 2, "CNOT", (0, 1), 0.0)  # Z of the target
        {(0, 3): 1.0}
    """
    if kind == "X":
        bit = 1 << (n_qubits - 1 - wires[0])
        return {(x, z): -c if z & bit else c for (x, z), c in terms.items()}
    if kind == "CNOT":
        terms_after = ((*_cnot(string, n_qubits, wires), scale) for string, scale in terms.items())
        return {string: sign * scale for string, sign, scale in terms_after}
    rotation = string_of(n_qubits, kind, wires)
    result: Terms = {}
    for string, scale in terms.items():
        if commute(rotation, string):
            result[string] = result.get(string, 0.0) + scale
            continue
        # e^{iaP/2} Q e^{-iaP/2} = cos a Q + sin a (i/2)[P, Q]
        partner, sign = product(rotation, string)
        result[string] = result.get(string, 0.0) + math.cos(angle) * scale
        result[partner] = result.get(partner, 0.0) - sign * math.sin(angle) * scale
    return {s: c for s, c in result.items() if abs(c) > SMALL}


def _cnot(string: Pauli, n_qubits: int, wires: tuple[int, ...]) -> tuple[Pauli, int]:
    """Conjugate a string by CNOT: X spreads to the target, Z to the control."""
    x, z = string
    control, target = (1 << (n_qubits - 1 - wire) for wire in wires)
    new_x = x ^ target if x & control else x
    new_z = z ^ control if z & target else z
    is_both = bool(x & control) and bool(z & target)
    is_same = bool(x & target) == bool(z & control)
    return (new_x, new_z), -1 if is_both and is_same else 1
