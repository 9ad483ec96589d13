"""Runs hold as many slots as they have threads, all at once or none, and a kill frees them."""

import itertools
import os
import subprocess
import sys

import pytest
from support.waiting import wait_until

from qtha_lab.experiment import Experiment
from qtha_lab.experiment.run_directory import processors, queue
from qtha_lab.runs.launch import launch

TAKES = """
import sys, time
from pathlib import Path
from qtha_lab.experiment.run_directory import queue as slots

slots.n_cores = lambda: 2
folder, threads = Path(sys.argv[1]), int(sys.argv[2])
files = slots.queue_places(folder)
held = slots.Queue(folder).wait_in_line("run", lambda: slots.take([(files, slots.slots_of(threads))]), lambda: False)
begin = time.monotonic()
print("held", flush=True)
time.sleep(float(sys.argv[3]))
print(begin, time.monotonic(), flush=True)
"""


def start(folder, threads, seconds):
    return subprocess.Popen(
        [sys.executable, "-c", TAKES, str(folder), str(threads), str(seconds)],
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def two_slots(monkeypatch):
    monkeypatch.setenv("QTHA_LAB_SLOTS", "2")
    monkeypatch.setattr(queue, "n_cores", lambda: 2)


def test_two_threads_and_one_are_never_at_work_together_on_two_slots(tmp_path, two_slots):
    threads = [1, 2, 1, 1, 2, 1, 2]
    processes = [start(tmp_path, count, 0.3) for count in threads]
    spans = [tuple(map(float, p.communicate()[0].splitlines()[1].split())) for p in processes]
    for begin, _ in spans:
        at_work = [t for t, (b, e) in zip(threads, spans, strict=True) if b <= begin < e]
        assert sum(at_work) <= 2, (threads, spans)


def test_a_kill_frees_all_slots_of_a_run_and_the_next_takes_them(tmp_path, two_slots):
    first = start(tmp_path, 2, 600)
    assert first.stdout.readline() == "held\n"
    assert queue.computing(tmp_path) == 2
    assert queue.take([(queue.queue_places(tmp_path), 1)]) is None
    first.kill()
    first.communicate()
    assert queue.computing(tmp_path) == 0
    held = queue.take([(queue.queue_places(tmp_path), 2)])
    assert held is not None
    assert len(held) == 2
    queue.release(held)


def test_who_needs_more_than_is_free_takes_nothing(tmp_path, two_slots):
    one = queue.take([(queue.queue_places(tmp_path), 1)])
    assert one is not None
    assert queue.take([(queue.queue_places(tmp_path), 2)]) is None
    assert queue.computing(tmp_path) == 1
    queue.release(one)


@pytest.mark.parametrize(
    ("cores", "asked", "threads", "held", "at_once"),
    [
        (2, "", 1, 1, 2),
        (2, "", 2, 2, 1),
        (8, "", 3, 3, 2),
        (8, "", 99, 8, 1),
        (8, "2", 4, 1, 2),  # a slot stands for four cores
        (8, "2", 5, 2, 1),
        (2, "5", 1, 1, 5),
        (2, "5", 2, 2, 2),
        (4, "0", 2, 2, 2),
    ],
)
def test_threads_are_counted_in_slots(monkeypatch, cores, asked, threads, held, at_once):
    monkeypatch.setenv("QTHA_LAB_SLOTS", asked)
    monkeypatch.setattr(queue, "n_cores", lambda: cores)
    assert (queue.slots_of(threads), queue.n_slots(threads)) == (held, at_once)


@pytest.mark.slow
def test_a_worker_of_two_threads_waits_for_two_slots_and_leaves_the_free_one(tmp_path, monkeypatch):
    monkeypatch.setenv("QTHA_LAB_RUNS", str(tmp_path))
    monkeypatch.setenv("QTHA_LAB_SLOTS", "2")
    folder = tmp_path / ".slots"
    one = queue.take([(queue.queue_places(folder), 1)])
    assert one is not None
    run = launch(
        Experiment(method="lora(r=2)", training={"threads": max(2, queue.n_cores())}), check=False
    )
    try:
        wait_until(
            lambda: run.status().message == "waiting for 2 of 2 slots", lambda: run.log_tail()
        )
        assert run.wait(timeout=1).state == "queued"
        assert queue.computing(folder) == 1
    finally:
        run.stop(soft_seconds=0, term_seconds=0)
        queue.release(one)


@pytest.fixture
def two_cards(tmp_path, monkeypatch):
    """A machine with two cards, of which a worker is told by its files alone."""
    for name in ("nvidia0", "nvidia1", "nvidiactl", "nvidia-uvm"):
        (tmp_path / "dev").mkdir(exist_ok=True)
        (tmp_path / "dev" / name).touch()
    monkeypatch.setattr(processors, "DEVICES", tmp_path / "dev")
    monkeypatch.setattr(processors, "_torch_has_cuda", lambda: True)
    monkeypatch.delenv(processors.VISIBLE, raising=False)
    return tmp_path / "queue"


def test_each_card_has_one_run_at_a_time(two_cards, monkeypatch):
    places = processors.visible_gpus(two_cards)
    assert list(places.values()) == ["0", "1"]
    held = [queue.take([(list(places), 1)]) for _ in range(3)]
    assert held[2] is None
    assert [places[file] for one in held[:2] for file in one or ()] == ["0", "1"]
    for one in held[:2]:
        queue.release(one or {})
    both = queue.take([(list(places), 2)])
    assert both is not None
    queue.release(both)
    assert queue.computing(two_cards) == 0  # a card is no slot
    monkeypatch.setenv(processors.VISIBLE, "")
    processors.use([places[file] for file in both])
    assert os.environ[processors.VISIBLE] == "0,1"


@pytest.mark.parametrize(
    ("visible", "names"), [("1", ["1"]), ("0, GPU-1a2b", ["0", "GPU-1a2b"]), ("", []), ("-1", [])]
)
def test_cards_that_a_person_hid_are_none_of_ours(two_cards, monkeypatch, visible, names):
    monkeypatch.setenv(processors.VISIBLE, visible)
    assert processors.cards() == names


def test_without_cards_or_without_cuda_nobody_waits_for_one(two_cards, monkeypatch):
    monkeypatch.setattr(processors, "_torch_has_cuda", lambda: False)
    assert processors.visible_gpus(two_cards) == {}
    assert queue.take([([], 0)]) == {}


def test_files_are_looked_at_only_until_enough_are_free(tmp_path, monkeypatch):
    monkeypatch.setenv("QTHA_LAB_SLOTS", str(queue.UNCOUNTED))
    looked = []
    monkeypatch.setattr(queue, "is_locked", lambda file: looked.append(file) or False)
    held = queue.take([(queue.queue_places(tmp_path), 3)])
    assert len(looked) == len(held or ()) == 3
    assert not queue.is_counted()
    queue.release(held or {})
    assert [*itertools.islice(queue.queue_places(tmp_path), 2)] == looked[:2]
