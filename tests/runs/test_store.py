"""Run directories in a store: whatever is cut off, a whole run lies there; views here follow; a worker that is lost is replaced."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from typing import ClassVar

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from support.refusals import refused
from support.run_folders import run_folder, status, train, write
from support.waiting import wait_until

from qtha_lab.core.errors import Refusal
from qtha_lab.experiment import Comparison
from qtha_lab.experiment.run_directory import RunDir, checkpoints, queue
from qtha_lab.experiment.run_directory.events import history, read_events
from qtha_lab.runs.remote import mirror, remote_backend_named
from qtha_lab.runs.remote.follow import Following
from qtha_lab.runs.remote.send import Waiting
from qtha_lab.runs.remote.store import Store
from qtha_lab.runs.run import Run, launch

SMALL = {
    "steps": 60, "checkpoint_every": 5, "eval_every": 60, "eval_rows": 8, "test_rows": 8, "generate_rows": 0,
    "train_rows": 40, "batch_size": 2, "max_length": 32, "threads": 1,
}  # fmt: skip


@pytest.fixture(params=["memory", "file", "dir"])
def store(request, tmp_path):
    """A store in this process's memory, and two on the disk under addresses of other kinds."""
    url = {
        "memory": f"memory://{tmp_path.name}",
        "file": f"file://{tmp_path}/store",
        "dir": f"dir::file://{tmp_path}/store",
    }
    return Store(url[request.param])


def checkpoint(run, step):
    """A checkpoint as a worker leaves one: files, manifest, event, two are kept."""
    folder = checkpoints.place(run.files.checkpoints, step)
    folder.mkdir()
    for name in ("adapter_model.safetensors", "optimizer.pt"):
        (folder / name).write_bytes(os.urandom(1000))
    checkpoints.write_manifest(folder)
    write(run, {"kind": "checkpoint", "step": step})
    checkpoints.keep_newest(run.files.checkpoints)


def whole_steps(folder):
    """Steps of the checkpoints in a folder; each must be as its manifest says."""
    assert [checkpoints.damage(path) for path in checkpoints.by_step(folder).values()] == [
        None
    ] * len(checkpoints.by_step(folder))
    return list(checkpoints.by_step(folder))


def test_a_run_comes_back_from_a_store_as_it_was_put_there(store, tmp_path):
    run = run_folder(tmp_path / "here")
    write(run, status("running", 0), train(1, 4.5))
    checkpoint(run, 1)
    run.files.adapter.mkdir()
    (run.files.adapter / "adapter_model.safetensors").write_bytes(b"numbers")
    run.files.stop.touch()
    store.run(run.id).push(run.files)
    there = RunDir(tmp_path / "there" / run.id)
    assert store.run(run.id).pull(there)
    assert there.events.read_bytes() == run.files.events.read_bytes()
    assert there.experiment == run.experiment
    assert (there.adapter / "adapter_model.safetensors").read_bytes() == b"numbers"
    assert whole_steps(there.checkpoints) == [1]
    assert not there.stop.exists()
    assert not store.run("another").pull(RunDir(tmp_path / "there" / "another"))


def test_only_the_newest_checkpoints_that_events_announce_are_in_a_store(store, tmp_path):
    run = run_folder(tmp_path / "here")
    stored = store.run(run.id)
    for step in (1, 2, 3):
        write(run, train(step, 4.0))
        checkpoint(run, step)
        stored.push(run.files)
    there = RunDir(tmp_path / "there" / run.id)
    store.run(run.id).pull(there)
    assert whole_steps(there.checkpoints) == [3, 2]
    # begun again: what was saved before counts no longer
    for path in checkpoints.by_step(run.files.checkpoints).values():
        checkpoints.set_aside(path)
    write(run, {"kind": "checkpoint", "step": 0})
    stored.push(run.files)
    again = RunDir(tmp_path / "again" / run.id)
    store.run(run.id).pull(again)
    assert whole_steps(again.checkpoints) == []


HOSTILE = [
    "/../../escaped",
    "/../escaped",
    "/{outside}/escaped",
    "/adapter/../../../escaped",
    "/checkpoints/checkpoint-1/../../../escaped",
    "/.bashrc",
    "/adapter/.hidden",
    "/sitecustomize.py",
    "/worker.py",
    "/adapter",
    "/adapter/a\\..\\b",
    "/summary.json/x",
    "/adapter/line\nbreak",
]


class Hostile(MemoryFileSystem):
    """A store in memory whose keys are any text, as those of an object store are."""

    protocol = "hostile"
    keys: ClassVar[list[str]] = []

    def find(self, path, **_):
        return [*super().find(path), *(f"{path}{key}" for key in self.keys)]

    def cat_file(self, path, *rest, **kept):
        return (
            b"attack" if path.endswith(tuple(self.keys)) else super().cat_file(path, *rest, **kept)
        )


