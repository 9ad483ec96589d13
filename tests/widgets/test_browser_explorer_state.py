"""Explorers as widgets in a real JupyterLab.

Linked, brought back from their state, told off, never behind.
"""

from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import Locator, expect
from support.jupyter_browser import Lab, open_lab

pytestmark = [pytest.mark.browser, pytest.mark.slow]
CELLS = (
    """import ipywidgets as ipw
from widgets import CircuitExplorer
a, b = CircuitExplorer("qtha", n_qubits=3), CircuitExplorer("product", n_qubits=3)
tie = ipw.link((a, "n_layers"), (b, "n_layers"))
ipw.VBox([a, b])""",
    """state = a.state
CircuitExplorer.from_state(state)""",
    """from pathlib import Path
import time
while not Path("go").exists():
    time.sleep(0.05)""",
)
# What the bars of states, wires and cuts say under a pointer: their heights.
HEIGHTS = """panel => JSON.stringify([...panel.querySelectorAll('.qtha-figure title')]
    .map(title => title.textContent).filter(words => /^([|]|wire|cut)/.test(words)))"""
DRAWINGS = "panel => Number(panel.querySelector('.qtha-figure').dataset.drawings)"


@pytest.fixture(scope="module")
def lab(jupyter, tmp_path_factory) -> Iterator[Lab]:
    notebook = tmp_path_factory.mktemp("states") / "page.ipynb"
    cells = [nbformat.v4.new_code_cell(source) for source in CELLS]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), notebook)
    with open_lab(jupyter, notebook, size=(1400, 4000)) as lab:
        lab.run_cell("ipw.link")
        expect(lab.page.locator(".qtha-explorer")).to_have_count(2)
        expect(lab.page.locator(".qtha-figure[data-drawings]")).to_have_count(4)
        yield lab
        assert lab.complaints == []
        assert lab.errors() == []


def explorer(lab: Lab, number: int) -> Locator:
    return lab.page.locator(".qtha-explorer").nth(number)


def slider(panel: Locator, name: str) -> Locator:
    return panel.get_by_role("slider", name=name, exact=True)


def test_a_link_moves_the_other_control_and_its_figure(lab):
    one, two = explorer(lab, 0), explorer(lab, 1)
    before = two.evaluate(HEIGHTS)
    slider(one, "layers").focus()
    lab.page.keyboard.press("ArrowRight")
    expect(slider(two, "layers")).to_have_attribute("aria-valuetext", "2")
    two.evaluate_handle("panel => panel")
    lab.page.wait_for_function(
        "([panel, before]) => (" + HEIGHTS + ")(panel) !== before",
        arg=[two.element_handle(), before],
    )
    slider(two, "layers").focus()
    lab.page.keyboard.press("ArrowLeft")
    expect(slider(one, "layers")).to_have_attribute("aria-valuetext", "1")


def test_what_cannot_be_stands_in_the_panel_in_a_sentence_and_the_control_goes_back(lab):
    panel = explorer(lab, 0)
    slider(panel, "qubits").focus()
    lab.page.keyboard.press("Home")
    expect(panel.get_by_text("must have at least 2 qubits, got 1")).to_be_visible()
    expect(slider(panel, "qubits")).to_have_attribute("aria-valuetext", "3")
    lab.page.keyboard.press("ArrowRight")
    expect(panel.get_by_text("must have at least 2 qubits, got 1")).to_be_hidden()
    expect(slider(panel, "qubits")).to_have_attribute("aria-valuetext", "4")
    lab.page.keyboard.press("ArrowLeft")
    expect(slider(panel, "qubits")).to_have_attribute("aria-valuetext", "3")


def test_a_slider_that_moves_while_the_kernel_is_busy_ends_at_the_newest_after_a_few_drawings(lab):
    panel, angle = explorer(lab, 0), slider(explorer(lab, 0), "angle")
    panel.get_by_role("button", name="The same in Python").click()
    code = panel.locator(".qtha-code pre")
    expect(code).to_contain_text("circuit = ")
    lab.wait_idle()
    before, start = panel.evaluate(DRAWINGS), int(angle.input_value())
    lab.run_cell("while not Path")
    lab.page.locator(".jp-StatusBar-TextItem", has_text="| Busy").wait_for()
    angle.focus()
    for _ in range(40):
        lab.page.keyboard.press("ArrowRight")
    assert int(angle.input_value()) == start + 40
    Path(lab.notebook.parent, "go").touch()
    lab.wait_idle()
    expect(code).to_contain_text(f"{(start + 40 - 314) / 100:g}, ")
    lab.page.wait_for_timeout(500)
    assert int(angle.input_value()) == start + 40
    assert 1 <= panel.evaluate(DRAWINGS) - before <= 4


def test_a_state_brings_the_same_explorer_back(lab):
    lab.run_cell("from_state")
    again = lab.page.locator(".qtha-explorer").nth(2)
    expect(again.locator(".qtha-figure[data-drawings]")).to_have_count(2)
    assert again.evaluate(HEIGHTS) == explorer(lab, 0).evaluate(HEIGHTS)
    for name in ("qubits", "layers", "angle"):
        value = slider(explorer(lab, 0), name).get_attribute("aria-valuetext")
        expect(slider(again, name)).to_have_attribute("aria-valuetext", value or "")
