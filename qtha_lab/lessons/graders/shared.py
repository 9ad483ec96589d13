"""Checks and reference values that several lessons share."""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

ENGINE = "torch"  # of references, since it compiles no kernel, which takes a minute without a cache
BELL = torch.tensor([[[1, 0], [0, 1]]], dtype=torch.complex128) / 2**0.5
"""The state (|00⟩ + |11⟩)/√2 as a batch of one."""


def has_keys(state: Any, names: Iterable[str]) -> bool:
    """Return True if an answer is the state of an explorer with these names."""
    return isinstance(state, Mapping) and {*names} <= {*state}


def has_values(state: Mapping[str, Any], **values: Any) -> bool:
    """Return True if the state of an explorer has these values."""
    return all(state[name] == value for name, value in values.items())


def are_among(answer: Any, names: Iterable[str]) -> bool:
    """Return True if an answer holds some of the names and nothing else."""
    return 0 < len({*answer}) == len({*answer} & {*names})


def lacks(answer: Any, name: str) -> bool:
    """Return True if an answer does not hold a name."""
    return name not in {*answer}


def has_size(answer: Any, size: int) -> bool:
    """Return True if an answer holds so many different names."""
    return len({*answer}) == size


def random_states(*sizes: int, seed: int = 0) -> Tensor:
    """Return random complex amplitudes of a shape, not normalised."""
    torch.manual_seed(seed)
    return torch.view_as_complex(torch.randn(*sizes, 2, dtype=torch.float64))


def normalised_states(rows: int, n_qubits: int) -> Tensor:
    """Return random states of length one, as a batch with an axis for each wire."""
    states = random_states(rows, 2**n_qubits)
    return (states / states.norm(dim=1, keepdim=True)).reshape(rows, *[2] * n_qubits)


def real_parts(values: Any) -> Tensor:
    """Return real and imaginary parts on a last axis."""
    return torch.view_as_real(torch.as_tensor(values).to(torch.complex128).contiguous())


def z_means(probs: Tensor) -> Tensor:
    """Return ⟨Z⟩ of every wire from probabilities (…, 2ⁿ)."""
    n_qubits = (probs.shape[-1] - 1).bit_length()
    bits = torch.arange(probs.shape[-1])[:, None] >> torch.arange(n_qubits - 1, -1, -1) & 1
    return probs.double() @ (1 - 2 * bits).double()


def flat_gradient(result: Tensor, tensors: Iterable[Tensor]) -> Tensor:
    """Return the gradients of a number with respect to tensors, as one vector."""
    return torch.cat([g.flatten() for g in torch.autograd.grad(result, list(tensors))])


def n_trained(model: torch.nn.Module) -> int:
    """Return the number of trained parameters."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)
