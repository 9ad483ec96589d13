"""Runs as rows: name, progress, state and time left, with Stop and Resume buttons.

A failed run offers its log. Shows statuses and forwards clicks; reads no directory.
"""

import html
from collections.abc import Callable, Iterable

from qtha_lab.cli.output import duration
from qtha_lab.core.method_styles import shown
from qtha_lab.figures.machinery.legends import short_names
from qtha_lab.figures.machinery.theme import method_style
from qtha_lab.runs import run

from ..kit import controls, styles
from ..kit.closing import put

BARS = dict.fromkeys(("failed", "diverged", "dead", "unreadable"), "danger") | {
    "finished": "success"
}


class RunRow(controls.Box):
    """A row for one run.

    Args:
        run: Any object with `id`, `path` and `experiment`.
        on_stop: Called with a list of this run when "Stop" is pressed.
        on_resume: Likewise for "Resume".
        short: Displayed name; default the method's label.
        on_log: Called with the run when "Log" is pressed; a failed run shows "Log" in place of
            "Stop".
    """

    def __init__(
        self, run, on_stop: Callable, on_resume: Callable, on_log: Callable, short: str = ""
    ):
        label = run.experiment.method.label
        color = method_style(label)["color"]
        self.title = f"{shown(label)}, seed {run.experiment.seed}"
        tip = html.escape(f"{self.title}, {run.path}")
        dot = f'<span class="qtha-dot" style="background:{color}"></span>'
        words = f"{styles.breakable(short or shown(label))} · seed {run.experiment.seed}"
        name = f'<span title="{tip}">{dot}{words}</span>'
        # last displayed state and quarter of the progress
        self.shown_state: tuple[str, int] | None = None
        self.bar = controls.Progress()
        self.state = styles.text("", "qtha-text qtha-state")
        self.stop = controls.Button(description="Stop", icon="stop", tooltip=f"Stop {self.title}")
        self.resume = controls.Button(
            description="Resume", icon="play", tooltip=f"Resume {self.title}"
        )
        self.stop.on_click(lambda _: on_stop([run]))
        self.resume.on_click(lambda _: on_resume([run]))
        self.open_log = controls.Button(
            description="Log", icon="file-text-o", tooltip=f"Log of {self.title}"
        )
        self.open_log.visible = False
        self.open_log.on_click(lambda _: on_log(run))
        actions = styles.row(self.open_log, self.stop, self.resume, css="qtha-actions")
        super().__init__([styles.text(name, "qtha-name"), self.bar, self.state, actions])
        self.add_class("qtha-run")

    def show(self, status) -> str:
        """Draw a status; return a sentence for a new state or quarter of the progress."""
        self.bar.max, self.bar.value = max(status.steps, 1), status.step
        self.bar.style = BARS.get(status.state, "")
        self.state.value = html.escape(words(status)[:400])
        wrong = BARS.get(status.state) == "danger"
        styles.mark_wrong(self.state, wrong)
        self.stop.disabled = status.ended or status.state == "stopping"
        self.resume.disabled = status.state not in run.RESUMABLE
        self.open_log.visible, self.stop.visible = wrong, not status.ended
        self.resume.visible = not self.resume.disabled
        shown_state = (status.state, 4 * status.step // max(status.steps, 1))
        previous, self.shown_state = self.shown_state or shown_state, shown_state
        return f"{self.title}: {words(status)}." if shown_state != previous else ""


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
        self.panel = styles.column(css="qtha-runs")
        self.rows: dict[str, RunRow] = {}

    def show(self, runs: Iterable) -> None:
        """List other runs."""
        runs = list(runs)
        short = short_names([run.experiment.method.label for run in runs])
        answers = self.on_stop, self.on_resume, self.on_log
        self.rows = {
            run.id: RunRow(run, *answers, shown(short[run.experiment.method.label])) for run in runs
        }
        put(self.panel, self.rows.values())

    def update(self, statuses: dict) -> None:
        """Draw the status of each run id."""
        statuses_shown = {i: status for i, status in statuses.items() if i in self.rows}
        news = [self.rows[run_id].show(status) for run_id, status in statuses_shown.items()]
        if any(news):
            self.announce(" ".join(filter(None, news)))
