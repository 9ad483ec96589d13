"""What engine `cpu` has to do for a circuit, and what this machine does at most: a roofline.

The peaks are measured with plain sweeps over a state of the engine's own size, in the same vectors.
Left out: cosines and sines of the data, the transform of parameters to phases and back, Python, and
the hand-over between threads; so a fraction of the roofline is a fraction of all that.
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
from qtha_lab.simulators.cpu import angles, kernel, vectors
from qtha_lab.simulators.cpu.compiled import compiled
from qtha_lab.simulators.cpu.engine import lanes_of, shared_numbers
from qtha_lab.simulators.cpu.plan import Plan, plan
from qtha_lab.simulators.cpu.sample_angles import half_rotations, make_angles

ROWS = 8  # vectors in flight, enough to hide how long one operation takes
MULTIPLY_ADDS = 32  # on every number, so that arithmetic and not memory is the limit
NUMBERS = 2**24  # swept in one measurement
MEASUREMENTS = 15
FEWEST_REPEATS = 8  # of all passes over a block


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
        >>> from qtha_lab.circuits.ansatze import build
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


def passes_alone(circuit: Circuit, batch: int, threads: int | None = None) -> Callable[[], float]:
    """The engine's own passes over the rows of a block, and nothing else, in float32, to be measured in turns.

    What no change around them can take away: no angle of a sample is made, nothing is read, kept or handed
    over, and there is no Python.

    Args:
        circuit: What is run, read by Z of every qubit.
        batch: Samples, which are cut into blocks as the engine does.
        threads: That work at once, each on its own block; as many as torch uses if None.

    Returns:
        Takes all passes there and back, over and over and gives the seconds per sample if so many
        threads share the samples evenly, by the CPU time of the slowest.

    Example:
        >>> from qtha_lab.circuits.ansatze import build
        >>> passes = passes_alone(build("qtha", 4, 1), batch=64, threads=1)
        >>> passes() > 0
        True
    """
    tables, lanes = _cut(circuit, batch)
    ops, rows = tables.passes(lanes, 4), lanes * tables.rows
    _, plane, _, _, _, gradients, *_, end = tables.places(lanes, 4)
    size = 2**tables.n_qubits
    phases = np.full(6 * tables.n_layers * size, math.sqrt(0.5), np.float32)
    sums = np.zeros(tables.n_layers * size)
    operands = (ops, rows, plane, gradients, size, lanes, phases, sums)
    repeats = max(FEWEST_REPEATS, NUMBERS // (4 * size * lanes * len(ops)))
    return _alone(_there_and_back, operands, (end, 4 * plane), lanes, repeats, threads)


def angles_alone(circuit: Circuit, batch: int, threads: int | None = None) -> Callable[[], float]:
    """The engine's cosines, sines and tangents of what differs between samples, there and back, measured as `passes_alone`.

    Args:
        circuit: As for `passes_alone`.
        batch: As for `passes_alone`.
        threads: As for `passes_alone`.

    Returns:
        Makes all angles over and over and gives the seconds per sample, as `passes_alone` does.

    Example:
        >>> from qtha_lab.circuits.ansatze import build
        >>> angles = angles_alone(build("qtha", 4, 1), batch=64, threads=1)
        >>> angles() > 0
        True
    """
    tables, lanes = _cut(circuit, batch)
    *places, end = tables.places(lanes, 4)
    numbers = shared_numbers(tables, torch.linspace(-1, 1, tables.n_params))
    operands = (
        tables.tables(lanes, 4)[0], tuple(places), 2**tables.n_qubits, tables.n_sums + 1, numbers, lanes,
    )  # fmt: skip
    repeats = max(FEWEST_REPEATS, NUMBERS // (2**12 * lanes))
    return _alone(_angles_there_and_back, operands, (end, end), lanes, repeats, threads)


def _cut(circuit: Circuit, batch: int) -> tuple[Plan, int]:
    """The tables of a circuit, and the samples of a block."""
    tables = plan(circuit)
    return tables, lanes_of(tables.n_qubits, batch, 4, batch * tables.work(True, 4)[0])


def _alone(
    work: Callable[..., None],
    operands: tuple,
    sizes: tuple[int, int],
    lanes: int,
    repeats: int,
    threads: int | None,
) -> Callable[[], float]:
    """Measures what is done in a room: (numbers of a room, how many are 1 at first and not 0), samples of it, and how often."""
    size, ones = sizes
    threads = threads or torch.get_num_threads()
    # at the place of a vector, as the engine's
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
def _there_and_back(ops, rows, plane, gradients, size, lanes, phases, sums, workspace, repeats):
    for _ in range(repeats):
        for step in range(2 * len(ops)):
            back = step >= len(ops)
            at = 2 * len(ops) - 1 - step if back else step
            kernel.run_pass(
                workspace,
                0,
                lanes,
                lanes,
                plane,
                rows,
                ops,
                at,
                True,
                phases,
                size,
                gradients,
                back,
                sums,
                0,
            )


@compiled(fastmath=True)
def _angles_there_and_back(integers, places, size, n_sums, numbers, lanes, workspace, repeats):
    shared, _, _ = angles.parts_inside(numbers, n_sums, size)
    made, scaled = kernel.table(integers, 3, 4), kernel.table(integers, 4, 2)
    starts, members = kernel.line(integers, 5), kernel.line(integers, 6)
    n_terms = len(kernel.table(integers, 7, 2))
    _, _, _, sampled_at, wholes_at, _, _, terms_at, _ = places
    for way in range(2 * repeats):
        for term in range(n_terms if way % 2 == 0 else 0):  # they are kept for the way back
            at = terms_at + 3 * term * lanes
            half_rotations(workspace, at, at + lanes, lanes)
        make_angles(
            made, starts, members, shared, scaled, True, way % 2 == 1, lanes, lanes, sampled_at, terms_at,
            wholes_at, workspace,
        )  # fmt: skip


def _thread_seconds(function, *operands) -> float:
    start = time.thread_time()
    function(*operands)
    return time.thread_time() - start


def _rate(sweep, states: list[np.ndarray]) -> float:
    """Numbers swept a second by all threads together, of which each measures itself."""
    half = states[0].dtype.type(0.5)

    def best(state: np.ndarray) -> float:
        sweep(state, 1, half)  # compiles, warms caches
        repeats = max(1, NUMBERS // len(state))
        least = min(_thread_seconds(sweep, state, repeats, half) for _ in range(MEASUREMENTS))
        return len(state) * repeats / least

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
