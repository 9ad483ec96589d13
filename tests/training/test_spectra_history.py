"""Seconds that were taken while other runs trained are marked as such, wherever they are compared."""

import pytest
from support.waiting import PATIENCE

from qtha_lab.experiment import Experiment
from qtha_lab.experiment.run_directory import queue
from qtha_lab.experiment.run_directory.events import EventLog, read_events
from qtha_lab.runs.launch import launch
from qtha_lab.runs.table.frame import results_frame
from qtha_lab.studies.comparison import notes
from qtha_lab.studies.comparison.table import numbers, rows
from qtha_lab.training import processes
from qtha_lab.training.summary import measured

TRAINING = {
    "steps": 2,
    "batch_size": 2,
    "max_length": 32,
    "train_rows": 20,
    "eval_rows": 4,
    "test_rows": 4,
    "eval_every": 2,
    "generate_rows": 0,
    "spectrum_every": 0,
    "threads": 1,
}


@pytest.mark.slow
@pytest.mark.parametrize("held", [0, 1])
def test_a_run_says_whether_another_held_a_slot_while_it_stepped(tmp_path, monkeypatch, held):
    monkeypatch.setenv("QTHA_LAB_RUNS", str(tmp_path))
    monkeypatch.setenv("QTHA_LAB_SLOTS", "2")
    neighbour = queue.take([(queue.queue_places(tmp_path / ".slots"), held)])
    assert neighbour is not None
    run = launch(Experiment(method="lora(r=2)", training=TRAINING), check=False)
    assert run.wait(PATIENCE).state == "finished", run.log_tail()
    queue.release(neighbour)
    assert (run.summary or {})["side_by_side"] is bool(held)


def test_neighbours_that_come_and_go_are_recorded(tmp_path, monkeypatch):
    monkeypatch.setattr(processes, "WINDOW_SECONDS", 0)
    looks = iter([False, False, True, True, False])
    log = EventLog(tmp_path / "events")
    running = processes.Threads(1, lambda: 1, log, lambda: next(looks))
    for step in range(5):
        running.adjust(step)
    assert [(e["step"], e["side_by_side"]) for e in read_events(tmp_path / "events")[0]] == [
        (0, False), (2, True), (4, False),
    ]  # fmt: skip


def test_who_does_not_know_of_others_says_nothing_of_them(tmp_path):
    log = EventLog(tmp_path / "events")
    processes.Threads(1, lambda: 1, log).adjust(0)
    (event,) = read_events(tmp_path / "events")[0]
    assert "side_by_side" not in event


def events(*beside):
    """Steps, each after an event that says whether others computed; None says nothing."""
    for step, value in enumerate(beside, 1):
        known = {} if value is None else {"side_by_side": value}
        yield {"kind": "threads", "step": step - 1, "count": 1, **known}
        yield {"kind": "train", "step": step, "loss": 1.0, "seconds": 0.1}


@pytest.mark.parametrize(
    ("beside", "summary"),
    [
        ([False, False], {"side_by_side": False}),
        ([False, True, False], {"side_by_side": True}),
        ([None, True], {"side_by_side": True}),
        ([None, False], {}),
        ([None, None], {}),
    ],
)
def test_a_summary_says_what_is_known_of_its_steps(beside, summary):
    result = measured(events(*beside))
    assert {n: v for n, v in result.items() if n == "side_by_side"} == summary


def entry(label, seed=0, **more):
    return {
        "label": label, "method": label, "seed": seed, "state": "finished", "seconds_per_step": 0.5,
    } | more  # fmt: skip


def test_a_table_marks_such_seconds_and_a_note_says_what_the_mark_is():
    entries = [
        entry("lora", 0, side_by_side=False), entry("lora", 1, side_by_side=True),
        entry("qtha", 0, side_by_side=False), entry("dora"),
    ]  # fmt: skip
    assert [row["s per step"] for row in rows({"runs": entries})] == ["0.5 ∥", "0.5", "0.5"]
    assert [row.get("side_by_side") for row in numbers({"runs": entries})] == [True, False, None]
    assert (
        notes.side_by_side(results_frame(entries))
        == "Seconds per step marked ∥ were taken while other runs trained on the machine (lora):"
        " train one run at a time (`QTHA_LAB_SLOTS=1`) to compare speed. Of dora it is not known"
        " of every run."
    )
    assert notes.side_by_side(results_frame(entries[2:])) is None
