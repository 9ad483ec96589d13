"""Engines `lightning`, `lightning.kokkos`, `lightning.gpu`: the batch as a register of Lightning.

2^m samples use m additional qubits beside the circuit's n, so one run of Lightning evaluates them
all. A batch of any size is processed in chunks. First derivatives only.

Source:
    The batch as a register: |Ψ⟩ = Σ_b |b⟩|ψ(x_b)⟩, on which a shared gate acts as 1 ⊗ U [R].
    The backward pass (adjoint method): Jones and Gacon 2020, arXiv:2009.02823.
"""

import torch
from torch import Tensor

from qtha_lab.circuits import Circuit, Readout
from qtha_lab.core.errors import Refusal, Unsupported
from qtha_lab.simulators.lightning.forward_backward import PlanExecutor
from qtha_lab.simulators.lightning.plan import Register, RegisterPlan, load, plan

MAX_QUBITS = 20
CHUNK_QUBITS = 16  # qubits of a chunk: 2^16 amplitudes stay in the cache of one core
KEEP_BYTES = 2**26  # final states up to this size are saved between forward and backward


def check(circuit: Circuit, readout: Readout, name: str) -> None:
    """Refuse a missing Lightning, and unsupported circuits and read-outs."""
    if circuit.n_qubits > MAX_QUBITS:
        raise Refusal(
            f"n_qubits must be at most {MAX_QUBITS} for engine {name!r}, got {circuit.n_qubits} "
            f"({8 * 2**circuit.n_qubits:,} bytes per sample)."
        )
    if readout.kind == "state":
        raise Refusal(
            f"readout must be strings of Z or probabilities for engine {name!r}, got the state. "
            "Use engine='torch'."
        )
    load(name)


def working_bytes(circuit: Circuit, batch: int, name: str = "lightning") -> int:
    """Return the bytes of one chunk's states, of signs and of saved states.

    Counted per chunk: ψ, then ψ and λ, each on the host and in Lightning; the final ψ; overlaps.
    """
    n_qubits = circuit.n_qubits
    chunk = 8 * 2 ** (n_qubits + _index_qubits(n_qubits, batch))
    return (2 + 4 + 2) * chunk + 4 * n_qubits * 2**n_qubits + _saved_bytes(n_qubits, batch, 4)


def run(
    circuit: Circuit, inputs: Tensor, params: Tensor, readout: Readout, name: str = "lightning"
) -> Tensor:
    """Compute the read-out on the host, or with `lightning.gpu` on its GPU.

    First derivatives only.
    """
    batch, where = len(inputs), inputs.device
    if circuit.n_inputs == 0:
        inputs = inputs[:1]  # every sample is the same
    values = _Read.apply(inputs.cpu(), params.cpu(), plan(circuit, readout), name)
    return values.expand(batch, -1).to(where)


class _Read(torch.autograd.Function):
    @staticmethod
    def forward(ctx, inputs: Tensor, params: Tensor, cut: RegisterPlan, engine: str) -> Tensor:
        ctx.save_for_backward(inputs, params)
        ctx.call = _Call(cut, inputs, params, engine, keep=any(ctx.needs_input_grad))
        return ctx.call.forward(inputs)

    @staticmethod
    def backward(ctx, grad: Tensor):
        inputs, params = ctx.saved_tensors  # refused by torch if changed since
        return (*_Gradients.apply(inputs, params, grad, ctx.call), None, None)


class _Gradients(torch.autograd.Function):
    """Backward pass as a separate function, so that a second derivative raises a clear error."""

    @staticmethod
    def forward(ctx, inputs: Tensor, params: Tensor, grad: Tensor, call: "_Call"):
        ctx.engine = call.engine
        of_inputs, of_params = call.backward(inputs, grad)
        return of_inputs, of_params.to(params.dtype)

    @staticmethod
    def backward(ctx, *grads):
        raise Unsupported(
            f"Derivatives of engine {ctx.engine!r} must be of first order, got second order. "
            "Use engine='torch'."
        )


class _Call:
    """One evaluation in chunks, with the saved final states if they are small."""

    def __init__(self, cut: RegisterPlan, inputs: Tensor, params: Tensor, engine: str, keep: bool):
        self.plan, self.engine, self.dtype = cut, engine, inputs.dtype
        self.executor = PlanExecutor(cut, params)
        self.index_qubits = _index_qubits(cut.n_qubits, len(inputs))
        keeps = keep and _saved_bytes(cut.n_qubits, len(inputs), inputs.element_size()) > 0
        self.saved_states: list[Tensor] | None = [] if keeps else None

    def forward(self, inputs: Tensor) -> Tensor:
        register, read = self._register(0), []
        for chunk in self._chunks(inputs):
            state = self.executor.forward(register, chunk)
            read.append(self.executor.read(state))
            if self.saved_states is not None:
                self.saved_states.append(state.clone())
        return torch.cat(read, 1)[:, : len(inputs)].T

    def backward(self, inputs: Tensor, grad: Tensor) -> tuple[Tensor, Tensor]:
        register, both = self._register(0), self._register(1)
        of_sums, of_inputs = torch.zeros_like(self.executor.shared), []
        for number, (chunk, of_read) in enumerate(
            zip(self._chunks(inputs), self._chunks(grad), strict=True)
        ):
            states = self.saved_states
            state = self.executor.forward(register, chunk) if states is None else states[number]
            sums, gradients = self.executor.backward(both, state, chunk, of_read.T)
            of_sums += sums
            of_inputs.append(gradients)
        return torch.cat(of_inputs)[: len(inputs)], of_sums @ self.plan.of_params

    def _register(self, more: int) -> Register:
        return Register(self.engine, self.plan.n_qubits + self.index_qubits + more, self.dtype)

    def _chunks(self, rows: Tensor) -> list[Tensor]:
        """Split rows into chunks of the register's size; the last is padded with zeros."""
        samples = 2**self.index_qubits
        chunks = list(rows.detach().split(samples))
        missing = samples - len(chunks[-1])
        if missing:
            chunks[-1] = torch.cat([chunks[-1], rows.new_zeros(missing, rows.shape[1])])
        return chunks


def _index_qubits(n_qubits: int, batch: int) -> int:
    """Return the number of qubits that index the samples of a chunk.

    As many as fit, or fewer if that needs much less padding.
    """
    most = min(max(CHUNK_QUBITS - n_qubits, 0), (batch - 1).bit_length())
    return min(range(most, max(most - 3, -1), -1), key=lambda m: (-(-batch >> m) << m) * 8 // batch)


def _saved_bytes(n_qubits: int, batch: int, itemsize: int) -> int:
    """Return the bytes of saved final states, 0 if they would exceed `KEEP_BYTES`."""
    states = 2 * itemsize * 2**n_qubits * batch
    return states if states <= KEEP_BYTES else 0
