"""The list of a folder's runs is the truth of its directories, whatever has become of the index beside them."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from support.run_folders import run_folder, status, train, watched, write

from qtha_lab.experiment.run_directory import RunDir, index, record, write_json
from qtha_lab.runs.run import Run, list_runs


@pytest.fixture(autouse=True)
def _every_change_shows(monkeypatch):
    """Files of a moment ago count as old."""
    monkeypatch.setattr(record, "YOUNG_SECONDS", -1.0)


def fill(folder: Path, count: int = 6) -> list[Run]:
    """Finished runs, and one that died."""
    made = [run_folder(folder, method="lora(r=2)", seed=seed, steps=20) for seed in range(count)]
    for run in made:
        write(run, status("running", 0), *(train(step, 5.0) for step in range(1, 4)))
    for run in made[:-1]:
        write(run, status("finished", 3))
        write_json(run.files.summary, {"state": "finished", "eval_loss": 4.0})
    return made


def truth(folder: Path) -> list[tuple]:
    """Return the content of each directory, read alone."""
    alone = [Run(path) for path in folder.iterdir() if RunDir(path).exists]
    return sorted((told(run) for run in alone), reverse=True)


def told(run: Run) -> tuple:
    return run.id, str(run.status()), run.unreadable, json.dumps(run.summary)


def listed(folder: Path) -> list[tuple]:
    return [told(run) for run in list_runs(folder, unreadable=True)]


def test_a_second_listing_opens_the_index_and_lists_the_folder_once(tmp_path):
    dead = fill(tmp_path, 20)[-1]
    list_runs(tmp_path)
    with watched(tmp_path) as seen:
        ended = [run.status() for run in list_runs(tmp_path) if run.id != dead.id]
    assert seen == [("list", str(tmp_path)), ("open", str(tmp_path / index.NAME))]
    assert {status.state for status in ended} == {"finished"}


CHANGES = {
    "an event more": lambda run: write(run, train(4, 4.9)),
    "resumed": lambda run: write(run, status("running", 3), train(4, 4.0), status("stopped", 4)),
    "the description edited in place": lambda run: run.files.experiment_file.write_text(
        run.files.experiment_file.read_text().replace("20", "30")
    ),
    "the description broken": lambda run: run.files.experiment_file.write_text("no: experiment"),
    "the summary replaced": lambda run: write_json(run.files.summary, {"state": "finished", "eval_loss": 3.0}),
    "the summary deleted": lambda run: run.files.summary.unlink(),
    "the log deleted": lambda run: run.files.events.unlink(),
    "the log a folder": lambda run: (run.files.events.unlink(), run.files.events.mkdir()),
    "renamed": lambda run: run.path.rename(run.path.with_name("my best")),
    "copied": lambda run: shutil.copytree(run.path, run.path.with_name("copy")),
    "vanished": lambda run: shutil.rmtree(run.path),
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_whatever_changes_in_a_run_shows_in_the_list(tmp_path, change):
    made = fill(tmp_path)
    listed(tmp_path)
    CHANGES[change](made[0])
    assert listed(tmp_path) == truth(tmp_path)
    assert listed(tmp_path) == truth(tmp_path)


def test_what_was_written_a_moment_ago_is_not_remembered(tmp_path, monkeypatch):
    monkeypatch.setattr(record, "YOUNG_SECONDS", 60.0)
    fill(tmp_path)
    listed(tmp_path)
    assert not (tmp_path / index.NAME).exists()


def test_an_index_with_flipped_bytes_tells_no_lie(tmp_path):
    fill(tmp_path)
    expected, chance = listed(tmp_path), random.Random(0)
    whole = (tmp_path / index.NAME).read_bytes()
    for _ in range(60):
        damaged = bytearray(whole)
        for _ in range(chance.randint(1, 20)):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        (tmp_path / index.NAME).write_bytes(damaged[: chance.randint(1, len(damaged))])
        assert listed(tmp_path) == expected


@pytest.mark.parametrize(
    "content", [b"", b"\0" * 5000, b"[" * 5000, b"00000000 \n", "ä\n".encode()]
)
def test_an_index_of_garbage_is_written_anew(tmp_path, content):
    fill(tmp_path)
    (tmp_path / index.NAME).write_bytes(content)
    assert listed(tmp_path) == truth(tmp_path)
    with watched(tmp_path) as seen:
        list_runs(tmp_path)
    assert [kind for kind, _ in seen] == ["list", "open"]


def test_a_folder_in_the_place_of_the_index_is_left_alone(tmp_path):
    fill(tmp_path)
    (tmp_path / index.NAME).mkdir()
    assert listed(tmp_path) == truth(tmp_path)


def test_an_index_of_another_version_counts_for_nothing(tmp_path, monkeypatch):
    fill(tmp_path)
    listed(tmp_path)
    monkeypatch.setattr("qtha_lab.__version__", "9.9")
    with watched(tmp_path) as seen:
        list_runs(tmp_path)
    assert len(seen) > 6


def test_the_index_does_not_grow_with_every_change(tmp_path):
    made = fill(tmp_path)
    for step in range(4, 40):
        write(made[0], train(step, 4.0))
        listed(tmp_path)
    assert len((tmp_path / index.NAME).read_text().split("\n")) < 4 * len(made)


LIST = """
import resource, signal, sys
from pathlib import Path
from qtha_lab.runs import run as runs
from qtha_lab.experiment.run_directory import index, record
record.YOUNG_SECONDS = -1.0
folder, most, rounds = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
if most:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
print("ready", flush=True)
for number in range(rounds):
    if number and number % 3 == 0:
        (folder / index.NAME).unlink(missing_ok=True)
    print(len(runs.list_runs(folder, unreadable=True)), flush=True)
"""


def listing(folder: Path, most: int = 0, rounds: int = 1) -> subprocess.Popen:
    """Another process that lists a folder again and again; `most` bytes are all that a file may hold."""
    words = [sys.executable, "-c", LIST, str(folder), str(most), str(rounds)]
    return subprocess.Popen(words, stdout=subprocess.PIPE, text=True)


def test_a_disk_that_is_full_costs_the_index_and_not_the_list(tmp_path):
    fill(tmp_path)
    printed, _ = listing(tmp_path, most=700, rounds=3).communicate()
    assert printed.split() == ["ready", "6", "6", "6"]
    assert (tmp_path / index.NAME).stat().st_size <= 700
    assert listed(tmp_path) == truth(tmp_path)


@pytest.mark.skipif(os.geteuid() != 0, reason="takes another user's rights for a moment")
def test_a_folder_that_cannot_be_written_to_is_listed():
    with tempfile.TemporaryDirectory() as place:
        os.chmod(place, 0o755)
        folder = Path(place) / "runs"
        fill(folder)
        expected = truth(folder)
        os.seteuid(65534)
        try:
            assert listed(folder) == expected
            assert not (folder / index.NAME).exists()
        finally:
            os.seteuid(0)


def test_processes_that_list_at_once_all_see_everything(tmp_path):
    fill(tmp_path, 30)
    processes = [listing(tmp_path, rounds=12) for _ in range(3)]
    for process in processes:
        printed, _ = process.communicate()
        assert printed.split() == ["ready", *["30"] * 12]
    assert listed(tmp_path) == truth(tmp_path)


def test_a_process_killed_while_it_writes_the_index_leaves_a_list_that_is_true(tmp_path):
    fill(tmp_path, 30)
    expected, chance = truth(tmp_path), random.Random(1)
    for _ in range(3):
        process = listing(tmp_path, rounds=10_000)
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(chance.uniform(0.0, 0.1))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert listed(tmp_path) == expected
