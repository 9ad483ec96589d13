"""Explorers in a real JupyterLab: refusals, a busy kernel, the keyboard, narrow windows."""

from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import Locator, expect
from support.jupyter_browser import Lab, open_lab
from support.workbench_page import violations

pytestmark = [pytest.mark.browser, pytest.mark.slow]
CELLS = (
    """import ipywidgets as ipw
from widgets import CircuitExplorer, MpoExplorer, UpdateExplorer
a, b = CircuitExplorer("qtha", n_qubits=3), CircuitExplorer("product", n_qubits=3)
ipw.VBox([a, b])""",
    """state = a.state
CircuitExplorer.from_state(state)""",
    """from pathlib import Path
import time
while not Path("go").exists():
    time.sleep(0.05)""",
    """import torch
MpoExplorer({"random": torch.randn(16, 16)})""",
)
DRAWINGS = "panel => Number(panel.querySelector('.qtha-figure').dataset.drawings)"
ALT = ".qtha-figure > p"
# Controls that reach past what is shown of their output.
CLIPPED = """() => [...document.querySelectorAll('.qtha-explorer')].flatMap(panel => {
    const edge = Math.min(innerWidth, panel.closest('.jp-OutputArea-output').getBoundingClientRect().right) + 1;
    return [...panel.querySelectorAll('input, select, button, .widget-slider')]
        .filter(e => e.offsetParent && !e.closest('.js-plotly-plot'))
        .filter(e => e.getBoundingClientRect().right > edge).map(e => e.outerHTML.slice(0, 160));
})"""


@pytest.fixture(scope="module")
def lab(jupyter, tmp_path_factory) -> Iterator[Lab]:
    notebook = tmp_path_factory.mktemp("states") / "page.ipynb"
    cells = [nbformat.v4.new_code_cell(source) for source in CELLS]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), notebook)
    with open_lab(jupyter, notebook, size=(1400, 4000)) as lab:
        lab.run_cell("ipw.VBox")
        expect(lab.page.locator(".qtha-explorer")).to_have_count(2)
        expect(lab.page.locator(".qtha-figure[data-drawings]")).to_have_count(4)
        yield lab
        assert lab.complaints == []
        assert lab.errors() == []


def explorer(lab: Lab, number: int) -> Locator:
    return lab.page.locator(".qtha-explorer").nth(number)


def slider(panel: Locator, name: str) -> Locator:
    return panel.get_by_role("slider", name=name, exact=True)


def readout(panel: Locator, name: str) -> Locator:
    return (
        panel.locator(".widget-slider")
        .filter(has=slider(panel.page, name))
        .locator(".widget-readout")
    )


def angle_of(panel: Locator) -> float:
    return float(readout(panel, "angle").inner_text().replace("−", "-"))


def test_a_refused_value_gets_a_sentence_and_the_control_is_reset(lab):
    panel = explorer(lab, 0)
    slider(panel, "qubits").focus()
    lab.page.keyboard.press("ArrowLeft")
    expect(panel.locator(ALT).first).to_contain_text("2 qubits")
    lab.page.keyboard.press("ArrowLeft")
    expect(panel.get_by_text("must have at least 2 qubits, got 1")).to_be_visible(timeout=20_000)
    expect(readout(panel, "qubits")).to_have_text("2")
    lab.page.keyboard.press("ArrowRight")
    expect(panel.get_by_text("must have at least 2 qubits, got 1")).to_be_hidden()
    expect(readout(panel, "qubits")).to_have_text("3")


def test_a_slider_moved_while_the_kernel_is_busy_ends_at_the_newest_value(lab):
    panel, angle = explorer(lab, 0), slider(explorer(lab, 0), "angle")
    lab.wait_idle()
    before, start = panel.evaluate(DRAWINGS), angle_of(panel)
    lab.run_cell("while not Path")
    lab.page.locator(".jp-StatusBar-TextItem", has_text="| Busy").wait_for()
    angle.focus()
    for _ in range(40):
        lab.page.keyboard.press("ArrowRight")
    end = angle_of(panel)
    assert end > start
    Path(lab.notebook.parent, "go").touch()
    lab.wait_idle()
    panel.get_by_role("button", name="The same in Python").click()
    expect(panel.locator(".qtha-code pre")).to_contain_text(f"[{end:g}")
    lab.page.wait_for_timeout(500)
    assert angle_of(panel) == end
    assert 1 <= panel.evaluate(DRAWINGS) - before <= 6


def test_a_state_restores_the_same_explorer(lab):
    lab.run_cell("from_state")
    again = explorer(lab, 2)
    expect(again.locator(".qtha-figure[data-drawings]")).to_have_count(2)
    for place in (0, 1):
        words = explorer(lab, 0).locator(ALT).nth(place).inner_text()
        expect(again.locator(ALT).nth(place)).to_have_text(words)
    for name in ("qubits", "layers", "angle"):
        expect(readout(again, name)).to_have_text(readout(explorer(lab, 0), name).inner_text())


def test_other_cores_have_sliders_of_their_own_and_a_bond_moves_the_table(lab):
    lab.run_cell("MpoExplorer(")
    panel = explorer(lab, 3)
    expect(panel.locator(".qtha-figure[data-drawings]")).to_have_count(2)
    table = panel.locator(".qtha-table")
    before = table.inner_text()
    slider(panel, "bond 1").focus()
    lab.page.keyboard.press("ArrowLeft")
    expect(table).not_to_have_text(before)
    panel.get_by_label("cores", exact=True).select_option("3")
    expect(panel.get_by_role("slider")).to_have_count(2)


def test_axe_finds_nothing_serious_and_no_control_is_clipped_from_1400_to_500_pixels(lab):
    expect(lab.page.locator(".noUi-handle:not([aria-label])")).to_have_count(0)
    for theme in ("JupyterLab Dark", "JupyterLab Light"):
        lab.menu("Settings", "Theme", theme)
        expect(lab.page.locator("body")).to_have_attribute("data-jp-theme-name", theme)
        assert violations(lab.page, ".qtha-explorer") == []
    lab.page.keyboard.press("Control+b")  # folds the file browser away
    for width in (1400, 900, 700, 500):
        lab.page.set_viewport_size({"width": width, "height": 4000})
        lab.page.wait_for_function(f"() => ({CLIPPED})().length === 0")
    lab.page.set_viewport_size({"width": 1400, "height": 4000})
