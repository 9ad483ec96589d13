"""The panel of a sweep finds it again, says how it stands, and stops and resumes it."""

import asyncio
import os
import signal

import pytest
from support.waiting import PATIENCE, wait_until

from qtha_lab import launch, list_runs, load_run
from qtha_lab.experiment import Sweep
from qtha_lab.experiment.run_directory import queue
from qtha_lab.experiment.run_directory.annotations import delete
from qtha_lab.studies.sweep import SweepStudy
from widgets.kit import boxes
from widgets.workbench.sweep_watch import SweepWatch
from widgets.workbench.workbench import Workbench

TRAINING = {
    "steps": 3,
    "batch_size": 2,
    "max_length": 48,
    "train_rows": 20,
    "eval_rows": 6,
    "test_rows": 8,
    "eval_every": 3,
    "checkpoint_every": 1,
    "spectrum_every": 0,
    "generate_rows": 0,
    "threads": 1,
}
RATES = Sweep(methods="lora(r=2)", axes={"learning_rate": [0.001, 0.01]}, training=TRAINING)


def in_a_kernel(work):
    return asyncio.run(asyncio.wait_for(work(), PATIENCE))


async def settled(panel):
    while tasks := list(panel.background.tasks.values()):
        await asyncio.gather(*tasks, return_exceptions=True)


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """A sweep whose driver was killed when its first trial had ended."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("QTHA_LAB_RUNS", str(tmp_path_factory.mktemp("sweep") / "runs"))
        patch.setenv("QTHA_LAB_SLOTS", "1")
        trials = launch(RATES)
        wait_until(lambda: any(record.state == "complete" for record in trials.records()))
        os.kill(queue.holder(trials.lock), signal.SIGKILL)
        wait_until(lambda: not queue.is_locked(trials.lock))
        yield trials


@pytest.fixture
def killed(swept, monkeypatch):
    """Return the recorded sweep in the runs folder of the test."""
    monkeypatch.setenv("QTHA_LAB_RUNS", str(swept.runs_dir))
    monkeypatch.setenv("QTHA_LAB_SLOTS", "1")
    return swept


@pytest.mark.slow
def test_a_new_panel_finds_a_sweep_whose_driver_died_and_resumes_it_and_nothing_is_repeated(killed):
    before = killed.records()

    async def work():
        panel = SweepWatch()
        await settled(panel)
        state, may_resume = panel.state.value, not panel.resume.disabled
        panel.resume.click()
        await settled(panel)
        return panel, state, may_resume

    panel, state, may_resume = in_a_kernel(work)
    assert panel.sweep == killed.path.name
    assert state.startswith("dead · ")
    assert "Resume continues without repeating a trial" in state
    assert may_resume
    assert "finished · 2 of 2 trials begun · 2 complete" in panel.state.value
    assert all(record in killed.records() for record in before if record.state == "complete")
    assert set(panel.runs) == {run.id for run in list_runs(killed.runs_dir)}
    assert len(panel.runs) == 2
    best = killed.best()["lora(r=2)"]
    assert f"{best.value:.4g}" in panel.best.value
    assert "2 of 2" in panel.best.value
    assert panel.resume.disabled
    still = panel.still()
    assert "finished · 2 of 2 trials begun" in still["text/plain"]
    assert f"{best.value:.4g}" in still["text/html"]


@pytest.mark.slow
def test_a_grid_that_is_tried_out_is_not_extended_and_the_panel_says_so(killed):
    killed.wait()

    async def work():
        panel = SweepWatch()
        await settled(panel)
        panel.extend.click()
        await settled(panel)
        return panel.error.text

    assert in_a_kernel(work).startswith("The grid has no points left.")


@pytest.mark.slow
def test_the_best_is_confirmed_with_fresh_seeds_from_the_panel_and_the_workbench_watches_the_runs(
    killed,
):
    if killed.state == "dead":
        killed.resume()
    killed.wait()
    best = killed.best()["lora(r=2)"]

    async def work():
        bench = Workbench()
        panel = bench.sweep
        while panel.sure.disabled:
            await asyncio.sleep(0.05)
        panel.seeds.value = 2
        panel.sure.click()
        while not panel.confirming and not panel.error.text:
            await asyncio.sleep(0.05)
        watched, sentence = [run.id for run in bench.watch.runs], panel.launched.value
        bench.background.stop()
        return panel.error.text, list(panel.confirming), watched, sentence

    error, confirming, watched, sentence = in_a_kernel(work)
    assert error == ""
    assert watched == confirming
    runs = [run.wait(PATIENCE) and run for run in map(load_run, confirming)]
    assert [run.experiment.seed for run in runs] == [1, 2]
    assert {run.experiment.method.learning_rate for run in runs} == {best.point["learning_rate"]}
    assert {run.experiment.name for run in runs} == {f"best of {killed.path.name}"}
    assert "seeds 1, 2" in sentence
    for run in runs:  # other tests count the runs of the sweep
        delete(run.files)


@pytest.mark.slow
def test_a_new_workbench_starts_with_the_sweep_launched_last_and_lists_its_runs_with_no_comparison(
    killed,
):
    async def work():
        bench = Workbench()
        described, shown = bench.setup.description(), bench.sweep.sweep
        bench.background.stop()
        return described, shown, bench.watch.runs

    described, shown, watched = in_a_kernel(work)
    assert described == RATES
    assert shown == killed.path.name
    assert list(watched) == []


def test_without_a_sweep_the_panel_takes_no_room_and_one_that_is_gone_is_said():
    async def work():
        panel = SweepWatch()
        hidden = not boxes.is_shown(panel)
        panel.sweep = "nothing"
        return hidden, panel.error.text

    hidden, text = in_a_kernel(work)
    assert hidden
    assert text.startswith("The sweep must be in ")
    assert "got 'nothing'" in text
    assert SweepStudy.list_all() == []
