"""The compiled walks of engine `cpu`: a block of samples through a circuit, and back.

A state is planes of rows of lanes: a real and an imaginary plane of 2^n rows, one lane a sample, so
every operation is a sweep over neighbouring numbers; after ψ's two planes come λ's. The sweeps
themselves are in `cpu_sweeps`.
"""

import numpy as np
from numba import njit

from qtha_lab.simulators.cpu_sweeps import BYTES, make_phase, make_turns

TURN_SHARED, TURN_SAMPLED, PHASE_SHARED, PHASE_SAMPLED = 0, 1, 2, 3

_SHARED_1, _SHARED_2, _SHARED_3 = (make_turns(n, False, False) for n in (1, 2, 3))
_SAMPLED_1, _SAMPLED_2, _SAMPLED_3 = (make_turns(n, True, False) for n in (1, 2, 3))
_BACK_SHARED_1, _BACK_SHARED_2, _BACK_SHARED_3 = (make_turns(n, False, True) for n in (1, 2, 3))
_BACK_SAMPLED_1, _BACK_SAMPLED_2, _BACK_SAMPLED_3 = (make_turns(n, True, True) for n in (1, 2, 3))
_PHASE, _PHASE_LANES = make_phase(False, False), make_phase(True, False)
_BACK_PHASE, _BACK_PHASE_LANES = make_phase(False, True), make_phase(True, True)

_compiled = njit(nogil=True, fastmath=True, cache=True, error_model="numpy")


@_compiled
def walsh(values):
    """Walsh-Hadamard transform of every row, in place: Σ_m values[m]·(-1)^{|k & m|}."""
    count, size = values.shape
    for row in range(count):
        step = 1
        while step < size:
            for start in range(0, size, 2 * step):
                for k in range(start, start + step):
                    a, b = values[row, k], values[row, k + step]
                    values[row, k], values[row, k + step] = a + b, a - b
            step *= 2


@_compiled
def _odd(bits):
    parity = 0
    while bits:
        bits &= bits - 1
        parity ^= 1
    return parity


@_compiled
def _fill_angles(tables, shared, term_cos, term_sin, first, width, lanes, angles):
    """Cosine and sine of half of every sampled angle, by the addition theorem."""
    sampled_sums, term_starts, terms = tables[3], tables[4], tables[5]
    for j in range(len(sampled_sums)):
        cos, sin = 2 * j, 2 * j + 1
        for w in range(lanes):
            angles[cos, w] = shared[sampled_sums[j], 0]
            angles[sin, w] = shared[sampled_sums[j], 1]
        for position in range(term_starts[j], term_starts[j + 1]):
            term = terms[position]
            for w in range(width):
                c, s = term_cos[term, first + w], term_sin[term, first + w]
                a, b = angles[cos, w], angles[sin, w]
                angles[cos, w] = a * c - b * s
                angles[sin, w] = b * c + a * s


@_compiled
def _first_layer(tables, angles, rows, size, lanes, state):
    """Turns of |0…0⟩: a product state, built by doubling."""
    first_flips = tables[6]
    state[: 2 * size * lanes] = 0
    state[:lanes] = 1
    known = 1
    rows[0] = 0
    for j in range(len(first_flips)):
        cos, sin = angles[2 * j], angles[2 * j + 1]
        for i in range(known):
            rows[known + i] = rows[i] ^ first_flips[j]
            a = state[rows[i] * lanes : rows[i] * lanes + lanes]
            b = state[rows[known + i] * lanes : rows[known + i] * lanes + lanes]
            for w in range(lanes):
                b[w] = a[w] * sin[w]
            for w in range(lanes):
                a[w] *= cos[w]
        known *= 2


