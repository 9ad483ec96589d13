"""The append-only record survives half lines, broken lines and two writers; the queue keeps its order."""

import json
import os
import subprocess
import sys
import threading
import time
import tracemalloc

import pytest

from qtha_lab.experiment.run_directory import queue
from qtha_lab.experiment.run_directory.events import (
    TAIL_BYTES,
    EventLog,
    history,
    last_status,
    read_events,
    read_tail,
    seconds_left,
)
from qtha_lab.training.summary import wall_seconds


def numbers(events):
    return [event["n"] for event in events if "n" in event]


def test_events_come_back_as_they_were_written(tmp_path):
    log = EventLog(tmp_path / "e")
    log.append("train", step=1, loss=2.5)
    log.append("status", state="running", step=1, message="Größe → 1")
    events, offset = read_events(tmp_path / "e")
    assert [e["kind"] for e in events] == ["train", "status"]
    assert events[1]["message"] == "Größe → 1"
    assert all(isinstance(e["t"], float) for e in events)
    assert read_events(tmp_path / "e", offset) == ([], offset)


def test_nan_is_written_as_null_so_that_every_reader_takes_the_file(tmp_path):
    EventLog(tmp_path / "e").append("train", step=1, loss=float("nan"), more=[float("inf"), 1.0])
    event = json.loads((tmp_path / "e").read_text(), parse_constant=pytest.fail)
    assert event["loss"] is None
    assert event["more"] == [None, 1.0]


def test_a_line_still_being_written_waits_for_its_end(tmp_path):
    file = tmp_path / "e"
    file.write_text('{"kind":"a","n":1}\n{"kind":"a","n"')
    events, offset = read_events(file)
    assert numbers(events) == [1]
    with file.open("a") as more:
        more.write(":2}\n")
    assert numbers(read_events(file, offset)[0]) == [2]


def test_a_truncated_file_is_read_up_to_the_break_and_the_next_life_begins_its_own_line(tmp_path):
    file = tmp_path / "e"
    log = EventLog(file)
    for n in range(3):
        log.append("count", n=n)
    os.truncate(file, file.stat().st_size - 5)
    assert numbers(read_events(file)[0]) == [0, 1]
    EventLog(file).append("count", n=9)
    events = read_events(file)[0]
    assert numbers(events) == [0, 1, 9]
    assert [e["kind"] for e in events] == ["count", "count", "broken", "count"]


@pytest.mark.parametrize("garbage", [b"\x00\xff\xfe\n", b"null\n", b"[1]\n", b'{"no":"kind"}\n'])
def test_a_broken_line_is_told_and_passed_over(tmp_path, garbage):
    (tmp_path / "e").write_bytes(b'{"kind":"a","n":1}\n' + garbage + b'{"kind":"a","n":2}\n')
    events, _ = read_events(tmp_path / "e")
    assert numbers(events) == [1, 2]
    assert events[1] == {"t": 0.0, "kind": "broken", "offset": 19, "bytes": len(garbage)}


def test_a_file_that_shrank_is_read_from_the_beginning(tmp_path):
    (tmp_path / "e").write_text('{"kind":"a","n":1}\n')
    assert numbers(read_events(tmp_path / "e", offset=500)[0]) == [1]


def test_a_missing_file_has_no_events(tmp_path):
    assert read_events(tmp_path / "none") == ([], 0)
    assert read_tail(tmp_path / "none") == []


def test_the_tail_reaches_back_to_a_status(tmp_path):
    lines = ['{"kind": "status", "state": "running", "step": 0}']  # as version 0.2.0 wrote them
    lines += [json.dumps({"kind": "train", "step": step, "loss": 4.0}) for step in range(200)]
    (tmp_path / "e").write_text("\n".join(lines) + "\n")
    assert read_tail(tmp_path / "e", size=1000)[0]["kind"] == "status"
    EventLog(tmp_path / "e").append("status", state="stopped", step=199)
    assert len(read_tail(tmp_path / "e", size=1000)) < 30


