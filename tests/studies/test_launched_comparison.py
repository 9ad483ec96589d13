"""A comparison in stages is launched, killed, resumed and found again.

Its runs stand among the others.
"""

import asyncio
import os
import signal

import pytest
from support.refusals import refused
from support.waiting import PATIENCE, wait_until

from qtha_lab import Comparison, launch, list_runs
from qtha_lab.core.errors import Refusal
from qtha_lab.experiment.run_directory import queue
from qtha_lab.studies import comparison
from qtha_lab.studies.comparison import ComparisonStudy
from widgets.workbench.study_watch import ComparisonWatch

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
TUNED = Comparison(
    methods="lora(r=2)",
    seeds=[0],
    tuning={"axes": {"learning_rate": [0.001, 0.01]}, "seeds": [7]},
    rounding=5,
    training=TRAINING,
)


def test_what_cannot_run_is_refused_before_anything_is_made(tmp_path):
    wrong = TUNED.replace(methods="lora(r=2,target_modules=[nowhere])")
    with pytest.raises(Refusal):
        launch(wrong, tmp_path)
    assert list(tmp_path.iterdir()) == []
    with refused("The comparison", "'mine'"):
        comparison.ComparisonStudy.find("mine")


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """A comparison whose driver was killed among the trials, beside a run of somebody else."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("QTHA_LAB_RUNS", str(tmp_path_factory.mktemp("driven") / "runs"))
        patch.setenv("QTHA_LAB_SLOTS", "1")
        stranger = launch(TUNED.experiments()[0])
        scheduled = launch(TUNED)
        wait_until(lambda: any(view.records() for view in scheduled.trials()), scheduled.why)
        os.kill(queue.holder(scheduled.lock), signal.SIGKILL)
        wait_until(lambda: not scheduled.at_work)
        stranger.wait()
        yield scheduled, stranger


@pytest.mark.slow
def test_a_panel_finds_it_dead_and_resumes_it_and_its_runs_stand_among_the_others(
    killed, monkeypatch
):
    scheduled, stranger = killed
    monkeypatch.setenv("QTHA_LAB_RUNS", str(scheduled.runs_dir))
    monkeypatch.setenv("QTHA_LAB_SLOTS", "1")
    assert scheduled.state == "dead"

    async def settled(panel):
        while tasks := list(panel.background.tasks.values()):
            await asyncio.gather(*tasks, return_exceptions=True)

    async def work():
        panel = ComparisonWatch()
        await settled(panel)
        state, may_resume = panel.state.value, not panel.resume.disabled
        panel.resume.click()
        await settled(panel)
        return panel, state, may_resume

    panel, state, may_resume = asyncio.run(asyncio.wait_for(work(), PATIENCE))
    assert panel.comparison == scheduled.path.name
    assert state.startswith("dead · ")
    assert may_resume
    assert (
        "finished · 2 of 2 trials · 1 of 1 runs · 5 of 5 rounding repeats" in panel.state.value
    ), scheduled.why()
    assert panel.resume.disabled
    (run,) = list(scheduled)
    assert panel.runs == (run.id,)
    assert run.experiment.name == scheduled.path.name
    # nobody else's run of the same experiment was taken for its own
    assert {run.id, stranger.id} == {r.id for r in list_runs()}
    (view,) = scheduled.trials()
    assert run.experiment.method.learning_rate == view.best()["lora(r=2)"].point["learning_rate"]
    assert scheduled.page.is_file()
    assert str(scheduled.page) in panel.findings.value
    assert scheduled.summary()["expected"] == 1
    assert list(scheduled.table()["method"]) == [run.experiment.method.label]
    assert "finished" in panel._repr_mimebundle_()["text/plain"]
    with pytest.raises(Refusal, match="must be stopped or failed, got finished"):
        scheduled.resume()


@pytest.mark.slow
def test_it_stops_softly_and_goes_on(monkeypatch):
    monkeypatch.setenv("QTHA_LAB_SLOTS", "1")
    moved = TUNED.replace(tuning=None, training={**TRAINING, "steps": 20, "eval_every": 20})
    scheduled = launch(moved)
    wait_until(lambda: list(scheduled) and next(iter(scheduled)).status().step > 0, scheduled.why)
    scheduled.stop()
    assert scheduled.state == "stopped", scheduled.why()
    assert next(iter(scheduled)).status().state == "stopped"
    again = ComparisonStudy(scheduled.path).resume().wait()
    assert again.state == "finished", again.why()
    assert [stage[1:] for stage in again.stages()] == [(1, 1), (5, 5)]
    assert len(again) == 1