@_compiled
def _turns(op, tables, shared, angles, size, lanes, state, backward, slopes):
    """One pass of one to three turns over ψ; backward undone on ψ and λ, adding to `slopes`."""
    sampled, n_turns, start, groups, first = op[0] == TURN_SAMPLED, op[1], op[2], op[3], op[4]
    rows, sums, numbers = tables[1], tables[2], tables[7]
    second, third = first + min(1, n_turns - 1), first + n_turns - 1
    c0, s0 = shared[sums[first], 0], shared[sums[first], 1]
    c1, s1 = shared[sums[second], 0], shared[sums[second], 1]
    c2, s2 = shared[sums[third], 0], shared[sums[third], 1]
    a0, b0 = 2 * numbers[first] * lanes, (2 * numbers[first] + 1) * lanes
    a1, b1 = 2 * numbers[second] * lanes, (2 * numbers[second] + 1) * lanes
    a2, b2 = 2 * numbers[third] * lanes, (2 * numbers[third] + 1) * lanes
    dual = 2 * size * lanes
    for plane in range(2):
        base = plane * size * lanes
        for group in range(groups):
            at = start + group * (1 << n_turns)
            p0, p1 = base + rows[at] * lanes, base + rows[at + 1] * lanes
            if n_turns == 1:
                if sampled and backward:
                    _BACK_SAMPLED_1(state, lanes, (p0, p1), (a0, b0), angles, dual, slopes)
                elif sampled:
                    _SAMPLED_1(state, lanes, (p0, p1), (a0, b0), angles, dual, slopes)
                elif backward:
                    _BACK_SHARED_1(state, lanes, (p0, p1), (c0, s0), angles, dual, slopes)
                else:
                    _SHARED_1(state, lanes, (p0, p1), (c0, s0), angles, dual, slopes)
                continue
            p2, p3 = base + rows[at + 2] * lanes, base + rows[at + 3] * lanes
            if n_turns == 2:
                places, cs, ab = (p0, p1, p2, p3), (c0, s0, c1, s1), (a0, b0, a1, b1)
                if sampled and backward:
                    _BACK_SAMPLED_2(state, lanes, places, ab, angles, dual, slopes)
                elif sampled:
                    _SAMPLED_2(state, lanes, places, ab, angles, dual, slopes)
                elif backward:
                    _BACK_SHARED_2(state, lanes, places, cs, angles, dual, slopes)
                else:
                    _SHARED_2(state, lanes, places, cs, angles, dual, slopes)
                continue
            p4, p5 = base + rows[at + 4] * lanes, base + rows[at + 5] * lanes
            p6, p7 = base + rows[at + 6] * lanes, base + rows[at + 7] * lanes
            octet = (p0, p1, p2, p3, p4, p5, p6, p7)
            if sampled and backward:
                _BACK_SAMPLED_3(state, lanes, octet, (a0, b0, a1, b1, a2, b2), angles, dual, slopes)
            elif sampled:
                _SAMPLED_3(state, lanes, octet, (a0, b0, a1, b1, a2, b2), angles, dual, slopes)
            elif backward:
                _BACK_SHARED_3(state, lanes, octet, (c0, s0, c1, s1, c2, s2), angles, dual, slopes)
            else:
                _SHARED_3(state, lanes, octet, (c0, s0, c1, s1, c2, s2), angles, dual, slopes)


@_compiled
def _phases(op, phases, angles, size, lanes, state, backward, slopes, overlaps):
    """One layer of phases; backward undone on ψ and λ, adding to `slopes` or `overlaps`."""
    dual = 2 * size * lanes
    one = state.dtype.type(1.0)
    cos_at, sin_at = 2 * op[2] * lanes, (2 * op[2] + 1) * lanes
    for k in range(size):
        real, imag = k * lanes, (size + k) * lanes
        if op[0] == PHASE_SHARED:
            cos, sin = phases[op[1], 0, k], phases[op[1], 1, k]
            if backward:
                overlaps[op[1], k] += _BACK_PHASE(
                    state, lanes, real, imag, cos, sin, one, angles, dual, slopes
                )
            else:
                _PHASE(state, lanes, real, imag, cos, sin, one, angles, dual, slopes)
            continue
        sign = -one if _odd(k & op[1]) else one
        if backward:
            _BACK_PHASE_LANES(state, lanes, real, imag, cos_at, sin_at, sign, angles, dual, slopes)
        else:
            _PHASE_LANES(state, lanes, real, imag, cos_at, sin_at, sign, angles, dual, slopes)


@_compiled
def _run(tables, shared, phases, angles, rows, size, lanes, state, slopes, overlaps):
    """ψ of one block, from the angles."""
    ops = tables[0]
    _first_layer(tables, angles, rows, size, lanes, state)
    flat_angles = angles.reshape(-1)
    for number in range(len(ops)):
        op = ops[number]
        if op[0] <= TURN_SAMPLED:
            _turns(op, tables, shared, flat_angles, size, lanes, state, False, slopes)
        else:
            _phases(op, phases, flat_angles, size, lanes, state, False, slopes, overlaps)


@_compiled
def _aligned(count, like):
    """An uninitialised array that starts on a cache line."""
    spare = BYTES // like.itemsize
    array = np.empty(count + spare, like.dtype)
    skip = (BYTES - array.ctypes.data % BYTES) % BYTES // like.itemsize
    return array[skip : skip + count]


