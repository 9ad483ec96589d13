"""One run that several processes train: the losses of one, whoever is asked, stopped or killed."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from support.refusals import refused
from support.waiting import PATIENCE, wait_until

from qtha_lab.experiment import Experiment, Training
from qtha_lab.experiment.run_directory import RunDir, checkpoints, queue
from qtha_lab.runs.launch import launch
from qtha_lab.runs.run import Run
from qtha_lab.training.processes import ProcessGroup

# 20 rows in batches of 6: each pass through them ends with a batch of 2, for 3 processes one too
# few
TRAINING = {
    "steps": 9,
    "batch_size": 6,
    "max_length": 48,
    "train_rows": 20,
    "eval_rows": 6,
    "test_rows": 6,
    "eval_every": 3,
    "checkpoint_every": 3,
    "generate_rows": 2,
    "max_new_tokens": 4,
    "spectrum_every": 3,
    "threads": 1,
}
ROUNDING = 5e-5  # of losses near 4.5 after nine steps; measured: below 1e-6
LONG = TRAINING | {"steps": 100_000, "generate_rows": 0}


def torchrun(run, processes):
    command = ["torch.distributed.run", "--standalone", "--nproc_per_node", str(processes)]
    command = [sys.executable, "-m", *command, "-m", "qtha_lab.runs.worker", str(run.path)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def finished(experiment, folder, processes=1):
    if processes == 1:
        run = launch(experiment, folder)
    else:
        run = Run(RunDir.create(experiment, folder).path)
        ended = torchrun(run, processes)
        output = ended.communicate(timeout=PATIENCE)[0]
        assert ended.returncode == 0, output
    status = run.wait(PATIENCE)
    assert status.state == "finished", f"{status}\n{run.log_tail(60)}"
    return run


def measured(run):
    kinds = ("train", "eval", "test", "general")
    return {(e["kind"], e["step"]): e["loss"] for e in run.valid_events() if e["kind"] in kinds}


def tokens(run):
    return [e["tokens"] for e in run.valid_events() if e["kind"] == "train"]


def test_every_row_of_a_batch_is_one_processs_share():
    batch = {"input_ids": torch.arange(14).reshape(7, 2), "labels": torch.arange(7)}
    shares = [ProcessGroup(rank, 3).share(batch) for rank in range(3)]
    assert sorted(row for share in shares for row in share["labels"].tolist()) == [*range(7)]
    for share in shares:
        assert (share["input_ids"][:, 0] == 2 * share["labels"]).all()


def test_a_process_without_a_row_has_no_label():
    batch = {"input_ids": torch.ones(1, 4), "labels": torch.tensor([[1, 2, 3, 4]])}
    assert ProcessGroup(1, 2).share(batch)["labels"].eq(-100).all()


@pytest.mark.parametrize(
    ("training", "setting"),
    [
        ({"batch_size": 2}, "Processes of torchrun"),
        ({"patience": 2}, "Processes of torchrun"),
        ({"objective": "reinforce"}, "Processes of torchrun"),
        ({"phases": "all(steps=100)"}, "Processes of torchrun"),
    ],
)
def test_a_training_that_processes_cannot_share_is_refused(training, setting, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "3")
    with refused(setting, "3"):
        ProcessGroup.join(Training(**training))


def test_a_description_of_version_0_3_with_processes_is_read():
    experiment = Experiment.from_yaml("model: tiny\ntraining:\n  processes: 2\n  steps: 7\n")
    assert experiment == Experiment(steps=7)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "processes"), [("lora(r=2)", 2), ("qtha(r=3,waist=8,bond_dim=2,n_layers=2)", 3)]
)
def test_several_processes_give_the_losses_of_one(method, processes, tmp_path):
    experiment = Experiment(method=method, training=TRAINING)
    one, several = finished(experiment, tmp_path), finished(experiment, tmp_path, processes)
    alone, together = measured(one), measured(several)
    assert alone.keys() == together.keys()
    assert max(abs(alone[key] - together[key]) for key in alone) < ROUNDING
    if processes == 2:  # a process without a row counts the one that it has in its place
        assert tokens(one) == tokens(several)
    kinds = [{e["kind"] for e in run.valid_events()} for run in (one, several)]
    assert kinds[0] == kinds[1]
    assert several.summary["test_loss"] == pytest.approx(one.summary["test_loss"], abs=ROUNDING)


@pytest.mark.slow
def test_classes_are_trained_by_two_processes_as_by_one(tmp_path):
    training = TRAINING | {"gradient_accumulation": 2}
    experiment = Experiment(task="supersense", method="lora(r=2)", training=training)
    one, two = (measured(finished(experiment, tmp_path, processes)) for processes in (1, 2))
    assert max(abs(one[key] - two[key]) for key in one) < ROUNDING


@pytest.mark.slow
def test_a_run_of_two_processes_is_stopped_and_resumed_as_one(tmp_path):
    run = Run(RunDir.create(Experiment(method="lora(r=2)", training=LONG), tmp_path).path)
    launched = torchrun(run, 2)
    wait_until(lambda: run.status().step >= 4 or launched.poll() is not None, run.log_tail)
    assert run.stop().state == "stopped"
    launched.communicate(timeout=PATIENCE)
    assert launched.returncode != 0  # torchrun ends what waits for the worker
    reached = run.status().step
    folder = checkpoints.place(run.files.checkpoints, reached)
    states = {path.name for path in folder.glob("rng_state*")}
    assert states == {"rng_state_0.pth", "rng_state_1.pth"}
    launched = torchrun(run, 2)
    wait_until(lambda: run.status().step > reached + 3 or launched.poll() is not None)
    steps = [e["step"] for e in run.valid_events() if e["kind"] == "train"]
    assert steps == [*range(1, len(steps) + 1)]
    os.kill(queue.holder(run.files.lock), signal.SIGKILL)  # torchrun ends the other process
    launched.communicate(timeout=PATIENCE)
    assert launched.returncode != 0
    assert run.status().state == "dead"


@pytest.mark.slow
@pytest.mark.parametrize("method", ["lora(r=2)", "qtha(r=3,waist=8,bond_dim=2,n_layers=2)"])
def test_fully_sharded_parameters_give_the_losses_of_whole_ones(method):
    """FSDP2 on two CPU processes: every parameter is cut in two, base and adapter alike."""
    program = Path(__file__).parents[1] / "support" / "sharded_training.py"
    command = ["torch.distributed.run", "--standalone", "--nproc_per_node", "2", program, method]
    ended = subprocess.run([sys.executable, "-m", *command], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr[-3000:]
