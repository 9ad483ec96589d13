"""Static content of a workbench for pages without a kernel, such as saved notebooks."""

import logging
from collections.abc import Callable
from typing import Any

from qtha_lab.core.errors import Refusal
from qtha_lab.experiment import Comparison

from ..kit import boxes
from ..kit.boxes import guarded
from ..runs.run_list import words

log = logging.getLogger(__name__)
NOTE = (
    "If the panel is missing or not connected (after a restart of the kernel or a reload of the "
    "page), run this cell again: runs go on without it and are found again."
)


def bundle(describe: Callable[[], Comparison], verdict: Any, watch: Any) -> dict[str, str]:
    """Return finding, curves, runs and comparison as HTML, SVG and text.

    What the panel has not read yet is read now: a page that is only executed is never read again.

    Args:
        describe: Returns the described comparison; may refuse.
        verdict: Pane with `sentence`, `results` and `renew_now`.
        watch: Pane with the `runs` and their `plot`.
    """
    if watch.runs and not watch.plot.has_points:
        watch.plot.catch_up()
    if not verdict.sentence:
        guarded(verdict.renew_now, _note)(watch.runs)
    rows = [_row(run) for run in watch.runs]
    try:
        text = describe().to_yaml()
    except Refusal as reason:
        log.debug("the comparison is left out: %s", reason)
        text = ""
    finding = [verdict.sentence] if verdict.sentence else []
    lines = [*finding, *("  ".join(row.values()) for row in rows)]
    page = (
        f'<p class="qtha-note"><b>{NOTE}</b></p><h3>Workbench</h3>'
        f"<p>{boxes.lines(finding)}</p>{boxes.html_table(rows)}"
        f"{verdict.results.value}{boxes.code(text)}"
    )
    still = {"text/html": page, "text/plain": "\n".join(["Workbench", *lines, text])}
    if watch.plot.has_points:
        picture = watch.plot.still()
        still |= {"image/svg+xml": picture["image/svg+xml"], "alt": picture["text/plain"]}
    return still


def _note(error: Exception) -> None:
    log.warning("the finding is left out: %r", error)


def _row(run: Any) -> dict[str, str]:
    experiment = run.experiment
    return {
        "run": experiment.method.label,
        "seed": str(experiment.seed),
        "state": words(run.status()),
    }
