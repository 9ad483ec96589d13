"""From Run to the workbench in the page, in a kernel that has imported nothing: a real JupyterLab
in headless Chromium.

The clock is the page's: from the key that runs the cell until its Launch button can be seen, the
last part of the form.
The first time of all in a home folder is apart: methods are asked then what they declare, for which
libraries are imported.
"""

import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.lab import open_notebook
from benchmarks.machine import conditions
from benchmarks.reporting import pipes

AIM = 2.0  # seconds
CELL = "from qtha_lab.widgets import Workbench\n\nWorkbench()"
# Seconds from the next key until the form is whole.
WATCH = """() => new Promise(done => {
    let began;
    addEventListener('keydown', e => { if (e.key === 'Enter') began ??= performance.now(); }, { capture: true });
    const look = () => {
        const launch = [...document.querySelectorAll('.qtha-workbench button')]
            .find(b => b.textContent.trim().startsWith('Launch') && b.checkVisibility() && b.clientHeight);
        if (launch && began) done((performance.now() - began) / 1000); else requestAnimationFrame(look);
    };
    look();
})"""


def bench_opening(
    rounds: int = 5, on_round: Callable[[int], None] = lambda number: None
) -> dict[str, Any]:
    """Run the cell of the workbench in kernels that have just begun.

    Args:
        rounds: Kernels that count; one before them is the first of all in its home folder.
        on_round: Called with each round's number.

    Returns:
        `machine`, `commit`, `first`, seconds of the first time of all, and `seconds`, one for each
        round.
    """
    before, seconds = conditions(), []
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        open_notebook(
            [CELL],
            Path(folder, "root", "workbench.ipynb"),
            QTHA_LAB_CACHE=str(Path(folder, "cache")),
        ) as (lab, _),
    ):
        for number in range(rounds + 1):
            on_round(number)
            if number:
                lab.menu("Edit", "Clear Outputs of All Cells")
                lab.restart_kernel()
                lab.page.wait_for_timeout(2000)  # what the kernel does after it is idle
            seconds.append(_opened(lab))
            lab.page.wait_for_timeout(3000)  # the panel's own work behind the form
    return {
        "benchmark": "opening",
        **before,
        "first": seconds[0],
        "seconds": seconds[1:],
    }


def _opened(lab) -> float:
    """Seconds from the key to the form."""
    cell = lab.page.locator(".jp-CodeCell").first
    cell.locator(".cm-content").click()
    lab.page.evaluate(f"() => {{ window.opened = ({WATCH})(); }}")
    lab.page.keyboard.press("Control+Enter")
    return lab.page.evaluate("() => window.opened")


def table(result: dict[str, Any]) -> list[tuple[str, ...]]:
    """Rows of text: the median of the rounds, and the first time of all."""
    times = result["seconds"]
    span = f"{min(times):.1f} to {max(times):.1f}"
    within = "yes" if statistics.median(times) <= AIM else "no"
    return [
        ("workbench in a fresh kernel", "s", "from … to", f"within {AIM:g} s"),
        ("from Run to the form", f"{statistics.median(times):.1f}", span, within),
        ("the first time in a home folder", f"{result['first']:.1f}", "", ""),
    ]


def markdown(result: dict[str, Any]) -> str:
    """The table for a page."""
    caption = f"headless Chromium, {len(result['seconds'])} kernels"
    return f"{caption}\n\n{pipes(table(result))}\n"
