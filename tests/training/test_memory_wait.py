"""Memory is summed over the runs that go on.

One that does not fit beside them waits, and alone it is let in.
"""

import subprocess
import sys
import threading

import pytest
from support.refusals import refused
from support.waiting import wait_until

from qtha_lab.core import processes
from qtha_lab.experiment import Experiment, memory
from qtha_lab.experiment.run_directory import RunDir
from qtha_lab.experiment.run_directory.events import EventLog, read_events
from qtha_lab.training.evaluation import Interrupted
from qtha_lab.training.memory import wait_for_memory
from qtha_lab.training.processes import Threads
from qtha_lab.training.session import Session

GIB = 2**30
HOLDS = """
import sys
from pathlib import Path
from qtha_lab.core import processes

assert processes.reserve(Path(sys.argv[1]), int(sys.argv[2])) is not None
taken = b"x" * int(sys.argv[3])
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def four_gib(monkeypatch):
    """A machine on which four GiB are free."""
    monkeypatch.setattr("qtha_lab.simulators.engine_selection.free_bytes", lambda device: 4 * GIB)
    monkeypatch.setattr(memory, "device", lambda: __import__("torch").device("cpu"))


@pytest.fixture
def run_beside(tmp_path):
    """Starts a process that has asked for memory and has taken some of it."""
    processes = []

    def start(needs, taken=0):
        process = subprocess.Popen(
            [sys.executable, "-c", HOLDS, str(tmp_path), str(needs), str(taken)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        processes.append(process)
        assert process.stdout.readline() == "held\n"
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def session_of(tmp_path, stop=lambda: False):
    files = RunDir.create(Experiment(method="lora"), tmp_path / "runs")
    memory_log = EventLog(files.events)
    return Session.begin(files, memory_log, stop, Threads(1, lambda: 1, memory_log), tmp_path)


def test_a_run_that_does_not_fit_beside_another_waits_until_that_has_ended(
    tmp_path, four_gib, run_beside
):
    other = run_beside(3 * GIB)
    session = session_of(tmp_path)
    waiting = threading.Thread(target=wait_for_memory, args=(session, {"weights": 2 * GIB}))
    waiting.start()
    events = wait_until(lambda: read_events(session.run.events)[0])
    assert (events[0]["state"], events[0]["message"]) == (
        "queued", "waits for memory: needs 2.0 GiB, 1.0 GiB are free beside the running runs",
    )  # fmt: skip
    assert waiting.is_alive()
    other.kill()
    waiting.join(timeout=60)
    assert not waiting.is_alive()
    assert [run.needs for run in processes.reservations(tmp_path)] == [2 * GIB]
    assert len(read_events(session.run.events)[0]) == 1


def test_what_fits_beside_others_goes_in_at_once_and_alone_nobody_waits(
    tmp_path, four_gib, run_beside
):
    run_beside(GIB)
    assert memory.lacking({"weights": 3 * GIB}, processes.reservations(tmp_path)) is None
    assert memory.lacking({"weights": 99 * GIB}, []) is None
    run_beside(2 * GIB)
    assert memory.lacking({"weights": 2 * GIB}, processes.reservations(tmp_path)) is not None


def test_what_a_run_has_taken_already_is_not_counted_twice(tmp_path, run_beside):
    run_beside(GIB, taken=GIB // 4)
    (run,) = processes.reservations(tmp_path)
    # measured against what was resident before, of which a few pages may have gone since
    assert GIB // 5 < run.taken < GIB // 2
    assert run.to_come == GIB - run.taken


def test_a_run_that_waits_for_memory_can_be_stopped(tmp_path, four_gib, run_beside):
    run_beside(3 * GIB)
    looks = iter([False, False, True])
    with pytest.raises(Interrupted):
        wait_for_memory(session_of(tmp_path, lambda: next(looks, True)), {"weights": 2 * GIB})
    assert [run.needs for run in processes.reservations(tmp_path)] == [3 * GIB]


def test_only_what_would_not_fit_alone_is_refused(tmp_path, four_gib, run_beside, monkeypatch):
    with refused("The free memory", "4.0 GiB"):
        memory.check_memory({"weights": 4 * GIB + 2**20})
    lab = tmp_path / "lab"
    lab.mkdir()
    (lab / ".slots").symlink_to(tmp_path)
    monkeypatch.setenv("QTHA_LAB_RUNS", str(lab))
    run_beside(GIB, taken=GIB // 4)
    memory.check_memory({"weights": 4 * GIB + 2**20})
    with refused("The free memory", "GiB once other runs have ended"):
        memory.check_memory({"weights": 5 * GIB})


def test_the_dead_leave_nothing_behind(tmp_path, run_beside):
    other = run_beside(GIB)
    other.kill()
    other.communicate()
    assert processes.reservations(tmp_path) == []
    assert list((tmp_path / processes.FOLDER).iterdir()) == []
