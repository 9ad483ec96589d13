"""Engines and peers on the QTHA circuit: answers are checked, then timed alternately.

A contender whose answer differs is not timed. A contender that is too slow for a whole batch is
timed on fewer samples, and the table marks it.
"""

import itertools
import math
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import torch

from benchmarks.contenders import CHECKED, PATIENCE, Contender, ContenderError, Problem, open_peers
from benchmarks.machine import conditions, forget_peak_memory, memory_bytes, peak_memory_bytes
from benchmarks.peers import PEERS
from benchmarks.reporting import Row, Show, Table, unseen
from benchmarks.roofline import sweep_peak, work_per_sample
from qtha_lab.circuits.ansatze import build
from qtha_lab.core.errors import Refusal
from qtha_lab.simulators import engine_names

FEWEST_ROUNDS = 3
FEW = 64  # samples of the first try
GROWTH = 32  # largest growth per try, since time and memory are extrapolated
MEMORY_SHARE = 0.4  # of the free memory
COMPILES = 1.0  # seconds of a first call that indicate a compiler
ENOUGH = 0.25  # share of a batch from which the time per sample counts as that of the batch


@dataclass(frozen=True)
class Grid:
    """Sizes and budgets, as of `bench_simulators`."""

    qubits: tuple[int, ...] = (8,)
    layers: tuple[int, ...] = (4,)
    batches: tuple[int, ...] = (2048,)
    rounds: int = 5
    seconds: float = 1.5
    minutes: float = 12.0
    longest_first: float = 40.0

    def __post_init__(self):
        for name, least in {"qubits": 2, "layers": 1, "batches": CHECKED}.items():
            if not (sizes := getattr(self, name)) or min(sizes) < least:
                text = ", ".join(map(str, sizes)) or "none"
                raise Refusal(f"{name} must be {least} or more, got {text}.")
        for name in ("rounds", "seconds", "minutes", "longest_first"):
            if getattr(self, name) <= 0:
                raise Refusal(f"{name} must be positive, got {getattr(self, name)}.")

    @property
    def longest_turn(self) -> float:
        """Seconds of a backward from which samples are not increased."""
        return self.seconds / (3 * (FEWEST_ROUNDS + 1))


@dataclass
class Timing:
    """Seconds of a contender in one case, for `samples` samples, in all counted turns."""

    contender: str
    n_qubits: int
    n_layers: int
    batch: int
    samples: int = 0
    forward: list[float] = field(default_factory=list)
    backward: list[float] = field(default_factory=list)
    left_out: str = ""

    def plain(self) -> dict[str, Any]:
        """Return the fields, medians in µs per sample, and the share of the roofline of `cpu`."""
        medians = {
            f"{kind}_us": statistics.median(of) / self.samples * 1e6 if of else None
            for kind, of in (("forward", self.forward), ("backward", self.backward))
        }
        share = None
        if self.contender == "cpu" and self.backward:
            peak, circuit = sweep_peak(self.n_qubits), build("qtha", self.n_qubits, self.n_layers)
            least = sum(part.seconds(peak) for part in work_per_sample(circuit))
            share = least / (medians["backward_us"] / 1e6)
        return {**vars(self), **medians, "share": share}


