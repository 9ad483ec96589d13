"""The table of runs in a real JupyterLab.

Ten thousand runs filtered, sorted, ticked, marked, deleted and restored by a person.
"""

import os
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import Locator, Page, expect
from support.jupyter_browser import Lab, open_lab
from support.run_folders import make_runs, run_folder, status, train, write
from support.waiting import wait_until
from support.workbench_page import button, unnamed, violations

from qtha_lab.experiment.run_directory import RunDir, annotations, exit_status, queue, write_json
from qtha_lab.experiment.run_directory.annotations import read_annotations

pytestmark = [pytest.mark.browser, pytest.mark.slow]
PANEL = """from widgets import RunsTable
table = RunsTable()
table"""
# The texts of a column, of the rows that are in the page.
CELLS = """name => {
    const table = document.querySelector('.qtha-grid');
    const place = [...table.tHead.rows[0].cells].findIndex(cell => cell.textContent.replace(/ [▲▼]$/, '') === name);
    return [...table.tBodies[0].rows].filter(row => row.cells.length > 1).map(row => row.cells[place].textContent);
}"""


def notebook_of(folder: Path, source: str = PANEL) -> Path:
    path = folder / "runs.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)]), path)
    return path


def opened(lab: Lab) -> Locator:
    """The panel, once its rows are there."""
    lab.run_cell("RunsTable")
    return shown(lab.page)


def shown(page: Page) -> Locator:
    panel = page.locator(".qtha-runs-table").last
    expect(panel.locator(".qtha-grid tbody input[type=checkbox]").first).to_be_visible()
    return panel


def wait_for_cells(page: Page, name: str, condition: str) -> None:
    """Wait until the texts of a column are as a condition on `cells` says."""
    page.wait_for_function(
        f"name => {{ const cells = ({CELLS})(name); return {condition}; }}", arg=name
    )


def row_of(panel: Locator, run: str) -> Locator:
    return panel.locator(".qtha-grid tbody tr", has_text=run)


def test_ten_thousand_runs_are_found_marked_deleted_and_restored(jupyter, tmp_path):
    folder = tmp_path / "runs"
    names = make_runs(folder, 10_000)
    with open_lab(jupyter, notebook_of(tmp_path)) as lab:
        page, panel = lab.page, opened(lab)
        grid = panel.get_by_role("grid", name="runs")
        expect(grid).to_have_attribute("aria-rowcount", "10001")
        assert panel.locator(".qtha-grid tbody tr").count() < 40  # of ten thousand, those in sight

        panel.get_by_label("filter", exact=True).press_sequentially(
            "method = qtha and learning_rate >= 0.003"
        )
        expect(panel.get_by_text("10,000 runs · 4,000 rows shown")).to_be_visible()
        wait_for_cells(page, "method", "cells.length && cells.every(cell => cell === 'qtha')")
        panel.get_by_role("button", name="eval_loss").click()
        wait_for_cells(
            page, "eval_loss", "cells.length > 5 && String(cells) === String([...cells].sort())"
        )
        panel.get_by_role("button", name="eval_loss").click()
        wait_for_cells(
            page,
            "eval_loss",
            "cells.length > 5 && String(cells) === String([...cells].sort().reverse())",
        )
        expect(panel.get_by_role("columnheader", name="eval_loss")).to_have_attribute(
            "aria-sort", "descending"
        )

        # the end of the list, by keyboard
        grid.focus()
        page.keyboard.press("End")
        expect(panel.locator("tr[aria-rowindex='4001'].qtha-current input")).to_be_visible()
        page.keyboard.press("Home")
        best = panel.locator("tr[aria-rowindex='2'] th").inner_text()
        assert best in names
        page.keyboard.press("Space")
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Space")
        expect(panel.get_by_text("2 ticked")).to_be_visible()
        page.keyboard.press("ArrowUp")
        page.keyboard.press("F2")
        page.keyboard.type("my best")
        page.keyboard.press("Enter")
        expect(row_of(panel, best)).to_contain_text("my best")
        assert read_annotations(RunDir(folder / best)).name == "my best"
        panel.get_by_label("tag", exact=True).fill("best")
        panel.get_by_role("button", name="Add tag").click()
        wait_for_cells(page, "tags", "cells.filter(cell => cell === 'best').length === 2")

        # a second tab, and the page anew, show the same
        lab.save()
        tab = lab.second_tab()
        other = shown(tab)
        expect(row_of(other, best)).to_contain_text("my best")
        expect(other.locator("tr[aria-selected=true]")).to_have_count(2)
        button(panel, "Delete").click()
        expect(row_of(panel, best)).to_have_count(0)
        expect(row_of(other, best)).to_have_count(0)
        assert len(annotations.list_trash(folder)) == 2
        page.reload()
        panel = shown(page)
        expect(panel.get_by_text("9,998 runs · 3,998 rows shown")).to_be_visible()
        panel.get_by_role("button", name="Show trash").click()
        expect(panel.get_by_role("grid")).to_have_attribute("aria-rowcount", "3")
        boxes = panel.locator("tbody input[type=checkbox]")
        expect(boxes).to_have_count(2)
        for box in boxes.all():
            box.check()
        panel.get_by_role("button", name="Restore").click()
        expect(panel.get_by_role("status")).to_have_text("2 runs restored.")
        panel.get_by_role("button", name="Show trash").click()
        expect(row_of(panel, best)).to_contain_text("my best")
        assert annotations.list_trash(folder) == []
        assert lab.complaints == []


