"""Trained parameters, merging and bounds of rank of related methods on one square layer.

Counts come from the methods' formulas; ranks of random changes from small layers. Trains nothing.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import torch

from qtha_lab.adapters.change import Layer
from qtha_lab.adapters.registry import get_method

RELATIVES: dict[str, dict[str, Any]] = {
    "qtha": {"waist": 256, "bond_dim": 8},
    "quanta": {},
    "quantum_peft": {},
    "qpa": {},
    "quantum_train": {},
}
"""Settings of each relative beside r; those of QTHA are published."""
LORA = "lora"
SMALL = 48  # width of the layer whose random change has its rank measured
TOLERANCE = 1e-9  # of the largest singular value


class MappedMethod(NamedTuple):
    """One method on a square layer.

    Attributes:
        name: Name of the method.
        parameters: Trained parameters.
        merges: True if the change is one matrix.
        bounded: True if the rank of the change is at most r.
    """

    name: str
    parameters: int
    merges: bool
    bounded: bool


def method_map(width: int, r: int = 4) -> list[MappedMethod]:
    """Return LoRA and its quantum relatives on a layer of equal inputs and outputs.

    Example:
        >>> [f"{m.name} {m.parameters:,}" for m in method_map(4096, r=4)][:3]
        ['lora 32,768', 'qtha 11,360', 'quanta 24,576']
    """
    lora = MappedMethod(LORA, 2 * r * width, True, True)
    return [lora, *(_mapped(name, width, r) for name in RELATIVES)]


@functools.lru_cache(maxsize=1024)
def _mapped(name: str, width: int, r: int) -> MappedMethod:
    config = _config(name, r)
    count = config.change(Layer(width, width)).n_parameters()
    merges = get_method(name).is_linear(config)
    return MappedMethod(name, count, merges, random_rank(name, r) <= r)


@functools.lru_cache(maxsize=64)
def random_rank(name: str, r: int) -> int:
    """Return the rank of a random change of a small layer.

    Args:
        name: Name of a relative.
        r: Inner size.

    Example:
        >>> random_rank("qtha", 4), random_rank("quanta", 4)
        (4, 48)
    """
    config = _config(name, r)
    config.init_weights = False
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        change = config.change(Layer(SMALL, SMALL))
        tensors = change.start(torch.float64)
        x = torch.randn(3 * SMALL, SMALL, dtype=torch.float64)
    with torch.no_grad():
        values = torch.linalg.svdvals(change.delta(tensors, x))
    return int((values > TOLERANCE * values[0]).sum())


def _config(name: str, r: int) -> Any:
    options = dict(RELATIVES[name])
    if "r" in get_method(name).settings():
        options["r"] = r
    return get_method(name).make_config(None, ["layer"], **options)
