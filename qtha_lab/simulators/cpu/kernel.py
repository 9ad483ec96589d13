"""The compiled walk of engine `cpu`: blocks of samples through a circuit, and back.

All work of a thread is done in one array, `room`, of rows of lanes, one lane per sample, so that every operation
is a sweep over neighbouring numbers. It holds the real and the imaginary plane of ψ, 2^n rows each
and one unused, then those of λ, then the shears of every turn and -tan(a/2), then the rows of angles that differ between
samples (see `sampled`) and the product of the cosines of every layer of these, then slopes of up to four turns and what is
read behind two of them, then ⟨Z⟩ behind each of the last turns, then cosine, sine and slope of every term.
"""

from qtha_lab.simulators.cpu.addresses import numbers_at, part
from qtha_lab.simulators.cpu.angles import parts_inside
from qtha_lab.simulators.cpu.behind import read_turns, weigh_turns
from qtha_lab.simulators.cpu.columns import hand_out, take_in
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
from qtha_lab.simulators.cpu.sampled import half_turns, make_angles
from qtha_lab.simulators.cpu.sweeps import (
    copy,
    fill,
    is_odd,
    make_butterfly,
    squares,
    take_next,
    weigh,
)
from qtha_lab.simulators.cpu.turn_slopes import take_turn_slopes

_PASSES, _BACK_PASSES = make_passes(False), make_passes(True)
_PHASE, _BACK_PHASE = make_phase(False), make_phase(True)
_BUTTERFLY, _BUTTERFLY_2 = make_butterfly(1), make_butterfly(2)


@compiled(inline="always", counts=False)
def line(integers, number):
    """One of `Plan`'s tables, which begin and end where the first numbers say."""
    first = integers[number]
    return part(integers, first, (integers[number + 1] - first,))


@compiled(inline="always", counts=False)
def table(integers, number, width):
    """The same in rows of so many."""
    first = integers[number]
    return part(integers, first, ((integers[number + 1] - first) // width, width))


@compiled(counts=False)
def _flags(numbers):
    """Four numbers as whether they are not 0."""
    return numbers[0] != 0, numbers[1] != 0, numbers[2] != 0, numbers[3] != 0


@compiled(counts=False, fastmath=True)
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


@compiled(inline="always", counts=False)
def run_pass(
    room, lanes, plane, rows, ops, number, is_scaled, phases, size, slopes, back, phase_sums, sums_at
):  # fmt: skip
    """Pass `number` over all rows, its turns scaled or as shears; backward undone on ψ and λ."""
    kind = ops[number, 0] if is_scaled else PLAIN[ops[number, 0]]
    if back:
        _BACK_PASSES(
            kind, room, lanes, plane, rows, ops, number, phases, size, is_scaled, slopes, phase_sums, sums_at
        )  # fmt: skip
    else:
        _PASSES(
            kind, room, lanes, plane, rows, ops, number, phases, size, is_scaled, slopes, phase_sums, sums_at
        )  # fmt: skip


@compiled(counts=False)
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


@compiled(counts=False, fastmath=True)
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
    room = part(rooms, number * rooms.shape[1], (rooms.shape[1],))
    integers, scales = tables
    ops, rows = table(integers, 0, PASS_WIDTH), line(integers, 1)
    turns, angles, scaled = (
        table(integers, 2, 6), table(integers, 3, 4), table(integers, 4, 2),
    )  # fmt: skip
    term_starts, members, terms = line(integers, 5), line(integers, 6), table(integers, 7, 2)
    readout, start_rows = table(integers, 8, 2), table(integers, 9, 2)
    is_strings, is_all_inputs, is_all_read, is_real_first = _flags(line(integers, 10))
    term_scales, signs = (
        part(scales, 0, (len(terms),)), part(scales, len(terms), (len(readout),)),
    )  # fmt: skip
    start_scales = part(scales, len(terms) + len(readout), (len(start_rows),))
    psi, plane, shared_at, sampled_at, wholes_at, slopes, reads_at, terms_at, vector = places
    size = 1 << n_qubits
    shared, phases, wholes = parts_inside(numbers, n_sums, size)
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
        sums_at = group * (len(phases) // 6)
        for block in range(n_blocks * group // n_groups, n_blocks * (group + 1) // n_groups):
            start = block * lanes
            count = min(lanes, batch - start)
            take_in(
                room, terms_at, lanes, inputs, start, count, terms, term_scales, 0.5, is_all_inputs, vector
            )  # fmt: skip
            for t in range(len(terms)):
                cos_at = terms_at + 3 * t * lanes
                half_turns(room, cos_at, cos_at + lanes, lanes)
                if backward:
                    fill(room, cos_at + 2 * lanes, zero, lanes)
            is_scaled = make_angles(
                angles, term_starts, members, shared, scaled, wholes[-1] > 0, lanes, sampled_at, terms_at, wholes_at, room
            )  # fmt: skip
            states_at = 2 * size * start
            keeps = states_at + 2 * size * lanes <= len(states)
            step = n_ops if backward and keeps else 0
            if step:
                copy(room, 0, states, states_at, size * lanes)
                copy(room, plane, states, states_at + size * lanes, size * lanes)
            else:
                fill(room, 0, zero, plane if is_real_first else 2 * plane)
                if len(start_rows):
                    take_in(
                        room, psi, lanes, inputs, start, count, start_rows, start_scales, 1.0, True, vector
                    )  # fmt: skip
                else:
                    fill(room, 0, one, lanes)
            while True:
                if step == n_ops:  # the end of the circuit: read it, or λ = g ψ
                    if backward:
                        fill(room, 2 * plane, zero, (2 * plane if is_turned else size * lanes))
                        fill(room, reads_at, zero, terms_at - reads_at)
                        take_in(
                            room, read_at, lanes, grad, start, count, readout, signs, 1.0, is_all_read, vector
                        )  # fmt: skip
                    for k in range(size if not backward and not is_turned else 0):
                        at = k * lanes
                        squares(room, at, plane + at, 2 * plane + at, lanes)
                    if is_strings and not is_turned:
                        _transform(room, 2 * plane, size, lanes)
                    for k in range(size if backward and not is_turned else 0):
                        at = k * lanes
                        weigh(room, at, plane + at, 2 * plane, lanes)
                    if not backward:
                        hand_out(
                            room, read_at, lanes, values, start, count, readout, signs, 1.0, is_all_read, vector
                        )  # fmt: skip
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
                        room, lanes, plane, rows, ops, op, is_scaled, phases, size, slopes, back, phase_slopes,
                        sums_at,
                    )  # fmt: skip
                if reads:
                    read_turns(room, lanes, ops, op, first_read, turns, slopes, reads_at, back)
                if not back:
                    continue
                if is_phase:  # as if it were the first of two turns
                    copy(room, slopes + lanes, room, slopes, lanes)
                take_turn_slopes(
                    room, lanes, ops, op, turns, shared, is_scaled, slopes, terms_at, term_starts, members, sum_slopes,
                    group,
                )  # fmt: skip
            if backward:
                hand_out(
                    room, terms_at + 2 * lanes, lanes, input_slopes, start, count, terms, term_scales, 1.0,
                    is_all_inputs, vector,
                )  # fmt: skip
                hand_out(
                    room, 2 * plane, lanes, input_slopes, start, count, start_rows, start_scales, 2.0,
                    False, vector,
                )  # fmt: skip
