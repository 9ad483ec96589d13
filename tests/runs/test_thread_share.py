"""A run takes the threads that are free, and its numbers do not depend on how many they were."""

import json
import os
import subprocess
import sys

import pytest

from qtha_lab.experiment.run_directory import queue
from qtha_lab.experiment.run_directory.processors import (
    WINDOW_SECONDS,
    FreeThreads,
    share,
)
from qtha_lab.runs.table.frame import results_frame
from qtha_lab.runs.worker import use_threads
from qtha_lab.studies.comparison import notes
from qtha_lab.training.summary import measured

STORY = """
import itertools, json, sys
from pathlib import Path
from qtha_lab.runs.worker import use_threads

use_threads(1)
from qtha_lab.experiment import Experiment
from qtha_lab.experiment.run_directory import RunDir
from qtha_lab.experiment.run_directory.events import EventLog, read_events
from qtha_lab.training.finetune import fine_tune
from qtha_lab.training.processes import same_bits

training = {"steps": 4, "eval_rows": 4, "test_rows": 8, "eval_every": 2, "generate_rows": 1, "max_new_tokens": 2, "batch_size": 4}
experiment = Experiment(method=sys.argv[1], training=training)
stories = []
for counts in ([1], [2], [1, 2, 2, 1, 2]):
    files = RunDir.create(experiment, Path(sys.argv[2]))
    log, turns = EventLog(files.events), itertools.cycle(counts)
    assert fine_tune(files, log, lambda: False, 1, lambda: next(turns)).state == "finished"
    log.close()
    events = read_events(files.events)[0]
    stories.append({
        "losses": [(e["kind"], e["step"], e["loss"], e.get("grad_norm")) for e in events if "loss" in e],
        "adapter": (files.adapter / "adapter_model.safetensors").read_bytes().hex(),
        "threads": [e["count"] for e in events if e["kind"] == "threads"],
    })
print(json.dumps([same_bits(experiment), stories]))
"""


@pytest.mark.slow
@pytest.mark.skipif(queue.n_cores() < 2, reason="one core")
def test_one_thread_two_and_a_number_that_changes_give_the_same_bits(tmp_path):
    process = subprocess.run(
        [sys.executable, "-c", STORY, "qtha(r=4,waist=16)", str(tmp_path)],
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0, process.stderr
    holds, (one, two, changing) = json.loads(process.stdout.splitlines()[-1])
    assert one["threads"] == [1]
    if not holds:
        assert two["threads"] == changing["threads"] == [1]
        pytest.skip("products depend on the number of threads here, so it stays")
    assert two["threads"] == [2]
    assert len(changing["threads"]) > 4
    assert one["losses"] == two["losses"] == changing["losses"]
    assert one["adapter"] == two["adapter"] == changing["adapter"]


def test_a_named_number_stays(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert not queue.is_chosen(None)
    assert queue.is_chosen(2)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert queue.is_chosen(None)


def test_the_cores_are_shared_among_the_slots_that_are_held(tmp_path):
    assert share(tmp_path) == queue.n_cores()
    held = [fd for n in range(2) if (fd := queue.hold(tmp_path / str(n))) is not None]
    assert share(tmp_path) == max(1, queue.n_cores() // 2)
    os.close(held[1])
    assert share(tmp_path) == queue.n_cores()
    os.close(held[0])


def test_where_every_core_is_busy_one_thread_is_left(tmp_path):
    busy = [
        subprocess.Popen([sys.executable, "-c", "while True: pass"])
        for _ in range(2 * (os.cpu_count() or 1))
    ]
    try:
        free = FreeThreads(tmp_path)
        assert free() == 1
        subprocess.run([sys.executable, "-c", f"import time; time.sleep({2 * WINDOW_SECONDS})"])
        assert free() == 1
    finally:
        for process in busy:
            process.kill()
            process.wait()


def test_products_are_asked_not_to_depend_on_threads_unless_somebody_says_otherwise(monkeypatch):
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS", "MKL_CBWR"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    use_threads(2)
    assert os.environ["MKL_CBWR"] == "AUTO,STRICT"
    monkeypatch.setenv("MKL_CBWR", "COMPATIBLE")
    use_threads(2)
    assert os.environ["MKL_CBWR"] == "COMPATIBLE"


def train(step, seconds):
    return {"kind": "train", "step": step, "loss": 1.0, "seconds": seconds}


def threads(step, count):
    return {"kind": "threads", "step": step, "count": count}


def test_seconds_per_step_are_of_the_number_of_threads_that_most_steps_had():
    events = [threads(0, 1), train(1, 4.0), train(2, 4.0), threads(2, 2)]
    events += [train(3, 2.0), train(4, 2.5), train(5, 3.0)]
    assert measured(events)["seconds_per_step"] == 2.5
    assert measured(events)["threads"] == 2
    before = [train(1, 4.0), train(2, 5.0)]  # a log of version 0.2.0
    assert measured(before)["seconds_per_step"] == 4.5
    assert "threads" not in measured(before)


def test_a_comparison_says_when_its_times_are_of_different_threads():
    entries = [{"label": "lora", "threads": 1}, {"label": "qtha", "threads": 2}]
    assert "(lora 1; qtha 2)" in (notes.threads(results_frame(entries)) or "")
    assert notes.threads(results_frame(entries[:1] * 2)) is None
    assert notes.threads(results_frame([{"label": "lora"}, entries[1]])) is None
