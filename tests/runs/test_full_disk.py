"""A full disk ends a run with one sentence, and the run goes on once there is room again."""

import errno
import os
import shutil
import subprocess
import sys

import pytest
from safetensors import SafetensorError

from qtha_lab.experiment import Comparison, Experiment, Sweep
from qtha_lab.experiment.run_directory import RunDir, disk
from qtha_lab.experiment.run_directory.events import EventLog, read_events
from qtha_lab.runs.launch import launch
from qtha_lab.runs.run import Run
from qtha_lab.studies.comparison import ComparisonStudy
from qtha_lab.studies.sweep import SweepStudy

TRAINING = {
    "steps": 6, "batch_size": 2, "max_length": 48, "train_rows": 12, "eval_rows": 4, "test_rows": 4, "eval_every": 3,
    "checkpoint_every": 2, "spectrum_every": 0, "generate_rows": 0, "threads": 1,
}  # fmt: skip


@pytest.fixture
def small_disk(tmp_path, monkeypatch):
    """A disk of its own, of 160 KiB."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("only root can mount a disk")
    folder = tmp_path / "disk"
    folder.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=160k", "tmpfs", str(folder)])
    if made.returncode:
        pytest.skip("no disk can be mounted here")
    monkeypatch.setenv("QTHA_LAB_RUNS", str(folder))
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder):
    """Leave no free byte."""
    with (folder / "filler").open("ab", buffering=0) as file:
        for size in (4096, 1):
            with pytest.raises(OSError, match="No space left"):
                _write_for_ever(lambda size=size: file.write(bytes(size)))


def _write_for_ever(write):
    while True:
        write()


def resized(folder, size):
    subprocess.run(["mount", "-o", f"remount,size={size}", str(folder)], check=True)


@pytest.mark.slow
def test_a_checkpoint_that_does_not_fit_fails_a_run_in_one_sentence_and_it_resumes(small_disk):
    run = launch(Experiment(method="lora(r=8)", training=TRAINING), check=False)
    status = run.wait(timeout=240)
    assert status.state == "failed", run.log_tail()
    assert status.message.startswith(("The disk of", "The disk of")), status.message
    assert "then resume the run" in status.message
    assert len(status.message) <= 300
    resized(small_disk, "64m")
    run.resume()
    assert run.wait(timeout=240).state == "finished", run.log_tail()


def test_a_disk_without_a_free_byte_ends_a_worker_in_one_sentence(small_disk):
    files = RunDir.create(Experiment(method="lora(r=2)", training=TRAINING), small_disk)
    EventLog(files.events).append("status", state="queued", step=0, message="")
    fill(small_disk)
    worker = subprocess.run(
        [sys.executable, "-m", "qtha_lab.runs.worker", str(files.path)],
        capture_output=True,
        text=True,
    )
    assert worker.returncode == 1
    assert "Traceback" not in worker.stdout + worker.stderr
    assert worker.stdout.startswith("The disk of")
    status = Run(files.path).status()
    assert status.state == "dead"
    assert "must have 0.0 MiB free, got 0.0 MiB." in status.message
    assert len(status.message) <= 300


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.EDQUOT, "Disk quota exceeded"),
        SafetensorError("Error while serializing: I/O error: Disk quota exceeded (os error 122)"),
        SafetensorError(
            "Error while serializing: I/O error: No space left on device (os error 28)"
        ),
        RuntimeError(
            "[enforce fail at inline_container.cc:664] . unexpected pos 64 vs 0; file write failed"
        ),
    ],
)
def test_a_used_up_quota_is_known_in_the_words_of_every_library(error):
    assert disk.is_full(error)
    wrapped = ValueError("saving failed")
    wrapped.__cause__ = error
    assert disk.is_full(wrapped)
    assert not disk.is_full(OSError(errno.EACCES, "Permission denied"))
    assert not disk.is_full(RuntimeError("shape mismatch (os error 2)"))


def test_a_line_that_a_full_disk_cut_spoils_no_later_line(small_disk):
    events = EventLog(small_disk / "events.jsonl")
    events.append("note", step=0, message="before")
    fill(small_disk)
    with pytest.raises(OSError, match="No space left"):
        _write_for_ever(lambda: events.append("note", step=0, message="x" * 100))
    (small_disk / "filler").unlink()
    events.append("note", step=0, message="after")
    events.close()
    kinds = [event["kind"] for event in read_events(small_disk / "events.jsonl")[0]]
    assert kinds[0] == kinds[-1] == "note"
    assert kinds.count("broken") <= 1


@pytest.mark.parametrize("kind", ["sweep", "comparison"])
def test_a_full_disk_ends_a_scheduler_with_one_sentence(small_disk, kind):
    place, tuning = small_disk / "out", {"axes": {"learning_rate": [0.01]}}
    if kind == "sweep":
        SweepStudy.create(Sweep(methods="lora(r=2)", training=TRAINING, **tuning), place)
    else:
        ComparisonStudy.create(
            Comparison(methods="lora(r=2)", training=TRAINING, tuning=tuning), place
        )
    fill(small_disk)
    done = subprocess.run(
        [sys.executable, "-m", "qtha_lab.studies.scheduler", str(place)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "fault of qtha-lab" not in done.stderr
    last = done.stderr.strip().splitlines()[-1]
    assert f"The disk of {place} must have space" in last, done.stderr
