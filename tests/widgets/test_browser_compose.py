"""The code of the how-to "Compose your own page", cell by cell, in a real JupyterLab."""

import re
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import Locator, expect
from support.jupyter_browser import Lab, open_lab
from support.run_folders import finish, run_folder, status, train, write
from support.waiting import PATIENCE
from support.workbench_page import ready, unfold, wait_for_point

from qtha_lab.runs.run import list_runs

pytestmark = [pytest.mark.browser, pytest.mark.slow]
GUIDE = Path(__file__).parents[2] / "docs" / "howto" / "compose.md"
PAGE, FORM, LAUNCH = re.findall(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.S)
CAPTION = ".qtha-figure > p"


@pytest.fixture(scope="module")
def lab(jupyter, tmp_path_factory) -> Iterator[Lab]:
    """A notebook with the code of the how-to, beside two runs that finished."""
    folder = tmp_path_factory.mktemp("compose")
    for method in ("qtha(r=4)", "lora(r=2)"):
        run = run_folder(folder / "runs", method, name="before", steps=3)
        write(run, status("running", 0), *(train(step, 5.0 - step / 10) for step in (1, 2, 3)))
        write(run, {"kind": "eval", "step": 3, "loss": 4.1})
        finish(run, eval_loss=4.1, test_loss=4.1, train_loss=4.0)
    notebook = folder / "page.ipynb"
    cells = [nbformat.v4.new_code_cell(source.strip()) for source in (PAGE, FORM, LAUNCH)]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), notebook)
    with open_lab(
        jupyter,
        notebook,
        size=(1400, 900),
        QTHA_LAB_PROFILE="ci",
        QTHA_LAB_RUNS=str(folder / "runs"),
    ) as lab:
        lab.run_cell("import ipywidgets")
        expect(lab.page.locator(".qtha-explorer .qtha-figure[data-drawings]")).not_to_have_count(0)
        yield lab
        assert lab.complaints == []
        assert lab.errors() == []


def layers_of(explorer: Locator) -> Locator:
    """The readout of the slider of an explorer's layers."""
    slider = explorer.locator(".widget-slider", has_text="layers")
    return slider.locator(".widget-readout")


def test_the_page_has_a_live_plot_explorers_and_a_slider_of_its_own(lab):
    page = lab.page
    wait_for_point(page.locator(".jp-Notebook"), ".qtha-live")
    expect(page.locator(".qtha-live " + CAPTION)).to_contain_text("qtha")
    expect(page.locator(".qtha-explorer")).to_have_count(2)
    caption = page.locator(CAPTION, has_text="Evaluation loss of every seed")
    expect(caption).to_contain_text("lora 4 to 4.2")
    page.get_by_role("slider", name="loss of seed 0").focus()
    page.keyboard.press("ArrowLeft")
    expect(caption).to_contain_text("lora 3.9 to 4.2")


def test_a_link_moves_the_other_explorer_and_an_output_is_printed_anew(lab):
    page = lab.page
    chip, land = page.locator(".qtha-chip"), page.locator(".qtha-landscape")
    captions = [part.locator(CAPTION).first for part in (chip, land)]
    printed = page.locator(".jp-OutputArea-output", has_text="signal left").last
    before = [part.inner_text() for part in (*captions, printed)]
    slider = chip.get_by_role("slider", name="layers", exact=True)
    slider.focus()
    at_end = slider.get_attribute("aria-valuenow") == slider.get_attribute("aria-valuemax")
    page.keyboard.press("ArrowLeft" if at_end else "ArrowRight")
    for part, words in zip((*captions, printed), before, strict=True):
        expect(part).not_to_have_text(words)
    assert layers_of(land).inner_text() == layers_of(chip).inner_text()


def test_a_setting_is_observed_and_set_and_a_launch_clicked_from_python(lab):
    lab.run_cell("Workbench(")
    bench = lab.page.locator(".qtha-workbench")
    ready(bench)
    unfold(bench, "Training", "qtha")
    expect(bench.get_by_label("steps", exact=True)).to_have_value("20")
    expect(bench.get_by_label("learning rate", exact=True).first).to_have_value("1e-3")
    lab.run_cell("bench.launch.click")
    expect(bench.get_by_text("Launched 2 runs")).to_be_visible()
    runs = list_runs(lab.notebook.parent / "runs")
    assert [run.wait(PATIENCE).state for run in runs] == 4 * ["finished"]
    for row in (0, 1):
        expect(bench.locator(".qtha-state").nth(row)).to_contain_text("finished")
    wait_for_point(bench, ".qtha-watch")
