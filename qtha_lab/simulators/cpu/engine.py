"""Engine `cpu`: blocks of samples innermost, in cache, with a hand-written adjoint.

Hands blocks to torch's threads, which run `kernel`. Nothing is stored per gate; beyond inputs and outputs
memory does not grow with the batch. First derivatives only.
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
from qtha_lab.simulators.smaller_circuit import twin

MAX_QUBITS = 20
LARGE_QUBITS = 18  # and so many gates a wire, four layers of QTHA's: from here on Lightning is quicker for one sample
DEEP_GATES = 20
GROUPS = 32  # of blocks; fixed, so that sums do not depend on the number of threads
NEAR_BYTES = 2**20  # of a core's own cache; half is for ψ and λ of a block
CACHE_BYTES = 2**22  # in the last cache, where longer rows beat rows of one vector in a nearer
MOST_LANES = 208  # samples per block, an odd number of vectors
BLOCKS = 4  # that a batch is cut into at least, for as many cores, where each is worth a thread
FEWEST_VECTORS = 2  # of a row, but of a batch that two threads could not share then: of one its place costs too much
KEEP_BYTES = 2**24  # of final states, kept from forward to backward; the others are made again
TEAM_FLOPS = 1e6  # that make one more of torch's threads worth its hand-over: some 14 µs of one
POOL_FLOPS = 2e7  # the same where threads of our own have to be woken


def check(circuit: Circuit, readout: Readout, name: str) -> None:
    """Refuse circuits too large to be walked in cache, and states, whose slopes are not real.

    Args:
        circuit: What is to be run, of `MAX_QUBITS` qubits at most.
        readout: What is to be read: strings of Z or probabilities.
        name: Of no account here.

    Raises:
        Refusal: If there are too many qubits, or the state is to be read.
    """
    if circuit.n_qubits > MAX_QUBITS:
        raise Refusal(f"engine 'cpu' takes {MAX_QUBITS} qubits at most, not {circuit.n_qubits}")
    if readout.kind == "state":
        raise Refusal("engine 'cpu' reads strings of Z and probabilities: use engine='torch'")


def try_out() -> None:
    """Run one qubit forward, which compiles every kernel of one thread or loads it."""
    tables = plan(Circuit(1, []), Readout.z(1))
    with torch.device("cpu"):  # whatever device models are made on meanwhile
        inputs, params = torch.zeros(1, 0), torch.zeros(0)
        Call(tables, inputs, False).forward(inputs, params)


def load_kernels() -> None:
    """Have every kernel at hand, both ways and in both precisions: for a process that others are forked from."""
    angles_of_all = (Angle.input, Angle.param)
    gates = [Gate("RY", wire, angle(wire)) for wire in range(4) for angle in angles_of_all]
    circuit, readout = Circuit(4, gates), Readout.z(4)
    with torch.enable_grad(), torch.device("cpu"):
        for dtype in (torch.float32, torch.float64):
            inputs, params = torch.zeros(1, 4, dtype=dtype), torch.zeros(4, dtype=dtype)
            run(circuit, inputs, params.requires_grad_(), readout).sum().backward()
    square = torch.zeros(4, 4)
    if single := between(square, circuit, square[0], readout, square, 1.0):
        single(square[:1], square[:1])


def quicker(circuit: Circuit, batch: int) -> tuple[str, str] | None:
    """Lightning for a single deep sample of many qubits: here it takes a vector's work, on one thread (`bench auto`).

    Args:
        circuit: What is to be run.
        batch: Samples.
    """
    is_deep = len(circuit.gates) >= DEEP_GATES * circuit.n_qubits
    if batch != 1 or circuit.n_qubits < LARGE_QUBITS or not is_deep or torch.get_num_threads() == 1:
        return None
    return (
        "lightning",
        "slower for a single deep sample of so many qubits, which it runs on one thread",
    )


def remark() -> str:
    """What is to be said of kernels that cannot be kept on this machine; empty where they can."""
    return cache_fault()


def broadcasts(name: str) -> bool:
    """Whether this engine takes a whole batch in one call: always."""
    return True


def working_bytes(circuit: Circuit, batch: int, name: str = "cpu") -> int:
    """Room of every thread, states that are kept, then terms, values and slopes of the batch.

    Of a large circuit about: its tables, which take long to make, are judged by those of its twin.

    Args:
        circuit: What is to be run.
        batch: Samples, at least 1.
        name: Of no account here.

    Returns:
        A number of bytes on the host, for float32 and as many threads as torch uses.
    """
    small, times = twin(circuit)
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
    """What is read of every sample, on torch's threads; first derivatives only.

    Args:
        circuit: What to run.
        inputs: (batch, n_inputs), in radians, or unit vectors if the circuit starts in amplitudes.
        params: (n_params,), in radians, of the same dtype.
        readout: What to read: strings of Z or probabilities.
        name: Of no account here.

    Returns:
        (batch, readout size), of the same dtype, differentiable in both tensors. A second derivative
        raises `Unsupported`, a refusal.

    Raises:
        Refusal: If the tensors are not on the CPU.
    """
    if not inputs.is_cpu:
        raise Refusal(f"engine 'cpu' takes CPU tensors, not {inputs.device}: use engine='torch'")
    tables = plan(circuit, readout)
    if not torch.is_grad_enabled() and torch.autograd.forward_ad._current_level < 0:
        numbers = _kept_numbers(tables, *_copy(params))
        return Call(tables, inputs, keep=False).forward(inputs, params, numbers)
    if torch._C._are_functorch_transforms_active():  # pyright: ignore[reportAttributeAccessIssue]  torch's stubs leave it out
        return _Expval.apply(inputs, params, tables)
    return _apply(inputs, params, tables)


def between(
    first: Tensor, circuit: Circuit, params: Tensor, readout: Readout, last: Tensor, scale: float,
    name: str = "cpu",
) -> Single | None:  # fmt: skip
    """A circuit between two matrices, in one call for few tokens: see `Single`; None where that cannot be.

    Args:
        first: (in_features, n_inputs).
        circuit: What to run.
        params: (n_params,), in radians; copies are kept.
        readout: What to read.
        last: (values, out_features), or more rows for the inputs themselves.
        scale: Of the angles that the circuit takes.
        name: Of no account here.
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


