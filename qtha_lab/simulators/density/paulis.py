"""Action of gates on a density matrix, given as Pauli expectation values.

String k of 4^n has the letters I, X, Y, Z = 0, 1, 2, 3 as its base-4 digits, wire 0 first. A
rotation about a string Q mixes each string that anticommutes with Q with its product with Q. X and
CNOT permute strings up to signs; noise shrinks them. No angles.
"""

import functools
import itertools

import numpy as np

ID, X, Y, Z = range(4)
# product P·Q of two letters: the letter, and the power of i as factor
_PRODUCT = {(a, a): (ID, 0) for a in range(4)}
_PRODUCT |= {(ID, a): (a, 0) for a in range(4)} | {(a, ID): (a, 0) for a in range(4)}
for _a, _b, _c in ((X, Y, Z), (Y, Z, X), (Z, X, Y)):
    _PRODUCT |= {(_a, _b): (_c, 1), (_b, _a): (_c, 3)}


@functools.lru_cache(maxsize=64)
def letters(n_qubits: int) -> np.ndarray:
    """Return the letters of every string, (4^n, n)."""
    return np.array(list(itertools.product(range(4), repeat=n_qubits)), dtype=np.int64)


def _index(strings: np.ndarray) -> np.ndarray:
    return strings @ 4 ** np.arange(strings.shape[1])[::-1]


@functools.lru_cache(maxsize=256)
def rotation(n_qubits: int, letter: int, wires: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Return partner and sign of each Pauli string under the rotation exp(-i a/2 Q).

    The rotation maps r to keep · r + cos a · (1 - keep) · r + sin a · sign · r[partner].
    Here keep = (sign is 0).

    Args:
        n_qubits: Qubits of the state.
        letter: Letter of Q on its wires.
        wires: Wires on which Q is not the identity.

    Returns:
        The partner of each string, (4^n,), and the sign, 0 if the string commutes with Q.

    Example:
        >>> partner, sign = rotation(1, Z, (0,))  # RZ: X becomes cos X - sin Y
        >>> partner.tolist(), sign.tolist()
        ([3, 2, 1, 0], [0, -1, 1, 0])
    """
    strings = letters(n_qubits)
    products, power = strings.copy(), np.zeros(len(strings), dtype=np.int64)
    for wire in wires:
        pairs = [_PRODUCT[int(p), letter] for p in strings[:, wire]]
        products[:, wire] = [p for p, _ in pairs]
        power += [i for _, i in pairs]
    # U†PU = cos a P - i sin a PQ if P and Q anticommute; then PQ is ±i times a string
    sign = np.array([{0: 0, 1: 1, 2: 0, 3: -1}[int(k) % 4] for k in power])
    return _index(products), sign


@functools.lru_cache(maxsize=256)
def flip_rows(n_qubits: int, wires: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Return partner and sign of each Pauli string under X or CNOT.

    The gate maps r to sign · r[partner].

    Args:
        n_qubits: Qubits of the state.
        wires: One wire for X; control and target for CNOT.
    """
    strings = letters(n_qubits)
    if len(wires) == 1:
        column = strings[:, wires[0]]
        return np.arange(len(strings)), np.where((column == Y) | (column == Z), -1, 1)
    control, target = wires
    moved, power = strings.copy(), np.zeros(len(strings), dtype=np.int64)
    for k, row in enumerate(strings):
        # CNOT maps X_c to X_c X_t and Z_t to Z_c Z_t; Y = i X Z
        c, t = int(row[control]), int(row[target])
        on_control, on_target = (c, X if c in (X, Y) else ID), (Z if t in (Y, Z) else ID, t)
        (first, i), (second, j) = (
            _PRODUCT[a, b] for a, b in zip(on_control, on_target, strict=True)
        )
        moved[k, [control, target]] = first, second
        power[k] = i + j
    return _index(moved), np.where(power % 4 == 0, 1, -1)


@functools.lru_cache(maxsize=256)
def touched(n_qubits: int, wires: tuple[int, ...]) -> np.ndarray:
    """Return True if each string acts on any of the wires, (4^n,).

    Full depolarisation of the wires maps the expectation values of these strings to 0.
    """
    return (letters(n_qubits)[:, list(wires)] != ID).any(1)


@functools.lru_cache(maxsize=64)
def zero_state(n_qubits: int) -> np.ndarray:
    """Return the Pauli expectation values of |0…0⟩, (4^n,).

    The value is 1 for strings of I and Z, else 0.
    """
    strings = letters(n_qubits)
    return ((strings == ID) | (strings == Z)).all(1).astype(float)


@functools.lru_cache(maxsize=64)
def z_string(n_qubits: int, wires: tuple[int, ...]) -> int:
    """Return the index of the string with Z on some wires."""
    return sum(Z * 4 ** (n_qubits - 1 - wire) for wire in set(wires))


@functools.lru_cache(maxsize=64)
def probability_signs(n_qubits: int) -> np.ndarray:
    """Return the matrix from the 2^n expectations of I/Z-strings to probabilities, (2^n, 2^n).

    Its entries are signs over 2^n, wire 0 first.
    """
    one = np.array([[1.0, 1.0], [1.0, -1.0]])
    return functools.reduce(np.kron, [one] * n_qubits) / 2**n_qubits
