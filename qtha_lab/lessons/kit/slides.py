"""Slides of the lessons, and Markdown cut into parts that fit on one.

nbconvert's slides load scripts and formulas from the network, and show each cell whole.
"""

import functools
import importlib.util
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from markupsafe import Markup

from qtha_lab.core.io import read, scratch_folder
from qtha_lab.lessons.kit.class_paths import NINETY
from qtha_lab.lessons.kit.lesson_page import HEADING, LessonCell, LessonPage
from qtha_lab.lessons.kit.markup import pictures, to_html, write_page, write_pdf
from qtha_lab.lessons.predictions import PREDICTIONS
from qtha_lab.lessons.registry import EXERCISES

MOST_WORDS = 95


class Slide(NamedTuple):
    """A slide.

    Attributes:
        title: Heading.
        body: HTML, already escaped.
        kind: "idea", "stop", "picture", "result", "exercise" or "mark".
        note: Text below a picture.
        spoken: HTML of the presenter's notes: the sentences of a paragraph after its first.
    """

    title: str
    body: str
    kind: str
    note: str = ""
    spoken: str = ""


def slide_parts(markdown: str, most_words: int) -> list[str]:
    """Cut Markdown between paragraphs into short parts; code stays whole.

    Example:
        >>> slide_parts("one two\\n\\nthree\\n\\nfour", 3)
        ['one two\\n\\nthree', 'four']
    """
    parts: list[str] = []
    for paragraph in filter(None, (p.strip("\n") for p in _paragraphs(markdown))):
        joined = f"{parts[-1]}\n\n{paragraph}" if parts else paragraph
        if parts and len(joined.split()) <= most_words:
            parts[-1] = joined
        else:
            parts.append(paragraph)
    return parts


def _paragraphs(markdown: str) -> list[str]:
    """Return paragraphs; a fenced block is one."""
    paragraphs, is_fenced = [""], False
    for line in markdown.strip().splitlines():
        is_fenced ^= line.startswith("```")
        if line.strip() or is_fenced:
            paragraphs[-1] += line + "\n"
        else:
            paragraphs.append("")
    return paragraphs


FOLDED = re.compile(r"<details>.*?</details>", re.DOTALL)
ON_PAGE = re.compile(r"\b(?:cells?|panel|explorer)\b")  # what only a reader of the page can do
STATEMENT = re.compile(
    r"(?P<shown>\* \*\*.+?\*\*|(?!\* |```|\$\$|[|<>#\d]).+?[.?!])\s+(?P<spoken>\S.*[.?])", re.DOTALL
)
ENDS = ("## Sources", "## Where next")
SECTION = re.compile(r"^## ", re.MULTILINE)
TIME = "**Time:**"


def slides_of(page: LessonPage) -> list[Slide]:
    """Return the slides of a lesson, in its order.

    Args:
        page: Lesson as executed; without outputs the pictures are missing.
    """
    slides, title = [], page.title
    for cell in page.cells:
        if cell.role == "text" and (heading := HEADING.match(cell.source)):
            title = heading[2]
        slides += _slides(cell, title)
    return slides


def _slides(cell: LessonCell, title: str) -> Iterator[Slide]:
    if cell.kind == "markdown":
        if not cell.source.startswith(ENDS):
            yield from _of_text(cell, title)
    elif cell.role == "predict":
        yield _stop(cell.number)
    elif cell.role in ("reveal", "code"):
        for drawing in pictures(cell):
            yield Slide(title, Markup(drawing.html), "picture", drawing.note)
        yield from _sentences(cell, title)


def _of_text(cell: LessonCell, title: str) -> Iterator[Slide]:
    if cell.role == "task":
        exercise = EXERCISES[cell.number]
        heading = f"{exercise.number} · {exercise.title}"
        task = f"{exercise.effort}\n\n{cell.source.split(chr(10) * 2, 2)[-1]}"
        for part in slide_parts(task, MOST_WORDS):
            yield Slide(heading, Markup(to_html(part)), "exercise")
        return
    found = HEADING.match(cell.source)
    text = FOLDED.sub("", HEADING.sub("", cell.source, count=1) if found else cell.source)
    shown, spoken = _statements(text)
    for part in slide_parts(shown, MOST_WORDS):
        yield Slide(found[2] if found else title, Markup(to_html(part)), "idea", "", spoken)
        spoken = ""


