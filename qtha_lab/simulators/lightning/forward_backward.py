"""Forward and backward pass of a chunk of samples on a register of Lightning.

A layer whose angles differ between samples is diagonal after a change of basis by Lightning, and is
applied as phases on the host. Forward, all other layers run in Lightning, once for all samples.
Backward, the inverse gates act on ψ and λ together; an additional wire distinguishes them.
Gradients are computed on the host, where a layer of many shared phases, such as a ring of CRZ, is
also undone. Rounded gates are not exactly unitary, and in float32 the errors of hundreds of gates
add up. So results are normalised by the norm at that point.
"""

import functools
import math

import numpy as np
import torch
from torch import Tensor

from qtha_lab.simulators.lightning.plan import (
    SMALL_QUBITS,
    GateCall,
    Register,
    RegisterLayer,
    RegisterPlan,
    signs,
)

QUARTER = math.pi / 2  # RX by this angle maps Y to Z
MANY_PHASES = 6  # from this number on a multiplication on the host is faster (CPU time)
_PHASES = {1: "PhaseShift", 2: "IsingZZ"}  # by number of wires, up to a global phase


class PlanExecutor:
    """Executor of a plan with given parameters; input chunks are (samples, n_inputs)."""

    def __init__(self, plan: RegisterPlan, params: Tensor):
        self.plan = plan
        self.size = 2**plan.n_qubits
        self.shared = plan.of_params @ params.double() + plan.offsets  # (sums,)
        self.of_inputs = plan.of_inputs.to(params.dtype)
        self.offsets = self.shared[plan.sampled].unsqueeze(-1).to(params.dtype)
        angles = self.shared.tolist()
        self.gates = [_gates(plan, layer, angles[layer.sums]) for layer in plan.layers]
        self.to_phases = [_to_phases(plan, layer) for layer in plan.layers]
        self.inverse = [_inverse_phases(plan, layer, self.shared) for layer in plan.layers]

    def forward(self, register: Register, inputs: Tensor) -> Tensor:
        """Return the final ψ, (2^n, samples), valid until the register's next gate."""
        shape = (self.size, len(inputs))
        sampled = self._sampled(inputs)
        layers = self.plan.layers
        rotated = self.plan.start == "zero" and bool(layers) and layers[0].sampled is not None
        register.change(*shape).copy_(self._start(layers[0] if rotated else None, inputs))
        for position, layer in enumerate(layers):
            if not layer.sampled:
                register.apply(self.gates[position])
                continue
            if position or not rotated:
                register.apply(self.to_phases[position])
            self._multiply(register.change(*shape).unsqueeze(1), layer, sampled)
            register.apply(self.to_phases[position], inverse=True)
        return register.look(*shape)

    def backward(
        self, register: Register, state: Tensor, inputs: Tensor, grad: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Compute the gradients of a chunk from the final ψ.

        Args:
            register: Register with one wire more than for `forward`.
            state: Final ψ, (2^n, samples).
            inputs: Inputs of the chunk.
            grad: Gradient of the read-out, (readout size, samples).

        Returns:
            Gradients of every sum, added over the chunk, (sums,) in float64; and of inputs,
            (samples, n_inputs).
        """
        shape = (self.size, 2, len(inputs))
        sampled = self._sampled(inputs, sign=-1.0)
        of_sums, of_sampled = torch.zeros_like(self.shared), torch.zeros_like(sampled[0])
        both = register.change(*shape)
        both[:, 0] = state
        torch.mul(state, self._observable(grad), out=both[:, 1])
        to_start, growth = self.plan.start == "amplitudes", None
        for position, layer in reversed(list(enumerate(self.plan.layers))):
            if layer.sampled:
                register.apply(self.to_phases[position])
            if layer.angles:
                both = register.look(*shape)
                if growth is None or layer.kind == "rotations":  # phases hardly change the norm
                    growth = self._growth(both, inputs)
                gradients = self._gradients(both, layer).div_(growth)
                of_sums[layer.sums] = gradients.double().sum(-1)
                if layer.sampled:
                    of_sampled[layer.sampled] = gradients
            if position or to_start:
                self._undo(register, shape, position, sampled)
        if to_start:
            both = register.look(*shape)
            return of_sums, 2 * both[:, 1].real.T / self._growth(both, inputs) ** 0.5
        return of_sums, of_sampled.T @ self.of_inputs

    def _undo(
        self, register: Register, shape: tuple, position: int, sampled: tuple[Tensor, Tensor]
    ) -> None:
        """Undo a layer on ψ and λ; a sampled layer is already diagonal."""
        layer, inverse = self.plan.layers[position], self.inverse[position]
        if layer.sampled:
            self._multiply(register.change(*shape), layer, sampled)
            register.apply(self.to_phases[position], inverse=True)
        elif inverse is not None:
            both = register.change(*shape)
            both.mul_(inverse.to(both.dtype))
        else:
            register.apply(self.gates[position], inverse=True)

    def read(self, state: Tensor) -> Tensor:
        """Compute the normalised read-out of ψ, (readout size, samples)."""
        probs = state.real.square().add_(state.imag.square())
        norms = probs.sum(0).clamp_min_(torch.finfo(probs.dtype).tiny)
        if self.plan.readout is None:
            return probs / norms
        return signs(self.plan.n_qubits, self.plan.readout, probs.dtype) @ probs / norms

    def _observable(self, grad: Tensor) -> Tensor:
        """Return the diagonal observable with the loss's gradient, (2^n, samples)."""
        if self.plan.readout is None:
            return grad
        return signs(self.plan.n_qubits, self.plan.readout, grad.dtype).T @ grad

    def _sampled(self, inputs: Tensor, sign: float = 1.0) -> tuple[Tensor, Tensor]:
        """Return half of the angles per sample, (sums, samples), and exp(∓i half).

        The phases are (sums, 2, samples).
        """
        half = torch.addmm(self.offsets, self.of_inputs, inputs.T).mul_(0.5 * sign)
        phase = torch.complex(half.cos(), -half.sin())
        return half, torch.stack([phase, phase.conj()], 1)

    def _start(self, rotated: RegisterLayer | None, inputs: Tensor) -> Tensor:
        """Return the initial state of all samples.

        With `rotated`, it is in the basis in which that layer's rotations are phases.
        """
        if self.plan.start == "amplitudes":
            return inputs.T
        wires = sum(rotated.masks) if rotated and rotated.kind == "rotations" else 0
        zero = torch.tensor([1.0, 0.0], dtype=torch.complex128)
        minus = torch.tensor([1.0, -1.0j], dtype=torch.complex128) * math.sqrt(0.5)  # RX(π/2)|0⟩
        columns = [minus if wires & self.plan.bit(w) else zero for w in range(self.plan.n_qubits)]
        return functools.reduce(torch.kron, columns).unsqueeze(-1)

    def _multiply(
        self, states: Tensor, layer: RegisterLayer, sampled: tuple[Tensor, Tensor]
    ) -> None:
        """Multiply states, (2^n, any, samples), by exp(-i/2 Σ ±angle) per row and sample."""
        n_qubits, (half, pairs) = self.plan.n_qubits, (rows[layer.sampled] for rows in sampled)
        if any(mask & (mask - 1) for mask in layer.masks):
            phase = signs(n_qubits, layer.masks, half.dtype).T @ half
            states.mul_(torch.complex(phase.cos(), -phase.sin()).unsqueeze(1))
            return
        pair_of = dict(zip(layer.masks, pairs, strict=True))  # one bit each: a product over wires
        middle = n_qubits // 2
        upper, lower = (
            _product([pair_of.get(self.plan.bit(w)) for w in wires], pairs)
            for wires in (range(middle), range(middle, n_qubits))
        )
        grouped = states.view(len(upper), len(lower), *states.shape[1:])
        grouped.mul_(upper[:, None, None]).mul_(lower[:, None])

    def _growth(self, both: Tensor, inputs: Tensor) -> float:
        """Return the mean of ⟨ψ|ψ⟩ over its exact value; λ grows by the same factor."""
        psi = torch.view_as_real(both[:, 0]).flatten(1).numpy()
        exact = inputs.square().sum().item() if self.plan.start == "amplitudes" else len(inputs)
        return float(np.vecdot(psi, psi).sum(dtype=np.float64)) / exact

    def _gradients(self, both: Tensor, layer: RegisterLayer) -> Tensor:
        """Compute Im⟨λ|P|ψ⟩ for every generator P of a layer.

        The result is (sums, samples), or (sums, 1) summed over samples for a shared layer.
        """
        if layer.sampled:  # the register is in the basis in which rotations are phases
            overlaps = torch.conj_physical(both[:, 1]).mul_(both[:, 0])
            reals = torch.view_as_real(overlaps).flatten(1)
            return (signs(self.plan.n_qubits, layer.masks, reals.dtype) @ reals)[:, 1::2]
        if layer.kind == "rotations":
            psi, lam = torch.view_as_real(both).flatten(2).numpy().transpose(1, 0, 2)
            gradients = [[_rotation_gradient(psi, lam, mask)] for mask in layer.masks]
            return torch.tensor(gradients, dtype=torch.float64)
        psi, lam = both.numpy().transpose(1, 0, 2)
        overlaps = torch.from_numpy(np.vecdot(lam, psi).imag.copy())  # conjugates λ
        return signs(self.plan.n_qubits, layer.masks, overlaps.dtype) @ overlaps.unsqueeze(-1)


def _gates(plan: RegisterPlan, layer: RegisterLayer, angles: list[float]) -> list[GateCall]:
    """Return the gate calls of a layer shared by the batch."""
    calls: list[GateCall] = [(name, wires, ()) for name, wires in layer.flips]
    for mask, angle in zip(layer.masks, angles, strict=True):
        wires = plan.wires(mask)
        name = "RY" if layer.kind == "rotations" else _PHASES.get(len(wires), "MultiRZ")
        calls.append((name, wires, (angle,)))
    return calls


def _inverse_phases(plan: RegisterPlan, layer: RegisterLayer, shared: Tensor) -> Tensor | None:
    """Return the factors that undo many shared phases on the host, (2^n, 1, 1).

    Return None if Lightning undoes the layer.
    """
    many = layer.kind == "phases" and not layer.sampled and len(layer.angles) >= MANY_PHASES
    if not many or plan.n_qubits > SMALL_QUBITS:
        return None
    half = 0.5 * signs(plan.n_qubits, layer.masks, shared.dtype).T @ shared[layer.sums]
    return torch.polar(torch.ones_like(half), half)[:, None, None]


def _to_phases(plan: RegisterPlan, layer: RegisterLayer) -> list[GateCall]:
    """Return the gates to the basis in which a layer's rotations are phases."""
    masks = layer.masks if layer.kind == "rotations" else ()
    return [("RX", plan.wires(mask), (QUARTER,)) for mask in masks]


def _product(pairs: list[Tensor | None], like: Tensor) -> Tensor:
    """Compute the tensor product of vectors (2, samples) over wires; None stands for ones."""
    product = None
    for pair in reversed(pairs):
        pair = like.new_ones(2, like.shape[-1]) if pair is None else pair
        product = pair if product is None else (pair.unsqueeze(1) * product).flatten(0, 1)
    return like.new_ones(1, like.shape[-1]) if product is None else product


def _rotation_gradient(psi: np.ndarray, lam: np.ndarray, mask: int) -> float:
    """Compute Im⟨λ|Y|ψ⟩ = Re(⟨λ₁|ψ₀⟩ - ⟨λ₀|ψ₁⟩) for the two halves of a wire.

    ψ and λ are (2^n, reals).
    """
    psi, lam = (rows.reshape(-1, 2, mask, rows.shape[-1]) for rows in (psi, lam))
    crossed = np.vecdot(lam[:, ::-1], psi)
    return float((crossed[:, 0] - crossed[:, 1]).sum(dtype=np.float64))
