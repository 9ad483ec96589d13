"""Dynamical Lie algebra of a circuit, which contains all directions of its angles.

Computes the dimension from the gates. Every rotation is a sum of Pauli strings, and constant gates
conjugate them. Commutators are added until the dimension stays constant. For few qubits.
`qml.lie_closure` needs 14 s for QTHA's 255 strings on four qubits (here 6 ms), and has no limit of
the dimension.
"""

import dataclasses

import numpy as np

from qtha_lab.analysis.circuits.pauli_strings import (
    SMALL,
    Pauli,
    Terms,
    commutator,
    dressed,
    string_of,
)
from qtha_lab.circuits import Circuit
from qtha_lab.core.errors import Refusal

MOST_QUBITS = 8
MOST_NUMBERS = 2**23  # limit of dimension times 4^n where sums of strings cannot be split


@dataclasses.dataclass(frozen=True)
class LieAlgebra:
    """Dimension of the algebra that a circuit's generators span under commutators.

    An upper limit of the reach of deep circuits of these gates. It does not show the reach of this
    circuit of few layers, nor its convergence. Deep circuits of a large algebra have small
    gradients at random angles. A small algebra does not guarantee large gradients, since state and
    read-out matter too.

    Attributes:
        dimension: Dimension of the algebra; `full`, 4^n - 1, is that of all unitaries.
        n_generators: Number of linearly independent generators of the gates.
    """

    n_qubits: int
    dimension: int
    n_generators: int

    @property
    def full(self) -> int:
        """Dimension of su(2^n), 4^n - 1, the largest possible."""
        return 4**self.n_qubits - 1


def lie_algebra_of(circuit: Circuit, with_inputs: bool = True) -> LieAlgebra:
    """Close the generators of a circuit under commutators.

    Constant gates are moved to the end, so the CNOTs before them conjugate the generators of later
    layers. The number of generators grows with the layers until it repeats. Neighbouring commuting
    rotations by one angle form one generator, a sum. Other rotations by one angle count as
    independent, which can make the algebra larger than it is.

    Args:
        circuit: Circuit to analyse.
        with_inputs: Inputs are generators too, as if they take all values; otherwise they
            are 0.

    Raises:
        Refusal: If there are too many qubits, or inseparable sums of strings span too much.

    Example:
        >>> from qtha_lab.circuits import Angle, Circuit, Gate
        >>> rotations = [Gate("RX", 0, Angle.param(0)), Gate("RZ", 0, Angle.param(1))]
        >>> lie_algebra_of(Circuit(1, rotations)).dimension  # X, Z and their commutator Y: su(2)
        3

    Source:
        Larocca et al. 2022, arXiv:2105.14377; its part in barren plateaus: Ragone et al. 2024,
        arXiv:2309.09342. Dressing by constant gates is ours [R].
    """
    if circuit.n_qubits > MOST_QUBITS:
        raise Refusal(
            f"n_qubits must be at most {MOST_QUBITS} for the Lie algebra, got {circuit.n_qubits}."
        )
    generators = independent(generators_of(circuit, with_inputs))
    return LieAlgebra(
        circuit.n_qubits, closure_dimension(generators, circuit.n_qubits), len(generators)
    )


def generators_of(circuit: Circuit, with_inputs: bool = True) -> list[Terms]:
    """Return the Pauli strings of every rotation with a variable angle.

    Each is conjugated by the constant gates before it.
    """
    before: list[tuple] = []  # constant parts so far
    runs: list[tuple[tuple[tuple[str, int], ...], list[Terms]]] = []
    for gate in circuit.gates:
        for kind, wires, angle in gate.parts():
            sources = ("param", "input") if with_inputs else ("param",)
            if angle is not None and angle.source in sources and angle.scale != 0:
                direction = {string_of(circuit.n_qubits, kind, wires): angle.scale}
                for constant in reversed(before):
                    direction = dressed(direction, circuit.n_qubits, *constant)
                if not runs or runs[-1][0] != angle.variables:
                    runs.append((angle.variables, []))
                runs[-1][1].append(direction)
            if angle is None or angle.offset:
                before.append((kind, wires, 0.0 if angle is None else angle.offset))
    return [terms for _, run in runs for terms in _merged(run)]


def _merged(run: list[Terms]) -> list[Terms]:
    """Return one sum if all terms commute, else each term; drop identities and zeros."""
    commuting = all(not commutator(a, b) for i, a in enumerate(run) for b in run[:i])
    sums = [run[0].copy()] if commuting else [terms.copy() for terms in run]
    for terms in run[1:] if commuting else []:
        for string, scale in terms.items():
            sums[0][string] = sums[0].get(string, 0.0) + scale
    rest = [{s: c for s, c in t.items() if abs(c) > SMALL and s != (0, 0)} for t in sums]
    return [terms for terms in rest if terms]


def independent(generators: list[Terms]) -> list[Terms]:
    """Return a maximal linearly independent subset, in order."""
    strings = sorted({s for terms in generators for s in terms})
    place = {s: k for k, s in enumerate(strings)}
    basis = np.zeros((0, len(strings)))
    basis_terms = []
    for terms in generators:
        row = np.zeros(len(strings))
        row[[place[s] for s in terms]] = list(terms.values())
        grown = _grown(basis, (row / np.linalg.norm(row))[None])
        if len(grown) > len(basis):
            basis_terms.append(terms)
            basis = grown
    return basis_terms


