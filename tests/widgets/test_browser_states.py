"""Every state of the workbench, light and dark: no grave finding of axe, and pictures to look at.

The pictures lie in the test's folder, named by state, width and theme.
"""

from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import expect
from support.jupyter_browser import Lab, open_lab
from support.workbench_page import (
    button,
    enter,
    expect_in_sight,
    fold_button,
    ready,
    unfold,
    unnamed,
    violations,
    wait_for_point,
)

CELL = """from qtha_lab import Comparison
from qtha_lab.widgets import Workbench
Workbench(Comparison(methods="lora(r=2),qtha(r=2,waist=8,n_layers=1,bond_dim=2)", training={
    "steps": 6, "batch_size": 2, "max_length": 48, "train_rows": 20, "eval_rows": 6, "test_rows": 8,
    "eval_every": 2, "spectrum_every": 2, "generate_rows": 0, "threads": 1}))"""
SIZES = {"1400": (1400, 900), "900": (900, 900), "700": (700, 900)}
THEMES = ("JupyterLab Dark", "JupyterLab Light")
FOLDS = ("Training", "Model, task, seeds", "Tuning", "Sweep", "Cost, engines", "Circuits", "lora")
EXPLORERS = {
    "Circuit": ".qtha-circuit-explorer",
    "Spectra of the update": ".qtha-update-explorer",
    "Operator (MPO) of an update": ".qtha-mpo-explorer",
    "Engines of the circuit": ".qtha-engine-explorer",
}


class Gallery:
    """Pictures of each state in both themes and at three widths, and what axe finds there."""

    def __init__(self, lab: Lab, folder: Path):
        self.lab, self.page, self.folder = lab, lab.page, folder
        self.bench = lab.page.locator(".qtha-workbench").first
        self.flaws: list[tuple[str, ...]] = []

    def tab(self, name: str) -> None:
        """Show a tab, or the form, which a button hides on a narrow page."""
        if name != "Setup":
            return self.bench.get_by_role("tab", name=name, exact=True).click()
        shown = self.bench.get_by_role("button", name=name, exact=True)
        if shown.is_visible() and shown.get_attribute("aria-pressed") == "false":
            shown.click()

    def show(self, state: str, tab: str = "") -> None:
        """Take the pictures of a state; `tab` is where it is in one column."""
        for theme in THEMES:
            self.lab.menu("Settings", "Theme", theme)
            expect(self.page.locator("body")).to_have_attribute("data-jp-theme-name", theme)
            of = f"{state}, {theme}"
            self.flaws += [(of, flaw) for flaw in violations(self.page, ".qtha-workbench")]
            self.flaws += [(of, control) for control in unnamed(self.page, ".qtha-workbench")]
            for name, (width, height) in SIZES.items():
                self.page.set_viewport_size({"width": width, "height": height})
                self.browse(name == "1400")
                if tab and name != "1400":
                    self.tab(tab)
                self.page.wait_for_timeout(500)  # the plot follows the width
                self.page.screenshot(path=self.folder / f"{state}-{name}-{theme[11:].lower()}.png")
            self.page.set_viewport_size({"width": 1400, "height": 900})
            self.browse(True)

    def browse(self, shown: bool) -> None:
        """Show the file browser beside the page, or fold it away."""
        files = self.page.locator(".jp-FileBrowser")
        if files.is_visible() != shown:
            self.page.get_by_role("tab", name="File Browser").click()
            expect(files).to_be_visible(visible=shown)


def train_for(gallery: Gallery, steps: int) -> None:
    unfold(gallery.bench, "Training")
    enter(gallery.bench, "steps", str(steps))
    ready(gallery.bench)
    fold_button(gallery.bench, "Training").click()


def launch(gallery: Gallery, steps: int) -> None:
    train_for(gallery, steps)
    button(gallery.bench, "Launch").click()


def trained(gallery: Gallery) -> None:
    launch(gallery, 6)
    for row in (0, 1):
        expect(gallery.bench.locator(".qtha-state").nth(row)).to_contain_text("finished")


def finished(gallery: Gallery) -> None:
    trained(gallery)
    gallery.show("finished", "Watch")


def saving(gallery: Gallery) -> None:
    save = gallery.bench.locator(".qtha-watch").get_by_role("button", name="Save figure")
    save.click()
    expect(gallery.bench.locator(".qtha-watch .qtha-preview svg").first).to_be_visible()
    gallery.show("saving")
    save.click()


def compared(gallery: Gallery) -> None:
    gallery.tab("Compare")
    expect(gallery.bench.locator(".qtha-verdict:visible")).to_contain_text("one seed")
    expect(gallery.bench.locator(".qtha-views .js-plotly-plot").first).to_be_visible()
    gallery.show("compare")


def explored(gallery: Gallery) -> None:
    gallery.tab("Explore")
    choice = gallery.bench.get_by_label("explore", exact=True)
    for number, (name, panel) in enumerate(EXPLORERS.items()):
        choice.select_option(label=name)
        figure = gallery.bench.locator(f"{panel} .qtha-figure[data-drawings]")
        expect(figure.first).to_be_visible()
        gallery.show(f"explore-{number}")