# As `_Expval.apply` where no transform is active, without its walk over the operands in Python.
_apply = cast("Any", super(torch.autograd.Function, _Expval)).apply


class _Gradients(torch.autograd.Function):
    """The backward pass where it is to be differentiated itself, to say in a sentence that it cannot."""

    @staticmethod
    def forward(ctx, inputs: Tensor, params: Tensor, grad: Tensor, call: "Call"):
        return call.backward(inputs, grad.detach())

    @staticmethod
    def backward(ctx, *grads):
        raise Unsupported(
            "engine 'cpu' has first derivatives only: use engine='torch' for second ones"
        )


class Call:
    """One evaluation: its blocks, and the states that some of them end in.

    Args:
        tables: Of the circuit.
        inputs: The data, (batch, n_inputs).
        keep: Whether it goes backward too, so that states are kept.
    """

    __slots__ = ("layout", "numbers", "plan", "states")

    def __init__(self, tables: Plan, inputs: Tensor, keep: bool):
        self.plan = tables
        self.layout = layout = _layout(tables, inputs.shape[0], inputs.dtype)
        self.states = memory.take(layout.n_kept, layout.dtype) if keep else layout.no_states

    def __del__(self, is_finalizing=sys.is_finalizing):
        states = getattr(self, "states", None)  # there is none where memory ran out
        if states is not None and not is_finalizing():  # else nothing is left to give it back to
            memory.give_back(states)

    def forward(self, inputs: Tensor, params: Tensor, numbers: np.ndarray | None = None) -> Tensor:
        """Values, (batch, readout size).

        Args:
            inputs: The data.
            params: (n_params,), of the same dtype.
            numbers: By `shared_numbers` of these; None makes them.
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
        """The slopes of inputs and params.

        Args:
            inputs: The data, as they were forward.
            grad: The slopes of the values.
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
    """What all samples share, (n_numbers,), as `angles.parts` tells apart.

    Args:
        tables: Of the circuit.
        params: Its angles, (n_params,).
    """
    return _numbers(tables, *_copy(params))


def _in_a_row(tensor: Tensor) -> Tensor:
    """The same numbers one after another, as they are read at an address."""
    if tensor.is_contiguous() and not tensor.is_neg():
        return tensor
    return tensor.resolve_neg().contiguous()


def _copy(params: Tensor) -> tuple[bytes, torch.dtype]:
    """Where parameters are sharded their memory is given back, which no array may share."""
    if not params.is_contiguous() or params.is_neg():
        params = params.resolve_neg().contiguous()
    return ctypes.string_at(params.data_ptr(), params.nbytes), params.dtype


def _numbers(tables: Plan, params: bytes, dtype: torch.dtype) -> np.ndarray:
    kind = np.float32 if dtype is torch.float32 else np.float64
    numbers, size = np.empty(tables.n_numbers, kind), 2**tables.n_qubits
    angles.shared_numbers(np.frombuffer(params, kind), *tables.of_params, size, numbers)
    return numbers


# One answer runs a circuit for every token: the same numbers for equal angles. Nobody writes into them.
_kept_numbers = functools.lru_cache(maxsize=256)(_numbers)


@dataclasses.dataclass(frozen=True)
class _Layout:
    """How a batch of one size is cut up; `n_kept` numbers of its blocks can be kept.

    `operands` are the first of `kernel.walk` behind its number and counters. The last two stand where a call keeps no
    states or has no slopes.
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
        """How many threads so many operations are worth, and where their team is; nowhere if there is none or one thread."""
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
    """Have so many threads walk together, this one included."""
    counters = np.zeros(n_threads, np.int64)

    def share(number: int) -> None:
        kernel.walk(number, counters, *operands)

    helping = [_pool(os.getpid()).submit(share, number) for number in range(1, n_threads)]
    share(0)
    for helper in helping:
        if not helper.cancel():  # one that has not begun would find nothing left to do
            helper.result()


@functools.lru_cache(maxsize=1)
def _pool(process: int) -> concurrent.futures.ThreadPoolExecutor:
    """Helper threads where torch has no team; a forked process, which inherits none, makes its own."""
    return concurrent.futures.ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="qtha-cpu")


def lanes_of(n_qubits: int, batch: int, itemsize: int, flops: float = math.inf) -> int:
    """Samples per block: whole vectors, ψ and λ in cache, and blocks for all cores.

    Args:
        n_qubits: Qubits of the circuit.
        batch: Samples in all.
        itemsize: Bytes per number: 4 for float32, 8 for float64.
        flops: Operations of a pass over all samples: of little work one thread does all, best at once.

    Returns:
        A multiple of the numbers in a vector; it may be more than the batch.

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
        fitting |= 1  # rows that are an odd number of lines apart may be anywhere in a cache, others in parts of it
    blocks = max(1, min(BLOCKS, flops // TEAM_FLOPS))
    halves = math.ceil(batch / (2 * vector))
    shared_out = max(math.ceil(batch / (blocks * vector)), min(FEWEST_VECTORS, halves))
    return vector * max(1, min(fitting, MOST_LANES // vector, shared_out))
