"""Widgets whose code arrives late or whose connection is cut, in a real JupyterLab."""

import re
import textwrap

import nbformat
import pytest
from playwright.sync_api import Page, WebSocketRoute, expect
from support.jupyter_browser import open_lab

CHART = """
import ipywidgets as ipw
from qtha_lab.figures import loss_curves
from widgets.figures.figure_widget import FigureWidget

def figure(steps):
    losses = [5 - step / 100 for step in range(steps)]
    line = {"label": "lora", "seed": 0, "kind": "eval", "steps": range(steps), "values": losses}
    return loss_curves([line])

chart, slider = FigureWidget(figure(1)), ipw.IntSlider(1, 1, 8, description="bond")
ipw.VBox([slider, chart])
"""
MORE = """
chart.show(figure(101))
slider.value = 8
"""
POINTS = """() => document.querySelector('.qtha-figure .js-plotly-plot')?.data?.find(
    line => line.x?.length && line.x[0] !== null)?.x.length"""


# plotly.js cannot be unpacked before the second load of the page, as where a proxy cuts it off.
CUT_OFF = """
if (!sessionStorage.getItem("loaded before")) {
    globalThis.DecompressionStream = class { constructor() { throw new Error("cut off"); } };
}
"""


@pytest.mark.browser
@pytest.mark.slow
def test_a_chart_that_fails_to_load_asks_for_a_reload_and_is_drawn_after_it(jupyter, tmp_path):
    notebook = tmp_path / "cut_off.ipynb"
    cells = [nbformat.v4.new_code_cell(CHART.strip())]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), notebook)
    with open_lab(jupyter, notebook) as lab:
        page, chart = lab.page, lab.page.locator(".qtha-figure")
        page.add_init_script(CUT_OFF)
        page.reload()
        lab.wait_idle()
        lab.run_cell("IntSlider(")
        expect(chart).to_contain_text("Reload the page if it stays empty.")
        assert not page.evaluate(POINTS)
        page.evaluate("sessionStorage.setItem('loaded before', 'yes')")
        lab.save()
        page.reload()
        lab.wait_idle()
        page.wait_for_function(f"() => ({POINTS})() === 1")
        expect(chart).not_to_contain_text("Reload the page")
        assert lab.complaints == []


# A model that comes after ipywidgets has looked for it last, on a page that was busy until then.
LAST_LOOK = """async () => {
    const container = globalThis._JUPYTERLAB["@jupyter-widgets/jupyterlab-manager"];
    const { LabWidgetManager } = (await container.get("./index"))();
    const manager = Object.assign(Object.create(LabWidgetManager.prototype), { _models: {} });
    const found = manager.get_model("late").catch(String);
    const missed = manager.get_model("never").catch(String);
    const end = performance.now() + 2500;
    while (performance.now() < end);
    manager._models.late = Promise.resolve("the model");
    return [await found, await missed];
}"""


@pytest.mark.browser
@pytest.mark.slow
def test_a_model_that_comes_to_a_busy_page_is_found(jupyter, tmp_path):
    notebook = tmp_path / "busy.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1 + 1")]), notebook)
    with open_lab(jupyter, notebook) as lab:
        found = lab.page.evaluate(LAST_LOOK)
    assert found == ["the model", "Error: widget model not found"]


# What a run that goes on does while the page has no connection.
LATER = f"""
import asyncio
from pathlib import Path

async def later():
    while not Path("cut").exists():
        await asyncio.sleep(0.1)
{textwrap.indent(MORE.strip(), "    ")}

task = asyncio.create_task(later())
"""


class Cable:
    """The connections of a page to its kernel, which can be cut and mended."""

    def __init__(self, page: Page):
        self.whole, self.ends = True, []
        page.route_web_socket(re.compile("/channels"), self.connect)

    def connect(self, route: WebSocketRoute) -> None:
        if not self.whole:
            route.close()
            return
        self.ends += [route, route.connect_to_server()]

    def cut(self) -> None:
        self.whole = False
        for end in self.ends:
            end.close()


@pytest.mark.browser
@pytest.mark.slow
def test_a_connection_cut_for_a_while_comes_back_with_what_changed_meanwhile(jupyter, tmp_path):
    notebook = tmp_path / "cut.ipynb"
    cells = [nbformat.v4.new_code_cell(source.strip()) for source in (CHART, LATER)]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), notebook)
    with open_lab(jupyter, notebook) as lab:
        page = lab.page
        cable = Cable(page)
        page.reload()
        lab.wait_idle()
        lab.run_cell("IntSlider(")
        page.wait_for_function(f"() => ({POINTS})() === 1")
        lab.run_cell("create_task")
        lab.wait_idle()
        cable.cut()
        (tmp_path / "cut").touch()
        page.wait_for_timeout(15_000)
        assert page.evaluate(POINTS) == 1
        cable.whole = True
        page.wait_for_function(f"() => ({POINTS})() === 101")
        expect(page.locator(".qtha-figure [aria-live=polite]")).to_contain_text("to 4.000")
        expect(page.locator(".widget-readout")).to_have_text("8")
        assert page.locator(".qtha-gone").count() == 0
        assert lab.complaints == []
