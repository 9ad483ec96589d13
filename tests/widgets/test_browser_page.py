"""The page fits its window.

Methods, cost and Launch before a click, rows, plot and first point after it.
"""

import os
import subprocess
import sys

import nbformat
import pytest
from playwright.sync_api import Page, expect, sync_playwright
from support.accessibility import unnamed, violations
from support.jupyter_browser import FLAGS, chromium, free_port, open_lab, wait_for_port
from support.notebooks import PAGE
from support.run_folders import finish, run_folder, status, train, write
from support.waiting import PATIENCE

from qtha_lab.runs.run import list_runs

pytestmark = [pytest.mark.browser, pytest.mark.slow]
CELL = """from qtha_lab.widgets import Workbench
Workbench()"""
SMALL = """from qtha_lab import Comparison
from qtha_lab.widgets import Workbench
Workbench(Comparison(methods="lora(r=2),qtha(r=2,waist=8,n_layers=1,bond_dim=2)", training={
    "steps": 30, "batch_size": 2, "max_length": 48, "train_rows": 20, "eval_rows": 6, "test_rows": 8,
    "eval_every": 10, "spectrum_every": 0, "generate_rows": 0, "threads": 1}))"""
WINDOWS = {"1400": (1400, 900), "900": (900, 900), "700": (700, 900)}
# The rectangle of the part of the window in which the notebook is read.
SEEN = """() => {
    const box = (document.querySelector('.jp-WindowedPanel-outer') ?? document.documentElement).getBoundingClientRect();
    return [Math.max(0, box.left), Math.max(0, box.top), box.right, Math.min(box.bottom, window.innerHeight)];
}"""
# Whether every visible element of a selector lies inside a rectangle, and how many there are.
INSIDE = """([selector, [left, top, right, bottom]]) => {
    const parts = [...document.querySelectorAll(selector)].filter(e => e.offsetParent);
    const inside = parts.filter(e => {
        const box = e.getBoundingClientRect();
        return box.left >= left - 1 && box.right <= right + 1 && box.top >= top - 1 && box.bottom <= bottom + 1;
    });
    return [inside.length, parts.length];
}"""
# The height of the page, in windows.
WINDOWS_HIGH = "() => document.querySelector('.qtha-workbench').offsetHeight / window.innerHeight"
POINTS = """() => [...document.querySelectorAll('.qtha-watch .js-plotly-plot')]
    .some(plot => (plot.data ?? []).some(trace => trace.x?.length))"""


def notebook_of(tmp_path, cell=SMALL):
    path = tmp_path / "page.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell)]), path)
    return path


def all_inside(page: Page, selector: str) -> bool:
    inside, count = page.evaluate(INSIDE, [selector, page.evaluate(SEEN)])
    return 0 < inside == count


def some_inside(page: Page, selector: str) -> bool:
    return page.evaluate(INSIDE, [selector, page.evaluate(SEEN)])[0] > 0


def before_launch(page: Page) -> None:
    """Methods, cost and Launch are in the window; in one column the methods are a tab."""
    bench = page.locator(".qtha-workbench").first
    expect(bench.locator(".qtha-summary")).to_contain_text("2 runs")
    assert all_inside(page, ".qtha-launch .mod-primary")
    assert all_inside(page, ".qtha-summary")
    setup = bench.get_by_role("tab", name="Setup", exact=True)
    if setup.is_visible():
        setup.click()
    assert all_inside(page, ".qtha-methods > .qtha-column > .qtha-fold > .qtha-fold-head")
    assert page.evaluate(WINDOWS_HIGH) <= 2