@_compiled
def forward(tables, n_qubits, lanes, shared, phases, term_cos, term_sin, start, stop, values):
    """Expectations of samples start to stop into `values` (readouts, batch)."""
    size = 1 << n_qubits
    readout, signs = tables[8], tables[9]
    state = _aligned(2 * size * lanes, values)
    angles = _aligned(2 * len(tables[3]) * lanes, values).reshape(-1, lanes)
    rows = np.empty(size, np.int64)
    read = np.empty((len(readout), lanes), values.dtype)
    weight = np.empty(lanes, values.dtype)
    slopes, overlaps = weight, np.empty((0, 0))  # of the way back, not used here
    for first in range(start, stop, lanes):
        width = min(lanes, stop - first)
        _fill_angles(tables, shared, term_cos, term_sin, first, width, lanes, angles)
        _run(tables, shared, phases, angles, rows, size, lanes, state, slopes, overlaps)
        read[:] = 0
        for k in range(size):
            real = state[k * lanes : (k + 1) * lanes]
            imag = state[(size + k) * lanes : (size + k + 1) * lanes]
            for w in range(lanes):
                weight[w] = real[w] * real[w] + imag[w] * imag[w]
            for i in range(len(readout)):
                sign = values.dtype.type(-signs[i] if _odd(k & readout[i]) else signs[i])
                for w in range(lanes):
                    read[i, w] += sign * weight[w]
        for i in range(len(readout)):
            for w in range(width):
                values[i, first + w] = read[i, w]


@_compiled
def backward(
    tables, n_qubits, lanes, shared, phases, term_cos, term_sin, start, stop, grad,
    term_slopes, sum_slopes, phase_slopes,
):  # fmt: skip
    """Slopes of samples start to stop: ψ is run again, then ψ and λ are walked back together.

    `term_slopes` (terms, batch) is filled; `sum_slopes` (sums,) and `phase_slopes` (layers, 2^n),
    both float64, are added to.
    """
    size = 1 << n_qubits
    ops, readout, signs = tables[0], tables[8], tables[9]
    sampled_sums, term_starts, terms = tables[3], tables[4], tables[5]
    pass_sums, pass_sampled, first_flips, first_masks = tables[2], tables[7], tables[6], tables[10]
    state = _aligned(4 * size * lanes, grad)
    angles = _aligned(2 * len(sampled_sums) * lanes, grad).reshape(-1, lanes)
    flat_angles = angles.reshape(-1)
    slopes = _aligned(3 * lanes, grad)
    rows = np.empty(size, np.int64)
    weight = np.empty(lanes, grad.dtype)
    lambda_at = 2 * size * lanes
    dual = state[lambda_at:]
    for first in range(start, stop, lanes):
        width = min(lanes, stop - first)
        for t in range(len(term_slopes)):
            term_slopes[t, first : first + width] = 0
        _fill_angles(tables, shared, term_cos, term_sin, first, width, lanes, angles)
        _run(tables, shared, phases, angles, rows, size, lanes, state, slopes, phase_slopes)
        weight[:] = 0
        for k in range(size):
            weight[:width] = 0
            for i in range(len(readout)):
                sign = grad.dtype.type(-signs[i] if _odd(k & readout[i]) else signs[i])
                for w in range(width):
                    weight[w] += sign * grad[i, first + w]
            for plane in range(2):
                at = (plane * size + k) * lanes
                for w in range(lanes):
                    dual[at + w] = weight[w] * state[at + w]
        for number in range(len(ops) - 1, -1, -1):
            op = ops[number]
            if op[0] <= TURN_SAMPLED:
                slopes[: op[1] * lanes] = 0
                _turns(op, tables, shared, flat_angles, size, lanes, state, True, slopes)
                for turn in range(op[1]):
                    slope = slopes[turn * lanes : (turn + 1) * lanes]
                    sum_slopes[pass_sums[op[4] + turn]] += slope.sum()
                    if op[0] == TURN_SAMPLED:
                        j = pass_sampled[op[4] + turn]
                        for position in range(term_starts[j], term_starts[j + 1]):
                            for w in range(width):
                                term_slopes[terms[position], first + w] += slope[w]
                continue
            slopes[:lanes] = 0
            _phases(op, phases, flat_angles, size, lanes, state, True, slopes, phase_slopes)
            if op[0] == PHASE_SAMPLED:
                for position in range(term_starts[op[2]], term_starts[op[2] + 1]):
                    for w in range(width):
                        term_slopes[terms[position], first + w] += slopes[w]
        for j in range(len(first_flips)):
            slopes[:lanes] = 0
            for k in range(size):
                if _odd(k & first_masks[j]):
                    continue
                partner = k ^ first_flips[j]
                low, high = (
                    state[k * lanes : (k + 1) * lanes],
                    state[partner * lanes : (partner + 1) * lanes],
                )
                dual_low = dual[k * lanes : (k + 1) * lanes]
                dual_high = dual[partner * lanes : (partner + 1) * lanes]
                for w in range(lanes):
                    slopes[w] += dual_high[w] * low[w] - dual_low[w] * high[w]
            sum_slopes[sampled_sums[j]] += slopes[:lanes].sum()
            for position in range(term_starts[j], term_starts[j + 1]):
                for w in range(width):
                    term_slopes[terms[position], first + w] += slopes[w]
