"""Every engine and every peer on the QTHA circuit: agreement first, then time, taking turns.

Nobody is timed who disagrees. Whoever is too slow for a whole batch is timed on fewer samples, and
the row says so; whoever is too slow or too large even for that is left out, and the row says why.
"""

import math
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import torch

from qtha_lab.bench.contenders import Contender, ContenderError, EngineContender, open_peers
from qtha_lab.bench.machine import (
    commit,
    forget_peak_memory,
    machine,
    memory_bytes,
    package_versions,
)
from qtha_lab.bench.machine import peak_memory_bytes as peak
from qtha_lab.bench.problem import CHECKED, TOLERANCE, Problem
from qtha_lab.bench.roofline import roofline

FEW = 64  # samples of a first try
LEAST_ROUNDS = 3
GROWTH = 32  # most from one try to the next, since time and memory are extrapolated
MEMORY_SHARE = 0.4  # of what is free
LONGEST_FIRST = (
    20.0  # seconds of a first call, compilation included, after which there is no larger batch
)
AGAIN = 2048  # batches up to which few samples are timed again though a smaller batch had as few
QUICK = {"qubits": (4, 8), "layers": (4,), "batches": (64, 2048), "rounds": 3, "seconds": 0.5}
FAILURES = (ContenderError, ValueError, RuntimeError, MemoryError)


@dataclass(frozen=True)
class Grid:
    """What is to be measured; `seconds` is the budget of one contender in one case.

    Raises:
        ValueError: If a size is too small to be checked or timed.
    """

    qubits: tuple[int, ...] = (4, 6, 8, 10, 12)
    layers: tuple[int, ...] = (1, 4, 8)
    batches: tuple[int, ...] = (64, 2048, 16384)
    rounds: int = 5
    seconds: float = 1.5

    def __post_init__(self):
        least = {"qubits": 2, "layers": 1, "batches": CHECKED}
        for name, bound in least.items():
            sizes = getattr(self, name)
            if not sizes or min(sizes) < bound:
                said = ", ".join(map(str, sizes)) or "none"
                raise ValueError(f"{name} must be {bound} or more, not {said}")
        if self.rounds < 1 or self.seconds <= 0:
            raise ValueError(
                f"rounds and seconds must be positive, not {self.rounds} and {self.seconds}"
            )

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
        """As plain values, with medians in microseconds a sample."""
        return {**vars(self), **{f"{k}_us": self.microseconds(k) for k in ("forward", "backward")}}

    def microseconds(self, kind: str) -> float | None:
        """The median, a sample."""
        taken = getattr(self, kind)
        return statistics.median(taken) / self.samples * 1e6 if taken else None


def bench_simulators(
    grid: Grid,
    engines: Iterable[str],
    peers: Iterable[str],
    *,
    pythons: Mapping[str, Path] | None = None,
    on_case: Callable[[int, int, str], None] = lambda done, of, said: None,
) -> dict[str, Any]:
    """Measure values alone ("forward") and values with both gradients ("backward") of every contender.

    Args:
        grid: Sizes and budgets.
        engines: Names of engines, run in this process.
        peers: Names of `contenders.PEERS`, run in processes of their own, one at a time.
        pythons: The Python of a peer by its name, where it is not that of `make peers`.
        on_case: Called before every case with the cases done, their number and the case in words.

    Returns:
        `machine`, `versions`, `commit`, `settings`, `contenders`, `missing`, `rows`, `roofline`,
        `seconds`: plain values.

    Raises:
        ValueError: If an engine or a peer is unknown.
    """
    began, load = time.perf_counter(), psutil.getloadavg()[0]
    ours = [EngineContender(engine) for engine in engines]
    opened, missing = open_peers(list(peers), torch.get_num_threads(), pythons or {})
    contenders: list[Contender] = [*ours, *opened]
    try:
        with tempfile.TemporaryDirectory() as folder:
            rows = _Bench(grid, contenders, Path(folder)).run(on_case)
    finally:
        for contender in contenders:
            contender.close()
    plain = [row.as_dict() for row in rows]
    return {
        "benchmark": "simulators",
        "machine": {**machine(), "load_before": load},
        "commit": commit(),
        "versions": package_versions(),
        "settings": {**vars(grid), "dtype": "float32", "tolerance": TOLERANCE},
        "contenders": [_described(contender) for contender in contenders],
        "missing": missing,
        "rows": plain,
        "roofline": roofline(plain),
        "seconds": time.perf_counter() - began,
    }


def _described(contender: Contender) -> dict[str, Any]:
    kept = ("name", "title", "environment", "versions", "batched")
    return {name: getattr(contender, name) for name in kept}


@dataclass
class _Known:
    """What was seen of a contender on one circuit."""

    samples: int
    seconds: float
    peak_bytes: int
    first_seconds: float


