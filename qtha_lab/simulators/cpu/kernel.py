"""Compiled forward and backward pass of engine `cpu` for blocks of samples.

A thread works in one array, the workspace, of rows of lanes, one lane per sample. Every operation
is a sweep over contiguous numbers; for a partial block whole unused vectors are skipped. In order,
the workspace holds:

* the real and the imaginary plane of ψ, 2^n rows each and one unused, then those of λ;
* the shears and -tan(a/2) of every rotation, or cosine and sine for first rotations;
* the rows of angles that differ between samples (see `sample_angles`);
* the product of the cosines of every scaled layer of these;
* the gradients of up to four rotations, and the expectation values of final rotations;
* ⟨Z⟩ after each of the final rotations;
* cosine, sine and gradient of every term.

Forward, a state that is saved for the backward pass is computed directly in its buffer.

`forward` and `backward` are one compiled call each, for small batches. Functions that run once per
block are compiled by themselves; those that run once per pass are inlined. With all of them
inlined, compilation took three times as long and no call was faster.
"""

import numpy as np

from qtha_lab.simulators.cpu.angles import (
    add_rotation_gradients,
    param_gradients,
    shared_numbers,
    split_numbers,
)
from qtha_lab.simulators.cpu.compiled import compiled
from qtha_lab.simulators.cpu.layout import run_in_team
from qtha_lab.simulators.cpu.pass_code import make_phase
from qtha_lab.simulators.cpu.pass_list import LAST_READ_ALONE, READ, SAMPLED, UNSCALED
from qtha_lab.simulators.cpu.passes import expect_rotations, make_passes, weight_rotations
from qtha_lab.simulators.cpu.records import (
    ENDS_WITH_READOUT,
    FILLS_IMAG,
    FILLS_REAL,
    IS_STRINGS,
    ROWS,
    TERMS,
    Block,
    Operands,
    PassData,
    amplitudes_of,
    gradients_of,
    has,
    line,
    passes_of,
    places_of,
    readout_of,
    rotations_of,
    rows_of,
    shared_tables_of,
    sizes_of,
    terms_of,
)
from qtha_lab.simulators.cpu.sample_angles import half_rotations, make_angles
from qtha_lab.simulators.cpu.transpose import load_columns, store_columns
from qtha_lab.simulators.cpu.vectors import (
    copy,
    distance,
    fill,
    is_odd,
    make_butterfly,
    numbers_at,
    part,
    squares,
    take_next,
    times_gradient,
)

# most numbers of ψ that the first backward pass reads directly from the saved state; larger states
# are copied to the workspace first
MOST_READ_SAVED = 2**15

_FORWARD, _BACKWARD = make_passes(False), make_passes(True)
_FORWARD_PHASE, _BACKWARD_PHASE = make_phase(False), make_phase(True)
_BUTTERFLY, _BUTTERFLY_2 = make_butterfly(1), make_butterfly(2)


