"""Runs as rows: name, progress with state and time left, Stop and Resume.

Shows statuses given to it and hands clicks on; reads no directory.
"""

import html
from collections.abc import Callable, Iterable

import ipywidgets as ipw

from qtha_lab import runs
from qtha_lab.cli.output import duration
from qtha_lab.figures.theme import method_style
from widgets import look

BARS = dict.fromkeys(("failed", "diverged", "dead", "unreadable"), "danger") | {
    "finished": "success"
}


class RunRow:
    """One run."""

    def __init__(self, run, on_stop: Callable, on_resume: Callable):
        label = run.experiment.method.label
        color = method_style(label)["color"]
        said = html.escape(f"{label} · seed {run.experiment.seed} · {run.path}")
        name = f'seed {run.experiment.seed} · <b style="color:{color}">{html.escape(label)}</b>'
        self.name = look.text(f'<span title="{said}">{name}</span>', "qtha-run", flex="0 0 390px")
        self.bar = ipw.IntProgress(layout={"flex": "2 1 140px", "width": "auto", "height": "20px"})
        self.said = look.text("", "qtha-said", flex="2 1 240px")
        self.said.add_class("qtha-state")
        self.stop = ipw.Button(description="Stop", icon="stop", layout={"width": "84px"})
        self.resume = ipw.Button(description="Resume", icon="play", layout={"width": "96px"})
        self.stop.on_click(lambda _: on_stop([run]))
        self.resume.on_click(lambda _: on_resume([run]))
        self.panel = look.row(self.name, self.bar, self.said, self.stop, self.resume)

    def show(self, status) -> None:
        """Draw a status."""
        self.bar.max, self.bar.value = max(status.steps, 1), status.step
        self.bar.bar_style = BARS.get(status.state, "info")
        left = duration(status.seconds_left)
        parts = [status.state, f"step {status.step} of {status.steps}", left and f"{left} left"]
        self.said.value = html.escape(" · ".join(filter(None, [*parts, status.message]))[:400])
        look.mark(self.said, BARS.get(status.state) == "danger")
        self.stop.disabled = status.ended or status.state == "stopping"
        self.resume.disabled = status.state not in runs.RESUMABLE


class RunList:
    """A row a run; `on_stop` and `on_resume` are called with the runs meant."""

    def __init__(self, on_stop: Callable, on_resume: Callable):
        self.on_stop, self.on_resume = on_stop, on_resume
        self.panel = look.column()
        self.rows: dict[str, RunRow] = {}

    def show(self, shown: Iterable) -> None:
        """List these runs instead."""
        self.rows = {run.id: RunRow(run, self.on_stop, self.on_resume) for run in shown}
        self.panel.children = [row.panel for row in self.rows.values()]

    def update(self, statuses: dict) -> None:
        """Draw the status of each run id."""
        for run_id, status in statuses.items():
            if run_id in self.rows:
                self.rows[run_id].show(status)
