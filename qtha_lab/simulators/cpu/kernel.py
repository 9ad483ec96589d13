"""Compiled forward and backward pass of engine `cpu` for blocks of samples.

A thread works in one array, `workspace`, of rows of lanes, one lane per sample. Every operation is
a sweep over contiguous numbers; for a partial block whole unused vectors are skipped. In order, the
workspace holds:

* the real and the imaginary plane of ψ, 2^n rows each and one unused, then those of λ;
* the shears and -tan(a/2) of every rotation, or cosine and sine for first rotations;
* the rows of angles that differ between samples (see `sample_angles`);
* the product of the cosines of every scaled layer of these;
* the gradients of up to four rotations, and the expectation values of final rotations;
* ⟨Z⟩ after each of the final rotations;
* cosine, sine and gradient of every term.

Forward, a state that is saved for the backward pass is computed directly in its buffer.
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

# most numbers of ψ that the first backward pass reads directly from the saved state; larger states
# are copied to the workspace first
MOST_TAKEN = 2**15

_PASSES, _BACK_PASSES = make_passes(False), make_passes(True)
_PHASE, _BACK_PHASE = make_phase(False), make_phase(True)
_BUTTERFLY, _BUTTERFLY_2 = make_butterfly(1), make_butterfly(2)


@compiled(inline="always", counts=False)
def line(integers, number):
    """Return a table of `Plan` as a flat array; the leading integers hold its bounds."""
    first = integers[number]
    return part(integers, first, (integers[number + 1] - first,))


@compiled(inline="always", counts=False)
def table(integers, number, width):
    """Return a table of `Plan` with rows of `width` integers."""
    first = integers[number]
    return part(integers, first, ((integers[number + 1] - first) // width, width))


@compiled(inline="always", counts=False)
def sizes(integers):
    """Return the numbers of qubits, sums (with the empty sum), layers of phases, and params."""
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
    """Split the gradient accumulator of `walk` into sums and phases.

    Sums are (groups, sums + 1), phases are (groups · phases,).
    """
    of_sums = n_groups * n_sums
    return part(sums, 0, (n_groups, n_sums)), part(sums, of_sums, (n_groups * n_phases,))


@compiled(counts=False)
def _flags(numbers):
    """Return for each of six numbers whether it is nonzero."""
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
    """Transform the rows from `at` on by Walsh-Hadamard: Σ_m row_m·(-1)^{|k & m|}."""
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
    """Run pass `number` over all rows; backward undo the pass on ψ and λ."""
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
    """Return the next group of this thread's share, else of another share, else `n_groups`."""
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
    """Run the forward pass, or the backward pass, for groups of blocks of samples.

    A thread processes its own share of groups, then unstarted groups of other threads (see
    `_next_group`). Arrays have one dtype, float32 or float64, unless stated otherwise; n is the
    number of qubits, and a sum is the angle of a rotation or a phase (see `plan.Plan`).

    Args:
        number: Index of this thread, from 0. A thread has the same share of blocks and the same
            workspace in both passes, so that the data stay in the core's own cache.
        counters: Number of groups taken from each thread's share, int64, (threads,).
        integers: Tables of passes and places, first result of `Plan.tables(lanes, itemsize)`.
        scales: Second result of `Plan.tables`, float64.
        lanes: Samples per block.
        n_groups: Number of groups of blocks.
        batch: Number of samples.
        n_inputs: Numbers per sample.
        n_values: Read-out values per sample.
        inputs_at: Address of the data, (batch, n_inputs), in radians, or amplitudes.
        grad_at: Backward: address of the gradient of the values, (batch, n_values).
        backward: Whether to compute gradients instead of values.
        numbers: Numbers that all samples share, by `angles.shared_numbers`.
        results: Output: values, (batch, n_values), or backward the gradients of inputs,
            (batch, n_inputs).
        states: Saved ψ and terms of the first blocks, as many as fit; the others are recomputed
            backward. Its length is a multiple of 2 · (2^n + 1 + terms) · lanes.
        sums: Backward: accumulator of gradients per group, float64. Sums, (groups, sums + 1),
            precede the rows of every layer of phases, (groups, layers, 2^n).
        workspaces: Scratch memory, (threads, at least the last number of `Plan.places`).
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
            # A saved state is computed in its buffer. Backward it is undone in the workspace: the
            # first pass reads a small state from the buffer, a large state is copied before.
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
                    amplitudes = part(workspace, psi, (plane,))  # `psi` may be negative
                    take_in(
                        amplitudes, 0, lanes, inputs, start, count, start_rows, start_scales, 1.0, True,
                        vector,
                    )  # fmt: skip
                else:
                    fill(workspace, psi, one, lanes)
            while True:
                if step == n_ops:  # end of the circuit: compute the read-out, or λ = g ψ
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
                if is_phase:  # treated as the first of two rotations
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
