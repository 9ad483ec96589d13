"""Widgets whose code arrives late or whose connection is cut, in a real JupyterLab."""

import re
import textwrap

import nbformat
import pytest
from playwright.sync_api import Page, WebSocketRoute, expect
from support.jupyter_browser import open_lab

CHART = """
import plotly.graph_objects as go
from IPython.display import display
from widgets.figures.chart import Chart
from widgets.kit.controls import Slider
from widgets.kit.panel import Panel

chart = Chart(go.Figure([go.Scatter(x=[0.0], y=[5.0])]), "Loss at step 0.")
slider = Slider("bond", [1, 2, 4, 8], 1)
display(Panel([slider, chart]))
"""
MORE = """
chart.extend({0: [(float(step), 5 - step / 100) for step in range(1, 101)]})
chart.alt = "Loss at step 100."
slider.value = 8
"""
MODULE = re.compile(rb'"kind":\s*"module"')  # the answer with the code of a widget
POINTS = "() => document.querySelector('.qtha-chart .js-plotly-plot')?.data?.[0].x.length"


def hold_modules(page: Page) -> list[tuple[WebSocketRoute, str | bytes]]:
    """Hold back the code of the widgets on its way to a page; every other message passes."""
    held: list[tuple[WebSocketRoute, str | bytes]] = []

    def connect(route: WebSocketRoute) -> None:
        server = route.connect_to_server()

        def pass_on(message: str | bytes) -> None:
            data = message.encode() if isinstance(message, str) else message
            if MODULE.search(data) and b'"source"' in data:
                held.append((route, message))
            else:
                route.send(message)

        server.on_message(pass_on)

    page.route_web_socket(re.compile("/channels"), connect)
    return held


@pytest.mark.browser
@pytest.mark.slow
def test_widgets_whose_code_arrives_late_show_what_changed_meanwhile(jupyter, tmp_path):
    notebook = tmp_path / "late.ipynb"
    cells = [nbformat.v4.new_code_cell(source.strip()) for source in (CHART, MORE)]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), notebook)
    with open_lab(jupyter, notebook) as lab:
        page = lab.page
        lab.run_cell("Slider(")
        page.wait_for_function(f"() => ({POINTS})() === 1")
        lab.menu("File", "Save Notebook")
        held = hold_modules(page)
        page.reload()
        lab.wait_idle()
        expect(page.get_by_text("This panel is still loading").first).to_be_visible()
        lab.run_cell("chart.extend")
        page.wait_for_timeout(2000)
        assert page.locator(".qtha-chart").count() == 0
        while page.evaluate(POINTS) != 101:
            for route, message in held:
                route.send(message)
            held.clear()
            page.wait_for_timeout(500)
        expect(page.locator(".qtha-chart [aria-live=polite]")).to_have_text("Loss at step 100.")
        expect(page.locator(".qtha-slider output")).to_have_text("8")
        assert lab.complaints == []


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
        page, chart = lab.page, lab.page.locator(".qtha-chart")
        page.add_init_script(CUT_OFF)
        page.reload()
        lab.wait_idle()
        lab.run_cell("Slider(")
        expect(chart).to_contain_text("Reload the page if it stays empty.")
        assert page.evaluate(POINTS) is None
        page.evaluate("sessionStorage.setItem('loaded before', 'yes')")
        lab.menu("File", "Save Notebook")
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

async def later():
    await asyncio.sleep(20)
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
def test_a_connection_cut_for_a_minute_comes_back_with_what_changed_meanwhile(jupyter, tmp_path):
    notebook = tmp_path / "cut.ipynb"
    cells = [nbformat.v4.new_code_cell(source.strip()) for source in (CHART, LATER)]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), notebook)
    with open_lab(jupyter, notebook) as lab:
        page = lab.page
        cable = Cable(page)
        page.reload()
        lab.wait_idle()
        lab.run_cell("Slider(")
        page.wait_for_function(f"() => ({POINTS})() === 1")
        lab.run_cell("create_task")
        lab.wait_idle()
        cable.cut()
        page.wait_for_timeout(60_000)
        assert page.evaluate(POINTS) == 1
        cable.whole = True
        page.wait_for_function(f"() => ({POINTS})() === 101")
        expect(page.locator(".qtha-chart [aria-live=polite]")).to_have_text("Loss at step 100.")
        expect(page.locator(".qtha-slider output")).to_have_text("8")
        assert page.locator(".qtha-gone").count() == 0
        assert lab.complaints == []
