"""Several users share a folder of runs, and foreign files in its queue stop nobody."""

import json
import os
import shutil
import socket
import tempfile
from pathlib import Path

import pytest
from support.trained_runs import finished

from qtha_lab.core import locks, processes
from qtha_lab.core.io import append_shared, make_folder, open_shared
from qtha_lab.experiment import Experiment
from qtha_lab.experiment.run_directory import RunDir
from qtha_lab.experiment.run_directory.events import EventLog
from qtha_lab.experiment.run_directory.queue import (
    Queue,
    computing,
    queue_places,
    release,
    shared_folder,
    take,
)

GROUP, FIRST, SECOND = 54_321, 54_322, 54_323
STRAY = [
    ".nfs000000000000001", ".DS_Store", "Thumbs.db", "x", "12-run", "-", "²-run",
    "99999999999999999999999-run", f"{'9' * 200}-run",
]  # fmt: skip


def queue_and_train(runs):
    """Queue, take a slot and memory and make a run, as a worker does."""
    folder = shared_folder(runs, runs)
    held = Queue(folder).wait_in_line(
        "run", lambda: take([(queue_places(folder), 1)]), lambda: False
    )
    memory = Queue(folder / processes.FOLDER).wait_in_line(
        "run", lambda: processes.reserve(folder, 10), lambda: False
    )
    run = RunDir.create(Experiment(method="lora"), runs)
    EventLog(run.events).append("status", state="running", step=0, message="")
    reservations = processes.reservations(folder)
    return [
        str(folder),
        len(held or ()),
        memory is not None,
        len(reservations),
        computing(folder),
    ]


def as_user(user, work, *arguments, umask=0o022):
    """Call a function in a child process of another user; what it returns, or its error as text."""
    read, write = os.pipe()
    if child := os.fork():
        os.close(write)
        with os.fdopen(read) as answer:
            text = answer.read()
        os.waitpid(child, 0)
        return json.loads(text)
    try:
        os.umask(umask)
        os.setgroups([])
        os.setgid(GROUP)
        os.setuid(user)
        result = work(*arguments)
    except BaseException as error:
        result = repr(error)
    os.write(write, json.dumps(result).encode())
    os._exit(0)


@pytest.fixture
def shared(tmp_path, monkeypatch):
    """A folder that a group may write to, of the first of two users."""
    if os.geteuid() != 0:
        pytest.skip("only root can act as two users")
    top = Path(tempfile.mkdtemp(prefix="shared"))
    top.chmod(0o755)
    (top / "cache").mkdir()
    (top / "cache").chmod(0o777)
    monkeypatch.setenv("QTHA_LAB_SLOTS", "2")
    monkeypatch.setenv("QTHA_LAB_CACHE", str(top / "cache"))
    queue_and_train(tmp_path / "warm-up")  # other users cannot read what is imported later
    folder = top / "runs"
    folder.mkdir()
    os.chown(folder, FIRST, GROUP)
    folder.chmod(0o2775)
    yield folder
    shutil.rmtree(top)


@pytest.mark.parametrize("mode", [0o2775, 0o775])
@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_a_second_user_of_a_group_writable_folder_queues_in_it_with_the_first(shared, umask, mode):
    shared.chmod(mode)
    for user in (FIRST, SECOND, FIRST):
        outcome = as_user(user, queue_and_train, shared, umask=umask)
        assert outcome == [str(shared / ".slots"), 1, True, 1, 1]
    for path in (shared / ".slots").rglob("*"):
        assert path.stat().st_mode & 0o060 == 0o060, path
        assert path.stat().st_gid == GROUP, path
    runs = list(shared.glob("2*"))
    assert len(runs) == 3
    for path in (path for run in runs for path in (run, *run.rglob("*"))):
        assert path.stat().st_mode & 0o060 == 0o060, path