def bench_simulators(
    qubits: tuple[int, ...] = (4, 6, 8, 10, 12),
    layers: tuple[int, ...] = (4, 1, 8),
    batches: tuple[int, ...] = (64, 2048, 16384),
    rounds: int = 5,
    seconds: float = 1.5,
    minutes: float = 12.0,
    longest_first: float = 40.0,
    engines: tuple[str, ...] = (),
    peers: tuple[str, ...] = (),
    threads: int | None = None,
    show: Show = unseen,
) -> dict[str, Any]:
    """Check and time every engine and every installed peer on the QTHA circuit.

    Args:
        qubits: Qubits of the circuits.
        layers: Layers of the circuits.
        batches: Batch sizes.
        rounds: Most turns.
        seconds: Budget per contender and case.
        minutes: No case starts after this time.
        longest_first: Longest first call, in seconds, before larger batches.
        engines: Our engines; by default all that need no device.
        peers: Other simulators; none, or by default all.
        threads: Threads of every contender; all cores by default.
        show: Called with the number of finished cases, of all, and the current case.
    """
    torch.set_num_threads(threads or torch.get_num_threads())
    own = engines or [name for name in engine_names() if name != "auto" and ":" not in name]
    grid = Grid(qubits, layers, batches, rounds, seconds, minutes, longest_first)
    before, limits = conditions(), (torch.get_num_threads(), max(PATIENCE, 2 * longest_first))
    opened, missing = open_peers(peers or PEERS, *limits)
    both = [*(Contender(name, *limits) for name in own if name != "none"), *opened]
    try:
        with tempfile.TemporaryDirectory() as folder:
            rows = [row.plain() for row in _cases(grid, both, Path(folder), show)]
    finally:
        for contender in both:
            contender.close()
    return {
        "benchmark": "simulators",
        **before,
        "settings": {**vars(grid), "dtype": "float32"},
        "contenders": [{"name": c.name, "title": c.title, "versions": c.versions} for c in both],
        "missing": missing,
        "rows": rows,
    }


def _cases(grid: Grid, contenders: list[Contender], folder: Path, show: Show) -> Iterator[Timing]:
    start, end = time.monotonic(), ""
    cases = list(itertools.product(grid.layers, grid.qubits, sorted(grid.batches)))
    for done, (n_layers, n_qubits, batch) in enumerate(cases):
        show(done, len(cases), f"{n_qubits} qubits, {n_layers} layers, batch {batch:,}")
        rows = [Timing(c.name, n_qubits, n_layers, batch) for c in contenders]
        if time.monotonic() - start > 60 * grid.minutes:
            end = end or f"the {grid.minutes:g} minutes were over"
        try:
            if not end:
                if batch == min(grid.batches):
                    problem = Problem(n_qubits, n_layers, folder)
                _measure(grid, problem, list(zip(contenders, rows, strict=True)))
        except KeyboardInterrupt:  # finished cases are kept
            end = "the run was interrupted"
        for row in rows:
            row.left_out = row.left_out or ("" if row.backward else end)
        yield from rows


def _measure(grid: Grid, problem: Problem, pairs: list[tuple[Contender, Timing]]) -> None:
    """Choose the samples of every contender, then time all of them alternately."""
    turns: dict[str, int] = {}
    for contender, row in pairs:
        try:
            seconds = fit(grid, contender, row, problem)
            turns[row.contender] = max(FEWEST_ROUNDS, int(grid.seconds / (1.5 * seconds)) - 1)
        except ContenderError as wrong:
            row.left_out = str(wrong)
    for turn in range(grid.rounds):
        for contender, row in pairs if turn % 2 else reversed(pairs):
            if row.left_out or turn >= turns[row.contender]:
                continue
            try:
                row.forward.append(contender.time("forward"))
                row.backward.append(contender.time("backward"))
            except ContenderError as wrong:
                row.left_out, row.forward, row.backward = str(wrong), [], []


def fit(grid: Grid, contender: Contender, row: Timing, problem: Problem) -> float:
    """Prepare the most samples that fit the budget, and return the seconds of a backward."""
    row.samples = min(row.batch, FEW if contender.is_batched else CHECKED)
    while True:
        contender.prepare(problem, row.samples)
        forget_peak_memory(contender.process)
        before, start = memory_bytes(contender.process) or 0, time.perf_counter()
        answer = contender.check()
        first = time.perf_counter() - start
        problem.compare(answer)
        seconds = contender.time("backward")
        if first > max(COMPILES, 5 * seconds):  # a compiler's memory does not grow with samples
            forget_peak_memory(contender.process)
            contender.time("backward")
        peak = (peak_memory_bytes(contender.process) or before) - before
        samples = next_samples(grid, row, seconds, first, max(peak, 1))
        if samples == row.samples:
            return seconds
        row.samples = samples


