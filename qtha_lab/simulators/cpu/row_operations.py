"""Elementary row operations of engine `cpu`: fill, copy, square, multiply, transform.

Each sweeps over all lanes of a few rows; `passes` holds the gates.
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.np import arrayobj

from qtha_lab.simulators.cpu.vectors import FAST, Lanes, intrinsic, over_lanes, times_plus


def make_butterfly(n_wires: int):
    """Build a sweep that Walsh-Hadamard transforms 2^n_wires rows, `steps` apart, in place."""

    @intrinsic
    def sweep(typingctx, workspace, at, steps, lanes):
        signature = types.void(workspace, at, steps, lanes)

        def codegen(context, builder, signature, args):
            workspace = Lanes(context, builder, signature.args[0], args[0])
            rows = [args[1]]
            for step in cgutils.unpack_tuple(builder, args[2], n_wires):
                rows += [builder.add(row, step) for row in rows]
            with over_lanes(builder, args[3], workspace.vector.count) as (w, _):
                places = [builder.add(row, w) for row in rows]
                values = [workspace.load(place) for place in places]
                for bit in range(n_wires):
                    for low in range(len(rows)):
                        if not low >> bit & 1:
                            high = low | 1 << bit
                            a, b = values[low], values[high]
                            values[low] = builder.fadd(a, b, flags=FAST)
                            values[high] = builder.fsub(a, b, flags=FAST)
                for value, place in zip(values, places, strict=True):
                    workspace.store(value, place)
            return context.get_dummy_value()

        return signature, codegen

    return sweep


@intrinsic
def fill(typingctx, target, at, number, lanes):
    """Fill a row: target[at + w] = number for every lane w."""
    signature = types.void(target, at, target.dtype, lanes)

    def codegen(context, builder, signature, args):
        goal = Lanes(context, builder, signature.args[0], args[0])
        value = goal.spread(args[2])
        with over_lanes(builder, args[3], goal.vector.count) as (w, _):
            goal.store(value, builder.add(args[1], w))
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def copy(typingctx, target, at, source, start, count):
    """Copy a row: target[at + w] = source[start + w] for `count` numbers."""
    signature = types.void(target, at, source, start, count)

    def codegen(context, builder, signature, args):
        goal = Lanes(context, builder, signature.args[0], args[0])
        source = Lanes(context, builder, signature.args[2], args[2])
        with over_lanes(builder, args[4], goal.vector.count) as (w, _):
            goal.store(source.load(builder.add(args[3], w)), builder.add(args[1], w))
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def squares(typingctx, workspace, real, imag, to, lanes):
    """Compute |ψ|² of a row from its real and its imaginary plane."""
    signature = types.void(workspace, real, imag, to, lanes)

    def codegen(context, builder, signature, args):
        psi = Lanes(context, builder, signature.args[0], args[0])
        with over_lanes(builder, args[4], psi.vector.count) as (w, _):
            a, b = (psi.load(builder.add(place, w)) for place in args[1:3])
            psi.store(times_plus(builder, a, a, b, b), builder.add(args[3], w))
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def times_gradient(typingctx, workspace, real, imag, dual, lanes):
    """Compute λ = g ψ for one row; λ's real row holds g.

    λ lies `dual` numbers after ψ.
    """
    signature = types.void(workspace, real, imag, dual, lanes)

    def codegen(context, builder, signature, args):
        rows = Lanes(context, builder, signature.args[0], args[0])
        _, real, imag, dual, lanes = args
        with over_lanes(builder, lanes, rows.vector.count) as (w, _):
            real, imag = builder.add(real, w), builder.add(imag, w)
            weight = rows.load(builder.add(real, dual))
            for place in (real, imag):
                value = builder.fmul(rows.load(place), weight, flags=FAST)
                rows.store(value, builder.add(place, dual))
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def take_next(typingctx, counters, which):
    """Return counters[which] and increment it atomically."""
    signature = types.int64(counters, types.int64)

    def codegen(context, builder, signature, args):
        data = arrayobj.make_array(signature.args[0])(context, builder, args[0]).data
        place = builder.gep(data, [args[1]])
        return builder.atomic_rmw("add", place, ir.Constant(ir.IntType(64), 1), "monotonic")

    return signature, codegen


@intrinsic
def is_odd(typingctx, bits):
    """Return True if an odd number of bits of an integer are set."""
    signature = types.boolean(bits)

    def codegen(context, builder, signature, args):
        return builder.trunc(builder.ctpop(args[0]), ir.IntType(1))

    return signature, codegen
