"""Boxes, texts, buttons and HTML of ipywidgets in the classes of `style_sheet.css`.

Nothing here has front-end code of its own. Layouts and styles are shared: each is a widget model.
"""

import functools
import html
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import ipywidgets as ipw

from qtha_lab.core import fault_log

OnError = Callable[[Exception], None]


def guarded(answer: Callable[..., Any], on_error: OnError) -> Callable[..., None]:
    """Wrap a callback so that exceptions go to a handler instead of being raised.

    Example:
        >>> answer = guarded(lambda change: {}[change], lambda error: print(repr(error)))
        >>> answer("loss")
        KeyError('loss')
    """

    @functools.wraps(answer)
    def call(*arguments: Any) -> None:
        try:
            answer(*arguments)
        except Exception as error:
            on_error(error)

    return call


def lines(sentences: Iterable[str]) -> str:
    """Return sentences as HTML, one per line."""
    return "<br>".join(map(html.escape, sentences))


def code(value: str) -> str:
    """Return preformatted text; Tab reaches it, so that keys can scroll it."""
    return f'<pre tabindex="0">{html.escape(value)}</pre>'


def html_table(rows: list[dict[str, str]]) -> str:
    """Return rows of formatted text as an HTML table; the first column names the row."""
    if not rows:
        return ""
    names = [breakable(name).replace("-", "\N{NON-BREAKING HYPHEN}") for name in rows[0]]
    head = "".join(f'<th scope="col">{name}</th>' for name in names)
    body = "".join(f"<tr>{_cells(*row.values())}</tr>" for row in rows)
    return scrolled(f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>")


def scrolled(value: str) -> str:
    """Return HTML in a box that scrolls by keys, since Tab reaches it."""
    return f'<div class="qtha-scroll" tabindex="0">{value}</div>'


def transposed(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    """Return a table with its columns as rows, for a narrow place.

    Example:
        >>> transposed([{"method": "lora", "steps": "9"}, {"method": "qtha", "steps": "8"}])
        [{'method': 'steps', 'lora': '9', 'qtha': '8'}]
    """
    first, *names = rows[0] if rows else ("",)
    return [{first: name} | {row[first]: row[name] for row in rows} for name in names]


def _cells(name: str, *values: str) -> str:
    first = f'<th scope="row">{breakable(name)}</th>'
    return first + "".join(f"<td>{breakable(value)}</td>" for value in values)


def breakable(cell: str) -> str:
    """Escape text for a page, with a possible line break after commas in labels."""
    return re.sub(r",(?=[a-z])", ",<wbr>", html.escape(cell))


GONE = "qtha-gone"
"""The class of a widget that takes no space on the page."""


_stored: dict[tuple[Any, ...], ipw.Widget] = {}


def shared(kind: type, **options: str) -> Any:
    """Return the layout or style that all widgets with these options share.

    Example:
        >>> shared(ipw.Layout, width="auto") is shared(ipw.Layout, width="auto")
        True
    """
    key = (kind, *sorted(options.items()))
    if key not in _stored or _stored[key].comm is None:  # closed by `Widget.close_all`
        _stored[key] = kind(**options)
    return _stored[key]


def layout(**options: str) -> ipw.Layout:
    """Return the layout that all widgets with these options share."""
    return shared(ipw.Layout, **options)


def styled(kind: type, *operands: Any, css: str = "", **options: Any) -> Any:
    """Return a widget with shared layout and style, in classes of the style sheet.

    Example:
        >>> one, two = styled(ipw.Text, "a"), styled(ipw.Text, "b", css="qtha-find")
        >>> one.style is two.style, two._dom_classes
        (True, ('qtha-find',))
    """
    look = {"layout": layout()}
    style = getattr(kind, "style", None)
    if style is not None:
        width = {"description_width": "initial"} if "description_width" in _names(style) else {}
        look["style"] = shared(style.klass, **width)
    return classed(kind(*operands, **look | options), *css.split())


def _names(style: Any) -> Any:
    return style.klass.class_traits()


def row(children: Iterable[Any] = (), css: str = "") -> ipw.HBox:
    """Return widgets side by side, wrapped where the width is exceeded."""
    wrapped = layout(flex_flow="row wrap", align_items="center", grid_gap="2px 12px")
    return styled(ipw.HBox, list(children), layout=wrapped, css=css)


def column(children: Iterable[Any] = (), css: str = "") -> ipw.VBox:
    """Return widgets one below the other."""
    return styled(ipw.VBox, list(children), css=f"qtha-column {css}")


def text(value: str = "", css: str = "qtha-text") -> ipw.HTML:
    """Return a piece of HTML; the caller escapes foreign text."""
    return styled(ipw.HTML, value, css=css, layout=layout(width="auto"))


def heading(title: str) -> ipw.HTML:
    """Return the title of a part of a page."""
    return text(f"<h3>{html.escape(title)}</h3>", "qtha-heading")


def button(description: str, css: str = "", **options: Any) -> ipw.Button:
    """Return a button as wide as its words; `button_style="primary"` for the main action."""
    width = layout(width="auto")
    return styled(ipw.Button, description=description, css=css, layout=width, **options)


def classed(widget: Any, *names: str) -> Any:
    """Add classes of the style sheet to a widget, and return it."""
    for name in names:
        widget.add_class(name)
    return widget


def flag(widget: Any, name: str, is_set: bool) -> None:
    """Add or remove a class of the style sheet.

    Args:
        widget: Any widget with DOM classes.
        name: The class.
        is_set: True to add the class.
    """
    (widget.add_class if is_set else widget.remove_class)(name)


def show(widget: Any, is_shown: bool = True) -> None:
    """Show or hide a widget; a hidden one takes no space."""
    flag(widget, GONE, not is_shown)


def is_shown(widget: Any) -> bool:
    """Return True if a widget is not hidden.

    Example:
        >>> label = ipw.Label("a")
        >>> show(label, False)
        >>> is_shown(label)
        False
    """
    return GONE not in widget._dom_classes


def mark_wrong(widget: Any, wrong: bool) -> None:
    """Show a widget as an error, or as normal text."""
    flag(widget, "qtha-wrong", wrong)


def put(box: ipw.Box, children: Iterable[Any]) -> None:
    """Replace the children of a box, and close those that left with everything inside."""
    before, box.children = box.children, tuple(children)
    for child in before:
        if not any(child is one for one in box.children):
            close_all(child)


def close_all(widget: ipw.Widget) -> None:
    """Stop the tasks in a widget, and close it with everything inside.

    ipywidgets closes the outer widget alone. Shared layouts and styles stay.
    """
    close_parts(widget)
    widget.close()


def close_parts(widget: Any) -> None:
    """Stop the tasks in a widget, and close everything inside."""
    for part in list(inside(widget)):
        if (background := getattr(part, "background", None)) is not None:
            background.stop()
        for own in (getattr(part, "layout", None), getattr(part, "style", None)):
            if own is not None and not any(own is one for one in _stored.values()):
                own.close()
        if part is not widget:
            part.close()


def inside(widget: Any) -> Iterator[Any]:
    """Yield a widget after every widget in it."""
    for child in getattr(widget, "children", ()):
        yield from inside(child)
    if isinstance(widget, ipw.Widget):
        yield widget


class Announcer(ipw.HTML):
    """A sentence that a screen reader reads, invisible on the page.

    Example:
        >>> status = Announcer()
        >>> status.say("Checking …")
        >>> status.sentence
        'Checking …'
    """

    def __init__(self):
        super().__init__(layout=layout())
        self.say("")
        self.add_class("qtha-status")

    def say(self, sentence: str) -> None:
        """Announce a sentence to a screen reader, after its present speech."""
        self.sentence = sentence
        self.value = f'<div role="status">{html.escape(sentence)}</div>'


class ErrorText:
    """A line with the error of the last callback, hidden without an error; show `line.panel`.

    A `Refusal` keeps its own words; the traceback of another exception goes to a file.

    Example:
        >>> from qtha_lab.core.settings import Setting
        >>> line, setting = ErrorText(), Setting("r", int, 2, ge=1)
        >>> control = ipw.IntText(2)
        >>> control.observe(line.guard(lambda change: setting.check(change["new"])), "value")
        >>> control.value = 0
        >>> line.text
        'r must be at least 1, got 0.'
    """

    def __init__(self):
        self.panel, self.text = text("", "qtha-error"), ""
        show(self.panel, False)

    def guard(self, answer: Callable[..., Any]) -> Callable[..., None]:
        """Wrap a callback so that the line shows its error, or is cleared."""

        def begin(*arguments: Any) -> None:
            self.show("")
            answer(*arguments)

        return guarded(begin, self.report)

    def report(self, error: Exception) -> None:
        """Show an exception as a sentence."""
        self.show(fault_log.fault_sentence(error))

    def show(self, sentence: str) -> None:
        """Show a sentence; an empty string hides the line."""
        self.text, self.panel.value = sentence, lines([sentence])
        show(self.panel, bool(sentence))


def show_options(control: Any, options: Sequence) -> None:
    """Set the options of a control; a value that is still offered stays."""
    if tuple(control.options) != tuple(options):
        before, control.options = control.value, options
        if before in control._options_values:
            control.value = before
