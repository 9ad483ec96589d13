"""A strange file where one of a run's own should be neither hangs nor breaks a list."""

import json
import os
import signal

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from support.run_folders import finish, run_folder, status, train, two_steps, write

from qtha_lab.core.errors import Refusal
from qtha_lab.experiment.run_directory import annotations, index, record
from qtha_lab.experiment.run_directory.events import (
    LONGEST_MESSAGE,
    EventLog,
    history,
    read_events,
    read_tail,
)
from qtha_lab.runs.run import list_runs
from qtha_lab.runs.table import frame

FILES = (
    "events.jsonl",
    "summary.json",
    "annotations.jsonl",
    "origin.json",
    "worker.log",
    "worker.lock",
    "exit.json",
)
PLACES = {
    "a link to itself": lambda path: path.symlink_to(path.name),
    "a FIFO": os.mkfifo,
    "a link to /dev/zero": lambda path: path.symlink_to("/dev/zero"),
    "a link to another file": lambda path: path.symlink_to("/etc/hostname"),
    "a folder": os.mkdir,
}


@pytest.fixture(autouse=True)
def _no_hang():
    """A reader that waits for a writer is interrupted and fails its test."""
    signal.signal(signal.SIGALRM, lambda *_: pytest.fail("a reader hangs"))
    signal.alarm(900)
    yield
    signal.alarm(0)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("QTHA_LAB_RUNS", str(tmp_path / "runs"))
    monkeypatch.setattr(record, "YOUNG_SECONDS", -1.0)
    return tmp_path / "runs"


def ended(folder, seed=0):
    run = run_folder(folder, method="lora(r=2)", seed=seed, steps=2)
    two_steps(run)
    annotations.annotate(run.files, name="mine", add=["tag"])
    return finish(run, eval_loss=4.0)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("file", FILES)
def test_a_strange_file_in_a_run_leaves_every_view_of_the_folder(folder, file, place):
    good, bad = ended(folder), ended(folder, seed=1)
    (bad.path / file).unlink(missing_ok=True)
    PLACES[place](bad.path / file)
    for _ in range(2):  # read, then from the index
        listed = frame(list_runs(unreadable=True), disk=True)
        assert set(listed.index) == {good.id, bad.id}
        assert listed["state"][good.id] == "finished"
        assert all(len(message) <= 300 for message in listed["message"])
    for view in (bad.events, bad.log_tail, bad.history, bad.status):
        view()
    _ = bad.summary
    if file in ("events.jsonl", "annotations.jsonl"):
        with pytest.raises((Refusal, OSError)):
            EventLog(bad.path / file)


def test_a_message_of_a_megabyte_is_cut_when_written_and_when_read(folder):
    run = run_folder(folder, steps=2)
    write(run, status("running", 0) | {"message": "x" * 2**20})
    write(run, *(train(step, 4.0) for step in range(1, 400)))
    assert run.files.events.stat().st_size < 2**18  # the last status is repeated every few lines
    with run.files.events.open("a") as file:
        file.write(json.dumps(status("queued", 400) | {"message": "y" * 2**20}) + "\n")
    (last,) = read_tail(run.files.events)[-1:]
    assert last["message"] == "y" * LONGEST_MESSAGE
    assert len(run.status().message) <= LONGEST_MESSAGE


LINES = [
    None, [], 3, "x", [None, None, None], [[]], {"a": 1},
    ["9.9.9", "NAME", {"stamp": None}], [None, "NAME", {}], ["VERSION", "NAME", None], ["VERSION", ["NAME"], {}],
    ["VERSION", "NAME", {"stamp": "STAMP"}],
    ["VERSION", "NAME", {"stamp": "STAMP", "status": None}],
    ["VERSION", "NAME", {"stamp": "STAMP", "status": {"state": "finished", "step": 0, "steps": 1}, "later": 1}],
]  # fmt: skip


def filled(line, run):
    words = {"VERSION": index.qtha_lab.__version__, "NAME": run.id, "STAMP": record.stamp(run.path)}
    text = json.dumps(line)
    for word, value in words.items():
        text = text.replace(json.dumps(word), json.dumps(value))
    return text.encode()


def index_line(text):
    return index._checksum(text) + b" " + text + b"\n"


@pytest.mark.parametrize("line", LINES, ids=str)
def test_an_index_line_of_another_form_is_ignored_and_written_anew(folder, line):
    run = ended(folder)
    (folder / index.NAME).write_bytes(index_line(filled(line, run)))
    for _ in range(3):
        (row,) = frame(list_runs()).to_dict("records")
        assert (row["state"], row["eval_loss"], row["tags"]) == ("finished", 4.0, ["tag"])
    assert index.Index(folder).get(run.id, record.stamp(run.path)) is not None


FIELDS = [
    "unreadable",
    "experiment",
    "label",
    "status",
    "has_log",
    "summary",
    "flaw",
    "origin",
    "marks",
]
VALUES = [
    None,
    5,
    "x",
    [],
    {},
    [1],
    {"method": 5},
    {"method": {"options": 3}},
    {"tags": 7},
    {"eval_loss": "x"},
]


@pytest.mark.parametrize("field", FIELDS)
def test_no_field_of_an_index_line_takes_the_list_down(folder, field):
    run = ended(folder)
    plain = list_runs()[0].record.plain()
    for value in VALUES:
        line = [index.qtha_lab.__version__, run.id, plain | {field: value}]
        (folder / index.NAME).write_bytes(index_line(json.dumps(line).encode()))
        assert list(frame(list_runs(unreadable=True))["run"]) == [run.id]


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.sampled_from(
        ["events.jsonl", "summary.json", "annotations.jsonl", "origin.json", index.NAME]
    ),
    st.floats(0, 1, exclude_max=True),
    st.integers(1, 255),
)
@example("annotations.jsonl", 0.0, 255)
def test_any_changed_byte_is_a_value_or_one_sentence(folder, file, place, bits):
    (run,) = list_runs(unreadable=True) or [ended(folder)]
    (run.path / "origin.json").write_text('{"sweep": "s", "method": 0, "trial": 1, "seed": 0}')
    list_runs()
    path = (folder if file == index.NAME else run.path) / file
    whole = path.read_bytes()
    at = int(place * len(whole))
    path.write_bytes(whole[:at] + bytes([whole[at] ^ bits]) + whole[at + 1 :])
    try:
        (message,) = frame(list_runs(unreadable=True))["message"]
        assert len(message) <= 300
        history(read_events(run.files.events)[0])
        assert list(frame([run])["run"]) == [run.id]
    finally:
        path.write_bytes(whole)
