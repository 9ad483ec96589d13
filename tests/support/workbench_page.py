"""Actions of tests on a workbench in a browser."""

import re

from playwright.sync_api import Locator, expect


def ready(bench: Locator) -> None:
    """Wait until the cost of every method stands on its card."""
    expect(bench.locator(".qtha-methods .qtha-fold-note").first).to_contain_text("par.")
    expect(bench.locator(".qtha-stale")).to_have_count(0)


def fold_button(bench: Locator, title: str) -> Locator:
    """The button of a fold; a note may follow its title."""
    return bench.get_by_role("button", name=re.compile(rf"^{re.escape(title)}(?!\w)")).first


def unfold(bench: Locator, *titles: str) -> None:
    """Open folds by their titles, the outer ones first."""
    for title in titles:
        button = fold_button(bench, title)
        if button.get_attribute("aria-expanded") == "false":
            button.click()


def enter(bench: Locator, name: str, text: str, place: int = 0) -> None:
    """Fill a field by its label and leave it."""
    bench.get_by_label(name, exact=True).nth(place).fill(text)
    bench.page.keyboard.press("Tab")
