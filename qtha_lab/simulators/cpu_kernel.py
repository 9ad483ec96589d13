"""The compiled walk of engine `cpu`: a block of samples through a circuit, and back.

A state is planes of rows of lanes: a real and an imaginary plane of 2^n rows, one lane a sample, so
every operation is a sweep over neighbouring numbers (`cpu_sweeps`); after ψ's planes come λ's.
"""

from numba import njit

from qtha_lab.simulators.cpu_sweeps import (
    VERSION,
    add_scaled,
    butterfly,
    copy,
    fill,
    make_phase,
    make_turns,
    shears,
    squares,
    total,
    weigh,
)

TURN_SHARED, TURN_SAMPLED, PHASE_SHARED, PHASE_SAMPLED = 0, 1, 2, 3

_SHARED_1, _SHARED_2 = make_turns(1, False, False), make_turns(2, False, False)
_SAMPLED_1, _SAMPLED_2 = make_turns(1, True, False), make_turns(2, True, False)
_BACK_SHARED_1, _BACK_SHARED_2 = make_turns(1, False, True), make_turns(2, False, True)
_BACK_SAMPLED_1, _BACK_SAMPLED_2 = make_turns(1, True, True), make_turns(2, True, True)
_PHASE, _PHASE_LANES = make_phase(False, False), make_phase(True, False)
_BACK_PHASE, _BACK_PHASE_LANES = make_phase(False, True), make_phase(True, True)

_compiled = njit(nogil=True, fastmath=True, cache=True, error_model="numpy")
_inlined = njit(nogil=True, fastmath=True, error_model="numpy", inline="always")


@_compiled
def walsh(values):
    """Walsh-Hadamard transform of every row, in place: Σ_m values[m]·(-1)^{|k & m|}."""
    count, size = values.shape
    for row in range(count):
        step = 1
        while step < size:
            for k in range(size):
                if not k & step:
                    a, b = values[row, k], values[row, k + step]
                    values[row, k], values[row, k + step] = a + b, a - b
            step *= 2


@_inlined
def _odd(bits):
    bits ^= bits >> 16
    bits ^= bits >> 8
    bits ^= bits >> 4
    bits ^= bits >> 2
    bits ^= bits >> 1
    return bits & 1


@_inlined
def _turns(op, rows, turn_sums, turn_angles, shared, angles, size, lanes, state, backward, slopes):
    """One pass of one or two turns over ψ; backward undone on ψ and λ, adding to `slopes`."""
    sampled, n_turns, start, first, planes = op[0] == TURN_SAMPLED, op[1], op[2], op[3], op[6]
    last = first + n_turns - 1
    t0, s0 = shared[turn_sums[first], 2], shared[turn_sums[first], 3]
    t1, s1 = shared[turn_sums[last], 2], shared[turn_sums[last], 3]
    a0, a1 = 2 * turn_angles[first] * lanes, 2 * turn_angles[last] * lanes
    b0, b1 = a0 + lanes, a1 + lanes
    dual = 2 * size * lanes
    for plane in range(planes):
        base = plane * size * lanes
        for group in range(op[5] if backward else op[4]):
            at = start + (group << n_turns)
            p0, p1 = base + rows[at] * lanes, base + rows[at + 1] * lanes
            if n_turns == 1:
                if sampled and backward:
                    _BACK_SAMPLED_1(state, lanes, (p0, p1), (a0, b0), angles, dual, slopes)
                elif sampled:
                    _SAMPLED_1(state, lanes, (p0, p1), (a0, b0), angles, dual, slopes)
                elif backward:
                    _BACK_SHARED_1(state, lanes, (p0, p1), (t0, s0), angles, dual, slopes)
                else:
                    _SHARED_1(state, lanes, (p0, p1), (t0, s0), angles, dual, slopes)
                continue
            places = (p0, p1, base + rows[at + 2] * lanes, base + rows[at + 3] * lanes)
            if sampled and backward:
                _BACK_SAMPLED_2(state, lanes, places, (a0, b0, a1, b1), angles, dual, slopes)
            elif sampled:
                _SAMPLED_2(state, lanes, places, (a0, b0, a1, b1), angles, dual, slopes)
            elif backward:
                _BACK_SHARED_2(state, lanes, places, (t0, s0, t1, s1), angles, dual, slopes)
            else:
                _SHARED_2(state, lanes, places, (t0, s0, t1, s1), angles, dual, slopes)


@_inlined
def _phases(op, phases, angles, size, lanes, state, backward, slopes, phase_slopes):
    """One layer of phases; backward undone on ψ and λ, adding to `slopes` or `phase_slopes`."""
    layer, mask, a = op[1], op[2], 2 * op[3] * lanes
    dual = 2 * size * lanes
    one = state.dtype.type(1.0)
    for k in range(size):
        places = (k * lanes, (size + k) * lanes)
        if op[0] == PHASE_SHARED:
            turn = (phases[layer, 0, k], phases[layer, 1, k])
            if backward:
                phase_slopes[layer, k] += _BACK_PHASE(
                    state, lanes, places, turn, one, angles, dual, slopes
                )
            else:
                _PHASE(state, lanes, places, turn, one, angles, dual, slopes)
            continue
        sign = -one if _odd(k & mask) else one
        turn_at = (a, a + lanes)
        if backward:
            _BACK_PHASE_LANES(state, lanes, places, turn_at, sign, angles, dual, slopes)
        else:
            _PHASE_LANES(state, lanes, places, turn_at, sign, angles, dual, slopes)


@_inlined
def _transform(state, at, size, lanes):
    """Walsh-Hadamard transform of the rows from `at` on: Σ_m row_m·(-1)^{|k & m|}."""
    step = 1
    while step < size:
        for k in range(size):
            if not k & step:
                butterfly(state, at + k * lanes, at + (k + step) * lanes, lanes)
        step *= 2