class _Bench:
    """The contenders, and what is known of them so far."""

    def __init__(self, grid: Grid, contenders: list[Contender], folder: Path):
        self.grid, self.contenders, self.folder = grid, contenders, folder
        self.known: dict[tuple[str, int, int], _Known] = {}

    def run(self, on_case: Callable[[int, int, str], None]) -> list[Row]:
        rows: list[Row] = []
        sizes = [(n, layers) for layers in self.grid.layers for n in self.grid.qubits]
        total = len(sizes) * len(self.grid.batches)
        for n_qubits, n_layers in sizes:
            problem = Problem(n_qubits, n_layers, self.folder)
            for batch in sorted(self.grid.batches):
                said = f"{n_qubits} qubits, {n_layers} layers, batch {batch:,}"
                on_case(len(rows) // max(1, len(self.contenders)), total, said)
                rows += self._case(problem, batch)
        on_case(total, total, "")
        return rows

    def _case(self, problem: Problem, batch: int) -> list[Row]:
        """Fit every contender, then time them in turns."""
        pairs = [
            (contender, Row(contender.name, problem.n_qubits, problem.n_layers, batch))
            for contender in self.contenders
        ]
        for contender, row in pairs:
            _guarded(row, lambda c=contender, r=row: self._fit(c, r, problem))
        for turn in range(max(self.grid.rounds, LEAST_ROUNDS)):
            for contender, row in pairs if turn % 2 else reversed(pairs):
                if not row.left_out and turn < self._rounds(contender, row):
                    _guarded(row, lambda c=contender, r=row: _take_turn(c, r))
        return [row for _, row in pairs]

    def _rounds(self, contender: Contender, row: Row) -> int:
        seconds = self.known[self._place(contender, row)].seconds
        fitting = int(self.grid.seconds / (1.5 * seconds)) - 1
        return max(min(self.grid.rounds, fitting), min(self.grid.rounds, LEAST_ROUNDS))

    def _fit(self, contender: Contender, row: Row, problem: Problem) -> None:
        """Prepare the most samples of the batch that fit the budget, checked and warmed up."""
        known = self.known.get(self._place(contender, row))
        if known is None:
            samples = min(row.batch, FEW if contender.batched else CHECKED)
        else:
            samples = self._allowed(known, row.batch)
            row.left_out = self._too_much(known, row.batch, samples)
        while not row.left_out:
            row.samples = samples
            known = self._try(contender, row, problem)
            samples = self._allowed(known, row.batch)
            if samples <= row.samples:
                return

    def _try(self, contender: Contender, row: Row, problem: Problem) -> _Known | None:
        """Check and time once; what is known now."""
        contender.prepare(problem.case(row.samples))
        forget_peak_memory(contender.process)
        before, began = memory_bytes(contender.process), time.perf_counter()
        found = contender.check()
        row.first_seconds = time.perf_counter() - began
        seen = peak(contender.process)
        row.peak_bytes = seen - before if seen and before else None
        row.differences = problem.differences(found, row.samples)
        row.left_out = _disagreement(row.differences)
        contender.time("forward")
        seconds = contender.time("backward")
        first = row.first_seconds if row.first_seconds > 5 * seconds else 0.0
        known = _Known(row.samples, seconds, row.peak_bytes or 0, first)
        self.known[self._place(contender, row)] = known
        return known

    def _allowed(self, known: _Known, batch: int) -> int:
        """How many samples to try next: more by powers of two, while time and memory allow it.

        Few samples cost more each than many, so who is below the longest turn is tried on twice as many.
        """
        free = MEMORY_SHARE * psutil.virtual_memory().available
        fitting = min(GROWTH, free / max(known.peak_bytes, 1))
        wanted = self.grid.longest_turn / known.seconds
        if wanted <= 1 or fitting < 2:
            return min(known.samples, batch)
        return min(known.samples * 2 ** max(1, int(math.log2(min(wanted, fitting)))), batch)

    def _too_much(self, known: _Known, batch: int, samples: int) -> str:
        """Why a contender is not tried on a larger batch of a circuit it has run; empty if it is."""
        if known.first_seconds > LONGEST_FIRST:
            return f"its first call of a shape takes {known.first_seconds:.0f} s"
        if batch > AGAIN and samples <= known.samples:
            a_sample = known.seconds / known.samples
            turn = a_sample * batch
            return f"{batch:,} samples would take {turn:.1f} s a turn, past the budget"
        return ""

    @staticmethod
    def _place(contender: Contender, row: Row) -> tuple[str, int, int]:
        return contender.name, row.n_qubits, row.n_layers


def _take_turn(contender: Contender, row: Row) -> None:
    row.forward.append(contender.time("forward"))
    row.backward.append(contender.time("backward"))


def _guarded(row: Row, work: Callable[[], None]) -> None:
    """Do it; a failure leaves the row out and says why."""
    began = time.perf_counter()
    try:
        work()
    except FAILURES as wrong:
        row.left_out = str(wrong) or type(wrong).__name__
        row.forward, row.backward = [], []
    row.spent_seconds += time.perf_counter() - began


def _disagreement(differences: dict[str, float]) -> str:
    wrong = [f"{name} by {by:.1e}" for name, by in differences.items() if not by <= TOLERANCE]
    return f"disagrees: {', '.join(wrong)}" if wrong else ""
