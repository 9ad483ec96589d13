"""Adapter output for few tokens: two frozen matrices with a circuit between them.

No gradients. Overhead dominates such a small call, so an engine that supports it fuses all steps
into one call.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from qtha_lab.circuits import Circuit
from qtha_lab.simulators.dispatch import What, request_of, route
from qtha_lab.simulators.expval import run_readout

FEW_TOKENS = 4  # up to this number of tokens the fused call is the faster one

Added = Callable[[Tensor, Tensor], Tensor]


def added_by(
    first: Tensor, values: Callable[[Tensor], Tensor], n_values: int, last: Tensor
) -> Added:
    """Build the function before + (values(h), h) · last, with h = x · first.

    The part h · last is present only if `last` has more than `n_values` rows.
    """
    with_h = len(last) > n_values

    def added(x: Tensor, before: Tensor) -> Tensor:
        h = x @ first
        q = values(h)
        return before + (torch.cat((q, h), -1) if with_h else q) @ last

    return added


def fuse_matrices(
    first: Float[Tensor, "in_features n_inputs"],
    circuit: Circuit,
    what: What,
    params: Float[Tensor, "n_params"],
    last: Float[Tensor, "rows out_features"],
    scale: float = 1.0,
    engine: str = "auto",
) -> Added:
    """Build the function before + (q, h) · last of tokens x.

    h = x · first, and q is the read-out of the circuit for the inputs scale · h.

    Args:
        first: Matrix that multiplies the tokens.
        circuit: Circuit to run.
        what: "z", "probs", or Pauli strings.
        params: Trainable angles, in radians.
        last: One row per value of q, or n_inputs more rows to include h.
        scale: Factor of the circuit's input angles.
        engine: As for `expval_z`.

    Returns:
        A function of x (tokens, …, in_features) and before (tokens, …, out_features), both of the
        dtype and device of `params`. Call it without gradients; it changes neither tensor.

    Raises:
        Refusal: As `expval_z`.

    Example:
        >>> from qtha_lab.circuits import Angle, Gate
        >>> one_rotation = Circuit(1, [Gate("RY", 0, Angle.input(0))])
        >>> first, last = torch.full((1, 1), torch.pi), torch.tensor([[2.0]])
        >>> added = fuse_matrices(first, one_rotation, "z", torch.empty(0), last, engine="torch")
        >>> added(torch.tensor([[0.0], [1.0]]), torch.tensor([[0.5], [0.5]]))
        tensor([[ 2.5000],
                [-1.5000]])
    """
    params, first, last = params.detach(), first.detach(), last.detach()
    request = request_of(circuit, what)
    run_readout(
        circuit, what, params.new_zeros(1, request.n_inputs), params, engine
    )  # raises Refusal

    def values(h: Tensor) -> Tensor:
        return run_readout(circuit, what, h if scale == 1 else h * scale, params, engine)

    n_values = sum(readout.size(run.n_qubits) for run, readout in request.runs)
    added = added_by(first, values, n_values, last)
    (run, readout), *others = request.runs
    name, running = route(engine, run, readout, params.device.type, False, FEW_TOKENS)
    is_plain = not (others or request.from_amplitudes or request.products)
    fuse = getattr(running, "fuse_matrices", None)
    at_once = fuse(first, run, params, readout, last, scale, name) if is_plain and fuse else None
    if at_once is None:
        return added
    return lambda x, before: (at_once if len(x) <= FEW_TOKENS else added)(x, before)
