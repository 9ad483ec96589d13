"""Findings of axe-core for a part of a page, and its controls without a name."""

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

GRAVE = ("critical", "serious")
UNNAMED = """part => [...document.querySelectorAll(
    `${part} :is(input, select, textarea, button, [role=slider])`)]
    .filter(e => !(e.labels?.[0]?.textContent || e.textContent || e.getAttribute('aria-label')).trim())
    .map(e => e.outerHTML)"""


def violations(page: Page, part: str) -> list[str]:
    """Serious and critical ones in what a selector picks.

    The rule, and the elements that break it.
    """
    rules = Axe().run(page, context={"include": [[part]]}).response["violations"]
    return [
        f"{rule['id']}: {[node['html'] for node in rule['nodes']]}"
        for rule in rules
        if rule["impact"] in GRAVE
    ]


def unnamed(page: Page, part: str) -> list[str]:
    """Controls that a screen reader would have no name for."""
    return page.evaluate(UNNAMED, part)
