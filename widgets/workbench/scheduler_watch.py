"""The base panel for a scheduler process: its state, with Stop and Resume.

Panels of sweeps and comparisons derive from it. It reads a directory, so that a new panel, kernel
or tab finds it again. The scheduler is a process of its own.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Generic, Protocol, TypeVar

import traitlets

from qtha_lab.experiment.run_directory.scheduler_process import ScheduledDir

from ..kit import controls, styles
from ..kit.display import Shown
from ..kit.guard import ErrorLine
from ..kit.loop import Background, with_libraries

TICK_SECONDS = 0.7
GOING = ("running", "stopping")
BAR_STYLES = {"finished": "success", "dead": "danger"}


class Scheduled(Protocol):
    """The work of a scheduler process, as its directory states it."""

    @property
    def folder(self) -> ScheduledDir:
        """The directory."""
        ...


View = TypeVar("View", bound=Scheduled)


class SchedulerWatch(Shown, Generic[View]):
    """A panel that follows one scheduler process, by default the latest.

    `noun` is also the trait with the name of the displayed directory. A subclass lists directories
    (`folders`), names one (`title`), opens it (`attach`), reads it in a thread (`read`) and draws
    it.

    Attributes:
        runs: The ids of its runs so far.

    Args:
        name: Name of the directory to show; None is the latest.
        background: Runs the reading and waiting; default a `Background` of its own.
        announce: Receives sentences for a screen reader.
    """

    noun: ClassVar[str]
    needs_libraries: ClassVar[bool] = False  # True if `read` imports them
    runs = traitlets.Tuple()

    def __init__(
        self,
        name: str | None = None,
        background: Background | None = None,
        announce: Callable[[str], None] = lambda sentence: None,
    ):
        super().__init__()
        self.add_class("qtha-driver").add_class(f"qtha-{self.noun}")
        self.announce = announce
        self.error = ErrorLine()
        self.background = background or Background(self.error.report)
        self.view: View | None = None
        self.heading = styles.heading(self.noun.capitalize())
        self.state = styles.text("", "qtha-banner")
        self.pick = controls.Select(description=f"earlier {self.noun}s").add_class("qtha-pick")
        self.pick.observe(self.error.guard(self._picked), "value")
        self.stop = self.button(f"Stop {self.noun}", "stop", lambda view: view.stop())
        self.resume = self.button(f"Resume {self.noun}", "play", lambda view: view.resume())
        self.children = [self.heading, self.state, *self.parts(), styles.row(self.pick)]
        self.observe(self.error.guard(lambda _: self._open()), self.noun)
        self.visible = False
        self.list_again()
        names = [folder.path.name for folder in self.folders()]
        setattr(self, self.noun, name if name is not None else (names or [""])[0])

    def parts(self) -> list[Any]:
        """Return the widgets between the state and the list of earlier directories."""
        raise NotImplementedError

    def folders(self) -> Sequence[ScheduledDir]:
        """Return the directories in the runs folder, newest first."""
        raise NotImplementedError

    def title(self, folder: Any) -> str:
        """Return a title with time, model, task and methods."""
        raise NotImplementedError

    def attach(self, name: str) -> View:
        """Open a directory by its name."""
        raise NotImplementedError

    def read(self, view: View) -> tuple[str, str, Any]:
        """Return the state, a sentence on it, and data for `draw`; read the state first."""
        raise NotImplementedError

    def draw(self, view: View, state: str, rest: Any) -> None:
        """Draw the result of `read`."""
        raise NotImplementedError

    def clear(self) -> None:
        """Clear the drawing of the previous directory."""

    def list_again(self) -> None:
        """Update the list of directories in the runs folder."""
        folders = self.folders()
        named = [(self.title(folder), folder.path.name) for folder in folders]
        self.pick.options = ((f"show a {self.noun} …", ""), *named)
        self.pick.value = ""
        self.pick.visible = bool(folders)

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

    def button(self, label: str, icon: str, action: Callable[[Any], Any]) -> controls.Button:
        """Create a button for an action on the displayed directory, once at a time."""
        button = controls.Button(description=label, icon=icon, tooltip=label).add_class(
            "qtha-small"
        )
        start = self.background.start_once
        button.on_click(self.error.guard(lambda _: start(label, lambda: self.act(action))))
        return button

    def _open(self) -> None:
        name = getattr(self, self.noun)
        self.visible = bool(name)
        self.view, self.runs, self.state.value = None, (), ""
        self.clear()
        if name:
            self.view = self.attach(name)
            words = self.title(self.view.folder)
            self.heading.value = styles.heading(f"{self.noun.capitalize()} {words}").value
            self.background.start(self.noun, self.follow)

    def _say(self, state: str, sentence: str) -> None:
        line = styles.lines([sentence])
        if line != self.state.value and state not in GOING:
            self.announce(f"{self.noun.capitalize()}: {sentence}")
        self.state.value = line
        styles.mark_wrong(self.state, state == "dead")
        self.stop.disabled = state != "running"
        self.resume.disabled = state in (*GOING, "finished")

    def _picked(self, change) -> None:
        if change["new"]:
            setattr(self, self.noun, change["new"])
            self.pick.value = ""
