"""The tour as a reader uses it: a real JupyterLab, real runs, real clicks."""

import shutil
from pathlib import Path

import pytest
from playwright.sync_api import expect
from support.jupyter_browser import open_lab
from support.workbench_page import button, enter, ready, unfold

TOUR = Path(__file__).parents[2] / "notebooks" / "00_tour.ipynb"
# The fewest points among the train curves of the last plot on the page that have begun, as plotly
# holds them.
POINTS = """() => {
    const plot = [...document.querySelectorAll('.qtha-workbench .js-plotly-plot')].at(-1);
    const curves = (plot?.data ?? []).filter(trace => trace.meta?.kind === 'train');
    const counts = curves.map(trace => trace.x?.length ?? 0).filter(count => count > 0);
    return counts.length >= 2 ? Math.min(...counts) : -1;
}"""


def points(lab) -> int:
    return lab.page.evaluate(POINTS)


def wait_for_points(lab, count: int) -> None:
    lab.page.wait_for_function(f"() => ({POINTS})() >= {count}")


def set_steps(lab, steps: int) -> None:
    """Enter the number of steps, as a reader does."""
    bench = lab.page.locator(".qtha-workbench").first
    unfold(bench, "Training")
    enter(bench, "steps", str(steps))


@pytest.mark.browser
@pytest.mark.slow
def test_the_tour_launches_draws_stops_and_finds_its_runs_again(jupyter, tmp_path):
    notebook = Path(shutil.copy(TOUR, tmp_path))
    with open_lab(jupyter, notebook, QTHA_LAB_PROFILE="ci") as lab:
        page = lab.page
        lab.menu("Run", "Run All Cells")
        bench = page.locator(".qtha-workbench").first
        state = bench.locator(".qtha-state")
        ready(bench)
        expect(state.first).to_contain_text("finished")  # the runs launched by the cells above

        set_steps(lab, 5000)
        expect(bench.locator(".qtha-fold-note", has_text="5000 steps")).to_have_count(1)
        button(bench, "Launch").click()
        expect(state.first).to_contain_text("of 5000")
        wait_for_points(lab, 3)
        count = points(lab)
        wait_for_points(lab, count + 3)  # the curves move

        bench.get_by_role("button", name="Stop all").click()
        for row in (state.nth(0), state.nth(1)):
            expect(row).to_contain_text("stopped")
        count = points(lab)

        assert lab.complaints == []

        lab.save()
        page.reload()
        lab.wait_idle()
        expect(state.nth(1)).to_contain_text("stopped")  # the saved output lives again
        lab.restart_kernel()
        note = page.locator(".qtha-static .qtha-note")
        expect(note).to_be_visible()
        expect(note).to_contain_text("run this cell again")
        lab.run_cell("Workbench()")
        expect(note).to_be_hidden()
        expect(state.nth(1)).to_contain_text("stopped")
        wait_for_points(lab, count)
        assert lab.complaints == []
