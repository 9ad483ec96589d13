"""The kernel of engine `triton`: a block of samples through the gates, and back by undoing them.

ψ is a real and an imaginary tile of (2^n, samples) in registers; a partner row is fetched from the other
threads' registers. Nothing is stored but what is read, and backward the slope of every angle.
"""

# pyright: reportMissingImports=false, reportAttributeAccessIssue=false, reportInvalidTypeForm=false
import triton
import triton.language as tl


@triton.jit
def _sign(rows, mask):
    """+1 where an even number of the mask's bits is set, -1 elsewhere."""
    bits = rows & mask
    bits = bits ^ (bits >> 8)
    bits = bits ^ (bits >> 4)
    bits = bits ^ (bits >> 2)
    bits = bits ^ (bits >> 1)
    return 1 - 2 * (bits & 1)


@triton.jit
def _partner(tile, rows, flip, size: tl.constexpr, lanes: tl.constexpr):
    """Row k ^ flip in the place of row k."""
    return tl.gather(tile, tl.broadcast_to((rows ^ flip)[:, None], (size, lanes)), 0)


@triton.jit
def _gate(re, im, rows, is_rotation, flip, sign, cos, sin, size: tl.constexpr, lanes: tl.constexpr):
    """One gate: a turn of rows k and k ^ flip, or a phase of every row."""
    if is_rotation:
        return (
            cos * re - sin * sign * _partner(re, rows, flip, size, lanes),
            cos * im - sin * sign * _partner(im, rows, flip, size, lanes),
        )
    else:
        return cos * re + sin * sign * im, cos * im - sin * sign * re


@triton.jit
def walk(
    angles, gates, start, masks, signs, values, gradients, start_gradients, batch, n_gates, n_masks,
    size: tl.constexpr, lanes: tl.constexpr, from_start: tl.constexpr, strings: tl.constexpr,
    backward: tl.constexpr,
):  # fmt: skip
    """Values of a block of samples, or from their slopes those of angles.

    Args:
        angles: In radians, (gates, batch).
        gates: Whether a turn, rows that it flips, mask of its sign, int32, (gates, 3).
        start: Amplitudes, (2^n, batch), if the circuit starts in them.
        masks: Of the strings that are read, or for probabilities the basis state of every row, int32.
        signs: Of the strings, of the dtype of the angles.
        values: What is read, (readouts, batch); backward its slopes.
        gradients: Backward, filled with those of the angles, (gates, batch).
        start_gradients: Backward, filled with those of the start, (2^n, batch).
        batch: Samples.
        n_gates: Gates.
        n_masks: Strings.
        size: 2^n.
        lanes: Samples of a block, a power of two.
        from_start: Whether the circuit starts in amplitudes.
        strings: Whether strings are read; else probabilities.
        backward: Whether slopes are asked for.
    """
    rows = tl.arange(0, size)
    lane = tl.program_id(0).to(tl.int64) * lanes + tl.arange(0, lanes)
    inside = lane < batch
    places = rows[:, None] * batch + lane[None, :]
    if from_start:
        re = tl.load(start + places, mask=inside[None, :], other=0.0)
    else:
        one = tl.load(angles + lane, mask=inside, other=0.0) * 0.0 + 1.0
        re = tl.where(rows[:, None] == 0, one[None, :], 0.0)
    im = re * 0.0
    for number in range(n_gates):
        half = 0.5 * tl.load(angles + number * batch + lane, mask=inside, other=0.0)[None, :]
        is_rotation, flip = tl.load(gates + 3 * number), tl.load(gates + 3 * number + 1)
        sign = _sign(rows, tl.load(gates + 3 * number + 2))[:, None].to(re.dtype)
        re, im = _gate(
            re, im, rows, is_rotation, flip, sign, tl.cos(half), tl.sin(half), size, lanes
        )
    if not backward:
        probs = re * re + im * im
        if strings:
            for number in range(n_masks):
                parity = _sign(rows, tl.load(masks + number))[:, None].to(re.dtype)
                total = tl.sum(probs * parity, 0) * tl.load(signs + number)
                tl.store(values + number * batch + lane, total, mask=inside)
        else:
            states = tl.load(masks + rows).to(tl.int64)
            tl.store(values + states[:, None] * batch + lane[None, :], probs, mask=inside[None, :])
        return
    if strings:
        weights = re * 0.0
        for number in range(n_masks):
            parity = _sign(rows, tl.load(masks + number))[:, None].to(re.dtype)
            gradient = tl.load(values + number * batch + lane, mask=inside, other=0.0)
            weights += parity * (gradient * tl.load(signs + number))[None, :]
    else:
        states = tl.load(masks + rows).to(tl.int64)
        weights = tl.load(
            values + states[:, None] * batch + lane[None, :], mask=inside[None, :], other=0.0
        )
    dual_re, dual_im = weights * re, weights * im
    for step in range(n_gates):
        number = n_gates - 1 - step
        half = 0.5 * tl.load(angles + number * batch + lane, mask=inside, other=0.0)[None, :]
        cos, sin = tl.cos(half), -tl.sin(half)
        is_rotation, flip = tl.load(gates + 3 * number), tl.load(gates + 3 * number + 1)
        sign = _sign(rows, tl.load(gates + 3 * number + 2))[:, None].to(re.dtype)
        if is_rotation:
            overlap = dual_re * _partner(re, rows, flip, size, lanes)
            overlap = -sign * (overlap + dual_im * _partner(im, rows, flip, size, lanes))
        else:
            overlap = sign * (dual_re * im - dual_im * re)
        tl.store(gradients + number * batch + lane, tl.sum(overlap, 0), mask=inside)
        re, im = _gate(re, im, rows, is_rotation, flip, sign, cos, sin, size, lanes)
        dual_re, dual_im = _gate(
            dual_re, dual_im, rows, is_rotation, flip, sign, cos, sin, size, lanes
        )
    if from_start:
        tl.store(start_gradients + places, 2.0 * dual_re, mask=inside[None, :])
