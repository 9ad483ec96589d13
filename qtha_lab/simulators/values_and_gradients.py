"""Values and slopes of a flat batch as two plain functions, whatever the engine: no graph is left behind.

What operators and transforms of torch are made of, which keep nothing from forward to backward.
"""

import torch
from torch import Tensor

from qtha_lab.circuits import Circuit, Readout
from qtha_lab.simulators.dispatch import evaluate

# What torch switches off inside operators and graphs. Without the first two a lazy `conj` does nothing.
_SWITCHED_OFF = ("Conjugate", "Negative", "ZeroTensor", "ADInplaceOrView")
_SWITCHED_OFF += ("AutogradCPU", "AutogradCUDA", "AutogradOther")


def values_of(
    inputs: Tensor, params: Tensor, circuit: Circuit, readout: Readout, engine: str
) -> Tensor:
    """What is read, (batch, readout size); see `route.evaluate`.

    Args:
        inputs: (batch, n_inputs), float32 or float64.
        params: (n_params,), of the same dtype and device.
        circuit: What to run.
        readout: What to read.
        engine: As asked for, "auto" or any other.
    """
    with _AllOfTorch(), torch.no_grad():
        return evaluate(circuit, readout, inputs, params, engine)


def gradients_of(
    inputs: Tensor, params: Tensor, grad: Tensor, circuit: Circuit, readout: Readout, engine: str,
    of_inputs: bool = True, of_params: bool = True,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """The slopes of inputs and params for those of the values; zeros where they are not asked for.

    Args:
        inputs: As for `values_of`, like all that is not named here.
        params: As for `values_of`.
        grad: Of the values, (batch, readout size).
        circuit: As for `values_of`.
        readout: As for `values_of`.
        engine: As for `values_of`.
        of_inputs: Whether the slopes of inputs are asked for.
        of_params: Whether those of params are.
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
    """A block in which torch works as outside of operators and graphs."""

    def __enter__(self) -> None:
        excluded = torch._C._dispatch_tls_local_exclude_set()
        for name in _SWITCHED_OFF:
            excluded = excluded.remove(getattr(torch._C.DispatchKey, name))
        included = torch._C._dispatch_tls_local_include_set()
        self.guard = torch._C._ForceDispatchKeyGuard(included, excluded)
        self.guard.__enter__()

    def __exit__(self, *problem) -> None:
        self.guard.__exit__(*problem)
