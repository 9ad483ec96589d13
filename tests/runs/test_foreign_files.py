"""Files, names and variables of others: each is a value or one sentence."""

import os
import socket
import subprocess
import sys

import pytest
from support.refusals import refused
from support.run_folders import run_folder, status, write

from qtha_lab.core import locks
from qtha_lab.core.call_syntax import parse_options, write_options
from qtha_lab.core.errors import Refusal, describe_error
from qtha_lab.core.io import remove_file, whole_number
from qtha_lab.core.plugin_loading import load_plugins
from qtha_lab.experiment import Experiment
from qtha_lab.experiment.run_directory import RunDir
from qtha_lab.experiment.run_directory.queue import Queue, is_chosen, n_threads
from qtha_lab.figures.machinery.provenance import build_date
from qtha_lab.runs.worker import use_threads
from qtha_lab.studies.federated.folder import Parties


def bound(path):
    """Put a socket at a path, whose length the system limits."""
    here = os.getcwd()
    os.chdir(path.parent)
    try:
        with socket.socket(socket.AF_UNIX) as ours:
            ours.bind(path.name)
    finally:
        os.chdir(here)


KINDS = {
    "FIFO": os.mkfifo,
    "socket": bound,
    "link": lambda path: path.symlink_to("/etc/hostname"),
    "dangling link": lambda path: path.symlink_to("nowhere"),
    "folder": os.mkdir,
}


@pytest.fixture
def stopped(tmp_path, monkeypatch):
    run = run_folder(tmp_path / "runs")
    write(run, status("running", 0), status("stopped", 1))
    return run


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["worker.lock", "worker.log", "events.jsonl"])
def test_a_run_with_another_kind_of_file_is_not_resumed(stopped, name, kind):
    (stopped.path / name).unlink(missing_ok=True)
    KINDS[kind](stopped.path / name)
    with pytest.raises(Refusal) as record:
        stopped.resume()
    assert len(str(record.value)) <= 300
    if name != "events.jsonl":  # such a run is unreadable
        words = ("must be a regular file", "must be no symbolic link")
        assert any(f"{name} {word}" in str(record.value) for word in words)
    assert not locks.is_locked(stopped.files.lock)
    assert not (stopped.path / "nowhere").exists()


def test_a_folder_in_the_place_of_a_stop_request_is_named(stopped):
    stopped.files.stop.mkdir()
    with refused("stop", "a folder"):
        stopped.resume()
    stopped.files.stop.rmdir()
    for kind in ("FIFO", "dangling link"):
        KINDS[kind](stopped.files.stop)
        remove_file(stopped.files.stop)
        assert not os.path.lexists(stopped.files.stop)


@pytest.mark.parametrize("text", ["²", "٣²", "", "-1", "4,2", "1e3", " 2", "9" * 5000])
def test_a_variable_that_is_no_number_of_threads_is_as_good_as_none(text, monkeypatch):
    assert whole_number(text) is None
    monkeypatch.setenv("QTHA_LAB_SLOTS", text)
    monkeypatch.delenv("OMP_NUM_THREADS")
    default = n_threads()
    monkeypatch.setenv("OMP_NUM_THREADS", text)
    assert not is_chosen(None)
    assert n_threads() == default
    monkeypatch.setattr(os, "environ", os.environ.copy())
    use_threads()
    assert os.environ["OMP_NUM_THREADS"] == str(os.cpu_count())


@pytest.mark.parametrize("text", ["²", "9" * 400, "soon"])
def test_a_build_date_that_is_no_time_is_none(text, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", text)
    assert build_date("%Y") is None
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
    assert build_date("%d") == "02"  # the second day of 1970


def test_a_folder_of_rounds_with_another_name_is_no_round(tmp_path):
    of = Parties(RunDir(tmp_path), [])
    assert of.rounds_shared() == -1
    for name in ("²", "3", "10", "10.new"):
        (tmp_path / "rounds" / name).mkdir(parents=True)
    assert of.rounds_shared() == 10


def test_a_column_in_braces_is_a_name():
    options = {"prompt": "{{m}}", "response": "{a}", "other": {"name": "{m}"}, "none": {}}
    assert parse_options("prompt={{m}},response={a}") == {"prompt": "{{m}}", "response": "{a}"}
    assert parse_options(write_options(options)) == options


HOSTILE = """
class Meta(type):
    @property
    def __name__(cls):
        raise KeyboardInterrupt
class Bad(Exception, metaclass=Meta):
    {part} = property(lambda self: 1 / 0)
raise Bad("reason")
"""


@pytest.mark.parametrize("part", ["extra", "__class__", "__traceback__", "__cause__"])
def test_an_exception_whose_class_is_code_is_one_sentence(tmp_path, part):
    file = tmp_path / "bad.py"
    file.write_text(HOSTILE.format(part=part))
    with pytest.raises(Refusal) as record:
        load_plugins([str(file)])
    assert "must be importable, got Bad: reason" in str(record.value)


def test_the_name_of_an_ordinary_error_is_as_before():
    assert describe_error(ValueError("a")) == "ValueError: a"


def test_the_last_output_of_a_worker_controls_no_terminal(stopped):
    stopped.files.log.write_bytes(b"one\n\x1b[31mtwo\x07\nthree\x9b2J\n")
    assert stopped.log_tail() == "one\n\\x1b[31mtwo\\x07\nthree\ufffd2J"
    stopped.files.events.write_bytes(b"")
    write(stopped, status("running", 0))
    message = stopped.status().message
    assert "two" in message
    assert message.replace("\n", "").isprintable()


@pytest.mark.parametrize("name", ["x" * 235, "ö" * 117, "x" * 255])
def test_a_run_with_a_long_name_waits_in_the_queue(tmp_path, name):
    queue = Queue(tmp_path)
    (first, fd), (second, other) = queue.ticket(name), queue.ticket(name + "y")
    assert first.name != second.name
    assert queue.wait(first, lambda: "taken", lambda: False) == "taken"
    os.close(fd)
    assert queue.wait_in_line(f"{name}z", lambda: None, lambda: True) is None
    os.close(other)


@pytest.mark.parametrize("tokens", [10**9, 100_001, 5000])
def test_an_answer_without_end_is_refused(tokens, tmp_path):
    with pytest.raises(Refusal) as record:
        Experiment(training={"max_new_tokens": tokens}).check(tmp_path)
    assert "max_new_tokens must be at most" in str(record.value)
    assert f"{tokens:,}" in str(record.value) or str(tokens) in str(record.value)


def test_a_started_process_searches_the_working_folder_only_if_this_one_does(tmp_path):
    (tmp_path / "qtha_lab.py").write_text("raise SystemExit(7)")
    for safe, code in (([], 7), (["-P"], 0)):
        text = (
            "import subprocess; from qtha_lab.core.processes import module_command;"
            "command = module_command('qtha_lab', '--version');"
            "raise SystemExit(subprocess.run(command, capture_output=True).returncode)"
        )
        if not safe:  # the package itself must be found before the working folder is searched
            text = f"import qtha_lab, sys; sys.path.insert(0, {str(tmp_path)!r}); {text}"
        done = subprocess.run([sys.executable, "-P", "-c", text], cwd=tmp_path)
        assert done.returncode == code, safe
