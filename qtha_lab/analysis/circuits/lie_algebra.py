"""The dynamical Lie algebra of a circuit: all directions in which its angles can move a state.

Its dimension, from the gates as data: every turn is a sum of Pauli strings, constant gates pass
through them, and commutators are taken until nothing new comes. For few qubits.
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
MOST_NUMBERS = 2**23  # where sums of strings do not come apart: dimension times 4^n


@dataclasses.dataclass(frozen=True)
class LieAlgebra:
    """The dimension of the algebra that a circuit's generators span under commutators.

    An upper limit of what deep circuits of these gates reach; does not show what this circuit of
    few layers reaches, nor how fast. Deep circuits of a large algebra have small gradients at random
    angles; a small one is no promise, since state and read-out decide too.

    Attributes:
        dimension: Of the algebra; `full`, 4^n - 1, is that of every unitary.
        n_generators: Linearly independent ones the gates give.
    """

    n_qubits: int
    dimension: int
    n_generators: int

    @property
    def full(self) -> int:
        """The dimension of su(2^n), 4^n - 1: the most there can be."""
        return 4**self.n_qubits - 1


def lie_algebra_of(circuit: Circuit, with_inputs: bool = True) -> LieAlgebra:
    """Close the generators of a circuit under commutators.

    Constant gates are moved to the end, so generators of later layers are dressed by the CNOTs
    before them, and their number grows with the layers until it repeats. Neighbouring turns by one
    angle are one generator, a sum, if they commute; other turns by one angle are taken as free,
    which can make the algebra larger than it is.

    Args:
        circuit: What to read.
        with_inputs: Whether data generate too, as they do if they take all values; otherwise they
            stand at 0.

    Raises:
        Refusal: If there are too many qubits, or sums of strings that stay together span too much.

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
            f"the Lie algebra is closed for {MOST_QUBITS} qubits at most, not {circuit.n_qubits}"
        )
    generators = independent(generators_of(circuit, with_inputs))
    return LieAlgebra(
        circuit.n_qubits, closure_dimension(generators, circuit.n_qubits), len(generators)
    )


def generators_of(circuit: Circuit, with_inputs: bool = True) -> list[Terms]:
    """The Pauli strings of every turn whose angle varies, dressed by the constant gates before it."""
    before: list[tuple] = []  # constant parts so far
    runs: list[tuple[tuple[str, int], list[Terms]]] = []
    for gate in circuit.gates:
        for kind, wires, angle in gate.parts():
            sources = ("param", "input") if with_inputs else ("param",)
            if angle is not None and angle.source in sources and angle.scale != 0:
                direction = {string_of(circuit.n_qubits, kind, wires): angle.scale}
                for constant in reversed(before):
                    direction = dressed(direction, circuit.n_qubits, *constant)
                source = (angle.source, angle.index)
                if not runs or runs[-1][0] != source:
                    runs.append((source, []))
                runs[-1][1].append(direction)
            if angle is None or angle.offset:
                before.append((kind, wires, 0.0 if angle is None else angle.offset))
    return [terms for _, run in runs for terms in _merged(run)]


def _merged(run: list[Terms]) -> list[Terms]:
    """One sum if all commute, else each on its own; identities and zeros are left out."""
    commuting = all(not commutator(a, b) for i, a in enumerate(run) for b in run[:i])
    sums = [run[0].copy()] if commuting else [terms.copy() for terms in run]
    for terms in run[1:] if commuting else []:
        for string, scale in terms.items():
            sums[0][string] = sums[0].get(string, 0.0) + scale
    rest = [{s: c for s, c in t.items() if abs(c) > SMALL and s != (0, 0)} for t in sums]
    return [terms for terms in rest if terms]


def independent(generators: list[Terms]) -> list[Terms]:
    """A largest set of linearly independent ones, in order."""
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
    """The dimension of all nested commutators of Hermitian generators, times i.

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
    """Take sums apart where strings that are in the algebra do so.

    [P, [P, G]] / 4 is the part of G that anticommutes with a string P; with it, G minus it is in the
    algebra too.
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
    """Strings of a sum with the same pattern of commutation with all strings stay together."""
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
    """All strings in the algebra of some strings, (count, 2): nested commutators with generators."""
    strings = np.array(sorted(set(generators)), dtype=np.int64).reshape(-1, 2)
    shift = int(strings.max(initial=1)).bit_length()
    low = (1 << shift) - 1
    is_member = np.zeros(1 << 2 * shift, dtype=bool)  # by x << shift | z
    newest = np.unique(strings[:, 0] << shift | strings[:, 1])
    is_member[newest] = True
    while len(newest):
        fresh = np.zeros_like(is_member)
        for x, z in strings:
            swapped = z << shift | x  # the parity of & with it says whether two strings commute
            odd = _parity(newest & swapped) == 1
            fresh[newest[odd] ^ (x << shift | z)] = True
        newest = np.flatnonzero(fresh & ~is_member)
        is_member[newest] = True
    reached = np.flatnonzero(is_member)
    return np.stack([reached >> shift, reached & low], 1)


def _closed_vectors(generators: list[Terms], n_qubits: int) -> np.ndarray:
    """An orthonormal basis of the algebra of sums, over the 4^n strings."""
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
                f"the Lie algebra of sums of Pauli strings on {n_qubits} qubits is closed up to "
                f"dimension {MOST_NUMBERS // 4**n_qubits}, and has at least {len(basis)}"
            )
    return basis


def _adjoint(terms: Terms, n_qubits: int) -> tuple[np.ndarray, np.ndarray]:
    """For [G, V]/2i: where each string of the result comes from, and with which factor."""
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
    """An orthonormal basis with what is new in the rows, (1 + …, size)."""
    norms = np.linalg.norm(rows, axis=1)
    rows = rows[norms > SMALL] / norms[norms > SMALL, None]
    for _ in range(2):  # twice, for the rounding of the first
        rows = rows - (rows @ basis.T) @ basis
    if not len(rows):
        return basis
    _, values, right = np.linalg.svd(rows, full_matrices=False)
    return np.concatenate([basis, right[values > 1e-7]])
