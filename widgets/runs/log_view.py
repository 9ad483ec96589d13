"""The log of one run: its end, the worker's last output, states and file paths.

Also shows notes. Reads files of one run on request; follows nothing.
"""

import time
from pathlib import Path
from typing import Any

import ipywidgets as ipw
import traitlets

from qtha_lab.core import paths
from qtha_lab.runs.run import Run, attach

from ..kit import boxes, styles

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
        run = attach(self.run, self.folder)
        self.head.value = _head(run)
        self.events.value = styles.html_table(_events(run))
        tail = run.log_tail(LINES)
        self.output.value = styles.code(tail) if tail else ""


def _head(run: Run) -> str:
    """Return the run id, its status and the paths of its files."""
    status = run.status()
    lines = [f"{run.id}: {status.state} at step {status.step} of {status.steps}", status.message]
    files = [run.files.log, run.files.events, run.path / "exit.json"]
    present = [str(path) for path in files if path.exists()]
    return styles.lines(filter(None, [*lines, f"Its files: {', '.join(present) or run.path}"]))


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
