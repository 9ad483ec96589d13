"""CPU time of the import of the adapters, against that of PEFT alone."""

import resource
import statistics
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from benchmarks.machine import conditions
from benchmarks.reporting import Table

MODULES = ("peft", "qtha_lab.adapters")


def bench_imports(rounds: int = 5) -> dict[str, Any]:
    """Import PEFT and the adapters in new processes in turns; the first round is not counted."""
    before = conditions()
    seconds: dict[str, list[float]] = {module: [] for module in MODULES}
    for _ in range(rounds + 1):
        for module in MODULES:
            seconds[module].append(_cpu_seconds(module))
    return {
        "benchmark": "imports",
        **before,
        "cpu_seconds": {module: statistics.median(of[1:]) for module, of in seconds.items()},
    }


def tables(figures: dict[str, Any]) -> Iterator[Table]:
    """Yield a row for each module."""
    base = figures["cpu_seconds"][MODULES[0]]
    rows = [(m, f"{s:.2f}", f"{s / base:.2f}") for m, s in figures["cpu_seconds"].items()]
    yield "", [("import", "CPU s", "times PEFT's"), *rows]


def _cpu_seconds(module: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", f"import {module}"], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
