"""Engine `triton`: angles by torch, then one fused kernel per forward and backward pass.

First derivatives only. All data stay on the GPU. Not yet run on a GPU: correctness is tested with
Triton's interpreter.
"""

import functools
from typing import Any

import torch
from torch import Tensor

from qtha_lab.circuits import Circuit, Readout
from qtha_lab.core.errors import Refusal, Unsupported
from qtha_lab.simulators.program import Rotation, compile_circuit
from qtha_lab.simulators.torch_engine import times
from qtha_lab.simulators.triton.kernel import walk

MAX_QUBITS = 8  # ψ and λ of a few samples still fit into the registers of a block
TILE = 2048  # amplitudes per block


def check(circuit: Circuit, readout: Readout, name: str) -> None:
    """Refuse circuits whose states do not fit into registers, and the state as read-out."""
    if circuit.n_qubits > MAX_QUBITS:
        raise Refusal(
            f"n_qubits must be at most {MAX_QUBITS} for engine 'triton', got {circuit.n_qubits}."
        )
    if readout.kind == "state":
        raise Refusal(
            "readout must be strings of Z or probabilities for engine 'triton', got the state. "
            "Use engine='torch'."
        )


def broadcasts(name: str) -> bool:
    """Return True: one call evaluates a whole batch."""
    return True


def working_bytes(circuit: Circuit, batch: int, name: str = "triton") -> int:
    """Return the bytes of angles and their gradients; the states stay in registers."""
    return 2 * 4 * batch * sum(kind in "YZ" for g in circuit.gates for kind, *_ in g.parts())


def run(
    circuit: Circuit, inputs: Tensor, params: Tensor, readout: Readout, name: str = "triton"
) -> Tensor:
    """Compute the read-out of every sample; first derivatives only."""
    tables = _tables(circuit, readout, inputs.device, inputs.dtype)
    shared = times(tables.of_params, params.unsqueeze(-1)) + tables.offsets
    angles = shared + times(tables.of_inputs, inputs.T) if tables.sampled else shared
    start = inputs.T if circuit.start == "amplitudes" else inputs.new_zeros(0)
    angles = angles.expand(-1, len(inputs)).contiguous()
    return _TritonCircuit.apply(angles, start.contiguous(), tables).T


class _Tables:
    """Tables of a circuit as a sequence of gates, on one device."""

    def __init__(
        self, circuit: Circuit, readout: Readout, device: torch.device, dtype: torch.dtype
    ):
        program = compile_circuit(circuit, readout)
        pairs = [pair for layer in program.layers for pair in layer.angles.items()]
        gates = [(1, g.flip, g.zmask) if isinstance(g, Rotation) else (0, 0, g) for g, _ in pairs]
        sums = [total for _, total in pairs]
        of_params, of_inputs = (
            [[dict(terms).get(i, 0.0) for i in range(count)] for terms in columns]
            for columns, count in (
                ([total.params for total in sums], circuit.n_params),
                ([total.inputs for total in sums], circuit.n_inputs),
            )
        )
        options = {"device": device, "dtype": dtype}
        self.size, self.n_values = 2**circuit.n_qubits, readout.size(circuit.n_qubits)
        self.n_gates, self.sampled = len(gates), any(total.inputs for total in sums)
        self.from_start, self.strings = program.start == "amplitudes", readout.kind == "strings"
        masks = [m for m, _ in program.readout] if self.strings else program.basis_states()
        whole = {"device": device, "dtype": torch.int32}
        self.gates = torch.tensor(gates or [(0, 0, 0)], **whole)
        self.masks = torch.tensor(masks or [0], **whole)
        self.signs = torch.tensor([sign for _, sign in program.readout] or [1], **options)
        self.offsets = torch.tensor([[total.offset] for total in sums], **options).reshape(-1, 1)
        self.of_params = torch.tensor(of_params, **options).reshape(len(sums), circuit.n_params)
        self.of_inputs = torch.tensor(of_inputs, **options).reshape(len(sums), circuit.n_inputs)

    def walk(self, angles, start, values, gradients, start_gradients, backward: bool) -> None:
        """Run the kernel over all samples (see `cpu.kernel.run_blocks`)."""
        batch = values.shape[1]
        lanes = min(TILE // self.size, 1 << (batch - 1).bit_length())
        launch: Any = walk
        launch[(-(-batch // lanes),)](
            angles, self.gates, start, self.masks, self.signs, values, gradients, start_gradients,
            batch, self.n_gates, self.n_values,
            size=self.size, lanes=lanes, from_start=self.from_start, strings=self.strings,
            backward=backward,
        )  # fmt: skip


@functools.lru_cache(maxsize=64)
def _tables(
    circuit: Circuit, readout: Readout, device: torch.device, dtype: torch.dtype
) -> _Tables:
    with torch.inference_mode(False):  # later calls may use the cached tables with autograd
        return _Tables(circuit, readout, device, dtype)


class _TritonCircuit(torch.autograd.Function):
    @staticmethod
    def forward(ctx, angles: Tensor, start: Tensor, tables: _Tables) -> Tensor:
        ctx.save_for_backward(angles, start)
        ctx.tables = tables
        values = angles.new_empty(tables.n_values, angles.shape[1])
        tables.walk(angles, start, values, angles, start, backward=False)
        return values

    @staticmethod
    def backward(ctx, grad: Tensor):
        angles, start = ctx.saved_tensors
        return *_Gradients.apply(angles, start, grad, ctx.tables), None


class _Gradients(torch.autograd.Function):
    """Backward pass as a separate function, so that a second derivative raises a clear error."""

    @staticmethod
    def forward(ctx, angles: Tensor, start: Tensor, grad: Tensor, tables: _Tables):
        gradients, start_gradients = torch.empty_like(angles), torch.empty_like(start)
        tables.walk(angles, start, grad.contiguous(), gradients, start_gradients, backward=True)
        return gradients, start_gradients

    @staticmethod
    def backward(ctx, *grads):
        raise Unsupported(
            "Derivatives of engine 'triton' must be of first order, got second order. Use "
            "engine='torch'."
        )
