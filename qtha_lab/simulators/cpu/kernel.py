"""The compiled walk of engine `cpu`: blocks of samples through a circuit, and back.

All work of a thread is done in one array, `workspace`, of rows of lanes, one lane per sample, so that every operation
is a sweep over neighbouring numbers; of a block that is not full it leaves out whole vectors. It holds the real and the
imaginary plane of ψ, 2^n rows each and one unused, then those of λ, then the shears of every turn and -tan(a/2), of first
turns cosine and sine, then the rows of angles that differ between samples (see `sampled`) and the product of the cosines of
every layer of these, then slopes of up to four turns and what is read behind two of them, then ⟨Z⟩ behind each of the last
turns, then cosine, sine and slope of every term. Forward, what is kept for the way back is made where it is kept.
"""

from qtha_lab.simulators.cpu.angles import parts_inside
from qtha_lab.simulators.cpu.array_pointers import distance, numbers_at, part
from qtha_lab.simulators.cpu.compiled import compiled
from qtha_lab.simulators.cpu.final_rotations import read_rotations, weigh_rotations
from qtha_lab.simulators.cpu.passes import (
    LAST_READ_ALONE,
    PASS_WIDTH,
    PLAIN,
    READ,
    SAMPLED,
    make_passes,
    make_phase,
)
from qtha_lab.simulators.cpu.plan import ROTATION_WIDTH
from qtha_lab.simulators.cpu.rotation_gradients import take_turn_gradients
from qtha_lab.simulators.cpu.row_operations import (
    copy,
    fill,
    is_odd,
    make_butterfly,
    squares,
    take_next,
    weigh,
)
from qtha_lab.simulators.cpu.sample_angles import half_rotations, make_angles
from qtha_lab.simulators.cpu.transpose import hand_out, take_in

# numbers of ψ that a pass takes from where they are kept; more are copied before, in their order
MOST_TAKEN = 2**15

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


@compiled(inline="always", counts=False)
def sizes(integers):
    """How many qubits, sums with the sum of nothing, layers of phases and params there are."""
    first = integers[11]
    return integers[first], integers[first + 1], integers[first + 2], integers[first + 3]


@compiled(inline="always", counts=False)
def _places(integers):
    first = integers[11] + 4
    return (
        integers[first],
        integers[first + 1],
        integers[first + 2],
        integers[first + 3],
        integers[first + 4],
        integers[first + 5],
        integers[first + 6],
        integers[first + 7],
        integers[first + 8],
    )


@compiled(inline="always", counts=False)
def gradients_of(sums, n_groups, n_sums, n_phases):
    """What `walk` adds up over samples: slopes of sums, (groups, sums + 1), and of all phases, (groups · phases,)."""
    of_sums = n_groups * n_sums
    return part(sums, 0, (n_groups, n_sums)), part(sums, of_sums, (n_groups * n_phases,))


@compiled(counts=False)
def _flags(numbers):
    """Six numbers as whether they are not 0."""
    return (
        numbers[0] != 0,
        numbers[1] != 0,
        numbers[2] != 0,
        numbers[3] != 0,
        numbers[4] != 0,
        numbers[5] != 0,
    )


@compiled(counts=False, fastmath=True)
def _transform(workspace, at, size, lanes, width):
    """Walsh-Hadamard transform of the rows from `at` on: Σ_m row_m·(-1)^{|k & m|}."""
    step = 1
    while 2 * step < size:
        for k in range(size):
            if not k & (3 * step):
                _BUTTERFLY_2(workspace, at + k * lanes, (step * lanes, 2 * step * lanes), width)
        step *= 4
    if step < size:
        for k in range(step):
            _BUTTERFLY(workspace, at + k * lanes, (step * lanes,), width)


