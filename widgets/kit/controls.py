"""Controls and boxes of a panel as plain data, sent as one widget.

Names and traits follow ipywidgets (`value`, `description`, `disabled`, `on_click`, `observe`), but
a control is no widget of its own. `visible` hides a control.
"""

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar, Protocol, Self

import traitlets


class Holder(Protocol):
    """A panel, as its elements use it."""

    def record_change(self, element: Any, name: str) -> None:
        """Record that a value of an element has changed."""

    def point_to(self, element: Any) -> None:
        """Move the keyboard focus to an element."""

    def send(self, content: Any) -> None:
        """Send a message to the pages."""


class Element(traitlets.HasTraits):
    """A part of a panel; `SENT` lists the traits that the page shows."""

    kind: ClassVar[str] = "box"
    SENT: ClassVar[tuple[str, ...]] = ()
    ALWAYS: ClassVar[tuple[str, ...]] = ("classes", "visible", "tooltip")
    display: ClassVar[Callable[[Any], None]]  # shows an element alone, in a panel of its own
    panel: Holder | None = None  # the panel that shows the element
    key: int = 0  # number of the element in its panel
    edit: tuple[str, int] | None = None  # page and number of the last entry of a user

    classes = traitlets.Tuple()
    visible = traitlets.Bool(True)
    tooltip = traitlets.Unicode("")

    def notify_change(self, change: Any) -> None:
        """Call the observers, and send a changed trait to the pages."""
        super().notify_change(change)
        name = change["name"]
        if self.panel is not None and (name in self.SENT or name in self.ALWAYS):
            self.panel.record_change(self, name)

    def add_class(self, name: str) -> Self:
        """Add a CSS class."""
        if name not in self.classes:
            self.classes = (*self.classes, name)
        return self

    def remove_class(self, name: str) -> Self:
        """Remove a CSS class."""
        self.classes = tuple(one for one in self.classes if one != name)
        return self

    def focus(self) -> None:
        """Move the keyboard focus of the pages to this element."""
        if self.panel is not None:
            self.panel.point_to(self)

    def _ipython_display_(self) -> None:
        Element.display(self)

    def plain(self, names: Iterable[str] | None = None) -> dict[str, Any]:
        """Return the values of some traits, or of all changed traits, in the page's format."""
        if names is None:
            usual = _defaults(type(self))
            names = [name for name in usual if getattr(self, name) != usual[name]]
        return {part: value for name in names for part, value in self.sent(name).items()}

    def sent(self, name: str) -> dict[str, Any]:
        """Return one trait in the format of the page."""
        return {name: getattr(self, name)}

    def take(self, name: str, value: Any) -> None:
        """Store an entry of the user."""
        self.set_trait(name, value)

    def parts(self) -> tuple[Any, ...]:
        """Return the elements and widgets inside."""
        return ()


class Box(Element):
    """Elements and widgets, one after the other; CSS classes arrange them."""

    SENT = ("children",)
    children = traitlets.Tuple()

    def __init__(self, children: Iterable[Any] = (), **options: Any):
        super().__init__(children=tuple(children), **options)

    @traitlets.validate("children")
    def _tuple(self, proposal: Any) -> tuple[Any, ...]:
        return tuple(proposal["value"])

    def parts(self) -> tuple[Any, ...]:
        return self.children

    def sent(self, name: str) -> dict[str, Any]:
        if name != "children":
            return super().sent(name)
        return {"children": [_reference(child) for child in self.children]}


class Fold(Box):
    """Parts under a titled button, reached by Tab and opened by Enter or Space.

    The page opens and closes a fold by itself, also while the kernel is busy.

    Args:
        title: Text on the button.
        parts: Content of the fold.
        beside: Controls in the line of the button, always shown.
        unfolded: True if the fold is open.
        more: True for a secondary fold inside another fold.

    Example:
        >>> fold = Fold("Training", Html("…"))
        >>> fold.unfolded = True
        >>> fold.unfolded
        True
    """

    kind = "fold"
    SENT = ("title", "note", "unfolded", "more", "children", "beside")
    title, note = traitlets.Unicode(), traitlets.Unicode()
    unfolded, more = traitlets.Bool(False), traitlets.Bool(False)
    beside = traitlets.Tuple()

    def __init__(self, title: str, *parts: Any, beside: Iterable[Any] = (), **options: Any):
        super().__init__(parts, title=title, beside=tuple(beside), **options)

    def parts(self) -> tuple[Any, ...]:
        return (*self.beside, *self.children)

    def sent(self, name: str) -> dict[str, Any]:
        if name != "beside":
            return super().sent(name)
        return {"beside": [_reference(child) for child in self.beside]}


