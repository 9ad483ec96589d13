"""A circuit as operators of torch: what the graphs of torch.compile and torch.export hold of any engine.

Graphs hold tensors, numbers and text, so circuit and readout go in as text, and the engine is chosen
when the operator runs. First derivatives; backward goes through the circuit again. In eager mode
nothing comes by here: an operator costs some 20 µs more than a `Function`.
"""

import torch
from torch import Tensor

from qtha_lab.circuits.formats.json_text import circuit_of, readout_of
from qtha_lab.core.errors import Unsupported
from qtha_lab.simulators import values_and_gradients as gradients


@torch.library.custom_op("qtha_lab::values", mutates_args=())
def values(inputs: Tensor, params: Tensor, circuit: str, readout: str, engine: str) -> Tensor:
    """What is read of a flat batch, (batch, readout size).

    Args:
        inputs: (batch, n_inputs), float32 or float64.
        params: (n_params,), of the same dtype and device.
        circuit: By `circuit_text`.
        readout: By `readout_text`.
        engine: As asked for, "auto" or any other.
    """
    operands = circuit_of(circuit), readout_of(readout), engine
    return gradients.values_of(inputs, params, *operands).contiguous()


@torch.library.custom_op("qtha_lab::slopes", mutates_args=())
def gradients_op(
    inputs: Tensor, params: Tensor, grad: Tensor, circuit: str, readout: str, engine: str,
    of_inputs: bool, of_params: bool,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """The slopes of inputs and params for those of the values, as `slopes.slopes_of` gives them.

    Args:
        inputs: As for `values`, like all that is not named here.
        params: As for `values`.
        grad: Of the values, (batch, readout size).
        circuit: As for `values`.
        readout: As for `values`.
        engine: As for `values`.
        of_inputs: Whether the slopes of inputs are asked for.
        of_params: Whether those of params are.
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
        f"engine {ctx.engine!r} has first derivatives only in a graph of torch.compile: "
        "use engine='torch', uncompiled, for second ones"
    )


values.register_autograd(_backward, setup_context=_save)
gradients_op.register_autograd(_no_second, setup_context=_save_engine)
