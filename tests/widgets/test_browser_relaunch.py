"""Launches one after the other leave neither nodes nor widgets behind."""

from typing import Any

import nbformat
import pytest
from playwright.sync_api import Locator, expect
from support.jupyter_browser import open_lab
from support.waiting import wait_until
from support.workbench_page import button, ready

pytestmark = [pytest.mark.browser, pytest.mark.slow]
CELL = """from qtha_lab import Comparison
from qtha_lab.widgets import Workbench
Workbench(Comparison(methods="lora(r=2),lora(r=4)", training={
    "steps": 4, "batch_size": 2, "max_length": 48, "train_rows": 20, "eval_rows": 6, "test_rows": 8,
    "eval_every": 2, "spectrum_every": 2, "generate_rows": 0, "threads": 1}))"""
# Remember the widget manager of the page as soon as it shows a widget.
REMEMBER = """async () => {
    const container = globalThis._JUPYTERLAB["@jupyter-widgets/jupyterlab-manager"];
    const { LabWidgetManager } = (await container.get("./index"))();
    const { create_view } = LabWidgetManager.prototype;
    LabWidgetManager.prototype.create_view = function (...given) {
        globalThis.manager = this;
        return create_view.apply(this, given);
    };
}"""
MODELS = "() => Object.keys(globalThis.manager._models).length"
# Nodes of the page outside of the table of runs, which has a row more for each run.
NODES = """bench => bench.querySelectorAll('*').length
    - bench.querySelector('.qtha-runs-pane').querySelectorAll('*').length"""
LAUNCHES = 5


def launch(bench: Locator, number: int) -> None:
    """Launch, wait until both runs end, and look at every pane that draws them."""
    button(bench, "Launch").click()
    expect(bench.locator(".qtha-grid .qtha-group-row")).to_have_count(number)
    for row in (0, 1):
        expect(bench.locator(".qtha-run .qtha-state").nth(row)).to_contain_text("finished")
    bench.get_by_role("tab", name="Compare", exact=True).click()
    expect(bench.locator(".qtha-views .js-plotly-plot").first).to_be_visible()
    bench.get_by_role("tab", name="Explore", exact=True).click()
    spectra = bench.locator(".qtha-update-explorer")
    expect(spectra.locator(".qtha-text", has_text="finished").first).to_be_visible()
    expect(spectra.locator(".qtha-figure[data-drawings] .js-plotly-plot")).to_have_count(2)
    bench.get_by_role("tab", name="Watch", exact=True).click()
    expect(bench.locator(".qtha-watch .js-plotly-plot")).to_be_visible()


def test_launches_one_after_the_other_leave_no_nodes_and_no_widgets_behind(jupyter, tmp_path):
    notebook = tmp_path / "page.ipynb"
    cell = nbformat.v4.new_code_cell(CELL)
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), notebook)
    with open_lab(jupyter, notebook, size=(1400, 900)) as lab:
        page, nodes = lab.page, []
        page.evaluate(REMEMBER)
        lab.run_cell("Workbench(")
        bench = page.locator(".qtha-workbench").first
        ready(bench)
        models: list[Any] = []
        for number in range(1, LAUNCHES + 1):
            launch(bench, number)
            nodes.append(bench.evaluate(NODES))
            models.append(page.evaluate(MODELS))
        assert max(nodes[1:]) <= 1.05 * nodes[0], nodes  # labels of axes differ
        wait_until(lambda: page.evaluate(MODELS) <= models[0], lambda: str(models))
        assert lab.complaints == []
