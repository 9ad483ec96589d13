"""One sample through a circuit, amplitudes along the vectors: for the one or two tokens of an answer.

`kernel` walks a vector of samples at once, and a single one costs it as much as sixteen. Here a state of 2^n
amplitudes lies along the vectors, and a turn takes every vector with another one whose lanes change places. A few
kilobytes are touched, which stay in the first cache. Forward only.
"""

import functools
import math

import numpy as np
from llvmlite import ir
from numba import types

from qtha_lab.circuits import Circuit, Readout
from qtha_lab.simulators.cpu.compiled import compiled
from qtha_lab.simulators.cpu.vectors import BYTES, FAST, Lanes, intrinsic, times_plus
from qtha_lab.simulators.program import Phases, Turn, Turns, compile_circuit

MOST_SAMPLES = 2  # of a batch for which this is the quicker way
MOST_QUBITS = 12  # whose state stays in the first cache
WIDTH = BYTES // 4  # lanes of float32
TURNS, PHASES = range(2)


@intrinsic
def _turn_pair(typingctx, state, a, b, size, low, cos, sin_a, sin_b, signs, at):
    """Turn the vectors at `a` and `b` of both planes: each is cos of itself plus sin of the other, lanes l ^ low.

    `signs[at:]` has the sign of sin in every lane; `a` and `b` may be one.
    """
    signature = types.void(state, a, b, size, low, cos, sin_a, sin_b, signs, at)

    def codegen(context, builder, signature, args):
        psi = Lanes(context, builder, signature.args[0], args[0])
        _, a, b, size, low, cos, sin_a, sin_b, _, at = args
        places = [a, b, builder.add(a, size), builder.add(b, size)]
        rows = [psi.load(place) for place in places]
        others = _lanes_apart(builder, psi.vector, rows, low)
        sign = Lanes(context, builder, signature.args[8], args[8]).load(at)
        sines = [builder.fmul(sign, psi.spread(sin), flags=FAST) for sin in (sin_a, sin_b)]
        cos = psi.spread(cos)
        for number, place in enumerate(places):
            other = others[number ^ 1]
            turned = times_plus(builder, rows[number], cos, other, sines[number & 1])
            psi.store(turned, place)
        return context.get_dummy_value()

    return signature, codegen


def _lanes_apart(builder, vector, rows: list, low) -> list:
    """The vectors with lane l ^ low in lane l: a branch for each value of `low`, since a shuffle is a constant."""
    end = builder.append_basic_block("lanes.end")
    default = builder.append_basic_block("lanes.never")
    switch = builder.switch(low, default)
    with builder.goto_block(default):
        builder.unreachable()
    cases = []
    for value in range(vector.count):
        block = builder.append_basic_block(f"lanes.{value}")
        switch.add_case(low.type(value), block)
        builder.position_at_end(block)
        order = [lane ^ value for lane in range(vector.count)]
        mask = ir.Constant(ir.VectorType(ir.IntType(32), vector.count), order)
        moved = [builder.shuffle_vector(row, row, mask) for row in rows]
        cases.append((moved, block))
        builder.branch(end)
    builder.position_at_end(end)
    results = []
    for number in range(len(rows)):
        phi = builder.phi(vector)
        for moved, block in cases:
            phi.add_incoming(moved[number], block)
        results.append(phi)
    return results


@compiled(fastmath=True)
def _is_odd(bits):
    odd = False
    while bits:
        odd = not odd
        bits &= bits - 1
    return odd


