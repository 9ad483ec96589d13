"""One slide, and Markdown cut into parts that fit on one."""

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
    """Cut Markdown between its paragraphs so that no part is long; code stays whole.

    Args:
        markdown: Text.
        most_words: Most words of a part of several paragraphs.

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
