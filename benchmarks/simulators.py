"""Engines and peers on the QTHA circuit: answers are checked, then timed alternately.

A contender whose answer differs is not timed. A contender that is too slow for a whole batch is
timed on fewer samples, and the table marks it.
"""

import itertools
import math
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import torch

from benchmarks.contenders import (
    CHECKED,
    PATIENCE,
    TOLERANCE,
    Contender,
    ContenderError,
    EngineContender,
    Problem,
    open_peers,
)
from benchmarks.machine import conditions, forget_peak_memory, memory_bytes, peak_memory_bytes
from benchmarks.reporting import Row, Table
from qtha_lab.circuits.ansatze import build
from qtha_lab.core.errors import Refusal

FAILURES = (ContenderError, ValueError, RuntimeError, MemoryError)
FEWEST_ROUNDS = 3
FEW = 64  # samples of the first try
GROWTH = 32  # largest growth per try, since time and memory are extrapolated
MEMORY_SHARE = 0.4  # of the free memory
COMPILES = 1.0  # seconds of a first call that indicate a compiler
ENOUGH = 0.25  # share of a batch from which the time per sample counts as that of the batch


@dataclass(frozen=True)
class Grid:
    """Sizes and budgets; `seconds` per contender and case, and no new case after `minutes`.

    A contender whose first call of a shape takes more than `longest_first` seconds is not compiled
    for a larger batch.
    """

    qubits: tuple[int, ...] = (4, 6, 8, 10, 12)
    layers: tuple[int, ...] = (4, 1, 8)
    batches: tuple[int, ...] = (64, 2048, 16384)
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
        """Return the fields, and medians in microseconds per sample."""
        medians = {
            f"{kind}_us": statistics.median(of) / self.samples * 1e6 if of else None
            for kind, of in (("forward", self.forward), ("backward", self.backward))
        }
        return {**vars(self), **medians}


def bench_simulators(
    grid: Grid,
    engines: Iterable[str],
    peers: Iterable[str],
    on_case: Callable[[int, int, str], None] = lambda done, of, message: None,
) -> dict[str, Any]:
    """Measure forward (values) and backward (values and both gradients) of every contender.

    Args:
        grid: Sizes and budgets.
        engines: Our engines, in this process.
        peers: Names of `peers.PEERS`, in their own processes.
        on_case: Called with the number of finished cases, of all, and the current case.

    Returns:
        The conditions, `settings`, `contenders`, `missing`, `rows` and `shares` of the roofline.
    """
    before, ours = conditions(), [EngineContender(engine) for engine in engines]
    patience = max(PATIENCE, 2 * grid.longest_first)
    opened, missing = open_peers(list(peers), torch.get_num_threads(), patience)
    contenders: list[Contender] = [*ours, *opened]
    try:
        with tempfile.TemporaryDirectory() as folder:
            rows = [row.plain() for row in _cases(grid, contenders, Path(folder), on_case)]
    finally:
        for contender in contenders:
            contender.close()
    return {
        "benchmark": "simulators",
        **before,
        "settings": {**vars(grid), "dtype": "float32", "tolerance": TOLERANCE},
        "contenders": [
            {"name": c.name, "title": c.title, "versions": c.versions} for c in contenders
        ],
        "missing": missing,
        "rows": rows,
        "shares": [share for row in rows if (share := _roofline_share(row)) is not None],
    }


def _cases(
    grid: Grid, contenders: list[Contender], folder: Path, on_case: Callable
) -> Iterator[Timing]:
    start, end = time.monotonic(), ""
    cases = list(itertools.product(grid.layers, grid.qubits, sorted(grid.batches)))
    for done, (n_layers, n_qubits, batch) in enumerate(cases):
        on_case(done, len(cases), f"{n_qubits} qubits, {n_layers} layers, batch {batch:,}")
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
        except FAILURES as wrong:
            row.left_out = str(wrong) or type(wrong).__name__
    for turn in range(grid.rounds):
        for contender, row in pairs if turn % 2 else reversed(pairs):
            if row.left_out or turn >= turns[row.contender]:
                continue
            try:
                row.forward.append(contender.time("forward"))
                row.backward.append(contender.time("backward"))
            except FAILURES as wrong:
                row.left_out, row.forward, row.backward = str(wrong), [], []


def fit(grid: Grid, contender: Contender, row: Timing, problem: Problem) -> float:
    """Prepare the most samples that fit the budget, and return the seconds of a backward.

    Raises:
        ContenderError: If an answer differs from PennyLane's.
    """
    row.samples = min(row.batch, FEW if contender.is_batched else CHECKED)
    while True:
        contender.prepare(problem, row.samples)
        forget_peak_memory(contender.process)
        before, start = memory_bytes(contender.process) or 0, time.perf_counter()
        differences = problem.differences(contender.check())
        first = time.perf_counter() - start
        wrong = [f"{name} by {by:.1e}" for name, by in differences.items() if not by <= TOLERANCE]
        if wrong:
            raise ContenderError(f"disagrees: {', '.join(wrong)}")
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
    """Return the samples of the next try: more, while time and memory allow it.

    Args:
        grid: Budgets.
        row: Case, with the samples of this try.
        seconds: Time of a backward.
        first: Time of the first call.
        peak: Bytes of memory.
    """
    room = min(
        grid.longest_turn / seconds,
        MEMORY_SHARE * psutil.virtual_memory().available / peak,
        GROWTH,
    )
    if first > max(COMPILES, 5 * seconds):  # every size is compiled: the whole batch or no more
        fits = 4 * room * row.samples >= row.batch and first <= grid.longest_first
        return row.batch if fits else row.samples
    return min(row.samples * 2 ** max(0, int(math.log2(room))), row.batch)


