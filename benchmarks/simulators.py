"""Every engine and every peer on the QTHA circuit: agreement first, then time, taking turns.

Nobody is timed who disagrees. Whoever is too slow for a whole batch is timed on fewer samples, and
the row says so; whoever is too slow or too large even for that is left out, and the row says why.
"""

import functools
import itertools
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import torch

from benchmarks.contenders import Contender, ContenderError, EngineContender, open_peers
from benchmarks.fitting import Fitting
from benchmarks.grid import LEAST_ROUNDS, Grid, Row
from benchmarks.machine import conditions, package_versions
from benchmarks.problem import TOLERANCE, Problem
from benchmarks.roofline import roofline

FAILURES = (ContenderError, ValueError, RuntimeError, MemoryError)


def bench_simulators(
    grid: Grid,
    engines: Iterable[str],
    peers: Iterable[str],
    *,
    pythons: Mapping[str, Path] | None = None,
    on_case: Callable[[int, int, str], None] = lambda done, of, message: None,
) -> dict[str, Any]:
    """Measure values alone ("forward") and values with both gradients ("backward") of every
    contender.

    Args:
        grid: Sizes and budgets.
        engines: Names of engines, run in this process.
        peers: Names of `contenders.PEERS`, run in processes of their own, one at a time.
        pythons: The Python of a peer by its name, where it is not that of `make peers`.
        on_case: Called with the cases done, their number and what is being done, in words.

    Returns:
        `machine`, `versions`, `commit`, `settings`, `contenders`, `missing`, `rows`, `roofline`,
        `seconds`: plain values.

    Raises:
        ValueError: If an engine or a peer is unknown.
    """
    start, before = time.perf_counter(), conditions()
    ours = [EngineContender(engine) for engine in engines]
    threads = torch.get_num_threads()
    opened, missing = open_peers(list(peers), threads, pythons or {}, grid.patience)
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
        **before,
        "versions": package_versions(),
        "settings": {**vars(grid), "dtype": "float32", "tolerance": TOLERANCE},
        "contenders": [_described(contender) for contender in contenders],
        "missing": missing,
        "rows": plain,
        "roofline": roofline(plain),
        "seconds": time.perf_counter() - start,
    }


def _described(contender: Contender) -> dict[str, Any]:
    fields = ("name", "title", "environment", "versions", "batched")
    return {name: getattr(contender, name) for name in fields}


class _Bench:
    """The contenders, and what is known of them so far."""

    def __init__(self, grid: Grid, contenders: list[Contender], folder: Path):
        self.grid, self.contenders, self.folder = grid, contenders, folder
        self.fitting = Fitting(grid)

    def run(self, on_case: Callable[[int, int, str], None]) -> list[Row]:
        rows: list[Row] = []
        cases = list(
            itertools.product(self.grid.layers, self.grid.qubits, sorted(self.grid.batches))
        )
        start, end = time.monotonic(), ""
        for done, (n_layers, n_qubits, batch) in enumerate(cases):
            if time.monotonic() - start > 60 * self.grid.minutes:
                end = end or f"the run's {self.grid.minutes:g} minutes were over"
            if end:
                names = [contender.name for contender in self.contenders]
                rows += [Row(name, n_qubits, n_layers, batch, left_out=end) for name in names]
                continue
            if batch == min(self.grid.batches):
                problem = Problem(n_qubits, n_layers, self.folder)
            case = f"{n_qubits} qubits, {n_layers} layers, batch {batch:,}"
            say = functools.partial(_say, on_case, done, len(cases), case)
            try:
                rows += self._case(problem, batch, say)
            except KeyboardInterrupt:  # what was measured is kept
                end = "the run was stopped by hand"
        on_case(len(cases), len(cases), "")
        return rows

    def _case(self, problem: Problem, batch: int, say: Callable[[str], None]) -> list[Row]:
        """Fit every contender, then time them in turns."""
        pairs = [
            (contender, Row(contender.name, problem.n_qubits, problem.n_layers, batch))
            for contender in self.contenders
        ]
        for contender, row in pairs:
            say(f"trying {contender.name}")
            _guarded(row, lambda c=contender, r=row: self.fitting.fit(c, r, problem))
        say("in turns")
        for turn in range(max(self.grid.rounds, LEAST_ROUNDS)):
            for contender, row in pairs if turn % 2 else reversed(pairs):
                if not row.left_out and turn < self.fitting.rounds(contender, row):
                    _guarded(row, lambda c=contender, r=row: _take_turn(c, r))
        return [row for _, row in pairs]


def _say(on_case: Callable[[int, int, str], None], done: int, of: int, case: str, now: str) -> None:
    on_case(done, of, f"{case}: {now}")


def _take_turn(contender: Contender, row: Row) -> None:
    row.forward.append(contender.time("forward"))
    row.backward.append(contender.time("backward"))


def _guarded(row: Row, work: Callable[[], None]) -> None:
    """Do it; a failure leaves the row out and says why."""
    start = time.perf_counter()
    try:
        work()
    except FAILURES as wrong:
        row.left_out = str(wrong) or type(wrong).__name__
        row.forward, row.backward = [], []
    row.spent_seconds += time.perf_counter() - start