def test_running_runs_are_followed_and_a_dead_one_shows_its_log(jupyter, tmp_path):
    folder = tmp_path / "runs"
    make_runs(folder, 20)
    run = run_folder(folder, "lora(r=2)", 3, steps=9)
    write(run, status("running", 0), train(1, 5.0))
    run.files.log.write_text(f"{exit_status.BEGIN}\nMemoryError: no room\n")
    lock = queue.hold(run.files.lock)
    assert lock is not None
    with open_lab(jupyter, notebook_of(tmp_path)) as lab:
        page, panel = lab.page, opened(lab)
        expect(row_of(panel, run.id)).to_contain_text("running 1/9")
        write(run, train(2, 4.9))
        expect(row_of(panel, run.id)).to_contain_text("running 2/9")
        os.close(lock)  # its worker dies
        expect(row_of(panel, run.id)).to_contain_text("dead")
        row_of(panel, run.id).get_by_role("button", name="log of").click()
        expect(panel.get_by_text("MemoryError: no room").last).to_be_visible()
        expect(panel.get_by_text(str(run.files.log))).to_be_visible()
        for theme in ("JupyterLab Dark", "JupyterLab Light"):
            lab.menu("Settings", "Theme", theme)
            expect(page.locator("body")).to_have_attribute("data-jp-theme-name", theme)
            assert violations(page, ".qtha-runs-table") == []
        assert unnamed(page, ".qtha-runs-table") == []
        row_of(panel, run.id).click()
        page.keyboard.press("p")
        wait_until(lambda: read_annotations(run.files).pinned)
        page.keyboard.press("Delete")
        expect(row_of(panel, run.id)).to_have_count(0)
        assert annotations.list_trash(folder) == [run.id]
        assert lab.complaints == []


# How many rows were drawn each time the page had another table, beside how many that table has.
DRAWN = """() => {
    const table = document.querySelector('.qtha-grid');
    globalThis.drawn = [];
    new MutationObserver(() => drawn.push([
        table.querySelectorAll('tbody tr[data-index]').length, table.getAttribute('aria-rowcount') - 1,
    ])).observe(table, { attributeFilter: ['data-version'] });
}"""


def test_a_short_table_is_drawn_whole_at_once_and_what_it_shows_is_saved(jupyter, tmp_path):
    make_runs(tmp_path / "runs", 10)
    with open_lab(jupyter, notebook_of(tmp_path)) as lab:
        page, panel = lab.page, opened(lab)
        page.evaluate(DRAWN)
        for heading, count in (("eval_loss", 1), ("learning_rate", 2)):
            panel.get_by_role("button", name=heading).click()
            page.wait_for_function("count => drawn.length >= count", arg=count)
        assert [pair for pair in page.evaluate("() => drawn") if pair != [10, 10]] == []
        panel.get_by_role("button", name="Save table").click()
        with page.expect_download() as download:
            panel.get_by_role("link", name="Download runs.csv").click()
        assert len(Path(download.value.path()).read_text().splitlines()) == 11
        assert lab.complaints == []


WORKBENCH = """from widgets import Workbench
Workbench()"""


def test_ticked_runs_of_several_launches_are_watched_together(jupyter, tmp_path):
    folder, made = tmp_path / "runs", []
    for name, method, steps in (("first", "lora(r=2)", 3), ("second", "qtha(r=4)", 5)):
        run = run_folder(folder, method, name=name, steps=steps)
        losses = [train(step, 5.0 - step / 10) for step in range(1, steps + 1)]
        measured = {"kind": "eval", "step": steps, "loss": 4.5}
        write(run, status("running", 0), *losses, measured, status("finished", steps))
        numbers = {"trainable_parameters": 7680, "learning_rate": 0.003, "eval_loss": 4.5}
        write_json(run.files.summary, {"state": "finished", "steps": steps, **numbers})
        made.append(run.id)
    with open_lab(jupyter, notebook_of(tmp_path, WORKBENCH)) as lab:
        page = lab.page
        lab.run_cell("Workbench()")
        bench = page.locator(".qtha-workbench").last
        table = bench.locator(".qtha-runs-table")
        later, earlier = ("first", "second") if max(made) == made[0] else ("second", "first")
        latest = row_of(table, later).get_by_role("checkbox")
        expect(latest).to_be_checked()  # what was launched last is shown
        expect(bench.locator(".qtha-run")).to_have_count(1)
        row_of(table, earlier).get_by_role("checkbox").check()
        expect(bench.locator(".qtha-run")).to_have_count(2)
        bench.get_by_role("tab", name="Compare").click()
        expect(bench.locator(".qtha-verdict:visible")).to_contain_text("are not compared")
        bench.get_by_role("tab", name="Watch").click()
        expect(bench.locator(".qtha-plot [aria-live=polite]").last).to_contain_text("lora")
        latest.uncheck()
        expect(bench.locator(".qtha-run")).to_have_count(1)
        assert lab.complaints == []
