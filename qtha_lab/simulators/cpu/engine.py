"""Engine `cpu`: blocks of samples in cache, with a hand-written adjoint method.

torch's threads run `kernel` on the blocks. No state is stored per gate. Beyond inputs, outputs and
at most 16 MiB of final states, memory does not grow with the batch. First derivatives only.
"""

import concurrent.futures
import ctypes
import dataclasses
import functools
import math
import os
import sys
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from qtha_lab.circuits import Angle, Circuit, Gate, Readout
from qtha_lab.core.errors import Refusal, Unsupported
from qtha_lab.simulators.cpu import (
    angles,
    kernel,
)
from qtha_lab.simulators.cpu import (
    buffers as memory,
)
from qtha_lab.simulators.cpu import (
    small_batch as ways,
)
from qtha_lab.simulators.cpu import (
    threads as team,
)
from qtha_lab.simulators.cpu.compiled import cache_fault
from qtha_lab.simulators.cpu.plan import Plan, plan
from qtha_lab.simulators.cpu.single_token import FEWEST_QUBITS, Single, single_tables
from qtha_lab.simulators.cpu.vectors import BYTES
from qtha_lab.simulators.smaller_circuit import smaller_copy

MAX_QUBITS = 20
LARGE_QUBITS = 18  # from this size and depth on, Lightning is faster for a single sample
DEEP_GATES = 20  # gates per wire, four layers of QTHA
GROUPS = 32  # most groups of blocks; fixed, so that sums do not depend on the number of threads
NEAR_BYTES = 2**20  # a core's own cache; half is for ψ and λ of a block
CACHE_BYTES = 2**22  # share of the last-level cache, for circuits whose rows exceed the core's own
MOST_LANES = 208  # samples per block, an odd number of vectors
BLOCKS = 4  # least number of blocks, for as many cores, if each has enough work for a thread
FEWEST_VECTORS = 2  # per row, unless two threads could then not share the batch
KEEP_BYTES = 2**24  # final states saved between forward and backward; others are recomputed
TEAM_FLOPS = 1e6  # operations that justify one more of torch's threads: some 14 µs of one
POOL_FLOPS = 2e7  # the same for our own threads, which have to wake up first


def check(circuit: Circuit, readout: Readout, name: str) -> None:
    """Refuse circuits too large for the cache, and the complex state as read-out.

    Args:
        circuit: Circuit to run, with at most `MAX_QUBITS` qubits.
        readout: Read-out to compute: Z-strings or probabilities.
        name: Unused.

    Raises:
        Refusal: If the circuit has too many qubits, or the read-out is the state.
    """
    if circuit.n_qubits > MAX_QUBITS:
        raise Refusal(f"Engine 'cpu' takes {MAX_QUBITS} qubits at most, got {circuit.n_qubits}.")
    if readout.kind == "state":
        raise Refusal("Engine 'cpu' reads strings of Z and probabilities. Use engine='torch'.")


def try_out() -> None:
    """Run one qubit forward, which compiles or loads every single-thread kernel of this pass."""
    tables = plan(Circuit(1, []), Readout.z(1))
    with torch.device("cpu"):  # independent of the default device
        inputs, params = torch.zeros(1, 0), torch.zeros(0)
        Call(tables, inputs, False).forward(inputs, params)


def load_kernels() -> None:
    """Load all kernels, forward and backward, float32 and float64, for a fork server."""
    angles_of_all = (Angle.input, Angle.param)
    gates = [Gate("RY", wire, angle(wire)) for wire in range(4) for angle in angles_of_all]
    circuit, readout = Circuit(4, gates), Readout.z(4)
    with torch.enable_grad(), torch.device("cpu"):
        for dtype in (torch.float32, torch.float64):
            inputs, params = torch.zeros(1, 4, dtype=dtype), torch.zeros(4, dtype=dtype)
            run(circuit, inputs, params.requires_grad_(), readout).sum().backward()
    square = torch.zeros(4, 4)
    if single := fuse_matrices(square, circuit, square[0], readout, square, 1.0):
        single(square[:1], square[:1])


