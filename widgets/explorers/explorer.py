"""The base class of explorers: traits as state, controls tied to them, figures of them.

A subclass defines the traits, the options of each, and the computed drawing.
"""

import sys
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any, ClassVar, NamedTuple, Self, cast

from qtha_lab.core.errors import Refusal
from qtha_lab.core.settings import unknown
from qtha_lab.figures.machinery import static_svg
from qtha_lab.figures.machinery.figure import Figure

from ..figures.figure_view import FigureView, Sheet
from ..figures.picture_view import Picture, PictureView
from ..figures.save_figure import save_fold
from ..kit import controls, styles
from ..kit.choice import Choice, values_of
from ..kit.display import Shown
from ..kit.guard import ErrorLine
from ..kit.latest import Latest
from ..kit.loop import Background
from .with_imports import with_imports


class Drawing(NamedTuple):
    """The content of an explorer: figures by name, table rows, equivalent Python code, notes."""

    figures: Mapping[str, Figure]
    rows: list[dict[str, str]]
    code: str
    notes: Sequence[str] = ()


class Explorer(Shown):
    """A panel over `state` that always draws the newest state.

    A control, Python code or a link may set the state. `explorer.state` is plain data, and
    `Explorer.from_state(state, …)` restores the explorer. Two explorers are tied together by
    `traitlets.link((a, "layer"), (b, "layer"))`. A subclass sets up its sources, then calls
    `__init__` with its controls, in rows and keyed by the trait that each sets.
    """

    STATE: ClassVar[tuple[str, ...]] = ()
    """The traits, each after those that it depends on."""
    DIAGRAMS: ClassVar[tuple[str, ...]] = ()
    """Figures drawn as pictures by the kernel, such as diagrams and plots that follow a slider."""
    PRESETS: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    """States by the question that each poses, with a button each."""
    drawn: dict[str, Any] | None = None
    """The state that was drawn last, or is about to be."""

    def __init__(
        self, rows: Sequence[Mapping[str, controls.FieldControl]], values: Mapping[str, Any]
    ):
        self.controls: dict[str, Any] = {
            name: control for row in rows for name, control in row.items()
        }
        self.settling, self.good = True, {}
        self.sheets: dict[str, Picture | Sheet] = {}
        self.error = ErrorLine()
        self.background = Background(self.error.report)
        self.latest = Latest(self._request, self._sheets, self._show, self.background)
        super().__init__()
        for name in self.STATE:
            if values.get(name) is not None:
                setattr(self, name, values[name])
            self._fit(name)
        self.settle()
        self.settling, self.good = False, self.state
        request = self._request()
        self.drawn = request[0]
        self.drawing, sheets = self._sheets(request)
        self.views: dict[str, Any] = {
            name: PictureView(sheet) if isinstance(sheet, Picture) else FigureView(sheet)
            for name, sheet in sheets.items()
        }
        self.table, self.code_text = styles.text("", "qtha-table"), styles.text("", "qtha-code")
        self.notes = styles.text("", "qtha-text")
        self._show((self.drawing, sheets))
        self._show_controls()
        for name, control in self.controls.items():
            control.observe(self.error.guard(self._moved(name)), "value")
        self.observe(self._changed, list(self.STATE))
        self.children = self._laid_out(rows)
        self.add_class("qtha-explorer")

    # ---- hooks of subclasses

    def offers(self, name: str) -> Sequence:
        """Return the current options of a `Choice`, in the format of ipywidgets."""
        raise NotImplementedError

    def usual(self, name: str) -> Any:
        """Return the default of a choice whose value is no longer offered: the first option."""
        return next(iter(values_of(self.offers(name))), None)

    def prepare(self) -> None:
        """Load the objects that the state names, before options are computed."""

    def settle(self) -> None:
        """Adjust the traits that are not choices to the other traits."""

    def compute(self, state: SimpleNamespace) -> Drawing:
        """Compute the drawing of a state; may run in a thread and changes no control."""
        raise NotImplementedError

    def below_controls(self) -> Sequence[Any]:
        """Return additional widgets below the rows of controls."""
        return ()

    # ---- state

    @property
    def state(self) -> dict[str, Any]:
        """Every trait as plain data that JSON can hold."""
        return {name: _plain(getattr(self, name)) for name in self.STATE}

    @state.setter
    def state(self, state: Mapping[str, Any]) -> None:
        if wrong := set(state) - set(self.STATE):
            known = ", ".join(self.STATE)
            raise Refusal(
                f"The state of an explorer must hold {known} only, got {', '.join(sorted(wrong))}."
            )
        for name in self.STATE:
            if name in state:
                setattr(self, name, state[name])

    def preset(self, question: str) -> None:
        """Set the state of a preset, by its question."""
        if question not in self.PRESETS:
            raise unknown("preset", question, self.PRESETS)
        self.state = self.PRESETS[question]

    @classmethod
    def from_state(cls, state: Mapping[str, Any], *sources: Any) -> Self:
        """Create an explorer in a saved state, with the sources of its class."""
        explorer = cls(*sources)
        explorer.state = state
        return explorer

    @property
    def code(self) -> str:
        """Python code that gives the same figures without this panel."""
        return self._complete(self._current().code)

    @property
    def figures(self) -> Mapping[str, Figure]:
        """The figures of the current state, even if the page does not show them yet."""
        return self._current().figures

    def still(self) -> dict[str, str]:
        """Return the figures one below the other as SVG, with their alt texts."""
        drawing = self._current()
        words = " ".join(figure.alt for figure in drawing.figures.values())
        picture = static_svg.column([figure.svg() for figure in drawing.figures.values()])
        return {"image/svg+xml": picture, "text/plain": words}

    # ---- updates of the page

    def redraw(self) -> None:
        """Draw again although the state is the same, for example after new events."""
        self.drawn = None
        self._changed()

    def _changed(self, _change: Any = None) -> None:
        """Adjust dependent traits after a change, then request a drawing of the newest state."""
        if self.settling:
            return
        self.settling = True
        try:
            with self.hold_trait_notifications():
                self._settle_all()
        finally:
            self.settling = False
        self._show_controls()
        if self.drawn != self.state:
            self.drawn = self.state
            self.error.show("")
            self.latest.ask()

    def _settle_all(self) -> None:
        try:
            self.prepare()
            for name in self.STATE:
                self._fit(name)
            self.settle()
            self.good = self.state
        except Refusal:
            for name, value in self.good.items():
                self.set_trait(name, value)
            self.settle()
            raise

    def _fit(self, name: str) -> None:
        """Replace the value of a choice that is no longer offered."""
        if isinstance(self.traits()[name], Choice):
            values = values_of(self.offers(name))
            if getattr(self, name) not in values:
                setattr(self, name, self.usual(name) if values else None)

    def _moved(self, name: str):
        def take(change) -> None:
            if not self.settling:
                try:
                    setattr(self, name, change["new"])
                finally:
                    self._show_controls()  # a refused value is reset

        return take

    def _show_controls(self) -> None:
        """Update the options of the controls, and show the state in them."""
        self.settling, before = True, self.settling
        try:
            for name, control in self.controls.items():
                if isinstance(self.traits().get(name), Choice) and hasattr(control, "options"):
                    offers = tuple(self.offers(name)) or (("nothing yet", None),)
                    if tuple(control.options) != offers:
                        control.options = offers
                control.value = getattr(self, name)
            self.show_more()
        finally:
            self.settling = before

    def show_more(self) -> None:
        """Update controls that have no trait of their own from the state."""

    def _request(self) -> tuple[dict[str, Any], SimpleNamespace]:
        state = self.state
        return state, SimpleNamespace(**{name: getattr(self, name) for name in self.STATE})

    def _sheets(self, request: tuple[dict, SimpleNamespace]) -> tuple[Drawing, dict[str, Any]]:
        drawing, before = self.compute(request[1]), self.sheets
        self.sheets = {
            name: before[name]
            if name in before and before[name].figure is figure
            else (Picture if name in self.DIAGRAMS else Sheet).of(figure)
            for name, figure in drawing.figures.items()
        }
        return drawing, self.sheets

    def _show(self, result: tuple[Drawing, dict[str, Any]]) -> None:
        self.drawing, sheets = result
        for name, sheet in sheets.items():
            self.views[name].show(sheet)
        self.table.value = styles.html_table(self.drawing.rows)
        self.notes.value = styles.lines(self.drawing.notes)
        self.code_text.value = styles.code(self._complete(self.drawing.code))

    def _complete(self, code: str) -> str:
        return with_imports(code, vars(sys.modules[type(self).__module__]))

    def _current(self) -> Drawing:
        if self.latest.busy or self.latest.waiting:
            return self.compute(self._request()[1])
        return self.drawing

    def _laid_out(self, rows: Sequence[Mapping[str, controls.FieldControl]]) -> list[Any]:
        above = [styles.row(*cast(Sequence, row.values())) for row in rows]
        if self.PRESETS:
            above.insert(0, styles.row(*map(self._preset_button, self.PRESETS)))
        python = controls.Fold("The same in Python", self.code_text)
        return [
            *above, *self.below_controls(), self.error.panel, self.table,
            *self.views.values(), self.notes, save_fold(self), python,
        ]  # fmt: skip

    def _preset_button(self, question: str) -> controls.Button:
        button = controls.Button(question)
        button.on_click(self.error.guard(lambda _: self.preset(question)))
        return button


def _plain(value: Any) -> Any:
    return [_plain(entry) for entry in value] if isinstance(value, list | tuple) else value
