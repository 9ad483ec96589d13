"""A task without a language model: match a map of the bottleneck, r numbers in and r out.

The map is a random SiLU network's, or that of a trained run's layer. What is judged is the circuit
alone:

    loss = share of what the linear branch leaves that the best linear map of the circuit's ⟨Z⟩
    leaves too

between 0 and 1, and independent of W_q, W_c and B. That inputs are normal with variance 1, as a
balanced start of QTHA makes them, is an assumption.

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
    """Inputs and what a map makes of them.

    Attributes:
        inputs: What the circuit reads, in radians.
        targets: What a teacher gives.
    """

    inputs: Float[Tensor, "samples r"]
    targets: Float[Tensor, "samples outputs"]

    def cost(self, circuit: Circuit) -> Callable[[Tensor], Tensor]:
        """The loss as a function of a circuit's angles.

        Raises:
            Refusal: If the circuit does not read as many numbers as the map.
        """
        if circuit.n_inputs != self.inputs.shape[1]:
            raise Refusal(
                f"the map has {self.inputs.shape[1]} inputs, and the circuit reads {circuit.n_inputs}"
            )
        return lambda angles: self.loss(
            expval_z(circuit, self.inputs, angles.to(self.inputs.dtype))
        )

    def loss(self, readings: Float[Tensor, "samples k"]) -> Float[Tensor, ""]:
        """The loss of what a circuit gives for the inputs."""
        ones = self.inputs.new_ones(len(self.inputs), 1)
        linear = torch.cat([ones, self.inputs], 1)
        rest = _left_over(linear, self.targets).square().sum()
        both = _left_over(torch.cat([linear, readings], 1), self.targets).square().sum()
        return both / rest


def _left_over(design: Tensor, targets: Tensor) -> Tensor:
    """What the best linear map of the design leaves of the targets."""
    gram = design.mT @ design / len(design)
    gram = gram + RIDGE * torch.eye(len(gram), dtype=gram.dtype)
    return targets - design @ torch.linalg.solve(gram, design.mT @ targets / len(design))


def silu_surrogate(r: int, seed: int, samples: int = SAMPLES) -> Surrogate:
    """A random map: two linear layers r → 2 r → r with SiLU between them, on normal inputs.

    Args:
        r: Numbers in and out.
        seed: Of inputs and map.
        samples: Inputs.

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