@pytest.mark.parametrize("steps", [100, 1_000, 10_000])
def test_the_last_of_a_log_tells_the_state_at_any_length(tmp_path, steps):
    log = EventLog(tmp_path / "e")
    log.append("status", state="running", step=0, message="going on from 25")
    for step in range(1, steps + 1):
        log.append("train", step=step, loss=4.0, learning_rate=0.01, grad_norm=1.0, seconds=0.1)
    tail = read_tail(tmp_path / "e")
    assert sum(len(json.dumps(event)) for event in tail) <= TAIL_BYTES
    status = last_status(tail, steps)
    assert (status.state, status.step) == ("running", steps)
    assert status.message == "going on from 25"
    valid = history(read_events(tmp_path / "e")[0])
    assert [e["step"] for e in valid if e["kind"] == "train"] == list(range(1, steps + 1))


def test_a_clock_set_back_changes_no_duration(tmp_path, monkeypatch):
    log = EventLog(tmp_path / "e")
    log.append("status", state="loading", step=0)
    monkeypatch.setattr(time, "time", lambda now=time.time: now() - 3600)
    log.append("train", step=1, loss=4.0, seconds=0.1)
    log.append("train", step=2, loss=4.0, seconds=0.1)
    events = read_events(tmp_path / "e")[0]
    assert [e["t"] for e in events] == sorted(e["t"] for e in events)
    assert wall_seconds(events) >= 0
    assert seconds_left(events, 10) >= 0


def test_time_between_two_lives_and_in_the_queue_is_no_time_at_work():
    def at(t, kind, **fields):
        return {"t": t, "kind": kind, "step": 0, **fields}

    first = [at(0, "status", state="queued"), at(10, "status", state="loading"), at(15, "train")]
    second = [at(900, "status", state="queued"), at(950, "status", state="loading")]
    assert wall_seconds([*first, *second, at(957, "train")]) == 5 + 7
    behind = [at(20, "status", state="queued"), at(4, "status", state="loading"), at(6, "train")]
    assert wall_seconds([*first, *behind]) == 5 + 2


