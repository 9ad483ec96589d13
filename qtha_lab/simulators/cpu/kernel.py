"""The compiled walk of engine `cpu`: blocks of samples through a circuit, and back.

All work of a thread is done in one array, `room`, of rows of lanes, one lane per sample, so that every operation
is a sweep over neighbouring numbers. It holds the real and the imaginary plane of ψ, 2^n rows each
and one unused, then those of λ, then the shears of every turn, then slopes of up to four turns and what
is read behind two of them, then ⟨Z⟩ behind each of the last turns, then cosine, sine and slope of every term.
"""

from typing import Any

from numba.np.unsafe import ndarray

from qtha_lab.simulators.cpu.behind import read_turns, weigh_turns
from qtha_lab.simulators.cpu.compiled import compiled
from qtha_lab.simulators.cpu.passes import make_pass, make_phase
from qtha_lab.simulators.cpu.sweeps import (
    add_angle,
    add_scaled,
    copy,
    fill,
    half_turns,
    is_odd,
    make_butterfly,
    shears,
    squares,
    take_next,
    total,
    weigh,
)
from qtha_lab.simulators.cpu.team import run_in_team

# kinds of passes: two turns; phases, then two turns; two turns, phases, two turns; a phase that differs
# between samples; two turns of a state that is still real; and the first three with Z read behind the last two
# turns, which are not done
TURNS, PHASES_TURNS, TURNS_PHASES_TURNS, PHASE_SAMPLED, REAL_TURNS = range(5)
READ, PHASES_READ, TURNS_PHASES_READ = range(5, 8)

as_tuple: Any = ndarray.to_fixed_tuple  # which the compiler calls without the context of its types
_TURNS, _BACK_TURNS = make_pass("t", False), make_pass("t", True)
_REAL_TURNS, _BACK_REAL_TURNS = make_pass("t", False, planes=1), make_pass("t", True, planes=1)
_PT, _BACK_PT = make_pass("pt", False), make_pass("pt", True)
_TPT, _BACK_TPT = make_pass("tpt", False), make_pass("tpt", True)
_READ, _BACK_READ = make_pass("r", False), make_pass("r", True)
_PR, _BACK_PR = make_pass("pr", False), make_pass("pr", True)
_TPR, _BACK_TPR = make_pass("tpr", False), make_pass("tpr", True)
_PHASE, _BACK_PHASE = make_phase(False), make_phase(True)
_BUTTERFLY, _BUTTERFLY_2 = make_butterfly(1), make_butterfly(2)


@compiled(fastmath=True)
def _take_in(room, at, lanes, table, start, count, links, scales, factor):
    """Add columns of `table` to rows of `room`: links has (column, row), each with its scale."""
    for i in range(len(links)):
        column, to, scale = (
            links[i, 0],
            at + links[i, 1] * lanes,
            room.dtype.type(factor * scales[i]),
        )
        for w in range(count):
            room[to + w] += scale * table[start + w, column]


@compiled(fastmath=True)
def _hand_out(room, at, lanes, table, start, count, links, scales, factor):
    """Add rows of `room` to columns of `table`."""
    for i in range(len(links)):
        column, of, scale = (
            links[i, 0],
            at + links[i, 1] * lanes,
            room.dtype.type(factor * scales[i]),
        )
        for w in range(count):
            table[start + w, column] += scale * room[of + w]


@compiled(fastmath=True)
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


@compiled(fastmath=True)
def _make_angles(angles, term_starts, members, shared, lanes, at, terms_at, room):
    """Fill the shears (of a phase: cosine and sine) of every angle that differs between samples."""
    for j in range(len(angles)):
        cos_at = at + 2 * j * lanes
        fill(room, cos_at, shared[angles[j, 0], 0], lanes)
        fill(room, cos_at + lanes, shared[angles[j, 0], 1], lanes)
        for position in range(term_starts[j], term_starts[j + 1]):
            of = terms_at + 3 * members[position] * lanes
            add_angle(room, cos_at, cos_at + lanes, of, of + lanes, lanes)
        if angles[j, 1]:
            shears(room, cos_at, cos_at + lanes, lanes)