class Tabs(Box):
    """Panes of which one is shown: `shown` is one of `titles`.

    Args:
        panes: The panes by name.
        shown: Name of the pane that is shown first.

    Example:
        >>> tabs = Tabs({"Watch": Html("a"), "Compare": Html("b")}, "Watch")
        >>> tabs.shown = "Compare"
        >>> tabs.titles
        ('Watch', 'Compare')
    """

    kind = "tabs"
    SENT = ("titles", "shown", "children")
    titles, shown = traitlets.Tuple(), traitlets.Unicode()

    def __init__(self, panes: dict[str, Any], shown: str, **options: Any):
        super().__init__(panes.values(), titles=tuple(panes), shown=shown, **options)


class Html(Element):
    """A piece of HTML; the caller escapes foreign text."""

    kind = "html"
    SENT = ("value",)
    value = traitlets.Unicode()

    def __init__(self, value: str = "", **options: Any):
        super().__init__(value=value, **options)


class Announcer(Element):
    """A sentence that a screen reader reads, invisible on the page.

    Example:
        >>> status = Announcer()
        >>> status.say("Checking …")
        >>> status.sentence
        'Checking …'
    """

    kind = "status"
    SENT = ("sentence",)
    sentence = traitlets.Unicode()

    def say(self, sentence: str) -> None:
        """Announce a sentence to a screen reader, after its present speech."""
        self.sentence = sentence

    def bring(self, css: str) -> None:
        """Scroll the first element of a CSS class into view."""
        if self.panel is not None:
            self.panel.send({"kind": "bring", "css": css})


class Button(Element):
    """A button with `on_click`; `primary` for the main action of a panel."""

    kind = "button"
    SENT = ("description", "icon", "disabled", "primary")
    description, icon = traitlets.Unicode(), traitlets.Unicode()
    disabled, primary = traitlets.Bool(False), traitlets.Bool(False)

    def __init__(self, description: str = "", **options: Any):
        self._callbacks: list[Callable[[Any], Any]] = []
        super().__init__(description=description, **options)

    def on_click(self, answer: Callable[[Any], Any]) -> None:
        """Call a function with this button at every click."""
        self._callbacks.append(answer)

    def click(self) -> None:
        """Call the callbacks of a click."""
        for answer in list(self._callbacks):
            answer(self)

    def take(self, name: str, value: Any) -> None:
        if not self.disabled:
            self.click()


class FieldControl(Element):
    """A control with label, help on demand, note and error."""

    SENT = ("value", "description", "code", "help", "note", "error", "disabled", "switch")
    description, code = traitlets.Unicode(), traitlets.Unicode()
    help, note, error = traitlets.Unicode(), traitlets.Unicode(), traitlets.Unicode()
    disabled, switch = traitlets.Bool(False), traitlets.Bool(False)


class Checkbox(FieldControl):
    """A box to tick; `switch` draws a switch."""

    kind = "checkbox"
    value = traitlets.Bool(False)

    def __init__(self, value: bool = False, **options: Any):
        super().__init__(value=value, **options)


class Toggle(Checkbox):
    """A button that stays pressed."""

    kind = "toggle"
    SENT = (*FieldControl.SENT, "icon")
    icon = traitlets.Unicode()


class TextField(FieldControl):
    """A line of text, taken when it is left, or at every key if `continuous_update`.

    `options` are offered while a user types.
    """

    kind = "text"
    SENT = (*FieldControl.SENT, "placeholder", "continuous_update", "rows", "options")
    value, placeholder = traitlets.Unicode(), traitlets.Unicode()
    continuous_update = traitlets.Bool(False)
    rows = traitlets.Int(1)
    options = traitlets.Tuple()

    def __init__(self, value: str = "", **options: Any):
        super().__init__(value=value, **options)


class NumberField(FieldControl):
    """A number between `min` and `max`; an entry beyond a limit becomes the limit."""

    kind = "number"
    SENT = (*FieldControl.SENT, "min", "max", "step")
    min, max, step = traitlets.Float(0), traitlets.Float(100), traitlets.Float(1)
    value = traitlets.Any()

    def __init__(self, value: float = 0, min: float = 0, max: float = 100, **options: Any):
        super().__init__(min=min, max=max, **options)
        self.value = value

    @traitlets.validate("value")
    def _between(self, proposal: Any) -> float:
        value = proposal["value"]
        number = min(max(float(value), self.min), self.max)
        return int(number) if self.step == int(self.step) else number


