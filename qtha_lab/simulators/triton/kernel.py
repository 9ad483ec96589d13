"""Kernel of engine `triton`: forward and backward pass of a block of samples.

The backward pass undoes the gates. ψ is a real and an imaginary tile of (2^n, samples) in
registers; a partner row is read from other threads' registers. Only the read-out is stored, and
backward the gradient of every angle and of initial amplitudes.
"""

# pyright: reportMissingImports=false, reportAttributeAccessIssue=false, reportInvalidTypeForm=false
import triton
import triton.language as tl


@triton.jit
def _sign(rows, mask):
    """Return +1 for rows with an even number of the mask's bits, else -1."""
    bits = rows & mask
    bits = bits ^ (bits >> 8)
    bits = bits ^ (bits >> 4)
    bits = bits ^ (bits >> 2)
    bits = bits ^ (bits >> 1)
    return 1 - 2 * (bits & 1)


@triton.jit
def _partner(tile, rows, flip, size: tl.constexpr, lanes: tl.constexpr):
    """Replace row k by row k ^ flip."""
    return tl.gather(tile, tl.broadcast_to((rows ^ flip)[:, None], (size, lanes)), 0)


@triton.jit
def _gate(re, im, rows, is_rotation, flip, sign, cos, sin, size: tl.constexpr, lanes: tl.constexpr):
    """Apply a rotation of rows k and k ^ flip, or a phase per row."""
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
    """Compute the values of a block of samples, or backward the gradients of the angles.

    Args:
        angles: Angles in radians, (gates, batch).
        gates: Per gate: whether it is a rotation, its flip mask, and its sign mask, int32, (gates,
            3).
        start: Initial amplitudes, (2^n, batch), with `from_start`.
        masks: Masks of the observed Z-strings, or for probabilities the basis state of every row,
            int32.
        signs: Signs of the Z-strings, of the dtype of the angles.
        values: Output: read-out, (readouts, batch); backward: input, its gradient.
        gradients: Backward output: gradients of the angles, (gates, batch).
        start_gradients: Backward output: gradients of the initial amplitudes, (2^n, batch).
        batch: Number of samples.
        n_gates: Number of gates.
        n_masks: Number of Z-strings.
        size: 2^n.
        lanes: Samples per block, a power of two.
        from_start: Whether the initial state is `start` instead of |0…0⟩.
        strings: Whether Z-strings are read out; else probabilities.
        backward: Whether to compute gradients.
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
