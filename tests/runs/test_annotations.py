"""Marks on runs, and the bin: durable, safe under several writers and under real kills; nothing is ever lost."""

import os
import random
import signal
import subprocess
import sys
import time

import pytest
from support.refusals import refused
from support.run_folders import run_folder, status, train, write
from support.waiting import wait_until

from qtha_lab.core.errors import Refusal
from qtha_lab.experiment import Experiment
from qtha_lab.experiment.run_directory import RunDir, annotations, record
from qtha_lab.experiment.run_directory.annotations import Annotations, annotate, read_annotations
from qtha_lab.runs.launch import launch
from qtha_lab.runs.run import Run, list_runs, load_run


def a_run(folder) -> Run:
    run = run_folder(folder, "lora(r=2)", steps=3)
    write(run, status("running", 0), train(1, 5.0), status("finished", 1))
    return run


def content(folder) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "worker.lock"
    }


def test_marks_are_changed_one_by_one_and_an_empty_text_takes_one_away(tmp_path):
    run = a_run(tmp_path)
    annotate(run.files, name="  my\n best ", add=["warm", " best "])
    annotate(run.files, note="two\nlines", pinned=True, remove=["warm"])
    assert run.record.annotations == {
        "name": "my best",
        "note": "two\nlines",
        "pinned": True,
        "tags": ["best"],
    }
    annotate(run.files, name="", note="", pinned=False, remove=["best"])
    assert run.record.annotations == {}


def test_a_run_keeps_the_name_the_tags_and_the_note_that_are_assigned(tmp_path):
    run = a_run(tmp_path)
    run.name, run.tags, run.note = "my best", ["old", "best"], "two\nlines"
    run.tags = [" best "]
    again = load_run(run.id, tmp_path)
    assert (again.name, again.tags, again.note) == ("my best", ("best",), "two\nlines")
    run.name, run.tags, run.note = "", (), ""
    assert (again.name, again.tags, again.note) == (run.id, (), "")


@pytest.mark.parametrize(("attribute", "value"), [("tag", "best"), ("summary", {}), ("id", "a")])
def test_any_other_attribute_of_a_run_is_refused(tmp_path, attribute, value):
    with pytest.raises(AttributeError, match=attribute):
        setattr(a_run(tmp_path), attribute, value)


def test_a_deleted_run_is_in_the_trash(tmp_path):
    run = a_run(tmp_path)
    run.delete()
    assert (list_runs(tmp_path), annotations.list_trash(tmp_path)) == ([], [run.id])
    assert run.path.parent == annotations.trash_of(tmp_path)
    with pytest.raises(Refusal, match="in the trash"):
        run.delete()


def test_marks_show_in_the_list_whatever_the_index_remembers(tmp_path, monkeypatch):
    monkeypatch.setattr(record, "YOUNG_SECONDS", -1.0)
    run = a_run(tmp_path)
    assert list_runs(tmp_path)[0].record.annotations == {}
    annotate(run.files, add=["best"])
    for _ in range(2):  # read anew, then from the index
        assert list_runs(tmp_path)[0].record.annotations == {"tags": ["best"]}


@pytest.mark.parametrize(
    ("change", "setting", "value"),
    [
        ({"add": ["a,b"]}, "A tag", "'a,b'"),
        ({"add": [" "]}, "A tag", "''"),
        ({"name": "x" * 201}, "A name", "201"),
        ({"note": "x" * 10_001}, "A note", "10,001"),
    ],
)
def test_a_mark_that_cannot_be_is_refused_and_nothing_is_written(tmp_path, change, setting, value):
    run = a_run(tmp_path)
    with refused(setting, value):
        annotate(run.files, **change)
    assert not run.files.annotations.exists()


def test_marks_that_are_broken_cost_only_themselves(tmp_path):
    run = a_run(tmp_path)
    annotate(run.files, name="first")
    with run.files.annotations.open("ab") as file:
        file.write(
            b'\xff\xfe\n[]\n{"kind": "annotation", "name": 3}\n{"kind": "annotation", "tags"'
        )
    annotate(run.files, add=["best"])
    assert read_annotations(run.files) == Annotations(name="first", tags=("best",))


def test_marking_a_run_that_is_gone_is_refused(tmp_path):
    with refused("Run gone", "No such file or directory"):
        annotate(RunDir(tmp_path / "gone"), name="x")


WRITER = """
import sys
from pathlib import Path
from qtha_lab.experiment.run_directory import RunDir
from qtha_lab.experiment.run_directory.annotations import annotate
run, name, count = RunDir(Path(sys.argv[1])), sys.argv[2], int(sys.argv[3])
for number in range(count):
    annotate(run, add=[f"{name}{number}"])
    print(f"{name}{number}", flush=True)
"""


def writer(run: Run, name: str, count: int) -> subprocess.Popen:
    words = [sys.executable, "-c", WRITER, str(run.path), name, str(count)]
    return subprocess.Popen(words, stdout=subprocess.PIPE, text=True)


