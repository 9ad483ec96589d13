"""Engine `cpu`: blocks of samples innermost, hand-written adjoint, nothing stored between.

Prepares tables for the compiled loops of `cpu_kernel` and hands blocks to threads. First
derivatives only; memory does not grow with the batch.
"""

import collections
import concurrent.futures
import functools
import os

import numpy as np
import torch
from torch import Tensor

from qtha_lab.circuits import Circuit
from qtha_lab.simulators import cpu_kernel as kernel
from qtha_lab.simulators.program import Phases, Sum, Turn, Turns, compile_circuit

MAX_QUBITS = 20
PASS = 3
GROUPS = 32  # of blocks; fixed, so that sums do not depend on the number of threads


def check(circuit: Circuit, name: str) -> None:
    """Refuse circuits too large to be walked in cache."""
    if circuit.n_qubits > MAX_QUBITS:
        raise ValueError(f"engine 'cpu' takes {MAX_QUBITS} qubits at most, not {circuit.n_qubits}")


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
        call = _Call(_plan(circuit), inputs, params)
        values = np.empty((circuit.n_qubits, len(inputs)), call.dtype)
        call.blocks(lambda first, last, group: call.forward(first, last, values))
        return torch.from_numpy(values).T

    @staticmethod
    def backward(ctx, grad: Tensor):
        inputs, params = ctx.saved_tensors
        return (*_Slopes.apply(inputs, params, grad, ctx.circuit), None)


class _Slopes(torch.autograd.Function):
    """The backward pass, as a function of its own so that a second derivative gets a sentence."""

    @staticmethod
    def forward(ctx, inputs: Tensor, params: Tensor, grad: Tensor, circuit: Circuit):
        plan = _plan(circuit)
        call = _Call(plan, inputs, params)
        grad = np.ascontiguousarray(grad.detach().numpy().T, call.dtype)
        terms = np.empty((len(plan.term_inputs), len(inputs)), call.dtype)
        sums = np.zeros((GROUPS, plan.n_sums))
        phases = np.zeros((GROUPS, len(plan.phase_sums), 2**circuit.n_qubits))

        def block(first: int, last: int, group: int) -> None:
            call.backward(first, last, grad, terms, sums[group], phases[group])

        call.blocks(block)
        return plan.slope_of_inputs(terms, inputs), plan.slope_of_params(sums, phases, params)

    @staticmethod
    def backward(ctx, *grads):
        raise RuntimeError("engine 'cpu' has first derivatives only: use engine='torch' for second")


