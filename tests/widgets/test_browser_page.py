"""The page fits its window.

Methods, cost and Launch before a click, rows, plot and first point after it.
"""

import nbformat
import pytest
from playwright.sync_api import Locator, Page, expect
from support.jupyter_browser import open_lab, open_voila
from support.run_folders import finish, run_folder, status, train, write
from support.workbench_page import (
    Hand,
    button,
    expect_in_sight,
    ready,
    unnamed,
    violations,
    wait_for_point,
)

pytestmark = [pytest.mark.browser, pytest.mark.slow]
CELL = """from qtha_lab.widgets import Workbench
Workbench()"""
SMALL = """from qtha_lab import Comparison
from qtha_lab.widgets import Workbench
Workbench(Comparison(methods="lora(r=2),qtha(r=2,waist=8,n_layers=1,bond_dim=2)", training={
    "steps": 30, "batch_size": 2, "max_length": 48, "train_rows": 20, "eval_rows": 6, "test_rows": 8,
    "eval_every": 10, "spectrum_every": 0, "generate_rows": 0, "threads": 1}))"""
WINDOWS = {"1400": (1400, 900), "900": (900, 900), "700": (700, 900)}
# The height of the page, in windows.
WINDOWS_HIGH = "bench => bench.offsetHeight / window.innerHeight"
# How many points the picture of a sweep has.
TRIALS = """() => [...document.querySelectorAll('.qtha-sweep .js-plotly-plot')]
    .flatMap(plot => plot.data ?? []).reduce((sum, line) => sum + (line.x?.length ?? 0), 0)"""


def notebook_of(tmp_path, cell=SMALL):
    path = tmp_path / "page.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell)]), path)
    return path


def before_launch(bench: Locator) -> None:
    """Methods, cost and Launch are in the window."""
    expect(bench.locator(".qtha-summary")).to_contain_text("2 runs")
    expect_in_sight(bench, ".qtha-launch .mod-primary")
    expect_in_sight(bench, ".qtha-summary")
    expect_in_sight(bench, ".qtha-card > .qtha-fold-line")
    assert bench.evaluate(WINDOWS_HIGH) <= 2


def after_launch(bench: Locator) -> None:
    """One click later rows, plot and first point are in the window, without scrolling."""
    Hand(bench.page).click(button(bench, "Launch"))
    expect(bench.locator(".qtha-run")).to_have_count(2)
    wait_for_point(bench, ".qtha-watch")
    expect_in_sight(bench, ".qtha-watch .js-plotly-plot")
    expect_in_sight(bench, ".qtha-watch .qtha-run")
    expect_in_sight(bench, ".qtha-grid tbody tr[data-index]", most=1)
    assert bench.evaluate(WINDOWS_HIGH) <= 2


@pytest.mark.parametrize("window", WINDOWS)
def test_methods_cost_launch_and_then_curves_are_in_sight(window, jupyter, tmp_path):
    with open_lab(jupyter, notebook_of(tmp_path), size=WINDOWS[window]) as lab:
        page = lab.page
        if window != "1400":  # as wide as the file browser leaves it is one column already
            page.keyboard.press("Control+b")
        lab.run_cell("Workbench(")
        bench = page.locator(".qtha-workbench").first
        before_launch(bench)
        after_launch(bench)
        page.screenshot(path=tmp_path / f"{window}.png")
        assert violations(page, ".qtha-workbench") == unnamed(page, ".qtha-workbench") == []
        assert lab.complaints == []


