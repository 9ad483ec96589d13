"""Phase of one row of ψ that differs between samples."""

from numba import types

from qtha_lab.simulators.cpu.row_arithmetic import phase_gradient, rotated_by
from qtha_lab.simulators.cpu.vectors import FAST, Lanes, fields, intrinsic, over_lanes


def make_phase(backward: bool):
    """Build a sweep that multiplies one row of ψ by cos - i·sign·sin per lane.

    Signature: `f(data, place, sign, at)` for a `records.PassData`. The cosines are at `at` in the
    workspace, the sines a row further. Backward the phase is undone on ψ and λ, and sign·Im(λ* ψ)
    is added to the row at `gradients`.
    """

    @intrinsic
    def sweep(typingctx, data, place, sign, at):
        signature = types.void(data, place, sign, at)

        def codegen(context, builder, signature, args):
            kinds, data = fields(builder, signature.args[0], args[0])
            workspace = Lanes(context, builder, kinds.workspace, data.workspace)
            _, place, sign, at = args
            lanes, width, plane, gradients = data.lanes, data.width, data.plane, data.gradients
            sign = workspace.spread(sign)
            with over_lanes(builder, width, workspace.vector.count) as (w, _):
                angle = builder.add(at, w)
                cos, sin = workspace.load(angle), workspace.load(builder.add(angle, lanes))
                sin = builder.fmul(sin, sign, flags=FAST)
                sin = builder.fneg(sin) if backward else sin
                rows = []
                for state in range(1 + backward):
                    shift = builder.mul(plane, plane.type(2 * state))
                    real = builder.add(builder.add(place, shift), w)
                    places = real, builder.add(real, plane)
                    rows.append([workspace.load(p) for p in places])
                    phased = rotated_by(builder, rows[-1][0], rows[-1][1], cos, sin)
                    for value, p in zip(phased, places, strict=True):
                        workspace.store(value, p)
                if backward:
                    lane_place = builder.add(gradients, w)
                    gradient = phase_gradient(builder, workspace.constant(0.0), *rows)
                    gradient = builder.fmul(gradient, sign, flags=FAST)
                    workspace.store(
                        builder.fadd(gradient, workspace.load(lane_place), flags=FAST), lane_place
                    )
            return context.get_dummy_value()

        return signature, codegen

    return sweep