def quicker(circuit: Circuit, batch: int) -> tuple[str, str] | None:
    """Name Lightning as faster for a single deep sample of many qubits (docs/engines.md).

    Here a single sample costs as much as a full vector, and runs on one thread.

    Args:
        circuit: Circuit to run.
        batch: Number of samples.
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


def broadcasts(name: str) -> bool:
    """Return True: one call evaluates a whole batch."""
    return True


def working_bytes(circuit: Circuit, batch: int, name: str = "cpu") -> int:
    """Return the bytes of workspaces, saved states, terms, values and gradients.

    For a large circuit this is an estimate from its reduced copy, because its own tables take long
    to build.

    Args:
        circuit: Circuit to run.
        batch: Number of samples, at least 1.
        name: Unused.

    Returns:
        Bytes on the host, for float32 and torch's number of threads.
    """
    small, times = smaller_copy(circuit)
    tables = plan(small)
    n_qubits = max(2, circuit.n_qubits)
    lanes = lanes_of(n_qubits, batch, 4, times * batch * tables.work(True, 4)[0])
    threads = min(torch.get_num_threads(), -(-batch // lanes))
    of_sample = 2 * (2**n_qubits + 1 + times * tables.n_terms)
    kept_bytes = min(KEEP_BYTES, 4 * of_sample * (batch + lanes))
    of_batch = 4 * batch * (circuit.n_inputs + tables.n_values)
    sums = 8 * GROUPS * (tables.n_sums + tables.n_layers * 2**n_qubits)
    return 4 * times * tables.places(lanes, 4)[-1] * threads + kept_bytes + of_batch + sums


def run(
    circuit: Circuit, inputs: Tensor, params: Tensor, readout: Readout, name: str = "cpu"
) -> Tensor:
    """Compute the read-out of every sample on torch's threads; first derivatives only.

    Args:
        circuit: Circuit to run.
        inputs: (batch, n_inputs), in radians, or unit vectors for amplitude encoding.
        params: (n_params,), in radians, of the same dtype.
        readout: Read-out to compute: Z-strings or probabilities.
        name: Unused.

    Returns:
        (batch, readout size), of the same dtype, differentiable in both tensors. A second derivative
        raises `Unsupported`, a refusal.

    Raises:
        Refusal: If the tensors are not on the CPU.
    """
    if not inputs.is_cpu:
        raise Refusal(f"Engine 'cpu' takes CPU tensors, got {inputs.device}. Use engine='torch'.")
    tables = plan(circuit, readout)
    if not torch.is_grad_enabled() and torch.autograd.forward_ad._current_level < 0:
        numbers = _kept_numbers(tables, *_copy(params))
        return Call(tables, inputs, keep=False).forward(inputs, params, numbers)
    if torch._C._are_functorch_transforms_active():  # pyright: ignore[reportAttributeAccessIssue]  torch's stubs leave it out
        return _Expval.apply(inputs, params, tables)
    return _apply(inputs, params, tables)


def fuse_matrices(
    first: Tensor, circuit: Circuit, params: Tensor, readout: Readout, last: Tensor, scale: float,
    name: str = "cpu",
) -> Single | None:  # fmt: skip
    """Build the fused call for few tokens: matrix, circuit, matrix (see `Single`).

    Return None for an unsupported circuit, read-out or dtype.

    Args:
        first: (in_features, n_inputs).
        circuit: Circuit to run.
        params: (n_params,), in radians; the result holds a copy.
        readout: Read-out to compute.
        last: (values, out_features), or (values + n_inputs, out_features) to include the inputs.
        scale: Factor of the circuit's input angles.
        name: Unused.
    """
    if circuit.n_qubits < FEWEST_QUBITS:
        circuit = dataclasses.replace(circuit, n_qubits=FEWEST_QUBITS)
    tables = single_tables(circuit, readout) if params.dtype is torch.float32 else None
    if tables is None:
        return None
    of_all = plan(circuit, readout)
    numbers = shared_numbers(of_all, params)
    shared, in_order, _ = angles.parts(numbers, of_all.n_sums + 1, 2**of_all.n_qubits)
    *_, orders = of_all.of_params
    phases = np.empty((of_all.n_layers, 2, 2**of_all.n_qubits), np.float32)
    for layer, of_layer, order in zip(
        phases, in_order.reshape(of_all.n_layers, 6, 2**of_all.n_qubits), orders, strict=True
    ):
        cos, less, more = of_layer[:3]  # sin - cos and sin + cos
        layer[0, order], layer[1, order] = cos, (less + more) / 2
    return Single(tables, shared, phases.ravel(), first, last, scale)


class _Expval(torch.autograd.Function):
    @staticmethod
    def forward(ctx, inputs: Tensor, params: Tensor, tables: Plan) -> Tensor:
        ctx.save_for_backward(inputs, params)
        of_inputs, of_params, _ = ctx.needs_input_grad
        ctx.call = Call(tables, inputs, of_inputs or of_params)
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
    def forward(ctx, inputs: Tensor, params: Tensor, grad: Tensor, call: "Call"):
        return call.backward(inputs, grad.detach())

    @staticmethod
    def backward(ctx, *grads):
        raise Unsupported(
            "engine 'cpu' has first derivatives only: use engine='torch' for second ones"
        )


class Call:
    """One evaluation: its layout of blocks, and the saved final states.

    Args:
        tables: Tables of the circuit.
        inputs: The data, (batch, n_inputs).
        keep: Whether a backward pass follows, so that states are saved.
    """

    __slots__ = ("layout", "numbers", "plan", "states")

    def __init__(self, tables: Plan, inputs: Tensor, keep: bool):
        self.plan = tables
        self.layout = layout = _layout(tables, inputs.shape[0], inputs.dtype)
        self.states = memory.take(layout.n_kept, layout.dtype) if keep else layout.no_states

    def __del__(self, is_finalizing=sys.is_finalizing):
        states = getattr(self, "states", None)  # missing if the allocation failed
        if states is not None and not is_finalizing():  # at exit the module may be gone
            memory.give_back(states)

    def forward(self, inputs: Tensor, params: Tensor, numbers: np.ndarray | None = None) -> Tensor:
        """Run the forward pass; return the values, (batch, readout size).

        Args:
            inputs: The data.
            params: (n_params,), of the same dtype.
            numbers: Result of `shared_numbers` for these params; None computes them.
        """
        layout, inputs = self.layout, _in_a_row(inputs)
        threads, hands = layout.hands(layout.flops_forward)
        is_pooled = threads > 1 and hands == team.NOWHERE
        if is_pooled and numbers is None:
            numbers = shared_numbers(self.plan, params)
        is_given = numbers is not None
        self.numbers = numbers if is_given else np.empty(layout.n_numbers, layout.kind)
        values = np.empty(layout.of_values, layout.kind)
        operands = (
            *layout.operands, inputs.data_ptr(), 0, False, self.numbers, values, self.states,
            layout.no_sums, memory.workspaces(threads, layout.size, layout.dtype),
        )  # fmt: skip
        if is_pooled:
            _share_out(operands, threads)
        elif is_given:
            ways.through(threads, hands, operands)
        else:
            params = _in_a_row(params)
            ways.there(threads, hands, params.data_ptr(), operands)
        return torch.from_numpy(values)

    def backward(self, inputs: Tensor, grad: Tensor) -> tuple[Tensor, Tensor]:
        """Run the backward pass; return the gradients of inputs and params.

        Args:
            inputs: The data of the forward pass.
            grad: Gradient of the values.
        """
        layout, inputs, grad = self.layout, _in_a_row(inputs), _in_a_row(grad)
        threads, hands = layout.hands(layout.flops_backward)
        of_inputs = np.empty(layout.of_inputs, layout.kind)
        of_params = np.empty(self.plan.n_params, layout.kind)
        operands = (
            *layout.operands, inputs.data_ptr(), grad.data_ptr(), True, self.numbers, of_inputs,
            self.states, np.zeros(layout.n_sums), memory.workspaces(threads, layout.size, layout.dtype),
        )  # fmt: skip
        if threads > 1 and hands == team.NOWHERE:
            _share_out(operands, threads)
            ways.gradients_of_params(of_params, operands)
        else:
            ways.back(threads, hands, of_params, operands)
        return torch.from_numpy(of_inputs), torch.from_numpy(of_params)


def shared_numbers(tables: Plan, params: Tensor) -> np.ndarray:
    """Compute the numbers that all samples share, (n_numbers,), split by `angles.parts`.

    Args:
        tables: Tables of the circuit.
        params: Trainable angles, (n_params,).
    """
    return _numbers(tables, *_copy(params))


def _in_a_row(tensor: Tensor) -> Tensor:
    """Return a contiguous tensor without lazy negation, for access by address."""
    if tensor.is_contiguous() and not tensor.is_neg():
        return tensor
    return tensor.resolve_neg().contiguous()


def _copy(params: Tensor) -> tuple[bytes, torch.dtype]:
    """Copy params to bytes, because sharded training frees their memory."""
    if not params.is_contiguous() or params.is_neg():
        params = params.resolve_neg().contiguous()
    return ctypes.string_at(params.data_ptr(), params.nbytes), params.dtype


def _numbers(tables: Plan, params: bytes, dtype: torch.dtype) -> np.ndarray:
    kind = np.float32 if dtype is torch.float32 else np.float64
    numbers, size = np.empty(tables.n_numbers, kind), 2**tables.n_qubits
    angles.shared_numbers(np.frombuffer(params, kind), *tables.of_params, size, numbers)
    return numbers


# Generation runs a circuit for every token with equal angles. The cached arrays are read-only by
# use.
_kept_numbers = functools.lru_cache(maxsize=256)(_numbers)


@dataclasses.dataclass(frozen=True)
class _Layout:
    """Division of a batch into blocks; `n_kept` numbers of final states can be saved.

    `operands` are the first operands of `kernel.walk` after its number and counters. `no_states`
    and `no_sums` are empty arrays for a call without saved states or without gradients.
    """

    dtype: torch.dtype
    kind: np.dtype
    operands: tuple[Any, ...]
    n_groups: int
    n_numbers: int
    n_sums: int
    n_kept: int
    of_inputs: tuple[int, int]
    of_values: tuple[int, int]
    size: int
    flops_forward: float
    flops_backward: float
    no_states: np.ndarray
    no_sums: np.ndarray

    def hands(self, flops: float) -> tuple[int, tuple[int, int]]:
        """Return the number of threads for `flops` operations and the addresses of their team.

        The addresses are `NOWHERE` for one thread or without a team.
        """
        if flops < 2 * TEAM_FLOPS or (most := torch.get_num_threads()) == 1:
            return 1, team.NOWHERE
        found = team.addresses()
        worth = int(flops / (POOL_FLOPS if found == team.NOWHERE else TEAM_FLOPS))
        return max(1, min(most, worth, self.n_groups)), found


@functools.lru_cache(maxsize=1024)
def _layout(tables: Plan, batch: int, dtype: torch.dtype) -> _Layout:
    itemsize = dtype.itemsize
    kind = np.dtype(f"f{itemsize}")
    flops = [batch * tables.work(backward, itemsize)[0] for backward in (False, True)]
    lanes = lanes_of(tables.n_qubits, batch, itemsize, max(flops))
    n_blocks = -(-batch // lanes)
    n_groups = min(GROUPS, n_blocks)
    of_block = 2 * (2**tables.n_qubits + 1 + tables.n_terms) * lanes
    return _Layout(
        dtype,
        kind,
        (
            *tables.tables(lanes, itemsize),
            *(lanes, n_groups, batch, tables.n_inputs, tables.n_values),
        ),
        n_groups,
        tables.n_numbers,
        n_groups * (tables.n_sums + 1 + tables.n_layers * 2**tables.n_qubits),
        min(KEEP_BYTES // (of_block * itemsize), n_blocks) * of_block,
        (batch, tables.n_inputs),
        (batch, tables.n_values),
        tables.places(lanes, itemsize)[-1],
        *flops,
        no_states=np.empty(0, kind),
        no_sums=np.empty(0),
    )


def _share_out(operands: tuple[Any, ...], n_threads: int) -> None:
    """Run `kernel.walk` on several threads, this one included."""
    counters = np.zeros(n_threads, np.int64)

    def share(number: int) -> None:
        kernel.walk(number, counters, *operands)

    helping = [_pool(os.getpid()).submit(share, number) for number in range(1, n_threads)]
    share(0)
    for helper in helping:
        if not helper.cancel():  # a helper that has not started has no work left
            helper.result()


@functools.lru_cache(maxsize=1)
def _pool(process: int) -> concurrent.futures.ThreadPoolExecutor:
    """Return helper threads for a torch without an OpenMP team, one pool per process.

    `process` is the process id: a forked process inherits no threads and needs a new pool.
    """
    return concurrent.futures.ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="qtha-cpu")


def lanes_of(n_qubits: int, batch: int, itemsize: int, flops: float = math.inf) -> int:
    """Return the samples per block, a multiple of the vector length.

    A block's ψ and λ fit in the cache, and there are blocks for all cores.

    Args:
        n_qubits: Qubits of the circuit.
        batch: Total number of samples.
        itemsize: Bytes per number: 4 for float32, 8 for float64.
        flops: Operations of a pass over all samples; little work is not split into blocks.

    Returns:
        A multiple of the numbers in a vector; it may exceed the batch.

    Example:
        >>> lanes_of(4, 10_000, 4), lanes_of(4, 10_000, 8)
        (208, 208)
        >>> lanes_of(8, 64, 4), lanes_of(8, 32, 4), lanes_of(4, 64, 4, flops=1e6)
        (32, 16, 64)
    """
    vector = BYTES // itemsize
    of_vector = 4 * 2**n_qubits * BYTES
    fitting = max(NEAR_BYTES // (2 * of_vector), FEWEST_VECTORS)
    if fitting * of_vector > NEAR_BYTES:
        fitting = CACHE_BYTES // of_vector
    elif (fitting + 1) * of_vector <= NEAR_BYTES:
        fitting |= 1  # an odd row stride in cache lines uses all sets of the cache
    blocks = max(1, min(BLOCKS, flops // TEAM_FLOPS))
    halves = math.ceil(batch / (2 * vector))
    shared_out = max(math.ceil(batch / (blocks * vector)), min(FEWEST_VECTORS, halves))
    return vector * max(1, min(fitting, MOST_LANES // vector, shared_out))
