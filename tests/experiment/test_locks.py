"""Locks of run directories: a run that is deleted while it is resumed leaves no ghost behind."""

import os
import subprocess
import sys

import psutil
import pytest
from support.run_folders import run_folder, status, write
from support.waiting import wait_until

from qtha_lab.core import locks
from qtha_lab.experiment.run_directory import queue as slots
from qtha_lab.experiment.run_directory import trash

RESUME = """
import logging, sys
from pathlib import Path
from qtha_lab.runs import run as runs
from qtha_lab.core.errors import Refusal

class Pause(logging.Handler):
    def emit(self, record):
        if record.getMessage().startswith("resuming"):  # between the check and the lock
            Path(sys.argv[2]).write_text("here")
            Path(sys.argv[3]).read_text()

logging.getLogger("qtha_lab.runs.run").addHandler(Pause())
logging.getLogger("qtha_lab.runs.run").setLevel(logging.INFO)
try:
    runs.Run(Path(sys.argv[1])).resume()
except Refusal as refused:
    print(refused)
"""


@pytest.fixture
def resuming(tmp_path):
    """A process that stands between the check of `resume` and its lock; `go` lets it continue."""
    run = run_folder(tmp_path / "runs")
    write(run, status("running", 3), status("stopped", 3))
    reached, go = tmp_path / "reached", tmp_path / "go"
    os.mkfifo(reached)
    os.mkfifo(go)
    command = [sys.executable, "-c", RESUME, str(run.path), str(reached), str(go)]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=os.environ | {"QTHA_LAB_WARM_SECONDS": "0"}
    )
    assert reached.read_text() == "here"
    yield run, process, lambda: go.write_text("go")
    process.kill()
    process.wait()


def refused(process) -> str:
    output, _ = process.communicate()
    assert process.returncode == 0
    return output


def test_a_run_that_is_deleted_between_check_and_lock_leaves_no_ghost_directory(resuming):
    run, process, go = resuming
    trash.delete(run.files)
    go()
    assert "must be in its folder, got none. Restore it from the trash." in refused(process)
    assert not run.path.exists()
    trash.restore(run.id, run.path.parent)
    assert run.status().state == "stopped"


def test_a_run_that_is_deleted_while_its_lock_is_waited_for_leaves_no_ghost_directory(resuming):
    run, process, go = resuming
    lock = slots.hold(run.files.lock)  # as `delete` holds it while it moves the run
    go()
    child = psutil.Process(process.pid)
    wait_until(lambda: any(f.path == str(run.files.lock) for f in child.open_files()))
    run.path.rename(run.path.with_name("moved"))
    os.close(lock)
    assert "must be in its folder, got none" in refused(process)
    assert not run.path.exists()
    assert (run.path.with_name("moved") / "events.jsonl").read_bytes().count(b"queued") == 0


def test_a_lock_creates_no_folder_and_follows_no_link(tmp_path):
    with pytest.raises(FileNotFoundError):
        locks.hold(tmp_path / "gone" / "lock")
    assert not (tmp_path / "gone").exists()
    (tmp_path / "lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic links"):
        locks.hold(tmp_path / "lock")
    assert not (tmp_path / "elsewhere").exists()
