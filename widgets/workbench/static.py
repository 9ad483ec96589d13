"""Static content of a workbench for pages without a kernel, such as saved notebooks.

Text and a table only; `widgets.workbench.workbench` is the live panel.
"""

from collections.abc import Iterable

from qtha_lab.experiment import Comparison

from ..kit import styles
from ..runs.run_list import words

NOTE = (
    "If the panel below is missing or does not answer (after a restart of the kernel or a reload "
    "of the page), run this cell again: runs go on without it and are found again."
)


def note() -> dict[str, str]:
    """Return the note above a panel; a page with a live panel hides it."""
    return {"text/html": f'<p class="qtha-note"><b>{NOTE}</b></p>', "text/plain": NOTE}


def bundle(comparison: Comparison, runs: Iterable) -> dict[str, str]:
    """Return the runs with their states and the comparison as YAML, as HTML and text."""
    rows = [_row(run) for run in runs]
    text = comparison.to_yaml()
    lines = ["  ".join(row.values()) for row in rows]
    page = f"<h3>Workbench</h3>{styles.table(rows)}{styles.code(text)}"
    return {"text/html": page, "text/plain": "\n".join(["Workbench", *lines, text])}


def _row(run) -> dict[str, str]:
    experiment = run.experiment
    return {
        "run": experiment.method.label,
        "seed": str(experiment.seed),
        "state": words(run.status()),
    }
