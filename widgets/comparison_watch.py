"""A comparison in stages while it runs: trials, runs and moved starts so far, what it shows, and where its report is."""

import logging
from typing import NamedTuple

import ipywidgets as ipw
import traitlets

from qtha_lab.compare import DrivenRuns, attach
from qtha_lab.compare.driven import Stage
from qtha_lab.compare.folder import ComparisonDir, list_comparisons
from qtha_lab.errors import Refusal
from qtha_lab.looks import shown

from . import look
from .closing import put
from .driver_watch import BAR_STYLES, DriverWatch
from .past import local_time

log = logging.getLogger(__name__)


class _Read(NamedTuple):
    stages: list[Stage]
    runs: tuple[str, ...]
    notes: list[str]


class ComparisonWatch(DriverWatch[DrivenRuns]):
    """Follows one comparison of the runs folder that a driver works at, by default the latest; see `DriverWatch`.

    Attributes:
        comparison: The name of the comparison shown, empty for none.

    Example:
        >>> ComparisonWatch()  # doctest: +SKIP
    """

    noun = "comparison"
    needs_libraries = True
    comparison = traitlets.Unicode()

    def parts(self) -> list[ipw.Widget]:
        self.bars = look.column()
        self.findings = look.text("", "qtha-text")
        return [self.bars, look.row(self.stop, self.resume), self.error.panel, self.findings]

    def folders(self) -> list[ComparisonDir]:
        return list_comparisons()

    def title(self, folder: ComparisonDir) -> str:
        """`2026-11-24 15:30 · tiny/qa · lora, qtha`."""
        try:
            described = folder.comparison
        except Refusal as reason:
            return f"{folder.path.name} · unreadable: {reason}"
        cells = ", ".join(str(cell) for cell in described.cells)
        methods = ", ".join(shown(method.label) for method in described.methods)
        return f"{local_time(folder.path.name)} · {cells} · {methods}"

    def attach(self, name: str) -> DrivenRuns:
        return attach(name)

    def read(self, view: DrivenRuns) -> tuple[str, str, _Read]:
        state = view.state
        runs = tuple(run.id for run in view.runs)
        return state, view.sentence(), _Read(view.stages(), runs, _notes(view))

    def draw(self, view: DrivenRuns, state: str, rest: _Read) -> None:
        if [bar.description for bar in self.bars.children] != [stage.name for stage in rest.stages]:
            bars = (
                ipw.IntProgress(description=stage.name, layout={"width": "auto", "height": "18px"})
                for stage in rest.stages
            )
            put(self.bars, bars)
        for bar, stage in zip(self.bars.children, rest.stages, strict=True):
            bar.max, bar.value = max(stage.planned, 1), stage.ended
            bar.bar_style = BAR_STYLES.get(state, "info")
        self.findings.value = look.lines(rest.notes)
        self.runs = rest.runs

    def clear(self) -> None:
        self.findings.value = ""

    def still(self) -> dict[str, str]:
        """How the comparison stands now, and what it shows."""
        if self.view is None:
            return {"text/plain": "There is no comparison in stages yet."}
        head = f"Comparison {self.title(self.view.folder)}: {self.view.sentence()}"
        sentences = [head, *_notes(self.view)]
        return {"text/plain": "\n".join(sentences), "text/html": f"<p>{look.lines(sentences)}</p>"}


def _notes(driven: DrivenRuns) -> list[str]:
    """What the runs that have ended show, and where the report is."""
    try:
        notes = driven.summary()["notes"]
    except Refusal as reason:
        log.debug("nothing to say yet: %s", reason)
        return []
    return [*notes, f"Reported in {driven.folder.page}"] if driven.state == "finished" else notes