@compiled(inline="always", counts=False)
def run_pass(
    workspace, psi, lanes, width, plane, rows, ops, number, is_scaled, phases, size, gradients, back, phase_sums, sums_at
):  # fmt: skip
    """Pass `number` over all rows, its turns scaled or as shears; backward undone on ψ and λ."""
    kind = ops[number, 0] if is_scaled else PLAIN[ops[number, 0]]
    if back:
        _BACK_PASSES(
            kind, workspace, psi, lanes, width, plane, rows, ops, number, phases, size, is_scaled, gradients, phase_sums, sums_at
        )  # fmt: skip
    else:
        _PASSES(
            kind, workspace, psi, lanes, width, plane, rows, ops, number, phases, size, is_scaled, gradients, phase_sums, sums_at
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
    number, counters, integers, scales, lanes, n_groups, batch, n_inputs, n_values, inputs_at, grad_at,
    backward, numbers, results, states, sums, workspaces,
):  # fmt: skip
    """Take groups of blocks through the circuit: a thread's own, then what others have not begun (see `_next_group`).

    Arrays of numbers have one dtype, float32 or float64, where nothing else is said; n is the number of qubits, and a sum
    is the angle of a turn or a phase (see `plan.Plan`).

    Args:
        number: Of this thread, from 0 on. Who had a block forward has it backward, in the same room, so that both are
            still in a core's own cache.
        counters: How many groups of each thread's share are taken, int64, (threads,).
        integers: What is done and where things are, as from `Plan.tables(lanes, itemsize)`.
        scales: Its second part, float64.
        lanes: Samples per block.
        n_groups: Groups that the blocks are shared out to.
        batch: Samples.
        n_inputs: Numbers of a sample.
        n_values: Numbers that are read of a sample.
        inputs_at: Address of the data, (batch, n_inputs), in radians, or amplitudes.
        grad_at: Backward, the address of the slopes of the loss by what was read, (batch, n_values).
        backward: Whether slopes are asked for instead of values.
        numbers: What all samples share, as from `angles.shared_numbers`.
        results: Filled with what is read, (batch, n_values), or backward with the slopes of inputs, (batch, n_inputs).
        states: Takes ψ and terms of the first blocks, as many as fit, from forward to backward; the others are
            walked again. Its length is a multiple of 2 · (2^n + 1 + terms) · lanes.
        sums: Backward, to which each group adds slopes over its samples, float64: those of sums, (groups, sums + 1), and
            behind them those of the rows of every layer of phases, (groups, layers, 2^n).
        workspaces: Where the work is done, (threads, the numbers that end `Plan.places`, or more).
    """
    workspace = part(workspaces, number * workspaces.shape[1], (workspaces.shape[1],))
    ops, rows = table(integers, 0, PASS_WIDTH), line(integers, 1)
    rotations, angles, scaled = (
        table(integers, 2, ROTATION_WIDTH), table(integers, 3, 4), table(integers, 4, 2),
    )  # fmt: skip
    term_starts, members, terms = line(integers, 5), line(integers, 6), table(integers, 7, 2)
    readout, start_rows = table(integers, 8, 2), table(integers, 9, 2)
    is_strings, is_all_inputs, is_all_read, fills_real, fills_imag, is_undone_by_reading = _flags(
        line(integers, 10)
    )
    n_qubits, n_sums, n_layers, _ = sizes(integers)
    _, plane, shared_at, sampled_at, wholes_at, gradients, reads_at, terms_at, vector = _places(
        integers
    )
    term_scales, signs = (
        part(scales, 0, (len(terms),)), part(scales, len(terms), (len(readout),)),
    )  # fmt: skip
    start_scales = part(scales, len(terms) + len(readout), (len(start_rows),))
    size = 1 << n_qubits
    shared, phases, wholes = parts_inside(numbers, n_sums, size)
    sum_gradients, phase_gradients = gradients_of(sums, n_groups, n_sums, n_layers * size)
    inputs = numbers_at(workspace, inputs_at, (batch, n_inputs))
    grad = numbers_at(workspace, grad_at, (batch, n_values))
    n_blocks = (batch + lanes - 1) // lanes
    one, zero = workspace.dtype.type(1.0), workspace.dtype.type(0.0)
    of_block = 2 * (plane + len(terms) * lanes)
    n_ops = len(ops)
    steps = 2 * n_ops if backward else n_ops
    is_rotated = n_ops > 0 and ops[n_ops - 1, 0] >= READ
    read_at = reads_at if is_rotated else 2 * plane
    fills_reads = is_all_read and len(readout) * lanes == terms_at - reads_at
    takes = is_undone_by_reading and 2 * plane <= MOST_TAKEN
    for rotation in range(len(rotations)):
        for i in range(3):
            shear = shared[rotations[rotation, 0], rotations[rotation, 6] + i]
            fill(workspace, shared_at + (3 * rotation + i) * vector, shear, vector)
    while True:
        group = _next_group(counters, number, n_groups)
        if group == n_groups:
            return
        sums_at = group * (len(phases) // 6)
        for block in range(n_blocks * group // n_groups, n_blocks * (group + 1) // n_groups):
            start = block * lanes
            count = min(lanes, batch - start)
            width = (count + vector - 1) // vector * vector
            states_at = of_block * block
            keeps = states_at + of_block <= len(states)
            if keeps and backward:
                for t in range(len(terms)):
                    kept_at = states_at + 2 * (plane + t * lanes)
                    copy(workspace, terms_at + 3 * t * lanes, states, kept_at, 2 * lanes)
            else:
                take_in(
                    workspace, terms_at, lanes, inputs, start, count, terms, term_scales, 0.5, is_all_inputs,
                    vector,
                )  # fmt: skip
                for t in range(len(terms)):
                    cos_at = terms_at + 3 * t * lanes
                    half_rotations(workspace, cos_at, cos_at + lanes, width)
                    if keeps:
                        copy(
                            states,
                            states_at + 2 * (plane + t * lanes),
                            workspace,
                            cos_at,
                            2 * lanes,
                        )
            for t in range(len(terms) if backward else 0):
                fill(workspace, terms_at + (3 * t + 2) * lanes, zero, lanes)
            is_scaled = make_angles(
                angles, term_starts, members, shared, scaled, wholes[-1] > 0, backward, lanes, width, sampled_at,
                terms_at, wholes_at, workspace,
            )  # fmt: skip
            # what is kept is made where it is kept, and backward undone elsewhere: where it is little the first pass takes it there
            psi = distance(workspace, states, states_at) if keeps and (takes or not backward) else 0
            step = n_ops if backward and keeps else 0
            if step and not takes:
                copy(workspace, 0, states, states_at, 2 * plane)
            elif not step:
                if fills_real:
                    fill(workspace, psi, zero, plane)
                if fills_imag:
                    fill(workspace, psi + plane, zero, plane)
                if len(start_rows):
                    amplitudes = part(workspace, psi, (plane,))  # no place in `room` is negative
                    take_in(
                        amplitudes, 0, lanes, inputs, start, count, start_rows, start_scales, 1.0, True,
                        vector,
                    )  # fmt: skip
                else:
                    fill(workspace, psi, one, lanes)
            while True:
                if step == n_ops:  # the end of the circuit: read it, or λ = g ψ
                    if backward:
                        if not is_rotated:
                            fill(workspace, 2 * plane, zero, size * lanes)
                        if not fills_reads:
                            fill(workspace, reads_at, zero, terms_at - reads_at)
                        take_in(
                            workspace, read_at, lanes, grad, start, count, readout, signs, 1.0, is_all_read, vector
                        )  # fmt: skip
                    for k in range(size if not backward and not is_rotated else 0):
                        at = k * lanes
                        squares(workspace, psi + at, psi + plane + at, 2 * plane + at, width)
                    if is_strings and not is_rotated:
                        _transform(workspace, 2 * plane, size, lanes, width)
                    for k in range(size if backward and not is_rotated else 0):
                        at = k * lanes
                        weigh(workspace, at, plane + at, 2 * plane, width)
                    if not backward:
                        hand_out(
                            workspace, read_at, lanes, results, start, count, readout, signs, 1.0, is_all_read, True, vector
                        )  # fmt: skip
                if step == steps:
                    break
                back = step >= n_ops
                op = 2 * n_ops - 1 - step if back else step
                step += 1
                reads = ops[op, 0] >= READ
                first_read = 2 if ops[op, 0] > LAST_READ_ALONE else 0
                if back and reads:
                    weigh_rotations(
                        workspace, lanes, width, ops, op, first_read, rotations, gradients, reads_at
                    )
                is_phase = ops[op, 0] == SAMPLED
                if is_phase:
                    fill(workspace, gradients, zero, lanes)
                    mask, angle = ops[op, 1], ops[op, 2]
                    for k in range(size):
                        sign = -one if is_odd(k & mask) else one
                        if back:
                            _BACK_PHASE(
                                workspace, lanes, width, plane, k * lanes, sign, angle, gradients
                            )
                        else:
                            _PHASE(
                                workspace,
                                lanes,
                                width,
                                plane,
                                psi + k * lanes,
                                sign,
                                angle,
                                gradients,
                            )
                else:
                    run_pass(
                        workspace, psi, lanes, width, plane, rows, ops, op, is_scaled, phases, size, gradients, back, phase_gradients,
                        sums_at,
                    )  # fmt: skip
                if back and ops[op, 0] != READ:
                    psi = 0
                if reads:
                    read_rotations(
                        workspace,
                        lanes,
                        width,
                        ops,
                        op,
                        first_read,
                        rotations,
                        gradients,
                        reads_at,
                        back,
                    )
                if not back:
                    continue
                if is_phase:  # as if it were the first of two turns
                    copy(workspace, gradients + lanes, workspace, gradients, lanes)
                take_turn_gradients(
                    workspace, lanes, width, ops, op, rotations, shared, is_scaled, gradients, terms_at, term_starts, members, sum_gradients,
                    group,
                )  # fmt: skip
            if backward:
                hand_out(
                    workspace, terms_at + 2 * lanes, lanes, results, start, count, terms, term_scales, 1.0,
                    is_all_inputs, True, vector,
                )  # fmt: skip
                hand_out(
                    workspace, 2 * plane, lanes, results, start, count, start_rows, start_scales, 2.0, False,
                    False, vector,
                )  # fmt: skip
