"""Gates of a circuit as matrices, for the adjoint method that a reader writes."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from qtha_lab.circuits import Circuit

GateMatrix = tuple[Tensor, Tensor, tuple[int, ...]]


def gates_of(
    circuit: Circuit, inputs: Sequence[float], params: Sequence[float]
) -> list[GateMatrix]:
    """Return matrix, derivative and wires of every gate of a circuit.

    Args:
        circuit: RY and CRZ gates without constant angles, such as QTHA's.
        inputs: Data of one sample.
        params: Trained angles.

    Example:
        >>> from qtha_lab.circuits import Angle, Gate
        >>> rotation = Circuit(1, [Gate("RY", 0, Angle.input(0))])
        >>> ((matrix, derivative, wires),) = gates_of(rotation, [0.0], [])
        >>> (2 * derivative.real).round().tolist(), wires
        ([[0.0, -1.0], [1.0, 0.0]], (0,))
    """
    values = {"input": inputs, "param": params}
    gates: list[GateMatrix] = []
    for gate in circuit.gates:
        angle = gate.angles[0]
        theta = float(values[angle.source][angle.index])
        if gate.name == "RY":
            gates.append((_ry(theta), _ry(theta + math.pi) / 2, gate.wires))
        else:
            gates.append((_crz(theta), (_crz(theta + math.pi) - _UNCHANGED) / 2, gate.wires))
    return gates


_UNCHANGED = torch.diag(torch.tensor([1, 1, 0, 0], dtype=torch.complex128))


def _ry(theta: float) -> Tensor:
    c, s = math.cos(theta / 2), math.sin(theta / 2)
    return torch.tensor([[c, -s], [s, c]], dtype=torch.complex128)


def _crz(theta: float) -> Tensor:
    phase = torch.tensor(0.5j * theta, dtype=torch.complex128).exp()
    one = torch.ones_like(phase)
    return torch.diag(torch.stack([one, one, phase.conj(), phase]))


def zero_state(n_qubits: int) -> Tensor:
    """Return the state |0…0⟩ as a batch of one, with an axis for each wire.

    Example:
        >>> zero_state(2).shape
        torch.Size([1, 2, 2])
    """
    state = torch.zeros(1, 2**n_qubits, dtype=torch.complex128)
    state[:, 0] = 1
    return state.reshape(1, *[2] * n_qubits)


def z0(state: Tensor) -> Tensor:
    """Apply Z of wire 0 to a batch of states.

    Example:
        >>> z0(zero_state(1)).real.tolist()
        [[1.0, -0.0]]
    """
    return torch.stack([state[:, 0], -state[:, 1]], dim=1)
