"""Links from the first use of a glossary term in a lesson to its entry.

The entry is shown on hover. Headings, code, formulas, tables and links stay as they are.
"""

import html as entities
import re
from pathlib import Path

GLOSSARY = Path(__file__).with_name("glossary.md")
ENTRY = re.compile(r"^\*\*(?P<term>.+?)\*\*\n:   (?P<text>(?:.+\n?)+?)(?=\n|\Z)", re.MULTILINE)
TAG = re.compile(r"(<[^>]+>)")
NAME = re.compile(r"</?([a-zA-Z][\w-]*)")
CLOSED = {"a", "pre", "code", "script", "style", "math", "svg", "table", "button", "summary"}
CLOSED |= {f"h{level}" for level in range(1, 7)}
# entries whose words have an everyday meaning too
EVERYDAY = {"r", "run", "method", "task", "head", "linear", "preview", "refusal", "branch", "core"}


def entries(markdown: str) -> dict[str, tuple[str, str]]:
    """Return anchor and text of each term.

    A term in brackets is a second name of its entry.
    """
    found = {}
    for match in ENTRY.finditer(markdown):
        names = re.split(r"\s*[()]\s*", match["term"])
        text = re.sub(r"\[([^\]]+)\]\([^)]*\)|\*\*|`", r"\1", " ".join(match["text"].split()))
        for name in filter(None, names):
            if name not in EVERYDAY:
                found[name] = (anchor(match["term"]), text)
    return found


def anchor(term: str) -> str:
    """Return the anchor of an entry on the page of the glossary."""
    return "term-" + re.sub(r"\W+", "-", term.lower()).strip("-")


def with_anchors(html: str) -> str:
    """Return the page of the glossary with an anchor at each entry."""
    return re.sub(
        r"<dt><strong>(.+?)</strong></dt>",
        lambda match: f'<dt id="{anchor(entities.unescape(match[1]))}">{match[0][4:]}',
        html,
    )


def linked(html: str, terms: dict[str, tuple[str, str]], glossary: str) -> str:
    """Return a page in which the first use of each term is a link.

    Args:
        html: Content of the page.
        terms: Anchor and text of each term.
        glossary: Address of the glossary, relative to the page.
    """
    open_terms, depth, parts = dict(terms), 0, []
    for part in TAG.split(html):
        if part.startswith("<"):
            name = NAME.match(part)
            if name and name[1].lower() in CLOSED and not part.endswith("/>"):
                depth += -1 if part.startswith("</") else 1
        elif depth == 0 and part.strip() and open_terms:
            part = _with_links(part, open_terms, glossary)
        parts.append(part)
    return "".join(parts)


def _with_links(text: str, open_terms: dict[str, tuple[str, str]], glossary: str) -> str:
    """Link the terms of one text, and remove them from those that are open."""
    names = "|".join(re.escape(name) for name in sorted(open_terms, key=len, reverse=True))
    lower = {name.lower(): name for name in open_terms}

    def link(match: re.Match) -> str:
        name = lower.get(match[1].lower())
        if name is None or name not in open_terms:
            return match[0]
        place, entry = open_terms[name]
        for other in [n for n, (at, _) in open_terms.items() if at == place]:
            del open_terms[other]
        title = entities.escape(entry, quote=True)
        return f'<a class="glossary" href="{glossary}#{place}" title="{title}">{match[0]}</a>'

    return re.sub(rf"(?<![\w-])({names})s?(?![\w-])", link, text, flags=re.IGNORECASE)


def on_page_content(html: str, page, **_) -> str:
    if page.file.src_uri == "glossary.md":
        return with_anchors(html)
    if not page.file.src_uri.startswith("lessons/"):
        return html
    glossary = "../" * page.file.src_uri.count("/") + "glossary.html"
    return linked(html, entries(GLOSSARY.read_text(encoding="utf-8")), glossary)