@compiled(fastmath=True)
def run_pass(room, lanes, plane, rows, ops, at, phases, size, slopes, back, phase_sums, sums_at):
    """Pass number `at` over all rows; backward undone on ψ and λ."""
    kind, first, last, layer = ops[at, 0], ops[at, 1], ops[at, 1] + 4 * ops[at, 2], ops[at, 3]
    cosines, to = 2 * layer * size, sums_at + layer * size
    turns = as_tuple(ops[at, 8:], 12)  # read once: the rows that are written might be they
    for place in range(first, last, 4):
        operands = (
            lanes,
            plane,
            rows,
            place,
            turns,
            phases,
            cosines,
            size,
            slopes,
            phase_sums,
            to,
        )
        if back:
            if kind == TURNS_PHASES_TURNS:
                _BACK_TPT(room, *operands)
            elif kind == PHASES_TURNS:
                _BACK_PT(room, *operands)
            elif kind == REAL_TURNS:
                _BACK_REAL_TURNS(room, *operands)
            elif kind == TURNS_PHASES_READ:
                _BACK_TPR(room, *operands)
            elif kind == PHASES_READ:
                _BACK_PR(room, *operands)
            elif kind == READ:
                _BACK_READ(room, *operands)
            else:
                _BACK_TURNS(room, *operands)
        elif kind == TURNS_PHASES_TURNS:
            _TPT(room, *operands)
        elif kind == PHASES_TURNS:
            _PT(room, *operands)
        elif kind == REAL_TURNS:
            _REAL_TURNS(room, *operands)
        elif kind == TURNS_PHASES_READ:
            _TPR(room, *operands)
        elif kind == PHASES_READ:
            _PR(room, *operands)
        elif kind == READ:
            _READ(room, *operands)
        else:
            _TURNS(room, *operands)


