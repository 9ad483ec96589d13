"""A shared folder that vanishes and returns: one sentence while it is away, and nothing lost."""

import threading

import pytest
from support.run_folders import run_folder, status, train, write
from support.waiting import wait_until

from qtha_lab.experiment import Experiment
from qtha_lab.experiment.run_directory import disk
from qtha_lab.runs.launch import launch
from qtha_lab.runs.run import Run
from qtha_lab.studies.work import wait_for


def test_a_run_that_is_out_of_sight_is_away_and_not_ended(tmp_path):
    run = run_folder(tmp_path / "share" / "runs")
    write(run, status("running", 0), train(1, 4.5))
    assert run.status().state == "dead"
    (tmp_path / "share").rename(tmp_path / "elsewhere")
    seen = run.status()
    assert (seen.state, seen.step, seen.ended) == ("away", 1, False)
    assert seen.message == f"the folder {tmp_path}/share/runs is away"
    (tmp_path / "elsewhere").rename(tmp_path / "share")
    assert run.status().state == "dead"


def test_a_run_that_was_deleted_is_not_waited_for(tmp_path):
    run = run_folder(tmp_path / "runs")
    run.path.rename(tmp_path / "bin")
    assert not disk.wait_until_reachable(run.files)


def test_a_folder_that_does_not_come_back_is_given_up(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(disk, "PATIENCE_SECONDS", 0.3)
    run = run_folder(tmp_path / "share" / "runs")
    (tmp_path / "share").rename(tmp_path / "elsewhere")
    assert not disk.wait_until_reachable(run.files)
    assert capsys.readouterr().err.count("\n") == 1


def test_a_study_waits_for_its_folder_and_says_so_once(tmp_path, caplog):
    out = tmp_path / "share" / "out"
    out.mkdir(parents=True)
    (tmp_path / "share").rename(tmp_path / "elsewhere")
    back = threading.Timer(1.0, (tmp_path / "elsewhere").rename, [tmp_path / "share"])
    back.start()
    wait_for(out)
    back.join()
    assert out.is_dir()
    assert len([r for r in caplog.records if "goes on when it is back" in r.getMessage()]) == 1


@pytest.mark.slow
def test_a_worker_whose_folder_goes_away_goes_on_when_it_is_back(tmp_path):
    training = {
        "steps": 100_000, "batch_size": 2, "max_length": 32, "train_rows": 40, "eval_rows": 4, "test_rows": 4,
        "eval_every": 1000, "checkpoint_every": 3, "generate_rows": 0, "threads": 1,
    }  # fmt: skip
    run = launch(Experiment(method="lora(r=2)", training=training), tmp_path / "share" / "runs")
    wait_until(lambda: run.status().step >= 4 or run.status().ended, run.log_tail)
    reached = run.status().step
    (tmp_path / "share").rename(tmp_path / "elsewhere")
    there = Run(tmp_path / "elsewhere" / "runs" / run.id)
    assert run.status().state == "away"
    wait_until(lambda: "is away: waiting for it" in there.log_tail())
    (tmp_path / "elsewhere").rename(tmp_path / "share")
    wait_until(lambda: run.status().step > reached + 4 or run.status().ended, run.log_tail)
    assert run.stop().state == "stopped"
    steps = [e["step"] for e in run.valid_events() if e["kind"] == "train"]
    assert steps == [*range(1, len(steps) + 1)]
    notes = [e["message"] for e in run.valid_events() if e["kind"] == "note"]
    assert len(notes) == 1
    assert notes[0].startswith("the folder of runs was away for ")
    assert run.log_tail(10_000).count("is away: waiting for it") == 1