def chatted(gallery: Gallery) -> None:
    gallery.tab("Chat")
    chat = gallery.bench.locator(".qtha-chat")
    chat.get_by_label("held-out prompts", exact=True).select_option(index=1)
    chat.get_by_role("button", name="Answer").click()
    columns = chat.locator(".qtha-answers > .widget-vbox")
    expect(columns).to_have_count(4)
    for number in (1, 2, 3):
        expect(columns.nth(number)).to_contain_text("token")
    expect(chat.get_by_role("button", name="Stop")).to_be_disabled()
    gallery.show("chat")


def exported(gallery: Gallery) -> None:
    gallery.tab("Export")
    expect(gallery.bench.locator(".qtha-export .qtha-code")).to_contain_text("qtha-lab export")
    gallery.show("export")
    gallery.tab("Watch")


def administered(gallery: Gallery) -> None:
    unfold(gallery.bench, "Columns, tags, trash")
    gallery.bench.get_by_label("columns", exact=True).select_option(label="all that differ")
    expect(gallery.bench.get_by_role("columnheader", name="eval_loss")).to_be_visible()
    gallery.show("table")
    gallery.bench.get_by_label("columns", exact=True).select_option(
        label="back to those that differ"
    )
    fold_button(gallery.bench, "Columns, tags, trash").click()


def unfolded(gallery: Gallery) -> None:
    unfold(gallery.bench, *FOLDS, "Python, YAML", "Show as YAML")
    ready(gallery.bench)
    gallery.show("settings", "Setup")
    for title in reversed(FOLDS):  # the inner ones first
        fold_button(gallery.bench, title).click()
    fold_button(gallery.bench, "Python, YAML").click()


def refused(gallery: Gallery) -> None:
    unfold(gallery.bench, "Training")
    enter(gallery.bench, "steps", "0")
    expect(gallery.bench.locator(".qtha-faults button")).to_have_count(1)
    gallery.show("wrong", "Setup")
    enter(gallery.bench, "steps", "6")
    ready(gallery.bench)


def commanded(gallery: Gallery) -> None:
    gallery.bench.get_by_label("preset", exact=True).select_option(label="search a circuit")
    expect(gallery.bench.locator(".qtha-code", has_text="qtha-lab search")).to_be_visible()
    expect_in_sight(gallery.bench, ".qtha-folded button.mod-primary")  # Launch the command
    expect(button(gallery.bench, "Launch")).to_be_hidden()
    gallery.show("system", "Setup")
    gallery.bench.get_by_label("preset", exact=True).select_option(index=0)
    expect(button(gallery.bench, "Launch")).to_be_visible()


def swept(gallery: Gallery) -> None:
    train_for(gallery, 6)
    unfold(gallery.bench, "lora")
    enter(gallery.bench, "learning rate", "0.001, 0.01")
    expect(gallery.bench.get_by_role("button", name="Launch sweep")).to_be_enabled()
    ready(gallery.bench)
    gallery.show("sweep-typed", "Setup")
    gallery.bench.get_by_role("button", name="Launch sweep").click()
    expect(gallery.bench.locator(".qtha-sweep")).to_contain_text("finished ·")
    gallery.tab("Watch")
    gallery.show("sweep", "Watch")
    enter(gallery.bench, "learning rate", "0.001")


def running(gallery: Gallery) -> None:
    launch(gallery, 5000)
    wait_for_point(gallery.bench, ".qtha-watch")
    gallery.show("running", "Watch")
    gallery.bench.get_by_role("button", name="Stop all").click()
    for row in (0, 1):
        expect(gallery.bench.locator(".qtha-state").nth(row)).to_contain_text("stopped")
    gallery.show("stopped", "Watch")


def gone(gallery: Gallery) -> None:
    gallery.lab.restart_kernel()
    expect(gallery.page.locator(".qtha-static .qtha-note")).to_be_visible()
    gallery.show("gone")


def empty(gallery: Gallery) -> None:
    expect(gallery.bench.locator(".qtha-empty")).to_contain_text("Press Launch")
    expect(gallery.bench.locator(".qtha-grid-none")).to_contain_text("No run is here.")
    gallery.show("empty")


STATES: dict[str, tuple[Callable[[Gallery], None], ...]] = {
    "results": (empty, finished, saving, compared, administered),
    "panes": (trained, explored, chatted, exported),
    "settings": (unfolded, refused, commanded),
    "launches": (running, swept, gone),
}


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.parametrize("part", STATES)
def test_axe_finds_nothing_grave_in_any_state_light_or_dark(part, jupyter, tmp_path):
    notebook = tmp_path / "page.ipynb"
    cell = nbformat.v4.new_code_cell(CELL)
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), notebook)
    with open_lab(jupyter, notebook, size=SIZES["1400"]) as lab:
        gallery = Gallery(lab, tmp_path)
        lab.run_cell("Workbench(")
        ready(gallery.bench)
        for state in STATES[part]:
            state(gallery)
        assert gallery.flaws == []
        assert lab.complaints == []