class _Plan:
    """A circuit's program as the tables of integers the kernel reads."""

    def __init__(self, circuit: Circuit):
        program = compile_circuit(circuit)
        self.circuit = circuit
        layers = list(program.layers)
        first = layers.pop(0) if layers else Turns()  # phases before any turn were dropped
        sums: list[Sum] = [*first.angles.values()]
        # Angles a sample: sum whose shared part they start from (-1: none), and their terms. Of the
        # first layer all count as such.
        self._sampled = [(j, total.inputs) for j, total in enumerate(sums)]
        self._ops: list[list[int]] = []
        self._rows: list[int] = []
        self._pass_sums: list[int] = []
        self._pass_sampled: list[int] = []
        self.phase_sums: list[list[tuple[int, int]]] = []  # of a layer: (mask, number of its sum)
        for layer in layers:
            numbered = {op: len(sums) + i for i, op in enumerate(layer.angles)}
            sums += layer.angles.values()
            add = self._add_phases if isinstance(layer, Phases) else self._add_turns
            add(numbered, sums)
        self.n_sums = len(sums)
        self.offsets = np.array([total.offset for total in sums])
        self._index_params(sums)
        self._index_terms()
        readout = np.array(program.readout, np.int64).reshape(-1, 2)
        self.tables = (
            np.array(self._ops, np.int64).reshape(-1, 5),
            np.array(self._rows, np.int64),
            np.array(self._pass_sums, np.int64),
            np.array([j for j, _ in self._sampled], np.int64),
            self.term_starts,
            self.terms,
            np.array([turn.flip for turn in first.angles], np.int64),
            np.array(self._pass_sampled, np.int64),
            readout[:, 0].copy(),
            readout[:, 1].copy(),
            np.array([turn.zmask for turn in first.angles], np.int64),
        )

    def _sampled_number(self, number: int, terms: tuple, with_shared: bool) -> int:
        self._sampled.append((number if with_shared else -1, terms))
        return len(self._sampled) - 1

    def _add_phases(self, numbered: dict[int, int], sums: list[Sum]) -> None:
        shared = [(m, j) for m, j in numbered.items() if sums[j].params or sums[j].offset]
        if shared:
            self._ops.append([kernel.PHASE_SHARED, len(self.phase_sums), 0, 0, 0])
            self.phase_sums.append(shared)
        for mask, j in numbered.items():
            if sums[j].inputs:
                sampled = self._sampled_number(j, sums[j].inputs, with_shared=False)
                self._ops.append([kernel.PHASE_SAMPLED, mask, sampled, 0, 0])

    def _add_turns(self, numbered: dict[Turn, int], sums: list[Sum]) -> None:
        for sampled in (False, True):
            turns = [turn for turn, j in numbered.items() if bool(sums[j].inputs) == sampled]
            for at in range(0, len(turns), PASS):
                group = turns[at : at + PASS]
                rows = _rows_of(group, self.circuit.n_qubits)
                kind = kernel.TURN_SAMPLED if sampled else kernel.TURN_SHARED
                counts = [len(self._rows), len(rows) >> len(group), len(self._pass_sums)]
                self._ops.append([kind, len(group), *counts])
                self._rows += rows
                self._pass_sums += [numbered[turn] for turn in group]
                for j in (numbered[turn] for turn in group):
                    inputs = sums[j].inputs
                    self._pass_sampled.append(
                        self._sampled_number(j, inputs, with_shared=True) if sampled else 0
                    )

    def _index_params(self, sums: list[Sum]) -> None:
        entries = [(j, i, scale) for j, total in enumerate(sums) for i, scale in total.params]
        columns = list(zip(*entries, strict=True)) if entries else [(), (), ()]
        self.entry_sums, self.entry_params = (np.array(c, np.int64) for c in columns[:2])
        self.entry_scales = np.array(columns[2], np.float64)

    def _index_terms(self) -> None:
        numbers: dict[tuple[int, float], int] = {}
        starts, terms = [0], []
        for _, inputs in self._sampled:
            terms += [numbers.setdefault(term, len(numbers)) for term in inputs]
            starts.append(len(terms))
        self.term_inputs = torch.tensor([index for index, _ in numbers], dtype=torch.long)
        self.term_scales = torch.tensor([scale for _, scale in numbers], dtype=torch.float64)
        self.term_starts, self.terms = np.array(starts, np.int64), np.array(terms, np.int64)

    def shared_angles(self, params: np.ndarray) -> np.ndarray:
        """Of every sum the part the batch shares, (sums,), in float64."""
        angles = self.offsets.copy()
        np.add.at(angles, self.entry_sums, self.entry_scales * params[self.entry_params])
        return angles

    def slope_of_params(self, sums: np.ndarray, phases: np.ndarray, params: Tensor) -> Tensor:
        """Collect what the groups found about each sum, then about each parameter."""
        slopes, of_phases = sums.sum(0), phases.sum(0)
        kernel.walsh(of_phases)
        for layer, numbered in enumerate(self.phase_sums):
            for mask, j in numbered:
                slopes[j] = of_phases[layer, mask]
        grad = np.zeros(len(params))
        np.add.at(grad, self.entry_params, self.entry_scales * slopes[self.entry_sums])
        return torch.from_numpy(grad).to(params.dtype)

    def slope_of_inputs(self, terms: np.ndarray, inputs: Tensor) -> Tensor:
        scaled = torch.from_numpy(terms) * self.term_scales.to(inputs.dtype).unsqueeze(-1)
        grad = inputs.new_zeros(inputs.shape[1], len(inputs))
        return grad.index_add_(0, self.term_inputs, scaled).T


