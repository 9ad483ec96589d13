"""What a circuit gives for a batch of inputs: expectations, probabilities, states.

Checks shapes and types once, hands a flat batch to an engine, restores the shape. Holds no mathematics.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from qtha_lab.circuits import Circuit, Readout
from qtha_lab.circuits.readout import settings_of
from qtha_lab.errors import Refusal
from qtha_lab.simulators.engines import check_call, choose, engine_of


def expval_z(circuit: Circuit, inputs: Tensor, params: Tensor, engine: str = "auto") -> Tensor:
    """⟨Z⟩ of every qubit of a circuit for a batch of inputs.

    Args:
        circuit: What to run.
        inputs: Data, (..., n_inputs), in radians; amplitudes if the circuit starts in them.
        params: Trainable angles, (n_params,), shared by the batch.
        engine: One of `engine_names()`, for instance "auto" or "cpu", or any PennyLane device as
            "device:NAME" or "device:NAME(option=value,…)", with the options of `DeviceOptions`.

    Returns:
        (..., n_qubits), of the dtype of `inputs`, differentiable in both. float16 and bfloat16 are
        computed in float32, with autocast off, whatever the engine; complex numbers are refused.

    Raises:
        Refusal: If shapes, dtypes, devices or the engine do not fit.

    Example:
        >>> from qtha_lab.circuits import Angle, Circuit, Gate
        >>> one_turn = Circuit(1, [Gate("RY", 0, Angle.input(0))])
        >>> expval_z(one_turn, torch.tensor([[0.0], [torch.pi]]), torch.empty(0), engine="torch")
        tensor([[ 1.],
                [-1.]])
    """
    return _read(circuit, Readout.z(circuit.n_qubits), inputs, params, engine)


def expval(
    circuit: Circuit,
    observables: Sequence[str],
    inputs: Tensor,
    params: Tensor,
    engine: str = "auto",
) -> Tensor:
    """Expectations of Pauli strings such as "Z0", "Z0 Z1", "X0 Y2" or "I".

    Strings that agree on the wires they share are read in one run of the circuit; `z_pairs(n)` of
    `qtha_lab.circuits` lists all Z_i and Z_i Z_j, which need one run together.

    Args:
        circuit: What to run.
        observables: Pauli strings, a letter X, Y or Z and a wire for each factor; "I" is the identity.
        inputs: Data, (..., n_inputs), in radians; amplitudes if the circuit starts in them.
        params: Trainable angles, (n_params,), in radians, shared by the batch.
        engine: As for `expval_z`.

    Returns:
        (..., number of observables), in their order; otherwise as `expval_z`.

    Raises:
        Refusal: As `expval_z`, or if there is no observable, or one is not a Pauli string of the circuit.

    Example:
        >>> from qtha_lab.circuits import Circuit, Gate
        >>> bell = Circuit(2, [Gate("Hadamard", 0), Gate("CNOT", (0, 1))])
        >>> none = torch.empty(0)
        >>> expval(bell, ["Z0", "Z0 Z1", "X0 X1", "Y0 Y1"], none, none, engine="torch").round()
        tensor([ 0.,  1.,  1., -1.])
    """
    runs = settings_of(circuit, tuple(observables))
    if not runs:
        raise Refusal("observables must name at least one Pauli string, not none")
    values = [
        _read(circuit_run, readout, inputs, params, engine) for circuit_run, readout, _ in runs
    ]
    if len(values) == 1:
        return values[0]
    order = [number for _, _, members in runs for number in members]
    return torch.cat(values, -1)[..., torch.tensor(order, device=inputs.device).argsort()]


def probs(circuit: Circuit, inputs: Tensor, params: Tensor, engine: str = "auto") -> Tensor:
    """The probability of every basis state, wire 0 the most significant bit.

    Args:
        circuit: What to run.
        inputs: Data, (..., n_inputs), in radians; amplitudes if the circuit starts in them.
        params: Trainable angles, (n_params,), in radians, shared by the batch.
        engine: As for `expval_z`.

    Returns:
        (..., 2^n_qubits), a sum of 1 over the last axis; otherwise as `expval_z`.

    Raises:
        Refusal: As `expval_z`.

    Example:
        >>> from qtha_lab.circuits import Circuit, Gate
        >>> flipped = Circuit(2, [Gate("PauliX", 0)])
        >>> probs(flipped, torch.empty(0), torch.empty(0), engine="torch")
        tensor([0., 0., 1., 0.])
    """
    return _read(circuit, Readout.probs(), inputs, params, engine)


def state(circuit: Circuit, inputs: Tensor, params: Tensor) -> Tensor:
    """The amplitudes of the final state, up to a global phase, by engine `torch`.

    Args:
        circuit: What to run.
        inputs: Data, (..., n_inputs), in radians; amplitudes if the circuit starts in them.
        params: Trainable angles, (n_params,), in radians, shared by the batch.

    Returns:
        Complex, (..., 2^n_qubits), wire 0 the most significant bit; differentiable in both tensors.

    Raises:
        Refusal: If shapes, dtypes or devices do not fit, or the state is too large.

    Example:
        >>> from qtha_lab.circuits import Circuit, Gate
        >>> bell = Circuit(2, [Gate("Hadamard", 0), Gate("CNOT", (0, 1))])
        >>> state(bell, torch.empty(0), torch.empty(0)).abs().square()
        tensor([0.5000, 0.0000, 0.0000, 0.5000])
    """
    return _read(circuit, Readout.state(), inputs, params, "torch")


def _read(
    circuit: Circuit, readout: Readout, inputs: Tensor, params: Tensor, engine: str
) -> Tensor:
    _check(circuit, inputs, params)
    transformed = is_transformed(inputs) or is_transformed(params)
    situation = circuit, readout, inputs.device.type, transformed, inputs.shape[:-1].numel()
    name = choose(engine, *situation)
    check_call(name, *situation)
    with torch.autocast(inputs.device.type, enabled=False):
        dtype = _compute_dtype(inputs, params)
        lead, flat = inputs.shape[:-1], inputs.to(dtype)
        if len(lead) != 1:  # a reshape that changes nothing is a node of the graph all the same
            flat = flat.reshape(lead.numel(), circuit.n_inputs)
        if circuit.start == "amplitudes":
            flat = flat / flat.norm(dim=-1, keepdim=True)
        if len(flat):
            values = engine_of(name).run(circuit, flat, params.to(dtype), readout, name)
        else:
            values = flat.new_zeros(0, readout.size(circuit.n_qubits))
        has_slopes = torch.is_grad_enabled() and (inputs.requires_grad or params.requires_grad)
        if (
            has_slopes and not values.requires_grad
        ):  # nothing was read: slopes are zero, not missing
            values = values + 0.0 * (inputs.sum() + params.sum()).to(dtype)
        if len(lead) != 1:
            values = values.reshape(*lead, values.shape[-1])
        return values if values.is_complex() else values.to(inputs.dtype)


def _compute_dtype(inputs: Tensor, params: Tensor) -> torch.dtype:
    return torch.float64 if torch.float64 in (inputs.dtype, params.dtype) else torch.float32


def _check(circuit: Circuit, inputs: Tensor, params: Tensor) -> None:
    for name, tensor in (("inputs", inputs), ("params", params)):
        if not isinstance(tensor, Tensor):
            raise Refusal(f"{name} must be a tensor, not {type(tensor).__name__}")
        if not tensor.is_floating_point():
            raise Refusal(f"{name} must be real floating-point numbers, not {tensor.dtype}")
    if inputs.dim() == 0 or inputs.shape[-1] != circuit.n_inputs:
        raise Refusal(
            f"inputs must end in the circuit's {circuit.n_inputs} inputs, not {tuple(inputs.shape)}"
        )
    if params.shape != (circuit.n_params,):
        raise Refusal(f"params must have shape ({circuit.n_params},), not {tuple(params.shape)}")
    if inputs.device != params.device:
        raise Refusal(
            f"inputs and params must be on one device, not {inputs.device} and {params.device}"
        )
    if circuit.start == "amplitudes" and not is_transformed(inputs):
        empty = (inputs == 0).all(-1)
        if empty.any():
            raise Refusal(
                f"amplitudes must not all be zero, as they are in {int(empty.sum())} "
                f"of {empty.numel()} samples"
            )


def is_transformed(tensor: Tensor) -> bool:
    """Whether vmap, grad or another torch.func transform is wrapped around the tensor."""
    functorch: Any = torch._C._functorch  # pyright: ignore[reportAttributeAccessIssue]  torch's stubs leave it out
    return functorch.is_functorch_wrapped_tensor(tensor)
