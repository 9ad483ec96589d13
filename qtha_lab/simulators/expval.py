"""Expectation values, probabilities and states of a circuit for a batch of inputs.

Each function checks shapes and dtypes, passes a flat batch to an engine and restores the shape. In
a graph of torch.compile or torch.export, an operator of `torch_operators` represents the engine.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import Parameter

from qtha_lab.circuits import Circuit, Readout
from qtha_lab.core.errors import Refusal
from qtha_lab.simulators import torch_transforms
from qtha_lab.simulators.dispatch import (
    ReadoutRequest,
    What,
    cached_route,
    evaluate,
    request_as_text,
    request_of,
)
from qtha_lab.simulators.engine_selection import info_of
from qtha_lab.simulators.registry import ENGINES
from qtha_lab.simulators.torch_transforms import Values


def expval_z(circuit: Circuit, inputs: Tensor, params: Tensor, engine: str = "auto") -> Tensor:
    """Compute ⟨Z⟩ of every qubit of a circuit for a batch of inputs.

    Args:
        circuit: Circuit to run.
        inputs: Data, (..., n_inputs), in radians; amplitudes for amplitude encoding.
        params: Trainable angles, (n_params,), in radians, shared by the batch.
        engine: One of `engine_names()`, for instance "auto" or "cpu", or any PennyLane device as
            "device:NAME" or "device:NAME(option=value,…)", with the options of `DeviceOptions`.

    Returns:
        (..., n_qubits), of the dtype of `inputs`, differentiable in both tensors. Every engine
        computes float16 and bfloat16 in float32, with autocast off; complex tensors are refused.

    Raises:
        Refusal: If shapes, dtypes, devices or the engine do not fit.

    Example:
        >>> from qtha_lab.circuits import Angle, Circuit, Gate
        >>> one_rotation = Circuit(1, [Gate("RY", 0, Angle.input(0))])
        >>> inputs = torch.tensor([[0.0], [torch.pi]])
        >>> expval_z(one_rotation, inputs, torch.empty(0), engine="torch")
        tensor([[ 1.],
                [-1.]])
    """
    return run_readout(circuit, "z", inputs, params, engine)


def expval(
    circuit: Circuit,
    observables: Sequence[str],
    inputs: Tensor,
    params: Tensor,
    engine: str = "auto",
) -> Tensor:
    """Compute expectation values of Pauli strings such as "Z0", "Z0 Z1", "X0 Y2" or "I".

    Strings that agree on their shared wires are measured in one run of the circuit. `z_pairs(n)` of
    `qtha_lab.circuits` lists all Z_i and Z_i Z_j, which together need one run.

    Args:
        circuit: Circuit to run.
        observables: Pauli strings: a letter X, Y or Z and a wire per factor; "I" is the identity.
        inputs: Data, (..., n_inputs), in radians; amplitudes for amplitude encoding.
        params: Trainable angles, (n_params,), in radians, shared by the batch.
        engine: As for `expval_z`.

    Returns:
        (..., number of observables), in their order; otherwise as `expval_z`.

    Raises:
        Refusal: As `expval_z`; also without observables, or if an observable is not a Pauli string
            of the circuit.

    Example:
        >>> from qtha_lab.circuits import Circuit, Gate
        >>> bell = Circuit(2, [Gate("Hadamard", 0), Gate("CNOT", (0, 1))])
        >>> none = torch.empty(0)
        >>> expval(bell, ["Z0", "Z0 Z1", "X0 X1", "Y0 Y1"], none, none, engine="torch").round()
        tensor([ 0.,  1.,  1., -1.])
    """
    return run_readout(circuit, tuple(observables), inputs, params, engine)


def probs(circuit: Circuit, inputs: Tensor, params: Tensor, engine: str = "auto") -> Tensor:
    """Compute the probability of every basis state, wire 0 as the most significant bit.

    Args:
        circuit: Circuit to run.
        inputs: Data, (..., n_inputs), in radians; amplitudes for amplitude encoding.
        params: Trainable angles, (n_params,), in radians, shared by the batch.
        engine: As for `expval_z`.

    Returns:
        (..., 2^n_qubits), with sum 1 over the last axis; otherwise as `expval_z`.

    Raises:
        Refusal: As `expval_z`.

    Example:
        >>> from qtha_lab.circuits import Circuit, Gate
        >>> flipped = Circuit(2, [Gate("PauliX", 0)])
        >>> probs(flipped, torch.empty(0), torch.empty(0), engine="torch")
        tensor([0., 0., 1., 0.])
    """
    return run_readout(circuit, "probs", inputs, params, engine)


def state(circuit: Circuit, inputs: Tensor, params: Tensor) -> Tensor:
    """Compute the amplitudes of the final state, up to a global phase, with engine `torch`.

    Args:
        circuit: Circuit to run.
        inputs: Data, (..., n_inputs), in radians; amplitudes for amplitude encoding.
        params: Trainable angles, (n_params,), in radians, shared by the batch.

    Returns:
        Complex, (..., 2^n_qubits), wire 0 as the most significant bit; differentiable in both
        tensors.

    Raises:
        Refusal: If shapes, dtypes or devices do not fit, or the state is too large.

    Example:
        >>> from qtha_lab.circuits import Circuit, Gate
        >>> bell = Circuit(2, [Gate("Hadamard", 0), Gate("CNOT", (0, 1))])
        >>> state(bell, torch.empty(0), torch.empty(0)).abs().square()
        tensor([0.5000, 0.0000, 0.0000, 0.5000])
    """
    return run_readout(circuit, "state", inputs, params, "torch")


def run_readout(
    circuit: Circuit, what: What, inputs: Tensor, params: Tensor, engine: str
) -> Tensor:
    """Compute a read-out of a circuit for a batch of inputs.

    Args:
        circuit: Circuit to run.
        what: "z", "probs", "state" or Pauli strings.
        inputs: As for `expval_z`.
        params: As for `expval_z`.
        engine: As for `expval_z`.

    Raises:
        Refusal: As `expval_z`.
    """
    if torch.compiler.is_compiling() or _is_traced(inputs, params):
        return _read_in_graph(request_as_text(circuit, what), inputs, params, engine)
    transformed = _transforms() and (is_transformed(inputs) or is_transformed(params))
    if not transformed:
        ready = _ready(
            ENGINES.revision, circuit, what, engine, inputs.shape, inputs.dtype, inputs.device,
            params.shape, params.dtype, params.device,
        )  # fmt: skip
        if ready is not None and not _autocasts(ready.device):
            run, values_of, readout, name, _ = ready
            values = run(values_of, inputs, params, readout, name)
            return values if values.requires_grad else _with_gradients(values, inputs, params)
    request = request_of(circuit, what)
    _check(request, inputs, params)
    if request.from_amplitudes and not transformed:
        _check_amplitudes(inputs)
    if _autocasts(inputs.device.type):
        with torch.autocast(inputs.device.type, enabled=False):
            return _read_by_engine(request, inputs, params, engine, transformed)
    return _read_by_engine(request, inputs, params, engine, transformed)


class _Ready(NamedTuple):
    """Engine function and its fixed arguments, for tensors that need no check or conversion."""

    run: Callable[[Circuit, Tensor, Tensor, Readout, str], Tensor]
    circuit: Circuit
    readout: Readout
    name: str
    device: str


@functools.lru_cache(maxsize=4096)
def _ready(
    revision: int, circuit: Circuit, what: What, engine: str, shape: torch.Size, dtype: torch.dtype,
    device: torch.device, params_shape: torch.Size, params_dtype: torch.dtype,
    params_device: torch.device,
) -> _Ready | None:  # fmt: skip
    """Return the engine function for tensors of these shapes, dtypes and devices, or None.

    None means that the tensors need checks or conversion, or that the circuit needs several runs.
    Nearly all calls repeat an earlier kind, so the cache makes the lookup fast.
    """
    request = request_of(circuit, what)
    fits = len(shape) == 2 and shape[1] == request.n_inputs and params_shape == (request.n_params,)
    plain = dtype == params_dtype and dtype in (torch.float32, torch.float64)
    if not (fits and plain and shape[0] and device == params_device and len(request.runs) == 1):
        return None
    if request.from_amplitudes or request.products:
        return None
    ((run_circuit, readout),) = request.runs
    route = cached_route(revision, engine, run_circuit, readout, device.type, False, shape[0])
    if route is None or readout.kind == "state":
        return None
    name, running = route
    return _Ready(running.run, run_circuit, readout, name, device.type)


def _read_by_engine(
    request: ReadoutRequest, inputs: Tensor, params: Tensor, engine: str, transformed: bool
) -> Tensor:
    flat, angles = _flat(request, inputs, params)
    if transformed and engine != "auto" and not info_of(engine).transformable:
        values = [Values.apply(flat, angles, *run, engine) for run in request.runs]
    else:
        values = [evaluate(*run, flat, angles, engine, transformed) for run in request.runs]
    joined = values[0]
    if len(values) > 1:
        joined = torch.cat(values, -1)[:, _places(request.order, inputs.device)]
    return _as_inputs(_with_gradients(joined, inputs, params), inputs)


def _with_gradients(values: Tensor, inputs: Tensor, params: Tensor) -> Tensor:
    """Attach zero gradients to values that depend on no input and no parameter."""
    if values.requires_grad or not torch.is_grad_enabled():
        return values
    if inputs.requires_grad or params.requires_grad:
        return values + 0.0 * (inputs.sum() + params.sum()).to(values.dtype)
    return values


def _read_in_graph(request: ReadoutRequest, inputs: Tensor, params: Tensor, engine: str) -> Tensor:
    """Compute the read-out by an operator of `op`; `request` holds circuits as text."""
    _check(request, inputs, params)
    flat, angles = _flat(request, inputs, params)
    values = [torch_transforms.values(flat, angles, *texts, engine) for texts in request.runs]
    joined = values[0]
    if len(values) > 1:
        joined = torch.cat(values, -1)[:, torch.tensor(request.order, device=inputs.device)]
    return _as_inputs(joined, inputs)


def _flat(request: ReadoutRequest, inputs: Tensor, params: Tensor) -> tuple[Tensor, Tensor]:
    """Return inputs as (batch, n_inputs) and params as (n_params,), of one dtype.

    Conversions without effect are skipped, because each adds a node to the autograd graph.
    """
    double = torch.float64 in (inputs.dtype, params.dtype)
    dtype = torch.float64 if double else torch.float32
    flat = inputs if inputs.dtype == dtype else inputs.to(dtype)
    if flat.dim() != 2:
        flat = flat.reshape(inputs.shape[:-1].numel(), request.n_inputs)
    if request.from_amplitudes:
        flat = flat / flat.norm(dim=-1, keepdim=True)
    angles = params if params.dtype == dtype else params.to(dtype)
    if not request.products:
        return flat, angles
    products = [
        flat[:, list(inputs)].prod(-1) * angles[list(weights)].prod()
        for inputs, weights in request.products
    ]
    return torch.cat([flat, torch.stack(products, -1)], -1), angles[: request.n_angles]


def _as_inputs(values: Tensor, inputs: Tensor) -> Tensor:
    """Restore the leading shape of the inputs and, for real values, their dtype."""
    if inputs.dim() != 2:
        values = values.reshape(*inputs.shape[:-1], values.shape[-1])
    if values.dtype == inputs.dtype or values.is_complex():
        return values
    return values.to(inputs.dtype)


def _autocasts(device: str) -> bool:
    return _has_autocast(device) and torch.is_autocast_enabled(device)


_has_autocast = functools.cache(torch.amp.is_autocast_available)


@functools.lru_cache(maxsize=64)
def _places(order: tuple[int, ...], device: torch.device) -> Tensor:
    with torch.inference_mode(False):  # later calls may use the cached tensor with autograd
        return torch.tensor(order, device=device)


def _check(request: ReadoutRequest, inputs: Tensor, params: Tensor) -> None:
    if not (_is_real(inputs) and _is_real(params)):
        raise Refusal(_not_real(inputs, params))
    if inputs.dim() == 0 or inputs.shape[-1] != request.n_inputs:
        raise Refusal(
            f"inputs must end in the circuit's {request.n_inputs} inputs, got "
            f"{tuple(inputs.shape)}."
        )
    if params.dim() != 1 or params.shape[0] != request.n_params:
        raise Refusal(f"params must have shape ({request.n_params},), got {tuple(params.shape)}.")
    if inputs.device != params.device:
        raise Refusal(
            f"Inputs and params must be on one device, got {inputs.device} and {params.device}."
        )


def _is_real(tensor: object) -> bool:
    return isinstance(tensor, Tensor) and tensor.dtype.is_floating_point


def _not_real(inputs: Tensor, params: Tensor) -> str:
    name, tensor = ("params", params) if _is_real(inputs) else ("inputs", inputs)
    if not isinstance(tensor, Tensor):
        return f"{name} must be a tensor, got {type(tensor).__name__}"
    return f"{name} must be real floating-point numbers, got {tensor.dtype}"


def _check_amplitudes(inputs: Tensor) -> None:
    """Refuse samples whose amplitudes are all zero, for CPU tensors only.

    On other devices the check would synchronise; there such a sample gives nan.
    """
    if inputs.device.type != "cpu":
        return
    empty = (inputs == 0).all(-1)
    if empty.any():
        raise Refusal(
            f"amplitudes must not all be zero, as they are in {int(empty.sum())} of "
            f"{empty.numel()} samples."
        )


_torch_c: Any = torch._C  # its stubs lack these names
_transforms: Callable[[], bool] = _torch_c._are_functorch_transforms_active
_OF_NUMBERS = frozenset((Tensor, Parameter))


def _is_traced(inputs: Tensor, params: Tensor) -> bool:
    """Return True if a dispatch mode is active or a tensor is a subclass."""
    of_numbers = type(inputs) in _OF_NUMBERS and type(params) in _OF_NUMBERS
    return not of_numbers or torch._C._len_torch_dispatch_stack() > 0


def is_transformed(tensor: Tensor) -> bool:
    """Return True if vmap, grad or another torch.func transform wraps the tensor."""
    return _torch_c._functorch.is_functorch_wrapped_tensor(tensor)
