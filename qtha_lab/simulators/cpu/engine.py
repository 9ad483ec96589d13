"""Engine `cpu`: blocks of samples innermost, in cache, with a hand-written adjoint.

Hands blocks to threads, which run `kernel`. Nothing is stored per gate; beyond inputs and outputs
memory does not grow with the batch. First derivatives only.
"""

import collections
import concurrent.futures
import functools
import os
import threading
import weakref

import numpy as np
import torch
from torch import Tensor

from qtha_lab.circuits import Circuit, Readout
from qtha_lab.errors import Refusal, Unsupported
from qtha_lab.simulators.cpu import angles, kernel
from qtha_lab.simulators.cpu.plan import Plan, plan
from qtha_lab.simulators.cpu.vectors import BYTES
from qtha_lab.simulators.small_twin import twin

MAX_QUBITS = 20
GROUPS = 32  # of blocks; fixed, so that sums do not depend on the number of threads
CACHE_BYTES = 2**19  # of one core, for ψ and λ of a block
MOST_LANES = 128  # samples per block
LEAST_BLOCKS = 4  # that a batch is cut into, for as many cores
KEEP_BYTES = 2**24  # of final states, kept from forward to backward; the others are made again
LEAST_FLOPS = 2e7  # that make a second thread worth waking: some 0.2 ms of one
SPARE_BYTES = 2**26  # for such states, held between calls


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
    """Run one qubit forward, which compiles every kernel or loads it."""
    tables = plan(Circuit(1, []), Readout.z(1))
    call = _Call(tables, torch.zeros(1, 0), torch.zeros(0), keep=False)
    call.walk(torch.zeros(1, 0), torch.zeros(1, 1), torch.empty(0, 0), groups=0)


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
    lanes = lanes_of(n_qubits, batch, 4)
    threads = min(torch.get_num_threads(), -(-batch // lanes))
    kept_bytes = min(KEEP_BYTES, 4 * 2 * 2**n_qubits * (batch + lanes))
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
    if inputs.device.type != "cpu":
        raise Refusal(f"engine 'cpu' takes CPU tensors, not {inputs.device}: use engine='torch'")
    return _Expval.apply(inputs, params, plan(circuit, readout))


class _Expval(torch.autograd.Function):
    @staticmethod
    def forward(ctx, inputs: Tensor, params: Tensor, tables: Plan) -> Tensor:
        ctx.save_for_backward(inputs, params)
        ctx.call = _Call(tables, inputs, params, keep=any(ctx.needs_input_grad))
        values = inputs.new_zeros(len(inputs), tables.n_values)
        ctx.call.walk(inputs, values, inputs.new_empty(0, 0), groups=0)
        return values

    @staticmethod
    def backward(ctx, grad: Tensor):
        inputs, params = ctx.saved_tensors  # refused by torch if changed since
        slopes = _Slopes.apply if torch.is_grad_enabled() else _slopes
        return (*slopes(inputs, params, grad, ctx.call), None)


class _Slopes(torch.autograd.Function):
    """The backward pass where it is to be differentiated itself, to say in a sentence that it cannot."""

    @staticmethod
    def forward(ctx, *arguments):
        return _slopes(*arguments)

    @staticmethod
    def backward(ctx, *grads):
        raise Unsupported(
            "engine 'cpu' has first derivatives only: use engine='torch' for second ones"
        )


def _slopes(inputs: Tensor, params: Tensor, grad: Tensor, call: "_Call") -> tuple[Tensor, Tensor]:
    """The slopes of inputs and params."""
    tables = call.plan
    input_slopes = torch.zeros_like(inputs)
    group_slopes = call.walk(inputs, grad.contiguous(), input_slopes, groups=call.n_groups)
    sums = [of_groups.sum(0) for of_groups in group_slopes]
    slopes = np.zeros(len(params))
    angles.param_slopes(*sums, tables.entries, tables.scales, tables.phase_places, slopes)
    return input_slopes, torch.from_numpy(slopes).to(params.dtype)


class _Call:
    """One evaluation: its angles, its blocks, and the states that some of them end in."""

    def __init__(self, tables: Plan, inputs: Tensor, params: Tensor, keep: bool):
        self.plan = tables
        self.lanes = lanes_of(tables.n_qubits, len(inputs), inputs.element_size())
        n_blocks = -(-len(inputs) // self.lanes)
        self.n_groups = min(GROUPS, n_blocks)
        self.numbers = self._shared_numbers(params)
        of_block = 2 * 2**tables.n_qubits * self.lanes
        most = KEEP_BYTES // (of_block * inputs.element_size())
        n_kept = min(most, n_blocks) * keep * of_block
        memory = _take(n_kept, inputs)
        self.kept_states = memory.numpy()[:n_kept]
        weakref.finalize(self, _give_back, memory).atexit = False

    def _shared_numbers(self, params: Tensor) -> tuple[np.ndarray, np.ndarray]:
        """Cosines, sines and shears of every sum; cosines and sines of every layer of phases."""
        tables = self.plan
        shape = (tables.n_layers, 2**tables.n_qubits)
        numbers = params.detach().contiguous().numpy()
        shared = np.empty((tables.n_sums + 1, 4), numbers.dtype)
        phases = np.empty((shape[0], 2, shape[1]), numbers.dtype)
        angles.shared_numbers(
            numbers, tables.offsets, tables.entries, tables.scales, tables.phase_places,
            np.empty(tables.n_sums + 1), shared, np.empty(shape), phases,
        )  # fmt: skip
        return shared, phases.reshape(-1)

    def walk(
        self, inputs: Tensor, values: Tensor, input_slopes: Tensor, groups: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Run every block, on torch's threads; see `kernel.walk`.

        Returns:
            Sums over the samples of each of so many groups, if it goes backward: the slopes of sums,
            (groups, sums + 1), and those of phases, (groups, layers, 2^n).
        """
        tables, layout = self.plan, (self.lanes, inputs.element_size())
        of_sums = np.zeros((groups, tables.n_sums + 1))
        of_phases = np.zeros((groups, tables.n_layers, 2**tables.n_qubits))
        *places, size = tables.places(*layout)
        operands = (
            tables.tables(*layout), tuple(places), tables.n_qubits, self.lanes, self.n_groups,
            np.zeros(1, np.int64), *self.numbers, inputs.detach().contiguous().numpy(), groups > 0,
            values.numpy(), self.kept_states, input_slopes.numpy(), of_sums, of_phases.reshape(-1),
        )  # fmt: skip

        def work() -> None:
            kernel.walk(*operands, _room(size, inputs))

        worth = int(len(inputs) * _flops(tables, groups > 0, layout[1]) / LEAST_FLOPS)
        _share_out(work, max(1, min(torch.get_num_threads(), self.n_groups, worth)))
        return of_sums, of_phases


@functools.lru_cache(maxsize=1024)
def _flops(tables: Plan, backward: bool, itemsize: int) -> float:
    """Operations of one sample."""
    return tables.work(backward, itemsize)[0]


_spare: collections.deque[Tensor] = collections.deque()


def _take(count: int, like: Tensor) -> Tensor:
    """Memory for so many numbers, used before if there is any: the first touch is as dear as the use."""
    for _ in range(len(_spare)):
        try:
            memory = _spare.popleft()
        except IndexError:  # another thread was quicker
            break
        if memory.dtype == like.dtype and len(memory) >= count:
            return memory
        _give_back(memory)
    return like.new_empty(count)


def _give_back(memory: Tensor) -> None:
    if 0 < memory.nbytes <= SPARE_BYTES - sum(spare.nbytes for spare in list(_spare)):
        _spare.append(memory)


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
    """Samples per block: whole vectors, ψ and λ in the cache of one core, and blocks for all cores.

    Args:
        n_qubits: Qubits of the circuit.
        batch: Samples in all.
        itemsize: Bytes per number: 4 for float32, 8 for float64.

    Returns:
        A multiple of the numbers in a vector; it may be more than the batch.

    Example:
        >>> lanes_of(4, 10_000, 4), lanes_of(4, 10_000, 8)
        (128, 128)
    """
    vector = BYTES // itemsize
    fitting = CACHE_BYTES // (4 * 2**n_qubits * BYTES)
    shared_out = -(-batch // (LEAST_BLOCKS * vector))
    return vector * max(1, min(fitting, MOST_LANES // vector, shared_out))
