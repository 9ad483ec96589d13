"""Redrawing of figures by the page itself, as they follow a control.

Zoom, words under a pointer, lines that move alone.
"""

import nbformat
import pytest
from playwright.sync_api import expect
from support.jupyter_browser import open_lab

pytestmark = [pytest.mark.browser, pytest.mark.slow]
CELL = """from IPython.display import display
from widgets import CircuitExplorer, UpdateExplorer
events = [
    {"kind": "spectrum", "step": step, "layers": {"0.q_proj": [2.0, 1.0, 0.5]}} for step in (0, 10, 20, 30)
]
display(CircuitExplorer("product", n_qubits=2), UpdateExplorer({"lora": events, "qtha": events}))"""
VIEW = "svg => svg.viewBox.baseVal.width"
# Where the upright lines of the first plot of a panel stand, in pixels, and at which step plotly
# has them.
LINES = """panel => {
    const plot = panel.querySelector('.js-plotly-plot');
    const paths = [...plot.querySelectorAll('.shapelayer path')].map(p => p.getAttribute('d'));
    return [paths.map(d => parseFloat(d.slice(1))), plot.layout.shapes.map(shape => shape.x0)];
}"""


@pytest.fixture(scope="module")
def lab(jupyter, tmp_path_factory):
    """A page with a circuit and with updates."""
    notebook = tmp_path_factory.mktemp("pictures") / "page.ipynb"
    cell = nbformat.v4.new_code_cell(CELL)
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), notebook)
    with open_lab(jupyter, notebook, size=(1400, 3000)) as lab:
        lab.run_cell("CircuitExplorer")
        expect(lab.page.locator(".qtha-figure[data-drawings]")).to_have_count(4)
        yield lab
        assert lab.complaints == []
        assert lab.errors() == []


def test_a_bar_says_its_value_under_the_pointer_at_once(lab):
    panel = lab.page.locator(".qtha-circuit-explorer")
    spot = panel.locator(".qtha-figure svg g[fill=transparent] path").first
    words = spot.locator("title").text_content()
    spot.hover()
    tip = lab.page.locator(".qtha-tip:not([hidden])")
    expect(tip).to_have_text(words)
    assert words.startswith("|00⟩: ")
    panel.get_by_role("slider", name="qubits").hover()
    expect(tip).to_have_count(0)


def test_a_picture_is_zoomed_by_keys_moved_by_the_mouse_and_stays_so_when_it_is_drawn_again(lab):
    panel = lab.page.locator(".qtha-circuit-explorer")
    figure = panel.locator(".qtha-figure").first
    svg = figure.locator(".qtha-drawing > svg")
    whole = svg.evaluate(VIEW)
    figure.get_by_role("button", name="Zoom in").focus()
    lab.page.keyboard.press("Enter")
    assert svg.evaluate(VIEW) == pytest.approx(whole / 1.5)

    left = "svg => svg.viewBox.baseVal.x"
    before, box = svg.evaluate(left), svg.bounding_box()
    lab.page.mouse.move(box["x"] + 300, box["y"] + 100)
    lab.page.mouse.down()
    lab.page.mouse.move(box["x"] + 200, box["y"] + 100, steps=3)
    lab.page.mouse.up()
    assert svg.evaluate(left) == pytest.approx(before + 100 / 1.5 * whole / box["width"], abs=2)

    angle = panel.get_by_role("slider", name="angle")
    drawings = figure.get_attribute("data-drawings")
    angle.focus()
    lab.page.keyboard.press("ArrowRight")
    expect(figure).not_to_have_attribute("data-drawings", drawings)
    assert svg.evaluate(VIEW) == pytest.approx(whole / 1.5)
    figure.hover()
    figure.get_by_role("button", name="Whole figure").click()
    assert svg.evaluate(VIEW) == pytest.approx(whole)
    expect(figure.get_by_role("button", name="Zoom out")).to_be_disabled()


def test_the_line_at_the_step_moves_at_once_to_where_plotly_draws_it_when_a_pointer_comes(lab):
    panel = lab.page.locator(".qtha-update-explorer")
    figure = panel.locator(".qtha-figure").first
    _, at = panel.evaluate(LINES)
    assert at == [30, 30]
    drawings = figure.get_attribute("data-drawings")
    panel.get_by_role("slider", name="step").focus()
    lab.page.keyboard.press("ArrowLeft")
    expect(figure).not_to_have_attribute("data-drawings", drawings)
    moved, at = panel.evaluate(LINES)
    assert at == [30, 30]  # plotly has not been told
    figure.hover()
    lab.page.wait_for_function(
        f"panel => ({LINES})(panel)[1].join() === '20,20'", arg=panel.element_handle()
    )
    drawn, _ = panel.evaluate(LINES)
    assert moved == pytest.approx(drawn, abs=0.5)
