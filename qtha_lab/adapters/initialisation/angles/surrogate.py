"""Regression of a bottleneck map, r numbers in and r out, without a language model.

The map is that of a random SiLU network or of a trained run's layer. The loss evaluates the circuit
alone:

    loss = share of the linear branch's residual that remains after the best linear map of ⟨Z⟩

The loss is between 0 and 1, and independent of W_q, W_c and B. Inputs are assumed normal with
variance 1, as in the balanced initialisation of QTHA.

Source:
    Ours [R].
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from qtha_lab.circuits import Circuit
from qtha_lab.core.errors import Refusal
from qtha_lab.simulators import expval_z

SAMPLES = 64
RIDGE = 1e-6


@dataclass(frozen=True)
class Surrogate:
    """Inputs and targets of a bottleneck map.

    Attributes:
        inputs: Inputs of the circuit, in radians.
        targets: Outputs of the map.
    """

    inputs: Float[Tensor, "samples r"]
    targets: Float[Tensor, "samples outputs"]

    def cost(self, circuit: Circuit) -> Callable[[Tensor], Tensor]:
        """Return the loss as a function of a circuit's angles."""
        if circuit.n_inputs != self.inputs.shape[1]:
            raise Refusal(
                f"The circuit must have {self.inputs.shape[1]} inputs, as the map, got "
                f"{circuit.n_inputs}."
            )
        return lambda angles: self.loss(
            expval_z(circuit, self.inputs, angles.to(self.inputs.dtype))
        )

    def loss(self, readings: Float[Tensor, "samples k"]) -> Float[Tensor, ""]:
        """Compute the loss of a circuit's expectation values."""
        ones = self.inputs.new_ones(len(self.inputs), 1)
        linear = torch.cat([ones, self.inputs], 1)
        rest = _residual(linear, self.targets).square().sum()
        both = _residual(torch.cat([linear, readings], 1), self.targets).square().sum()
        return both / rest


def _residual(design: Tensor, targets: Tensor) -> Tensor:
    """Compute the residual of the targets after linear regression on the design."""
    gram = design.mT @ design / len(design)
    gram = gram + RIDGE * torch.eye(len(gram), dtype=gram.dtype)
    return targets - design @ torch.linalg.solve(gram, design.mT @ targets / len(design))


def silu_surrogate(r: int, seed: int, samples: int = SAMPLES) -> Surrogate:
    """Build a random map of two linear layers with SiLU, on normal inputs.

    Args:
        r: Number of inputs and outputs; the layers are r → 2 r → r.
        seed: Seed of inputs and map.
        samples: Number of inputs.

    Example:
        >>> task = silu_surrogate(2, seed=0)
        >>> round(task.loss(task.targets).item(), 3)  # a circuit that were the map leaves nothing
        0.0
    """
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    inputs = normal(samples, r)
    first, last = 2 * normal(2 * r, r) / r**0.5, normal(r, 2 * r) / (2 * r) ** 0.5
    return Surrogate(inputs, torch.nn.functional.silu(inputs @ first.mT) @ last.mT)
