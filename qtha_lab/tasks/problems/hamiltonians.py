"""Small Hamiltonians and graphs whose ground states are known."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, reduce

import numpy as np

from qtha_lab.core.libraries import require_extra


@dataclass(frozen=True)
class Graph:
    """Graph with the weight of each edge.

    Attributes:
        n: Number of nodes.
        edges: Pairs of nodes.
        weights: Weights of the edges, in their order.
    """

    n: int
    edges: tuple[tuple[int, int], ...]
    weights: tuple[float, ...]

    @property
    def best_cut(self) -> float:
        """Largest sum of weights between two parts, by exhaustive search.

        Example:
            >>> Graph(3, ((0, 1), (1, 2), (0, 2)), (1.0, 1.0, 1.0)).best_cut
            2.0
        """
        bits = np.arange(2**self.n)[:, None] >> np.arange(self.n) & 1
        first, second = np.array(self.edges).T
        return float(((bits[:, first] != bits[:, second]) @ np.array(self.weights)).max())


def random_graph(n: int, seed: int, weighted: bool = False) -> Graph:
    """Draw a graph in which each pair is an edge with probability ½.

    A graph without edges gets the edge (0, 1).

    Example:
        >>> random_graph(4, seed=1).weights[0]
        1.0
    """
    random = np.random.default_rng(seed)
    edges = [(a, b) for a in range(n) for b in range(a + 1, n) if random.random() < 0.5]
    edges = edges or [(0, 1)]
    weights = random.uniform(0.1, 2, len(edges)) if weighted else np.ones(len(edges))
    return Graph(n, tuple(edges), tuple(weights.tolist()))


PAULIS = {
    "X": np.array([[0, 1], [1, 0]]),
    "Y": np.array([[0, -1j], [1j, 0]]),
    "Z": np.array([[1, 0], [0, -1]]),
}
HYDROGEN = {
    "I": -0.042072551947439224,
    "Z0": 0.1777135822909176,
    "Z1": 0.1777135822909176,
    "Z2": -0.2427450126094144,
    "Z3": -0.2427450126094144,
    "Z0 Z1": 0.17059759276836803,
    "Z0 Z2": 0.12293330449299361,
    "Z0 Z3": 0.16768338855601356,
    "Z1 Z2": 0.16768338855601356,
    "Z1 Z3": 0.12293330449299361,
    "Z2 Z3": 0.1762766139418181,
    "Y0 X1 X2 Y3": 0.044750084063019925,
    "X0 Y1 Y2 X3": 0.044750084063019925,
    "X0 X1 Y2 Y3": -0.044750084063019925,
    "Y0 Y1 X2 X3": -0.044750084063019925,
}
"""Factors in hartree of the Pauli strings of H₂, at a distance of 0.7 Å.

Source:
    PennyLane's documentation of `qchem.molecular_hamiltonian` (basis STO-3G, Jordan–Wigner). The
    code of arXiv:2010.10217 has the same molecule, with the ground energy -1.136189454 hartree.
"""
HARTREE_FOCK_WIRES = (0, 1)
"""Wires that are 1 in the Hartree–Fock state |1100⟩; the others are 0."""


@cache
def hydrogen_matrix() -> np.ndarray:
    """Build the Hamiltonian of H₂, (16, 16), wire 0 as the most significant bit.

    Example:
        >>> hydrogen_matrix().shape, round(float(hydrogen_matrix()[12, 12]), 4)  # Hartree–Fock
        ((16, 16), -1.1173)
    """
    total = np.zeros((16, 16), complex)
    for string, factor in HYDROGEN.items():
        letters = [np.eye(2)] * 4
        for term in string.split() if string != "I" else ():
            letters[int(term[1])] = PAULIS[term[0]]
        total += factor * np.asarray(reduce(np.kron, letters))
    return np.real(total)  # every string has an even number of Y


def hydrogen_ground_energy() -> float:
    """Compute the lowest eigenvalue of the Hamiltonian of H₂, in hartree.

    Example:
        >>> round(hydrogen_ground_energy(), 4)
        -1.1362
    """
    return float(np.linalg.eigvalsh(hydrogen_matrix())[0])


def ising_terms(n: int, field: float = 1.0) -> tuple[list[str], list[float]]:
    """Return the Pauli strings and factors of the transverse-field Ising Hamiltonian.

    H = −Σ Z_i Z_{i+1} − g Σ X_i on an open chain.

    Example:
        >>> ising_terms(2)
        (['Z0 Z1', 'X0', 'X1'], [-1.0, -1.0, -1.0])
    """
    strings = [f"Z{i} Z{i + 1}" for i in range(n - 1)] + [f"X{i}" for i in range(n)]
    return strings, [-1.0] * (n - 1) + [-field] * n


@cache
def ground_energy(n: int, field: float = 1.0) -> float:
    """Compute the ground energy by free fermions.

    It is minus the sum of the singular values of an n × n matrix.

    Example:
        >>> round(ground_energy(10), 5)  # exact diagonalisation gives -12.38149
        -12.38149

    Source:
        Lieb, Schultz and Mattis 1961; Pfeuty 1970.
    """
    matrix = field * np.eye(n) + np.eye(n, k=1)
    return -float(np.linalg.svd(matrix, compute_uv=False).sum())


def check_installed() -> None:
    """Refuse to continue without quimb.

    Raises:
        Refusal: If quimb is not installed.
    """
    require_extra("reproductions", "A matrix product state", "quimb")


def ground_state_mps(n: int, bond_dim: int, field: float = 1.0) -> np.ndarray:
    """Compute the 2^n amplitudes of the best matrix product state, by two-site DMRG.

    The initial state is random with seed 0, so two calls return identical amplitudes.
    """
    check_installed()
    import quimb.tensor as tn

    operator = tn.MPO_ham_ising(n, j=-4.0, bx=2.0 * field)  # spin operators are half of Paulis
    first = operator.rand_state(bond_dim, seed=0)
    search = tn.DMRG2(operator, bond_dims=bond_dim, cutoffs=1e-12, p0=first)
    search.solve(tol=1e-9, max_sweeps=20, verbosity=0)
    vector = np.asarray(search.state.to_dense()).ravel()
    return vector / np.linalg.norm(vector)
