"""Cost of importing the tuners and the simulators, in units of PEFT's own import.

Processor time of new processes, alternately; no model, no kernel.
"""

import subprocess
import sys
from functools import partial
from typing import Any

from benchmarks.machine import conditions
from benchmarks.reporting import Show, Table, unseen
from benchmarks.timing import ratio, take_turns, timed

IMPORTS = {"PEFT": "peft", "tuners and simulators": "qtha_lab.adapters, qtha_lab.simulators"}


def bench_imports(rounds: int = 9, show: Show = unseen) -> dict[str, Any]:
    """Compare the import of the tuners and simulators with PEFT's.

    Args:
        rounds: New processes of each import; a first pair is not counted.
        show: Called with the number of finished rounds and of all.
    """
    before = conditions()
    commands = [[sys.executable, "-c", f"import {modules}"] for modules in IMPORTS.values()]
    works = [partial(subprocess.run, command, check=True) for command in commands]
    peft, ours = take_turns(works, rounds, show, clock="children")
    results = {"PEFT": timed(peft, peft), "tuners and simulators": timed(ours, peft)}
    return {"benchmark": "imports", **before, "settings": {"rounds": rounds}, "results": results}


def tables(figures: dict[str, Any]) -> list[Table]:
    """Return medians, and ratios within a round with their intervals."""
    rows = [
        (f"`import {IMPORTS[name]}`", f"{entry['seconds']:.2f}", ratio(entry))
        for name, entry in figures["results"].items()
    ]
    caption = f"CPU seconds of a new process, medians of {figures['settings']['rounds']} rounds"
    return [(caption, [("import", "CPU s", "ratio to PEFT's"), *rows])]
