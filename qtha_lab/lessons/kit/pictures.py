"""Static pictures of an executed cell: figures and explorers as images with alternative text."""

import base64
import html
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from qtha_lab.lessons.kit.lesson_page import LessonCell

START = 20  # characters of a text that tell if a drawing contains it
DRAWN = re.compile(r"<img [^>]*>|<svg.*</svg>", re.DOTALL)
EMBEDDED = re.compile(r'src="data:image/svg\+xml;base64,([^"]+)"')


class CellPicture(NamedTuple):
    """A drawing as an HTML image, its alternative text, and a note below it."""

    html: str
    text: str
    note: str


def pictures(cell: LessonCell) -> list[CellPicture]:
    """Return the drawings among the outputs of a cell, in order."""
    drawn = (_picture(output.get("data", {})) for output in cell.outputs)
    return [picture for picture in drawn if picture is not None]


def _picture(data: Mapping[str, Any]) -> CellPicture | None:
    text = "".join(data.get("text/plain", ""))
    if "image/svg+xml" in data:
        drawing = "".join(data["image/svg+xml"])
        content = base64.b64encode(drawing.encode()).decode()
        return CellPicture(_image("svg+xml", content, text), text, _note(text, drawing))
    if "image/png" in data:
        content = "".join(data["image/png"]).replace("\n", "")
        return CellPicture(_image("png", content, text), text, text)
    found = DRAWN.search("".join(data.get("text/html", "")))
    if found is None:
        return None
    embedded = EMBEDDED.search(found[0])
    drawing = base64.b64decode(embedded[1]).decode() if embedded else found[0]
    return CellPicture(found[0], text, _note(text, drawing))


def _note(text: str, drawing: str) -> str:
    """Return the text of a drawing; empty if the drawing contains it."""
    return "" if html.escape(text[:START], quote=False) in drawing else text


def _image(kind: str, content: str, text: str) -> str:
    source = f"data:image/{kind};base64,{content}"
    return f'<img alt="{html.escape(text, quote=True)}" src="{source}">'
