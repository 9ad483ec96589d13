"""The compiled walk of engine `cpu`: blocks of samples through a circuit, and back.

All work is done in one array, `room`, of rows of lanes, one lane a sample, so that every operation
is a sweep over neighbouring numbers. It holds the real and the imaginary plane of ψ, 2^n rows each
and one unused, then those of λ, then the shears of every turn, then slopes of up to four turns.
"""

from numba import njit

from qtha_lab.simulators.cpu_passes import make_pass, make_phase
from qtha_lab.simulators.cpu_sweeps import (
    add_angle,
    add_scaled,
    copy,
    fill,
    make_butterfly,
    shears,
    squares,
    take_next,
    total,
    weigh,
)
from qtha_lab.simulators.cpu_vectors import BYTES, VERSION

# kinds of passes: two turns of a real state; of any; phases, then two turns; two turns, phases, two
# turns; and a phase that differs between samples
TURNS_REAL, TURNS, PHASES_TURNS, TURNS_PHASES_TURNS, PHASE_SAMPLED = range(5)

_TURNS_REAL, _BACK_TURNS_REAL = make_pass("t", False, 1), make_pass("t", True, 1)
_TURNS, _BACK_TURNS = make_pass("t", False), make_pass("t", True)
_PT, _BACK_PT = make_pass("pt", False), make_pass("pt", True)
_TPT, _BACK_TPT = make_pass("tpt", False), make_pass("tpt", True)
_PHASE, _BACK_PHASE = make_phase(False), make_phase(True)
_BUTTERFLY, _BUTTERFLY_2 = make_butterfly(1), make_butterfly(2)

_inlined = njit(nogil=True, fastmath=True, error_model="numpy", inline="always")


@_inlined
def _odd(bits):
    bits ^= bits >> 16
    bits ^= bits >> 8
    bits ^= bits >> 4
    bits ^= bits >> 2
    bits ^= bits >> 1
    return bits & 1


@_inlined
def _transform(room, at, size, lanes):
    """Walsh-Hadamard transform of the rows from `at` on: Σ_m row_m·(-1)^{|k & m|}."""
    step = 1
    while 2 * step < size:
        for k in range(size):
            if not k & (3 * step):
                _BUTTERFLY_2(room, at + k * lanes, (step * lanes, 2 * step * lanes), lanes)
        step *= 4
    if step < size:
        for k in range(step):
            _BUTTERFLY(room, at + k * lanes, (step * lanes,), lanes)


@_inlined
def _read(readout, is_strings, size, lanes, plane, batch, start, room, values):
    """Fill `values` with what is read from ψ: rows of |ψ|², or of their transform."""
    for k in range(size):
        squares(room, k * lanes, plane + k * lanes, 2 * plane + k * lanes, lanes)
    if is_strings:
        _transform(room, 2 * plane, size, lanes)
    for i in range(len(readout)):
        to = i * batch + start
        fill(values, to, room.dtype.type(0.0), lanes)
        sign = room.dtype.type(readout[i, 1])
        add_scaled(values, to, room, 2 * plane + readout[i, 0] * lanes, sign, lanes)


@_inlined
def _start_back(readout, is_strings, size, lanes, plane, batch, start, room, values):
    """λ = g ψ, where g_k is the slope of |ψ_k|², from the slopes in `values`."""
    fill(room, 2 * plane, room.dtype.type(0.0), size * lanes)
    for i in range(len(readout)):
        sign = room.dtype.type(readout[i, 1])
        to = 2 * plane + readout[i, 0] * lanes
        add_scaled(room, to, values, i * batch + start, sign, lanes)
    if is_strings:
        _transform(room, 2 * plane, size, lanes)
    for k in range(size):
        weigh(room, k * lanes, plane + k * lanes, 2 * plane, lanes)


