"""Runs as rows with progress, state, Stop and Resume; and the log of one run.

Shows statuses and forwards clicks. The log reads files of one run on request.
"""

import html
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import ipywidgets as ipw
import traitlets

from qtha_lab.cli.output import duration
from qtha_lab.core import paths
from qtha_lab.core.method_styles import shown
from qtha_lab.runs import run
from qtha_lab.runs.run import Run, load_run

from ..kit import boxes
from .variants import MethodVariant, variants

BARS = dict.fromkeys(("failed", "diverged", "dead", "unreadable"), "danger") | {
    "finished": "success"
}


class RunRow(ipw.HBox):
    """A row for one run.

    Args:
        run: Any object with `id`, `path` and `experiment`.
        on_stop: Called with a list of this run when "Stop" is pressed.
        on_resume: Likewise for "Resume".
        variant: Displayed name and symbol.
        on_log: Called with the run when "Log" is pressed; a failed run shows "Log" in place of
            "Stop".
    """

    def __init__(
        self, run, on_stop: Callable, on_resume: Callable, on_log: Callable, variant: MethodVariant
    ):
        seed = run.experiment.seed
        self.title = f"{shown(run.experiment.method.label)}, seed {seed}"
        tip = html.escape(f"{self.title}, {run.path}")
        name = f'<span title="{tip}">{variant.title_html} · seed {seed}</span>'
        # last displayed state and quarter of the progress
        self.shown_state: tuple[str, int] | None = None
        self.bar = boxes.styled(ipw.IntProgress, layout=boxes.layout(width="120px"))
        self.bar.tooltip = f"progress of {self.title}"
        self.state = boxes.text("", "qtha-text qtha-state")
        self.answers = {
            "Log": ("file-text-o", lambda _: on_log(run)),
            "Stop": ("stop", lambda _: on_stop([run])),
            "Resume": ("play", lambda _: on_resume([run])),
        }
        self.buttons: dict[str, ipw.Button] = {}
        self.parts = (boxes.text(name, "qtha-name"), self.bar, self.state)
        super().__init__(self.parts, layout=boxes.layout())
        boxes.classed(self, "qtha-run")

    def show(self, status) -> str:
        """Draw a status; return a sentence for a new state or quarter of the progress."""
        self.bar.max, self.bar.value = max(status.steps, 1), status.step
        self.bar.bar_style = BARS.get(status.state, "")
        self.state.value = html.escape(words(status)[:400])
        wrong = BARS.get(status.state) == "danger"
        boxes.mark_wrong(self.state, wrong)
        offered = {"Log": wrong, "Stop": not status.ended, "Resume": status.state in run.RESUMABLE}
        self._offer([label for label, is_offered in offered.items() if is_offered])
        if not status.ended:
            self.buttons["Stop"].disabled = status.state == "stopping"
        shown_state = (status.state, 4 * status.step // max(status.steps, 1))
        previous, self.shown_state = self.shown_state or shown_state, shown_state
        return f"{self.title}: {words(status)}." if shown_state != previous else ""

    def offers(self, label: str) -> bool:
        """Return True if a button is shown and enabled."""
        return label in self.buttons and not self.buttons[label].disabled

    def _offer(self, labels: list[str]) -> None:
        """Show these buttons; the others are closed."""
        if labels != [*self.buttons]:
            buttons = {name: self.buttons.get(name) or self._button(name) for name in labels}
            self.buttons = buttons
            boxes.put(self, (*self.parts, *buttons.values()))

    def _button(self, label: str) -> ipw.Button:
        icon, answer = self.answers[label]
        button = boxes.button(label, icon=icon, tooltip=f"{label} {self.title}")
        button.on_click(answer)
        return button


def words(status) -> str:
    """Describe a status in words, without repeating parts of its message.

    Example:
        >>> from qtha_lab.runs.run import Status
        >>> words(Status("stopped", 20, 100, "stopped at step 20 of 100"))
        'stopped at step 20 of 100'
        >>> words(Status("running", 30, 100, "", 75.0))
        'running · step 30 of 100 · 1 min 15 s left'
    """
    left = duration(status.seconds_left)
    state = "" if status.message.startswith(status.state) else status.state
    place = f"step {status.step} of {status.steps}"
    place = "" if place in status.message else place
    return " · ".join(filter(None, [state, place, left and f"{left} left", status.message]))


class RunList:
    """A list with one row per run.

    `on_stop` and `on_resume` are called with the chosen runs, `on_log` with one run, and `announce`
    with news for screen readers.
    """

    def __init__(self, on_stop: Callable, on_resume: Callable, on_log: Callable):
        self.on_stop, self.on_resume, self.on_log = on_stop, on_resume, on_log
        self.announce: Callable[[str], None] = lambda sentence: None
        self.panel = boxes.column(css="qtha-runs")
        self.rows: dict[str, RunRow] = {}

    def show(self, runs: Iterable) -> None:
        """List other runs."""
        runs = list(runs)
        known = variants(run.experiment.method.label for run in runs)
        answers = self.on_stop, self.on_resume, self.on_log
        self.rows = {
            run.id: RunRow(run, *answers, known[run.experiment.method.label]) for run in runs
        }
        boxes.put(self.panel, self.rows.values())

    def update(self, statuses: dict) -> None:
        """Draw the status of each run id."""
        statuses_shown = {i: status for i, status in statuses.items() if i in self.rows}
        news = [self.rows[run_id].show(status) for run_id, status in statuses_shown.items()]
        if any(news):
            self.announce(" ".join(filter(None, news)))


LINES, EVENTS = 200, 40
WORTH_TELLING = ("status", "note", "checkpoint", "threads", "broken")


class LogView(ipw.VBox):
    """A panel with the log of one run.

    Args:
        run: The id of a run; "" shows nothing.
        folder: The folder of the run; default `paths.runs_dir()`.

    Example:
        >>> LogView("20261125-101500-tiny-qa-lora-s0-1a2b")  # doctest: +SKIP
    """

    run = traitlets.Unicode(help="The id of the run that is shown.")
    folder = traitlets.Unicode(help="The folder that it lies in.")

    def __init__(self, run: str = "", folder: Path | str | None = None):
        self.error = boxes.ErrorText()
        self.head, self.events = boxes.text(), boxes.text("", "qtha-table qtha-words")
        self.output = boxes.text("", "qtha-code")
        self.again = boxes.button("Read again", icon="refresh")
        place = str(folder or paths.runs_dir())
        super().__init__(run=run, folder=place, layout=boxes.layout())
        self.children = [self.error.panel, self.head, self.events, self.output, self.again]
        boxes.classed(self, "qtha-page", "qtha-log-view")
        self.again.on_click(self.error.guard(lambda _: self.read()))
        self.observe(self.error.guard(lambda _: self.read()), "run")
        self.error.guard(self.read)()

    def show(self, run: str, folder: Path) -> None:
        """Show the present log of a run in a folder."""
        self.folder = str(folder)
        if run == self.run:
            self.again.click()
        self.run = run

    def read(self) -> None:
        """Read the run's files, and show their present content."""
        boxes.show(self.again, bool(self.run))
        if not self.run:
            self.head.value = "Enter in a row, or its button, opens the log of that run."
            self.events.value = self.output.value = ""
            return
        run = load_run(self.run, self.folder)
        self.head.value = _head(run)
        self.events.value = boxes.html_table(_events(run))
        tail = run.log_tail(LINES)
        self.output.value = boxes.code(tail) if tail else ""


def _head(run: Run) -> str:
    """Return the run id, its status and the paths of its files."""
    status = run.status()
    lines = [f"{run.id}: {status.state} at step {status.step} of {status.steps}", status.message]
    files = [run.files.log, run.files.events, run.path / "exit.json"]
    present = [str(path) for path in files if path.exists()]
    return boxes.lines(filter(None, [*lines, f"Its files: {', '.join(present) or run.path}"]))


def _events(run: Run) -> list[dict[str, str]]:
    """Return the last states, notes and broken lines of the event log."""
    events = [event for event in run.events()[0] if event["kind"] in WORTH_TELLING]
    return [_row(event) for event in events if not event.get("again")][-EVENTS:]


def _row(event: dict[str, Any]) -> dict[str, str]:
    clock = time.strftime("%H:%M:%S", time.localtime(event["t"])) if event.get("t") else ""
    kind = event["kind"]
    what = event.get("state") or (
        f"line at byte {event.get('offset')}" if kind == "broken" else kind
    )
    step = str(event.get("step", ""))
    return {"when": clock, "what": what, "step": step, "message": str(event.get("message", ""))}
