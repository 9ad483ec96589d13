"""A panel of a staged comparison in progress: trials, runs, perturbations, findings and report."""

import logging
from typing import Any, NamedTuple

import ipywidgets as ipw
import traitlets

from qtha_lab.core.errors import Refusal
from qtha_lab.experiment import Comparison
from qtha_lab.studies.comparison import ComparisonStudy
from qtha_lab.studies.study import StageProgress

from ..kit import boxes, styles
from .study_watch import BAR_STYLES, StudyWatch

log = logging.getLogger(__name__)


class _Read(NamedTuple):
    stages: list[StageProgress]
    runs: tuple[str, ...]
    notes: list[str]


class ComparisonWatch(StudyWatch[ComparisonStudy]):
    """A panel that follows one staged comparison, by default the latest; see `StudyWatch`.

    The comparison lies in the runs folder and has a scheduler process.

    Attributes:
        comparison: The name of the displayed comparison, empty for none.

    Example:
        >>> ComparisonWatch()  # doctest: +SKIP
    """

    noun, of = "comparison", ComparisonStudy
    needs_libraries = True
    comparison = traitlets.Unicode()

    def parts(self) -> list[Any]:
        self.bars = boxes.column()
        self.findings = boxes.text()
        return [self.bars, boxes.row([self.stop, self.resume]), self.error.panel, self.findings]

    def subject(self, described: Comparison) -> tuple[str, str]:
        return ", ".join(map(str, described.model_tasks)), ""

    def read(self, view: ComparisonStudy) -> tuple[str, str, _Read]:
        state = view.state
        runs = tuple(run.id for run in view)
        return state, view.sentence(), _Read(view.stages(), runs, _notes(view))

    def draw(self, view: ComparisonStudy, state: str, rest: _Read) -> None:
        if [bar.description for bar in self.bars.children] != [stage.name for stage in rest.stages]:
            bars = (boxes.styled(ipw.IntProgress, description=stage.name) for stage in rest.stages)
            boxes.put(self.bars, bars)
        for bar, stage in zip(self.bars.children, rest.stages, strict=True):
            bar.max, bar.value = max(stage.planned, 1), stage.ended
            bar.bar_style = BAR_STYLES.get(state, "")
        self.findings.value = styles.lines(rest.notes)
        self.runs = rest.runs

    def clear(self) -> None:
        self.findings.value = ""

    def still(self) -> dict[str, str]:
        """Return the state of the comparison and its findings."""
        if self.view is None:
            return {"text/plain": "There is no comparison in stages yet."}
        head = f"Comparison {self.title(self.view)}: {self.view.sentence()}"
        sentences = [head, *_notes(self.view)]
        return {
            "text/plain": "\n".join(sentences),
            "text/html": f"<p>{styles.lines(sentences)}</p>",
        }


def _notes(study: ComparisonStudy) -> list[str]:
    """Return the findings of the ended runs, and the path of the report."""
    try:
        notes = study.summary()["notes"]
    except Refusal as reason:
        log.debug("nothing to say yet: %s", reason)
        return []
    return [*notes, f"Reported in {study.page}"] if study.state == "finished" else notes
