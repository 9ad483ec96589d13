"""Panels of a study in progress: the base panel, and that of a staged comparison.

It reads a folder, so that a new panel, kernel or tab finds it again. The scheduler is a process of
its own.
"""

import asyncio
import html
import logging
from collections.abc import Callable
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar, cast

import ipywidgets as ipw
import traitlets

from qtha_lab.core.errors import Refusal
from qtha_lab.core.method_styles import shown
from qtha_lab.experiment import Comparison
from qtha_lab.studies.comparison import ComparisonStudy
from qtha_lab.studies.study import GOING, StageProgress, Study

from ..kit import boxes
from ..kit.loop import Background, with_libraries
from ..kit.static_output import StaticOutput
from .history import local_time

TICK_SECONDS = 0.7
BAR_STYLES = {"finished": "success", "dead": "danger"}


S = TypeVar("S", bound=Study)


class StudyWatch(StaticOutput, ipw.VBox, Generic[S]):
    """A panel that follows one study of the runs folder, by default the latest.

    `noun` is also the trait with the name of the displayed folder. A subclass names the subject of
    a description (`subject`), reads the study in a thread (`read`) and draws it.

    Attributes:
        runs: The ids of its runs so far.

    Args:
        name: Name of the directory to show; None is the latest.
        background: Runs the reading and waiting; default a `Background` of its own.
        announce: Receives sentences for a screen reader.
    """

    noun: ClassVar[str]
    of: ClassVar[type[Study]]
    needs_libraries: ClassVar[bool] = False  # True if `read` imports them
    runs = traitlets.Tuple()

    def __init__(
        self,
        name: str | None = None,
        background: Background | None = None,
        announce: Callable[[str], None] = lambda sentence: None,
    ):
        super().__init__(layout=boxes.layout())
        boxes.classed(self, "qtha-page", "qtha-column", f"qtha-{self.noun}")
        self.announce = announce
        self.error = boxes.ErrorText()
        self.background = background or Background(self.error.report)
        self.view: S | None = None
        self.observe(self.error.guard(lambda _: self._open()), self.noun)
        boxes.show(self, False)
        names = [study.path.name for study in self.of.list_all()]
        setattr(self, self.noun, name if name is not None else (names or [""])[0])

    def build(self) -> None:
        """Build the content, once a study is shown."""
        self.heading = boxes.heading(self.noun.capitalize())
        self.state = boxes.text("", "qtha-banner")
        self.pick = boxes.styled(ipw.Dropdown, description=f"earlier {self.noun}s")
        self.pick.observe(self.error.guard(self._picked), "value")
        self.stop = self.button(f"Stop {self.noun}", "stop", lambda view: view.stop())
        self.resume = self.button(f"Resume {self.noun}", "play", lambda view: view.resume())
        self.children = [self.heading, self.state, *self.parts(), boxes.row([self.pick])]
        self.list_again()

    def parts(self) -> list[Any]:
        """Return the widgets between the state and the list of earlier directories."""
        raise NotImplementedError

    def subject(self, described: Any) -> tuple[str, str]:
        """Return the models and tasks of a description, and what follows its methods."""
        raise NotImplementedError

    def title(self, study: Study) -> str:
        """Return a title such as `2026-11-24 15:30 · tiny/qa · lora, qtha over learning_rate`."""
        try:
            described = study.described
        except Refusal as reason:
            return f"{study.path.name} · unreadable: {reason}"
        place, rest = self.subject(described)
        methods = ", ".join(shown(method.label) for method in described.methods)
        return f"{local_time(study.path.name)} · {place} · {methods}{rest}"

    def read(self, view: S) -> tuple[str, str, Any]:
        """Return the state, a sentence on it, and data for `draw`; read the state first."""
        raise NotImplementedError

    def draw(self, view: S, state: str, rest: Any) -> None:
        """Draw the result of `read`."""
        raise NotImplementedError

    def clear(self) -> None:
        """Clear the drawing of the previous directory."""

    def list_again(self) -> None:
        """Update the list of directories in the runs folder."""
        if not self.children:
            return
        studies = self.of.list_all()
        named = [(self.title(study), study.path.name) for study in studies]
        boxes.show_options(self.pick, ((f"show a {self.noun} …", ""), *named))
        self.pick.value = ""
        boxes.show(self.pick, bool(studies))

    async def follow(self) -> None:
        """Read and draw about once a second, until the scheduler has ended."""
        while (view := self.view) is not None:
            in_thread = with_libraries if self.needs_libraries else asyncio.to_thread
            state, sentence, rest = await in_thread(self.read, view)
            if view is self.view:
                self._say(state, sentence)
                self.draw(view, state, rest)
            if state not in GOING:
                return
            await asyncio.sleep(TICK_SECONDS)

    async def act(self, action: Callable[[Any], Any]) -> None:
        """Run an action such as stop or resume in a thread, then follow."""
        if self.view is not None:
            await asyncio.to_thread(action, self.view)
        self.background.start(self.noun, self.follow)

    def button(self, label: str, icon: str, action: Callable[[Any], Any]) -> ipw.Button:
        """Create a button for an action on the displayed directory, once at a time."""
        button = boxes.button(label, icon=icon, tooltip=label)
        start = self.background.start_once
        button.on_click(self.error.guard(lambda _: start(label, lambda: self.act(action))))
        return button

    def _open(self) -> None:
        name = getattr(self, self.noun)
        if name and not self.children:
            self.build()
        boxes.show(self, bool(name))
        self.view, self.runs = None, ()
        if self.children:
            self.state.value = ""
            self.clear()
        if name:
            self.view = view = cast(S, self.of.find(name))
            words = self.title(view)
            self.heading.value = f"<h3>{html.escape(f'{self.noun.capitalize()} {words}')}</h3>"
            self.background.start(self.noun, self.follow)

    def _say(self, state: str, sentence: str) -> None:
        line = boxes.lines([sentence])
        if line != self.state.value and state not in GOING:
            self.announce(f"{self.noun.capitalize()}: {sentence}")
        self.state.value = line
        boxes.mark_wrong(self.state, state == "dead")
        self.stop.disabled = state != "running"
        self.resume.disabled = state in (*GOING, "finished")

    def _picked(self, change) -> None:
        if change["new"]:
            setattr(self, self.noun, change["new"])
            self.pick.value = ""


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
        self.findings.value = boxes.lines(rest.notes)
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
            "text/html": f"<p>{boxes.lines(sentences)}</p>",
        }


def _notes(study: ComparisonStudy) -> list[str]:
    """Return the findings of the ended runs, and the path of the report."""
    try:
        notes = study.summary()["notes"]
    except Refusal as reason:
        log.debug("nothing to say yet: %s", reason)
        return []
    return [*notes, f"Reported in {study.page}"] if study.state == "finished" else notes