@pytest.fixture
def hostile(tmp_path):
    """A store that holds a run, and whatever keys a test adds."""
    fsspec.register_implementation("hostile", Hostile, clobber=True)
    run = run_folder(tmp_path / "here")
    write(run, status("running", 0), train(1, 4.5))
    checkpoint(run, 1)
    store = Store(f"hostile://{tmp_path.name}")
    store.run(run.id).push(run.files)
    yield store, run
    Hostile.keys = []


@pytest.mark.parametrize("key", HOSTILE)
def test_a_key_that_no_run_directory_holds_is_refused_named_and_written_nowhere(
    hostile, tmp_path, key
):
    store, run = hostile
    there = RunDir(tmp_path / "one" / "two" / "three" / run.id)
    assert store.run(run.id).pull(there)
    Hostile.keys = [key.format(outside=tmp_path)]
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(Refusal) as record:
        store.run(run.id).pull(there)
    assert "The store must hold only files of a run, got" in str(record.value)
    assert key.format(outside=tmp_path)[:4].strip("/") in str(record.value)
    assert "\n" not in str(record.value)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_run_is_ended_with_the_refusal_of_a_hostile_key(hostile, monkeypatch):
    monkeypatch.setattr("qtha_lab.runs.remote.follow.EVERY_SECONDS", 0.05)
    store, run = hostile
    Hostile.keys = ["/../../escaped"]
    following = Following(store)
    sent = following.add(Waiting(run.files))
    sent.end = "", False
    wait_until(lambda: not run.alive)
    following.close()
    assert run.status().state == "failed"
    assert "The store must hold only files of a run" in run.status().message
    assert "must hold only files of a run" in mirror.work_mirrored(run.id, 1, {}, store.url)


@pytest.mark.parametrize("store", ["file"], indirect=True)
@pytest.mark.parametrize("writes", range(12))
def test_an_upload_that_is_killed_leaves_a_run_to_go_on_from(store, writes, tmp_path):
    """A process of its own is killed by SIGKILL in the middle of the write of that number."""
    run = run_folder(tmp_path / "here")
    write(run, status("running", 0), train(1, 4.5))
    checkpoint(run, 1)
    store.run(run.id).push(run.files)
    before = run.files.events.read_bytes()
    write(run, train(2, 4.4))
    checkpoint(run, 2)
    (run.path / "environment.json").write_text(json.dumps({"threads": 1}))
    child = os.fork()
    if child == 0:
        stored, count = store.run(run.id), iter(range(100))
        whole = stored.files.pipe_file

        def cut(path, data):
            if next(count) == writes:
                whole(path, data[: len(data) // 2])
                os.kill(os.getpid(), signal.SIGKILL)
            whole(path, data)

        stored.files.pipe_file = cut
        stored.push(run.files)
        os._exit(0)
    _, code = os.waitpid(child, 0)
    there = RunDir(tmp_path / "there" / run.id)
    assert store.run(run.id).pull(there)
    after = there.events.read_bytes()
    assert after in (before, run.files.events.read_bytes())  # never a part
    step = checkpoints.announced_step(read_events(there.events)[0])
    assert whole_steps(there.checkpoints)[0] == step
    if code == 0:  # it had fewer writes than that
        assert step == 2
    store.run(run.id).push(run.files)  # who goes on puts the rest there
    last = RunDir(tmp_path / "last" / run.id)
    store.run(run.id).pull(last)
    assert whole_steps(last.checkpoints) == [2, 1]


def test_events_come_as_they_are_written_and_the_end_comes_with_what_it_speaks_of(store, tmp_path):
    here, there = run_folder(tmp_path / "here"), tmp_path / "there"
    write(here, status("running", 0))
    store.run(here.id).push(here.files)
    worker = Run(RunDir(there / here.id).path)
    pushing = store.run(here.id)
    pushing.pull(worker.files)
    write(worker, train(1, 4.5))
    pushing.push(worker.files)
    following = store.run(here.id)
    following.follow(here.files)
    assert here.status().step == 1
    write(worker, train(2, 4.4), status("finished", 2))
    worker.files.summary.write_text("{}")
    pushing.push(worker.files)
    following.follow(here.files)
    assert here.files.summary.exists()
    assert here.files.events.read_bytes() == worker.files.events.read_bytes()


@pytest.mark.parametrize("store", ["file"], indirect=True)
def test_a_store_that_is_away_is_spoken_of_once_and_loses_nothing(
    store, tmp_path, caplog, monkeypatch
):
    monkeypatch.setattr("qtha_lab.runs.remote.follow.EVERY_SECONDS", 0.05)
    monkeypatch.setattr(mirror, "EVERY_SECONDS", 0.05)
    here = run_folder(tmp_path / "here")
    write(here, status("running", 0))
    store.run(here.id).push(here.files)
    following = Following(store)
    sent = following.add(Waiting(here.files))
    worker = Run(tmp_path / "there" / here.id)
    copied = mirror.Mirror(store.run(here.id), worker.files)
    root, aside = tmp_path / "store", tmp_path / "away"
    root.rename(aside)
    root.write_text("no folder")  # what is written here fails
    write(worker, train(1, 4.5))
    wait_until(lambda: copied.problem)
    wait_until(lambda: following.is_unreachable)
    time.sleep(0.3)
    assert here.alive
    assert here.status().state == "running"
    root.unlink()
    aside.rename(root)
    write(worker, status("finished", 2))
    assert copied.close() == ""
    sent.end = "", False
    following.close()
    assert here.files.events.read_bytes() == worker.files.events.read_bytes()
    assert not here.alive
    sentences = [r.getMessage() for r in caplog.records if "does not respond" in r.getMessage()]
    assert len(sentences) == 2  # one here, one there


@pytest.mark.parametrize("store", ["file"], indirect=True)
def test_who_lost_a_run_to_another_machine_puts_nothing_there(store, tmp_path, monkeypatch):
    monkeypatch.setattr(mirror, "EVERY_SECONDS", 0.05)
    run = run_folder(tmp_path / "here")
    write(run, status("running", 0))
    store.run(run.id).push(run.files)
    first = Run(tmp_path / "first" / run.id)
    copied = mirror.Mirror(store.run(run.id), first.files)
    second = Run(tmp_path / "second" / run.id)
    other = mirror.Mirror(store.run(run.id), second.files)
    wait_until(first.files.stop.exists)
    write(first, train(1, 9.9))
    write(second, train(1, 4.5))
    assert "another machine has taken the run over" in copied.close()
    assert other.close() == ""
    store.run(run.id).pull(run.files)
    assert [e["loss"] for e in run.valid_events() if e["kind"] == "train"] == [4.5]


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        (
            "nosuch://bucket",
            "got nosuch://bucket. Protocol not known: nosuch",
        ),
        ("/dev/null/runs", "Store /dev/null/runs must be writable, got "),
    ],
)
def test_a_store_that_cannot_be_used_is_refused_when_machines_are_named(url, sentence):
    pytest.importorskip("submitit")
    with pytest.raises(Refusal) as record:
        remote_backend_named(f"slurm(cluster=local,store={url})")
    assert sentence in str(record.value)
    assert "\n" not in str(record.value)