@compiled(fastmath=True)
def walk_single(tables, shared, phases, inputs, values, state):
    """Run every sample, one after another.

    Args:
        tables: By `single_tables`.
        shared: Cosine and sine of half of every sum, (sums + 1, 4), as for `kernel.walk`.
        phases: Cosines and sines of every layer's rows, (layers · 2 · 2^n,).
        inputs: The data, (batch, n_inputs), in radians.
        values: Filled with what is read, (batch, readouts).
        state: Room for both planes and one more, 3 · 2^n numbers.
    """
    steps, turns, members, terms, scales, readout, signs_read, signs = tables
    size = len(state) // 3
    cosines, sines = np.empty(len(terms)), np.empty(len(terms))
    for sample in range(len(inputs)):
        for t in range(len(terms)):
            half = 0.5 * scales[t] * inputs[sample, terms[t]]
            cosines[t], sines[t] = math.cos(half), math.sin(half)
        for k in range(2 * size):
            state[k] = 0.0
        state[0] = 1.0
        for number in range(len(steps)):
            kind, first, end = steps[number, 0], steps[number, 1], steps[number, 2]
            if kind == PHASES:
                at = 2 * first * size
                for k in range(size):
                    cos, sin = phases[at + k], phases[at + size + k]
                    real, imag = state[k], state[size + k]
                    state[k] = real * cos + imag * sin
                    state[size + k] = imag * cos - real * sin
                continue
            for turn in range(first, end):
                flip, zmask, j = turns[turn, 0], turns[turn, 1], turns[turn, 2]
                cos, sin = np.float64(shared[j, 0]), np.float64(shared[j, 1])
                for position in range(turns[turn, 3], turns[turn, 4]):
                    t = members[position]
                    cos, sin = (
                        cos * cosines[t] - sin * sines[t],
                        sin * cosines[t] + cos * sines[t],
                    )
                low, at = flip & (WIDTH - 1), WIDTH * (zmask & (WIDTH - 1))
                high, mask = flip - low, zmask & ~(WIDTH - 1)
                for a in range(0, size, WIDTH):
                    b = a ^ high
                    if b >= a:
                        sin_a = -sin if _is_odd(a & mask) else sin
                        sin_b = -sin if _is_odd(b & mask) else sin
                        _turn_pair(
                            state, a, b, size, low, np.float32(cos), np.float32(sin_a),
                            np.float32(sin_b), signs, at,
                        )  # fmt: skip
        for k in range(size):
            state[2 * size + k] = state[k] * state[k] + state[size + k] * state[size + k]
        step = 1
        while step < size:  # Σ_k p_k (-1)^{|k & m|} for every m
            for start in range(2 * size, 3 * size, 2 * step):
                for k in range(start, start + step):
                    p, q = state[k], state[k + step]
                    state[k], state[k + step] = p + q, p - q
            step *= 2
        for i in range(len(readout)):
            values[sample, i] = signs_read[i] * state[2 * size + readout[i]]


@functools.lru_cache(maxsize=64)
def single_tables(circuit: Circuit, readout: Readout) -> tuple[np.ndarray, ...] | None:
    """What `walk_single` does for a circuit; None where it cannot.

    Sums and layers of phases have the numbers that `plan.Plan` gives them. It takes 4 to `MOST_QUBITS` qubits
    from |0…0⟩, strings of Z, and phases that all samples share.

    Args:
        circuit: What to run.
        readout: What to read.
    """
    fits = WIDTH <= 2**circuit.n_qubits <= 2**MOST_QUBITS
    if not fits or circuit.start != "zero" or readout.kind != "strings":
        return None
    program = compile_circuit(circuit, readout)
    steps: list[tuple[int, int, int]] = []
    turns: list[tuple[int, ...]] = []
    members: list[int] = []
    numbers: dict[tuple[int, float], int] = {}
    n_sums = n_layers = 0
    for layer in program.layers:
        first = len(turns)
        if isinstance(layer, Phases):
            if any(total.inputs for total in layer.angles.values()):
                return None
            if any(total.params or total.offset for total in layer.angles.values()):
                steps.append((PHASES, n_layers, 0))
                n_layers += 1
        for j, (turn, total) in enumerate(layer.angles.items(), n_sums):
            if isinstance(layer, Turns) and isinstance(turn, Turn):
                before = len(members)
                members += [numbers.setdefault(term, len(numbers)) for term in total.inputs]
                turns.append((turn.flip, turn.zmask, j, before, len(members)))
        if len(turns) > first:
            steps.append((TURNS, first, len(turns)))
        n_sums += len(layer.angles)
    lanes = [
        [1.0 if (lane & z).bit_count() % 2 else -1.0 for lane in range(WIDTH)] for z in range(WIDTH)
    ]
    return (
        np.array(steps, np.int64).reshape(-1, 3),
        np.array(turns, np.int64).reshape(-1, 5),
        np.array(members, np.int64),
        np.array([index for index, _ in numbers], np.int64),
        np.array([scale for _, scale in numbers], np.float64),
        np.array([mask for mask, _ in program.readout], np.int64),
        np.array([sign for _, sign in program.readout], np.float32),
        np.array(lanes, np.float32).reshape(-1),
    )  # fmt: skip
