"""Roofline model of engine `cpu`: operations of a circuit and the peaks of this machine.

The peaks are measured with plain sweeps over a state of the engine's own size, in the same vectors.
The model omits cosines and sines of the data, the transform between parameters and phases, Python,
and the hand-over between threads. So a fraction of the roofline includes the cost of all these.
"""

import concurrent.futures
import math
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from numba import types

from qtha_lab.circuits import Circuit, Readout
from qtha_lab.simulators.cpu import kernel, vectors
from qtha_lab.simulators.cpu.compiled import compiled
from qtha_lab.simulators.cpu.layout import count_operations, lanes_of
from qtha_lab.simulators.cpu.plan import KernelPlan, plan
from qtha_lab.simulators.cpu.records import PassData

ROWS = 8  # vectors in flight, enough to hide the latency of one operation
MULTIPLY_ADDS = 32  # per number, so that arithmetic and not memory is the limit
NUMBERS = 2**24  # numbers per measurement
MEASUREMENTS = 15
FEWEST_REPEATS = 8  # least repeats of all passes over a block


class WorkPerSample(NamedTuple):
    """Work per sample: floating-point operations, and bytes moved between registers and cache."""

    flops: float
    bytes: float

    def seconds(self, peak: "Peak") -> float:
        """Return the roofline time: the longer of arithmetic time and data transfer time."""
        return max(self.flops / peak.flops, self.bytes / peak.bytes)


class Peak(NamedTuple):
    """Peak rates of the machine: floating-point operations and bytes per second."""

    flops: float
    bytes: float


def work_per_sample(
    circuit: Circuit, readout: Readout | None = None, dtype: torch.dtype = torch.float32
) -> tuple[WorkPerSample, WorkPerSample]:
    """Count the operations and bytes of forward and backward pass for one sample.

    A multiplication and an addition count one each. The forward pass runs from the initial state to
    the read-out. The backward pass runs from the final state and the gradient of the read-out to
    the gradients of inputs and params.

    Args:
        circuit: Circuit to run.
        readout: Read-out to compute; by default Z of every qubit.
        dtype: float32 or float64, which determines the bytes.

    Returns:
        Work per sample of the forward and of the backward pass.

    Example:
        >>> from qtha_lab.circuits.ansatze import build
        >>> forward, backward = work_per_sample(build("qtha", n_qubits=4, n_layers=4))
        >>> forward.flops < backward.flops < 4 * forward.flops
        True
    """
    tables = plan(circuit, readout)
    forward, backward = (
        WorkPerSample(*count_operations(tables, back, dtype.itemsize)) for back in (False, True)
    )
    return forward, backward


def sweep_peak(
    n_qubits: int, dtype: torch.dtype = torch.float32, threads: int | None = None
) -> Peak:
    """Measure plain sweeps over states of the size that engine `cpu` works on.

    Args:
        n_qubits: Qubits of the circuit; the sweeps repeat over ψ and λ of one block of samples.
        dtype: float32 or float64.
        threads: Number of threads, each with its own state; None: torch's number of threads.

    Returns:
        Operations per second of a sweep with many multiply-adds per number, and bytes per second of
        a sweep with one. Times are CPU times per thread, which exclude other programs; the best of
        several measurements counts.

    Example:
        >>> sweep_peak(4, threads=1).flops > 1e9  # doctest: +SKIP
        True
    """
    threads = threads or torch.get_num_threads()
    kind = {torch.float32: np.float32, torch.float64: np.float64}[dtype]
    numbers = 4 * 2**n_qubits * lanes_of(n_qubits, 2**20, dtype.itemsize)
    states = [np.ones(numbers, kind) for _ in range(threads)]
    busy, plain = (_rate(f, states) for f in (_multiply_add_often, _multiply_add))
    return Peak(2 * MULTIPLY_ADDS * busy, 2 * dtype.itemsize * plain)


