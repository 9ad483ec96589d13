"""Name, symbol and colour of each method variant, in cards, rows and legends."""

import html
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from qtha_lab.core.method_styles import SYMBOLS, shown
from qtha_lab.figures.machinery.legends import short_names
from qtha_lab.figures.machinery.theme import distinct_styles

GLYPHS: dict[str, str] = dict(zip(SYMBOLS, "●■◆▲✚✖⬟★", strict=True))


class MethodVariant(NamedTuple):
    """A method with its options as one entry of lists and legends."""

    name: str
    label: str
    style: Mapping[str, str]

    @property
    def glyph(self) -> str:
        """The marker of the variant in figures, as a character."""
        return GLYPHS[self.style["symbol"]]

    @property
    def dot(self) -> str:
        """The marker in its colour as HTML."""
        return f'<span class="qtha-dot" style="color:{self.style["color"]}">{self.glyph}</span>'

    @property
    def title_html(self) -> str:
        """Return symbol and name as HTML, with all options in the tooltip."""
        return f'<span title="{html.escape(self.label)}">{self.dot} {html.escape(self.name)}</span>'


def variants(labels: Iterable[str]) -> dict[str, MethodVariant]:
    """Return the variant of each label: its title or shortest distinct name, and its style.

    Example:
        >>> both = variants(["qtha(r=4,circuit=frozen)", "qtha(r=4)", "lora(r=2)"])
        >>> [variant.name for variant in both.values()]
        ['qtha(circuit=frozen)', 'qtha', 'lora']
        >>> [variant.glyph for variant in both.values()]
        ['◆', '●', '■']
    """
    short = short_names(labels)
    styles = distinct_styles(short.values())
    return {
        label: MethodVariant(
            shown(name) if shown(label) == label else shown(label), label, styles[name]
        )
        for label, name in short.items()
    }
