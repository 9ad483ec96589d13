"""Engine `cpu`: blocks of samples innermost, in cache, with a hand-written adjoint.

Hands blocks to threads, which run `cpu_kernel`. Nothing is stored a gate; beyond inputs and outputs
memory does not grow with the batch. First derivatives only.
"""

import collections
import concurrent.futures
import functools
import itertools
import os
import threading

import numpy as np
import torch
from torch import Tensor

from qtha_lab.circuits import Circuit, Readout
from qtha_lab.simulators import cpu_kernel as kernel
from qtha_lab.simulators.cpu_plan import Plan, plan

MAX_QUBITS = 20
GROUPS = 32  # of blocks; fixed, so that sums do not depend on the number of threads
CACHE_BYTES = 2**19  # of one core, for ψ and λ of a block
KEEP_BYTES = 2**20  # of final states, kept from forward to backward if they are no more
VECTOR_BYTES = 64


def check(circuit: Circuit, readout: Readout, name: str) -> None:
    """Refuse circuits too large to be walked in cache, and states, whose slopes are not real."""
    if circuit.n_qubits > MAX_QUBITS:
        raise ValueError(f"engine 'cpu' takes {MAX_QUBITS} qubits at most, not {circuit.n_qubits}")
    if readout.kind == "state":
        raise ValueError("engine 'cpu' reads strings of Z and probabilities: use engine='torch'")


def broadcasts(name: str) -> bool:
    """The batch goes through together."""
    return True


