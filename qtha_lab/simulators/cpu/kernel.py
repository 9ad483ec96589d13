"""The compiled walk of engine `cpu`: blocks of samples through a circuit, and back.

All work of a thread is done in one array, `room`, of rows of lanes, one lane per sample, so that every operation
is a sweep over neighbouring numbers. It holds the real and the imaginary plane of ψ, 2^n rows each
and one unused, then those of λ, then the shears of every turn and -tan(a/2), and where these differ between samples the
cosines of its layer so far, then slopes of up to four turns and what is read behind two of them, then ⟨Z⟩ behind each of
the last turns, then cosine, sine and slope of every term.
"""

from typing import Any

from numba.np.unsafe import ndarray

from qtha_lab.simulators.cpu.addresses import numbers_at
from qtha_lab.simulators.cpu.angles import parts
from qtha_lab.simulators.cpu.behind import read_turns, weigh_turns
from qtha_lab.simulators.cpu.compiled import compiled
from qtha_lab.simulators.cpu.passes import (
    LAST_READ_ALONE,
    PASS_WIDTH,
    PLAIN,
    READ,
    SAMPLED,
    make_passes,
    make_phase,
)
from qtha_lab.simulators.cpu.scaled import MOST_LEFT_OUT, SCALED, SHEARS
from qtha_lab.simulators.cpu.sweeps import (
    add_angle,
    add_scaled,
    copy,
    fill,
    half_turns,
    inverse_squares,
    is_odd,
    make_butterfly,
    over_square,
    scale_turn,
    shears,
    squares,
    take_next,
    total,
    weigh,
)

as_tuple: Any = ndarray.to_fixed_tuple  # which the compiler calls without the context of its types
_PASSES, _BACK_PASSES = make_passes(False), make_passes(True)
_PHASE, _BACK_PHASE = make_phase(False), make_phase(True)
_BUTTERFLY, _BUTTERFLY_2 = make_butterfly(1), make_butterfly(2)


@compiled
def line(integers, number):
    """One of `Plan`'s tables, which begin and end where the first numbers say."""
    return integers[integers[number] : integers[number + 1]]


