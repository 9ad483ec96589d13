"""Values and gradients of a flat batch as two functions without an autograd graph.

`torch_operators` and `torch_func` use them; both save only tensors between forward and backward.
"""

import torch
from torch import Tensor

from qtha_lab.circuits import Circuit, Readout
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

    Args:
        inputs: As for `values_of`.
        params: As for `values_of`.
        grad: Gradient of the values, (batch, readout size).
        circuit: As for `values_of`.
        readout: As for `values_of`.
        engine: As for `values_of`.
        of_inputs: Whether to compute the gradient of inputs.
        of_params: Whether to compute the gradient of params.
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