@_inlined
def _make_angles(angles, term_starts, terms, shared, terms_at, start, batch, lanes, at, room):
    """Fill the shears (of a phase: cosine and sine) of every angle that differs between samples."""
    sines = len(terms_at) // 2
    for j in range(len(angles)):
        cos_at = at + 2 * j * lanes
        fill(room, cos_at, shared[angles[j, 0], 0], lanes)
        fill(room, cos_at + lanes, shared[angles[j, 0], 1], lanes)
        for position in range(term_starts[j], term_starts[j + 1]):
            of = terms[position] * batch + start
            add_angle(room, cos_at, cos_at + lanes, terms_at, of, sines + of, lanes)
        if angles[j, 1]:
            shears(room, cos_at, cos_at + lanes, lanes)


@_inlined
def _turn(turns, number, shared_at, sampled_at, lanes, vector):
    """Where a turn's shears are, how far apart, and -1 if they differ between samples."""
    if turns[number, 1] >= 0:
        return sampled_at + 2 * turns[number, 1] * lanes, lanes, -1
    return shared_at + 2 * number * vector, vector, 0


@_inlined
def _pass(op, rows, turns, phases, room, lanes, plane, size, at, slopes, back, found, found_at):
    """One pass over all rows; backward undone on ψ and λ."""
    kind, layer = op[0], op[3]
    shared_at, sampled_at, vector = at
    which = (
        *_turn(turns, op[4], shared_at, sampled_at, lanes, vector),
        *_turn(turns, op[5], shared_at, sampled_at, lanes, vector),
        *_turn(turns, op[6], shared_at, sampled_at, lanes, vector),
        *_turn(turns, op[7], shared_at, sampled_at, lanes, vector),
    )
    first, to = 2 * layer * size, found_at + layer * size
    for place in range(op[1], op[1] + 4 * op[2], 4):
        given = (lanes, plane, rows, place, which, phases, first, size, slopes, found, to)
        if back:
            if kind == TURNS_PHASES_TURNS:
                _BACK_TPT(room, *given)
            elif kind == TURNS:
                _BACK_TURNS(room, *given)
            elif kind == PHASES_TURNS:
                _BACK_PT(room, *given)
            else:
                _BACK_TURNS_REAL(room, *given)
        elif kind == TURNS_PHASES_TURNS:
            _TPT(room, *given)
        elif kind == TURNS:
            _TURNS(room, *given)
        elif kind == PHASES_TURNS:
            _PT(room, *given)
        else:
            _TURNS_REAL(room, *given)


