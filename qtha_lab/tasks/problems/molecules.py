"""Hydrogen molecule on four qubits: Hamiltonian, its ground energy and the Hartree–Fock state."""

from __future__ import annotations

from functools import cache, reduce

import numpy as np

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
