"""Angles that all samples share, and the gradients of all angles (engine `cpu`).

Compiled, because a small batch spends most of its time here. Plain loops compile ten times faster
than NumPy expressions. All sums are float64. A pass leaves the gradients of two rotations as their
sum and their difference (see `passes`); its lanes may still lack the cosines of scaled rotations.
"""

import math

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils

from qtha_lab.simulators.cpu.compiled import compiled
from qtha_lab.simulators.cpu.pass_list import MOST_LEFT_OUT, THREE, THREE_SCALED
from qtha_lab.simulators.cpu.records import (
    MEMBERS,
    TERM_STARTS,
    SharedNumbers,
    line,
    passes_of,
    places_of,
    rotations_of,
)
from qtha_lab.simulators.cpu.vectors import FAST, Lanes, fields, fill, intrinsic, over_lanes, part

FACTORIALS = tuple(float(math.factorial(k)) for k in range(18))
QUARTER = 1.5707963267341256  # the first 33 bits of π/2, so that its multiples are exact
QUARTER_REST = 6.077100506506192e-11


@compiled
def _walsh(values, row):
    """Transform one row in place by Walsh-Hadamard: Σ_m values[m]·(-1)^{|k & m|}.

    Each step handles two wires; an odd number of wires leaves one for the end.
    """
    line, step = values[row], 1
    while 2 * step < len(line):
        for start in range(0, len(line), 4 * step):
            for k in range(start, start + step):
                a, b, c, d = line[k], line[k + step], line[k + 2 * step], line[k + 3 * step]
                line[k], line[k + step] = (a + b) + (c + d), (a - b) + (c - d)
                line[k + 2 * step], line[k + 3 * step] = (a + b) - (c + d), (a - b) - (c - d)
        step *= 4
    for k in range(len(line) - step):  # one wire, where their number is odd
        a, b = line[k], line[k + step]
        line[k], line[k + step] = a + b, a - b


@compiled
def _cosines(angles, cosines, sines):
    """Compute cosine and sine of each angle by series, which the compiler can vectorise."""
    for k in range(len(angles)):
        quarters = np.rint(angles[k] * (2.0 / math.pi))
        angle = angles[k] - quarters * QUARTER - quarters * QUARTER_REST  # at most π/4
        square = angle * angle
        cos, sin = 1.0 / FACTORIALS[16], 1.0 / FACTORIALS[17]
        for i in range(7, -1, -1):
            cos = 1.0 / FACTORIALS[2 * i] - square * cos
            sin = 1.0 / FACTORIALS[2 * i + 1] - square * sin
        sin *= angle
        rotation = np.int32(quarters)
        odd = (rotation & 1) != 0
        size, other = (sin, cos) if odd else (cos, sin)
        cosines[k] = -size if (rotation + 1) & 2 else size
        sines[k] = -other if rotation & 2 else other


def parts(numbers: np.ndarray, n_sums: int, size: int) -> tuple[np.ndarray, ...]:
    """Split the output of `shared_numbers` into views of sums, phases and cosine products.

    Args:
        numbers: Output of `shared_numbers`, flat.
        n_sums: Number of sums, including the empty sum.
        size: 2^n.

    Returns:
        Sums (n_sums, 6), phases (layers · 6 · 2^n,) and products of cosines (layers + 1,).
    """
    of_sums, of_phases = _lengths(numbers, n_sums, size)
    shared, phases, products = np.split(numbers, (of_sums, of_sums + of_phases))
    return shared.reshape(n_sums, 6), phases, products