@compiled
def table(integers, number, width):
    """The same in rows of so many."""
    numbers = line(integers, number)
    return numbers.reshape((len(numbers) // width, width))


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
def make_angles(angles, term_starts, members, shared, lanes, at, terms_at, room):
    """Fill the shears (of a phase and of what is to be scaled: cosine and sine) of every angle that differs between samples."""
    for j in range(len(angles)):
        cos_at = at + 4 * j * lanes
        fill(room, cos_at, shared[angles[j, 0], 0], lanes)
        fill(room, cos_at + lanes, shared[angles[j, 0], 1], lanes)
        for position in range(term_starts[j], term_starts[j + 1]):
            of = terms_at + 3 * members[position] * lanes
            add_angle(room, cos_at, cos_at + lanes, of, of + lanes, lanes)
        if angles[j, 1] == SHEARS:
            shears(room, cos_at, cos_at + lanes, lanes)


@compiled
def are_scaled(scaled, lanes, at, room):
    """Fill -tan(a/2) of what is to be scaled and the cosines of its layer so far; whether no sample has too small ones."""
    for i in range(len(scaled)):
        angle, before, is_last = scaled[i]
        cos_at = at + 4 * angle * lanes
        scale_turn(room, cos_at, at + (4 * before + 3) * lanes, before >= 0, lanes)
        if is_last and not inverse_squares(room, cos_at + 3 * lanes, lanes) < MOST_LEFT_OUT:
            return False
    return True


@compiled(fastmath=True)
def _make_shears(angles, lanes, at, room):
    """Those of what was to be scaled, in the place of cosine and sine."""
    for j in range(len(angles)):
        if angles[j, 1] == SCALED:
            cos_at = at + 4 * j * lanes
            shears(room, cos_at, cos_at + lanes, lanes)


@compiled(fastmath=True)
def run_pass(
    room,
    lanes,
    plane,
    rows,
    ops,
    at,
    is_scaled,
    phases,
    wholes,
    size,
    slopes,
    back,
    phase_sums,
    sums_at,
):
    """Pass number `at` over all rows, its turns scaled or as shears; backward undone on ψ and λ."""
    kind, first, last, layer = ops[at, 0], ops[at, 1], ops[at, 1] + 4 * ops[at, 2], ops[at, 3]
    kind = kind if is_scaled else PLAIN[kind]
    whole = wholes[layer] if is_scaled else room.dtype.type(1.0)
    turns = as_tuple(ops[at, 8:], 12)  # read once: the rows that are written might be they
    where = (
        lanes, plane, rows, first, last, turns, phases, 2 * layer * size, size, whole,
        ops[at, PASS_WIDTH - 1], slopes, phase_sums, sums_at + layer * size,
    )  # fmt: skip
    if back:
        _BACK_PASSES(kind, room, *where)
    else:
        _PASSES(kind, room, *where)


@compiled
def _next_group(counters, number, n_groups):
    """The next group of this thread's share, or one that another has left; `n_groups` if none is."""
    threads = len(counters)
    for further in range(threads):
        whose = (number + further) % threads
        first, end = n_groups * whose // threads, n_groups * (whose + 1) // threads
        group = first + take_next(counters, whose)
        if group < end:
            return group
    return n_groups


@compiled(fastmath=True)
def walk(
    number, counters, tables, places, n_qubits, lanes, n_groups, n_sums, numbers, batch, inputs_at, n_inputs,
    backward, values, grad_at, states, input_slopes, sum_slopes, phase_slopes, rooms,
):  # fmt: skip
    """Take groups of blocks through the circuit: a thread's own, then what others have not begun (see `_next_group`).

    Arrays of numbers have one dtype, float32 or float64, where nothing else is said; n is `n_qubits`,
    and a sum is the angle of a turn or a phase (see `plan.Plan`).

    Args:
        number: Of this thread, from 0 on. Who had a block forward has it backward, in the same room, so that both are
            still in a core's own cache.
        counters: How many groups of each thread's share are taken, int64, (threads,).
        tables: What is done, as from `Plan.tables(lanes, itemsize)`.
        places: Where things are in `room`, as from `Plan.places(lanes, itemsize)` without its end.
        n_qubits: Qubits of the plan, at least 2.
        lanes: Samples per block.
        n_groups: Groups that the blocks are shared out to.
        n_sums: Sums, the sum of nothing among them.
        numbers: What all samples share, as from `angles.shared_numbers`.
        batch: Samples.
        inputs_at: Address of the data, (batch, n_inputs), in radians, or amplitudes.
        n_inputs: Numbers of a sample.
        backward: Whether slopes are asked for instead of values.
        values: Forward, (batch, n_values), to which what is read is added.
        grad_at: Backward, the address of the slopes of the loss by what was read, (batch, n_values).
        states: Takes ψ of the first blocks, as many as fit, from forward to backward; the others are
            walked again. Its length is a multiple of 2 · 2^n · lanes.
        input_slopes: Backward, to which the slopes of inputs are added, (batch, n_inputs).
        sum_slopes: Backward, to which each group adds the slopes of sums over its samples, float64,
            (groups, sums + 1).
        phase_slopes: Backward, the same of the rows of every layer of phases, float64,
            (groups · layers · 2^n,).
        rooms: Where the work is done, (threads, the numbers that end `Plan.places`, or more).
    """
    room = rooms[number]
    integers, scales = tables
    ops, rows = table(integers, 0, PASS_WIDTH), line(integers, 1)
    turns, angles, scaled = (
        table(integers, 2, 3), table(integers, 3, 2), table(integers, 4, 3),
    )  # fmt: skip
    term_starts, members, terms = line(integers, 5), line(integers, 6), table(integers, 7, 2)
    readout, start_rows = table(integers, 8, 2), table(integers, 9, 2)
    is_strings = line(integers, 10)[0] != 0
    term_scales, signs = scales[: len(terms)], scales[len(terms) : len(terms) + len(readout)]
    start_scales = scales[len(terms) + len(readout) :]
    psi, plane, shared_at, sampled_at, slopes, reads_at, terms_at, vector = places
    size = 1 << n_qubits
    shared, phases, wholes = parts(numbers, n_sums, size)
    inputs = numbers_at(room, inputs_at, (batch, n_inputs))
    grad = numbers_at(room, grad_at, (batch if backward else 0, values.shape[1]))
    n_blocks = (batch + lanes - 1) // lanes
    one, zero = room.dtype.type(1.0), room.dtype.type(0.0)
    n_ops = len(ops)
    steps = 2 * n_ops if backward else n_ops
    is_turned = n_ops > 0 and ops[n_ops - 1, 0] >= READ
    read_at = reads_at if is_turned else 2 * plane
    for turn in range(len(turns)):
        for i in range(3):
            shear = shared[turns[turn, 0], 2 + i]
            fill(room, shared_at + (3 * turn + i) * vector, shear, vector)
    while True:
        group = _next_group(counters, number, n_groups)
        if group == n_groups:
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
            make_angles(angles, term_starts, members, shared, lanes, sampled_at, terms_at, room)
            is_scaled = wholes[-1] > 0 and are_scaled(scaled, lanes, sampled_at, room)
            if not is_scaled:
                _make_shears(angles, lanes, sampled_at, room)
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
                        _take_in(room, read_at, lanes, grad, start, count, readout, signs, 1.0)
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
                op = 2 * n_ops - 1 - step if back else step
                step += 1
                reads = ops[op, 0] >= READ
                first_read = 2 if ops[op, 0] > LAST_READ_ALONE else 0
                if back or reads:
                    fill(room, slopes, zero, (16 if reads else 4) * lanes)
                if back and reads:
                    weigh_turns(room, lanes, ops, op, first_read, turns, slopes, reads_at)
                is_phase = ops[op, 0] == SAMPLED
                if is_phase:
                    mask, angle = ops[op, 1], ops[op, 2]
                    for k in range(size):
                        sign = -one if is_odd(k & mask) else one
                        if back:
                            _BACK_PHASE(room, lanes, plane, k * lanes, sign, angle, slopes)
                        else:
                            _PHASE(room, lanes, plane, k * lanes, sign, angle, slopes)
                else:
                    run_pass(
                        room, lanes, plane, rows, ops, op, is_scaled, phases, wholes, size,
                        slopes, back, phase_slopes, sums_at,
                    )  # fmt: skip
                if reads:
                    read_turns(room, lanes, ops, op, first_read, turns, slopes, reads_at, back)
                if not back:
                    continue
                for i in range(4):
                    turn, of = ops[op, 4 + i], slopes + i * lanes
                    if turn < 0:
                        continue
                    j, total_at = turns[turn, 1], turns[turn, 0]
                    factor = shared[total_at, 5] if is_scaled else one
                    if is_scaled and j < len(angles) and angles[j, 1] == SCALED:
                        over_square(room, of, sampled_at + (4 * j + 3) * lanes, lanes)
                    sum_slopes[group, total_at] += factor * total(room, of, lanes)
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