def _roofline_share(row: dict[str, Any]) -> dict[str, Any] | None:
    """Return the share of the roofline that engine `cpu` reaches; None for other contenders."""
    from qtha_lab.simulators.cpu.roofline import sweep_peak, work_per_sample

    if row["contender"] != "cpu" or not row["backward_us"]:
        return None
    peak = sweep_peak(row["n_qubits"])
    least = sum(
        part.seconds(peak)
        for part in work_per_sample(build("qtha", row["n_qubits"], row["n_layers"]))
    )
    case = {name: row[name] for name in ("n_qubits", "n_layers", "batch")}
    return case | {"share": least / (row["backward_us"] / 1e6)}


def tables(figures: dict[str, Any]) -> list[Table]:
    """Return a table per number of layers and batch, in microseconds per sample."""
    settings, machine = figures["settings"], figures["machine"]
    return [
        (
            f"QTHA circuit, L = {layers}, batch {batch:,}, {settings['dtype']}: µs per sample for"
            f" values and both gradients, median of up to {settings['rounds']} turns, in brackets"
            f" for values alone; {machine['torch_threads']} threads."
            f"{_notes(figures, layers, batch)}",
            _rows(figures, layers, batch),
        )
        for layers in sorted(settings["layers"])
        for batch in settings["batches"]
    ]


def _rows(figures: dict[str, Any], layers: int, batch: int) -> list[Row]:
    qubits = figures["settings"]["qubits"]
    rows = {(row["contender"], row["n_qubits"]): row for row in _of(figures, layers, batch)}
    shares = {
        line["n_qubits"]: f"{line['share']:.0%}" for line in _of(figures, layers, batch, "shares")
    }
    peers = [c["name"] for c in figures["contenders"] if c["name"] != c["title"]]
    fastest = [_fastest(rows, peers, n) for n in qubits]
    ratios = [
        f"{rows[peer, n]['backward_us'] / own:,.0f} ×"
        if peer and (own := rows.get(("cpu", n), {}).get("backward_us"))
        else "–"
        for peer, n in zip(fastest, qubits, strict=True)
    ]
    return [
        ("", *(f"n = {n}" for n in qubits)),
        *(
            (_title(c), *(_times(rows.get((c["name"], n))) for n in qubits))
            for c in figures["contenders"]
        ),
        ("fastest peer", *(peer or "–" for peer in fastest)),
        ("fastest peer ÷ `cpu`", *ratios),
        ("`cpu`, share of the roofline", *(shares.get(n, "–") for n in qubits)),
    ]


def _of(figures: dict[str, Any], layers: int, batch: int, key: str = "rows") -> list[dict]:
    return [row for row in figures[key] if (row["n_layers"], row["batch"]) == (layers, batch)]


def _fastest(rows: dict, peers: list[str], n: int) -> str:
    """Return the fastest peer that was timed on a quarter of the batch; "" if there is none."""
    timed = [
        name
        for name in peers
        if (row := rows.get((name, n)))
        and row["backward_us"]
        and row["samples"] >= ENOUGH * row["batch"]
    ]
    return min(timed, key=lambda name: rows[name, n]["backward_us"], default="")


def _title(contender: dict[str, Any]) -> str:
    if contender["name"] == contender["title"]:
        return f"`{contender['name']}`"
    return f"{contender['title']} {next(iter(contender['versions'].values()), '')}".strip()


def _times(row: dict[str, Any] | None) -> str:
    if row is None or not row["backward_us"]:
        return "–"
    mark = "†" if row["samples"] < row["batch"] else ""
    return f"{digits(row['backward_us'])}{mark} ({digits(row['forward_us'])})"


def digits(value: float) -> str:
    """Return two significant digits below ten, and whole numbers from there.

    Example:
        >>> digits(0.2734), digits(7.82), digits(1072.3)
        ('0.27', '7.8', '1,072')
    """
    places = 0 if value >= 9.95 else 1 if value >= 0.995 else 2
    return f"{value:,.{places}f}"


def _notes(figures: dict[str, Any], layers: int, batch: int) -> str:
    """Return the notes of a table: fewer samples, left-out contenders, missing peers."""
    rows, notes = _of(figures, layers, batch), []
    if fewer := sorted({r["samples"] for r in rows if r["backward"] and r["samples"] < batch}):
        notes.append(f"† timed on fewer samples ({fewer[0]:,} to {fewer[-1]:,}).")
    left: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        if row["left_out"]:
            left.setdefault((row["contender"], row["left_out"]), []).append(str(row["n_qubits"]))
    notes += [f"Left out: {who} at n = {', '.join(n)}: {why}." for (who, why), n in left.items()]
    notes += [f"Missing: {name}: {why}." for name, why in figures["missing"].items()]
    return "".join(f" {note}" for note in notes)