class Select(FieldControl):
    """One of several options, which are values or (label, value) pairs.

    Example:
        >>> control = Select([("all", None), ("16", 16)], description="rows")
        >>> control.take("value", 1)
        >>> control.value
        16
    """

    kind = "select"
    SENT = (*FieldControl.SENT, "options")
    options = traitlets.Tuple()
    value = traitlets.Any()

    def __init__(self, options: Iterable[Any] = (), value: Any = None, **others: Any):
        super().__init__(options=tuple(options), **others)
        values = self.values
        if values:
            self.value = value if value in values else values[0]

    @property
    def values(self) -> list[Any]:
        """The values of the options."""
        return [_pair(option)[1] for option in self.options]

    @traitlets.validate("options")
    def _tuple(self, proposal: Any) -> tuple[Any, ...]:
        return tuple(proposal["value"])

    @traitlets.validate("value")
    def _offered(self, proposal: Any) -> Any:
        value = proposal["value"]
        if value not in self.values and (self.values or value is not None):
            raise traitlets.TraitError(f"{value!r:.80} is not offered by {self.description}")
        return value

    @traitlets.observe("options")
    def _fit(self, _change: Any) -> None:
        values = self.values
        if "value" in self._trait_values and self.value not in values:
            self.value = values[0] if values else None

    def sent(self, name: str) -> dict[str, Any]:
        if name == "options":
            return {"options": [_pair(option)[0] for option in self.options]} | self.sent("value")
        if name == "value":
            values = self.values
            return {"value": values.index(self.value) if self.value in values else -1}
        return super().sent(name)

    def take(self, name: str, value: Any) -> None:
        self.value = self.values[int(value)]


class Slider(FieldControl):
    """A slider over a list of values, moved by mouse and keyboard.

    Args:
        description: Label before the slider.
        options: The values, in order.
        value: Initial value; default the first option.
        text: Formats a value.

    Example:
        >>> slider = Slider("bond 1", [1, 2, 4, 8], 8)
        >>> slider.index = 2
        >>> slider.value, slider.labels
        (4, ['1', '2', '4', '8'])
    """

    kind = "slider"
    SENT = ("labels", "index", "description", "disabled", "continuous_update")
    labels = traitlets.List()
    index = traitlets.Int(0)
    options = traitlets.Tuple()
    value = traitlets.Any()
    continuous_update = traitlets.Bool(True)

    def __init__(
        self,
        description: str,
        options: Sequence,
        value: Any = None,
        text: Callable[[Any], str] = str,
        **others: Any,
    ):
        self.text = text
        super().__init__(description=description, **others)
        self.options = tuple(options)
        self.value = self.options[0] if value is None else value

    @traitlets.validate("value")
    def _nearest(self, proposal: Any) -> Any:
        """Replace a number that is not an option by the nearest option."""
        value = proposal["value"]
        if value in self.options or not self.options:
            return value
        if not isinstance(value, int | float):
            raise traitlets.TraitError(f"{self.description} has no {value!r}")
        return min(self.options, key=lambda option: abs(option - value))

    @traitlets.observe("options")
    def _relabel(self, _change: Any) -> None:
        self.labels = [self.text(option) for option in self.options]
        self.index = min(self.index, max(0, len(self.options) - 1))
        if self.value in self.options:
            self.index = self.options.index(self.value)
        elif self.options:
            self.value = self.options[self.index]

    @traitlets.observe("value")
    def _point(self, change: Any) -> None:
        if change["new"] in self.options:
            self.index = self.options.index(change["new"])

    @traitlets.observe("index")
    def _read(self, change: Any) -> None:
        if self.options:
            self.value = self.options[min(max(change["new"], 0), len(self.options) - 1)]

    def take(self, name: str, value: Any) -> None:
        self.index = int(value)


class Progress(Element):
    """A bar that fills; `style` is "", "success" or "danger"."""

    kind = "progress"
    SENT = ("value", "max", "style", "description")
    value, max = traitlets.Float(0), traitlets.Float(1)
    style, description = traitlets.Unicode(), traitlets.Unicode()


def reveal(control: Element, within: Any) -> bool:
    """Open every fold and pane around a control; return True if this element contains it."""
    if within is control:
        return True
    parts = within.parts() if isinstance(within, Element) else ()
    for place, part in enumerate(parts):
        if reveal(control, part):
            if isinstance(within, Fold) and part not in within.beside:
                within.unfolded = True
            if isinstance(within, Tabs):
                within.shown = within.titles[place]
            return True
    return False


@functools.cache
def _defaults(kind: type[Element]) -> dict[str, Any]:
    """Return the default of each trait that a page shows."""
    traits = kind.class_traits()
    return {name: traits[name].default() for name in (*kind.ALWAYS, *kind.SENT)}


def _pair(option: Any) -> tuple[str, Any]:
    """Return label and value of an option."""
    if isinstance(option, tuple) and len(option) == 2 and isinstance(option[0], str):
        return option
    return str(option), option


def _reference(child: Any) -> dict[str, Any]:
    """Return a child in the page's format: an element, or a widget's id."""
    if isinstance(child, Element):
        return {"id": child.key, "kind": child.kind, **child.plain()}
    return {"id": f"w{child.model_id}", "kind": "widget", "model": child.model_id}
