"""Engine `cpu`: blocks of samples in cache, with a hand-written adjoint method.

torch's threads run `kernel` on the blocks (docs/cpu_engine.md). No state is stored per gate. Beyond
inputs, outputs and at most 16 MiB of final states, memory does not grow with the batch. First
derivatives only.
Lightning simulates one state per call, and a plain numba loop is 3.5 to 7 times slower.
"""

import dataclasses
import functools
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from qtha_lab.circuits import Angle, Circuit, Gate, Readout
from qtha_lab.core.errors import Refusal, Unsupported
from qtha_lab.simulators.cpu import angles
from qtha_lab.simulators.cpu.compiled import cache_fault
from qtha_lab.simulators.cpu.evaluation import (
    EngineCall,
    cached_numbers,
    copied_bytes,
    shared_numbers,
)
from qtha_lab.simulators.cpu.layout import GROUPS, SAVED_BYTES, count_operations, lanes_of
from qtha_lab.simulators.cpu.plan import KernelPlan, plan
from qtha_lab.simulators.cpu.single_token import FEWEST_QUBITS, Single, single_tables
from qtha_lab.simulators.engine_costs import smaller_copy
from qtha_lab.simulators.engine_selection import compiler_refusal

MAX_QUBITS = 20
LARGE_QUBITS = 18  # from this size and depth on, Lightning is faster for a single sample
DEEP_GATES = 20  # gates per wire, four layers of QTHA


def check(circuit: Circuit, readout: Readout, name: str) -> None:
    """Refuse circuits too large for the cache, the complex state, and a broken compiler."""
    if circuit.n_qubits > MAX_QUBITS:
        raise Refusal(
            f"n_qubits must be at most {MAX_QUBITS} for engine 'cpu', got {circuit.n_qubits}."
        )
    if readout.kind == "state":
        raise Refusal(
            "readout must be strings of Z or probabilities for engine 'cpu', got the state. "
            "Use engine='torch'."
        )
    if fault := compiler_fault():
        raise Refusal(fault)


@functools.cache
def compiler_fault() -> str:
    """Run one qubit forward; return why that fails, or an empty string.

    This compiles or loads every single-thread kernel of the forward pass.
    """
    try:
        tables = plan(Circuit(1, []), Readout.z(1))
        with torch.device("cpu"):  # independent of the default device
            inputs, params = torch.zeros(1, 0), torch.zeros(0)
            EngineCall(tables, inputs, False).forward(inputs, params)
    except Exception as fault:  # the compiler and its libraries may raise any exception
        return compiler_refusal(fault)
    return ""


def load_kernels(dtype: torch.dtype = torch.float32) -> None:
    """Load or compile the kernels of a dtype, forward and backward.

    Training uses float32 only; PennyLane's QNodes use float64.
    """
    angles_of_all = (Angle.input, Angle.param)
    gates = [Gate("RY", wire, angle(wire)) for wire in range(4) for angle in angles_of_all]
    circuit, readout = Circuit(4, gates), Readout.z(4)
    with torch.enable_grad(), torch.device("cpu"):
        inputs = torch.zeros(1, 4, dtype=dtype)
        params = torch.zeros(4, dtype=dtype, requires_grad=True)
        run(circuit, inputs, params, readout).sum().backward()
    square = torch.zeros(4, 4, dtype=dtype)
    if single := fuse_matrices(square, circuit, square[0], readout, square, 1.0):
        single(square[:1], square[:1])


def quicker(circuit: Circuit, batch: int) -> tuple[str, str] | None:
    """Return the engine that is faster here, for a single deep sample of many qubits.

    Here a single sample costs as much as a full vector, and runs on one thread.
    """
    is_deep = len(circuit.gates) >= DEEP_GATES * circuit.n_qubits
    if batch != 1 or circuit.n_qubits < LARGE_QUBITS or not is_deep or torch.get_num_threads() == 1:
        return None
    return (
        "lightning",
        "slower for a single deep sample of so many qubits, which it runs on one thread",
    )


def remark() -> str:
    """Return a remark if the kernel cache cannot be written, else an empty string."""
    return cache_fault()


