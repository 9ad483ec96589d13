"""Initial angles that prepare the matrix product state of a run.

The run has `generator=mps`, whose state gives the probabilities that weights are generated from.
The run's other tensors are copied too, since its state depends on them. So the initial change of
weight equals that of the run, up to the infidelity of the gates.
"""

import functools
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from qtha_lab.adapters.initialisation.angles.registry import (
    AngleInitialisation,
    AnglePosition,
    angle_initialisation,
)
from qtha_lab.adapters.initialisation.angles.saved_tensors import SavedAdapter
from qtha_lab.adapters.initialisation.angles.small import normal
from qtha_lab.circuits import Circuit, ansatze
from qtha_lab.circuits.unitary import kak, zyz
from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import shortened

NEAR_IDENTITY = 0.01  # radians, for surplus layers


@angle_initialisation(
    "mps(RUN)",
    summary="Gates that prepare the matrix product state of a run with generator=mps.",
    source="synergistic pretraining, arXiv:2208.13673; gates by arXiv:2209.00595; use in a weight "
    "generator and 0.01 radians of further layers are ours [R]",
)
class PreparesMps(AngleInitialisation):
    """Initialisation by gates of the state; surplus layers are near the identity."""

    is_resolved = True

    @cached_property
    def _saved(self) -> SavedAdapter:
        saved = SavedAdapter.of(self.argument)
        if saved.config.get("generator") != "mps":
            raise Refusal(
                f"angles=mps(RUN) must name a run with generator=mps, got {self.argument!r} with "
                f"generator={saved.config.get('generator', 'none')}."
            )
        return saved

    @cached_property
    def _bond_dim(self) -> int:
        bond_dim = self._saved.config.get("mps_bond", 2)
        if not isinstance(bond_dim, int) or not 1 <= bond_dim <= 256:
            raise Refusal(
                "angles=mps(RUN) must name a run with mps_bond from 1 to 256, got "
                f"{shortened(repr(bond_dim), 40)}. Choose another run."
            )
        return bond_dim

    def check_circuit(self, circuit: Circuit) -> None:
        if circuit.n_inputs:
            raise Refusal(
                "angles=mps(RUN) must be used with a circuit without inputs, got one with "
                f"{circuit.n_inputs}. Train a teacher (teacher=RUN) and use angles=run(RUN)."
            )
        n, per_layer = circuit.n_qubits, 15 * (circuit.n_qubits - 1)
        n_layers = circuit.n_params // per_layer if per_layer else 0
        if not n_layers or circuit != ansatze.build_without_inputs("su4", n, n_layers):
            raise Refusal("ansatz must be su4 beside angles=mps(RUN), got another circuit.")

    def check(self, place: AnglePosition) -> None:
        self._numbers(place)

    def _numbers(self, place: AnglePosition) -> torch.Tensor:
        numbers = self._saved.at(place.layer).get(place.tensor, torch.empty(0)).flatten()
        n = place.circuit.n_qubits
        if place.first or len(numbers) != n_numbers(n, self._bond_dim):
            raise Refusal(
                f"angles=mps(RUN) must name a run with a state of {n} qubits at {place.layer}, got "
                f"{self.argument!r}. Choose a run of the same chunk and of one block."
            )
        return numbers

    def angles(self, place: AnglePosition, uniform):
        numbers = self._numbers(place).double()
        state = amplitudes(numbers, place.circuit.n_qubits, self._bond_dim)
        n_layers = place.circuit.n_params // (15 * (place.circuit.n_qubits - 1))
        prepared = torch.from_numpy(decompose(state.numpy(), n_layers).angles)
        angles = torch.zeros(place.circuit.n_params, dtype=torch.float64)
        if uniform is not None:
            angles = NEAR_IDENTITY * normal(uniform.double())
        angles[: len(prepared)] = prepared
        return angles

    def beside(self, layer: str):
        tensors = self._saved.at(layer)
        return {name: tensor for name, tensor in tensors.items() if name != "params"}