@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_every_file_of_a_finished_run_has_the_permissions_of_the_folder(tmp_path, umask):
    """Also those that torch, PEFT and transformers write."""
    tmp_path.chmod(0o2775)
    training = {
        "steps": 2, "batch_size": 1, "max_length": 32, "train_rows": 4, "eval_rows": 2,
        "test_rows": 2, "eval_every": 1, "checkpoint_every": 1, "threads": 1,
    }  # fmt: skip
    before = os.umask(umask)
    try:
        run = finished(Experiment(method="lora(r=2)", training=training), tmp_path)
        append_shared(run.log).close()
    finally:
        os.umask(before)
    paths = [run.path, *run.path.rglob("*")]
    assert {path.name for path in paths} >= {"optimizer.pt", "adapter_model.safetensors"}
    assert [path for path in paths if path.stat().st_mode & 0o060 != 0o060] == []


def test_a_second_user_trains_beside_files_that_the_first_alone_may_write(shared):
    (shared / ".slots" / "queue").mkdir(parents=True)
    (shared / ".slots" / "0").write_text("1 host\n")
    for path in (shared / ".slots", *(shared / ".slots").rglob("*")):
        os.chown(path, FIRST, GROUP)
        path.chmod(0o755 if path.is_dir() else 0o644)
    assert as_user(SECOND, queue_and_train, shared)[1:] == [1, True, 1, 1]
    # the next run of the first user gives the folder the permissions of the folder around it
    for user in (FIRST, SECOND):
        assert as_user(user, queue_and_train, shared)[0] == str(shared / ".slots")


@pytest.mark.parametrize("mode", [0o755, 0o700, 0o1777])
def test_in_a_folder_that_is_not_shared_no_other_user_may_write(tmp_path, mode):
    tmp_path.chmod(mode)
    made = tmp_path / "runs"
    before = os.umask(0o077)
    try:
        make_folder(made)
        os.close(open_shared(made / "file", os.O_RDWR))
    finally:
        os.umask(before)
    for path in (made, made / "file"):
        assert path.stat().st_mode & 0o027 == 0


@pytest.mark.parametrize("name", STRAY)
def test_a_stray_file_in_the_queue_stops_no_run(tmp_path, name):
    (tmp_path / "queue").mkdir()
    (tmp_path / "queue" / name).write_text("")
    (tmp_path / "queue" / "00000000000000000001-folder").mkdir()
    os.mkfifo(tmp_path / "queue" / "00000000000000000002-fifo")
    queue = Queue(tmp_path)
    tickets = [queue.ticket(f"run{number}") for number in range(2)]
    served = [
        queue.wait(path, lambda: "taken", iter([False, True]).__next__) for path, _ in tickets
    ]
    assert served == ["taken", None]
    release(dict(tickets))


@pytest.mark.parametrize(
    "content", ["", "{}", "null", "[1]", '{"pid": "x", "needs": "y"}', "\x00" * 9, "[" * 900]
)
def test_foreign_names_and_contents_in_the_folder_of_memory_refuse_nothing(tmp_path, content):
    host = socket.gethostname()
    names = [
        f"{host}-x",
        f"{host}-",
        f"{host}--3",
        f"{host}-{'9' * 30}",
        ".DS_Store",
        "queue",
        f"{host}-²",
    ]
    memory = tmp_path / processes.FOLDER
    memory.mkdir()
    for name in names:
        (memory / name).write_text(content)
    held = locks.hold(memory / f"{host}-{os.getpid()}")
    (memory / f"{host}-{os.getpid()}").write_text(content)
    assert processes.reservations(tmp_path) == []
    assert held is not None
    os.close(held)
    assert {name for name in names if not (memory / name).exists()} == set()


def test_a_stale_reservation_in_a_folder_that_cannot_be_written_to_is_ignored(tmp_path):
    memory = tmp_path / processes.FOLDER
    memory.mkdir()
    stale = memory / f"{socket.gethostname()}-999999999"
    stale.write_text(
        json.dumps({"pid": 999_999_999, "host": socket.gethostname(), "needs": 1, "resident": 1})
    )
    memory.chmod(0o555)
    processes.reservations(tmp_path / "nothing")
    if os.geteuid() == 0:
        top = tmp_path.rename(tempfile.mkdtemp(prefix="stale"))
        top.chmod(0o755)
        assert as_user(SECOND, processes.reservations, top) == []
        stale = top / stale.relative_to(tmp_path)
    else:
        assert processes.reservations(tmp_path) == []
    assert stale.exists()