def after_launch(page: Page) -> None:
    """One click later rows, plot and first point are in the window, without scrolling."""
    bench = page.locator(".qtha-workbench").first
    bench.get_by_role("button", name="Launch", exact=True).click()
    expect(bench.locator(".qtha-run")).to_have_count(2)
    page.wait_for_function(POINTS)
    page.wait_for_timeout(2000)  # the page scrolls itself once
    assert all_inside(page, ".qtha-watch .js-plotly-plot")
    assert all_inside(page, ".qtha-watch .qtha-run")
    assert some_inside(page, ".qtha-grid tbody tr")
    assert page.evaluate(WINDOWS_HIGH) <= 2


@pytest.mark.parametrize("window", WINDOWS)
def test_methods_cost_launch_and_then_curves_are_in_sight(window, jupyter, tmp_path):
    with open_lab(jupyter, notebook_of(tmp_path), size=WINDOWS[window]) as lab:
        page = lab.page
        if window != "1400":  # as wide as the file browser leaves it is one column already
            page.keyboard.press("Control+b")
        lab.run_cell("Workbench(")
        before_launch(page)
        after_launch(page)
        page.screenshot(path=tmp_path / f"{window}.png")
        assert violations(page, ".qtha-workbench") == unnamed(page, ".qtha-workbench") == []
        assert lab.complaints == []


def test_voila_shows_the_page_in_a_window(tmp_path):
    port, log = free_port(), tmp_path / "voila.log"
    names = ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR")
    places = {name: str(tmp_path / name.lower()) for name in names}
    with log.open("w") as output:
        server = subprocess.Popen(
            [sys.executable, "-m", "voila", str(PAGE), "--no-browser", f"--port={port}"],
            env=os.environ | places, stdout=output, stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        wait_for_port(server, port, log)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
            page = browser.new_page(viewport={"width": 1400, "height": 900})
            page.set_default_timeout(1000 * PATIENCE)
            page.goto(f"http://127.0.0.1:{port}/")
            before_launch(page)
            after_launch(page)
            browser.close()
    finally:
        for run in list_runs():
            run.stop(soft_seconds=0, term_seconds=1)
        server.terminate()
        server.wait(PATIENCE)


def test_ticked_runs_are_compared_in_words_by_one_click(jupyter, tmp_path, monkeypatch):
    folder = tmp_path / "runs"
    monkeypatch.setenv("QTHA_LAB_RUNS", str(folder))
    for method, loss in (("qtha(r=4)", 4.2), ("lora(r=2)", 4.1)):
        run = run_folder(folder, method, name="before", steps=3)
        losses = [train(step, 5.0 - step / 10) for step in (1, 2, 3)]
        write(run, status("running", 0), *losses, {"kind": "eval", "step": 3, "loss": loss})
        finish(run, eval_loss=loss, test_loss=loss, train_loss=loss)
    with open_lab(jupyter, notebook_of(tmp_path, CELL)) as lab:
        page = lab.page
        lab.run_cell("Workbench(")
        bench = page.locator(".qtha-workbench").first
        bench.get_by_role("tab", name="Compare").click()
        verdict = bench.locator(".qtha-verdict")
        expect(verdict).to_contain_text("lora is lower than qtha by 0.100 nat")
        expect(verdict).to_contain_text("one seed: inconclusive")
        expect(bench.locator(".qtha-steps button", has_text="more seeds")).to_be_visible()
        expect(bench.locator(".qtha-group-row")).to_contain_text("2 runs")
        assert lab.complaints == []


def test_a_tile_of_the_launcher_opens_the_page_without_code(jupyter, tmp_path):
    with open_lab(jupyter, notebook_of(tmp_path, "1 + 1"), size=WINDOWS["1400"]) as lab:
        page = lab.page
        lab.menu("File", "New Launcher")
        tile = page.locator(".jp-LauncherCard", has_text="QTHA workbench")
        expect(tile).to_be_visible()
        tile.click()
        bench = page.locator(".qtha-workbench").first
        expect(bench.get_by_role("button", name="Launch", exact=True)).to_be_visible()
        expect(page.locator(".jp-InputArea-editor:visible", has_text="Workbench()")).to_have_count(
            0
        )
        assert lab.complaints == []
