"""Actions and checks of tests on a workbench in a browser."""

import re

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page, expect

from support.waiting import wait_until


def ready(bench: Locator) -> None:
    """Wait until the cost of every method stands on its card."""
    expect(bench.locator(".qtha-methods .qtha-fold-note").first).to_contain_text("par.")
    expect(bench.locator(".qtha-stale")).to_have_count(0)


def fold_button(bench: Locator, title: str) -> Locator:
    """The button of a fold; a note may follow its title."""
    return bench.get_by_role("button", name=re.compile(rf"^{re.escape(title)}(?!\w)")).first


# Open folds that the kernel has not opened yet, or whose content the page has not drawn yet.
UNBUILT = (
    ".qtha-fold:not(.qtha-unfolded) > .qtha-fold-line > .mod-active:visible",
    ".qtha-unfolded > .qtha-folded:empty",
)


def built(bench: Locator) -> None:
    """Wait until the content of every open fold is there."""
    for selector in UNBUILT:
        expect(bench.locator(selector)).to_have_count(0)


def unfold(bench: Locator, *titles: str) -> None:
    """Open folds by their titles, the outer ones first."""
    for title in titles:
        button = fold_button(bench, title)
        if "mod-active" not in (button.get_attribute("class") or ""):
            button.click()
        built(bench)


def button(bench: Locator, name: str) -> Locator:
    """A button by its words; the character of its icon may precede them."""
    return bench.get_by_role("button", name=re.compile(rf"^\W*{re.escape(name)}$"))


def enter(bench: Locator, name: str, text: str, place: int = 0) -> None:
    """Fill a field by its label and leave it."""
    bench.get_by_label(name, exact=True).nth(place).fill(text)
    bench.page.keyboard.press("Tab")


# Whether the first point of a line in a plot of a selector is in sight.
POINT = """(bench, selector) => [...bench.querySelectorAll(`${selector} .js-plotly-plot`)].some(plot => {
    const line = (plot.data ?? []).find(line => line.x?.length && line.y?.length && line.x[0] !== null);
    if (!line || !plot._fullLayout) return false;
    const axis = name => plot._fullLayout[name.replace(/^([xy])/, '$1axis')];
    const [x, y] = [axis(line.xaxis ?? 'x'), axis(line.yaxis ?? 'y')], box = plot.getBoundingClientRect();
    const left = box.left + x._offset + x.d2p(line.x[0]), top = box.top + y._offset + y.d2p(line.y[0]);
    return plot.contains(document.elementFromPoint(left, top));
})"""
# Whether a press of the mouse in the middle of an element would meet it.
UNDER = """part => {
    const box = part.getBoundingClientRect();
    const over = document.elementFromPoint((box.left + box.right) / 2, (box.top + box.bottom) / 2);
    return box.width > 0 && part.contains(over);
}"""
WHOLE = 0.95  # share of an element that is in sight, of one that is cut by less than a line


def expect_in_sight(bench: Locator, selector: str, most: int | None = None) -> None:
    """Wait until the visible elements of a selector, or so many of them, are in sight."""
    parts = bench.locator(f"{selector}:visible")
    expect(parts).not_to_have_count(0)
    for part in parts.all()[:most]:
        expect(part).to_be_in_viewport(ratio=WHOLE)


def wait_for_point(bench: Locator, selector: str) -> None:
    """Wait until the first point of a plot is in sight."""
    wait_until(lambda: bench.evaluate(POINT, selector), lambda: f"no point of {selector}")


class Hand:
    """Presses the mouse on what is in sight, and counts; what is out of sight is never reached."""

    def __init__(self, page: Page):
        self.page, self.clicks = page, 0

    def click(self, target: Locator) -> None:
        self._wait_for(target)
        box = target.bounding_box()
        assert box
        self.page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        self.clicks += 1

    def choose(self, target: Locator, label: str) -> None:
        """Choose from a list, which takes two clicks: one opens it."""
        self._wait_for(target)
        target.select_option(label=label)
        self.clicks += 2

    def _wait_for(self, target: Locator) -> None:
        expect(target).to_be_visible()
        wait_until(lambda: target.evaluate(UNDER), lambda: f"{target} is out of sight")


GRAVE = ("critical", "serious")
UNNAMED = """part => [...document.querySelectorAll(
    `${part} :is(input, select, textarea, button, [role=slider])`)]
    .filter(e => !(e.labels?.[0]?.textContent || e.textContent || e.getAttribute('aria-label') || e.title).trim())
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
