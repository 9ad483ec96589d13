"""The stopwatch of the workbench: clicks until a result is in sight, without scrolling.

The picture of a sweep is in test_browser_page.py.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import nbformat
import pypdf
import pytest
from playwright.sync_api import expect
from support.jupyter_browser import Lab, open_lab
from support.run_folders import finish, run_folder, status, train, write
from support.workbench_page import Hand, button, expect_in_sight, ready, wait_for_point

from qtha_lab.runs.run import Run

pytestmark = [pytest.mark.browser, pytest.mark.slow]
CELL = """from qtha_lab.widgets import Workbench
Workbench()"""


def finished(folder: Path, name: str, loss: float, days: int = 0) -> None:
    """Two runs of a launch that ended so many days ago."""
    noon = datetime.now().astimezone().replace(hour=12) - timedelta(days=days)
    began = noon.astimezone(UTC).strftime("%Y%m%d-%H%M%S") if days else None
    for method, worse in (("qtha(r=4)", 0.1), ("lora(r=2)", 0.0)):
        run = run_folder(folder, method, name=name, steps=3)
        if began:
            run = Run(run.path.rename(folder / (began + run.id[15:])))
        losses = [train(step, 5.0 - step / 10) for step in (1, 2, 3)]
        write(run, status("running", 0), *losses, {"kind": "eval", "step": 3, "loss": loss + worse})
        finish(run, eval_loss=loss + worse, test_loss=loss + worse, train_loss=loss)


@pytest.fixture(scope="module")
def lab(jupyter, tmp_path_factory) -> Iterator[Lab]:
    """A page whose folder has 40 runs of today and two of yesterday."""
    folder = tmp_path_factory.mktemp("stopwatch")
    finished(folder / "runs", "yesterday's", 4.3, days=1)
    for number in range(20):
        finished(folder / "runs", f"launch {number}", 4.1)
    notebook = folder / "page.ipynb"
    cell = nbformat.v4.new_code_cell(CELL)
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), notebook)
    with open_lab(jupyter, notebook, size=(1400, 900)) as lab:
        lab.run_cell("Workbench(")
        ready(lab.page.locator(".qtha-workbench").first)
        yield lab
        assert lab.complaints == []


def test_the_finding_in_words_takes_a_click(lab):
    hand, bench = Hand(lab.page), lab.page.locator(".qtha-workbench").first
    hand.click(bench.get_by_role("tab", name="Compare"))
    expect(bench.locator(".qtha-verdict:visible")).to_contain_text(
        "lora is lower than qtha by 0.100 nat"
    )
    expect_in_sight(bench, ".qtha-verdict")
    assert hand.clicks <= 1


def test_a_pdf_of_the_curves_takes_three_clicks(lab):
    bench = lab.page.locator(".qtha-workbench").first
    bench.get_by_role("tab", name="Watch").click()
    wait_for_point(bench, ".qtha-watch")
    hand = Hand(lab.page)
    hand.click(bench.locator(".qtha-watch").get_by_role("button", name="Save figure"))
    expect(bench.locator(".qtha-watch .qtha-save").get_by_label("lora")).to_be_visible()
    expect_in_sight(bench, ".qtha-watch .qtha-save :is(select, input, button)")
    hand.click(bench.locator(".qtha-watch .qtha-save").get_by_role("button", name="Save"))
    with lab.page.expect_download() as download:
        hand.click(bench.get_by_role("link", name="Download loss_curves.pdf"))
    assert pypdf.PdfReader(download.value.path()).pages
    assert hand.clicks <= 3
    bench.locator(".qtha-watch").get_by_role("button", name="Save figure").click()


def test_a_run_of_yesterday_takes_two_clicks(lab):
    bench = lab.page.locator(".qtha-workbench").first
    bench.get_by_role("tab", name="Watch").click()
    bench.get_by_role("button", name="Untick all").click()
    expect(bench.locator(".qtha-run")).to_have_count(0)
    hand = Hand(lab.page)
    hand.click(bench.get_by_role("button", name="Yesterday"))
    heading = bench.locator(".qtha-grid tr", has_text="yesterday")
    expect(bench.locator(".qtha-grid tbody tr[data-index]")).to_have_count(3)
    hand.click(heading.first.locator("input"))
    expect(bench.locator(".qtha-run")).to_have_count(2)
    wait_for_point(bench, ".qtha-watch")
    assert hand.clicks <= 2


def test_the_first_curve_takes_two_clicks_from_the_launcher(lab):
    lab.menu("File", "New Launcher")  # the page with which JupyterLab opens
    hand, bench = Hand(lab.page), lab.page.locator(".qtha-workbench:visible").first
    hand.click(lab.page.locator(".jp-LauncherCard", has_text="QTHA workbench"))
    launch = button(bench, "Launch")
    expect(launch).to_be_enabled()
    hand.click(launch)
    wait_for_point(bench, ".qtha-watch")
    expect_in_sight(bench, ".qtha-watch .js-plotly-plot")
    assert hand.clicks <= 2
    bench.get_by_role("button", name="Stop all").click()
    expect(bench.locator(".qtha-state").first).to_contain_text("stopped")
