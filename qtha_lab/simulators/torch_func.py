"""torch.func support (grad, vjp, jacrev, vmap) for engines that torch cannot trace.

First derivatives in reverse mode only: forward mode (jvp, jacfwd) needs engine `torch`.
"""

import torch
from torch import Tensor

from qtha_lab.circuits import Circuit, Readout
from qtha_lab.core.errors import Unsupported
from qtha_lab.simulators.values_and_gradients import gradients_of, values_of


class Values(torch.autograd.Function):
    """Read-out of a flat batch, (batch, readout size); operands as for `values_of`."""

    @staticmethod
    def forward(
        inputs: Tensor, params: Tensor, circuit: Circuit, readout: Readout, engine: str
    ) -> Tensor:
        return values_of(inputs, params, circuit, readout, engine)

    @staticmethod
    def setup_context(ctx, inputs, output) -> None:
        ctx.save_for_backward(*inputs[:2])
        ctx.rest = inputs[2:]

    @staticmethod
    def backward(ctx, *grads: Tensor):
        needed = ctx.needs_input_grad[:2]
        return *_Gradients.apply(*ctx.saved_tensors, *grads, *ctx.rest, *needed), None, None, None

    @staticmethod
    def jvp(ctx, *tangents):
        raise Unsupported(
            f"Derivatives of engine {ctx.rest[2]!r} must be backward ones, got forward ones. "
            "Use engine='torch'."
        )

    @staticmethod
    def vmap(info, in_dims, inputs, params, *rest):
        """Evaluate all as one batch if params are shared, else one run per element."""
        if in_dims[1] is not None:
            return _one_by_one(Values, info, in_dims, inputs, params, *rest), 0
        together = inputs.movedim(in_dims[0], 0)
        read = Values.apply(together.flatten(0, 1), params, *rest)
        return read.unflatten(0, together.shape[:2]), 0


class _Gradients(torch.autograd.Function):
    @staticmethod
    def forward(inputs: Tensor, params: Tensor, grad: Tensor, *rest) -> tuple[Tensor, Tensor]:
        return gradients_of(inputs, params, grad, *rest)

    @staticmethod
    def setup_context(ctx, inputs, output) -> None:
        ctx.engine = inputs[5]

    @staticmethod
    def backward(ctx, *grads):
        raise Unsupported(
            f"Derivatives of engine {ctx.engine!r} must be of first order, got second order. "
            "Use engine='torch'."
        )

    @staticmethod
    def vmap(info, in_dims, *operands):
        """Run once per element, because each element has its own gradient of params."""
        return _one_by_one(_Gradients, info, in_dims, *operands), (0, 0)


def _one_by_one(function, info, in_dims, *operands):
    def arguments_of(number: int) -> list:
        pairs = zip(operands, in_dims, strict=True)
        return [t if dim is None else t.select(dim, number) for t, dim in pairs]

    results = [function.apply(*arguments_of(number)) for number in range(info.batch_size)]
    if isinstance(results[0], Tensor):
        return torch.stack(results)
    return tuple(torch.stack(column) for column in zip(*results, strict=True))