def _rows_of(turns: list[Turn], n_qubits: int) -> list[int]:
    """Rows that the turns mix, group by group; bit t of a place in a group is its side of turn t."""
    rows = []
    for row in range(2**n_qubits):
        if any((row & turn.zmask).bit_count() % 2 for turn in turns):
            continue
        group = [row]
        for turn in turns:
            group += [member ^ turn.flip for member in group]
        rows += group
    return rows


@functools.lru_cache(maxsize=64)
def _plan(circuit: Circuit) -> _Plan:
    return _Plan(circuit)


class _Call:
    """The numbers of one evaluation: angles as cosines and sines of their halves."""

    def __init__(self, plan: _Plan, inputs: Tensor, params: Tensor):
        self.plan = plan
        self.n_qubits = plan.circuit.n_qubits
        self.batch = len(inputs)
        self.dtype = np.float64 if inputs.dtype == torch.float64 else np.float32
        self.lanes = _lanes(self.n_qubits, self.batch, np.dtype(self.dtype).itemsize)
        half = 0.5 * np.append(plan.shared_angles(params.detach().numpy()), 0.0)
        self.shared = np.stack([np.cos(half), np.sin(half)], -1).astype(self.dtype)
        phases = np.zeros((len(plan.phase_sums), 2**self.n_qubits))
        for layer, numbered in enumerate(plan.phase_sums):
            for mask, j in numbered:
                phases[layer, mask] = half[j]
        kernel.walsh(phases)
        self.phases = np.stack([np.cos(phases), np.sin(phases)], 1).astype(self.dtype)
        scales = (0.5 * plan.term_scales).to(inputs.dtype)
        terms = inputs.detach().T.index_select(0, plan.term_inputs) * scales.unsqueeze(-1)
        self.term_cos, self.term_sin = terms.cos().numpy(), terms.sin().numpy()

    @property
    def _given(self) -> tuple:
        return (
            self.plan.tables, self.n_qubits, self.lanes, self.shared, self.phases,
            self.term_cos, self.term_sin,
        )  # fmt: skip

    def forward(self, first: int, last: int, values: np.ndarray) -> None:
        kernel.forward(*self._given, first, last, values)

    def backward(self, first: int, last: int, grad, terms, sums, phases) -> None:
        kernel.backward(*self._given, first, last, grad, terms, sums, phases)

    def blocks(self, work) -> None:
        """Call `work(first, last, group)` for every group of whole blocks, on torch's threads."""
        n_blocks = -(-self.batch // self.lanes)
        n_groups = min(GROUPS, n_blocks)
        edges = [
            min(self.batch, n_blocks * g // n_groups * self.lanes) for g in range(n_groups + 1)
        ]
        jobs = collections.deque(zip(edges, edges[1:], range(n_groups), strict=False))
        n_helpers = min(torch.get_num_threads(), n_groups) - 1
        pool = _pool(os.getpid()) if n_helpers else None
        waiting = [pool.submit(_work_off, work, jobs) for _ in range(n_helpers)]
        _work_off(work, jobs)
        for done in waiting:
            done.result()


def _work_off(work, jobs: collections.deque) -> None:
    """Take jobs until none is left; several threads may."""
    while jobs:
        try:
            job = jobs.popleft()
        except IndexError:  # another thread was quicker
            return
        work(*job)


@functools.lru_cache(maxsize=1)
def _pool(process: int) -> concurrent.futures.ThreadPoolExecutor:
    """Helper threads; a forked process, which inherits none, makes its own."""
    return concurrent.futures.ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="qtha-cpu")


def _lanes(n_qubits: int, batch: int, itemsize: int) -> int:
    """Samples a block: whole vectors, ψ and λ within the cache of one core."""
    vector = kernel.BYTES // itemsize
    fits = 2**19 // (4 * 2**n_qubits * itemsize)
    return vector * max(1, min(fits // vector, 128 // vector, -(-batch // vector)))
