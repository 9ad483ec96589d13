"""How many samples of a batch a contender is timed on, so that it stays within its budget.

Tries few, extrapolates, tries more: a peer may be ten thousand times as slow as another, and one
that
is not stopped in time fills the memory.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import psutil

from benchmarks.contenders import Contender
from benchmarks.grid import LEAST_ROUNDS, Grid, Row
from benchmarks.machine import forget_peak_memory, memory_bytes, peak_memory_bytes
from benchmarks.problem import CHECKED, TOLERANCE, Problem

FEW = 64  # samples of a first try
GROWTH = 32  # most from one try to the next, since time and memory are extrapolated
MEMORY_SHARE = 0.4  # of what is free
COMPILES = 1.0  # seconds of a first call from which it is taken to compile
AGAIN = 2048  # batches up to which few samples are timed again though a smaller batch had as few


@dataclass
class Known:
    """What was last seen of a contender on one circuit."""

    samples: int
    seconds: float
    peak_bytes: int
    first_seconds: float


class Fitting:
    """What is known of every contender on every circuit so far."""

    def __init__(self, grid: Grid):
        self.grid = grid
        self.known: dict[tuple[str, int, int], Known] = {}

    def rounds(self, contender: Contender, row: Row) -> int:
        """How many turns to take.

        As many as asked for, or fit the budget, and not below the least.
        """
        seconds = self.known[self._place(contender, row)].seconds
        fitting = int(self.grid.seconds / (1.5 * seconds)) - 1
        return max(min(self.grid.rounds, fitting), min(self.grid.rounds, LEAST_ROUNDS))

    def fit(self, contender: Contender, row: Row, problem: Problem) -> None:
        """Prepare the most samples of the batch that fit the budget, checked and warmed up."""
        known = self.known.get(self._place(contender, row))
        if known is None:
            samples = min(row.batch, self.first_try(contender, row))
        else:
            samples = self.allowed(known, row.batch)
            row.left_out = self.too_much(known, row.batch, samples)
        while not row.left_out:
            row.samples = samples
            known = self._try(contender, row, problem)
            samples = self.allowed(known, row.batch)
            if samples <= row.samples:
                return

    def first_try(self, contender: Contender, row: Row) -> int:
        """Few samples; fewer, if by the work of the nearest circuit seen they took too long."""
        measured_cases = {
            place[1:]: known for place, known in self.known.items() if place[0] == contender.name
        }
        most = FEW if contender.batched else CHECKED
        if not measured_cases:
            return most
        work = _work(row.n_qubits, row.n_layers)
        nearest = min(measured_cases, key=lambda size: abs(math.log(_work(*size) / work)))
        seconds_per_sample = (
            measured_cases[nearest].seconds
            / measured_cases[nearest].samples
            * work
            / _work(*nearest)
        )
        fitting = max(1.0, self.grid.longest_turn / seconds_per_sample)
        return min(most, max(CHECKED, 2 ** int(math.log2(fitting))))

    def _try(self, contender: Contender, row: Row, problem: Problem) -> Known:
        """Check and time once; what is known now."""
        contender.prepare(problem.case(row.samples))
        start = time.perf_counter()
        answers, row.peak_bytes = _peak(contender, contender.check)
        row.first_seconds = time.perf_counter() - start
        row.differences = problem.differences(answers, row.samples)
        row.left_out = _disagreement(row.differences)
        contender.time("forward")
        seconds, again = _peak(contender, lambda: contender.time("backward"))
        first = row.first_seconds if row.first_seconds > 5 * seconds else 0.0
        if first > COMPILES:  # what a compiler needs does not grow with the samples
            row.peak_bytes = again
        known = Known(row.samples, seconds, row.peak_bytes or 0, first)
        self.known[self._place(contender, row)] = known
        return known

    def allowed(self, known: Known, batch: int) -> int:
        """How many samples to try next: more by powers of two, while time and memory allow it.

        Few samples cost more each than many, so who is below the longest turn is tried on twice as
        many.
        """
        free = MEMORY_SHARE * psutil.virtual_memory().available
        fitting = min(GROWTH, free / max(known.peak_bytes, 1))
        repeats = self.grid.longest_turn / known.seconds
        if known.first_seconds > COMPILES:  # every size is compiled: all of the batch, or no more
            repeats *= 4
            return batch if min(repeats, fitting) * known.samples >= batch else known.samples
        if repeats <= 1 or fitting < 2:
            return min(known.samples, batch)
        return min(known.samples * 2 ** max(1, int(math.log2(min(repeats, fitting)))), batch)

    def too_much(self, known: Known, batch: int, samples: int) -> str:
        """Why a contender is not tried on a larger batch of a circuit it has run.

        Empty if it is.
        """
        if known.first_seconds > self.grid.longest_first:
            return f"its first call of a shape takes {known.first_seconds:.0f} s"
        if batch > AGAIN and samples <= known.samples:
            seconds_per_sample = known.seconds / known.samples
            turn = seconds_per_sample * batch
            return f"{batch:,} samples would take {turn:.1f} s a turn, past the budget"
        return ""

    @staticmethod
    def _place(contender: Contender, row: Row) -> tuple[str, int, int]:
        return contender.name, row.n_qubits, row.n_layers


def _peak(contender: Contender, call: Callable[[], Any]) -> tuple[Any, int | None]:
    """What a call gives, and the bytes that the contender's process held at most beyond those of
    before, if known.
    """
    forget_peak_memory(contender.process)
    before, answer = memory_bytes(contender.process), call()
    peak = peak_memory_bytes(contender.process)
    return answer, peak - before if peak and before else None


def _work(n_qubits: int, n_layers: int) -> float:
    """What the time of a circuit goes with: its gates times the amplitudes."""
    return n_qubits * n_layers * 2.0**n_qubits


def _disagreement(differences: dict[str, float]) -> str:
    wrong = [f"{name} by {by:.1e}" for name, by in differences.items() if not by <= TOLERANCE]
    return f"disagrees: {', '.join(wrong)}" if wrong else ""
