"""The compiled loops of engine `cpu`: one block of samples through a circuit and back.

A state is planes of rows of lanes: real and imaginary plane, 2^n rows, one lane a sample, so every
operation is a sweep over neighbouring numbers. All code numba must compile lies in this one file,
because numba's cache on disk looks at no other.
"""

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np import arrayobj

BYTES = 64  # of one vector; LLVM splits it where the machine has shorter ones
TURN_SHARED, TURN_SAMPLED, PHASE_SHARED, PHASE_SAMPLED = 0, 1, 2, 3
FAST = ("fast",)


def _vectors(context, builder, array_type, array):
    """Load and store functions of one array, by position, in whole vectors."""
    data = arrayobj.make_array(array_type)(context, builder, array).data
    scalar = context.get_data_type(array_type.dtype)
    size = 4 if array_type.dtype == types.float32 else 8
    vector = ir.VectorType(scalar, BYTES // size)

    def pointer(position):
        return builder.bitcast(builder.gep(data, [position]), vector.as_pointer())

    def load(position):
        return builder.load(pointer(position), align=size)

    def store(value, position):
        builder.store(value, pointer(position), align=size)

    def spread(value):
        one = builder.insert_element(ir.Constant(vector, ir.Undefined), value, ir.IntType(32)(0))
        lanes = ir.Constant(ir.VectorType(ir.IntType(32), vector.count), [0] * vector.count)
        return builder.shuffle_vector(one, ir.Constant(vector, ir.Undefined), lanes)

    return load, store, spread


def _turned(builder, rows, turns):
    """Apply turns to 2^k row vectors; bit t of a row's number is its side of turn t."""
    rows = list(rows)
    for bit, (cos, sin) in enumerate(turns):
        for low in range(len(rows)):
            if low >> bit & 1:
                continue
            high = low | 1 << bit
            a, b = rows[low], rows[high]
            rows[low] = builder.fsub(
                builder.fmul(cos, a, flags=FAST), builder.fmul(sin, b, flags=FAST), flags=FAST
            )
            rows[high] = builder.fadd(
                builder.fmul(sin, a, flags=FAST), builder.fmul(cos, b, flags=FAST), flags=FAST
            )
    return rows


def _make_turn(n_turns: int, sampled: bool, backward: bool):
    """A numba function that turns one group of 2^n_turns rows of a state, one vector wide.

    forward:  f(state, positions, coefficients, at)
    backward: f(state, positions, coefficients, at, offset, slopes, slope_at); `offset` leads from a
    row of ψ to that of λ, and the turns' slopes are added to `slopes`.
    `positions` is a tuple of 2^n_turns numbers; `coefficients` are cosines and sines in turn,
    numbers if shared, else positions in the array `at`.
    """

    @intrinsic
    def turn(typingctx, state, positions, coefficients, at, offset, slopes, slope_at):
        signature = types.void(state, positions, coefficients, at, offset, slopes, slope_at)

        def codegen(context, builder, signature, args):
            kinds = signature.args
            load, store, spread = _vectors(context, builder, kinds[0], args[0])
            places = cgutils.unpack_tuple(builder, args[1], 2**n_turns)
            numbers = cgutils.unpack_tuple(builder, args[2], 2 * n_turns)
            if sampled:
                load_at, _, _ = _vectors(context, builder, kinds[3], args[3])
                numbers = [load_at(position) for position in numbers]
            else:
                numbers = [spread(number) for number in numbers]
            turns = list(zip(numbers[::2], numbers[1::2], strict=True))
            rows = [load(place) for place in places]
            if backward:
                others = [builder.add(place, args[4]) for place in places]
                duals = [load(place) for place in others]
                load_slope, store_slope, _ = _vectors(context, builder, kinds[5], args[5])
                slope_places = cgutils.unpack_tuple(builder, args[6], n_turns)
                for bit in range(n_turns):
                    slope = load_slope(slope_places[bit])
                    for low in range(len(rows)):
                        if not low >> bit & 1:
                            high = low | 1 << bit
                            plus = builder.fmul(duals[high], rows[low], flags=FAST)
                            minus = builder.fmul(duals[low], rows[high], flags=FAST)
                            slope = builder.fadd(slope, plus, flags=FAST)
                            slope = builder.fsub(slope, minus, flags=FAST)
                    store_slope(slope, slope_places[bit])
                turns = [(c, builder.fneg(s)) for c, s in turns]
                for value, place in zip(_turned(builder, duals, turns), others, strict=True):
                    store(value, place)
            for value, place in zip(_turned(builder, rows, turns), places, strict=True):
                store(value, place)
            return context.get_dummy_value()

        return signature, codegen

    return turn


_SHARED_1, _SHARED_2 = _make_turn(1, False, False), _make_turn(2, False, False)
_SAMPLED_1, _SAMPLED_2 = _make_turn(1, True, False), _make_turn(2, True, False)
_BACK_SHARED_1, _BACK_SHARED_2 = _make_turn(1, False, True), _make_turn(2, False, True)
_BACK_SAMPLED_1, _BACK_SAMPLED_2 = _make_turn(1, True, True), _make_turn(2, True, True)

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
def _turns(op, tables, shared, flat_angles, size, lanes, step, state):
    """One pass of one or two turns over ψ."""
    kind, n_turns, start, groups, numbers = op[0], op[1], op[2], op[3], op[4]
    rows, pass_sums, pass_sampled = tables[1], tables[2], tables[7]
    first, last = numbers, numbers + n_turns - 1
    c0, s0 = shared[pass_sums[first], 0], shared[pass_sums[first], 1]
    c1, s1 = shared[pass_sums[last], 0], shared[pass_sums[last], 1]
    at0, at1 = 2 * pass_sampled[first] * lanes, 2 * pass_sampled[last] * lanes
    for plane in range(2):
        base = plane * size * lanes
        for group in range(groups):
            at = start + group * (1 << n_turns)
            p0, p1 = base + rows[at] * lanes, base + rows[at + 1] * lanes
            if n_turns == 1:
                for w in range(0, lanes, step):
                    if kind == TURN_SHARED:
                        _SHARED_1(state, (p0 + w, p1 + w), (c0, s0), flat_angles, 0, state, (0,))
                    else:
                        _SAMPLED_1(
                            state, (p0 + w, p1 + w), (at0 + w, at0 + lanes + w), flat_angles,
                            0, state, (0,),
                        )  # fmt: skip
            else:
                p2, p3 = base + rows[at + 2] * lanes, base + rows[at + 3] * lanes
                for w in range(0, lanes, step):
                    places = (p0 + w, p1 + w, p2 + w, p3 + w)
                    if kind == TURN_SHARED:
                        _SHARED_2(state, places, (c0, s0, c1, s1), flat_angles, 0, state, (0, 0))
                    else:
                        _SAMPLED_2(
                            state, places, (at0 + w, at0 + lanes + w, at1 + w, at1 + lanes + w),
                            flat_angles, 0, state, (0, 0),
                        )  # fmt: skip


@_compiled
def _turns_back(op, tables, shared, flat_angles, size, lanes, step, state, slopes):
    """Undo one pass on ψ and λ; the slopes of its turns are added to `slopes`."""
    kind, n_turns, start, groups, numbers = op[0], op[1], op[2], op[3], op[4]
    rows, pass_sums, pass_sampled = tables[1], tables[2], tables[7]
    first, last = numbers, numbers + n_turns - 1
    c0, s0 = shared[pass_sums[first], 0], shared[pass_sums[first], 1]
    c1, s1 = shared[pass_sums[last], 0], shared[pass_sums[last], 1]
    at0, at1 = 2 * pass_sampled[first] * lanes, 2 * pass_sampled[last] * lanes
    offset = 2 * size * lanes
    for plane in range(2):
        base = plane * size * lanes
        for group in range(groups):
            at = start + group * (1 << n_turns)
            p0, p1 = base + rows[at] * lanes, base + rows[at + 1] * lanes
            if n_turns == 1:
                for w in range(0, lanes, step):
                    if kind == TURN_SHARED:
                        _BACK_SHARED_1(
                            state, (p0 + w, p1 + w), (c0, s0), flat_angles, offset, slopes, (w,)
                        )
                    else:
                        _BACK_SAMPLED_1(
                            state, (p0 + w, p1 + w), (at0 + w, at0 + lanes + w), flat_angles,
                            offset, slopes, (w,),
                        )  # fmt: skip
            else:
                p2, p3 = base + rows[at + 2] * lanes, base + rows[at + 3] * lanes
                for w in range(0, lanes, step):
                    places = (p0 + w, p1 + w, p2 + w, p3 + w)
                    if kind == TURN_SHARED:
                        _BACK_SHARED_2(
                            state, places, (c0, s0, c1, s1), flat_angles,
                            offset, slopes, (w, lanes + w),
                        )  # fmt: skip
                    else:
                        _BACK_SAMPLED_2(
                            state, places, (at0 + w, at0 + lanes + w, at1 + w, at1 + lanes + w),
                            flat_angles, offset, slopes, (w, lanes + w),
                        )  # fmt: skip


@_compiled
def _phase_row(real, imag, cos, sin):
    """Multiply by cos - i·sin, the same for every lane."""
    for w in range(len(real)):
        a, b = real[w], imag[w]
        real[w] = a * cos + b * sin
        imag[w] = b * cos - a * sin


@_compiled
def _phase_lanes(real, imag, cos, sin, sign):
    """Multiply by cos - i·sign·sin, lane by lane."""
    for w in range(len(real)):
        a, b = real[w], imag[w]
        real[w] = a * cos[w] + b * (sign * sin[w])
        imag[w] = b * cos[w] - a * (sign * sin[w])


@_compiled
def _phases(op, phases, angles, size, lanes, state, undo):
    """One layer of phases over ψ, or over λ if `state` starts there."""
    turn = -1.0 if undo else 1.0
    for k in range(size):
        real = state[k * lanes : k * lanes + lanes]
        imag = state[(size + k) * lanes : (size + k) * lanes + lanes]
        if op[0] == PHASE_SHARED:
            _phase_row(
                real, imag, phases[op[1], 0, k], state.dtype.type(turn) * phases[op[1], 1, k]
            )
        else:
            sign = state.dtype.type(-turn if _odd(k & op[1]) else turn)
            _phase_lanes(real, imag, angles[2 * op[2]], angles[2 * op[2] + 1], sign)


@_compiled
def _overlap(state, size, lanes, k, total):
    """Im(λ* ψ) of row k, summed over lanes; `total` is a zero of the right type."""
    real, imag = (
        state[k * lanes : (k + 1) * lanes],
        state[(size + k) * lanes : (size + k + 1) * lanes],
    )
    k += 2 * size
    dual_real = state[k * lanes : (k + 1) * lanes]
    dual_imag = state[(size + k) * lanes : (size + k + 1) * lanes]
    for w in range(lanes):
        total += dual_real[w] * imag[w] - dual_imag[w] * real[w]
    return total


@_compiled
def _overlap_lanes(state, size, lanes, mask, slopes):
    """Σ_k ±Im(λ* ψ) of every lane, the sign being the parity of k & mask."""
    for k in range(size):
        sign = state.dtype.type(-1.0 if _odd(k & mask) else 1.0)
        real = state[k * lanes : (k + 1) * lanes]
        imag = state[(size + k) * lanes : (size + k + 1) * lanes]
        for w in range(lanes):
            slopes[w] += sign * state[(2 * size + k) * lanes + w] * imag[w]
        for w in range(lanes):
            slopes[w] -= sign * state[(3 * size + k) * lanes + w] * real[w]


@_compiled
def _run(tables, shared, phases, angles, rows, size, lanes, step, state):
    """ψ of one block, from the angles."""
    ops = tables[0]
    _first_layer(tables, angles, rows, size, lanes, state)
    flat_angles = angles.reshape(-1)
    for number in range(len(ops)):
        op = ops[number]
        if op[0] <= TURN_SAMPLED:
            _turns(op, tables, shared, flat_angles, size, lanes, step, state)
        else:
            _phases(op, phases, angles, size, lanes, state, False)


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
    step = BYTES // values.itemsize
    readout, signs = tables[8], tables[9]
    state = _aligned(2 * size * lanes, values)
    angles = _aligned(2 * len(tables[3]) * lanes, values).reshape(-1, lanes)
    rows = np.empty(size, np.int64)
    read = np.empty((len(readout), lanes), values.dtype)
    weight = np.empty(lanes, values.dtype)
    for first in range(start, stop, lanes):
        width = min(lanes, stop - first)
        _fill_angles(tables, shared, term_cos, term_sin, first, width, lanes, angles)
        _run(tables, shared, phases, angles, rows, size, lanes, step, state)
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
    step = BYTES // grad.itemsize
    ops, readout, signs = tables[0], tables[8], tables[9]
    sampled_sums, term_starts, terms = tables[3], tables[4], tables[5]
    pass_sums, pass_sampled, first_flips, first_masks = tables[2], tables[7], tables[6], tables[10]
    state = _aligned(4 * size * lanes, grad)
    angles = _aligned(2 * len(sampled_sums) * lanes, grad).reshape(-1, lanes)
    flat_angles = angles.reshape(-1)
    slopes = _aligned(2 * lanes, grad)
    rows = np.empty(size, np.int64)
    weight = np.empty(lanes, grad.dtype)
    lambda_at = 2 * size * lanes
    dual = state[lambda_at:]
    zero = grad.dtype.type(0.0)
    for first in range(start, stop, lanes):
        width = min(lanes, stop - first)
        for t in range(len(term_slopes)):
            term_slopes[t, first : first + width] = 0
        _fill_angles(tables, shared, term_cos, term_sin, first, width, lanes, angles)
        _run(tables, shared, phases, angles, rows, size, lanes, step, state)
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
                _turns_back(op, tables, shared, flat_angles, size, lanes, step, state, slopes)
                for turn in range(op[1]):
                    slope = slopes[turn * lanes : (turn + 1) * lanes]
                    sum_slopes[pass_sums[op[4] + turn]] += slope.sum()
                    if op[0] == TURN_SAMPLED:
                        j = pass_sampled[op[4] + turn]
                        for position in range(term_starts[j], term_starts[j + 1]):
                            for w in range(width):
                                term_slopes[terms[position], first + w] += slope[w]
                continue
            if op[0] == PHASE_SHARED:
                for k in range(size):
                    phase_slopes[op[1], k] += _overlap(state, size, lanes, k, zero)
            else:
                slopes[:lanes] = 0
                _overlap_lanes(state, size, lanes, op[1], slopes)
                for position in range(term_starts[op[2]], term_starts[op[2] + 1]):
                    for w in range(width):
                        term_slopes[terms[position], first + w] += slopes[w]
            _phases(op, phases, angles, size, lanes, state, True)
            _phases(op, phases, angles, size, lanes, dual, True)
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
