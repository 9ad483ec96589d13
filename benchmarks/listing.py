"""How long the table of a folder of runs takes, stage by stage, with its index and without it.

Seconds of the processor in this process, so that a neighbour disturbs little; the folder is made
anew and deleted.
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.machine import conditions, load
from benchmarks.many_runs import make_runs
from benchmarks.reporting import pipes
from qtha_lab.experiment.run_directory import index, record
from qtha_lab.runs.run import list_runs
from qtha_lab.runs.table.columns import column_text, worth_showing
from qtha_lab.runs.table.rows import rows
from qtha_lab.runs.table.table import query

WHERE, SORT = "method = qtha and learning_rate >= 0.003 and not tag:bad", "r,-eval_loss"


def bench_list(count: int = 10_000, rounds: int = 5) -> dict[str, Any]:
    """Time each stage `rounds` times, and the reading of every directory once.

    Returns:
        `machine`, `commit`, `runs`, `rounds` and `stages`: the median processor seconds of each by
        its name.
    """
    load_before = load()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        make_runs(folder, count)
        time.sleep(max(0.0, record.YOUNG_SECONDS + 0.1))  # what is younger is read again each time
        seconds = [_stages(folder) for _ in range(rounds)]
        stages = {name: statistics.median(turn[name] for turn in seconds) for name in seconds[0]}
        (folder / index.NAME).unlink()
        stages["list without the index"] = _seconds(lambda: list_runs(folder))[0]
    after = conditions()  # torch, which it imports, would be in the stages
    after["machine"]["load_before"] = load_before
    return {"benchmark": "list", **after, "runs": count, "rounds": rounds, "stages": stages}


def table(figures: dict[str, Any]) -> list[tuple[str, str, str]]:
    """The stages as rows of text, the first the heading."""
    per_run = 1e6 / figures["runs"]
    body = [(name, f"{s:.3f}", f"{s * per_run:.1f}") for name, s in figures["stages"].items()]
    return [("stage", "CPU seconds", "µs per run"), *body]


def markdown(figures: dict[str, Any]) -> str:
    """The table, and how many runs it is of."""
    return f"{figures['runs']:,} runs\n\n{pipes(table(figures))}"


def _stages(folder: Path) -> dict[str, float]:
    listing, runs = _seconds(lambda: list_runs(folder, unreadable=True))
    rowing, listed = _seconds(lambda: rows(runs))
    filtering, chosen = _seconds(lambda: query(listed, WHERE))
    sorting, _ = _seconds(lambda: query(listed, "", SORT))
    grouping, _ = _seconds(lambda: query(listed, "", "", "seeds"))
    names = worth_showing(chosen)
    printing, _ = _seconds(
        lambda: [[column_text(row, name) for name in names] for row in chosen[:100]]
    )
    return {
        "list": listing, "rows": rowing, "filter": filtering, "sort by two": sorting,
        "group seeds": grouping, "a hundred rows as text": printing,
    }  # fmt: skip


def _seconds(work: Callable[[], Any]) -> tuple[float, Any]:
    begin = time.process_time()
    result = work()
    return time.process_time() - begin, result
