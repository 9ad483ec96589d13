"""How long `qtha-lab methods` takes in a process of its own: with an empty cache, and again; beside it the imports alone."""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from typing import Any

from benchmarks.machine import conditions
from benchmarks.reporting import pipes

CALL = [sys.executable, "-c", "from qtha_lab.cli import main; main()", "methods"]
# what counting PEFT's methods cannot do without
LIBRARIES = [sys.executable, "-c", "import torch, transformers, peft"]


def bench_methods(rounds: int = 5) -> dict[str, Any]:
    """Call it with a cache folder that is new, then with what that call left in it.

    Args:
        rounds: Calls with an empty cache, each in turns with one that finds what it kept, and one that imports the
            libraries and does nothing.

    Returns:
        `machine`, `commit`, and by `first` (with an empty cache), `again` and `libraries` the seconds of each call, as
        `wall` and `cpu`.
    """
    before = conditions()
    calls: dict[str, list[dict[str, float]]] = {"first": [], "again": [], "libraries": []}
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as cache:
            for name, call in (("first", CALL), ("again", CALL), ("libraries", LIBRARIES)):
                calls[name].append(_call(call, cache))
    return {"benchmark": "methods", **before, **calls}


def _call(call: list[str], cache: str) -> dict[str, float]:
    environment = os.environ | {"QTHA_LAB_CACHE": cache}
    cpu, wall = _of_children(), time.perf_counter()
    subprocess.run(
        call, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True
    )
    return {"wall": time.perf_counter() - wall, "cpu": _of_children() - cpu}


def _of_children() -> float:
    """CPU seconds of the processes that were started from here and have ended."""
    times = os.times()
    return times.children_user + times.children_system


def median(figures: dict[str, Any], name: str, clock: str) -> float:
    """The median over the calls of a name (`first`, `again`, `libraries`), in seconds by "wall" or "cpu"."""
    return statistics.median(call[clock] for call in figures[name])


def table(figures: dict[str, Any]) -> list[tuple[str, str, str]]:
    """The calls as rows of text."""
    words = {
        "first": "with an empty cache",
        "again": "after that",
        "libraries": "importing torch, transformers and PEFT alone",
    }
    return [
        ("`qtha-lab methods`", "s", "CPU s"),
        *(
            (text, *(f"{median(figures, name, clock):.2f}" for clock in ("wall", "cpu")))
            for name, text in words.items()
        ),
    ]


def markdown(figures: dict[str, Any]) -> str:
    """The table, and of how many calls it is."""
    return f"medians of {len(figures['again'])} calls of each\n\n{pipes(table(figures))}\n"
