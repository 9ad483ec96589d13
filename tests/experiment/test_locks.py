"""Locks of run directories: a run that is deleted while it is resumed leaves no ghost behind."""

import errno
import os
import subprocess
import sys

import psutil
import pytest
from support.refusals import refused
from support.run_folders import run_folder, status, write
from support.waiting import wait_until

from qtha_lab.core import locks
from qtha_lab.experiment.run_directory import annotations, queue

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
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert reached.read_text() == "here"
    yield run, process, lambda: go.write_text("go")
    process.kill()
    process.wait()


def refusal_of(process) -> str:
    output, _ = process.communicate()
    assert process.returncode == 0
    return output


def test_a_run_that_is_deleted_between_check_and_lock_leaves_no_ghost_directory(resuming):
    run, process, go = resuming
    annotations.delete(run.files)
    go()
    assert "is not in its folder. Restore it from the trash." in refusal_of(process)
    assert not run.path.exists()
    annotations.restore(run.id, run.path.parent)
    assert run.status().state == "stopped"


def test_a_run_that_is_deleted_while_its_lock_is_waited_for_leaves_no_ghost_directory(resuming):
    run, process, go = resuming
    lock = queue.hold(run.files.lock)  # as `delete` holds it while it moves the run
    go()
    child = psutil.Process(process.pid)
    wait_until(lambda: any(f.path == str(run.files.lock) for f in child.open_files()))
    run.path.rename(run.path.with_name("moved"))
    os.close(lock)
    assert "is not in its folder" in refusal_of(process)
    assert not run.path.exists()
    assert (run.path.with_name("moved") / "events.jsonl").read_bytes().count(b"queued") == 0


def test_a_lock_creates_no_folder_and_follows_no_link(tmp_path):
    with pytest.raises(FileNotFoundError):
        locks.hold(tmp_path / "gone" / "lock")
    assert not (tmp_path / "gone").exists()
    (tmp_path / "lock").symlink_to(tmp_path / "elsewhere")
    with refused("lock", "a link, a folder or a device"):
        locks.hold(tmp_path / "lock")
    assert not locks.is_locked(tmp_path / "lock")
    assert not (tmp_path / "elsewhere").exists()


WITHOUT_FLOCK = """
import ctypes, platform, struct, sys
number = {"x86_64": 73, "aarch64": 32}[platform.machine()]
# if the number of the call is that of flock, it fails with this error; else it is allowed
code = [(0x20, 0, 0, 0), (0x15, 0, 1, number), (0x06, 0, 0, 0x50000 | int(sys.argv[1])), (0x06, 0, 0, 0x7FFF0000)]
program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in code))
class Filter(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("code", ctypes.c_void_p)]
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0  # PR_SET_NO_NEW_PRIVS
if libc.prctl(22, 2, ctypes.byref(Filter(4, ctypes.addressof(program))), 0, 0):  # PR_SET_SECCOMP
    sys.exit("no filter")
from pathlib import Path
from qtha_lab.cli.diagnosis import _runs
from qtha_lab.core import locks
from qtha_lab.core.errors import Refusal
lock = Path(sys.argv[2]) / "worker.lock"
try:
    locks.hold(lock)
except Refusal as refused:
    print(refused)
print(locks.is_locked(lock), _runs().level, _runs().message)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="a filter of system calls")
@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP], ids=["ENOLCK", "EOPNOTSUPP"])
@pytest.mark.parametrize("variable", ["QTHA_LAB_RUNS", "QTHA_LAB_CACHE"])
def test_a_file_system_without_locks_is_one_sentence_with_folder_and_variable(
    tmp_path, number, variable
):
    """The kernel refuses `flock` to a process, as a file system without it does."""
    (tmp_path / "runs").mkdir()
    folder = tmp_path / "runs"
    if variable == "QTHA_LAB_CACHE":
        folder = tmp_path / "cache"
        folder.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_FLOCK, str(number), str(folder)],
        env=os.environ | {"QTHA_LAB_RUNS": str(tmp_path / "runs"), variable: str(folder)},
        capture_output=True,
        text=True,
    )
    if "no filter" in done.stderr:
        pytest.skip("this kernel filters no system calls")
    assert done.returncode == 0, done.stderr
    sentence, doctor = done.stdout.splitlines()
    assert len(sentence) <= 300
    assert f"{folder.name} must support file locks, got the error" in sentence
    assert os.strerror(number).lower() in sentence
    assert f"Set {variable} to a folder" in sentence
    assert doctor.startswith("False problem The file system of ")
