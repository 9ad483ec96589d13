"""Static content of a workbench for pages without a kernel, such as saved notebooks."""

from typing import Any

from qtha_lab.experiment import Comparison

from ..kit import styles
from ..runs.run_list import words

NOTE = (
    "If the panel is missing or does not answer (after a restart of the kernel or a reload of the "
    "page), run this cell again: runs go on without it and are found again."
)


def bundle(comparison: Comparison, verdict: Any, watch: Any) -> dict[str, str]:
    """Return finding, curves, runs and comparison as HTML, SVG and text.

    Args:
        comparison: The described comparison.
        verdict: Pane with `sentence` and `results`.
        watch: Pane with the `runs` and their `plot`.
    """
    rows = [_row(run) for run in watch.runs]
    text = comparison.to_yaml()
    lines = ["  ".join(row.values()) for row in rows]
    page = (
        f'<p class="qtha-note"><b>{NOTE}</b></p><h3>Workbench</h3>'
        f"<p>{styles.lines([verdict.sentence])}</p>{styles.html_table(rows)}"
        f"{verdict.results.value}{styles.code(text)}"
    )
    still = {"text/html": page, "text/plain": "\n".join(["Workbench", *lines, text])}
    if watch.plot.has_points:
        still |= {"image/svg+xml": watch.plot.chart.draw_still(), "alt": watch.plot.chart.alt}
    return still


def _row(run: Any) -> dict[str, str]:
    experiment = run.experiment
    return {
        "run": experiment.method.label,
        "seed": str(experiment.seed),
        "state": words(run.status()),
    }
