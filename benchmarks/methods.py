"""How long `qtha-lab methods` takes in a process of its own: the first time, with an empty cache, and again."""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from typing import Any

from benchmarks.machine import conditions
from benchmarks.reporting import pipes

AIM = 1.5  # seconds
CALL = [sys.executable, "-c", "from qtha_lab.cli import main; main()", "methods"]


def bench_methods(rounds: int = 5) -> dict[str, Any]:
    """Call it with a cache folder that is new, then with what that call left in it.

    Args:
        rounds: Calls that find what the first one kept.

    Returns:
        `machine`, `commit`, `first`, the seconds of the first call, and `again`, those of each that follows; both as
        `wall` and `cpu`.
    """
    before = conditions()
    with tempfile.TemporaryDirectory() as cache:
        first, *again = [_call(cache) for _ in range(rounds + 1)]
    return {"benchmark": "methods", **before, "first": first, "again": again}


def _call(cache: str) -> dict[str, float]:
    environment = os.environ | {"QTHA_LAB_CACHE": cache}
    cpu, wall = _of_children(), time.perf_counter()
    subprocess.run(CALL, env=environment, stdout=subprocess.DEVNULL, check=True)
    return {"wall": time.perf_counter() - wall, "cpu": _of_children() - cpu}


def _of_children() -> float:
    """CPU seconds of the processes that were started from here and have ended."""
    times = os.times()
    return times.children_user + times.children_system


def again(figures: dict[str, Any], clock: str) -> float:
    """The median over the calls that find what the first one kept, in seconds by "wall" or "cpu"."""
    return statistics.median(call[clock] for call in figures["again"])


def table(figures: dict[str, Any]) -> list[tuple[str, str, str]]:
    """The first call and the others as rows of text."""
    first = figures["first"]
    return [
        ("`qtha-lab methods`", "s", "CPU s"),
        ("the first call, with an empty cache", f"{first['wall']:.2f}", f"{first['cpu']:.2f}"),
        ("a call after it", f"{again(figures, 'wall'):.2f}", f"{again(figures, 'cpu'):.2f}"),
    ]


def markdown(figures: dict[str, Any]) -> str:
    """The table, and of how many calls it is."""
    return (
        f"medians of {len(figures['again'])} calls; the first is one\n\n{pipes(table(figures))}\n"
    )
