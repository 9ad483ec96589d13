"""Decomposition of one- and two-qubit unitaries into rotations and CNOTs.

Uses ZYZ angles and the KAK decomposition. Works on numbers only and returns constant parts for
`Gate.parts`. PennyLane's two_qubit_decomposition is not used: it omits CNOTs near the identity,
where exp(i·0.001·H) of a random H had an error of 0.003.
"""

import cmath
import functools
import math

import numpy as np

from qtha_lab.circuits.angle import PI, Angle
from qtha_lab.circuits.elementary_gates import Matrix, Part, interaction, rotation_y, rotation_z
from qtha_lab.core.errors import Refusal

TOLERANCE = 1e-6  # largest |U†U - 1| accepted as rounding, such as of a float32 matrix
_ZERO = 1e-13  # a smaller interaction counts as none

# Magic basis: local gates become real, and XX, YY, ZZ become diagonal.
_MAGIC = np.array([[1, 1j, 0, 0], [0, 0, 1j, 1], [0, 0, 1j, -1], [1, -1j, 0, 0]]) / math.sqrt(2)
_X = np.array([[0, 1], [1, 0]], complex)
_Y = np.array([[0, -1j], [1j, 0]])
_Z = np.diag([1, -1]).astype(complex)
_PAULIS = (_X, _Y, _Z)
_DIAGONALS = np.array([np.diag(_MAGIC.conj().T @ np.kron(p, p) @ _MAGIC).real for p in _PAULIS])


def checked(matrix) -> Matrix:
    """Return a one- or two-qubit unitary as nested tuples, which hash by value.

    Rounding errors within `TOLERANCE` are removed: the result is the nearest unitary.

    Raises:
        Refusal: If the matrix is no 2×2 or 4×4 matrix, not finite or not unitary.

    Example:
        >>> checked([[0, 1], [1, 0]])
        ((0j, (1+0j)), ((1+0j), 0j))
    """
    if hasattr(matrix, "detach"):
        matrix = matrix.detach().cpu()
    entries = np.asarray(matrix, dtype=complex)
    if entries.shape not in ((2, 2), (4, 4)):
        raise Refusal(f"A unitary gate's matrix must be 2×2 or 4×4, got shape {entries.shape}.")
    if not np.isfinite(entries).all():
        raise Refusal("A unitary gate's matrix must be finite, got nan or infinite entries.")
    deviation = np.abs(entries.conj().T @ entries - np.eye(len(entries))).max()
    if deviation > TOLERANCE:
        raise Refusal(
            f"A unitary gate's matrix must be unitary, got {deviation:.3g} as the largest entry "
            "of U†U - 1."
        )
    if deviation > 1e-14:
        left, _, right = np.linalg.svd(entries)
        entries = left @ right
    return tuple(tuple(row) for row in entries.tolist())


@functools.lru_cache(maxsize=1024)
def parts_of(matrix: Matrix, wires: tuple[int, ...]) -> tuple[Part, ...]:
    """Decompose a unitary into rotations and at most three CNOTs.

    Equal up to a global phase.

    Source:
        Khaneja and Glaser 2001, arXiv:quant-ph/0010100.
    """
    if len(matrix) == 2:
        return tuple(_rotations(np.array(matrix), wires[0]))
    (left_a, left_b), strengths, (right_a, right_b) = kak(np.array(matrix))
    a, b = wires
    x, y, z = (Angle.const(-2 * s) if abs(s) > _ZERO else None for s in strengths)
    return (
        *_rotations(right_a, a),
        *_rotations(right_b, b),
        *interaction((x, y, z), a, b),
        *_rotations(left_a, a),
        *_rotations(left_b, b),
    )


def zyz(matrix: np.ndarray) -> tuple[float, float, float]:
    """Return angles (φ, θ, ω) with U = RZ(ω) RY(θ) RZ(φ) up to a phase.

    These are the arguments of PennyLane's Rot(φ, θ, ω).

    Example:
        >>> [round(angle, 4) for angle in zyz(np.array([[1, -1], [1, 1]]) / 2**0.5)]
        [0.0, 1.5708, 0.0]
    """
    special = matrix / cmath.sqrt(np.linalg.det(matrix))
    theta = 2 * math.atan2(abs(special[1, 0]), abs(special[1, 1]))
    total, difference = 2 * cmath.phase(special[1, 1]), 2 * cmath.phase(special[1, 0])
    return (total - difference) / 2, theta, (total + difference) / 2


def kak(matrix: np.ndarray):
    """Compute the KAK decomposition of a two-qubit unitary.

    U = (A⊗B) exp(i(a XX + b YY + c ZZ)) (C⊗D) up to a phase, with -π/4 < a, b, c ≤ π/4.

    Returns:
        (A, B), (a, b, c) and (C, D).
    """
    magic = _MAGIC.conj().T @ matrix @ _MAGIC
    magic = magic / np.linalg.det(magic) ** 0.25
    vectors, phases = _diagonalise(magic.T @ magic)
    if np.linalg.det(vectors) < 0:
        vectors[:, 0] = -vectors[:, 0]
    real = (magic @ vectors * np.exp(-1j * phases)).real
    if np.linalg.det(real) < 0:
        phases[0] += PI
        real[:, 0] = -real[:, 0]
    strengths = _DIAGONALS @ phases / 4
    left, right = (_MAGIC @ m @ _MAGIC.conj().T for m in (real, vectors.T))
    return _reduced(_factors(left), strengths, _factors(right))


def _diagonalise(symmetric: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return real orthogonal P and half phases φ of a symmetric unitary.

    P diag(exp(2iφ)) Pᵀ is the matrix. Real and imaginary part commute. The best eigenvectors of
    several mixtures of the two are used, since one mixture may have equal eigenvalues where the
    matrix has not.
    """
    candidates = []
    for angle in (0.3, 1.1, 1.9, 2.7, 0.7, 1.5, 2.3, 3.1):
        mixture = math.cos(angle) * np.real(symmetric) + math.sin(angle) * np.imag(symmetric)
        vectors = np.linalg.eigh(mixture).eigenvectors
        diagonal = vectors.T @ symmetric @ vectors
        error = np.abs(diagonal - np.diag(np.diag(diagonal))).max()
        candidates.append((error, vectors, np.angle(np.diag(diagonal)) / 2))
    _, vectors, phases = min(candidates, key=lambda candidate: candidate[0])
    return vectors, phases


def _factors(local: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return A and B of A⊗B, each unitary."""
    swapped = local.reshape(2, 2, 2, 2).transpose(0, 2, 1, 3).reshape(4, 4)
    left, values, right = np.linalg.svd(swapped)
    root = math.sqrt(values[0])
    return root * left[:, 0].reshape(2, 2), root * right[0].reshape(2, 2)


def _reduced(left, strengths: np.ndarray, right):
    """Remove multiples of π/2 from the interaction: exp(i π/2 XX) = i X⊗X is local."""
    a, b = left
    times = np.ceil(strengths / (PI / 2) - 0.5 - _ZERO).astype(int)
    for pauli, count in zip(_PAULIS, times, strict=True):
        if count % 2:
            a, b = a @ pauli, b @ pauli
    return (a, b), tuple((strengths - times * PI / 2).tolist()), right


def _rotations(matrix: np.ndarray, wire: int) -> list[Part]:
    phi, theta, omega = zyz(matrix)
    rotations = [rotation_z(wire, phi), rotation_y(wire, theta), rotation_z(wire, omega)]
    return [rotation for rotation in rotations if abs(rotation[2].offset) > 1e-15]
