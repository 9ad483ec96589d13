"""The attack finds what it is for.

Planted readers that raise, hang, eat memory or print escape codes.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PLANTED = """
import sys, time
sys.path.insert(0, "tests")
from tests.attack import inputs
from tests.attack.journal import Journal
from tests.attack.readers import READERS, reader
from qtha_lab.core.errors import Refusal
from pathlib import Path

READERS.clear()

@reader("a")
def raises(text):
    raise KeyError(text)

@reader("a")
def waits(text):
    time.sleep(1000)

@reader("a")
def computes(text):
    while True:
        pass

@reader("a")
def eats(text):
    return bytearray(400 * 2**20)

@reader("a")
def eats_all(text):
    return [bytearray(2**26) for _ in range(1000)]

@reader("a")
def prints(text):
    print("\\x1b[31mred")

@reader("a")
def rambles(text):
    raise type("Long", (Refusal,), {"__str__": lambda self: "a" * 301})

@reader("valid", words="a")
def crashes(text):
    import os
    if text != "valid":
        os.kill(os.getpid(), 11)

@reader("a")
def is_good(text):
    raise Refusal("text must be something else, got 'a'.")

only = sys.argv[2:]
for name in [name for name in READERS if name not in only]:
    del READERS[name]
inputs.BATCH = 2
inputs.READERS = READERS
journal = Journal(Path(sys.argv[1]))
inputs.attack(journal, 2 * len(READERS), 1, lambda: True)
print(f"{journal.passed} passed, {journal.failed} failed")
"""
BAD = {
    "raises": "no refusal: KeyError",
    "waits": "hangs: waits without computing",
    "computes": "hangs: ",
    "eats": "too much memory: 4",
    "eats_all": "no refusal: MemoryError",
    "prints": "control characters are printed",
    "rambles": "a sentence of 301 characters",
    "crashes": "crashes with exit code -11",
}


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """Return the faults that the attack reports in planted readers, and its last line."""
    folder = tmp_path_factory.mktemp("attack")
    command = [sys.executable, "-c", PLANTED, str(folder), *BAD, "is_good"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    faults = [json.loads(file.read_text()) for file in sorted((folder / "faults").iterdir())]
    texts: dict[str, list[str]] = {}
    for fault in faults:
        texts.setdefault(fault["case"].split("/")[1], []).append(fault["text"])
    return texts, done.stdout.splitlines()[-1]


@pytest.mark.slow
@pytest.mark.parametrize("name", BAD)
def test_each_planted_reader_is_found(planted, name):
    texts, _ = planted
    assert texts[name]
    assert all(text.startswith(BAD[name]) for text in texts[name]), texts[name]


@pytest.mark.slow
def test_a_reader_that_refuses_in_one_sentence_is_no_fault(planted):
    texts, last = planted
    assert "is_good" not in texts
    assert last.endswith(f", {sum(map(len, texts.values()))} failed")


def test_a_journal_goes_on_after_a_torn_line(tmp_path):
    from attack.journal import Journal, Total

    Journal(tmp_path).write("inputs/axes/0", Total(cases=50, values=49, faults=1))
    with (tmp_path / "journal.jsonl").open("a") as file:
        file.write('{"class": "inputs: axes", "bat')
    journal = Journal(tmp_path)
    journal.write("inputs/axes/1", Total(cases=50, sentences=50))
    again = Journal(tmp_path)
    assert again.done == {"inputs/axes/0", "inputs/axes/1"}
    assert (again.passed, again.failed) == (99, 1)


def test_the_inputs_of_a_batch_are_the_same_each_time():
    from attack.inputs import draw

    assert draw("filters", 3) == draw("filters", 3)
    assert draw("filters", 3) != draw("filters", 4)


def test_a_reproduction_that_gives_other_numbers_is_a_fault(tmp_path):
    from attack.reproductions import compared

    for time_, value in (("first", 0.25), ("second", 0.5)):
        folder = tmp_path / time_ / "a-quick"
        folder.mkdir(parents=True)
        (folder / "verdict.json").write_text(json.dumps({"seconds": value, "claims": [value]}))
    outcome = compared(tmp_path)
    assert outcome.text == "other numbers: verdict.claims[0]: 0.25 and 0.5"


def test_a_process_that_was_killed_leaves_a_finished_run_that_changed(tmp_path, monkeypatch):
    """Kills are judged by what is left: a summary that is gone after a kill is found."""
    from attack import kills
    from support.run_folders import finish, run_folder, two_steps

    run = run_folder(tmp_path / "work")
    two_steps(run)
    finish(run, eval_loss=4.5)
    instance = kills.Instance(tmp_path / "work")
    assert kills._flaws(instance, os.getpid()) == []
    time.sleep(0.01)
    run.files.summary.unlink()
    (flaw,) = kills._flaws(instance, os.getpid())
    assert flaw == f"the finished run {run.id} is lost or changed"


def test_a_resume_is_killed_between_its_lock_and_its_first_event(tmp_path):
    """The process ends at each event of the window, and leaves a stopped run that resumes."""
    from attack.killed import end_in_window
    from support.run_folders import run_folder, status, write

    from qtha_lab.core import locks
    from qtha_lab.runs.process_start import taken_over

    run = run_folder(tmp_path)
    write(run, status("running", 0), status("stopped", 1))
    os.close(locks.hold(run.files.lock))
    before = run.files.events.read_bytes()
    for event in (1, 2, 3):
        child = os.fork()
        if not child:
            end_in_window(event)
            with taken_over(run.files, "starting"):
                os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
        assert run.status().state == "stopped"
        assert run.files.events.read_bytes() == before
        assert not locks.is_locked(run.files.lock)


def test_each_reverted_guard_occurs_once():
    from attack.reverts import REVERTS

    assert len(REVERTS) >= 6
    for revert in REVERTS:
        assert (ROOT.parent / revert.file).read_text().count(revert.old) == 1, revert.title


def test_a_writer_through_a_planted_link_is_found(tmp_path, monkeypatch):
    """The reader of planted links finds a work that follows one, and a copy of what is behind."""
    from attack.readers import planted

    monkeypatch.chdir(tmp_path)
    works = {
        "writes": lambda run: (run.path / "exports" / "a").write_text("x"),
        "copies": lambda run: (run.path / "b").write_bytes(
            (run.path / "exports" / "file").read_bytes()
        ),
    }
    monkeypatch.setattr(planted, "_works", lambda: works)
    for name, sentence in (("writes", "writes through a link"), ("copies", "holds what a link")):
        with pytest.raises(AssertionError, match=sentence):
            planted.planted_links(json.dumps([[["exports", "own"]], [name]]))
