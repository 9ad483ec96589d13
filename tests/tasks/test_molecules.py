"""Hydrogen molecule: its Hamiltonian against another program, and energies that are known."""

from typing import Any

import numpy as np
import pennylane as qml
import pytest
import torch

from qtha_lab.reproductions.architecture_search_h2 import SPACE, energy
from qtha_lab.tasks.problems.hamiltonians import (
    HARTREE_FOCK_WIRES,
    HYDROGEN,
    hydrogen_ground_energy,
    hydrogen_matrix,
)

BOHR = 0.529177210903  # Å


def test_the_ground_energy_of_hydrogen_is_that_of_the_papers_code():
    assert hydrogen_ground_energy() == pytest.approx(-1.137, abs=0.001)
    assert hydrogen_ground_energy() == pytest.approx(-1.136189454, abs=1e-5)


def test_the_hamiltonian_is_that_of_pennylanes_own_hartree_fock():
    distance = 0.7 / BOHR
    molecule = qml.qchem.Molecule(["H", "H"], qml.numpy.array([[0, 0, 0], [0, 0, distance]]))
    other: Any = qml.qchem.molecular_hamiltonian(molecule)[0]
    assert len(other.wires) == 4
    assert len(other.terms()[0]) == len(HYDROGEN)
    dense = qml.matrix(other, wire_order=range(4))
    assert np.abs(dense - hydrogen_matrix()).max() < 3e-5


def test_angles_of_zero_leave_the_hartree_fock_state():
    circuit = SPACE.circuit((("YZYZ", ()),) * 3)
    state = int("".join("1" if wire in HARTREE_FOCK_WIRES else "0" for wire in range(4)), 2)
    value = energy(circuit, torch.zeros(12, dtype=torch.float64)).item()
    assert value == pytest.approx(hydrogen_matrix()[state, state], abs=1e-12)
    assert value == pytest.approx(-1.1173, abs=1e-4)  # Hartree-Fock limit of the basis


def test_no_circuit_ends_below_the_ground_energy():
    random = torch.Generator().manual_seed(0)
    for _ in range(20):
        point = SPACE.point(lambda count: int(torch.randint(count, (), generator=random)))
        angles = 2 * torch.pi * torch.rand(12, generator=random, dtype=torch.float64)
        assert energy(SPACE.circuit(point), angles).item() >= hydrogen_ground_energy() - 1e-12
