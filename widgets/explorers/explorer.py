"""View of an explorer: a box with controls, figures and a table.

A subclass names its rows of controls. `setting_control` makes each control of the declared trait.
"""

import asyncio
import re
from collections.abc import Sequence
from functools import partial
from types import SimpleNamespace
from typing import Any, ClassVar

import ipywidgets as ipw

from qtha_lab.core.settings import Setting

from ..figures.figure_widget import FigureWidget, drawing_of
from ..figures.saving import save_fold
from ..kit import boxes
from ..kit.fold import Fold
from ..kit.loop import Background
from ..kit.setting_control import setting_control
from ..kit.static_output import StaticOutput
from .explorer_model import Choice, Drawing, ExplorerModel, pairs_of

NONE = "none"
"""The value of a control for None, which ipywidgets takes for "nothing is selected"."""
NOTHING = (("nothing yet", NONE),)


class Explorer(ExplorerModel, StaticOutput, ipw.VBox):
    """A box that always shows the newest state of its model.

    A control, Python code or a link may set the state. `explorer.controls` holds the controls by
    trait. A slider sends states faster than figures are drawn; states in between are skipped.
    """

    ROWS: ClassVar[tuple[tuple[str, ...], ...]] = ()
    """The traits with a control, row by row."""

    def __init__(self, *sources: Any, **options: Any):
        super().__init__(*sources, **options)
        self.error = boxes.ErrorText()
        self.background = Background(self.error.report)
        self.controls: dict[str, Any] = {
            name: self._control(name) for row in self.ROWS for name in row
        }
        self.shown = self.revision
        self.views = {name: FigureWidget(figure) for name, figure in self.figures.items()}
        self.table, self.notes = boxes.text("", "qtha-table"), boxes.text()
        self.code_text: ipw.HTML | None = None
        self.rows = [boxes.row(self.controls[name] for name in row) for row in self.ROWS]
        self._show(self.drawing, {})
        self.children = self._laid_out()
        self._show_controls()
        for name, control in self.controls.items():
            control.observe(self.error.guard(partial(self._moved, name)), "value")
        self.observe(self._renew, "revision")
        own = re.sub("(?<!^)(?=[A-Z])", "-", type(self).__name__).lower()
        boxes.classed(self, "qtha-page", "qtha-explorer", f"qtha-{own}")

    # ---- hooks of subclasses

    def below_controls(self) -> Sequence[Any]:
        """Return additional widgets below the rows of controls."""
        return ()

    def show_more(self) -> None:
        """Update controls that have no trait of their own from the state."""

    # ---- controls

    def _control(self, name: str) -> Any:
        trait = self.traits()[name]
        label = getattr(trait, "label", "") or trait.metadata.get("label", "")
        if not isinstance(trait, Choice):
            limits: dict[str, Any] = {
                "ge": getattr(trait, "min", None),
                "le": getattr(trait, "max", None),
            }
            declared = Setting(name, type(trait.default()), getattr(self, name), **limits)
            return setting_control(declared, label=label, slider="slider" in trait.metadata)
        pairs = _pairs(self.offers(name), trait)
        declared = Setting(name, object, pairs[0][1], choices=dict(pairs).values())
        control = setting_control(declared, label=label, slider=trait.slider)
        control.options = pairs
        return control

    def _moved(self, name: str, change: dict[str, Any]) -> None:
        """Set the trait of a control, which shows the old value after a refusal."""
        if not self.settling:
            before = self.revision
            try:
                setattr(self, name, None if change["new"] == NONE else change["new"])
            finally:
                if self.revision == before:  # refused, or adjusted to what it was
                    self._show_controls()

    def _show_controls(self) -> None:
        """Update the options of the controls, and show the state in them."""
        self.settling, before = True, self.settling
        try:
            for name, control in self.controls.items():
                trait, value = self.traits()[name], getattr(self, name)
                if isinstance(trait, Choice):
                    boxes.show_options(control, _pairs(self.offers(name), trait))
                control.value = NONE if value is None else value
            self.show_more()
        finally:
            self.settling = before

    # ---- drawing

    def _renew(self, _change: Any = None) -> None:
        """Show the controls of the new state, and its figures once they are computed."""
        self._show_controls()
        self.error.show("")
        loop = self.background.loop
        if loop is not None and loop.is_running():
            self.background.start_once("draw", self._draw)
        else:
            self.error.guard(self._draw_now)()

    def _draw_now(self) -> None:
        self.shown = self.revision
        self._store(self.state, self._compute(self.snapshot()))

    async def _draw(self) -> None:
        """Compute in a thread until the newest state is shown."""
        while self.shown != self.revision:
            self.shown, state = self.revision, self.state
            try:
                self._store(state, await asyncio.to_thread(self._compute, self.snapshot()))
            except Exception as error:
                if self.shown == self.revision:
                    self.error.report(error)

    def _compute(self, state: SimpleNamespace) -> tuple[Drawing, dict[str, Any]]:
        drawing = self.compute(state)
        return drawing, {
            name: drawing_of(figure)
            for name, figure in drawing.figures.items()
            if self.views[name].figure is not figure
        }

    def _store(self, state: dict[str, Any], result: tuple[Drawing, dict[str, Any]]) -> None:
        self.drawn = state, result[0]
        self._show(*result)

    def _show(self, drawing: Drawing, drawings: dict[str, Any]) -> None:
        for name, plain in drawings.items():
            self.views[name].show(drawing.figures[name], plain)
        self.table.value = boxes.html_table(drawing.rows)
        self.notes.value = boxes.lines(drawing.notes)
        if self.code_text is not None:
            self.code_text.value = boxes.code(self.complete(drawing.code))

    def _laid_out(self) -> list[Any]:
        presets = [boxes.row(map(self._preset_button, self.PRESETS))] if self.PRESETS else []
        python = Fold("The same in Python", self._code)
        folds = [save_fold(self), python]
        below = [self.error.panel, self.table, *self.views.values(), self.notes, *folds]
        return [*presets, *self.rows, *self.below_controls(), *below]

    def _code(self) -> ipw.HTML:
        self.code_text = boxes.text(boxes.code(self.code), "qtha-code")
        return self.code_text

    def _preset_button(self, question: str) -> ipw.Button:
        button = boxes.button(question)
        button.on_click(self.error.guard(lambda _: self.preset(question)))
        return button


def _pairs(offers: Sequence, trait: Choice) -> tuple[tuple[str, Any], ...]:
    """Return options in the format of ipywidgets; at least one."""
    pairs = pairs_of(offers, trait.text)
    return tuple((label, NONE if value is None else value) for label, value in pairs) or NOTHING