def test_lines_of_several_writers_never_mix(tmp_path):
    logs = [EventLog(tmp_path / "e") for _ in range(4)]

    def write(log, n):
        for _ in range(200):
            log.append("count", n=n, text="x" * 500)

    threads = [
        threading.Thread(target=write, args=pair) for pair in zip(logs, range(4), strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    events, _ = read_events(tmp_path / "e")
    assert sorted(numbers(events)) == sorted(list(range(4)) * 200)


def test_a_reader_beside_a_writer_sees_every_event_once(tmp_path):
    log, seen, offset = EventLog(tmp_path / "e"), [], 0
    writer = threading.Thread(target=lambda: [log.append("count", n=n) for n in range(2000)])
    writer.start()
    while writer.is_alive() or len(seen) < 2000:
        events, offset = read_events(tmp_path / "e", offset)
        seen += numbers(events)
    assert seen == list(range(2000))


def test_what_a_resumed_run_does_again_replaces_what_it_did_before():
    def train(step, loss):
        return {"kind": "train", "step": step, "loss": loss}

    def running(step):
        return {"kind": "status", "state": "running", "step": step}

    first = [running(0), *(train(s, 1.0) for s in range(1, 18))]
    second = [running(10), train(11, 2.0), train(12, 2.0)]
    valid = [e for e in history(first + second) if e["kind"] == "train"]
    assert [e["step"] for e in valid] == list(range(1, 13))
    assert [e["loss"] for e in valid] == [1.0] * 10 + [2.0] * 2


def test_of_one_kind_and_step_the_last_line_counts():
    twice = [{"kind": "eval", "step": 5, "loss": loss} for loss in (1.0, 2.0)]
    assert history(twice) == [twice[1]]


# ---- locks and slots ----

HOLDER = "import sys; from qtha_lab.experiment.run_directory import queue; queue.hold(__import__('pathlib').Path(sys.argv[1])); print(1, flush=True); sys.stdin.read()"


@pytest.fixture
def holder(tmp_path):
    """A process that holds the lock of tmp_path/lock until it is killed."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path / "lock")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    process.stdout.readline()
    yield process
    process.kill()
    process.communicate()


def test_a_lock_is_free_again_the_moment_its_holder_is_killed(tmp_path, holder):
    assert queue.is_locked(tmp_path / "lock")
    assert queue.hold(tmp_path / "lock") is None
    holder.kill()
    holder.wait()
    assert not queue.is_locked(tmp_path / "lock")
    fd = queue.hold(tmp_path / "lock")
    assert fd is not None
    os.close(fd)


def test_the_number_in_a_free_lock_file_names_nobody(tmp_path):
    fd = queue.hold(tmp_path / "lock")
    queue.sign(fd, 4711)
    assert queue.holder(tmp_path / "lock") == 4711
    os.close(fd)
    assert queue.holder(tmp_path / "lock") is None


def test_waiting_runs_take_slots_in_the_order_they_came(tmp_path):
    line = queue.Queue(tmp_path)
    busy = queue.hold(tmp_path / "0")
    tickets, order = [line.ticket(f"run{n}") for n in range(3)], []

    def wait(number):
        slot = line.wait(tickets[number][0], lambda: queue.hold(tmp_path / "0"), lambda: False)
        order.append(number)
        tickets[number][0].unlink()
        os.close(slot)

    threads = [threading.Thread(target=wait, args=(n,)) for n in (2, 0, 1)]
    for thread in threads:
        thread.start()
    os.close(busy)
    for thread in threads:
        thread.join()
    for _, fd in tickets:
        os.close(fd)
    assert order == [0, 1, 2]


def test_a_dead_ticket_holds_nobody_up_and_giving_up_works(tmp_path):
    line = queue.Queue(tmp_path)
    _, fd = line.ticket("dead")
    os.close(fd)
    mine, fd = line.ticket("mine")
    assert line.wait(mine, lambda: "slot", give_up=lambda: False) == "slot"
    assert line.wait(mine, lambda: "slot", give_up=lambda: True) is None
    os.close(fd)


def test_a_ticket_drawn_after_the_clock_was_set_back_waits_its_turn(tmp_path, monkeypatch):
    line = queue.Queue(tmp_path)
    first, one = line.ticket("b")
    monkeypatch.setattr(time, "time_ns", lambda: 5)
    second, two = line.ticket("a")
    assert sorted([first, second]) == [first, second]
    os.close(one)
    os.close(two)


def test_runs_beside_a_runs_folder_that_cannot_be_written_to_queue_where_they_lie(tmp_path):
    (tmp_path / "file").write_text("")
    unwritable = tmp_path / "file" / "runs"
    assert queue.shared_folder(unwritable, tmp_path / "out") == tmp_path / "out" / ".slots"
    assert queue.shared_folder(tmp_path, tmp_path / "out") == tmp_path / ".slots"


def test_slots_and_threads_share_the_cores(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.delenv("QTHA_LAB_SLOTS", raising=False)
    cores = queue.n_cores()
    assert queue.n_slots() == min(2, cores)
    assert queue.n_threads() == max(1, cores // queue.n_slots())
    assert queue.n_slots(threads=cores) == 1
    assert queue.n_threads(3) == 3
    monkeypatch.setenv("QTHA_LAB_SLOTS", "5")
    assert queue.n_slots(threads=1) == 5


def test_a_sparse_log_of_two_gibibytes_is_not_read_to_its_end(tmp_path):
    file = tmp_path / "events.jsonl"
    file.write_text('{"kind": "status", "state": "running", "step": 3}\n')
    os.truncate(file, 2**31)
    tracemalloc.start()
    for events in (read_events(file)[0], read_tail(file)):
        assert [event["step"] for event in events] == [3]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**27