def beside(page: Page) -> Locator:
    """Show the page in a panel of its own, and drag that to the right of the notebook."""
    page.locator(".qtha-workbench .qtha-title").first.click(button="right")
    page.locator(".lm-Menu-itemLabel", has_text="Create New View for Cell Output").click()
    bench = page.locator(".jp-LinkedOutputView .qtha-workbench").first
    expect(button(bench, "Launch")).to_be_visible()
    tab = page.locator(".lm-DockPanel-tabBar .lm-TabBar-tabLabel", has_text="Output View")
    grip, dock = tab.bounding_box(), page.locator("#jp-main-dock-panel").bounding_box()
    assert grip
    assert dock
    page.mouse.move(grip["x"] + 20, grip["y"] + 8)
    page.mouse.down()
    page.mouse.move(grip["x"] + 60, grip["y"] - 60, steps=5)
    right, middle = dock["x"] + dock["width"] - 10, dock["y"] + dock["height"] / 2
    page.mouse.move(right, middle, steps=10)
    page.locator(".lm-DockPanel-overlay:not(.lm-mod-hidden)").wait_for()
    page.mouse.up()
    page.wait_for_function(
        "bench => bench.getBoundingClientRect().left > innerWidth / 2", arg=bench.element_handle()
    )
    return bench


def test_a_side_panel_of_jupyterlab_shows_the_page(jupyter, tmp_path):
    with open_lab(jupyter, notebook_of(tmp_path), size=WINDOWS["1400"]) as lab:
        lab.run_cell("Workbench(")
        ready(lab.page.locator(".qtha-workbench").first)
        bench = beside(lab.page)
        before_launch(bench)
        after_launch(bench)
        lab.page.screenshot(path=tmp_path / "side.png")
        assert lab.complaints == []


def test_the_picture_of_a_sweep_takes_three_clicks_and_moves_with_its_trials(jupyter, tmp_path):
    with open_lab(jupyter, notebook_of(tmp_path), size=WINDOWS["1400"], QTHA_LAB_SLOTS="1") as lab:
        hand, bench = Hand(lab.page), lab.page.locator(".qtha-workbench").first
        lab.run_cell("Workbench(")
        hand.choose(bench.get_by_label("preset", exact=True), "sweep the learning rate")
        hand.click(button(bench, "Launch sweep"))
        wait_for_point(bench, ".qtha-sweep")
        assert hand.clicks <= 3
        count = lab.page.evaluate(TRIALS)
        lab.page.wait_for_function(f"() => ({TRIALS})() > {count}")
        expect_in_sight(bench, ".qtha-sweep .js-plotly-plot")
        lab.page.screenshot(path=tmp_path / "sweep.png")
        bench.get_by_role("button", name="Stop sweep").click()
        expect(bench.locator(".qtha-sweep")).to_contain_text("stopped ·")
        assert lab.complaints == []


def test_voila_shows_the_page_in_a_window(tmp_path):
    with open_voila(tmp_path) as page:
        bench = page.locator(".qtha-workbench").first
        before_launch(bench)
        after_launch(bench)


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
        verdict = bench.locator(".qtha-verdict:visible")
        expect(verdict).to_contain_text("lora is lower than qtha by 0.100 nat")
        expect(verdict).to_contain_text("one seed: inconclusive")
        expect(bench.locator(".qtha-steps button:visible", has_text="more seeds")).to_be_visible()
        expect(bench.locator(".qtha-group-row")).to_contain_text("2 runs")
        expect(bench.locator(".qtha-pane .js-plotly-plot:visible")).to_have_count(1)
        bench.locator(".qtha-alone-button").click()
        expect(bench.locator(".qtha-setup")).to_be_hidden()
        expect(verdict).to_be_visible()
        bench.get_by_role("tab", name="Watch").click()
        bench.locator(".qtha-watch [role=figure]").focus()
        page.keyboard.press("f")
        expect(bench.locator(".qtha-setup")).to_be_visible()
        assert lab.complaints == []


def test_a_tile_of_the_launcher_opens_the_page_without_code(jupyter, tmp_path):
    with open_lab(jupyter, notebook_of(tmp_path, "1 + 1"), size=WINDOWS["1400"]) as lab:
        page = lab.page
        lab.menu("File", "New Launcher")
        tile = page.locator(".jp-LauncherCard", has_text="QTHA workbench")
        expect(tile).to_be_visible()
        tile.click()
        bench = page.locator(".qtha-workbench").first
        expect(button(bench, "Launch")).to_be_visible()
        expect(page.locator(".jp-InputArea-editor:visible", has_text="Workbench()")).to_have_count(
            0
        )
        assert lab.complaints == []
