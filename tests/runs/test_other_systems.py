"""Training as on other systems: processes that spawn, no inherited locks, no POSIX call."""

import errno
import inspect
import json
import multiprocessing
import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from support.trained_runs import finished
from support.waiting import wait_until
from torch.utils.data import DataLoader
from transformers import AutoTokenizer

from qtha_lab.core import locks
from qtha_lab.core.paths import data_dir
from qtha_lab.experiment import Experiment, Training
from qtha_lab.runs.launch import launch
from qtha_lab.tasks import collate, load_task

ROOT = Path(__file__).parents[2]
SHORT = {
    "steps": 2,
    "batch_size": 2,
    "eval_rows": 2,
    "test_rows": 2,
    "generate_rows": 0,
    "max_length": 32,
}
METHOD = "qtha(r=2,waist=8)"
READS = ("open", "os.listdir", "os.scandir")


def train(folder: str) -> None:
    finished(Experiment(method=METHOD, training=Training(**SHORT)), Path(folder))


def train_without_proc(folder: str) -> None:
    """Train in a process in which /proc is missing, except for psutil."""
    stat = os.stat

    def find(path: object) -> None:
        if str(path).startswith("/proc"):
            frames = inspect.getouterframes(inspect.currentframe(), context=0)
            if not any("psutil" in frame.filename for frame in frames):
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)

    def stat_of_found(path, *arguments, **options):
        find(path)
        return stat(path, *arguments, **options)

    os.stat = stat_of_found
    sys.addaudithook(lambda event, arguments: find(arguments[0]) if event in READS else None)
    assert not Path("/proc/self/status").exists()
    train(folder)


def loss_of(folder: Path) -> float:
    (summary,) = folder.glob("*/summary.json")
    return json.loads(summary.read_text())["eval_loss"]


def test_workers_of_a_data_loader_can_be_spawned():
    tokenizer = AutoTokenizer.from_pretrained(data_dir() / "models" / "tiny")
    task = load_task("qa")
    rows = task.encode(task.train[:4], tokenizer, 64)
    loader = DataLoader(
        rows,
        batch_size=4,
        collate_fn=collate(tokenizer),
        num_workers=1,
        multiprocessing_context="spawn",
    )
    (batch,) = loader
    assert batch["input_ids"].equal(collate(tokenizer)(rows)["input_ids"])


@pytest.mark.slow
def test_a_spawned_process_without_proc_trains_to_the_same_loss(tmp_path):
    process = multiprocessing.get_context("spawn").Process(
        target=train_without_proc, args=(str(tmp_path / "a"),)
    )
    process.start()
    train(str(tmp_path / "b"))
    process.join()
    assert process.exitcode == 0
    assert loss_of(tmp_path / "a") == loss_of(tmp_path / "b")


@pytest.mark.slow
def test_a_worker_takes_the_lock_itself_where_none_is_inherited(tmp_path, monkeypatch):
    monkeypatch.setattr(locks, "INHERITS", False)
    run = launch(Experiment(method=METHOD, training=Training(**SHORT)), tmp_path)
    assert run.alive
    assert run.wait().state == "finished", run.status().message
    wait_until(lambda: not run.alive)
    end = json.loads((run.path / "exit.json").read_text())
    assert end["code"] == 0
    assert locks.signature(run.files.lock)[0] == end["pid"]


def test_a_released_lock_is_free_and_can_be_taken_again(tmp_path):
    held = locks.hold(tmp_path / "lock")
    assert locks.hold(tmp_path / "lock") is None
    locks.release(held)
    again = locks.hold(tmp_path / "lock")
    assert again is not None
    os.close(held)
    os.close(again)


def test_a_lock_whose_first_byte_is_not_readable_names_its_holder(tmp_path, monkeypatch):
    monkeypatch.setattr(locks, "SIGNED_FROM", 1)  # as on Windows
    held = locks.hold(tmp_path / "lock")
    locks.sign(held, os.getpid())
    assert (tmp_path / "lock").read_bytes()[:1] == b"\0"
    assert locks.holder(tmp_path / "lock") == os.getpid()
    os.close(held)


def test_a_probe_of_another_process_is_no_holder(tmp_path, monkeypatch):
    """A lock that ends within `PROBE_SECONDS` counts as free, an unsigned lock that stays as held."""
    held = locks.hold(tmp_path / "lock")
    assert locks.is_locked(tmp_path / "lock")
    monkeypatch.setattr(locks, "PROBE_SECONDS", 60)
    timer = threading.Timer(0.1, os.close, [held])
    timer.start()
    assert not locks.is_locked(tmp_path / "lock")
    timer.join()


def test_only_libraries_lock_files():
    """fcntl and msvcrt exist on some systems alone; filelock stands for both."""
    files = [*(ROOT / "qtha_lab").rglob("*.py"), *(ROOT / "widgets").rglob("*.py")]
    named = re.compile(r"^\s*(import|from) (fcntl|msvcrt)\b", re.MULTILINE)
    assert [str(file) for file in files if named.search(file.read_text("utf-8"))] == []


POSIX = (
    r"pass_fds|os\.(fork|setsid|killpg|nice|pwrite|getuid|geteuid|sched_)|import resource|SIGKILL"
)


@pytest.mark.slow
def test_posix_calls_are_guarded_by_the_type_checker_for_windows():
    command = ["grep", "-rlE", "--include=*.py", POSIX, "qtha_lab", "widgets"]
    files = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    files = files.split()
    checker = [str(Path(sys.executable).parent / "basedpyright"), "--pythonpath", sys.executable]
    done = subprocess.run(
        [*checker, "--pythonplatform", "Windows", *files],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout
