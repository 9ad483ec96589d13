"""One slide, and Markdown cut into parts that fit on one."""

import re
from typing import NamedTuple

MOST_WORDS = 95


class Slide(NamedTuple):
    """A slide.

    Attributes:
        title: Heading.
        body: HTML, already escaped.
        kind: "idea", "stop", "picture", "result", "exercise" or "mark".
        note: Text below a picture.
    """

    title: str
    body: str
    kind: str
    note: str = ""


def slide_parts(markdown: str, most_words: int) -> list[str]:
    """Cut Markdown between paragraphs and list items into short parts; code stays whole.

    Example:
        >>> slide_parts("one two\\n\\nthree\\n\\nfour", 3)
        ['one two\\n\\nthree', 'four']
    """
    parts: list[str] = []
    paragraphs = filter(None, (p.strip("\n") for p in _paragraphs(markdown)))
    for paragraph in (part for whole in paragraphs for part in _list_parts(whole, most_words)):
        joined = f"{parts[-1]}\n\n{paragraph}" if parts else paragraph
        if parts and len(joined.split()) <= most_words:
            parts[-1] = joined
        else:
            parts.append(paragraph)
    return parts


def _list_parts(paragraph: str, most_words: int) -> list[str]:
    """Cut a long list between its items; other paragraphs stay whole."""
    first, *others = re.split(r"\n(?=\* )", paragraph)
    parts = [first]
    for item in others:
        if len(f"{parts[-1]} {item}".split()) <= most_words:
            parts[-1] += f"\n{item}"
        else:
            parts.append(item)
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
