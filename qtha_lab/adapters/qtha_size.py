"""Choice of QTHA's size: at most 24 % of LoRA's parameters (r = 8).

Chooses the open ones of waist, r, bond_dim and n_layers, once, from the sizes of all adapted
layers. Independent of models and PEFT: `peft.model` calls this module at injection,
`experiment.plan` when a run is planned.

Choices are ordered by r up to 4, bond_dim up to 2, then waist, n_layers up to 2, r and bond_dim. So
the waist is the largest for r = 4 and bond_dim = 2. The rest of the budget goes to a second layer,
r and bond_dim.

Source:
    24 % is the share of arXiv:2503.12790 ("76 % fewer parameters"). The order is ours [R].
"""

import dataclasses
import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from qtha_lab.adapters.qtha_operators import operator_shapes
from qtha_lab.core.errors import Refusal

if TYPE_CHECKING:
    from qtha_lab.adapters.qtha_config import QthaConfig

SHARE, LORA_R = 0.24, 8
PAPER = {"r": 8, "waist": 256, "bond_dim": 8}  # values of the authors
FIRST = {"r": 4, "bond_dim": 2}  # reached before the waist increases
GRID = {
    "waist": (4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256),
    "n_layers": (1, 2),
    "r": (1, 2, 3, 4, 5, 6, 7, 8),
    "bond_dim": (1, 2, 3, 4, 5, 6, 7, 8),
}
Sizes = Sequence[tuple[int, int]]


def budget(sizes: Sizes) -> int:
    """Compute the parameter budget for layers of these sizes.

    Example:
        >>> budget([(192, 192), (192, 64)])  # 0.24 · 8 · (384 + 256)
        1228
    """
    return int(SHARE * LORA_R * sum(map(sum, sizes)))


def chosen_size(config: "QthaConfig", sizes: Sizes) -> dict[str, int]:
    """Choose waist, r, bond_dim and n_layers of a config.

    Values that the config states are not changed.
    """
    for name in ("classical_layers", "rank_pattern"):
        if getattr(config, name):
            raise Refusal(f"waist must be a number beside {name}, got auto. Set waist.")
    layers, most = Counter(sizes), budget(sizes)
    counts = []
    for point in _points(config):
        if (count := _count_full(config, point, layers)) <= most:
            own = dataclasses.replace(config, **point)
            count = max(count, sum(n * own.n_parameters(*size) for size, n in layers.items()))
            if count <= most:
                return point
        counts.append(count)
    raise Refusal(
        "waist must be a number here, got auto: the smallest QTHA of these settings trains "
        f"{min(counts):,} parameters, more than {SHARE:.0%} of LoRA r={LORA_R} ({most:,}). "
        "Set waist, or do not set r and bond_dim."
    )


def _points(config: "QthaConfig") -> Iterator[dict[str, int]]:
    """Yield every choice of the open numbers, in order of preference."""
    from qtha_lab.circuits import ansatze

    stated = {name: v for name in GRID if (v := getattr(config, name)) is not None}
    least = 1 if config.stand_in != "none" or not config.use_circuit else None
    least = least or ansatze.get(config.ansatz).min_qubits
    values = {name: (stated[name],) if name in stated else GRID[name] for name in GRID}
    values["r"] = [r for r in values["r"] if r >= least or "r" in stated]
    points = [
        dict(zip(values, point, strict=True)) for point in itertools.product(*values.values())
    ]
    yield from sorted(points, key=_preference, reverse=True)


def _preference(point: Mapping[str, int]) -> tuple[int, ...]:
    reached = (min(point[name], most) for name, most in FIRST.items())
    return (*reached, *(point[name] for name in GRID))


def _count_full(config: "QthaConfig", point: Mapping[str, int], layers: Mapping) -> int:
    """Count the parameters of QTHA with all its branches, by the formula of `qtha`.

    So a control without a branch has the same size.
    """
    waist, r = point["waist"], point["r"]
    inside = 2 * waist * r + 2 * r**2 + 4 * r * point["n_layers"]
    factors = config.n_sites, config.in_dims, config.out_dims
    total = 0
    for size, n in layers.items():
        shapes = operator_shapes(*size, waist, point["bond_dim"], *factors)
        total += n * (inside + sum(shape.n_parameters for shape in shapes))
    return total
