"""CPU time of long lists: the table of runs by stage, and a comparison whose runs have ended."""

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from support.run_folders import RATES, make_comparison, make_runs

from benchmarks.machine import conditions
from benchmarks.reporting import Show, Table, unseen
from qtha_lab.core.errors import Refusal
from qtha_lab.experiment import Comparison
from qtha_lab.experiment.run_directory import index, record
from qtha_lab.runs.run import list_runs
from qtha_lab.runs.table.columns import column_text, worth_showing
from qtha_lab.runs.table.frame import frame, query
from qtha_lab.studies.comparison import run_comparison

WHERE, SORT = "method == qtha and learning_rate >= 0.003 and not bad in tags", "r,-eval_loss"
METHODS = ("lora(r=2)", "lora(r=8)", "qtha(r=4,waist=16)")
PER_SEED = len(METHODS) * len(RATES)  # runs


def bench_list(runs: int = 10_000, rounds: int = 5, show: Show = unseen) -> dict[str, Any]:
    """Time the table of thousands of runs, stage by stage.

    Args:
        runs: Runs in the folder.
        rounds: Measurements of each stage.
    """
    before = conditions()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        make_runs(folder, runs)
        time.sleep(max(0.0, record.YOUNG_SECONDS + 0.1))  # younger files are always read again
        seconds = [_stages(folder) for _ in range(rounds)]
        stages = {name: statistics.median(of[name] for of in seconds) for name in seconds[0]}
        (folder / index.NAME).unlink()
        stages["list without the index"] = _seconds(lambda: list_runs(folder))[0]
    return {"benchmark": "list", **before, "runs": runs, "rounds": rounds, "stages": stages}


def _stages(folder: Path) -> dict[str, float]:
    listing, runs = _seconds(lambda: list_runs(folder, unreadable=True))
    making, listed = _seconds(lambda: frame(runs))
    filtering, chosen = _seconds(lambda: query(listed, WHERE))
    names = worth_showing(chosen)
    text = [
        lambda row=row, name=name: column_text(row, name)
        for row in chosen[:100].to_dict("records")
        for name in names
    ]
    return {
        "list": listing,
        "rows": making,
        "filter": filtering,
        "sort by two": _seconds(lambda: query(listed, "", SORT))[0],
        "group seeds": _seconds(lambda: query(listed, "", "", "seeds"))[0],
        "a hundred rows as text": _seconds(lambda: [cell() for cell in text])[0],
    }


def _seconds(work: Callable[[], Any]) -> tuple[float, Any]:
    begin = time.process_time()
    result = work()
    return time.process_time() - begin, result


def bench_compare(
    runs: tuple[int, ...] = (90, 300), rounds: int = 3, show: Show = unseen
) -> dict[str, Any]:
    """Time a comparison whose runs have all ended: listing and summary.

    Args:
        runs: Runs of each comparison, multiples of the runs per seed.
        rounds: Calls on each; the first one finds no index.
    """
    if wrong := [str(n) for n in runs if n < PER_SEED or n % PER_SEED]:
        raise Refusal(f"runs must be multiples of {PER_SEED}, got {', '.join(wrong)}.")
    if rounds < 2:
        raise Refusal(f"rounds must be 2 or more, got {rounds}.")
    before, measured = conditions(), []
    for count in runs:
        first, *calls = _calls(count, rounds)
        medians = {key: statistics.median(of[key] for of in calls) for key in first}
        measured.append({"runs": count, "first": first["listed"], **medians})
    return {"benchmark": "compare", **before, "rounds": rounds, "rows": measured}


def _calls(count: int, rounds: int) -> list[dict[str, float]]:
    comparison = Comparison(
        methods=list(METHODS),
        learning_rates=list(RATES),
        seeds=list(range(count // PER_SEED)),
        training={"steps": 20},
    )
    with tempfile.TemporaryDirectory() as place:
        make_comparison(comparison, Path(place))
        return [_call(comparison, Path(place)) for _ in range(rounds)]


def _call(comparison: Comparison, folder: Path) -> dict[str, float]:
    """Return the CPU seconds until the last run is known, and from there to the end."""
    times = [begin := time.process_time()]
    summary = run_comparison(
        comparison, folder, lambda run, status: times.append(time.process_time())
    )
    end = time.process_time()
    if len(times) - 1 != len(summary["runs"]):
        raise RuntimeError(f"{len(times) - 1} of {len(summary['runs'])} runs were listed")
    return {"listed": times[-1] - begin, "summary": end - times[-1]}


def tables(figures: dict[str, Any]) -> list[Table]:
    """Return a row per stage of the table, or per comparison."""
    caption = f"medians of {figures['rounds']} calls"
    if figures["benchmark"] == "compare":
        keys = ("first", "listed", "summary")
        body = [(f"{of['runs']:,}", *(f"{of[key]:.2f}" for key in keys)) for of in figures["rows"]]
        heading = ("runs", "listed without an index, CPU s", "listed, CPU s", "summary, CPU s")
        return [(caption, [heading, *body])]
    per_run = 1e6 / figures["runs"]
    body = [(name, f"{s:.3f}", f"{s * per_run:.1f}") for name, s in figures["stages"].items()]
    heading = ("stage", "CPU seconds", "µs per run")
    return [(f"{figures['runs']:,} runs, {caption}", [heading, *body])]
