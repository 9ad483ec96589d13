"""Circuits under torch.func, torch.compile and torch.export."""

import torch
from torch import Tensor

from qtha_lab.circuits import Circuit, Readout
from qtha_lab.circuits.json_text import circuit_of, readout_of
from qtha_lab.core.errors import Unsupported
from qtha_lab.simulators.dispatch import evaluate

# Dispatch keys that torch disables inside operators and graphs. Without the first two a lazy `conj`
# has no effect.
_SWITCHED_OFF = ("Conjugate", "Negative", "ZeroTensor", "ADInplaceOrView")
_SWITCHED_OFF += ("AutogradCPU", "AutogradCUDA", "AutogradOther")


def values_of(
    inputs: Tensor, params: Tensor, circuit: Circuit, readout: Readout, engine: str
) -> Tensor:
    """Compute the read-out, (batch, readout size); see `dispatch.evaluate`.

    Args:
        inputs: (batch, n_inputs), float32 or float64.
        params: (n_params,), of the same dtype and device.
        circuit: Circuit to run.
        readout: Read-out to compute.
        engine: Engine name, "auto" included.
    """
    with _AllOfTorch(), torch.no_grad():
        return evaluate(circuit, readout, inputs, params, engine)


def gradients_of(
    inputs: Tensor, params: Tensor, grad: Tensor, circuit: Circuit, readout: Readout, engine: str,
    of_inputs: bool = True, of_params: bool = True,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Compute the gradients of inputs and params from those of the values.

    A gradient that is not requested is zero.
    """
    inputs = inputs.detach().requires_grad_(of_inputs)
    params = params.detach().requires_grad_(of_params)
    with _AllOfTorch(), torch.enable_grad():
        read = evaluate(circuit, readout, inputs, params, engine)
        if read.requires_grad:
            leaves = [tensor for tensor in (inputs, params) if tensor.requires_grad]
            torch.autograd.backward(read, grad, inputs=leaves)
    of_both = [torch.zeros_like(t) if t.grad is None else t.grad for t in (inputs, params)]
    return of_both[0].detach(), of_both[1].detach()


class _AllOfTorch:
    """Context manager that restores torch's normal dispatch inside operators and graphs."""

    def __enter__(self) -> None:
        excluded = torch._C._dispatch_tls_local_exclude_set()
        for name in _SWITCHED_OFF:
            excluded = excluded.remove(getattr(torch._C.DispatchKey, name))
        included = torch._C._dispatch_tls_local_include_set()
        self.guard = torch._C._ForceDispatchKeyGuard(included, excluded)
        self.guard.__enter__()

    def __exit__(self, *problem) -> None:
        self.guard.__exit__(*problem)


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
    return values_of(inputs, params, *operands).contiguous()


@torch.library.custom_op("qtha_lab::slopes", mutates_args=())
def gradients_op(
    inputs: Tensor, params: Tensor, grad: Tensor, circuit: str, readout: str, engine: str,
    of_inputs: bool, of_params: bool,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Compute the gradients of inputs and params from those of the values (see `gradients_of`)."""
    operands = circuit_of(circuit), readout_of(readout), engine, of_inputs, of_params
    of_both = gradients_of(inputs, params, grad, *operands)
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
