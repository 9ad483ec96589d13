"""Engine `cpu`: blocks of samples innermost, hand-written adjoint, nothing stored between.

Hands blocks to threads, which run `cpu_kernel`. First derivatives only; memory beyond inputs and
outputs does not grow with the batch.
"""

import collections
import concurrent.futures
import functools
import itertools
import os

import numpy as np
import torch
from torch import Tensor

from qtha_lab.circuits import Circuit
from qtha_lab.simulators import cpu_kernel as kernel
from qtha_lab.simulators.cpu_plan import Plan, plan
from qtha_lab.simulators.engines import MAX_CPU_QUBITS

GROUPS = 32  # of blocks; fixed, so that sums do not depend on the number of threads
CACHE_BYTES = 2**19  # of one core, for ψ and λ of a block
VECTOR_BYTES = 64


def check(circuit: Circuit, name: str) -> None:
    """Refuse circuits too large to be walked in cache."""
    if circuit.n_qubits > MAX_CPU_QUBITS:
        raise ValueError(
            f"engine 'cpu' takes {MAX_CPU_QUBITS} qubits at most, not {circuit.n_qubits}"
        )


def broadcasts(name: str) -> bool:
    """The batch goes through together."""
    return True


def working_bytes(circuit: Circuit, batch: int, name: str = "cpu") -> int:
    """ψ, λ and angles of one block a thread, then terms, values and slopes of the batch."""
    tables = plan(circuit)
    lanes = _lanes(circuit.n_qubits, batch, 4)
    block = 4 * 2**circuit.n_qubits + 2 * len(tables.tables[4]) + 2
    threads = min(torch.get_num_threads(), -(-batch // lanes))
    sums = 8 * GROUPS * (tables.n_sums + len(tables.phase_sums) * 2**circuit.n_qubits)
    return (
        4 * block * lanes * threads + 4 * batch * (4 * len(tables.terms) + circuit.n_qubits) + sums
    )


def run(circuit: Circuit, inputs: Tensor, params: Tensor, name: str = "cpu") -> Tensor:
    """⟨Z⟩ of every qubit, (batch, n_qubits).

    Raises:
        ValueError: If the tensors are not on the CPU.
    """
    if inputs.device.type != "cpu":
        raise ValueError(f"engine 'cpu' takes CPU tensors, not {inputs.device}: use engine='torch'")
    return _Expval.apply(inputs, params, circuit)


class _Expval(torch.autograd.Function):
    @staticmethod
    def forward(ctx, inputs: Tensor, params: Tensor, circuit: Circuit) -> Tensor:
        ctx.save_for_backward(inputs, params)
        ctx.circuit = circuit
        call = _Call(plan(circuit), inputs, params)
        values = inputs.new_empty(circuit.n_qubits, call.padded)
        call.walk(values)
        return values[:, : len(inputs)].T

    @staticmethod
    def backward(ctx, grad: Tensor):
        inputs, params = ctx.saved_tensors
        return (*_Slopes.apply(inputs, params, grad, ctx.circuit), None)


class _Slopes(torch.autograd.Function):
    """The backward pass, a function of its own so that a second derivative gets a sentence."""

    @staticmethod
    def forward(ctx, inputs: Tensor, params: Tensor, grad: Tensor, circuit: Circuit):
        tables = plan(circuit)
        call = _Call(tables, inputs, params)
        values = inputs.new_zeros(circuit.n_qubits, call.padded)
        values[:, : len(inputs)] = grad.T
        term_slopes, of_sums, of_phases = call.walk(values, backward=True)
        slopes = tables.param_slopes(of_sums, of_phases, len(params))
        of_inputs = inputs.new_zeros(circuit.n_inputs, len(inputs))
        index, scales = _terms(tables)
        scaled = term_slopes[:, : len(inputs)] * scales.to(inputs.dtype)
        of_inputs.index_add_(0, index, scaled)
        return of_inputs.T, torch.from_numpy(slopes).to(params.dtype)

    @staticmethod
    def backward(ctx, *grads):
        raise RuntimeError(
            "engine 'cpu' has first derivatives only: use engine='torch' for second ones"
        )


def _terms(tables: Plan) -> tuple[Tensor, Tensor]:
    """Input and scale, (terms, 1), of every term."""
    index = torch.tensor([i for i, _ in tables.terms], dtype=torch.long)
    return index, torch.tensor([s for _, s in tables.terms], dtype=torch.float64).reshape(-1, 1)


class _Call:
    """One evaluation: its angles as cosines and sines of their halves, and its blocks."""

    def __init__(self, tables: Plan, inputs: Tensor, params: Tensor):
        self.plan = tables
        self.like = inputs
        self.lanes = _lanes(tables.n_qubits, len(inputs), inputs.element_size())
        self.n_blocks = -(-len(inputs) // self.lanes)
        self.padded = self.n_blocks * self.lanes
        dtype = np.float64 if inputs.dtype == torch.float64 else np.float32
        shared = 0.5 * np.append(tables.shared_angles(params.detach().numpy()), 0.0)
        phases = tables.phase_angles(shared)
        index, scales = _terms(tables)
        halves = inputs.detach().T.index_select(0, index) * (0.5 * scales).to(inputs.dtype)
        terms = inputs.new_zeros(2, len(index), self.padded)
        torch.cos(halves, out=terms[0, :, : len(inputs)])
        torch.sin(halves, out=terms[1, :, : len(inputs)])
        self.angles = (
            np.stack([np.cos(shared), np.sin(shared)], -1).astype(dtype),
            np.stack([np.cos(phases), np.sin(phases)], 1).astype(dtype),
            terms.numpy().reshape(-1),
        )

    def walk(self, values: Tensor, backward: bool = False) -> tuple[Tensor, np.ndarray, np.ndarray]:
        """Run every block, on torch's threads; see `cpu_kernel.walk` for `values` and the result."""
        tables = self.plan
        size = 2**tables.n_qubits
        n_groups = min(GROUPS, self.n_blocks)
        term_slopes = self.like.new_zeros(len(tables.terms) * backward, self.padded)
        of_sums = np.zeros((n_groups, tables.n_sums))
        of_phases = np.zeros((n_groups, *self.angles[1].shape[::2]))

        def work(first: int, last: int, group: int) -> None:
            rooms = ((4 if backward else 2) * size, 2 * len(tables.tables[4]), 2)
            rooms = [self.like.new_empty(count * self.lanes).numpy() for count in rooms]
            kernel.walk(
                tables.tables, tables.n_qubits, self.lanes, self.padded, *self.angles,
                first, last, backward, values.numpy().reshape(-1), term_slopes.numpy().reshape(-1),
                of_sums[group], of_phases[group], *rooms,
            )  # fmt: skip

        edges = [self.n_blocks * g // n_groups * self.lanes for g in range(n_groups + 1)]
        _share_out(work, [(*pair, g) for g, pair in enumerate(itertools.pairwise(edges))])
        return term_slopes, of_sums.sum(0), of_phases.sum(0)


def _share_out(work, jobs: list[tuple]) -> None:
    """Do every job, on as many threads as torch may use, this one included."""
    left = collections.deque(jobs)
    n_helpers = min(torch.get_num_threads(), len(jobs)) - 1
    helping = [_pool(os.getpid()).submit(_work_off, work, left) for _ in range(n_helpers)]
    _work_off(work, left)
    for helper in helping:
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


def _lanes(n_qubits: int, batch: int, itemsize: int) -> int:
    """Samples a block: whole vectors, 128 at most, ψ and λ within the cache of one core."""
    vector = VECTOR_BYTES // itemsize
    fitting = CACHE_BYTES // (4 * 2**n_qubits * VECTOR_BYTES)
    return vector * max(1, min(fitting, 128 // vector, -(-batch // vector)))