def working_bytes(circuit: Circuit, batch: int, name: str = "cpu") -> int:
    """Return the bytes of workspaces, saved states, terms, values and gradients.

    For a large circuit this is an estimate from its reduced copy, because its own tables take long
    to build.
    """
    small, times = smaller_copy(circuit)
    tables = plan(small)
    n_qubits = max(2, circuit.n_qubits)
    lanes = lanes_of(n_qubits, batch, 4, times * batch * count_operations(tables, True, 4)[0])
    threads = min(torch.get_num_threads(), -(-batch // lanes))
    of_sample = 2 * (2**n_qubits + 1 + times * tables.n_terms)
    saved_bytes = min(SAVED_BYTES, 4 * of_sample * (batch + lanes))
    of_batch = 4 * batch * (circuit.n_inputs + tables.n_values)
    sums = 8 * GROUPS * (tables.n_sums + tables.n_layers * 2**n_qubits)
    workspaces = 4 * times * tables.places(lanes, 4).end * threads
    return workspaces + saved_bytes + of_batch + sums


def run(
    circuit: Circuit, inputs: Tensor, params: Tensor, readout: Readout, name: str = "cpu"
) -> Tensor:
    """Compute the read-out of every sample on torch's threads; first derivatives only."""
    if not inputs.is_cpu:
        raise Refusal(
            f"Inputs of engine 'cpu' must be CPU tensors, got {inputs.device}. Use engine='torch'."
        )
    tables = plan(circuit, readout)
    if not torch.is_grad_enabled() and torch.autograd.forward_ad._current_level < 0:
        numbers = cached_numbers(tables, *copied_bytes(params))
        return EngineCall(tables, inputs, saves=False).forward(inputs, params, numbers)
    torch_c: Any = torch._C  # its stubs lack the next function
    if torch_c._are_functorch_transforms_active():
        return _Expval.apply(inputs, params, tables)
    return _apply(inputs, params, tables)


def fuse_matrices(
    first: Tensor,
    circuit: Circuit,
    params: Tensor,
    readout: Readout,
    last: Tensor,
    scale: float,
    name: str = "cpu",
) -> Single | None:
    """Build the fused call for few tokens: matrix, circuit, matrix (see `Single`).

    Return None for an unsupported circuit, read-out or dtype.
    """
    if circuit.n_qubits < FEWEST_QUBITS:
        circuit = dataclasses.replace(circuit, n_qubits=FEWEST_QUBITS)
    tables = single_tables(circuit, readout) if params.dtype is torch.float32 else None
    if tables is None:
        return None
    of_all = plan(circuit, readout)
    numbers = shared_numbers(of_all, params)
    shared, in_order, _ = angles.parts(numbers, of_all.n_sums + 1, 2**of_all.n_qubits)
    orders = of_all.shared_tables.orders
    phases = np.empty((of_all.n_layers, 2, 2**of_all.n_qubits), np.float32)
    for layer, of_layer, order in zip(
        phases, in_order.reshape(of_all.n_layers, 6, 2**of_all.n_qubits), orders, strict=True
    ):
        cos, less, more = of_layer[:3]  # sin - cos and sin + cos
        layer[0, order], layer[1, order] = cos, (less + more) / 2
    return Single(tables, shared, phases.ravel(), first, last, scale)


class _Expval(torch.autograd.Function):
    @staticmethod
    def forward(ctx, inputs: Tensor, params: Tensor, tables: KernelPlan) -> Tensor:
        ctx.save_for_backward(inputs, params)
        of_inputs, of_params, _ = ctx.needs_input_grad
        ctx.call = EngineCall(tables, inputs, of_inputs or of_params)
        return ctx.call.forward(inputs, params)

    @staticmethod
    def backward(ctx, grad: Tensor):
        inputs, params = ctx.saved_tensors  # refused by torch if changed since
        if torch.is_grad_enabled():
            return (*_Gradients.apply(inputs, params, grad, ctx.call), None)
        return (*ctx.call.backward(inputs, grad), None)


# Same as `_Expval.apply` without a torch.func transform; skips its Python loop over the operands.
_apply = cast("Any", super(torch.autograd.Function, _Expval)).apply


class _Gradients(torch.autograd.Function):
    """Backward pass under `create_graph=True`; a second derivative raises a clear error."""

    @staticmethod
    def forward(ctx, inputs: Tensor, params: Tensor, grad: Tensor, call: EngineCall):
        return call.backward(inputs, grad.detach())

    @staticmethod
    def backward(ctx, *grads):
        raise Unsupported(
            "Derivatives of engine 'cpu' must be of first order, got second order. Use "
            "engine='torch'."
        )
