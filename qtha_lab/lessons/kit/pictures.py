"""Static pictures of an executed cell: figures and explorers as images with alternative text."""

import base64
import html
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from qtha_lab.lessons.kit.lesson_page import LessonCell

DRAWN = re.compile(r"<img [^>]*>|<svg.*</svg>", re.DOTALL)


class CellPicture(NamedTuple):
    """A drawing as an HTML image, and its alternative text."""

    html: str
    text: str


def pictures(cell: LessonCell) -> list[CellPicture]:
    """Return the drawings among the outputs of a cell, in order."""
    drawn = (_picture(output.get("data", {})) for output in cell.outputs)
    return [picture for picture in drawn if picture is not None]


def _picture(data: Mapping[str, Any]) -> CellPicture | None:
    text = "".join(data.get("text/plain", ""))
    if "image/svg+xml" in data:
        content = base64.b64encode("".join(data["image/svg+xml"]).encode()).decode()
        return CellPicture(_image("svg+xml", content, text), text)
    if "image/png" in data:
        return CellPicture(_image("png", "".join(data["image/png"]).replace("\n", ""), text), text)
    found = DRAWN.search("".join(data.get("text/html", "")))
    return CellPicture(found[0], text) if found else None


def _image(kind: str, content: str, text: str) -> str:
    source = f"data:image/{kind};base64,{content}"
    return f'<img alt="{html.escape(text, quote=True)}" src="{source}">'