def test_a_store_that_never_answers_is_refused_within_seconds(tmp_path, monkeypatch):
    monkeypatch.setattr("qtha_lab.runs.remote.store.CONNECT_SECONDS", 0.2)
    store = Store(f"file://{tmp_path}")
    for_ever = threading.Event()
    monkeypatch.setattr(store.files, "makedirs", lambda *_, **__: for_ever.wait())
    with refused("Store file", "no response"):
        store.check()
    for_ever.set()


@pytest.mark.slow
def test_a_run_whose_machine_is_killed_goes_on_elsewhere_from_the_store(tmp_path):
    """Two machines with a folder of their own each; the first is killed after a checkpoint is in the store."""
    store = Store(f"file://{tmp_path}/store")
    run = run_folder(tmp_path / "here", "lora(r=2)", **SMALL)
    write(run, status("queued", 0))
    store.run(run.id).push(run.files)
    first = machine(run, store)
    stored = RunDir(tmp_path / "store" / run.id)
    wait_until(lambda: checkpoints.announced_step(read_events(stored.events)[0]) >= 5)
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    assert machine(run, store).wait() == 0
    store.run(run.id).pull(run.files)
    assert run.status().state == "finished"
    assert [e["step"] for e in history(run.events()[0]) if e["kind"] == "train"] == [*range(1, 61)]
    begun = [
        e["step"] for e in run.events()[0]
        if e["kind"] == "status" and e["state"] == "running" and not e.get("again") and e["step"] < 60
    ]  # fmt: skip
    assert begun[0] == 0
    assert begun[1] >= 5
    assert run.files.adapter.is_dir()
    assert run.summary["test_loss"] > 0


def machine(run, store):
    """A process that stands for another machine: it knows a run by its name and the store by its address."""
    code = "import sys; from qtha_lab.runs.remote.mirror import work_mirrored; sys.exit(len(work_mirrored(sys.argv[1], 1, {}, sys.argv[2])))"
    return subprocess.Popen([sys.executable, "-c", code, run.id, store.url])


@pytest.mark.slow
def test_slurms_jobs_share_no_folder_with_who_sends_them(tmp_path):
    pytest.importorskip("submitit")
    machines = remote_backend_named(f"slurm(cluster=local,store=file://{tmp_path}/store)")
    experiment = Comparison(methods="lora(r=2)", training=SMALL | {"steps": 100_000}).experiments()[
        0
    ]
    run = launch(experiment, tmp_path / "here", on=machines)
    wait_until(lambda: run.status().step >= 5 or run.status().ended, run.log_tail)
    assert run.stop().state == "stopped"
    wait_until(lambda: not queue.is_locked(run.files.sent))
    reached = run.status().step
    assert whole_steps(run.files.checkpoints)[0] == reached
    run.resume(on=machines)
    wait_until(lambda: run.status().step > reached or run.status().ended, run.log_tail)
    machines.close()
    assert (run.status().state, run.status().step > reached) == ("stopped", True)