def closure_dimension(generators: list[Terms], n_qubits: int) -> int:
    """Compute the dimension of all nested commutators of Hermitian generators, times i.

    Example:
        >>> ising = [{(0, 3): 1.0}, {(1, 0): 1.0}, {(2, 0): 1.0}]  # Z Z, X₁, X₀
        >>> closure_dimension(ising, 2)  # n(2n - 1)
        6
    """
    generators = _split(generators)
    if all(len(terms) == 1 for terms in generators):
        return len(_closed_strings([next(iter(terms)) for terms in generators]))
    return len(_closed_vectors(generators, n_qubits))


def _split(generators: list[Terms]) -> list[Terms]:
    """Split sums of Pauli strings into parts that are in the algebra by themselves.

    [P, [P, G]] / 4 is the part of G that anticommutes with a string P. This part and the rest of G
    are both in the algebra.
    """
    while True:
        alone = {next(iter(terms)) for terms in generators if len(terms) == 1}
        closed = _closed_strings(sorted(alone))
        sums: list[Terms] = []
        for terms in generators:
            sums += _apart(terms, closed)
        if len(sums) == len(generators):
            return sums
        generators = independent(sums)


def _apart(terms: Terms, closed: np.ndarray) -> list[Terms]:
    """Group the strings of a sum by their pattern of commutation with all strings."""
    if len(terms) == 1 or not len(closed):
        return [terms]
    strings = np.array(list(terms))
    x, z = (_parity(strings[:, None, k] & closed[None, :, 1 - k]) for k in (0, 1))
    parts: dict[bytes, Terms] = {}
    for pattern, (string, scale) in zip(x ^ z, terms.items(), strict=True):
        parts.setdefault(pattern.tobytes(), {})[string] = scale
    return list(parts.values())


def _parity(bits: np.ndarray) -> np.ndarray:
    return np.bitwise_count(bits) % 2


def _closed_strings(generators: list[Pauli]) -> np.ndarray:
    """Return all strings in the algebra of some strings, (count, 2).

    They are nested commutators with generators.
    """
    strings = np.array(sorted(set(generators)), dtype=np.int64).reshape(-1, 2)
    shift = int(strings.max(initial=1)).bit_length()
    low = (1 << shift) - 1
    is_member = np.zeros(1 << 2 * shift, dtype=bool)  # by x << shift | z
    newest = np.unique(strings[:, 0] << shift | strings[:, 1])
    is_member[newest] = True
    while len(newest):
        fresh = np.zeros_like(is_member)
        for x, z in strings:
            swapped = z << shift | x  # the parity of & with it is even if two strings commute
            odd = _parity(newest & swapped) == 1
            fresh[newest[odd] ^ (x << shift | z)] = True
        newest = np.flatnonzero(fresh & ~is_member)
        is_member[newest] = True
    reached = np.flatnonzero(is_member)
    return np.stack([reached >> shift, reached & low], 1)


def _closed_vectors(generators: list[Terms], n_qubits: int) -> np.ndarray:
    """Return an orthonormal basis of the algebra of sums, over the 4^n strings."""
    rows = np.zeros((len(generators), 4**n_qubits))
    for row, terms in zip(rows, generators, strict=True):
        for (x, z), scale in terms.items():
            row[x << n_qubits | z] = scale
    basis = _grown(np.zeros((0, 4**n_qubits)), rows)
    newest = basis
    actions = [_adjoint(terms, n_qubits) for terms in generators]
    while len(newest):
        size = len(basis)
        for indices, signs in actions:
            basis = _grown(basis, (newest[:, indices] * signs).sum(1))
        newest = basis[size:]
        if basis.size > MOST_NUMBERS:
            raise Refusal(
                f"The Lie algebra of sums of Pauli strings on {n_qubits} qubits must have a "
                f"dimension of at most {MOST_NUMBERS // 4**n_qubits}, got at least {len(basis)}."
            )
    return basis


def _adjoint(terms: Terms, n_qubits: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the source index and the factor of each string of [G, V]/2i."""
    strings = np.arange(4**n_qubits)
    x, z = strings >> n_qubits, strings & (2**n_qubits - 1)
    indices, signs = [], []
    for (own_x, own_z), scale in terms.items():
        from_x, from_z = x ^ own_x, z ^ own_z
        power = _count(own_x & own_z) + _count(from_x & from_z) - _count(x & z)
        power = (
            power + 2 * _count(own_z & from_x)
        ) % 4  # of i, as in `product`; even: they commute
        indices.append(from_x << n_qubits | from_z)
        signs.append(scale * (power % 2) * (2 - power))
    return np.stack(indices), np.stack(signs)


def _count(bits) -> np.ndarray:
    return np.bitwise_count(bits).astype(np.int64)


def _grown(basis: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return the orthonormal basis extended by the new directions of rows, (1 + …, size)."""
    norms = np.linalg.norm(rows, axis=1)
    rows = rows[norms > SMALL] / norms[norms > SMALL, None]
    for _ in range(2):  # twice, to remove the rounding error of the first pass
        rows = rows - (rows @ basis.T) @ basis
    if not len(rows):
        return basis
    _, values, right = np.linalg.svd(rows, full_matrices=False)
    return np.concatenate([basis, right[values > 1e-7]])
