"""Real scheduler processes and workers: what is forked trains as a process of its own."""

import json
import os
import signal
import subprocess
import sys
import textwrap

import psutil
import pytest
from support.waiting import PATIENCE, wait_until

from qtha_lab.cli.diagnosis import examine
from qtha_lab.experiment import Experiment, Sweep
from qtha_lab.experiment.run_directory import RunDir, queue
from qtha_lab.runs.launch import launch, launch_all
from qtha_lab.runs.process_start import fork_hindrance
from qtha_lab.runs.run import Run
from qtha_lab.runs.worker import NICENESS
from qtha_lab.runs.worker import main as work
from qtha_lab.studies.sweep import SweepStudy

TRAINING = {
    "steps": 3,
    "batch_size": 2,
    "max_length": 24,
    "train_rows": 12,
    "eval_rows": 4,
    "test_rows": 8,
    "generate_rows": 1,
    "max_new_tokens": 3,
    "threads": 1,
}
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(fork_hindrance()), reason="nothing is forked on this machine"),
]


def launched(count=1, **changes):
    experiment = Experiment(method="lora(r=2)", training=TRAINING | changes)
    return launch_all([experiment] * count, check=False)


def finished(run):
    status = run.wait(PATIENCE)
    assert status.state == "finished", f"{status}\n{run.log_tail()}"
    return run


def worker_of(run):
    """The process of a run's worker, once it has signed the lock."""
    return psutil.Process(wait_until(lambda: queue.holder(run.files.lock)))


def scheduler_of(run):
    return worker_of(run).parent()


def losses(run):
    return [(e["kind"], e["step"], e["loss"]) for e in run.valid_events() if "loss" in e]


def test_runs_of_a_launch_share_a_scheduler_and_train_as_a_process_of_its_own(tmp_path):
    first, second = launched(2)
    assert scheduler_of(first) == scheduler_of(second)
    alone = RunDir.create(first.experiment, tmp_path)
    assert work([str(alone.path)]) == 0
    assert losses(finished(first)) == losses(finished(second)) == losses(Run(alone.path))
    assert len(losses(first)) > 3
    assert json.loads(first.files.environment.read_text())["start"] == "warm"


def test_a_scheduler_ends_with_its_last_worker_and_records_each_exit():
    every = launched(2)
    scheduler = scheduler_of(every[0])
    for run in every:
        finished(run)
    wait_until(lambda: not scheduler.is_running() or scheduler.status() == psutil.STATUS_ZOMBIE)
    for run in every:
        end = json.loads((run.path / "exit.json").read_text())
        assert end["code"] == 0
        assert not run.alive


def test_a_worker_has_the_variables_and_the_folder_of_its_launch(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lookout.py").write_text(
        "import os\nfrom pathlib import Path\n"
        "Path('seen.txt').write_text(os.environ['SEEN_BY_THE_WORKER'] + ' ' + os.getcwd())\n"
    )
    monkeypatch.setenv("SEEN_BY_THE_WORKER", "blau ü")
    experiment = Experiment(method="lora(r=2)", training=TRAINING, plugins=["lookout.py"])
    finished(launch(experiment, check=False))
    assert (tmp_path / "seen.txt").read_text() == f"blau ü {tmp_path}"


def test_the_signal_that_ended_a_worker_is_named():
    (run,) = launched(steps=500)
    worker_of(run).send_signal(signal.SIGKILL)
    status = run.wait(PATIENCE)
    assert (status.state, status.message) == (
        "dead",
        "killed by the system (SIGKILL): out of memory?",
    )


def test_workers_of_a_killed_scheduler_finish():
    every = launched(2, steps=20)
    scheduler = {scheduler_of(run).pid for run in every}
    os.kill(scheduler.pop(), signal.SIGKILL)
    for run in every:
        finished(run)


def test_a_worker_holds_only_the_lock_of_its_own_run():
    first, second = launched(2, steps=500)
    held = [file.path for file in worker_of(first).open_files()]
    worker_of(second)
    assert not [path for path in held if path.startswith(str(second.path))]
    worker_of(second).kill()
    assert second.wait(PATIENCE).state == "dead"
    second.resume()
    for run in (first, second):
        run.stop(PATIENCE)


def test_a_stopped_run_is_resumed_by_a_worker_of_another_scheduler():
    (run,) = launched(steps=200, checkpoint_every=2)
    wait_until(lambda: run.status().step >= 3)
    first = scheduler_of(run)
    assert run.stop(PATIENCE).state == "stopped"
    run.resume()
    assert scheduler_of(run) != first
    run.stop(PATIENCE)


def test_a_training_comes_after_the_page_that_watches_it():
    (run,) = launched(steps=500)
    wait_until(lambda: worker_of(run).nice() >= NICENESS)
    run.stop(PATIENCE)


def test_the_scheduler_of_a_sweep_forks_its_trials(tmp_path):
    rates = {"learning_rate": [0.001, 0.01]}
    trials = SweepStudy.begin(
        Sweep(methods="lora(r=2)", axes=rates, training=TRAINING), tmp_path / "a"
    )
    assert trials.wait(PATIENCE).state == "finished"
    environments = (tmp_path / "a" / "runs").glob("*/environment.json")
    assert [json.loads(file.read_text())["start"] for file in environments] == ["warm", "warm"]


def test_the_doctor_states_how_runs_start():
    (found,) = (finding for finding in examine() if finding.name == "starts")
    assert (found.level, found.message) == (
        "ok",
        "the scheduler process of a launch forks its runs",
    )


def test_a_worker_can_import_datasets_after_its_libraries():
    lines = """
        import sys
        from qtha_lab.runs.process_start import load_libraries
        load_libraries(["transformers.trainer"])
        assert "datasets" not in sys.modules
        import datasets
        from transformers.trainer import Trainer
        assert datasets.Dataset and Trainer
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(lines)], check=True)
