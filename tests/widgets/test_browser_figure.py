"""The figure widget in a real JupyterLab: new points, zoom, hover, reload, one plotly.js per page."""

import nbformat
import pytest
from playwright.sync_api import expect
from support.jupyter_browser import open_lab

pytestmark = [pytest.mark.browser, pytest.mark.slow]
CELLS = (
    """import ipywidgets as ipw
from qtha_lab.figures import loss_curves
from qtha_lab.widgets import FigureWidget
def figure(steps):
    values = [5 - step / 10 for step in range(steps)]
    return loss_curves([{"label": "lora", "seed": 0, "kind": "eval", "steps": [*range(steps)], "values": values}])
live = FigureWidget(figure(5))
ipw.HBox([live, FigureWidget(figure(3))])""",
    "live.show(figure(8))",
)
# The numbers of points of the first figure.
POINTS = """() => (document.querySelector('.qtha-figure .js-plotly-plot')?.data ?? [])
    .map(line => line.x.length)"""
RANGE = """() => Object.entries(document.querySelector('.js-plotly-plot')._fullLayout)
    .find(([name, axis]) => /^xaxis/.test(name) && axis.range)[1].range"""


def test_a_figure_grows_zooms_by_keys_and_is_the_same_after_a_reload(jupyter, tmp_path):
    notebook = tmp_path / "figure.ipynb"
    cells = [nbformat.v4.new_code_cell(source) for source in CELLS]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), notebook)
    with open_lab(jupyter, notebook) as lab:
        page = lab.page
        lab.run_cell("import ipywidgets")
        expect(page.locator(".qtha-figure[data-drawings]")).to_have_count(2)
        assert page.evaluate(POINTS)[0] == 5
        lab.run_cell("live.show")
        page.wait_for_function(f"() => ({POINTS})()[0] === 8")
        plot = page.get_by_role("figure").first
        assert "lora" in (plot.get_attribute("aria-label") or "")

        low, high = page.evaluate(RANGE)
        plot.focus()
        page.keyboard.press("+")
        page.wait_for_function(f"() => ({RANGE})()[1] - ({RANGE})()[0] < {0.7 * (high - low)}")
        page.keyboard.press("0")
        page.wait_for_function(f"() => ({RANGE})()[1] - ({RANGE})()[0] > {0.9 * (high - low)}")
        assert page.evaluate("() => document.querySelectorAll('script[src^=blob]').length") == 1

        lab.save()
        page.reload()
        page.wait_for_function(f"() => ({POINTS})()[0] === 8")
        expect(page.locator(".qtha-static").first).to_be_hidden()
        assert lab.errors() == []
