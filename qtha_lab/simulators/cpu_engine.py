"""Engine `cpu`: blocks of samples innermost, in cache, with a hand-written adjoint.

Hands blocks to threads, which run `cpu_kernel`. Nothing is stored a gate; beyond inputs and outputs
memory does not grow with the batch. First derivatives only.
"""

import collections
import concurrent.futures
import functools
import os
import threading

import numpy as np
import torch
from torch import Tensor

from qtha_lab.circuits import Circuit, Readout
from qtha_lab.simulators import cpu_angles as angles
from qtha_lab.simulators import cpu_kernel as kernel
from qtha_lab.simulators.cpu_plan import Plan, plan

MAX_QUBITS = 20
GROUPS = 32  # of blocks; fixed, so that sums do not depend on the number of threads
CACHE_BYTES = 2**19  # of one core, for ψ and λ of a block
KEEP_BYTES = 2**24  # of final states, kept from forward to backward; the others are made again
SPARE_BYTES = 2**26  # for such states, held between calls
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
    """Room of every thread, states that are kept, then terms, values and slopes of the batch."""
    tables = plan(circuit)
    lanes = lanes_of(tables.n_qubits, batch, 4)
    threads = min(torch.get_num_threads(), -(-batch // lanes))
    kept = min(KEEP_BYTES, 4 * 2 * 2**tables.n_qubits * (batch + lanes))
    of_batch = 4 * batch * (4 * len(tables.terms) + 2 * tables.n_amplitudes + tables.n_values)
    sums = 8 * GROUPS * (tables.n_sums + tables.n_layers * 2**tables.n_qubits)
    return 4 * tables.room(lanes, VECTOR_BYTES) * threads + kept + of_batch + sums


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
        tables = call.plan
        values = call.padded_like(grad.T)
        input_slopes, of_sums, of_phases = call.walk(values, backward=True)
        slopes = np.zeros(len(params))
        angles.param_slopes(
            of_sums, of_phases, tables.entries, tables.scales, tables.places, slopes
        )
        of_inputs = input_slopes[:, :batch]
        if not (tables.terms_are_inputs or tables.n_amplitudes):
            index, scales = tables.term_tensors
            scaled = of_inputs * scales.to(inputs.dtype)
            of_inputs = inputs.new_zeros(n_inputs, batch).index_add_(0, index, scaled)
        return of_inputs.T, torch.from_numpy(slopes).to(params.dtype)

    @staticmethod
    def backward(ctx, *grads):
        raise RuntimeError(
            "engine 'cpu' has first derivatives only: use engine='torch' for second ones"
        )


class _Call:
    """One evaluation: its angles, its blocks, and the states that some of them end in."""

    def __init__(self, tables: Plan, inputs: Tensor, params: Tensor, keep: bool):
        self.plan, self.batch = tables, len(inputs)
        self.like = inputs.new_empty(0)
        self.lanes = lanes_of(tables.n_qubits, self.batch, inputs.element_size())
        self.n_blocks = -(-self.batch // self.lanes)
        self.n_groups = min(GROUPS, self.n_blocks)
        self.padded = self.n_blocks * self.lanes
        columns = inputs.detach().T
        self.numbers = (
            *self._shared_numbers(params),
            self._cosines(columns).numpy().reshape(-1),
            self.padded_like(columns[: tables.n_amplitudes]).numpy().reshape(-1),
        )
        most = KEEP_BYTES // (2 * 2**tables.n_qubits * self.lanes * self.like.element_size())
        kept = min(most, self.n_blocks) * keep * self.lanes
        self.kept = _take(2 * 2**tables.n_qubits * kept, self.like)

    def __del__(self):
        _give_back(self.kept)

    def _shared_numbers(self, params: Tensor) -> tuple[np.ndarray, np.ndarray]:
        """Cosines, sines and shears of every sum; cosines and sines of every layer of phases."""
        tables = self.plan
        shape = (tables.n_layers, 2**tables.n_qubits)
        dtype = self.like.numpy().dtype
        shared = np.empty((tables.n_sums + 1, 4), dtype)
        phases = np.empty((shape[0], 2, shape[1]), dtype)
        angles.shared_numbers(
            params.detach().contiguous().numpy(), tables.offsets, tables.entries, tables.scales,
            tables.places, np.empty_like(tables.offsets), shared, np.empty(shape), phases,
        )  # fmt: skip
        return shared, phases.reshape(-1)

    def _cosines(self, columns: Tensor) -> Tensor:
        """Cosine and sine of half of every term, (2, terms, padded), zero beyond the batch."""
        tables = self.plan
        cosines = self.like.new_empty(2, len(tables.terms), self.padded)
        if not len(tables.terms):
            return cosines
        if tables.terms_are_inputs:
            halves = 0.5 * columns
        else:
            index, scales = tables.term_tensors
            halves = columns.index_select(0, index) * (0.5 * scales).to(columns.dtype)
        torch.cos(halves, out=cosines[0, :, : self.batch])
        torch.sin(halves, out=cosines[1, :, : self.batch])
        cosines[:, :, self.batch :] = 0.0
        return cosines

    def padded_like(self, columns: Tensor) -> Tensor:
        """The columns, with zeros up to whole blocks."""
        wide = self.like.new_empty(len(columns), self.padded)
        wide[:, : self.batch] = columns
        wide[:, self.batch :] = 0.0
        return wide

    def walk(self, values: Tensor, backward: bool = False) -> tuple[Tensor, np.ndarray, np.ndarray]:
        """Run every block, on torch's threads; see `cpu_kernel.walk` for `values` and the result."""
        tables = self.plan
        n_slopes = (tables.n_amplitudes or len(tables.terms)) * backward
        input_slopes = self.like.new_zeros(n_slopes, self.padded)
        groups = self.n_groups * backward
        of_sums = np.zeros((groups, tables.n_sums + 1))
        of_phases = np.zeros((groups, tables.n_layers, 2**tables.n_qubits))
        given = (
            tables.tables, tables.n_qubits, self.lanes, self.n_blocks, self.n_groups,
            np.zeros(1, np.int64), *self.numbers, backward, values.numpy().reshape(-1), self.kept.numpy(),
            input_slopes.numpy().reshape(-1), of_sums, of_phases.reshape(-1),
        )  # fmt: skip

        def work() -> None:
            kernel.walk(*given, _room(tables.room(self.lanes, VECTOR_BYTES), self.like))

        _share_out(work, min(torch.get_num_threads(), self.n_groups))
        return input_slopes, of_sums, of_phases


_spare: collections.deque[Tensor] = collections.deque()


def _take(count: int, like: Tensor) -> Tensor:
    """Memory for so many numbers, used before if there is any: the first touch is as dear as the use."""
    for _ in range(len(_spare)):
        try:
            found = _spare.popleft()
        except IndexError:  # another thread was quicker
            break
        if found.dtype == like.dtype and len(found) >= count:
            return found[:count]
        _give_back(found)
    return like.new_empty(count)


def _give_back(memory: Tensor) -> None:
    whole = memory._base if memory._base is not None else memory
    if sum(spare.nbytes for spare in list(_spare)) + whole.nbytes <= SPARE_BYTES:
        _spare.append(whole)


_own = threading.local()


def _room(count: int, like: Tensor) -> np.ndarray:
    """Numbers to work in, kept by every thread: fresh memory costs more than the work done in it."""
    name = str(like.dtype)
    room = getattr(_own, name, None)
    if room is None or len(room) < count:
        room = like.new_empty(count).numpy()
        setattr(_own, name, room)
    return room


def _share_out(work, n_threads: int) -> None:
    """Have so many threads do the work together, this one included."""
    helping = [_pool(os.getpid()).submit(work) for _ in range(n_threads - 1)]
    work()
    for helper in helping:
        if not helper.cancel():  # one that has not begun would find nothing left to do
            helper.result()


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
