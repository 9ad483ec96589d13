"""Size an adapter to a parameter budget, with warnings of size and first step.

On small models the authors' waist of 256 costs more than LoRA, so waist, bond dimension and r are
searched.

Adam moves every parameter with a gradient by the learning rate η, whatever the gradient's size. So
the first step depends on the initialisation and η alone. It is measured on one layer with random
inputs and gradients of unit variance. LoRA's step (r = 8, alpha = 16, PEFT's initialisation) is η ·
2 · √(8/3). This is the scale times the norm of A x, whose entries have variance 1/3. The measure
and the limit are ours.
"""

from __future__ import annotations

import copy
import dataclasses
import itertools
import math
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

import torch
from peft import LoraConfig, PeftConfig
from torch import nn

from qtha_lab.adapters.adapted_model import (
    adapted_layers,
    adapted_sizes,
    check_targets,
    count_trainable,
    kind_of,
    targets_of,
)
from qtha_lab.adapters.change import Base, Change, Layer
from qtha_lab.adapters.peft import AdapterConfig, AdapterLayer
from qtha_lab.core.errors import Refusal

Config = TypeVar("Config", bound=AdapterConfig)

# Search grid; settings fixed by the caller are not searched.
GRID = {
    "r": (2, 3, 4, 5, 6, 7, 8, 9, 10),
    "waist": (4, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256),
    "bond_dim": (1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 16),
}
USUAL_R = 8  # default for a reference config without r
# Counts within this share of the best are equivalent; r decides among them.
NEAR = 0.02


def for_budget(
    config_class: type[Config],
    model: nn.Module,
    *,
    trainable_parameters: int | None = None,
    fraction_of: PeftConfig | None = None,
    fraction: float = 1.0,
    target_modules: Any = None,
    **fixed: Any,
) -> Config:
    """Search the config with the most parameters within a budget.

    Args:
        config_class: `QthaConfig`, or another class with r, waist and bond_dim.
        model: Model to adapt; may be on the meta device.
        trainable_parameters: Budget for all adapted layers together.
        fraction_of: Alternative: a config whose parameter count on this model is the budget …
        fraction: … times this fraction.
        target_modules: Modules to adapt; default those of `fraction_of`, else PEFT's choice.
        fixed: Settings that are not searched, such as r=4.

    Raises:
        Refusal: If both or neither budget is given, or the smallest adapter exceeds the budget.
    """
    if (trainable_parameters is None) == (fraction_of is None):
        raise Refusal(
            "Either trainable_parameters or fraction_of must be given, got "
            f"{'neither' if fraction_of is None else 'both'}."
        )
    targets = target_modules
    if fraction_of is not None:
        targets = targets_of(fraction_of) if targets is None else targets
        reference = dataclasses.replace(fraction_of, target_modules=targets)
        budget = int(fraction * count_trainable(model, reference))
    else:
        budget = int(trainable_parameters or 0)
    smallest = {name: values[0] for name, values in GRID.items() if name not in fixed}
    start = config_class(target_modules=targets, **smallest, **fixed)
    check_targets(model, targets)
    choices = list(_choices(start, adapted_layers(model, start), fixed))
    affordable = [choice for choice in choices if choice[0] <= budget]
    if not affordable:
        raise Refusal(
            f"trainable_parameters must be at least {min(count for count, _ in choices):,} here, "
            f"got {budget:,}. Raise the budget, or state fewer settings."
        )
    target_r = getattr(fraction_of, "r", None) or USUAL_R
    best = max(count for count, _ in affordable)
    near = [choice for choice in affordable if choice[0] >= (1 - NEAR) * best]
    _, values = min(near, key=lambda choice: _preference(choice, target_r))
    return config_class(target_modules=targets, **fixed, **values)


def _choices(start: AdapterConfig, layers: list[Layer], fixed: dict) -> Iterator[tuple[int, dict]]:
    """Yield every point of the grid with its parameter count on all layers."""
    groups = _groups(start, layers)
    free = [name for name in GRID if name not in fixed and _matters(start, name)]
    for point in itertools.product(*(GRID[name] for name in free)):
        values = dict(zip(free, point, strict=True))
        candidate = dataclasses.replace(start, **values)
        yield sum(n * candidate.n_parameters_of(group) for group, n in groups), values


def _groups(start: AdapterConfig, layers: list[Layer]) -> list[tuple[list[Layer], int]]:
    """Group layers that are counted together, with their multiplicity.

    Independent layers are grouped by size; otherwise all layers form one group.
    """
    patterned = any(getattr(start, name, None) for name in ("rank_pattern", "alpha_pattern"))
    if patterned or any(start.change(layer).shared_tensors() for layer in layers):
        return [(layers, 1)]
    sizes = Counter((layer.in_features, layer.out_features) for layer in layers)
    return [([Layer(*size)], n) for size, n in sizes.items()]


def _matters(start: AdapterConfig, name: str) -> bool:
    return name == "r" or getattr(start, "use_mpo", True)


def _preference(choice: tuple[int, dict], target_r: int) -> tuple:
    """Rank choices: nearest r first, then larger count, then wider waist."""
    count, values = choice
    return abs(values.get("r", target_r) - target_r), -count, -values.get("waist", 0)


def size_warning(
    model: nn.Module, peft_config: PeftConfig, reference: PeftConfig | None = None
) -> str | None:
    """Return a warning if a config trains more parameters than its LoRA reference.

    Args:
        model: Model to adapt; may be on the meta device.
        peft_config: Config to check.
        reference: Config to compare with; default LoRA r=8 on the same modules.
    """
    if reference is None or isinstance(reference, type):
        reference = LoraConfig(r=8, lora_alpha=16, target_modules=targets_of(peft_config))
    counts = count_trainable(model, peft_config), count_trainable(model, reference)
    return size_sentence(peft_config, counts[0], reference, counts[1])


def size_sentence(
    peft_config: PeftConfig, trainable: int, reference: PeftConfig, reference_trainable: int
) -> str | None:
    """Return the `size_warning` of two configs with known parameter counts.

    Returns:
        One sentence, or None if the config trains no more than the reference.

    Example:
        >>> size_sentence(LoraConfig(r=16), 2000, LoraConfig(r=8), 1000)
        'lora trains 2,000 parameters here, 2.0 times the 1,000 of lora(r=8)'
    """
    if trainable <= reference_trainable:
        return None
    name = kind_of(peft_config)
    hint = (
        f"; {type(peft_config).__name__}.for_budget(...) finds a smaller one"
        if hasattr(peft_config, "for_budget")
        else ""
    )
    return (
        f"{name} trains {trainable:,} parameters here, "
        f"{trainable / reference_trainable:.1f} times the {reference_trainable:,} of "
        f"{kind_of(reference)}(r={getattr(reference, 'r', '?')}){hint}"
    )


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