@compiled(counts=False, fastmath=True)
def run_blocks(number, counters, operands):
    """Run the forward pass, or the backward pass, for groups of blocks of samples.

    A thread processes its own share of groups, then unstarted groups of other threads (see
    `_next_group`). A sum is the angle of a rotation or a phase (see `plan.KernelPlan`).
    """
    call = Operands(*operands)
    sizes, length = sizes_of(call.integers), call.workspaces.shape[1]
    size = 1 << sizes.n_qubits
    workspace = part(call.workspaces, number * length, (length,))
    shared = split_numbers(call.numbers, sizes.n_sums, size)
    _fill_shared_rotations(call.integers, workspace, shared.sums)
    n_groups = call.n_groups
    n_blocks = (call.batch + call.lanes - 1) // call.lanes
    while True:
        group = _next_group(counters, number, n_groups)
        if group == n_groups:
            return
        for index in range(n_blocks * group // n_groups, n_blocks * (group + 1) // n_groups):
            _run_block(call, workspace, shared, index, group)


@compiled(counts=False, fastmath=True)
def _fill_shared_rotations(integers, workspace, sums):
    """Fill a vector with each of the three numbers of every shared rotation."""
    rotations, places = rotations_of(integers), places_of(integers)
    for rotation in range(len(rotations)):
        for i in range(3):
            shear = sums[rotations[rotation, 0], rotations[rotation, 6] + i]
            at = places.shared + (3 * rotation + i) * places.vector
            fill(workspace, at, shear, places.vector)


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


@compiled(inline="always", counts=False)
def _run_block(call, workspace, shared, index, group):
    """Compute the read-out of a block, or backward its gradients.

    The forward pass stands only here, because a second copy would double the compile time.
    """
    integers, backward, states = call.integers, call.backward, call.states
    places, lanes = places_of(integers), call.lanes
    start = index * lanes
    count = min(lanes, call.batch - start)
    width = (count + places.vector - 1) // places.vector * places.vector
    block = Block(workspace, lanes, width, places.vector, start, count)
    saved_size = 2 * (places.plane + len(rows_of(integers, TERMS, 2)) * lanes)
    saved_at = saved_size * index
    is_saved = saved_at + saved_size <= len(states)
    # the first backward pass moves a small saved ψ to the workspace
    reads_saved = has(integers, ENDS_WITH_READOUT) and 2 * places.plane <= MOST_READ_SAVED
    _load_terms(call, block, saved_at, is_saved)
    is_scaled = make_angles(block, integers, shared, backward)
    psi = 0
    if is_saved and (reads_saved or not backward):
        psi = distance(workspace, states, saved_at)
    if not (backward and is_saved):
        _initialise(call, block, psi)
        _run_forward(call, block, shared, psi, is_scaled)
    elif not reads_saved:
        copy(workspace, 0, states, saved_at, 2 * places.plane)
    if backward:
        _start_dual(call, block)
        _run_backward(call, block, shared, psi, is_scaled, group)
        _store_input_gradients(call, block)
    else:
        _read_out(call, block, psi)


@compiled(counts=False, fastmath=True)
def _load_terms(call, block, saved_at, is_saved):
    """Provide cosine and sine of every term, and backward clear its gradient.

    The forward pass saves them after the state, and the backward pass loads them.
    """
    workspace, lanes, places = block.workspace, block.lanes, places_of(call.integers)
    terms = terms_of(call.integers, call.scales)
    n_terms, saved_terms_at = len(terms.pairs), saved_at + 2 * places.plane
    if is_saved and call.backward:
        for t in range(n_terms):
            saved = saved_terms_at + 2 * t * lanes
            copy(workspace, places.terms + 3 * t * lanes, call.states, saved, 2 * lanes)
    else:
        inputs = numbers_at(workspace, call.inputs_at, (call.batch, call.n_inputs))
        load_columns(block, places.terms, inputs, terms, 0.5)
        for t in range(n_terms):
            at = places.terms + 3 * t * lanes
            half_rotations(workspace, at, at + lanes, block.width)
            if is_saved:
                copy(call.states, saved_terms_at + 2 * t * lanes, workspace, at, 2 * lanes)
    for t in range(n_terms if call.backward else 0):
        zero = workspace.dtype.type(0.0)
        fill(workspace, places.terms + (3 * t + 2) * lanes, zero, lanes)


@compiled(inline="always", counts=False)
def _pass_data(call, block, shared, is_scaled, group):
    """Return the operands of the passes over a block."""
    integers = call.integers
    sizes, places = sizes_of(integers), places_of(integers)
    _, phase_gradients = gradients_of(call.sums, call.n_groups, sizes)
    return PassData(
        block.workspace,
        block.lanes,
        block.width,
        places.plane,
        line(integers, ROWS),
        passes_of(integers),
        shared.phases,
        1 << sizes.n_qubits,
        is_scaled,
        places.gradients,
        phase_gradients,
        group * (len(shared.phases) // 6),
    )


@compiled(counts=False, fastmath=True)
def _run_forward(call, block, shared, psi, is_scaled):
    """Run all passes on the ψ at `psi`."""
    data = _pass_data(call, block, shared, is_scaled, 0)
    for number in range(len(data.passes)):
        kind = data.passes[number, 0]
        if kind == SAMPLED:
            _forward_phase(data, psi, number)
        else:
            run_forward_pass(data, psi, number)
        if kind >= READ:
            first = 2 if kind > LAST_READ_ALONE else 0
            expect_rotations(block, call.integers, number, first, False)


@compiled(counts=False, fastmath=True)
def _run_backward(call, block, shared, psi, is_scaled, group):
    """Undo all passes on ψ and λ, and add up the gradients."""
    data = _pass_data(call, block, shared, is_scaled, group)
    sums, _ = gradients_of(call.sums, call.n_groups, sizes_of(call.integers))
    workspace, lanes = block.workspace, block.lanes
    for number in range(len(data.passes) - 1, -1, -1):
        kind = data.passes[number, 0]
        first = 2 if kind > LAST_READ_ALONE else 0
        if kind >= READ:
            weight_rotations(block, call.integers, number, first)
        if kind == SAMPLED:
            _backward_phase(data, number)
        else:
            run_backward_pass(data, psi, number)
        if kind != READ:
            psi = 0
        if kind >= READ:
            expect_rotations(block, call.integers, number, first, True)
        if kind == SAMPLED:  # treated as the first of two rotations
            copy(workspace, data.gradients + lanes, workspace, data.gradients, lanes)
        add_rotation_gradients(block, call.integers, number, shared.sums, is_scaled, sums, group)


@compiled(inline="always", counts=False)
def run_forward_pass(data, psi, number):
    """Run a pass over all rows of ψ."""
    kind = data.passes[number, 0]
    _FORWARD(kind if data.is_scaled else UNSCALED[kind], number, psi, data)


@compiled(inline="always", counts=False)
def run_backward_pass(data, psi, number):
    """Undo a pass on ψ and λ, with the gradients of its angles."""
    kind = data.passes[number, 0]
    _BACKWARD(kind if data.is_scaled else UNSCALED[kind], number, psi, data)


@compiled(inline="always", counts=False)
def _forward_phase(data, psi, number):
    """Multiply the rows of ψ by a phase that differs between samples."""
    one = data.workspace.dtype.type(1.0)
    mask, angle = data.passes[number, 1], data.passes[number, 2]
    for k in range(data.size):
        sign = -one if is_odd(k & mask) else one
        _FORWARD_PHASE(data, psi + k * data.lanes, sign, angle)


@compiled(inline="always", counts=False)
def _backward_phase(data, number):
    """Undo a phase that differs between samples, with its gradient."""
    one = data.workspace.dtype.type(1.0)
    fill(data.workspace, data.gradients, data.workspace.dtype.type(0.0), data.lanes)
    mask, angle = data.passes[number, 1], data.passes[number, 2]
    for k in range(data.size):
        sign = -one if is_odd(k & mask) else one
        _BACKWARD_PHASE(data, k * data.lanes, sign, angle)


@compiled(counts=False, fastmath=True)
def _initialise(call, block, psi):
    """Fill ψ with |0…0⟩ or the amplitudes of the data."""
    workspace, plane = block.workspace, places_of(call.integers).plane
    zero, one = workspace.dtype.type(0.0), workspace.dtype.type(1.0)
    if has(call.integers, FILLS_REAL):
        fill(workspace, psi, zero, plane)
    if has(call.integers, FILLS_IMAG):
        fill(workspace, psi + plane, zero, plane)
    amplitudes = amplitudes_of(call.integers, call.scales, True)
    if len(amplitudes.pairs):
        target = part(workspace, psi, (plane,))  # `psi` may be negative
        of_psi = Block(target, block.lanes, block.width, block.vector, block.start, block.count)
        inputs = numbers_at(workspace, call.inputs_at, (call.batch, call.n_inputs))
        load_columns(of_psi, 0, inputs, amplitudes, 1.0)
    else:
        fill(workspace, psi, one, block.lanes)


@compiled(inline="always", counts=False)
def _is_rotated(integers):
    """Return True if read-outs follow from final rotations that are not executed."""
    passes = passes_of(integers)
    return len(passes) > 0 and passes[len(passes) - 1, 0] >= READ


@compiled(counts=False, fastmath=True)
def _read_out(call, block, psi):
    """Compute the values of a block from ψ."""
    integers, lanes, workspace = call.integers, block.lanes, block.workspace
    places, size = places_of(integers), 1 << sizes_of(integers).n_qubits
    plane, at = places.plane, places.observables
    if not _is_rotated(integers):
        at = 2 * plane
        for k in range(size):
            row = k * lanes
            squares(workspace, psi + row, psi + plane + row, at + row, block.width)
        if has(integers, IS_STRINGS):
            _transform(workspace, at, size, lanes, block.width)
    store_columns(block, at, call.results, readout_of(integers, call.scales), 1.0, True)


@compiled(counts=False, fastmath=True)
def _start_dual(call, block):
    """Initialise λ = g ψ, or the gradients of the final rotations."""
    integers, lanes, workspace = call.integers, block.lanes, block.workspace
    places, size = places_of(integers), 1 << sizes_of(integers).n_qubits
    readout, zero = readout_of(integers, call.scales), workspace.dtype.type(0.0)
    is_rotated, plane = _is_rotated(integers), places.plane
    if not is_rotated:
        fill(workspace, 2 * plane, zero, size * lanes)
    n_observables = places.terms - places.observables
    if not (readout.is_whole and len(readout.pairs) * lanes == n_observables):
        fill(workspace, places.observables, zero, n_observables)
    at = places.observables if is_rotated else 2 * plane
    grad = numbers_at(workspace, call.grad_at, (call.batch, call.n_values))
    load_columns(block, at, grad, readout, 1.0)
    if not is_rotated:
        if has(integers, IS_STRINGS):
            _transform(workspace, 2 * plane, size, lanes, block.width)
        for k in range(size):
            times_gradient(workspace, k * lanes, plane + k * lanes, 2 * plane, block.width)


@compiled(counts=False, fastmath=True)
def _store_input_gradients(call, block):
    """Write the gradients of a block's inputs or amplitudes."""
    integers, places = call.integers, places_of(call.integers)
    terms = terms_of(integers, call.scales)
    store_columns(block, places.terms + 2 * block.lanes, call.results, terms, 1.0, True)
    amplitudes = amplitudes_of(integers, call.scales, False)
    store_columns(block, 2 * places.plane, call.results, amplitudes, 2.0, False)


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


@compiled
def evaluate_blocks(threads, team, operands):
    """Run `kernel.run_blocks` on one thread, or on several threads of a team."""
    counters = np.zeros(threads, np.int64)
    if threads == 1:
        run_blocks(np.int64(0), counters, operands)  # a literal 0 would compile a second kernel
    else:
        run_in_team(run_blocks, team, threads, (counters, operands))


@compiled
def forward(threads, team, params_at, operands):
    """Compute the numbers that all samples share, then the values."""
    call = Operands(*operands)
    sizes = sizes_of(call.integers)
    params = numbers_at(call.numbers, params_at, (sizes.n_params,))
    tables = shared_tables_of(call.integers, call.scales)
    shared_numbers(params, tables, 1 << sizes.n_qubits, call.numbers)
    evaluate_blocks(threads, team, operands)


@compiled
def backward(threads, team, gradients, operands):
    """Compute the gradients of inputs, then those of params."""
    evaluate_blocks(threads, team, operands)
    gradients_of_params(gradients, operands)


@compiled
def gradients_of_params(gradients, operands):
    """Compute the gradients of params from `Operands.sums`; operands as for `backward`."""
    call = Operands(*operands)
    sizes = sizes_of(call.integers)
    sums, phases = gradients_of(call.sums, call.n_groups, sizes)
    tables = shared_tables_of(call.integers, call.scales)
    param_gradients(sums, phases, tables, 1 << sizes.n_qubits, gradients)