def working_bytes(circuit: Circuit, batch: int, name: str = "cpu") -> int:
    """ψ, λ and angles of one block a thread, then terms, values and slopes of the batch."""
    tables = plan(circuit)
    lanes = lanes_of(circuit.n_qubits, batch, 4)
    block = 4 * 2**circuit.n_qubits + 2 * len(tables.tables[4]) + 2
    threads = min(torch.get_num_threads(), -(-batch // lanes))
    sums = 8 * GROUPS * (tables.n_sums + len(tables.phase_sums) * 2**circuit.n_qubits)
    return (
        4 * block * lanes * threads + 4 * batch * (4 * len(tables.terms) + circuit.n_qubits) + sums
    )


def run(
    circuit: Circuit, inputs: Tensor, params: Tensor, readout: Readout, name: str = "cpu"
) -> Tensor:
    """What is read, (batch, readout size).

    Raises:
        ValueError: If the tensors are not on the CPU.
    """
    if inputs.device.type != "cpu":
        raise ValueError(f"engine 'cpu' takes CPU tensors, not {inputs.device}: use engine='torch'")
    return _Expval.apply(inputs, params, plan(circuit, readout))


class _Expval(torch.autograd.Function):
    @staticmethod
    def forward(ctx, inputs: Tensor, params: Tensor, tables: Plan) -> Tensor:
        ctx.save_for_backward(inputs, params)
        ctx.call = _Call(tables, inputs, params, keep=any(ctx.needs_input_grad))
        values = inputs.new_empty(tables.n_values, ctx.call.padded)
        ctx.call.walk(values)
        return values[:, : len(inputs)].T

    @staticmethod
    def backward(ctx, grad: Tensor):
        inputs, params = ctx.saved_tensors  # refused by torch if changed since
        return (*_Slopes.apply(inputs, params, grad, ctx.call), None)


class _Slopes(torch.autograd.Function):
    """The backward pass, a function of its own so that a second derivative gets a sentence."""

    @staticmethod
    def forward(ctx, inputs: Tensor, params: Tensor, grad: Tensor, call: "_Call"):
        batch, n_inputs = inputs.shape
        values = inputs.new_zeros(grad.shape[1], call.padded)
        values[:, :batch] = grad.T
        input_slopes, of_sums, of_phases = call.walk(values, backward=True)
        slopes = call.plan.param_slopes(of_sums, of_phases, len(params))
        of_inputs = input_slopes[:, :batch]
        if not call.plan.slopes_are_of_inputs:
            index, scales = call.plan.term_tensors
            scaled = of_inputs * scales.to(inputs.dtype)
            of_inputs = inputs.new_zeros(n_inputs, batch).index_add_(0, index, scaled)
        return of_inputs.T, torch.from_numpy(slopes).to(params.dtype)

    @staticmethod
    def backward(ctx, *grads):
        raise RuntimeError(
            "engine 'cpu' has first derivatives only: use engine='torch' for second ones"
        )


class _Call:
    """One evaluation: its angles, its blocks, and if they are small the states it ends in."""

    def __init__(self, tables: Plan, inputs: Tensor, params: Tensor, keep: bool):
        self.plan = tables
        self.like = inputs.new_empty(0)
        self.lanes = lanes_of(tables.n_qubits, len(inputs), inputs.element_size())
        self.n_blocks = -(-len(inputs) // self.lanes)
        self.padded = self.n_blocks * self.lanes
        shared = tables.shared_angles(params.detach().numpy())
        terms = self.like.new_zeros(2, len(tables.terms), self.padded)
        inside = terms[:, :, : len(inputs)]
        amplitudes = self.like.new_zeros(tables.n_amplitudes, self.padded)
        halves = inputs.detach().T
        if tables.n_amplitudes:
            amplitudes[:, : len(inputs)] = halves
        if not tables.slopes_are_of_inputs or tables.n_amplitudes:
            index, scales = tables.term_tensors
            halves = halves.index_select(0, index) * scales.to(inputs.dtype)
        halves = 0.5 * halves
        cos, sin = halves.cos(), halves.sin()
        torch.copysign(sin, sin * cos, out=inside[1])  # a full turn less where cos < 0
        torch.div(inside[1], -1.0 - cos.abs(), out=inside[0])
        # the sums' and the phases' numbers are few, and made in float64
        dtype = terms.numpy().dtype
        self.angles = (
            tables.shared_numbers(shared).astype(dtype),
            tables.phase_numbers(shared).astype(dtype),
            terms.numpy().reshape(-1),
            amplitudes.numpy().reshape(-1),
        )
        states = 2 * 2**tables.n_qubits * self.padded
        kept = states if keep and states * inputs.element_size() <= KEEP_BYTES else 0
        self.kept = self.like.new_empty(kept).numpy()

    def walk(self, values: Tensor, backward: bool = False) -> tuple[Tensor, np.ndarray, np.ndarray]:
        """Run every block, on torch's threads; see `cpu_kernel.walk` for `values` and the result."""
        tables = self.plan
        size = 2**tables.n_qubits
        n_groups = min(GROUPS, self.n_blocks)
        n_slopes = (tables.n_amplitudes or len(tables.terms)) * backward
        input_slopes = self.like.new_zeros(n_slopes, self.padded)
        of_sums = np.zeros((n_groups, tables.n_sums))
        of_phases = np.zeros((n_groups, *self.angles[1].shape[::2]))
        rooms = ((4 if backward else 3) * size, 2 * len(tables.tables[4]), 2)
        flat_values, flat_slopes = values.numpy().reshape(-1), input_slopes.numpy().reshape(-1)

        def work(first: int, last: int, group: int) -> None:
            room = _room([count * self.lanes for count in rooms], self.like)
            kernel.walk(
                tables.tables, tables.n_qubits, self.lanes, self.padded, *self.angles,
                first, last, backward, flat_values, self.kept,
                flat_slopes, of_sums[group], of_phases[group], *room,
            )  # fmt: skip

        edges = [self.n_blocks * g // n_groups * self.lanes for g in range(n_groups + 1)]
        _share_out(work, [(*pair, g) for g, pair in enumerate(itertools.pairwise(edges))])
        return input_slopes, of_sums.sum(0), of_phases.sum(0)


_own = threading.local()


def _room(counts: list[int], like: Tensor) -> list[np.ndarray]:
    """Arrays to work in, kept by every thread: fresh memory costs more than the work done in it."""
    name = str(like.dtype)
    room = getattr(_own, name, like)
    if len(room) < sum(counts):
        room = like.new_empty(sum(counts))
        setattr(_own, name, room)
    return [part.numpy() for part in room[: sum(counts)].split(counts)]


def _share_out(work, jobs: list[tuple]) -> None:
    """Do every job, on as many threads as torch may use, this one included."""
    left = collections.deque(jobs)
    n_helpers = min(torch.get_num_threads(), len(jobs)) - 1
    helping = [_pool(os.getpid()).submit(_work_off, work, left) for _ in range(n_helpers)]
    _work_off(work, left)
    for helper in helping:
        if not helper.cancel():  # one that has not begun finds nothing left to do
            helper.result()


def _work_off(work, jobs: collections.deque) -> None:
    while True:
        try:
            job = jobs.popleft()
        except IndexError:
            return
        work(*job)


@functools.lru_cache(maxsize=1)
def _pool(process: int) -> concurrent.futures.ThreadPoolExecutor:
    """Helper threads; a forked process, which inherits none, makes its own."""
    return concurrent.futures.ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="qtha-cpu")


def lanes_of(n_qubits: int, batch: int, itemsize: int) -> int:
    """Samples a block: whole vectors, ψ and λ in the cache of one core, and blocks for all cores."""
    vector = VECTOR_BYTES // itemsize
    fitting = CACHE_BYTES // (4 * 2**n_qubits * VECTOR_BYTES)
    most = (128 if n_qubits < 7 else 64) // vector
    return vector * max(1, min(fitting, most, -(-batch // vector)))
