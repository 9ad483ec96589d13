"""Next steps of the page: they add to the ticked comparison, keep its form, and say what changed."""

import nbformat
import pytest
from playwright.sync_api import expect
from support.jupyter_browser import open_lab
from support.run_folders import finish, run_folder, status, two_steps, write
from support.workbench_kernel import in_a_kernel, settled
from support.workbench_page import ready

from qtha_lab.experiment import MethodChoice
from qtha_lab.runs.run import list_runs

CELL = "from qtha_lab.widgets import Workbench\nWorkbench()"
WHOLE = "qtha(r=2,waist=8,bond_dim=2)"
CONTROL = "qtha(r=2,waist=8,bond_dim=2,use_circuit=false)"
NAME = "workbench 2026-12-01 10:00:00"
TRAINING = {
    "steps": 2, "batch_size": 2, "max_length": 48, "train_rows": 20, "eval_rows": 6, "test_rows": 8,
    "eval_every": 2, "spectrum_every": 0, "generate_rows": 0, "threads": 1,
}  # fmt: skip


def launched(folder, seeds=3):
    """Write the runs of one launch: LoRA first, then QTHA without its control."""
    for seed in range(seeds):
        for place, method in enumerate(("lora(r=2)", WHOLE)):
            run = run_folder(folder, method, seed, NAME, **TRAINING)
            two_steps(run)
            write(run, {"kind": "eval", "step": 2, "loss": 4.1 + place / 10})
            loss = 4.1 + place / 10 + seed / 100
            sizes = {"trainable_parameters": 7680, "options": MethodChoice.parse(method).options}
            finish(run, eval_loss=loss, test_loss=loss, train_loss=loss, **sizes)


def step_of(bench, words):
    """Return the next step whose label contains words."""
    return next(s for s in bench.verdict.explained.next_steps if words in s.label)


@pytest.mark.slow
def test_the_control_joins_the_ticked_comparison_whose_form_stays(tmp_path):
    launched(tmp_path / "runs")

    async def work(bench):
        await bench.watch.follow()
        ticked, form = bench.panes.ticked, bench.setup.comparison()
        bench.launch_step(step_of(bench, "add the control"))
        await settled(bench)
        return ticked, form, bench.panes.ticked, bench.setup.comparison(), bench.verdict

    before, form, after, form_after, verdict = in_a_kernel(work)
    assert len(before) == 6
    assert set(before) < set(after)
    assert len(after) == 9
    assert form_after == form
    pairs = {(first, second) for first, second, _ in verdict.explained.verdicts}
    assert pairs == {(WHOLE, "lora(r=2)"), (CONTROL, "lora(r=2)"), (WHOLE, CONTROL)}
    assert "After “add the control (no circuit)" in verdict.sentences.value
    assert {run.experiment.name for run in list_runs()} == {NAME}

    async def again(bench):
        return bench.setup.comparison(), bench.panes.ticked

    whole, ticked = in_a_kernel(again)  # the same cell, run again
    assert [method.label for method in whole.methods] == ["lora(r=2)", WHOLE, CONTROL]
    assert set(ticked) == set(after)


@pytest.mark.slow
def test_a_stopped_run_is_resumed_by_a_click(tmp_path):
    launched(tmp_path / "runs", seeds=1)
    run = run_folder(tmp_path / "runs", WHOLE, 1, NAME, **TRAINING)
    two_steps(run)
    write(run, status("stopped", 1))

    async def work(bench):
        await bench.watch.follow()
        first = bench.verdict.sentence
        bench.verdict.steps.children[0].click()
        await settled(bench)
        return first, bench.verdict.sentence

    first, then = in_a_kernel(work)
    assert first == "1 of 2 runs of qtha was stopped (seed 1)."
    assert run.status().state == "finished"
    assert then.startswith("lora is lower than qtha by")


@pytest.mark.browser
@pytest.mark.slow
def test_a_click_on_the_page_adds_the_control_and_the_verdict_says_what_changed(jupyter, tmp_path):
    launched(tmp_path / "runs")
    path = tmp_path / "page.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CELL)]), path)
    with open_lab(jupyter, path, size=(1400, 900)) as lab:
        lab.run_cell("Workbench(")
        bench = lab.page.locator(".qtha-workbench").first
        ready(bench)
        cards = bench.locator(".qtha-methods > .qtha-column > .qtha-fold")
        expect(cards).to_have_count(2)
        bench.get_by_role("tab", name="Compare", exact=True).click()
        verdict = bench.locator(".qtha-verdict:visible")
        expect(verdict).to_contain_text("lora is lower than qtha by 0.100 nat")
        bench.locator(".qtha-steps button:visible", has_text="add the control").click()
        expect(bench.locator(".qtha-run")).to_have_count(9)
        bench.get_by_role("tab", name="Compare", exact=True).click()
        expect(verdict).to_contain_text("After “add the control (no circuit)")
        expect(verdict).to_contain_text("(new)")
        expect(verdict).not_to_contain_text("nothing is compared")
        expect(cards).to_have_count(2)
        expect(bench.locator(".qtha-group-row")).to_have_count(1)
        assert lab.complaints == []