def _make_walk(version: int):
    """`walk`, compiled; numba's cache on disk sees this file only, and a new version by closure."""

    @njit(nogil=True, fastmath=True, cache=True, error_model="numpy")
    def walk(
        tables, n_qubits, lanes, n_blocks, n_groups, counter, shared, phases, terms_at, amplitudes,
        backward, values, kept, input_slopes, sum_slopes, phase_slopes, room,
    ):  # fmt: skip
        """Take groups of blocks, whichever are next by `counter`, through the circuit.

        Forward, `values` (readouts · batch) is filled with what is read. Backward it holds the
        output's slopes; `input_slopes` (terms · batch, or 2^n · batch of amplitudes), zero before, and
        for each group the float64 sums over samples `sum_slopes` (groups, sums) and `phase_slopes`
        (groups · layers · 2^n) are added to. `kept` takes ψ of the first blocks, as many as fit, from
        forward to backward; the others are walked again. `shared` (sums + 1, 4) has cosine, sine and
        shears of every sum, `phases` (layers · 2 · 2^n) cosines and sines of every layer's rows,
        `terms_at` (2 · terms · batch) those of half of every term, `amplitudes` (2^n · batch), if not
        empty, the first state. batch is lanes · n_blocks.
        """
        if version == 0:
            return  # never
        ops, rows, turns, angles, term_starts, terms, readout, is_strings = tables
        size = 1 << n_qubits
        batch = lanes * n_blocks
        plane = (size + 1) * lanes  # a row more, so that rows of all planes differ in cache
        vector = BYTES // room.itemsize
        shared_at = 4 * plane
        sampled_at = shared_at + 2 * len(turns) * vector
        slopes = sampled_at + 2 * len(angles) * lanes
        at = (shared_at, sampled_at, vector)
        one = room.dtype.type(1.0)
        zero = room.dtype.type(0.0)
        n_ops = len(ops)
        steps = 2 * n_ops if backward else n_ops
        for number in range(len(turns)):
            fill(room, shared_at + 2 * number * vector, shared[turns[number, 0], 2], vector)
            fill(room, shared_at + (2 * number + 1) * vector, shared[turns[number, 0], 3], vector)
        while True:
            group = take_next(counter)
            if group >= n_groups:
                return
            found_at = group * (len(phases) // 2)
            for block in range(n_blocks * group // n_groups, n_blocks * (group + 1) // n_groups):
                start = block * lanes
                _make_angles(
                    angles,
                    term_starts,
                    terms,
                    shared,
                    terms_at,
                    start,
                    batch,
                    lanes,
                    sampled_at,
                    room,
                )
                keeps_at = 2 * size * start
                keeps = keeps_at + 2 * size * lanes <= len(kept)
                step = n_ops if backward and keeps else 0
                if step:
                    copy(room, 0, kept, keeps_at, size * lanes)
                    copy(room, plane, kept, keeps_at + size * lanes, size * lanes)
                else:
                    fill(room, 0, zero, 2 * plane)
                    for k in range(len(amplitudes) // batch):
                        copy(room, k * lanes, amplitudes, k * batch + start, lanes)
                    if not len(amplitudes):
                        fill(room, 0, one, lanes)
                while True:
                    if step == n_ops:  # the end of the circuit
                        if backward:
                            _start_back(
                                readout, is_strings, size, lanes, plane, batch, start, room, values
                            )
                        else:
                            _read(
                                readout, is_strings, size, lanes, plane, batch, start, room, values
                            )
                        if keeps and not backward:
                            copy(kept, keeps_at, room, 0, size * lanes)
                            copy(kept, keeps_at + size * lanes, room, plane, size * lanes)
                    if step == steps:
                        break
                    back = step >= n_ops
                    op = ops[2 * n_ops - 1 - step if back else step]
                    step += 1
                    if back:
                        fill(room, slopes, zero, 4 * lanes)
                    if op[0] == PHASE_SAMPLED:
                        angle = sampled_at + 2 * op[2] * lanes
                        for k in range(size):
                            sign = -one if _odd(k & op[1]) else one
                            if back:
                                _BACK_PHASE(room, lanes, plane, k * lanes, sign, angle, slopes)
                            else:
                                _PHASE(room, lanes, plane, k * lanes, sign, angle, slopes)
                        if back:
                            for position in range(term_starts[op[2]], term_starts[op[2] + 1]):
                                to = terms[position] * batch + start
                                add_scaled(input_slopes, to, room, slopes, one, lanes)
                        continue
                    _pass(
                        op, rows, turns, phases, room, lanes, plane, size, at, slopes, back,
                        phase_slopes, found_at,
                    )  # fmt: skip
                    if not back:
                        continue
                    for i in range(4 if op[0] == TURNS_PHASES_TURNS else 2):
                        turn = op[4 + i]
                        sum_slopes[group, turns[turn, 0]] += total(room, slopes + i * lanes, lanes)
                        j = turns[turn, 1]
                        if j >= 0:
                            for position in range(term_starts[j], term_starts[j + 1]):
                                to = terms[position] * batch + start
                                add_scaled(input_slopes, to, room, slopes + i * lanes, one, lanes)
                if backward:
                    for k in range(len(amplitudes) // batch):
                        to = k * batch + start
                        add_scaled(input_slopes, to, room, 2 * plane + k * lanes, one + one, lanes)

    return walk


walk = _make_walk(VERSION)