def test_writers_at_once_lose_nothing_of_each_other(tmp_path):
    run = a_run(tmp_path)
    writers = [writer(run, name, 40) for name in "abc"]
    printed = {word for process in writers for word in process.communicate()[0].split()}
    assert len(printed) == 120
    assert set(read_annotations(run.files).tags) == printed


def test_a_writer_that_is_killed_leaves_every_mark_that_it_had_made(tmp_path):
    run, chance, done = a_run(tmp_path), random.Random(0), set()
    for name in "abc":
        process = writer(run, name, 100_000)
        assert process.stdout is not None
        done.add(process.stdout.readline().strip())
        time.sleep(chance.uniform(0, 0.05))
        process.send_signal(signal.SIGKILL)
        done |= set(process.communicate()[0].split("\n")[:-1])
        tags = set(read_annotations(run.files).tags)
        assert done <= tags
        assert len(tags) <= len(done) + ord(name) - ord("a") + 1  # one that it had no time to tell
    annotate(run.files, name="after")
    assert read_annotations(run.files).name == "after"


# ---- the bin ----


def test_a_deleted_run_comes_back_as_it_was(tmp_path):
    run, other = a_run(tmp_path), a_run(tmp_path)
    annotate(run.files, name="my best")
    before = content(run.path)
    annotations.delete(run.files)
    assert [r.id for r in list_runs(tmp_path)] == [other.id]
    assert annotations.list_trash(tmp_path) == [run.id]
    assert [r.record.annotations for r in list_runs(annotations.trash_of(tmp_path))] == [
        {"name": "my best"}
    ]
    annotations.restore(run.id, tmp_path)
    assert content(run.path) == before
    assert {r.id for r in list_runs(tmp_path)} == {run.id, other.id}
    assert annotations.list_trash(tmp_path) == []


@pytest.mark.slow
def test_a_run_at_work_is_not_deleted(tmp_path):
    run = launch(Experiment(method="lora(r=2)", training={"steps": 5000}), tmp_path)
    try:
        with pytest.raises(Refusal, match=r"must not be running, got .*\. Stop it first"):
            annotations.delete(run.files)
        assert run.path.is_dir()
    finally:
        run.stop(soft_seconds=0, term_seconds=5)
    wait_until(lambda: not run.alive)
    annotations.delete(run.files)
    assert annotations.list_trash(tmp_path) == [run.id]


def test_what_would_lose_a_run_is_refused(tmp_path):
    run = a_run(tmp_path)
    annotations.delete(run.files)
    with refused("deleted run", "'../x'"):
        annotations.restore("../x", tmp_path)
    with refused("A run to delete", rule="be in the trash"):
        annotations.delete(RunDir(annotations.trash_of(tmp_path) / run.id))
    with refused(value="No such file or directory"):
        annotations.delete(run.files)  # by a second person
    assert not run.path.exists()
    run.path.mkdir()
    with pytest.raises(Refusal, match=f"must have no run {run.id}, got one"):
        annotations.restore(run.id, tmp_path)


def test_the_bin_is_emptied_of_whole_runs_and_of_what_a_kill_left(tmp_path):
    run, other = a_run(tmp_path), a_run(tmp_path)
    for deleted in (run, other):
        annotations.delete(deleted.files)
    place = annotations.trash_of(tmp_path)
    (place / annotations.DOOMED).mkdir()
    (place / run.id).rename(place / annotations.DOOMED / run.id)  # an emptying was killed here
    assert annotations.list_trash(tmp_path) == [other.id]
    assert annotations.empty_trash(tmp_path) == [other.id]
    assert [path for path in place.iterdir() if path.is_dir()] == []


MOVER = """
import sys
from pathlib import Path
from qtha_lab.experiment.run_directory import RunDir, trash as bin
folder, name = Path(sys.argv[1]), sys.argv[2]
while True:
    bin.delete(RunDir(folder / name))
    print("deleted", flush=True)
    bin.restore(name, folder)
"""


def test_a_kill_while_runs_are_deleted_and_restored_leaves_each_whole_in_one_place(tmp_path):
    run, chance = a_run(tmp_path), random.Random(2)
    before = content(run.path)
    for _ in range(4):
        process = subprocess.Popen(
            [sys.executable, "-c", MOVER, str(tmp_path), run.id], stdout=subprocess.PIPE
        )
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(chance.uniform(0, 0.02))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        places = [p for p in (run.path, annotations.trash_of(tmp_path) / run.id) if p.exists()]
        assert len(places) == 1
        assert content(places[0]) == before
        if places[0] != run.path:
            annotations.restore(run.id, tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_to_refuses_in_a_sentence(tmp_path):
    run = a_run(tmp_path)
    tmp_path.chmod(0o500)
    with pytest.raises(Refusal, match=r"cannot be moved \(Permission denied"):
        annotations.delete(run.files)
    tmp_path.chmod(0o700)
