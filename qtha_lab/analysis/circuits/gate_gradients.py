"""Gradient of a read-out at every gate, also where gates share a parameter.

∂⟨O⟩/∂θ_k = Σ over the angles that read θ_k of  scale · ∂⟨O⟩/∂angle
"""

import dataclasses
import functools
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float

from qtha_lab.circuits import Angle, Circuit
from qtha_lab.core.errors import Refusal
from qtha_lab.simulators import expval

Numbers = Sequence[float] | np.ndarray | torch.Tensor


@dataclasses.dataclass(frozen=True)
class GateGradients:
    """Gradients of one expectation by every angle of every gate, at given angles.

    A gradient is local: it shows neither the curvature of the read-out nor the effect of a gate on
    other data. A zero can mean that the read-out does not depend on the gate, or that it is
    extremal.

    Attributes:
        value: ⟨O⟩.
        gates: Per gate, the gradient by each angle, constants included.
        params: Gradient by the parameters, (n_params,), summed over gates.
        inputs: Gradient by the inputs, (n_inputs,), summed; zero for amplitudes.
    """

    observable: str
    value: float
    gates: tuple[tuple[float, ...], ...]
    params: Float[np.ndarray, " n_params"]
    inputs: Float[np.ndarray, " n_inputs"]


def gate_gradients(
    circuit: Circuit, inputs: Numbers, params: Numbers, observable: str = "Z0"
) -> GateGradients:
    """Differentiate ⟨O⟩ by each angle separately.

    Args:
        circuit: Circuit to run.
        inputs: One sample, (n_inputs,).
        params: Trainable angles, (n_params,).
        observable: A Pauli string.

    Example:
        >>> from qtha_lab.circuits import Angle, Circuit, Gate
        >>> twice = Circuit(1, [Gate("RY", 0, Angle.param(0)), Gate("RY", 0, Angle.param(0, 2.0))])
        >>> found = gate_gradients(twice, [], [torch.pi / 6])  # cos 3θ: each angle gives -sin(π/2)
        >>> found.gates, found.params.round(6)
        (((-1.0,), (-1.0,)), array([-3.]))
    """
    x, p = (
        one_sample("inputs", inputs, circuit.n_inputs),
        one_sample("params", params, circuit.n_params),
    )
    angles = [angle for gate in circuit.gates for angle in gate.angles]
    numbers = x.numpy(), p.numpy()
    values = torch.tensor([float(a.value(*numbers)) for a in angles], dtype=torch.float64)
    values.requires_grad_()
    data = x if circuit.start == "amplitudes" else x.new_zeros(0)
    value = expval(apart(circuit), [observable], data, values)
    gradients = torch.autograd.grad(value.sum(), values)[0] if angles else values
    of_gates = iter(gradients.tolist())
    return GateGradients(
        observable,
        float(value.detach()),
        tuple(tuple(next(of_gates) for _ in gate.angles) for gate in circuit.gates),
        _summed(angles, gradients.detach().numpy(), "param", circuit.n_params),
        _summed(angles, gradients.detach().numpy(), "input", circuit.n_inputs),
    )


def one_sample(name: str, numbers: Numbers, size: int) -> torch.Tensor:
    """Convert numbers to a detached float64 tensor on the CPU.

    Args:
        name: Name in the error, such as "params".
        numbers: Numbers of one sample.
        size: Required number.

    Raises:
        Refusal: If the shape is wrong.

    Example:
        >>> one_sample("params", [0, 1], 2)
        tensor([0., 1.], dtype=torch.float64)
    """
    sample = torch.as_tensor(numbers, dtype=torch.float64).detach().cpu()
    if sample.shape != (size,):
        raise Refusal(f"{name} must have shape ({size},), got {tuple(sample.shape)}.")
    return sample


@functools.lru_cache(maxsize=64)
def apart(circuit: Circuit) -> Circuit:
    """Return the circuit with a separate parameter for every angle, in order.

    Example:
        >>> from qtha_lab.circuits.ansatze import build
        >>> apart(build("qtha", 3, 2)).n_params  # 2 layers of 3 data and 12 trainable angles
        30
    """
    numbers = iter(range(sum(len(gate.angles) for gate in circuit.gates)))
    gates = [
        dataclasses.replace(g, angles=tuple(Angle.param(next(numbers)) for _ in g.angles))
        for g in circuit.gates
    ]
    return Circuit(circuit.n_qubits, gates, circuit.start)


def _summed(angles: list[Angle], gradients: np.ndarray, source: str, size: int) -> np.ndarray:
    total = np.zeros(size)
    for angle, gradient in zip(angles, gradients, strict=True):
        if angle.source == source:
            total[angle.index] += angle.scale * gradient
    return total