@compiled(fastmath=True)
def walk(
    tables, places, n_qubits, lanes, n_groups, counters, shared, phases, inputs, backward, values,
    states, input_slopes, sum_slopes, phase_slopes, rooms,
):  # fmt: skip
    """Take groups of blocks, whichever are next by `counters`, through the circuit.

    Arrays of numbers have one dtype, float32 or float64, where nothing else is said; n is `n_qubits`,
    and a sum is the angle of a turn or a phase (see `plan.Plan`).

    Args:
        tables: What is done, as from `Plan.tables(lanes, itemsize)`.
        places: Where things are in `room`, as from `Plan.places(lanes, itemsize)` without its end.
        n_qubits: Qubits of the plan, at least 2.
        lanes: Samples per block.
        n_groups: Groups that the blocks are shared out to.
        counters: The next group and the next room, int64, (2,); threads that share them share the work.
        shared: Cosine, sine and shears of half of every sum, (sums + 1, 4).
        phases: Cosines and sines of every layer's rows, (layers · 2 · 2^n,).
        inputs: The data, (batch, n_inputs), in radians, or amplitudes.
        backward: Whether slopes are asked for instead of values.
        values: (batch, readouts). Forward, what is read is added to it; backward, it holds the slopes
            of the loss by what was read.
        states: Takes ψ of the first blocks, as many as fit, from forward to backward; the others are
            walked again. Its length is a multiple of 2 · 2^n · lanes.
        input_slopes: Backward, to which the slopes of inputs are added, (batch, n_inputs).
        sum_slopes: Backward, to which each group adds the slopes of sums over its samples, float64,
            (groups, sums + 1).
        phase_slopes: Backward, the same of the rows of every layer of phases, float64,
            (groups · layers · 2^n,).
        rooms: Where the work is done, (threads, the numbers that end `Plan.places`, or more). One that finds
            none left does nothing.
    """
    number = take_next(counters, 1)
    if number >= len(rooms):
        return
    room = rooms[number]
    (
        ops, rows, turns, angles, term_starts, members, terms, term_scales, readout, signs,
        is_strings, start_rows, start_scales,
    ) = tables  # fmt: skip
    psi, plane, shared_at, sampled_at, slopes, reads_at, terms_at, vector = places
    size = 1 << n_qubits
    batch = len(inputs)
    n_blocks = (batch + lanes - 1) // lanes
    one, zero = room.dtype.type(1.0), room.dtype.type(0.0)
    n_ops = len(ops)
    steps = 2 * n_ops if backward else n_ops
    is_turned = n_ops > 0 and ops[n_ops - 1, 0] >= READ
    read_at = reads_at if is_turned else 2 * plane
    for number in range(len(turns)):
        for i in range(2):
            shear = shared[turns[number, 0], 2 + i]
            fill(room, shared_at + (2 * number + i) * vector, shear, vector)
    while True:
        group = take_next(counters, 0)
        if group >= n_groups:
            return
        sums_at = group * (len(phases) // 2)
        for block in range(n_blocks * group // n_groups, n_blocks * (group + 1) // n_groups):
            start = block * lanes
            count = min(lanes, batch - start)
            fill(room, terms_at, zero, 3 * len(terms) * lanes)
            _take_in(room, terms_at, lanes, inputs, start, count, terms, term_scales, 0.5)
            for t in range(len(terms)):
                cos_at = terms_at + 3 * t * lanes
                half_turns(room, cos_at, cos_at + lanes, lanes)
            _make_angles(angles, term_starts, members, shared, lanes, sampled_at, terms_at, room)
            states_at = 2 * size * start
            keeps = states_at + 2 * size * lanes <= len(states)
            step = n_ops if backward and keeps else 0
            if step:
                copy(room, 0, states, states_at, size * lanes)
                copy(room, plane, states, states_at + size * lanes, size * lanes)
            else:
                fill(room, 0, zero, 2 * plane)
                if len(start_rows):
                    _take_in(room, psi, lanes, inputs, start, count, start_rows, start_scales, 1.0)
                else:
                    fill(room, 0, one, lanes)
            while True:
                if step == n_ops:  # the end of the circuit: read it, or λ = g ψ
                    if backward:
                        fill(room, 2 * plane, zero, (2 * plane if is_turned else size * lanes))
                        fill(room, reads_at, zero, terms_at - reads_at)
                        _take_in(room, read_at, lanes, values, start, count, readout, signs, 1.0)
                    for k in range(size if not backward and not is_turned else 0):
                        at = k * lanes
                        squares(room, at, plane + at, 2 * plane + at, lanes)
                    if is_strings and not is_turned:
                        _transform(room, 2 * plane, size, lanes)
                    for k in range(size if backward and not is_turned else 0):
                        at = k * lanes
                        weigh(room, at, plane + at, 2 * plane, lanes)
                    if not backward:
                        _hand_out(room, read_at, lanes, values, start, count, readout, signs, 1.0)
                    if keeps and not backward:
                        copy(states, states_at, room, 0, size * lanes)
                        copy(states, states_at + size * lanes, room, plane, size * lanes)
                if step == steps:
                    break
                back = step >= n_ops
                number = 2 * n_ops - 1 - step if back else step
                step += 1
                reads = ops[number, 0] >= READ
                first_read = 2 if ops[number, 0] == TURNS_PHASES_READ else 0
                if back or reads:
                    fill(room, slopes, zero, (16 if reads else 4) * lanes)
                if back and reads:
                    weigh_turns(room, lanes, ops, number, first_read, turns, slopes, reads_at)
                is_phase = ops[number, 0] == PHASE_SAMPLED
                if is_phase:
                    mask, angle = ops[number, 1], ops[number, 2]
                    for k in range(size):
                        sign = -one if is_odd(k & mask) else one
                        if back:
                            _BACK_PHASE(room, lanes, plane, k * lanes, sign, angle, slopes)
                        else:
                            _PHASE(room, lanes, plane, k * lanes, sign, angle, slopes)
                else:
                    run_pass(
                        room, lanes, plane, rows, ops, number, phases, size, slopes, back,
                        phase_slopes, sums_at,
                    )  # fmt: skip
                if reads:
                    read_turns(room, lanes, ops, number, first_read, turns, slopes, reads_at, back)
                if not back:
                    continue
                for i in range(4):
                    turn, of = ops[number, 4 + i], slopes + i * lanes
                    if turn < 0:
                        continue
                    sum_slopes[group, turns[turn, 0]] += total(room, of, lanes)
                    j = turns[turn, 1]
                    for position in range(term_starts[j], term_starts[j + 1]):
                        to = terms_at + (3 * members[position] + 2) * lanes
                        add_scaled(room, to, of, one, lanes)
            if backward:
                _hand_out(
                    room, terms_at + 2 * lanes, lanes, input_slopes, start, count, terms,
                    term_scales, 1.0,
                )  # fmt: skip
                _hand_out(
                    room, 2 * plane, lanes, input_slopes, start, count, start_rows, start_scales,
                    2.0,
                )  # fmt: skip


@compiled
def walk_in_team(team, threads, operands):
    """`walk` on so many threads of a team, which share its counters.

    Args:
        team: Where it is found, as from `team.address`.
        threads: How many, this one included.
        operands: Of `walk`.
    """
    run_in_team(walk, team, threads, operands)