def next_samples(grid: Grid, row: Timing, seconds: float, first: float, peak: int) -> int:
    """Return the samples of the next try: more, while seconds and peak bytes allow it."""
    memory = MEMORY_SHARE * psutil.virtual_memory().available
    growth = min(grid.longest_turn / seconds, memory / peak, GROWTH)
    if first > max(COMPILES, 5 * seconds):  # every size is compiled: the whole batch or no more
        fits = 4 * growth * row.samples >= row.batch and first <= grid.longest_first
        return row.batch if fits else row.samples
    return min(row.samples * 2 ** max(0, int(math.log2(growth))), row.batch)


def tables(figures: dict[str, Any]) -> list[Table]:
    """Return a table per number of layers and batch, in microseconds per sample."""
    settings, machine = figures["settings"], figures["machine"]
    return [
        (
            f"QTHA circuit, L = {layers}, batch {batch:,}, {settings['dtype']}: µs per sample for"
            f" values and both gradients, median of up to {settings['rounds']} turns, in brackets"
            f" for values alone; {machine['torch_threads']} threads.{_notes(figures, case, batch)}",
            _rows(figures, case),
        )
        for layers in sorted(settings["layers"])
        for batch in settings["batches"]
        for case in [[r for r in figures["rows"] if (r["n_layers"], r["batch"]) == (layers, batch)]]
    ]


def _rows(figures: dict[str, Any], case: list[dict]) -> list[Row]:
    qubits = figures["settings"]["qubits"]
    rows = {(row["contender"], row["n_qubits"]): row for row in case}
    own = {n: row for (name, n), row in rows.items() if name == "cpu" and row["backward_us"]}
    peers = [c["name"] for c in figures["contenders"] if c["title"][0] != "`"]
    fastest = {n: _fastest(rows, peers, n) for n in qubits}
    ratios = [
        f"{rows[peer, n]['backward_us'] / own[n]['backward_us']:,.0f} ×"
        if peer and n in own
        else "–"
        for n, peer in fastest.items()
    ]
    shares = [f"{own[n]['share']:.0%}" if n in own else "–" for n in qubits]
    return [
        ("", *(f"n = {n}" for n in qubits)),
        *(
            (c["title"], *(_times(rows.get((c["name"], n))) for n in qubits))
            for c in figures["contenders"]
        ),
        ("fastest peer", *(peer or "–" for peer in fastest.values())),
        ("fastest peer ÷ `cpu`", *ratios),
        ("`cpu`, share of the roofline", *shares),
    ]


def _fastest(rows: dict, peers: list[str], n: int) -> str:
    """Return the fastest peer that was timed on a quarter of the batch; "" if there is none."""
    times = {
        name: row["backward_us"]
        for name in peers
        if (row := rows.get((name, n))) and row["samples"] >= ENOUGH * row["batch"]
    }
    return min(filter(times.get, times), key=times.__getitem__, default="")


def _times(row: dict[str, Any] | None) -> str:
    if row is None or not row["backward_us"]:
        return "–"
    fewer = "†" * (row["samples"] < row["batch"])
    return f"{digits(row['backward_us'])}{fewer} ({digits(row['forward_us'])})"


def digits(value: float) -> str:
    """Return two significant digits below ten, and whole numbers from there.

    Example:
        >>> digits(0.2734), digits(7.82), digits(1072.3)
        ('0.27', '7.8', '1,072')
    """
    return f"{value:,.{0 if value >= 9.95 else 1 if value >= 0.995 else 2}f}"


def _notes(figures: dict[str, Any], rows: list[dict], batch: int) -> str:
    """Return the notes of a table: fewer samples, left-out contenders, missing peers."""
    notes = []
    if fewer := sorted({r["samples"] for r in rows if r["backward"] and r["samples"] < batch}):
        notes.append(f"† timed on fewer samples ({fewer[0]:,} to {fewer[-1]:,}).")
    left: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        if row["left_out"]:
            left.setdefault((row["contender"], row["left_out"]), []).append(str(row["n_qubits"]))
    notes += [f"Left out: {who} at n = {', '.join(n)}: {why}." for (who, why), n in left.items()]
    notes += [f"Missing: {name}: {why}." for name, why in figures["missing"].items()]
    return "".join(f" {note}" for note in notes)
