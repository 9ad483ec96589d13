"""What engine `cpu` has to do for a circuit, and what this machine does at most: a roofline.

The peaks are measured with plain sweeps over a state of the engine's own size, in the same vectors.
Left out: cosines and sines of the data, the transform of parameters to phases and back, Python, and
the hand-over between threads; so a fraction of the roofline is a fraction of all that.
"""

import concurrent.futures
import time
from typing import NamedTuple

import numpy as np
import torch
from numba import types

from qtha_lab.circuits import Circuit, Readout
from qtha_lab.simulators.cpu import vectors
from qtha_lab.simulators.cpu.compiled import compiled
from qtha_lab.simulators.cpu.engine import lanes_of
from qtha_lab.simulators.cpu.plan import plan

ROWS = 8  # vectors in flight, enough to hide how long one operation takes
MULTIPLY_ADDS = 32  # on every number, so that arithmetic and not memory is the limit
NUMBERS = 2**24  # swept in one measurement
MEASUREMENTS = 15


class Work(NamedTuple):
    """Of one sample: floating-point operations, and bytes moved between registers and cache."""

    flops: float
    bytes: float

    def seconds(self, peak: "Peak") -> float:
        """The roofline: the longer of doing the arithmetic and moving the numbers."""
        return max(self.flops / peak.flops, self.bytes / peak.bytes)


class Peak(NamedTuple):
    """Of the machine, in one second: floating-point operations, and bytes loaded and stored."""

    flops: float
    bytes: float


def work(
    circuit: Circuit, readout: Readout | None = None, dtype: torch.dtype = torch.float32
) -> tuple[Work, Work]:
    """What the forward and the backward pass have to do for one sample.

    A multiplication and an addition count one each. Forward is from the start to what is read;
    backward is from the slopes of what is read to those of inputs and params, given the final state.

    Args:
        circuit: What is to be run.
        readout: What is to be read; by default Z of every qubit.
        dtype: float32 or float64, on which the bytes depend.

    Returns:
        Of the forward and of the backward pass, the operations and the bytes per sample.

    Example:
        >>> from qtha_lab.ansatze import build
        >>> forward, backward = work(build("qtha", n_qubits=4, n_layers=4))
        >>> forward.flops < backward.flops < 4 * forward.flops
        True
    """
    tables = plan(circuit, readout)
    forward, backward = (Work(*tables.work(back, dtype.itemsize)) for back in (False, True))
    return forward, backward


def sweep_peak(
    n_qubits: int, dtype: torch.dtype = torch.float32, threads: int | None = None
) -> Peak:
    """Measure plain sweeps over states of the size that engine `cpu` works on.

    Args:
        n_qubits: Of the circuit; ψ and λ of one block of samples are swept again and again.
        dtype: float32 or float64.
        threads: That sweep at once, each its own state; as many as torch uses if None.

    Returns:
        Operations per second of a sweep of many multiply-adds per number, and bytes per second of a
        sweep of one; by each thread's CPU time, so that other programs do not count; best of several.

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


def _rate(sweep, states: list[np.ndarray]) -> float:
    """Numbers swept a second by all threads together, of which each measures itself."""
    half = states[0].dtype.type(0.5)

    def best(state: np.ndarray) -> float:
        sweep(state, 1, half)  # compiles, warms caches
        repeats = max(1, NUMBERS // len(state))
        return len(state) * repeats / min(seconds(state, repeats) for _ in range(MEASUREMENTS))

    def seconds(state: np.ndarray, repeats: int) -> float:
        start = time.thread_time()
        sweep(state, repeats, half)
        return time.thread_time() - start

    with concurrent.futures.ThreadPoolExecutor(len(states)) as pool:
        return sum(pool.map(best, states))


def _make_sweep(multiply_adds: int):
    """x = half·x + half for every number, so often between one load and one store."""

    @vectors.intrinsic
    def sweep(typingctx, state, count, half):
        signature = types.void(state, count, half)

        def codegen(context, builder, signature, args):
            rows = vectors.Lanes(context, builder, signature.args[0], args[0])
            half = rows.spread(args[2])  # a constant would let the compiler do it all at once
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
