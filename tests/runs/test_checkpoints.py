"""A damaged checkpoint is named and the older one taken; losses are the same, or the run says why it cannot go on."""

import json
import os
import shutil
import signal

import pytest
import torch
from safetensors.torch import load_file, save_file
from support.waiting import PATIENCE, wait_until

from qtha_lab.experiment import Experiment
from qtha_lab.experiment.run_directory import RunDir, checkpoints, queue
from qtha_lab.experiment.run_directory.events import EventLog, history, read_events
from qtha_lab.runs.launch import launch
from qtha_lab.runs.run import Run
from qtha_lab.training.finetune import fine_tune
from qtha_lab.training.resume import find_start, newest_complete

TRAINING = {
    "steps": 9, "batch_size": 2, "max_length": 24, "train_rows": 14, "eval_rows": 4, "test_rows": 8, "eval_every": 3,
    "checkpoint_every": 3, "generate_rows": 0, "spectrum_every": 0, "threads": 1,
}  # fmt: skip
EXPERIMENT = Experiment(method="lora(r=2,learning_rate=0.01)", training=TRAINING, seed=5)
ADAPTER = "adapter_model.safetensors"
FILES = [
    "README.md", "adapter_config.json", ADAPTER, "optimizer.pt", "rng_state.pth", "scheduler.pt",
    "trainer_state.json", "training_args.bin", "complete",
]  # fmt: skip
LOADED = [ADAPTER, "optimizer.pt", "rng_state.pth", "scheduler.pt", "trainer_state.json"]

pytestmark = pytest.mark.slow


def work(files, until=10**9):
    """Work on a run in this process, to the end or until the step after the one told; told as a worker does."""
    log = EventLog(files.events)
    try:
        outcome = fine_tune(files, log, lambda: Run(files.path).status().step >= until, 1)
    finally:
        log.close()
    log = EventLog(files.events)
    log.append("status", state=outcome.state, step=outcome.step, message=outcome.message)
    log.close()
    return outcome


def measured(files):
    """Everything a run measured, without the clock."""
    measurements = [
        e for e in history(read_events(files.events)[0]) if e["kind"] in ("train", "eval")
    ]
    return sorted(
        (
            {k: v for k, v in e.items() if k not in ("t", "seconds", "memory_mib")}
            for e in measurements
        ),
        key=lambda event: (event["step"], event["kind"]),
    )


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    """Return the measurements of an undisturbed run."""
    files = RunDir.create(EXPERIMENT, tmp_path_factory.mktemp("straight"))
    assert work(files).state == "finished"
    return measured(files)


@pytest.fixture(scope="module")
def halfway(tmp_path_factory):
    """The run stopped at step 8, with whole checkpoints of steps 6 and 8."""
    files = RunDir.create(EXPERIMENT, tmp_path_factory.mktemp("stopped"))
    assert work(files, until=7).state == "stopped"
    assert list(checkpoints.by_step(files.checkpoints)) == [8, 6]
    return files


@pytest.fixture
def stopped(halfway, tmp_path):
    """A copy of that run, to be damaged."""
    path = tmp_path / "runs" / halfway.path.name
    shutil.copytree(halfway.path, path)
    return RunDir(path)


def newest(files):
    return checkpoints.place(files.checkpoints, 8)


def start(files):
    log = EventLog(files.events)
    try:
        return find_start(files, log)
    finally:
        log.close()


