"""Generation of all weights of a network by one small circuit: `generate_into(module)`.

Quantum-Train as published: only the generator of the network's weights is trained, one for the
whole network (`share="net"`) or one per tensor. The method `quantum_train` generates changes of a
frozen model, layer by layer.

    weights of tensor t = s_t · w_t,   s_t = 1 / (√fan_in rms(w_t)) initially, then fixed [R]

So the initial weights have the size of torch's own initialisation, whereas an adapter starts at
zero. A bias uses the fan_in of its layer's weight. Tensors without such a weight, as in a
normalisation layer, keep the module's initial values and add the generated ones.

Source:
    Quantum-Train, arXiv:2405.11304: one circuit, one mapping, all weights. The scales are ours [R].
"""

import math
from collections.abc import Iterator
from typing import Any, Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call

from qtha_lab.adapters.generated_weights import WeightGenerator
from qtha_lab.adapters.peft import OUR_METHODS
from qtha_lab.adapters.quantum_train import QuantumTrainConfig
from qtha_lab.circuits import Circuit
from qtha_lab.core.errors import Refusal

Share = Literal["net", "tensor"]


def generate_into(module: nn.Module, share: Share = "net", **options: Any) -> "GeneratedNet":
    """Replace every parameter of a module by the output of a small circuit and mapping.

    Args:
        module: Any network; loses its parameters, keeps its buffers, and is used only through the
            result.
        share: One generator for the whole "net", or one per "tensor".
        options: Settings of Quantum-Train: `chunk`, `n_layers`, `mapping`, `generator` …

    Returns:
        A module with the call of the network and the parameters of the generator.

    Raises:
        Refusal: For a module without parameters, an unknown setting, or too many qubits.

    Example:
        >>> layers = nn.Conv1d(13, 32, 5), nn.ReLU(), nn.Flatten(), nn.Linear(32 * 60, 2)
        >>> net = nn.Sequential(*layers)
        >>> generated = generate_into(net, chunk=64)  # 5,954 weights, 94 chunks, 7 qubits
        >>> generated.n_weights, generated.n_parameters()  # 7 · 8 and 8-4-20-4-64
        (5954, 596)
        >>> generated(torch.zeros(3, 13, 64)).shape
        torch.Size([3, 2])

    Source:
        Quantum-Train, arXiv:2405.11304; for a convolutional network QT-CNN, arXiv:2410.09250.
    """
    if share not in get_args(Share):
        raise Refusal(f"share must be one of {', '.join(get_args(Share))}, got {share!r}.")
    if not any(True for _ in module.parameters()):
        raise Refusal(
            f"The module must have parameters, got a {type(module).__name__} without any."
        )
    config = OUR_METHODS["quantum_train"].make_config(**options)
    return GeneratedNet(module, config, share)


class GeneratedNet(nn.Module):
    """Network whose weights are generated at every call; made by `generate_into`.

    Attributes:
        module: The network, without parameters of its own.
        n_weights: Number of generated weights; a tensor shared by two layers counts once.
    """

    def __init__(self, module: nn.Module, config: QuantumTrainConfig, share: Share) -> None:
        super().__init__()
        self.names = _names_of_parameters(module)
        tensors = [module.get_parameter(names[0]) for names in self.names]
        self.shapes = [tensor.shape for tensor in tensors]
        self.n_weights = sum(map(torch.Size.numel, self.shapes))
        sizes = [self.n_weights] if share == "net" else [shape.numel() for shape in self.shapes]
        self.sources = nn.ModuleList(_Source(config, size) for size in sizes)
        fan_ins = [_fan_in(module, names[0]) for names in self.names]
        with torch.no_grad():
            raw = self._raw()
            self.register_buffer("scales", _scales(raw, fan_ins))
        for number, (tensor, fan_in) in enumerate(zip(tensors, fan_ins, strict=True)):
            if fan_in is None:
                self.register_buffer(f"start_{number}", tensor.detach().clone())
        for names in self.names:
            for name in names:
                owner, _, last = name.rpartition(".")
                module.get_submodule(owner).register_parameter(last, None)
        self.module = module

    def n_parameters(self) -> int:
        """Count the trained parameters by the formula of `generated_weights`."""
        return sum(source.generator.n_parameters() for source in self._sources())

    def circuits(self) -> list[Circuit]:
        """Return the circuits that run once per call."""
        return [circuit for source in self._sources() for circuit in source.generator.circuits()]

    def weights(self) -> dict[str, Tensor]:
        """Generate every weight by its name in the network, differentiable in the parameters.

        For several calls with the same weights: `functional_call(net.module, net.weights(), (x,))`.
        """
        weights: dict[str, Tensor] = {}
        scales = self.get_buffer("scales")
        for number, raw in enumerate(self._raw()):
            tensor = scales[number] * raw
            start = getattr(self, f"start_{number}", None)
            tensor = tensor if start is None else start + tensor
            weights |= dict.fromkeys(self.names[number], tensor)
        return weights

    def forward(self, *arguments: Any, **options: Any) -> Any:
        """Call the network with newly generated weights."""
        return functional_call(
            self.module, self.weights(), arguments, options, tie_weights=False, strict=False
        )

    def _sources(self) -> "Iterator[_Source]":
        yield from (source for source in self.sources if isinstance(source, _Source))

    def _raw(self) -> list[Tensor]:
        """Generate the unscaled values of each tensor, in its shape."""
        flat = torch.cat([source() for source in self._sources()])
        parts = flat.split([shape.numel() for shape in self.shapes])
        return [part.reshape(shape) for part, shape in zip(parts, self.shapes, strict=True)]


class _Source(nn.Module):
    """Generator with its tensors."""

    def __init__(self, config: QuantumTrainConfig, n_weights: int) -> None:
        super().__init__()
        self.generator: WeightGenerator = config.generator_of(n_weights)
        self.generator.check(f"{n_weights} weights")
        specs, start = self.generator.tensors(), self.generator.start()
        self.tensors = nn.ParameterDict(
            {name: nn.Parameter(start[name], spec.trainable) for name, spec in specs.items()}
        )

    def forward(self) -> Float[Tensor, "n_weights"]:
        return self.generator.weights(dict(self.tensors.items()))


def _names_of_parameters(module: nn.Module) -> list[list[str]]:
    """Return the names of each parameter in the module's order, several if shared."""
    names: dict[int, list[str]] = {}
    for name, parameter in module.named_parameters(remove_duplicate=False):
        names.setdefault(id(parameter), []).append(name)
    return list(names.values())


def _fan_in(module: nn.Module, name: str) -> int | None:
    """Return the number of inputs per output of a parameter's layer.

    Returns None for a layer without a weight of two or more dimensions.
    """
    parameter = module.get_parameter(name)
    if parameter.dim() > 1:
        return parameter[0].numel()
    owner = module.get_submodule(name.rpartition(".")[0])
    weight = getattr(owner, "weight", None)
    return weight[0].numel() if isinstance(weight, Tensor) and weight.dim() > 1 else None


def _scales(raw: list[Tensor], fan_ins: list[int | None]) -> Float[Tensor, "n_tensors"]:
    """Compute the factor per tensor that gives a root mean square of 1 / √fan_in."""
    scales = []
    for tensor, fan_in in zip(raw, fan_ins, strict=True):
        spread = tensor.square().mean().sqrt()
        size = 1 / math.sqrt(tensor.numel() if fan_in is None else fan_in)
        scales.append(size / spread if spread > 0 else torch.ones_like(spread))
    return torch.stack(scales)