@compiled(counts=False)
def _lengths(numbers, n_sums, size):
    of_sums = 6 * n_sums
    return of_sums, 6 * size * ((len(numbers) - of_sums - 1) // (6 * size + 1))


@compiled(inline="always", counts=False)
def split_numbers(numbers, n_sums, size):
    """Split the numbers as `parts` does, in compiled code; return `SharedNumbers`."""
    of_sums, of_phases = _lengths(numbers, n_sums, size)
    end = of_sums + of_phases
    return SharedNumbers(
        part(numbers, 0, (n_sums, 6)),
        part(numbers, of_sums, (of_phases,)),
        part(numbers, end, (len(numbers) - end,)),
    )


@compiled
def shared_numbers(params, tables, size, numbers):
    """Compute the cosines and sines of all angles that the samples share.

    A sum is the angle of one rotation or phase (see `plan.KernelPlan`).

    Args:
        params: (n_params,), in radians.
        tables: Fields of `SharedTables`, a plain tuple.
        size: 2^n.
        numbers: Output of three parts, which `parts` separates. Sums, (sums + 1, 6): cosine and
            sine of half the sum, the two shears, -tan(a/2), and the factor of a scaled rotation's
            gradient. Phases, (layers, 6, 2^n): cosine, sine - cosine and sine + cosine of every row
            in execution order, then the same times the cosines of the preceding scaled rotations.
            Products, (layers + 1,): the product of these cosines per layer of phases; the last
            number is 0 if a product is too small, else 1.
    """
    offsets, scaled, entries, scales, places, orders = tables
    shared, of_phases, products = split_numbers(numbers, len(offsets), size)
    phases = of_phases.reshape((len(of_phases) // (6 * size), 6, size))
    angles, halves = np.empty(len(offsets)), np.empty((len(phases), size))
    in_order, pairs = np.empty(size), np.empty((2, max(size, len(offsets))))
    cosines, sines = pairs[0], pairs[1]
    for j in range(len(angles)):
        angles[j] = offsets[j]
    for i in range(len(entries)):
        angles[entries[i, 0]] += scales[i] * params[entries[i, 1]]
    for layer in range(len(halves)):
        for k in range(halves.shape[1]):
            halves[layer, k] = 0.0
    for i in range(len(places)):
        halves[places[i, 0], places[i, 1]] = 0.5 * angles[places[i, 2]]
    for j in range(len(angles)):
        angles[j] *= 0.5
    _cosines(angles, cosines, sines)
    for j in range(len(angles)):
        cos, sin = cosines[j], sines[j]
        inner = -sin if cos < 0 else sin
        shared[j, 0], shared[j, 1] = cos, sin
        shared[j, 2], shared[j, 3] = -inner / (1.0 + abs(cos)), inner
        shared[j, 4], shared[j, 5] = -sin / cos, 1.0
        angles[j] = cos
    for layer in range(len(products)):
        products[layer] = 1.0
    product, of_layer = 1.0, -1
    for i in range(len(scaled)):
        j, layer = scaled[i, 0], scaled[i, 1]
        product = angles[j] if layer != of_layer else product * angles[j]
        of_layer = layer
        # its gradient is computed before the rotations up to it are undone, from ψ and λ that both
        # lack these cosines
        left_out = 1.0 / (product * product)
        products[layer], shared[j, 5] = product, left_out
        if not left_out < MOST_LEFT_OUT:
            products[-1] = 0.0
    for layer in range(len(halves)):
        _walsh(halves, layer)
        for k in range(size):
            in_order[k] = halves[layer, orders[layer, k]]
        _cosines(in_order, cosines, sines)
        product = products[layer]
        for k in range(size):
            cos, sin = cosines[k], sines[k]
            less, more = sin - cos, sin + cos
            phases[layer, 0, k], phases[layer, 3, k] = cos, product * cos
            phases[layer, 1, k], phases[layer, 4, k] = less, product * less
            phases[layer, 2, k], phases[layer, 5, k] = more, product * more


@compiled
def param_gradients(of_sums, of_phases, tables, size, gradients):
    """Apply the chain rule from sums and phases to parameters."""
    _, _, entries, scales, places, orders = tables
    groups = len(of_sums)
    of_rows = of_phases.reshape((groups, len(of_phases) // (groups * size), size))
    of_params = np.zeros(len(gradients))
    sums, phases = of_sums[0], np.empty(orders.shape)
    for group in range(1, groups):
        for j in range(len(sums)):
            sums[j] += of_sums[group, j]
        for layer in range(len(orders)):
            for k in range(size):
                of_rows[0, layer, k] += of_rows[group, layer, k]
    for layer in range(len(orders)):
        for k in range(size):
            phases[layer, orders[layer, k]] = of_rows[0, layer, k]
        _walsh(phases, layer)
    for i in range(len(places)):
        sums[places[i, 2]] = phases[places[i, 0], places[i, 1]]
    for i in range(len(entries)):
        of_params[entries[i, 1]] += scales[i] * sums[entries[i, 0]]
    for i in range(len(gradients)):
        gradients[i] = of_params[i]


@compiled(inline="always", counts=False)
def add_rotation_gradients(block, integers, number, sums, is_scaled, sum_gradients, group):
    """Add the gradients of a pass's rotations to their sums and terms.

    The gradients are at `places.gradients`, two rows per two rotations; the next four rows are
    scratch memory.
    """
    passes, rotations, places = passes_of(integers), rotations_of(integers), places_of(integers)
    for i in range(0, 4, 2):
        first, second = passes[number, 4 + i], passes[number, 5 + i]
        if first < 0:
            continue
        by, factor = -1, block.workspace.dtype.type(1.0)
        if is_scaled:  # gradients are taken after all rotations of the pass
            last = _last_rotation(passes, number, first, second)
            by, factor = rotations[last, 4], sums[rotations[last, 0], 5]
        spare = places.gradients + (4 + i) * block.lanes
        both = _pair_gradients(block, rotations, (first, second), spare, by, factor)
        sum_gradients[group, rotations[first, 0]] += both[0]
        if second >= 0:
            sum_gradients[group, rotations[second, 0]] += both[1]
        for k in range(2):
            rotation = passes[number, 4 + i + k]
            if rotation >= 0 and rotations[rotation, 5]:
                _add_to_terms(block, integers, rotations[rotation, 1], spare + k * block.lanes)


@compiled(inline="always", counts=False)
def _last_rotation(passes, number, first, second):
    """Return the last rotation of a step of two or three rotations."""
    if passes[number, 0] == THREE or passes[number, 0] == THREE_SCALED:
        return passes[number, 6]
    return second if second >= 0 else first


@compiled(inline="always", counts=False)
def _pair_gradients(block, rotations, pair, spare, by, factor):
    """Add the gradients of two rotations to the rows of their terms; return their sums."""
    workspace, lanes = block.workspace, block.lanes
    first, second = pair
    at, goal = spare - 4 * lanes, rotations[first, 3]
    next_goal = rotations[second, 3] if second >= 0 else -1
    if goal < 0 and next_goal < 0 and by < 0 and not rotations[first, 5]:
        half = workspace.dtype.type(0.5)
        both, less = totals(workspace, at, lanes, block.width)
        gradients = half * factor * (both + less), half * factor * (both - less)
    else:
        if goal < 0 or next_goal < 0:
            fill(workspace, spare, workspace.dtype.type(0.0), 2 * lanes)
        goals = goal if goal >= 0 else spare, next_goal if next_goal >= 0 else spare + lanes
        gradients = take_gradients(block, at, factor, by, goals)
    return gradients


@compiled(inline="always", counts=False)
def _add_to_terms(block, integers, angle, row):
    """Add a row of gradients to every term of an angle."""
    term_starts, members = line(integers, TERM_STARTS), line(integers, MEMBERS)
    for position in range(term_starts[angle], term_starts[angle + 1]):
        to = places_of(integers).terms + (3 * members[position] + 2) * block.lanes
        add(block.workspace, to, row, block.width)


@intrinsic
def take_gradients(typingctx, block, at, factor, by, goals):
    """Add the gradients of two rotations to rows, and return their sums over the lanes."""
    signature = types.UniTuple(block[0].dtype, 2)(block, at, factor, by, goals)

    def codegen(context, builder, signature, args):
        of, block = fields(builder, signature.args[0], args[0])
        rows = Lanes(context, builder, of.workspace, block.workspace)
        _, at, factor, by, goals = args
        goals = cgutils.unpack_tuple(builder, goals, 2)
        lanes, width = block.lanes, block.width
        has_by = builder.icmp_signed(">=", by, by.type(0))
        by = builder.select(has_by, by, at)  # a valid address; its values are ignored
        half = rows.spread(builder.fmul(factor, factor.type(0.5)))
        zero = ir.Constant(rows.vector, None)
        sums = [cgutils.alloca_once_value(builder, zero) for _ in goals]
        with over_lanes(builder, width, rows.vector.count) as (w, _):
            place = builder.add(at, w)
            both, difference = rows.load(place), rows.load(builder.add(place, lanes))
            weight = builder.fmul(rows.load(builder.add(by, w)), half, flags=FAST)
            weight = builder.select(has_by, weight, half)
            gradients = (
                builder.fadd(both, difference, flags=FAST),
                builder.fsub(both, difference, flags=FAST),
            )
            for gradient, goal, sum_ in zip(gradients, goals, sums, strict=True):
                gradient = builder.fmul(gradient, weight, flags=FAST)
                place = builder.add(goal, w)
                rows.store(builder.fadd(rows.load(place), gradient, flags=FAST), place)
                builder.store(builder.fadd(builder.load(sum_), gradient, flags=FAST), sum_)
        totals = [rows.total(builder.load(sum_)) for sum_ in sums]
        return context.make_tuple(builder, signature.return_type, totals)

    return signature, codegen


@intrinsic
def totals(typingctx, workspace, at, lanes, width):
    """Return the sums over the first `width` lanes of two successive rows."""
    signature = types.UniTuple(workspace.dtype, 2)(workspace, at, lanes, width)

    def codegen(context, builder, signature, args):
        rows = Lanes(context, builder, signature.args[0], args[0])
        _, at, lanes, width = args
        zero = ir.Constant(rows.vector, None)
        sums = [cgutils.alloca_once_value(builder, zero) for _ in range(2)]
        with over_lanes(builder, width, rows.vector.count) as (w, _):
            place = builder.add(at, w)
            for sum_ in sums:
                more = builder.fadd(builder.load(sum_), rows.load(place), flags=FAST)
                builder.store(more, sum_)
                place = builder.add(place, lanes)
        results = [rows.total(builder.load(sum_)) for sum_ in sums]
        return context.make_tuple(builder, signature.return_type, results)

    return signature, codegen


@intrinsic
def mix(typingctx, workspace, first, second, lanes):
    """Replace two rows by their sum and their difference."""
    signature = types.void(workspace, first, second, lanes)

    def codegen(context, builder, signature, args):
        rows = Lanes(context, builder, signature.args[0], args[0])
        with over_lanes(builder, args[3], rows.vector.count) as (w, _):
            places = [builder.add(place, w) for place in args[1:3]]
            a, b = (rows.load(place) for place in places)
            rows.store(builder.fadd(a, b, flags=FAST), places[0])
            rows.store(builder.fsub(a, b, flags=FAST), places[1])
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def add(typingctx, workspace, to, start, lanes):
    """Add one row to another: workspace[to + w] += workspace[start + w]."""
    signature = types.void(workspace, to, start, lanes)

    def codegen(context, builder, signature, args):
        workspace = Lanes(context, builder, signature.args[0], args[0])
        with over_lanes(builder, args[3], workspace.vector.count) as (w, _):
            place = builder.add(args[1], w)
            more = workspace.load(builder.add(args[2], w))
            workspace.store(builder.fadd(workspace.load(place), more, flags=FAST), place)
        return context.get_dummy_value()

    return signature, codegen