def flip_a_bit(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


DAMAGES = {
    "missing": lambda path: path.unlink(),
    "empty": lambda path: path.write_bytes(b""),
    "cut": lambda path: os.truncate(path, path.stat().st_size // 2),
    "flipped": flip_a_bit,
    "foreign": lambda path: path.write_bytes(b"a photograph"),
    "folder": lambda path: (path.unlink(), path.mkdir()),
}


def test_every_file_of_a_checkpoint_is_in_its_manifest(halfway):
    folder = newest(halfway)
    listed = json.loads((folder / "complete").read_text())["files"]
    assert sorted([*listed, "complete"]) == sorted(p.name for p in folder.iterdir())
    assert sorted(FILES) == sorted([*listed, "complete"])


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", FILES)
def test_a_damaged_checkpoint_is_named_and_the_older_one_taken(stopped, name, damage):
    DAMAGES[damage](newest(stopped) / name)
    begin = start(stopped)
    if (name, damage) == ("complete", "empty"):  # as version 0.2.0 left it
        assert (begin.step, "no checksums" in begin.note) == (8, True)
        return
    assert (begin.step, begin.checkpoint.name) == (6, "checkpoint-6")
    assert begin.note.startswith("checkpoint 8 is damaged (")
    assert name in begin.note or (name, damage) == ("complete", "flipped")  # then any file differs
    assert begin.note.endswith("), going on from 6")
    assert (stopped.checkpoints / "aside-1-checkpoint-8").is_dir()
    assert start(stopped).note == ""  # told once, in the life that it changed


@pytest.mark.parametrize("damage", ["missing", "empty", "cut", "foreign", "folder"])
@pytest.mark.parametrize("name", LOADED)
def test_a_checkpoint_without_checksums_is_verified_by_reading_it(stopped, name, damage):
    (newest(stopped) / "complete").write_bytes(b"")
    DAMAGES[damage](newest(stopped) / name)
    begin = start(stopped)
    assert begin.step == 6
    assert name in begin.note


def lose_a_tensor(folder):
    tensors = load_file(folder / ADAPTER)
    tensors.pop(sorted(tensors)[0])
    save_file(tensors, folder / ADAPTER)


def claim_another_step(folder):
    state = json.loads((folder / "trainer_state.json").read_text())
    (folder / "trainer_state.json").write_text(json.dumps(state | {"global_step": 4}))


def take_another_schedule(folder):
    schedule = torch.load(folder / "scheduler.pt", weights_only=True)
    torch.save(schedule | {"last_epoch": 3}, folder / "scheduler.pt")


def put_in_a_nan(folder):
    tensors = load_file(folder / ADAPTER)
    tensors[sorted(tensors)[0]][0] = float("nan")
    save_file(tensors, folder / ADAPTER)


@pytest.mark.parametrize("with_manifest", [True, False])
@pytest.mark.parametrize(
    "damage", [lose_a_tensor, claim_another_step, take_another_schedule, put_in_a_nan]
)
def test_files_that_can_be_read_and_do_not_belong_together_are_found(
    stopped, damage, with_manifest
):
    damage(newest(stopped))
    if not with_manifest:
        (newest(stopped) / "complete").write_bytes(b"")
    begin = start(stopped)
    assert begin.step == 6
    assert begin.note.startswith("checkpoint 8 is damaged (")


def test_a_checkpoint_written_with_a_nan_in_it_is_no_good_one(stopped):
    put_in_a_nan(newest(stopped))
    checkpoints.write_manifest(newest(stopped))
    path, step, damaged = newest_complete(stopped.checkpoints)
    assert (path.name, step) == ("checkpoint-6", 6)
    assert damaged == {8: f"{ADAPTER}: holds numbers that are not finite"}


def test_a_file_that_training_would_load_instead_is_no_part_of_a_checkpoint(stopped):
    shutil.copy(newest(stopped) / ADAPTER, newest(stopped) / "model.safetensors")
    assert "model.safetensors: no part of it" in start(stopped).note


def test_a_lost_checkpoint_is_missed(stopped):
    shutil.rmtree(newest(stopped))
    assert start(stopped).note == "checkpoint 8 is damaged (it is missing), going on from 6"


def test_other_names_files_and_links_among_the_checkpoints_are_left_or_put_aside(stopped):
    (stopped.checkpoints / "checkpoint-abc").mkdir()
    (stopped.checkpoints / "checkpoint-9").write_text("a file")
    (stopped.checkpoints / "checkpoint-10").symlink_to(newest(stopped))
    assert start(stopped).step == 8
    names = {path.name for path in stopped.checkpoints.iterdir()}
    assert names == {
        "checkpoint-abc", "checkpoint-6", "checkpoint-8", "aside-1-checkpoint-9", "aside-1-checkpoint-10",
    }  # fmt: skip


def test_what_a_kill_left_half_written_is_removed_without_a_word(stopped):
    shutil.copytree(newest(stopped), checkpoints.place(stopped.checkpoints, 9))
    (checkpoints.place(stopped.checkpoints, 9) / "complete").unlink()
    assert start(stopped).note == ""
    assert not checkpoints.place(stopped.checkpoints, 9).exists()


def test_where_no_checkpoint_is_whole_the_run_says_so_and_loses_nothing(stopped):
    before = {}
    for step, folder in checkpoints.by_step(stopped.checkpoints).items():
        (folder / "optimizer.pt").unlink()
        before[step] = sorted(folder.iterdir())
    with pytest.raises(ValueError, match="No checkpoint of this run is whole") as refused:
        start(stopped)
    assert "checkpoint 8 is damaged (optimizer.pt: missing)" in str(refused.value)
    assert "checkpoint 6 is damaged (optimizer.pt: missing)" in str(refused.value)
    assert f"`qtha-lab resume {stopped.path.name} --anew`" in str(refused.value)
    folders = checkpoints.by_step(stopped.checkpoints)
    assert {step: sorted(folder.iterdir()) for step, folder in folders.items()} == before


def test_going_on_from_the_older_one_gives_the_same_losses_and_tells_to_the_end(stopped, straight):
    (newest(stopped) / "scheduler.pt").unlink()
    outcome = work(stopped)
    assert outcome.state == "finished"
    assert outcome.message == ("checkpoint 8 is damaged (scheduler.pt: missing), going on from 6")
    states = [e for e in read_events(stopped.events)[0] if e["kind"] == "status"]
    running = [e["message"] for e in states if e["state"] == "running"]
    assert outcome.message in running
    assert measured(stopped) == straight
    assert list(checkpoints.by_step(stopped.checkpoints)) == [9, 6]


# ---- with real workers ----


def wait_for(condition, run):
    return wait_until(condition, lambda: f"{run.status()}\n{run.log_tail()}")


def test_a_killed_run_whose_checkpoints_are_damaged_begins_again_only_if_asked(straight):
    run = launch(EXPERIMENT)
    wait_for(lambda: run.status().step >= 4, run)
    os.killpg(queue.holder(run.files.lock), signal.SIGKILL)
    assert run.wait(PATIENCE).state == "dead"
    for folder in checkpoints.by_step(run.files.checkpoints).values():
        flip_a_bit(folder / "optimizer.pt")
    run.resume()
    status = run.wait(PATIENCE)
    assert status.state == "failed"
    assert "(optimizer.pt: not as it was written)" in status.message
    assert "weights_only" not in status.message
    run.resume(anew=True)
    status = run.wait(PATIENCE)
    assert (status.state, status.message) == ("finished", "begun again at step 0 on request")
    assert measured(run.files) == straight
    assert any(p.name.startswith("aside-1-") for p in run.files.checkpoints.iterdir())


def test_a_run_whose_directory_is_deleted_ends_and_makes_no_other(tmp_path):
    run = launch(EXPERIMENT.replace(training=TRAINING | {"steps": 5000}))
    wait_for(lambda: run.status().step >= 2, run)
    pid = queue.holder(run.files.lock)
    trash = tmp_path / "trash"
    run.path.rename(trash)  # as a file manager deletes
    wait_for(lambda: not queue.is_locked(trash / "worker.lock"), Run(trash))
    wait_for(lambda: not os.path.exists(f"/proc/{pid}"), Run(trash))
    assert not run.path.exists()
    status = Run(trash).status()
    assert status.state == "failed"
    assert (
        "must stay in place during the run, got a file that was moved or deleted" in status.message
    )