def shapes(n_qubits: int, bond_dim: int) -> list[tuple[int, int, int]]:
    """Return (left bond, 2, right bond) of every core.

    A bond is at most the dimension of the smaller side.

    Example:
        >>> shapes(3, 8)
        [(1, 2, 2), (2, 2, 2), (2, 2, 1)]
    """
    bonds = [min(bond_dim, 2**k, 2 ** (n_qubits - k)) for k in range(n_qubits + 1)]
    return [(left, 2, right) for left, right in itertools.pairwise(bonds)]


def n_numbers(n_qubits: int, bond_dim: int) -> int:
    """Count the entries of all cores."""
    return sum(map(math.prod, shapes(n_qubits, bond_dim)))


def amplitudes(
    numbers: Float[Tensor, "n_numbers"], n_qubits: int, bond_dim: int
) -> Float[Tensor, "states"]:
    """Compute the amplitudes of norm 1, with wire 0 as most significant bit.

    Args:
        numbers: Entries of all cores, one core after another.
        n_qubits: Number of cores.
        bond_dim: Largest bond dimension.

    Example:
        >>> import torch
        >>> amplitudes(torch.tensor([3.0, 4.0]), 1, 1)
        tensor([0.6000, 0.8000])
    """
    sizes = shapes(n_qubits, bond_dim)
    parts = numbers.split([math.prod(size) for size in sizes])
    state = numbers.new_ones(1, 1)
    for part, (left, _, right) in zip(parts, sizes, strict=True):
        state = (state @ part.reshape(left, 2 * right)).reshape(-1, right)
    state = state.flatten()
    return state / state.norm()


MOST_QUBITS = 20
SWEEPS = 20
CLOSE = 1e-13  # infidelity below which no layer is added


@dataclass(frozen=True)
class Decomposition:
    """Gates that prepare a state from |0…0⟩, with the fidelity.

    Attributes:
        layers: Staircases in circuit order, each of n - 1 matrices (4, 4) on wires (i, i + 1).
        fidelity: |⟨ψ|U|0⟩|² with the state.
    """

    layers: tuple[tuple[np.ndarray, ...], ...]
    fidelity: float

    @functools.cached_property
    def angles(self) -> np.ndarray:
        """Angles in radians, 15 per gate in circuit order, for `su4` as a staircase."""
        return np.concatenate([_fifteen(gate) for layer in self.layers for gate in layer])


def decompose(state, n_layers: int, sweeps: int = SWEEPS) -> Decomposition:
    """Decompose a state into layers of gates, with as few layers as suffice.

    Args:
        state: 2^n amplitudes of norm 1, wire 0 the most significant bit.
        n_layers: Largest number of layers, at least 1.
        sweeps: Number of sweeps over all gates after each new layer; 0 disables them.

    Example:
        >>> ghz = np.zeros(8)
        >>> ghz[[0, -1]] = 0.5**0.5
        >>> decompose(ghz, 1).fidelity > 1 - 1e-12
        True
    """
    target = np.asarray(state, dtype=complex).reshape(-1)
    n = len(target).bit_length() - 1
    if len(target) != 2**n or not 2 <= n <= MOST_QUBITS:
        raise Refusal(f"The state must have 2 to {MOST_QUBITS} qubits, got {len(target)} numbers.")
    if abs(np.linalg.norm(target) - 1) > 1e-6:
        raise Refusal(f"The state must have norm 1, got {np.linalg.norm(target):.6g}.")
    layers: list[list[np.ndarray]] = []
    for _ in range(n_layers):
        rest = _undone(target, layers, n)
        layers.insert(0, _staircase(rest, n))
        fidelity = _fidelity(target, layers, n)
        for _ in range(sweeps):
            before, fidelity = fidelity, _sweep(target, layers, n)
            if fidelity - before < 1e-15:
                break
        if fidelity > 1 - CLOSE:
            break
    return Decomposition(tuple(map(tuple, layers)), fidelity)


