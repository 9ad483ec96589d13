"""`expval_z`: checks shapes and types once, hands a flat batch to an engine, restores the shape.

Holds no mathematics.
"""

import torch
from torch import Tensor

from qtha_lab.circuits import Circuit
from qtha_lab.simulators.engines import choose, engine_module


def expval_z(circuit: Circuit, inputs: Tensor, params: Tensor, engine: str = "auto") -> Tensor:
    """⟨Z⟩ of every qubit of a circuit for a batch of inputs.

    Args:
        circuit: What to run on |0…0⟩.
        inputs: Data, (..., n_inputs), in radians.
        params: Trainable angles, (n_params,), shared by the batch.
        engine: "auto", "torch", "cpu" or "device:NAME" for a PennyLane device.

    Returns:
        (..., n_qubits), of the dtype of `inputs`, differentiable in both. Types other than float32
        and float64 are computed in float32, with autocast off.

    Raises:
        ValueError: If shapes, dtypes, devices or the engine do not fit.

    Example:
        >>> from qtha_lab.circuits import Angle, Circuit, Gate
        >>> one_turn = Circuit(1, [Gate("RY", 0, Angle.input(0))])
        >>> expval_z(one_turn, torch.tensor([[0.0], [torch.pi]]), torch.empty(0), engine="torch")
        tensor([[ 1.],
                [-1.]])
    """
    _check(circuit, inputs, params)
    on_cpu = inputs.device.type == "cpu"
    chosen = choose(engine, circuit, on_cpu, _is_transformed(inputs) or _is_transformed(params))
    module = engine_module(chosen)
    module.check(circuit, chosen)
    with torch.autocast(inputs.device.type, enabled=False):
        dtype = _compute_dtype(inputs, params)
        flat = inputs.to(dtype).reshape(-1, circuit.n_inputs) if circuit.n_inputs else None
        if flat is None:
            flat = inputs.to(dtype).new_empty((inputs.shape[:-1].numel(), 0))
        values = flat.new_zeros(0, circuit.n_qubits)
        if len(flat):
            values = module.run(circuit, flat, params.to(dtype), chosen)
        wanted = torch.is_grad_enabled() and (inputs.requires_grad or params.requires_grad)
        if wanted and not values.requires_grad:  # nothing was read: slopes are zero, not missing
            values = values + 0.0 * (inputs.sum() + params.sum()).to(dtype)
        return values.reshape(*inputs.shape[:-1], circuit.n_qubits).to(inputs.dtype)


def _compute_dtype(inputs: Tensor, params: Tensor) -> torch.dtype:
    return torch.float64 if torch.float64 in (inputs.dtype, params.dtype) else torch.float32


def _check(circuit: Circuit, inputs: Tensor, params: Tensor) -> None:
    for name, tensor in (("inputs", inputs), ("params", params)):
        if not isinstance(tensor, Tensor):
            raise ValueError(f"{name} must be a tensor, not {type(tensor).__name__}")
        if not tensor.is_floating_point():
            raise ValueError(f"{name} must be real floating-point numbers, not {tensor.dtype}")
    if inputs.dim() == 0 or inputs.shape[-1] != circuit.n_inputs:
        raise ValueError(
            f"inputs must end in the circuit's {circuit.n_inputs} inputs, not {tuple(inputs.shape)}"
        )
    if params.shape != (circuit.n_params,):
        raise ValueError(f"params must have shape ({circuit.n_params},), not {tuple(params.shape)}")
    if inputs.device != params.device:
        raise ValueError(
            f"inputs and params must be on one device, not {inputs.device} and {params.device}"
        )


def _is_transformed(tensor: Tensor) -> bool:
    """Whether vmap, grad or another torch.func transform is wrapped around the tensor."""
    return torch._C._functorch.is_functorch_wrapped_tensor(tensor)
