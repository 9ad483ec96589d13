"""Size of the first optimiser step in a layer's output, relative to LoRA's.

Adam moves every parameter with a gradient by the learning rate η, whatever the gradient's size. So
the first step depends on the initialisation and η alone. It is measured on one layer with random
inputs and gradients of unit variance. LoRA's step (r = 8, alpha = 16, PEFT's initialisation) is η ·
2 · √(8/3). This is the scale times the norm of A x, whose entries have variance 1/3.

The measure and the limit are ours.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable

import torch
from peft import PeftConfig
from torch import nn

from qtha_lab.adapters.adapted_model import adapted_sizes
from qtha_lab.adapters.change import Base, Change, Layer
from qtha_lab.adapters.peft import AdapterConfig, AdapterLayer

LORA = 2 * math.sqrt(8 / 3)
LORA_RATE = 3e-3
FAR = 20  # factor on LoRA's step from which a warning is given
_MOST_QUBITS = 10  # of a circuit that is simulated for the warning


def reach(change: Change, tokens: int = 32, seed: int = 0) -> float:
    """Measure the RMS output change of the first Adam step, divided by the learning rate.

    Args:
        change: Method at one layer; initialised here as its config states.
        tokens: Number of random inputs of unit variance to average over.
        seed: Seed of initialisation, inputs, gradient and weight; the global random state stays
            unchanged.

    Returns:
        The change per unit of learning rate; LoRA's is about `LORA`.
    """
    n, m = change.layer.in_features, change.layer.out_features
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        tensors = change.start(torch.float64)
        x = torch.randn(tokens, n, dtype=torch.float64)
        gradient = torch.randn(tokens, m, dtype=torch.float64)

    def weight() -> torch.Tensor:  # lazy, since drawing n · m numbers is slow
        generator = torch.Generator().manual_seed(seed + 1)
        return torch.randn(m, n, dtype=torch.float64, generator=generator) / math.sqrt(n)

    base = Base(weight, lambda: torch.nn.functional.linear(x, base.weight))
    specs = change.all_tensors().items()
    trained = [tensors[name].requires_grad_() for name, spec in specs if spec.trainable]
    if not trained:
        return 0.0
    before = change.output(tensors, x, base)
    gradients = torch.autograd.grad(before, trained, gradient, allow_unused=True)
    step = 1e-6
    with torch.no_grad():
        for tensor, derivative in zip(trained, gradients, strict=True):
            if derivative is not None:
                tensor.add_(derivative.sign(), alpha=step)
        difference = change.output(tensors, x, base) - before
    return float(difference.square().mean().sqrt()) / step


def times_lora(config: AdapterConfig, layer: Layer, learning_rate: float) -> float:
    """Return the first step relative to LoRA's at its default learning rate."""
    config = copy.deepcopy(config)
    if hasattr(config, "engine"):
        # nothing is sent to a remote backend, and no kernels are compiled for float64
        setattr(config, "engine", "torch")  # noqa: B010
    return learning_rate * reach(config.change(layer)) / (LORA_RATE * LORA)


def first_step_warning(model: nn.Module, config, learning_rate: float) -> str | None:
    """Return a warning if the first step is many times larger than LoRA's.

    Returns None for methods that are not ours.

    Args:
        model: Base model, maybe on the meta device, or the model with the adapter.
        config: A PEFT config.
        learning_rate: Peak learning rate of the optimiser.
    """
    if not isinstance(config, AdapterConfig):
        return None
    adapted = [m for m in model.modules() if isinstance(m, AdapterLayer)]
    sizes = [(m.in_features, m.out_features) for m in adapted]
    return first_step_sentence(sizes or adapted_sizes(model, config), config, learning_rate)


def first_step_sentence(
    sizes: Iterable[tuple[int, int]], config: PeftConfig, learning_rate: float
) -> str | None:
    """Return the `first_step_warning` for the sizes of all adapted layers.

    Returns:
        None if the step is less than `FAR` times LoRA's, the method is not ours, or a circuit has
        too many qubits to be simulated here.

    Example:
        >>> from peft import LoraConfig
        >>> first_step_sentence([(32, 16)], LoraConfig(r=8), 1.0) is None
        True
    """
    if not isinstance(config, AdapterConfig):
        return None
    sizes = tuple(sizes)
    layers = [Layer(*size, index=sizes.index(size), sizes=sizes) for size in set(sizes)]
    circuits = (circuit for layer in layers for circuit in config.change(layer).circuits())
    if any(circuit.n_qubits > _MOST_QUBITS for circuit in circuits):
        return None
    times = max(times_lora(config, layer, learning_rate) for layer in layers)
    if times < FAR:
        return None
    start = config.change_class.small_first_step
    return (
        f"the first step moves a layer's output about {times:.0f} times as far as LoRA's does at "
        f"{LORA_RATE:g}: a learning rate near "
        f"{learning_rate / times:.0e}{start and f' or {start}'} starts as gently"
    )
