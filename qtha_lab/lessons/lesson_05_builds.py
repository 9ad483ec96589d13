"""Builds of lesson 5: all gradients by shifted angles, and by the adjoint method."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from qtha_lab.circuits import Circuit
from qtha_lab.lessons.builds import build_task
from qtha_lab.lessons.time_limit import ENGINE

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


def _circuit(n_qubits: int, n_layers: int):
    """Return QTHA's circuit, its data, its angles, and the gradient of ⟨Z0⟩ by autograd."""
    from qtha_lab.circuits import ansatze
    from qtha_lab.simulators import expval_z

    circuit = ansatze.build("qtha", n_qubits, n_layers)
    torch.manual_seed(0)
    x = torch.randn(1, n_qubits, dtype=torch.float64, requires_grad=True)
    p = torch.randn(circuit.n_params, dtype=torch.float64, requires_grad=True)
    mean = expval_z(circuit, x, p, ENGINE)[0, 0]
    gradients = torch.autograd.grad(mean, (x, p))
    return circuit, x.detach(), p.detach(), gradients


def _crz_places(circuit: Circuit) -> list[bool]:
    places = {gate.angles[0].index for gate in circuit.gates if gate.name == "CRZ"}
    return [k in places for k in range(circuit.n_params)]


def _one_rotation(built):
    got = built(lambda angles: math.sin(angles[0]), [0.8], [False])
    return got, [math.cos(0.8)], "⟨Z⟩ = sin θ of an RY angle, at 0.8"


def _one_controlled(built):
    def run(angles):
        return 0.3 * math.cos(angles[0]) + 0.4 * math.sin(angles[0] / 2)

    right = -0.3 * math.sin(0.8) + 0.2 * math.cos(0.4)
    return built(run, [0.8], [True]), [right], "0.3 cos θ + 0.4 sin θ/2 of a CRZ angle, at 0.8"


def _counted(built):
    runs = []

    def run(angles):
        runs.append(list(angles))
        return math.cos(sum(angles))

    built(run, [0.1, 0.2, 0.3], [False, True, False])
    return len(runs), 8, "two RY angles and one CRZ angle: 2 + 4 + 2 runs"


def _whole_circuit(built):
    from qtha_lab.simulators import expval_z

    circuit, x, p, (_, right) = _circuit(3, 1)

    def run(angles):
        return float(expval_z(circuit, x, torch.tensor(angles, dtype=torch.float64), ENGINE)[0, 0])

    return built(run, p.tolist(), _crz_places(circuit)), right, "QTHA's circuit, 3 qubits"


build_task(
    "5.shifts",
    "shift_gradients",
    steps=(
        ("an RY angle has the gradient of its wave", _one_rotation),
        ("so has a CRZ angle, whose wave has two frequencies", _one_controlled),
        ("an RY angle takes two runs, a CRZ angle four", _counted),
        ("all gradients of QTHA's circuit equal autograd's", _whole_circuit),
    ),
    tolerance=1e-9,
    solution="""
        def shift_gradients(run, angles, controlled):
            gradients = []
            for k, is_controlled in enumerate(controlled):
                rule = by_four_runs if is_controlled else by_two_runs
                gradients.append(rule(lambda t: run([*angles[:k], t, *angles[k + 1 :]]), angles[k]))
            return gradients
    """,
    setup="""
        from qtha_lab.lessons import own_build

        by_two_runs, by_four_runs = own_build("5.1"), own_build("5.2")
    """,
)


def _one_gate(built):
    gates = [(_ry(0.8), _ry(0.8 + math.pi) / 2, (0,))]
    return built(zero_state(1), gates, z0), [-math.sin(0.8)], "one RY gate by 0.8"


def _two_gates(built):
    gates = [(_ry(angle), _ry(angle + math.pi) / 2, (0,)) for angle in (0.8, 0.3)]
    return built(zero_state(1), gates, z0), [-math.sin(1.1)] * 2, "RY gates by 0.8 and 0.3"


def _in_order(built):
    circuit, x, p, (by_data, _) = _circuit(3, 1)
    got = built(zero_state(3), gates_of(circuit, x[0].tolist(), p.tolist()), z0)
    return got[:3], by_data[0], "the data's gates of QTHA's circuit, 3 qubits"


def _all_gates(built):
    circuit, x, p, (_, right) = _circuit(4, 1)
    got = built(zero_state(4), gates_of(circuit, x[0].tolist(), p.tolist()), z0)
    return got[4:], right, "all trained gates of QTHA's circuit, 4 qubits"


build_task(
    "5.adjoint",
    "adjoint_gradients",
    steps=(
        ("one gate has the gradient of a cosine", _one_gate),
        ("two rotations of one wire have equal gradients", _two_gates),
        ("the gradients have the order of the gates", _in_order),
        ("all gradients of QTHA's circuit equal autograd's", _all_gates),
    ),
    tolerance=1e-9,
    solution="""
        def adjoint_gradients(state, gates, observable):
            for matrix, _, wires in gates:
                state = apply_gate(state, matrix, wires)
            weighted, gradients = observable(state), []
            for matrix, derivative, wires in reversed(gates):
                state = apply_gate(state, matrix.mH, wires)
                changed = apply_gate(state, derivative, wires)
                gradients.append(2 * (weighted.conj() * changed).sum().real)
                weighted = apply_gate(weighted, matrix.mH, wires)
            return torch.stack(gradients[::-1])
    """,
    setup="""
        import torch

        from qtha_lab.lessons import own_build

        apply_gate = own_build("3.gate")
    """,
)