def _undone(target: np.ndarray, layers: Sequence[Sequence[np.ndarray]], n: int) -> np.ndarray:
    """Apply the inverse of all gates to the state."""
    for layer in reversed(layers):
        for wire in reversed(range(n - 1)):
            target = _apply(layer[wire].conj().T, target, wire)
    return target


def _apply(gate: np.ndarray, state: np.ndarray, wire: int) -> np.ndarray:
    return (gate @ state.reshape(2**wire, 4, -1)).reshape(-1)


def _fidelity(target: np.ndarray, layers: list[list[np.ndarray]], n: int) -> float:
    return float(abs(_undone(target, layers, n)[0]) ** 2)


def _staircase(state: np.ndarray, n: int) -> list[np.ndarray]:
    """Compute gates that prepare the bond-2 approximation of a state.

    Gate i maps a bond on wire i to a bit and the next bond.
    """
    cores = _cores(state, n)
    gates = [_completed(core) for core in cores[:-1]]
    last = cores[-1][:, :, 0].T  # (bit, bond), of one column where the bond is 1
    if last.shape[1] == 1:
        last = np.concatenate([last, [[-last[1, 0].conj()], [last[0, 0].conj()]]], 1)
    gates[-1] = np.kron(np.eye(2), last) @ gates[-1]
    return gates


def _cores(state: np.ndarray, n: int) -> list[np.ndarray]:
    """Compute right-canonical cores (left, 2, right), truncated to bond 2 from the last wire."""
    cores, rest, right = [], state, 1
    for wire in reversed(range(1, n)):
        left, values, core = np.linalg.svd(rest.reshape(2**wire, 2 * right), full_matrices=False)
        bond = max(1, min(2, int((values > 1e-14 * values[0]).sum())))
        cores.insert(0, core[:bond].reshape(bond, 2, right))
        rest, right = left[:, :bond] * values[:bond], bond
    return [(rest / np.linalg.norm(rest)).reshape(1, 2, right), *cores]


def _completed(core: np.ndarray) -> np.ndarray:
    """Complete a core to the unitary with U|a⟩|0⟩ = Σ A[a, p, b]|p⟩|b⟩.

    The other columns are any orthogonal complement.
    """
    left, _, right = core.shape
    columns = np.zeros((4, left), complex)
    columns.reshape(2, 2, left)[:, :right] = core.transpose(1, 2, 0)
    free = np.linalg.svd(columns)[0][:, left:]
    gate = np.empty((4, 4), complex)
    places = [0, 2][:left]  # |a⟩|0⟩
    gate[:, places] = columns
    gate[:, [k for k in range(4) if k not in places]] = free
    return gate


def _sweep(target: np.ndarray, layers: list[list[np.ndarray]], n: int) -> float:
    """Optimise every gate in circuit order, and return the final fidelity."""
    right = np.zeros(2**n, complex)
    right[0] = 1
    left = _undone(target, layers, n)
    overlap = 0.0
    for layer in layers:
        for wire in range(n - 1):
            left = _apply(layer[wire], left, wire)  # excludes the gate from both sides
            shape = (2**wire, 4, -1)
            environment = np.einsum(
                "xiy,xoy->io", right.reshape(shape), left.conj().reshape(shape), optimize=True
            )
            v, values, w = np.linalg.svd(environment)
            layer[wire] = (v @ w).conj().T
            right = _apply(layer[wire], right, wire)
            overlap = float(values.sum())
    return min(overlap**2, 1.0)


def _fifteen(gate: np.ndarray) -> np.ndarray:
    """Compute the angles of `circuits.general_two_qubit` for a matrix, up to a phase."""
    (left_a, left_b), strengths, (right_a, right_b) = kak(gate)
    rotations = [
        *zyz(right_a),
        *zyz(right_b),
        *(-2 * s for s in strengths),
        *zyz(left_a),
        *zyz(left_b),
    ]
    return np.array(rotations)