def _statements(markdown: str) -> tuple[str, str]:
    """Return the Markdown of a slide, and the presenter's notes as HTML.

    Shown are the first sentence of a paragraph, the bold words of a list item, and all formulas,
    tables and code.
    """
    shown, spoken = [], []
    for paragraph in _paragraphs(markdown):
        if paragraph.startswith(TIME) or (
            ON_PAGE.search(paragraph) and not paragraph.startswith("* ")
        ):
            continue
        lines = re.split(r"\n(?=\* )", paragraph) if paragraph.startswith("* ") else [paragraph]
        found = [STATEMENT.fullmatch(line.strip("\n")) for line in lines]
        pairs = zip(lines, found, strict=True)
        shown.append("\n".join(match["shown"] if match else line for line, match in pairs))
        spoken += [match["spoken"] for match in found if match]
    if shown and shown[-1].rstrip().endswith(":"):  # leads to a cell
        shown.pop()
    return "\n\n".join(shown), Markup(to_html("\n\n".join(spoken)))


def _stop(number: str) -> Slide:
    declared = PREDICTIONS[number]
    options = "".join(f"\n* {option}" for option in declared.options)
    return Slide(f"Predict {number}", Markup(to_html(f"{declared.question}\n{options}")), "stop")


def _sentences(cell: LessonCell, title: str) -> Iterator[Slide]:
    """Yield the findings of a page: sentences of `what_to_see`, and answers to predictions."""
    for output in cell.outputs:
        data = output.get("data", {})
        found = "".join(data.get("text/markdown", "")).replace("**What to see.**", "").strip()
        answer = "".join(data.get("text/plain", "")) if cell.role == "reveal" else ""
        is_seen = "".join(data.get("text/markdown", "")).startswith("**What to see.**")
        if is_seen or answer.startswith("It is"):
            heading = "What to see" if is_seen else f"Answer to {cell.number}"
            yield Slide(heading, Markup(to_html(found or answer)), "result")


def ninety_minutes(pages: Sequence[LessonPage]) -> list[Slide]:
    """Return the slides of the path of 90 minutes, step by step."""
    by_number: dict[int | None, LessonPage] = {page.number: page for page in pages}
    slides, start = [], 0
    for step in NINETY:
        mark = f"{start}–{start + step.minutes} minutes"
        slides.append(Slide(mark, Markup(to_html(step.title)), "mark"))
        start += step.minutes
        page = by_number.get(step.lesson)
        shown = [s for name in step.sections if page for s in slides_of(_section(page, name))]
        slides += [s for s in shown if s.kind in ("stop", "picture", "result")]
    return slides


def _section(page: LessonPage, name: str) -> LessonPage:
    """Return the cells of one section: from its heading to the next."""
    heads = [k for k, c in enumerate(page.cells) if SECTION.search(c.source) and c.role == "text"]
    begin = next(k for k in heads if f"## {name}" in page.cells[k].source)
    end = next((k for k in heads if k > begin), len(page.cells))
    return replace(page, cells=page.cells[begin:end])


@functools.cache
def reveal_files() -> dict[str, str]:
    """Return script and styles of reveal.js, from the installed package sphinx-revealjs."""
    found = importlib.util.find_spec("sphinx_revealjs")
    assert found is not None
    assert found.submodule_search_locations is not None
    folder = Path(found.submodule_search_locations[0]) / "_static" / "revealjs" / "dist"
    theme = re.sub(r"@import[^;]+;", "", read(folder / "theme" / "white.css"))
    return {"script": read(folder / "reveal.js"), "style": read(folder / "reveal.css") + theme}


def write_slides(pages: Sequence[LessonPage], folder: Path) -> list[Path]:
    """Write one deck per lesson, and that of 90 minutes for all lessons.

    Each has a PDF handout.

    Returns:
        The written files.
    """
    decks = {page.stem: (page.title, slides_of(page)) for page in pages}
    if {step.lesson for step in NINETY} <= {None, *(page.number for page in pages)}:
        decks["90_minutes"] = ("The course in 90 minutes", ninety_minutes(pages))
    files = []
    for name, (title, slides) in decks.items():
        values = {"title": title, "slides": slides}
        files.append(write_page(folder / f"{name}.html", "slides", reveal=reveal_files(), **values))
        with scratch_folder() as place:
            handout = write_page(Path(place) / "page.html", "slides", handout=True, **values)
            files.append(write_pdf(handout, folder / f"{name}.pdf"))
    return files
