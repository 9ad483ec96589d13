"""What a comparison whose runs have all ended costs to go on with: its runs listed and understood,
and its summary written.

Processor seconds in this process, so that a neighbour disturbs little; the runs trained nothing,
and have no losses of
single test rows, of which a real summary makes its intervals.
"""

import statistics
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmarks.machine import conditions
from benchmarks.many_runs import RATES, make_comparison
from benchmarks.reporting import pipes
from qtha_lab.core.errors import Refusal
from qtha_lab.experiment import Comparison
from qtha_lab.studies.comparison import run

METHODS = ("lora(r=2)", "lora(r=8)", "qtha(r=4,waist=16)")
EACH_SEED = len(METHODS) * len(RATES)  # runs


def bench_compare(counts: Iterable[int] = (90, 300), rounds: int = 3) -> dict[str, Any]:
    """Call `compare.run` on comparisons with nothing left to run.

    Args:
        counts: Runs of each comparison: a number of seeds, times three methods at five rates.
        rounds: Calls on each; the first one finds no index of the folder.

    Returns:
        `machine`, `commit`, and under `rows` one entry for each count: `runs`, and CPU seconds,
        `first` until all runs
        are known where there is no index, `listed` the median of that in the other calls, and
        `summary`, what comes after.

    Raises:
        Refusal: If a count is no multiple of fifteen, or there are fewer than two rounds.
    """
    counts = list(counts)
    if wrong := [count for count in counts if count < EACH_SEED or count % EACH_SEED]:
        raise Refusal(f"runs must be multiples of {EACH_SEED}, not {', '.join(map(str, wrong))}")
    if rounds < 2:
        raise Refusal(f"rounds must be 2 or more, not {rounds}")
    before = conditions()
    _calls(EACH_SEED, 1)  # imports
    rows = []
    for count in counts:
        calls = _calls(count, rounds)
        rows.append(
            {
                "runs": count,
                "first": calls[0]["listed"],
                "listed": statistics.median(call["listed"] for call in calls[1:]),
                "summary": statistics.median(call["summary"] for call in calls),
            }
        )
    return {"benchmark": "compare", **before, "rounds": rounds, "rows": rows}


def _calls(count: int, rounds: int) -> list[dict[str, float]]:
    comparison = Comparison(
        methods=",".join(METHODS),
        learning_rates=list(RATES),
        seeds=list(range(count // EACH_SEED)),
        training={"steps": 20},
    )
    with tempfile.TemporaryDirectory() as place:
        make_comparison(comparison, Path(place))
        return [_call(comparison, Path(place)) for _ in range(rounds)]


def _call(comparison: Comparison, folder: Path) -> dict[str, float]:
    """CPU seconds until the last run is known, and from there to the end."""
    looks = [begin := time.process_time()]
    summary = run(comparison, folder, lambda run, status: looks.append(time.process_time()))
    end = time.process_time()
    if len(looks) - 1 != len(summary["runs"]):
        raise RuntimeError(f"{len(summary['runs'])} runs were looked at {len(looks) - 1} times")
    return {"listed": looks[-1] - begin, "summary": end - looks[-1]}


def table(figures: dict[str, Any]) -> list[tuple[str, ...]]:
    """A row for each comparison."""
    body = [
        (f"{row['runs']:,}", *(f"{row[name]:.2f}" for name in ("first", "listed", "summary")))
        for row in figures["rows"]
    ]
    return [("runs", "listed without an index, CPU s", "listed, CPU s", "summary, CPU s"), *body]


def markdown(figures: dict[str, Any]) -> str:
    """The table for a page."""
    return f"medians of {figures['rounds']} calls\n\n{pipes(table(figures))}\n"
