"""Regression of the map of a trained bottleneck by a circuit."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from peft import PeftConfig
from torch import Tensor

from qtha_lab.adapters.initialisation.angles.saved_tensors import SavedAdapter
from qtha_lab.adapters.qtha_bottleneck import Branches
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


def surrogates_of_run(name: str, seed: int = 0, samples: int = SAMPLES) -> Iterator[Surrogate]:
    """Yield the input-output map of each layer's bottleneck, on normal inputs.

    Args:
        name: Run of qtha or qtha_gradient with a non-linear bottleneck, or a folder of its adapter.
        seed: Seed of the inputs.
        samples: Number of inputs per layer.
    """
    saved = SavedAdapter.of(name)
    config: Any = PeftConfig.from_pretrained(str(saved.folder))
    if not config.peft_type.value.startswith("QTHA") or not _branches(config):
        raise Refusal(
            f"The run must have a circuit or a stand-in in its bottleneck, got {name!r}. Choose a "
            "run of qtha with use_circuit=True."
        )
    bottleneck = Branches(config, (1, 1))  # the part between A and B does not depend on them
    generator = torch.Generator().manual_seed(seed)
    for layer in saved.layers:
        tensors = {key: tensor.double() for key, tensor in saved.at(layer).items()}
        inputs = torch.randn(samples, config.r, generator=generator, dtype=torch.float64)
        with torch.no_grad():
            yield Surrogate(inputs, bottleneck.z(tensors, inputs))


def _branches(config: Any) -> bool:
    middle = getattr(config, "middle", None)
    return config.use_circuit if middle is None else middle == "circuit"
