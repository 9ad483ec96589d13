"""Runs as rows: name, progress, state and time left, with Stop and Resume buttons.

A failed run offers its log. Shows statuses and forwards clicks; reads no directory.
"""

import html
from collections.abc import Callable, Iterable

import ipywidgets as ipw

from qtha_lab.cli.output import duration
from qtha_lab.core.method_styles import shown
from qtha_lab.runs import run

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
        button = self.buttons.get(label)
        return button is not None and button in self.children and not button.disabled

    def _offer(self, labels: list[str]) -> None:
        """Show buttons; each is built when it is first offered."""
        for label in labels:
            if label not in self.buttons:
                icon, answer = self.answers[label]
                button = boxes.button(label, icon=icon, tooltip=f"{label} {self.title}")
                button.on_click(answer)
                self.buttons[label] = button
        children = (*self.parts, *(self.buttons[label] for label in labels))
        if self.children != children:
            self.children = children


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
