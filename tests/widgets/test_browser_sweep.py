"""A sweep in a real JupyterLab.

Typed, launched, its driver killed, resumed from the panel, found again everywhere.
"""

import os
import re
import signal
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import expect
from support.jupyter_browser import open_lab
from support.waiting import wait_until
from support.workbench_page import button, enter, ready, unfold, unnamed, violations

from qtha_lab import list_runs
from qtha_lab.experiment.run_directory import queue
from qtha_lab.studies.sweep import SweepStudy, TrialRecord

pytestmark = [pytest.mark.browser, pytest.mark.slow]
CELL = """from qtha_lab import Comparison
from widgets import Workbench

Workbench(Comparison(methods="lora(r=2),qtha(r=2,waist=8,n_layers=1,bond_dim=2)", training={
    "batch_size": 2, "max_length": 48, "train_rows": 20, "eval_rows": 6, "test_rows": 8, "checkpoint_every": 1,
    "spectrum_every": 0, "generate_rows": 0, "threads": 1}))"""


@pytest.fixture
def notebook(tmp_path) -> Path:
    path = tmp_path / "sweep.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CELL)]), path)
    return path


def kill_in_the_middle(trials: SweepStudy) -> list[TrialRecord]:
    """End the driver and its runs once a trial has ended; what had ended by then."""
    wait_until(lambda: any(r.state == "complete" for r in trials.records()))
    os.kill(queue.holder(trials.lock), signal.SIGKILL)
    for run in trials.open_runs():
        if (pid := queue.holder(run.files.lock)) is not None:
            os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not queue.is_locked(trials.lock))
    return [record for record in trials.records() if record.state == "complete"]


def test_a_sweep_typed_into_fields_is_killed_resumed_from_its_panel_and_repeats_nothing(
    jupyter, notebook, tmp_path, monkeypatch
):
    monkeypatch.setenv("QTHA_LAB_RUNS", str(tmp_path / "runs"))
    with open_lab(jupyter, notebook, QTHA_LAB_SLOTS="1") as lab:
        page = lab.page
        lab.run_cell("Workbench(")
        bench = page.locator(".qtha-workbench").first
        ready(bench)
        unfold(bench, "Training", "lora")
        enter(bench, "steps", "4")
        enter(bench, "learning rate", "0.001, 0.003, 0.01")
        sweep_fold = bench.get_by_role("button", name="Sweep of lora.learning_rate", exact=True)
        expect(sweep_fold).to_have_class(re.compile("mod-active"))
        bench.get_by_role("button", name="Sweep learning_rate in every method alike").click()
        expect(
            bench.get_by_text("every method has 3 trials, each with 1 seed: 6 runs")
        ).to_be_visible()
        expect(bench.get_by_text("ten minutes hold")).to_be_visible()
        assert violations(page, ".qtha-workbench") == unnamed(page, ".qtha-workbench") == []
        page.screenshot(path=tmp_path / "typed.png")

        button(bench, "Launch sweep").dblclick()
        panel = bench.locator(".qtha-sweep")
        expect(panel).to_contain_text("of 6 trials begun")
        (folder,) = SweepStudy.list_all()
        trials = SweepStudy.find(folder.path)
        complete = kill_in_the_middle(trials)
        expect(panel).to_contain_text("dead · ")
        page.screenshot(path=tmp_path / "dead.png")

        lab.save()
        tab = lab.second_tab()
        expect(tab.locator(".qtha-sweep")).to_contain_text("dead · ")
        tab.close()
        lab.restart_kernel()
        lab.run_cell("Workbench(")
        panel = page.locator(".qtha-sweep").last
        expect(panel).to_contain_text("dead · ")
        panel.get_by_role("button", name="Resume sweep").click()
        expect(panel).to_contain_text("finished · 6 of 6 trials begun · 6 complete")
        expect(panel.locator(".qtha-table").first).to_contain_text("3 of 3")
        expect(panel.locator(".qtha-figure > p").first).to_contain_text("is best at these")
        page.screenshot(path=tmp_path / "finished.png")
        assert violations(page, ".qtha-sweep") == unnamed(page, ".qtha-sweep") == []
        panel.get_by_role("button", name="Views of its runs").click()
        expect(page.locator(".qtha-views select").first).to_be_in_viewport()

        # brushed by an expression, pinned in the table, and the best confirmed with a fresh seed
        views = page.locator(".qtha-views").last
        views.locator("select").first.select_option(label="Parallel coordinates")
        views.get_by_label("brush where", exact=True).fill("method = lora")
        page.keyboard.press("Enter")
        expect(views.get_by_role("button", name="Clear brush (3 runs)")).to_be_visible()
        page.get_by_role("tab", name="Watch", exact=True).last.click()
        fresh = panel.get_by_label("fresh seeds", exact=True)
        fresh.fill("1")
        fresh.press("Tab")
        body = page.locator(".qtha-body").last
        before = body.evaluate("e => e.offsetTop")
        panel.get_by_role("button", name="Confirm the best").click()
        expect(panel).to_contain_text("each with seeds 1.")
        bench = page.locator(".qtha-workbench").first
        expect(bench.locator(".qtha-banner", has_text="Launched 2 runs")).to_be_visible()
        assert body.evaluate("e => e.offsetTop") == before  # news move nothing
        for row in (0, 1):
            expect(bench.locator(".qtha-state").nth(row)).to_contain_text("finished")
        first = bench.locator(".qtha-grid tbody tr[data-index='1']")  # below the group's heading
        first.locator(".qtha-pin").click()
        expect(first.locator(".qtha-pin")).to_have_attribute("aria-pressed", "true")
        page.screenshot(path=tmp_path / "confirmed.png")

    records = trials.records()
    assert complete
    assert all(record in records for record in complete)
    assert [record.state for record in records] == ["complete"] * 6
    named = [name for record in records for name in record.runs]
    confirming = [
        r for r in list_runs(folder.runs_dir) if r.experiment.name == f"best of {folder.path.name}"
    ]
    best = {label: record.point["learning_rate"] for label, record in trials.best().items()}
    assert sorted(r.experiment.method.learning_rate for r in confirming) == sorted(best.values())
    assert [r.experiment.seed for r in confirming] == [1, 1]
    assert len(named) == len(set(named)) == 6 == len(list_runs(folder.runs_dir)) - 2
