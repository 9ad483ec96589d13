"""Measure seconds and memory of every lesson on the toy model: `make course-report`.

Each lesson is executed in a process of its own. Seconds depend on the machine and on its load, so
they are printed and compared with nothing.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from qtha_lab.lessons.stated_minutes import (  # noqa: E402
    cells_of,
    computing_minutes,
    minutes_needed,
    stated_minutes,
)

TIMEOUT = 1800  # seconds of one cell
HEAD = ("lesson", "stated min", "needed min", "machine s", "memory MiB", "load")
MEMORY = "import resource; print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"


def measure(path: Path) -> tuple[float, float]:
    """Execute a notebook in this process; return its seconds and the kernel's MiB of memory."""
    notebook = nbformat.read(path, as_version=4)
    notebook.cells.append(new_code_cell(MEMORY))
    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(
            notebook, timeout=TIMEOUT, kernel_name="python3", store_widget_state=False,
            resources={"metadata": {"path": str(path.parent)}},
        )  # fmt: skip
        places = {"QTHA_LAB_RUNS": f"{folder}/runs", "QTHA_LAB_MY": f"{folder}/my"}
        began = time.monotonic()
        client.execute(env=os.environ | places)
        seconds = time.monotonic() - began
    kilobytes = int(notebook.cells[-1].outputs[0].text)
    return seconds, kilobytes / (2**20 if sys.platform == "darwin" else 2**10)


def report(path: Path) -> str:
    """Return the row of a lesson."""
    cells = cells_of(path)
    needed = minutes_needed(cells, int(path.stem[:2]), computing_minutes(cells))
    load = os.getloadavg()[0]
    seconds, memory = measure(path)
    values = (path.stem, stated_minutes(cells), needed, f"{seconds:.0f}", f"{memory:.0f}")
    return f"| {' | '.join(map(str, (*values, f'{load:.1f}')))} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("lessons", nargs="*", help="numbers, such as 01; all by default")
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(report(options.one))
        return
    print(f"| {' | '.join(HEAD)} |\n|---|{'---:|' * (len(HEAD) - 1)}", flush=True)
    for path in sorted((ROOT / "notebooks").glob("[01][0-9]_*.ipynb")):
        if not options.lessons or path.stem[:2] in options.lessons:
            command = [sys.executable, __file__, "--one", str(path)]
            done = subprocess.run(command, capture_output=True, text=True)
            last = done.stdout.strip() or f"| {path.stem} failed: {done.stderr.strip()[-300:]} |"
            print(last, flush=True)


if __name__ == "__main__":
    main()