@_inlined
def _read(readout, is_strings, size, lanes, batch, start, state, values):
    """Fill `values` with what is read from ψ: rows of |ψ|², or of their transform."""
    at = 2 * size * lanes
    for k in range(size):
        squares(state, k * lanes, (size + k) * lanes, at + k * lanes, lanes)
    if is_strings:
        _transform(state, at, size, lanes)
    for i in range(len(readout)):
        sign = state.dtype.type(readout[i, 1])
        to = i * batch + start
        fill(values, to, state.dtype.type(0.0), lanes)
        add_scaled(values, to, state, at + readout[i, 0] * lanes, sign, lanes)


@_inlined
def _start_back(readout, is_strings, size, lanes, batch, start, state, values):
    """λ = g ψ, where g_k is the slope of |ψ_k|², from the slopes in `values`."""
    at = 2 * size * lanes
    fill(state, at, state.dtype.type(0.0), size * lanes)
    for i in range(len(readout)):
        sign = state.dtype.type(readout[i, 1])
        add_scaled(state, at + readout[i, 0] * lanes, values, i * batch + start, sign, lanes)
    if is_strings:
        _transform(state, at, size, lanes)
    for k in range(size):
        weigh(state, k * lanes, (size + k) * lanes, at, lanes)


def _make_walk(version: int):
    """`walk`, compiled; numba's cache on disk sees this file only, and a new version by closure."""

    @_compiled
    def walk(
        tables, n_qubits, lanes, batch, shared, phases, terms_at, amplitudes, first, last, backward,
        values, kept, input_slopes, sum_slopes, phase_slopes, state, angles, slopes,
    ):  # fmt: skip
        """Take samples `first` to `last`, whole blocks, through the circuit; backward, also back again.

        Forward, `values` (readouts · batch) is filled with what is read. Backward it holds the output's
        slopes; `input_slopes` (terms · batch, or 2^n · batch of amplitudes), zero before, and the
        float64 sums over samples `sum_slopes` (sums,) and `phase_slopes` (layers, 2^n) are added to.
        `kept`, if not empty, takes ψ of every block from forward to backward. `shared` (sums, 4) has
        cosine, sine and shears of every sum, `terms_at` (2 · terms · batch) the shears of every term,
        `amplitudes` (2^n · batch), if not empty, the first state; `state`, `angles` and `slopes` are
        room to work in.
        """
        if version == 0:
            return  # never
        ops, rows, turn_sums, turn_angles, angle_sums, term_starts, terms, readout, is_strings = (
            tables
        )
        size = 1 << n_qubits
        sines = len(terms_at) // 2
        dual = 2 * size * lanes
        one = state.dtype.type(1.0)
        zero = state.dtype.type(0.0)
        steps = 2 * len(ops) if backward else len(ops)
        for start in range(first, last, lanes):
            # cosine and sine of half of every angle that differs between samples
            for j in range(len(angle_sums)):
                cos_at, sin_at = 2 * j * lanes, (2 * j + 1) * lanes
                fill(angles, cos_at, shared[angle_sums[j], 0], lanes)
                fill(angles, sin_at, shared[angle_sums[j], 1], lanes)
                for position in range(term_starts[j], term_starts[j + 1]):
                    at = terms[position] * batch + start
                    _SAMPLED_1(
                        angles, lanes, (cos_at, sin_at), (at, sines + at), terms_at, 0, slopes
                    )
                if angle_sums[j] >= 0:  # of a turn
                    shears(angles, cos_at, sin_at, lanes)
            at = start * 2 * size
            first_step = 0
            if backward and len(kept):
                copy(state, 0, kept, at, dual)
                first_step = len(ops)
            else:
                fill(state, 0, zero, dual)
                for k in range(len(amplitudes) // batch):
                    copy(state, k * lanes, amplitudes, k * batch + start, lanes)
                if not len(amplitudes):
                    fill(state, 0, one, lanes)
            for step in range(first_step, steps + 1):
                if step == len(ops):  # the end of the circuit: read it
                    if backward:
                        _start_back(readout, is_strings, size, lanes, batch, start, state, values)
                    else:
                        _read(readout, is_strings, size, lanes, batch, start, state, values)
                    if not backward and len(kept):
                        copy(kept, at, state, 0, dual)
                if step == steps:
                    break
                back = step >= len(ops)
                op = ops[2 * len(ops) - 1 - step if back else step]
                if back:
                    fill(slopes, 0, zero, 2 * lanes)
                if op[0] >= PHASE_SHARED:
                    _phases(op, phases, angles, size, lanes, state, back, slopes, phase_slopes)
                else:
                    _turns(
                        op, rows, turn_sums, turn_angles, shared, angles, size, lanes, state, back,
                        slopes,
                    )  # fmt: skip
                if not back or op[0] == PHASE_SHARED:
                    continue
                n_turns = op[1] if op[0] <= TURN_SAMPLED else 1
                for turn in range(n_turns):
                    at = turn * lanes
                    j = op[3]
                    if op[0] <= TURN_SAMPLED:
                        sum_slopes[turn_sums[op[3] + turn]] += total(slopes, at, lanes)
                        j = turn_angles[op[3] + turn]
                    if op[0] != TURN_SHARED:
                        for position in range(term_starts[j], term_starts[j + 1]):
                            to = terms[position] * batch + start
                            add_scaled(input_slopes, to, slopes, at, one, lanes)
            if backward:
                for k in range(len(amplitudes) // batch):
                    to = k * batch + start
                    add_scaled(input_slopes, to, state, dual + k * lanes, one + one, lanes)

    return walk


walk = _make_walk(VERSION)
