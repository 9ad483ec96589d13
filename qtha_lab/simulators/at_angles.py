"""A circuit at angles that stay, as a function of its inputs alone: for the tokens of an answer.

What `expval_z` and its sisters check and look up in every call is done once. No gradients.
"""

from collections.abc import Callable

from torch import Tensor

from qtha_lab.circuits import Circuit
from qtha_lab.simulators.expval import read
from qtha_lab.simulators.reading import What, reading
from qtha_lab.simulators.registry import KeepsAngles
from qtha_lab.simulators.route import route


def at_angles(
    circuit: Circuit, what: What, params: Tensor, engine: str = "auto", batch: int = 1
) -> Callable[[Tensor], Tensor]:
    """What is read of a circuit for small batches, at angles that stay.

    Args:
        circuit: What to run.
        what: "z", "probs", or Pauli strings.
        params: Trainable angles, (n_params,), in radians.
        engine: As for `expval_z`.
        batch: Samples of the largest batch.

    Returns:
        A function of inputs (batch, n_inputs), of the dtype and device of `params`, to be called without
        gradients; it gives what `expval_z` gives.

    Raises:
        Refusal: As `expval_z`.

    Example:
        >>> import torch
        >>> from qtha_lab.circuits import Angle, Gate
        >>> one_turn = Circuit(1, [Gate("RY", 0, Angle.input(0))])
        >>> at_angles(one_turn, "z", torch.empty(0), "torch")(torch.tensor([[0.0], [torch.pi]]))
        tensor([[ 1.],
                [-1.]])
    """
    request = reading(circuit, what)
    params = params.detach()
    read(circuit, what, params.new_zeros(1, request.n_inputs), params, engine)  # refuses
    (run, readout), *others = request.runs
    name, running = route(engine, run, readout, params.device.type, False, batch)
    if others or request.from_amplitudes or not isinstance(running, KeepsAngles):
        return lambda inputs: read(circuit, what, inputs, params, engine)
    return running.at_angles(run, params, readout, name)
