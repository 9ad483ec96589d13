"""Custom torch operators of a circuit for graphs of torch.compile and torch.export.

Graphs hold tensors, numbers and text, so circuit and read-out are passed as text, and the engine is
selected when the operator runs. First derivatives only; the backward pass runs the circuit again.
Eager mode does not use these operators, which cost some 20 µs more than a `Function`.
"""

import torch
from torch import Tensor

from qtha_lab.circuits.formats.json_text import circuit_of, readout_of
from qtha_lab.core.errors import Unsupported
from qtha_lab.simulators import values_and_gradients as gradients


@torch.library.custom_op("qtha_lab::values", mutates_args=())
def values(inputs: Tensor, params: Tensor, circuit: str, readout: str, engine: str) -> Tensor:
    """Compute the read-out of a flat batch, (batch, readout size).

    Args:
        inputs: (batch, n_inputs), float32 or float64.
        params: (n_params,), of the same dtype and device.
        circuit: Text by `circuit_text`.
        readout: Text by `readout_text`.
        engine: Engine name, "auto" included.
    """
    operands = circuit_of(circuit), readout_of(readout), engine
    return gradients.values_of(inputs, params, *operands).contiguous()


@torch.library.custom_op("qtha_lab::slopes", mutates_args=())
def gradients_op(
    inputs: Tensor, params: Tensor, grad: Tensor, circuit: str, readout: str, engine: str,
    of_inputs: bool, of_params: bool,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Compute the gradients of inputs and params from those of the values (see `gradients_of`).

    Args:
        inputs: As for `values`.
        params: As for `values`.
        grad: Gradient of the values, (batch, readout size).
        circuit: As for `values`.
        readout: As for `values`.
        engine: As for `values`.
        of_inputs: Whether to compute the gradient of inputs.
        of_params: Whether to compute the gradient of params.
    """
    operands = circuit_of(circuit), readout_of(readout), engine, of_inputs, of_params
    of_both = gradients.gradients_of(inputs, params, grad, *operands)
    return of_both[0].contiguous(), of_both[1].contiguous()


@values.register_fake
def _values_fake(inputs, params, circuit, readout, engine):
    read = readout_of(readout)
    dtype = inputs.dtype.to_complex() if read.kind == "state" else inputs.dtype
    return inputs.new_empty(inputs.shape[0], read.size(circuit_of(circuit).n_qubits), dtype=dtype)


@gradients_op.register_fake
def _gradients_fake(inputs, params, *rest):
    return inputs.new_empty(inputs.shape), params.new_empty(params.shape)


def _save(ctx, inputs, output) -> None:
    ctx.save_for_backward(*inputs[:2])
    ctx.texts = inputs[2:]


def _backward(ctx, grad: Tensor):
    needed = ctx.needs_input_grad[:2]
    of_both = gradients_op(*ctx.saved_tensors, grad, *ctx.texts, *needed)
    gradients_needed = (
        gradient if is_needed else None for gradient, is_needed in zip(of_both, needed, strict=True)
    )
    return *gradients_needed, None, None, None


def _save_engine(ctx, inputs, output) -> None:
    ctx.engine = inputs[5]


def _no_second(ctx, *grads):
    raise Unsupported(
        f"Derivatives of engine {ctx.engine!r} in a graph of torch.compile must be of first "
        "order, got second order. Use engine='torch', uncompiled."
    )


values.register_autograd(_backward, setup_context=_save)
gradients_op.register_autograd(_no_second, setup_context=_save_engine)
