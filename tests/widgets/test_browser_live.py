"""Live curves in a real JupyterLab.

Whatever is reloaded, opened twice or restarted, no point is missing.
"""

from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import Page, expect
from support.jupyter_browser import open_lab
from support.waiting import PATIENCE

from qtha_lab.runs.run import list_runs

STEPS = 60
LAUNCH = f"""
from qtha_lab import Experiment, launch
from widgets import LivePlot

training = {{"steps": {STEPS}, "eval_every": 20, "eval_rows": 8, "test_rows": 8}}
runs = [launch(Experiment(method=name, training=training)) for name in ("qtha", "lora")]
plot = LivePlot(runs)
plot.panel
"""
FOLLOW = "await plot.follow()"
RECORD = """
from pathlib import Path

from qtha_lab import Experiment
from qtha_lab.experiment.run_directory import RunDir
from qtha_lab.experiment.run_directory.events import EventLog
from qtha_lab.runs.run import Run
from widgets import LivePlot

run = Run(RunDir.create(Experiment(method="lora"), Path("recorded")).path)
log = EventLog(run.files.events)

def record(first, last):
    for step in range(first, last):
        log.append("train", step=step, loss=5 - step / last, seconds=0.1)

record(1, 101)
plot = LivePlot([run])
plot.panel
"""
RECORD_MORE = """
record(101, 100_001)  # a long run
await plot.tick()
plot.rest()
"""
# How many points plotly holds of each curve of the last plot on the page.
DRAWN = """() => {
    const plot = [...document.querySelectorAll('.qtha-plot .js-plotly-plot')].at(-1);
    return (plot?.data ?? []).map(trace => trace.x?.length ?? 0);
}"""


RANGES = """() => {
    const { xaxis, yaxis } = document.querySelector('.qtha-plot .js-plotly-plot').layout;
    return [xaxis.autorange ?? true, ...xaxis.range, ...yaxis.range].map(String);
}"""


INSIDE = """() => {
    const plot = document.querySelector('.qtha-plot .js-plotly-plot'), [low, high] = plot.layout.xaxis.range;
    return plot.data[0].x.filter(step => step >= low && step <= high).length;
}"""
WHOLE_STEPS = """() => {
    const [low, high] = document.querySelector('.qtha-plot .js-plotly-plot').layout.xaxis.range;
    return Math.floor(high) - Math.ceil(low) + 1;
}"""


def notebook_of(tmp_path: Path, *sources: str) -> Path:
    """A notebook of these cells."""
    path = tmp_path / "live.ipynb"
    cells = [nbformat.v4.new_code_cell(source.strip()) for source in sources]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    return path


def wait_for_step(page: Page, step: int) -> None:
    page.wait_for_function(f"() => ({DRAWN})()[0] >= {step}")


def recorded() -> list[int]:
    """Count the losses in the runs' directories, by run."""
    runs = sorted(list_runs(), key=lambda run: run.id)
    kinds = [[event["kind"] for event in run.valid_events()] for run in runs]
    return [kind.count(which) for kind in kinds for which in ("train", "eval")]


@pytest.mark.browser
@pytest.mark.slow
def test_a_reloaded_page_and_a_second_tab_end_with_every_point(jupyter, tmp_path):
    notebook = notebook_of(tmp_path, LAUNCH, FOLLOW)
    with open_lab(jupyter, notebook) as lab:
        page = lab.page
        lab.menu("Run", "Run All Cells")
        wait_for_step(page, 1)
        lab.save()
        wait_for_step(page, 20)
        tab = lab.second_tab()
        wait_for_step(page, 25)
        page.reload()

        statuses = [run.wait(PATIENCE).state for run in list_runs()]
        assert statuses == ["finished", "finished"]
        losses = recorded()
        assert losses[::2] == [STEPS, STEPS]
        of_runs = zip(losses[::2], losses[1::2], strict=True)
        whole = [n for steps, evals in of_runs for n in (steps, evals, steps)]  # and running means
        for view in (page, tab):
            view.wait_for_function(f"whole => String(({DRAWN})()) === String(whole)", arg=whole)
        for view in (page, tab):
            expect(view.locator(".qtha-plot [aria-live=polite]")).to_contain_text("falls from")
        assert lab.complaints == []


def settled(page) -> list[int]:
    """Return the number of drawn points, stable for a second."""
    before, drawn = None, page.evaluate(DRAWN)
    while drawn != before:
        page.wait_for_timeout(1000)
        before, drawn = drawn, page.evaluate(DRAWN)
    return drawn


@pytest.mark.browser
@pytest.mark.slow
def test_zoom_outlives_new_points_and_the_curves_outlive_the_kernel(jupyter, tmp_path):
    with open_lab(jupyter, notebook_of(tmp_path, RECORD, RECORD_MORE)) as lab:
        page = lab.page
        lab.run_cell("plot.panel")
        page.wait_for_function(f"() => ({DRAWN})()[0] === 100")
        area = page.locator(".qtha-plot .nsewdrag").first.bounding_box()
        left, top = area["x"] + area["width"] / 4, area["y"] + area["height"] / 4
        page.mouse.move(left, top)
        page.mouse.down()
        page.mouse.move(left + area["width"] / 3, top + area["height"] / 3, steps=5)
        page.mouse.up()
        page.wait_for_function(f"() => ({RANGES})()[0] === 'false'")
        zoomed = page.evaluate(RANGES)

        lab.run_cell("plot.rest()")
        page.wait_for_function(f"() => ({DRAWN})()[0] > 200")  # thinned beside the zoomed range
        points = settled(page)
        assert page.evaluate(RANGES) == zoomed
        assert points[0] < 4_000  # of a hundred thousand
        inside = page.evaluate(INSIDE)
        assert inside == page.evaluate(WHOLE_STEPS)  # each step of the zoomed range

        lab.restart_kernel()
        assert settled(page) == points
        assert lab.complaints == []