def passes_alone(circuit: Circuit, batch: int, threads: int | None = None) -> Callable[[], float]:
    """Build a timer of only the engine's passes over a block, in float32.

    This is a lower bound of the engine's time: it excludes the angles of the samples, the read-out,
    saved states, the hand-over between threads, and Python.

    Args:
        circuit: Circuit to run, with Z of every qubit as read-out.
        batch: Number of samples, divided into blocks as the engine does.
        threads: Number of threads, each with its own block; None: torch's number of threads.

    Returns:
        A function that repeats all passes forward and backward. It returns the seconds per sample
        if the threads share the samples, from each thread's CPU time.

    Example:
        >>> from qtha_lab.circuits.ansatze import build
        >>> passes = passes_alone(build("qtha", 4, 1), batch=64, threads=1)
        >>> passes() > 0
        True
    """
    tables, lanes = _cut(circuit, batch)
    passes, rows = tables.pass_rows(lanes, 4), lanes * tables.rows
    places = tables.places(lanes, 4)
    plane, end = places.plane, places.end
    size = 2**tables.n_qubits
    phases = np.full(6 * tables.n_layers * size, math.sqrt(0.5), np.float32)
    sums = np.zeros(tables.n_layers * size)
    operands = (passes, rows, plane, places.gradients, size, lanes, phases, sums)
    repeats = max(FEWEST_REPEATS, NUMBERS // (4 * size * lanes * len(passes)))
    return _alone(_passes_forward_backward, operands, (end, 4 * plane), lanes, repeats, threads)


def _cut(circuit: Circuit, batch: int) -> tuple[KernelPlan, int]:
    """Return the tables of a circuit and the samples per block."""
    tables = plan(circuit)
    return tables, lanes_of(tables.n_qubits, batch, 4, batch * count_operations(tables, True, 4)[0])


def _alone(
    work: Callable[..., None],
    operands: tuple,
    sizes: tuple[int, int],
    lanes: int,
    repeats: int,
    threads: int | None,
) -> Callable[[], float]:
    """Build a timer of `work` in a workspace per thread.

    Args:
        work: Compiled function; its last operands are the workspace and the number of repeats.
        operands: Operands before these; each thread copies the arrays.
        sizes: Numbers of a workspace, and how many of them are initialised to 1 instead of 0.
        lanes: Samples of a workspace.
        repeats: Repeats per measurement.
        threads: Number of threads; None: torch's number of threads.
    """
    size, ones = sizes
    threads = threads or torch.get_num_threads()
    # torch aligns the memory to a vector, as in the engine
    workspaces = [torch.zeros(size).numpy() for _ in range(threads)]
    for workspace in workspaces:
        workspace[:ones] = 1.0

    def seconds_of(workspace: np.ndarray) -> float:
        own = tuple(part.copy() if isinstance(part, np.ndarray) else part for part in operands)
        work(*own, workspace, 1)  # compiles, warms caches
        return _thread_seconds(work, *own, workspace, repeats)

    def measure() -> float:
        with concurrent.futures.ThreadPoolExecutor(threads) as pool:
            helping = [pool.submit(seconds_of, workspace) for workspace in workspaces[1:]]
            seconds = [seconds_of(workspaces[0]), *(helper.result() for helper in helping)]
        return 1 / sum(repeats * lanes / each for each in seconds)

    return measure


@compiled(fastmath=True)
def _passes_forward_backward(
    passes, rows, plane, gradients, size, lanes, phases, sums, workspace, repeats
):
    data = PassData(
        workspace, lanes, lanes, plane, rows, passes, phases, size, True, gradients, sums, 0
    )
    for _ in range(repeats):
        for number in range(len(passes)):
            kernel.run_forward_pass(data, 0, number)
        for number in range(len(passes) - 1, -1, -1):
            kernel.run_backward_pass(data, 0, number)


def _thread_seconds(function, *operands) -> float:
    start = time.thread_time()
    function(*operands)
    return time.thread_time() - start


def _rate(sweep, states: list[np.ndarray]) -> float:
    """Return the numbers per second of all threads together; each thread times itself."""
    half = states[0].dtype.type(0.5)

    def best(state: np.ndarray) -> float:
        sweep(state, 1, half)  # compiles, warms caches
        repeats = max(1, NUMBERS // len(state))
        least = min(_thread_seconds(sweep, state, repeats, half) for _ in range(MEASUREMENTS))
        return len(state) * repeats / least

    with concurrent.futures.ThreadPoolExecutor(len(states)) as pool:
        return sum(pool.map(best, states))


def _make_sweep(multiply_adds: int):
    """Build a sweep that repeats x = half·x + half between load and store."""

    @vectors.intrinsic
    def sweep(typingctx, state, count, half):
        signature = types.void(state, count, half)

        def codegen(context, builder, signature, args):
            rows = vectors.Lanes(context, builder, signature.args[0], args[0])
            half = rows.spread(args[2])  # with a constant the compiler could fold the operations
            width = rows.vector.count
            with vectors.over_lanes(builder, args[1], ROWS * width) as (at, _):
                places = [builder.add(at, at.type(row * width)) for row in range(ROWS)]
                values = [rows.load(place) for place in places]
                for _ in range(multiply_adds):
                    values = [vectors.plus_times(builder, half, value, half) for value in values]
                for value, place in zip(values, places, strict=True):
                    rows.store(value, place)
            return context.get_dummy_value()

        return signature, codegen

    return sweep


_OFTEN, _ONCE = _make_sweep(MULTIPLY_ADDS), _make_sweep(1)


@compiled
def _multiply_add_often(state, repeats, half):
    for _ in range(repeats):
        _OFTEN(state, len(state), half)


@compiled
def _multiply_add(state, repeats, half):
    for _ in range(repeats):
        _ONCE(state, len(state), half)
