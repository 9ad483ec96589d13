"""A comparison in stages while it runs: trials, runs and moved starts so far; stop, resume, and where its report is.

Reads the comparison's directory, so that a new panel, kernel or tab finds it again; its driver is a process of its own.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import ipywidgets as ipw
import traitlets

from qtha_lab.compare import DrivenRuns, attach
from qtha_lab.compare.driven import Stage
from qtha_lab.compare.folder import ComparisonDir, list_comparisons
from qtha_lab.errors import Refusal
from qtha_lab.looks import shown

from . import look
from .guard import ErrorLine
from .loop import Background, with_libraries
from .past import local_time
from .shown import Shown

log = logging.getLogger(__name__)

TICK_SECONDS = 0.7
GOING = ("running", "stopping")


class ComparisonWatch(Shown):
    """Follows one comparison of the runs folder that a driver works at, by default the latest.

    Attributes:
        comparison: The name of the comparison shown, empty for none.
        runs: The ids of its runs so far.

    Args:
        comparison: The name of the one to show; None is the latest.
        background: Where reading and waiting are done; by default its own.
        announce: Takes news to be read aloud.

    Example:
        >>> ComparisonWatch()  # doctest: +SKIP
    """

    comparison = traitlets.Unicode()
    runs = traitlets.Tuple()

    def __init__(
        self,
        comparison: str | None = None,
        background: Background | None = None,
        announce: Callable[[str], None] = lambda sentence: None,
    ):
        super().__init__()
        self.add_class("qtha-sweep")
        self.announce = announce
        self.error = ErrorLine()
        self.background = background or Background(self.error.report)
        self.driven: DrivenRuns | None = None
        self.heading = look.heading("Comparison")
        self.state = look.text("", "qtha-banner")
        self.bars = look.column()
        self.findings = look.text("", "qtha-text")
        self.children = self._laid_out(alone=background is None)
        self.observe(self.error.guard(lambda _: self._attach()), "comparison")
        self.layout.display = "none"
        self.list_again()
        names = [folder.path.name for folder in list_comparisons()]
        self.comparison = comparison if comparison is not None else (names or [""])[0]

    def list_again(self) -> None:
        """Offer the comparisons that are in the folder now."""
        folders = list_comparisons()
        named = [(title(folder), folder.path.name) for folder in folders]
        self.pick.options = [("show a comparison …", ""), *named]
        self.pick.value = ""
        self.pick.layout.display = "" if folders else "none"

    def still(self) -> dict[str, str]:
        """How the comparison stands now, and what it shows."""
        if self.driven is None:
            return {"text/plain": "There is no comparison in stages yet."}
        sentences = [
            f"Comparison {title(self.driven.folder)}: {self.driven.sentence()}",
            *_notes(self.driven),
        ]
        return {"text/plain": "\n".join(sentences), "text/html": f"<p>{look.lines(sentences)}</p>"}

    async def follow(self) -> None:
        """Read and draw about once a second, until the driver has ended."""
        while self.driven is not None:
            driven = self.driven
            state, sentence, stages, ids, notes = await with_libraries(_read, driven)
            if driven is self.driven:
                self._draw(state, sentence, stages, notes)
                self.runs = ids
            if state not in GOING:
                return
            await asyncio.sleep(TICK_SECONDS)

    async def act(self, action: Callable[[DrivenRuns], Any]) -> None:
        """Stop or resume, which may take long, then follow."""
        if self.driven is not None:
            await asyncio.to_thread(action, self.driven)
        self.background.start("comparison", self.follow)

    def _attach(self) -> None:
        self.layout.display = "" if self.comparison else "none"
        self.driven, self.runs = None, ()
        self.state.value = self.findings.value = ""
        if self.comparison:
            self.driven = attach(self.comparison)
            self.heading.value = look.heading(f"Comparison {title(self.driven.folder)}").value
            self.background.start("comparison", self.follow)

    def _draw(self, state: str, sentence: str, stages: list[Stage], notes: list[str]) -> None:
        if sentence != self.state.value and state not in GOING:
            self.announce(f"Comparison: {sentence}")
        self.state.value = look.lines([sentence])
        look.mark(self.state, state == "dead")
        if [bar.description for bar in self.bars.children] != [stage.name for stage in stages]:
            self.bars.children = tuple(
                ipw.IntProgress(description=stage.name, layout={"width": "auto", "height": "18px"})
                for stage in stages
            )
        for bar, stage in zip(self.bars.children, stages, strict=True):
            bar.max, bar.value = max(stage.planned, 1), stage.ended
            bar.bar_style = {"finished": "success", "dead": "danger"}.get(state, "info")
        self.findings.value = look.lines(notes)
        self.stop.disabled = state != "running"
        self.resume.disabled = state in (*GOING, "finished")

    def _laid_out(self, alone: bool) -> list[ipw.Widget]:
        self.pick = ipw.Dropdown(description="earlier comparisons").add_class("qtha-pick")
        self.pick.observe(self.error.guard(self._picked), "value")
        self.stop = self._button("Stop comparison", "stop", DrivenRuns.stop)
        self.resume = self._button("Resume comparison", "play", DrivenRuns.resume)
        buttons = look.row(self.stop, self.resume, self.pick)
        style = [look.style_sheet()] if alone else []
        return [
            *style,
            self.heading,
            self.state,
            self.bars,
            buttons,
            self.error.panel,
            self.findings,
        ]

    def _picked(self, change) -> None:
        if change["new"]:
            self.comparison, self.pick.value = change["new"], ""

    def _button(self, label: str, icon: str, action: Callable[[DrivenRuns], Any]) -> ipw.Button:
        button = ipw.Button(description=label, icon=icon, tooltip=label).add_class("qtha-small")
        start = self.background.start_once
        button.on_click(self.error.guard(lambda _: start(label, lambda: self.act(action))))
        return button


def title(folder: ComparisonDir) -> str:
    """When, what and which methods: `2026-11-24 15:30 · tiny/qa · lora, qtha`."""
    try:
        described = folder.comparison
    except Refusal as reason:
        return f"{folder.path.name} · unreadable: {reason}"
    cells = ", ".join(str(cell) for cell in described.cells)
    methods = ", ".join(shown(method.label) for method in described.methods)
    return f"{local_time(folder.path.name)} · {cells} · {methods}"


def _read(driven: DrivenRuns) -> tuple[str, str, list[Stage], tuple[str, ...], list[str]]:
    state = driven.state  # first: what ends while the rest is read is read whole the next time
    return (
        state,
        driven.sentence(),
        driven.stages(),
        tuple(r.id for r in driven.runs),
        _notes(driven),
    )


def _notes(driven: DrivenRuns) -> list[str]:
    """What the runs that have ended show, and where the report is."""
    try:
        notes = driven.summary()["notes"]
    except Refusal as reason:
        log.debug("nothing to say yet: %s", reason)
        return []
    return [*notes, f"Reported in {driven.folder.page}"] if driven.state == "finished" else notes
