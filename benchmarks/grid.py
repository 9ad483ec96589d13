"""What a simulator benchmark is to measure and within what time, and one line of what it found."""

import statistics
from dataclasses import dataclass, field
from typing import Any

from benchmarks.contenders import PATIENCE
from benchmarks.problem import CHECKED
from qtha_lab.core.errors import Refusal

LEAST_ROUNDS = 3
QUICK = {"qubits": (4, 8), "layers": (4,), "batches": (64, 2048), "rounds": 3, "seconds": 0.5}


@dataclass(frozen=True)
class Grid:
    """What is to be measured, in this order of layers, then qubits, then batches.

    `seconds` is the budget of one contender in one case; after `minutes` no case is begun. Whoever
    compiles for every
    shape, and took more than `longest_first` seconds for a first call, is not asked for a larger
    batch.

    Raises:
        ValueError: If a size is too small to be checked or timed.
    """

    qubits: tuple[int, ...] = (4, 6, 8, 10, 12)
    layers: tuple[int, ...] = (4, 1, 8)
    batches: tuple[int, ...] = (64, 2048, 16384)
    rounds: int = 5
    seconds: float = 1.5
    minutes: float = 12.0
    longest_first: float = 40.0

    def __post_init__(self):
        least = {"qubits": 2, "layers": 1, "batches": CHECKED}
        for name, bound in least.items():
            sizes = getattr(self, name)
            if not sizes or min(sizes) < bound:
                sizes_text = ", ".join(map(str, sizes)) or "none"
                raise Refusal(f"{name} must be {bound} or more, not {sizes_text}")
        for name in ("rounds", "seconds", "minutes", "longest_first"):
            if getattr(self, name) <= 0:
                raise Refusal(f"{name} must be positive, not {getattr(self, name)}")

    @property
    def patience(self) -> float:
        """Seconds for one answer of a peer.

        A larger shape may compile longer than the one that was tried.
        """
        return max(PATIENCE, 2 * self.longest_first)

    @property
    def longest_turn(self) -> float:
        """Seconds of values with gradients at which samples are no longer doubled.

        Twice that, values alone beside them, and a round to fit them still is within the budget.
        """
        return self.seconds / (2 * 1.5 * (LEAST_ROUNDS + 1))


@dataclass
class Row:
    """One contender in one case; seconds are of `samples` samples, all counted turns."""

    contender: str
    n_qubits: int
    n_layers: int
    batch: int
    samples: int = 0
    forward: list[float] = field(default_factory=list)
    backward: list[float] = field(default_factory=list)
    differences: dict[str, float] = field(default_factory=dict)
    first_seconds: float | None = None
    peak_bytes: int | None = None
    spent_seconds: float = 0.0
    left_out: str = ""

    def as_dict(self) -> dict[str, Any]:
        """As plain values, with medians in microseconds per sample."""
        return {**vars(self), **{f"{k}_us": self.microseconds(k) for k in ("forward", "backward")}}

    def microseconds(self, kind: str) -> float | None:
        """The median, per sample."""
        seconds = getattr(self, kind)
        return statistics.median(seconds) / self.samples * 1e6 if seconds else None
